/*
 * memnet data: describes a data set.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/size.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/text.h"
#include "memnet/dataset.h"

/* Images of each class; NULL when out of memory. */
static uint32_t *count_classes(const mn_dataset *dataset, const mn_images *images)
{
    uint32_t *counts = mn_calloc(dataset->class_count, sizeof *counts);
    for (uint32_t i = 0; counts != NULL && i < images->count; i++)
        counts[images->labels[i]]++;
    return counts;
}

static const char *pixel_type_name(mn_pixel_type type)
{
    return type == MN_PIXEL_U8 ? "uint8" : "float32";
}

/* Of all training images; a training measures its own part of them. */
static mn_status measure(const mn_dataset *dataset, mn_preprocessing *ret, mn_error *err)
{
    mn_split all = {0};
    mn_status status = mn_split_make(dataset, 1, 0.0, &all, err);
    if (status == MN_OK)
        *ret = mn_preprocessing_measure(dataset, all.train, all.train_count);
    mn_split_done(&all);
    return status;
}

static json_t *counts_json(const uint32_t *counts, uint32_t classes, uint32_t total)
{
    json_t *list = json_array();
    for (uint32_t k = 0; list != NULL && k < classes; k++) {
        if (json_array_append_new(list, json_integer(counts[k])) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return json_pack("{s:I, s:o}", "count", (json_int_t)total, "per_class", list);
}

static json_t *names_json(const mn_dataset *dataset)
{
    json_t *names = json_array();
    for (uint32_t k = 0; names != NULL && k < dataset->class_count; k++) {
        if (json_array_append_new(names, mn__json_text(dataset->class_names[k])) != 0) {
            json_decref(names);
            names = NULL;
        }
    }
    return names;
}

static int print_as_json(const mn_dataset *dataset,
                         const uint32_t *train,
                         const uint32_t *test,
                         mn_preprocessing preprocessing)
{
    uint32_t classes = dataset->class_count;
    return mn__print_json(json_pack("{s:[I,I,I], s:s, s:I, s:o, s:o, s:o, s:s, s:f, s:f}",
                                    "shape",
                                    (json_int_t)dataset->shape.h,
                                    (json_int_t)dataset->shape.w,
                                    (json_int_t)dataset->shape.c,
                                    "pixel_type",
                                    pixel_type_name(dataset->pixel_type),
                                    "classes",
                                    (json_int_t)classes,
                                    "class_names",
                                    names_json(dataset),
                                    "train",
                                    counts_json(train, classes, dataset->train.count),
                                    "test",
                                    counts_json(test, classes, dataset->test.count),
                                    "hash",
                                    dataset->hash,
                                    "mean",
                                    (double)preprocessing.mean,
                                    "scale",
                                    (double)preprocessing.scale));
}

static int print_as_text(const mn_dataset *dataset,
                         const uint32_t *train,
                         const uint32_t *test,
                         mn_preprocessing preprocessing)
{
    printf("shape    %u x %u x %u (height, width, channels), %s\n",
           dataset->shape.h,
           dataset->shape.w,
           dataset->shape.c,
           pixel_type_name(dataset->pixel_type));
    printf("images   %s to train on, %s to test\n",
           mn__count_text(dataset->train.count).text,
           mn__count_text(dataset->test.count).text);
    printf("input    (pixel - %.9g) * %.9g, measured on all training images\n",
           (double)preprocessing.mean,
           (double)preprocessing.scale);
    printf("hash     %s\n\n", dataset->hash);
    printf("%5s  %9s  %9s  name\n", "class", "train", "test");
    for (uint32_t k = 0; k < dataset->class_count; k++)
        printf("%5u  %9s  %9s  %s\n",
               k,
               mn__count_text(train[k]).text,
               mn__count_text(test[k]).text,
               dataset->class_names[k]);
    return MN__EXIT_OK;
}

static int describe(const char *spec, bool json)
{
    mn_dataset *dataset = NULL;
    uint32_t *train = NULL;
    uint32_t *test = NULL;
    mn_preprocessing preprocessing = {0};
    int code = MN__EXIT_OK;
    mn_error err;
    mn_status status = mn_dataset_open(spec, &dataset, &err);
    if (status == MN_OK)
        status = measure(dataset, &preprocessing, &err);
    if (status != MN_OK)
        goto done;
    train = count_classes(dataset, &dataset->train);
    test = count_classes(dataset, &dataset->test);
    if (train == NULL || test == NULL)
        status = mn_error_set(&err, MN_ERR_NOMEM, "%s: out of memory", spec);
    else if (json)
        code = print_as_json(dataset, train, test, preprocessing);
    else
        code = print_as_text(dataset, train, test, preprocessing);
done:
    free(test);
    free(train);
    mn_dataset_free(dataset);
    return status == MN_OK ? code : mn__fail(&err);
}

typedef struct request {
    bool json;
} request;

static const mn__option options[] = {
    {.name = "json", .kind = MN__FLAG, .into = offsetof(request, json), .help = "print JSON"},
};

static const mn__usage usage = {
    .command = "data",
    .synopsis = "SPEC [options]",
    .about =
        "Reads a data set, checks all of it, and shows its shape, its classes, its hash and how\n"
        "a pixel becomes the network's input.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operand = "SPEC",
    .operand_max = 1,
    .reads_data = true,
    .examples = "  memnet data fashion-mnist\n"
                "  memnet data npy:sensors --json\n",
};

int mn__cmd_data(int argc, char **argv)
{
    request r = {.json = false};
    int first = 0;
    int code = 0;
    if (!mn__options_parse(&usage, argc, argv, &r, &first, &code))
        return code;
    return describe(argv[first], r.json);
}

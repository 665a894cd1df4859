/*
 * memnet eval: the accuracy of a model, on the test images or on those that validated its training.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/size.h"
#include "cli/cli.h"
#include "cli/dump_layers.h"
#include "cli/int8.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/text.h"
#include "emit/folder.h"
#include "memnet/quantize.h"
#include "memnet/train.h"

typedef enum part { PART_TEST, PART_VALIDATION } part;

typedef struct request {
    const char *model;
    const char *data;
    const char *predictions; /* NULL: none */
    const char *dump;        /* NULL: none */
    int precision;           /* -1: the model's */
    int part;
    bool json;
} request;

/* Images to classify: which ones, and room for what the network says. */
typedef struct selection {
    const mn_images *from;
    const uint32_t *indices; /* NULL: all */
    uint32_t count;
    mn_split split;
    uint16_t *predictions;
} selection;

static void selection_done(selection *images)
{
    free(images->predictions);
    mn_split_done(&images->split);
}

/* The split is a function of the very data set, so a validation part needs the same one. */
static mn_status
check_data(const request *r, const mn_model *model, const mn_dataset *dataset, mn_error *err)
{
    if (strcmp(model->data_hash, dataset->hash) == 0)
        return MN_OK;
    const char *hash = model->data_hash[0] == '\0' ? "unknown" : model->data_hash;
    if (r->part == PART_VALIDATION)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "%s: was trained on the data set %s, %s is %s: its validation images "
                            "are not known",
                            r->model,
                            hash,
                            r->data,
                            dataset->hash);
    mn__warn(
        "%s: was trained on the data set %s, %s is %s", r->model, hash, r->data, dataset->hash);
    return MN_OK;
}

static mn_status choose_images(
    int which, const mn_model *model, const mn_dataset *dataset, selection *ret, mn_error *err)
{
    ret->from = &dataset->test;
    ret->count = dataset->test.count;
    if (which == PART_VALIDATION) {
        mn_status status =
            mn_split_make(dataset, model->split_seed, model->split_fraction, &ret->split, err);
        if (status != MN_OK)
            return status;
        if (ret->split.validation_count == 0)
            return mn_error_set(err, MN_ERR_ARG, "the model was trained without validation images");
        ret->from = &dataset->train;
        ret->indices = ret->split.validation;
        ret->count = ret->split.validation_count;
    }
    ret->predictions = mn_calloc(ret->count, sizeof *ret->predictions);
    if (ret->predictions == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "no memory for %u predictions", ret->count);
    return MN_OK;
}

static mn_status classify_float(const mn__pipeline *network,
                                const mn_dataset *dataset,
                                const selection *images,
                                mn_eval_result *ret_result,
                                mn_error *err)
{
    mn_trainer *trainer = NULL;
    mn_trainer_setup setup = {
        .graph = network->graph,
        .preprocessing = network->model->preprocessing,
        .initial = network->tensors,
        .opts = mn_train_opts_default(),
    };
    setup.opts.threads = mn__processors(256);
    setup.opts.compute = MN_COMPUTE_FLOAT32; /* as the exported code computes */
    mn_status status = mn_trainer_create(&setup, &trainer, err);
    if (status == MN_OK)
        status = mn_trainer_evaluate(trainer,
                                     dataset,
                                     images->from,
                                     images->indices,
                                     images->count,
                                     ret_result,
                                     images->predictions,
                                     err);
    mn_trainer_free(trainer);
    return status == MN_OK ? MN_OK : mn_error_prefix(err, status, "%s", network->path);
}

/* A float32 model is quantised first, on the images that it was trained with. */
static mn_status classify_int8(const request *r,
                               mn__pipeline *network,
                               const mn_dataset *dataset,
                               const selection *images,
                               mn_eval_result *ret_result,
                               mn_error *err)
{
    mn_int8_network *int8 = NULL;
    const mn_int8_task task = {
        .preprocessing = network->model->preprocessing,
        .dataset = dataset,
        .images = images->from,
        .indices = images->indices,
        .count = images->count,
        .threads = mn__processors(256),
    };
    mn_status status = mn__pipeline_plan(network, MN_PRECISION_INT8, err);
    if (status == MN_OK && network->quant == NULL)
        status = mn__int8_quantize(network, dataset, NULL, NULL, err);
    if (status != MN_OK)
        return status;
    status = mn_int8_network_create(network->deployed, network->quant, &int8, err);
    if (status == MN_OK)
        status = mn_int8_network_evaluate(int8, &task, ret_result, images->predictions, err);
    if (status == MN_OK && r->dump != NULL)
        status = mn__dump_layers(network, int8, &task, r->dump, err);
    mn_int8_network_free(int8);
    return status == MN_OK ? MN_OK : mn_error_prefix(err, status, "%s", network->path);
}

static mn_status classify(const request *r,
                          mn__pipeline *network,
                          const mn_dataset *dataset,
                          const selection *images,
                          mn_eval_result *ret_result,
                          mn_error *err)
{
    mn_precision precision = mn__pipeline_precision(network, r->precision);
    if (precision == MN_PRECISION_INT8)
        return classify_int8(r, network, dataset, images, ret_result, err);
    if (r->dump != NULL)
        return mn_error_set(err, MN_ERR_UNSUPPORTED, "--dump-layers: expected --precision int8");
    mn_status status = mn__pipeline_check_precision(network, precision, err);
    return status == MN_OK ? classify_float(network, dataset, images, ret_result, err) : status;
}

static mn_status write_predictions(const char *path, const selection *images, mn_error *err)
{
    mn_buffer text;
    mn_buffer_init(&text);
    for (uint32_t i = 0; i < images->count; i++)
        mn_buffer_printf(&text, "%u\n", (unsigned)images->predictions[i]);
    mn_status status = mn_buffer_check(&text, err);
    if (status == MN_OK)
        status = mn_file_write(path, text.bytes, text.count, err);
    mn_buffer_done(&text);
    return status;
}

static int print_result(const request *r, const char *precision, const mn_eval_result *result)
{
    double accuracy = 100.0 * result->correct / result->count;
    if (r->json)
        return mn__print_json(json_pack("{s:o, s:I, s:I, s:s, s:s}",
                                        "accuracy",
                                        mn__json_number(accuracy),
                                        "correct",
                                        (json_int_t)result->correct,
                                        "count",
                                        (json_int_t)result->count,
                                        "precision",
                                        precision,
                                        "split",
                                        r->part == PART_TEST ? "test" : "val"));
    printf("accuracy %s: %s of %s %s images, %s\n",
           mn__percent_text(accuracy).text,
           mn__count_text(result->correct).text,
           mn__count_text(result->count).text,
           r->part == PART_TEST ? "test" : "validation",
           precision);
    return MN__EXIT_OK;
}

static int evaluate(const request *r)
{
    mn__pipeline network = {0};
    mn_dataset *dataset = NULL;
    selection chosen = {0};
    mn_eval_result result = {0};
    mn_error err;
    mn_status status = MN_OK;
    if (r->predictions != NULL)
        status = mn__output_check(r->predictions, &err);
    if (status == MN_OK && r->dump != NULL)
        status = mn__folder_check(r->dump, false, &err);
    if (status == MN_OK)
        status = mn__pipeline_load_model(r->model, &network, &err);
    if (status == MN_OK)
        status = mn_dataset_open(r->data, &dataset, &err);
    if (status == MN_OK)
        status = check_data(r, network.model, dataset, &err);
    if (status == MN_OK)
        status = choose_images(r->part, network.model, dataset, &chosen, &err);
    if (status == MN_OK)
        status = classify(r, &network, dataset, &chosen, &result, &err);
    if (status == MN_OK && r->predictions != NULL)
        status = write_predictions(r->predictions, &chosen, &err);
    int code = MN__EXIT_FAILED;
    if (status == MN_OK)
        code = print_result(
            r, mn_precision_name(mn__pipeline_precision(&network, r->precision)), &result);
    else
        mn__fail(&err);
    selection_done(&chosen);
    mn_dataset_free(dataset);
    mn__pipeline_done(&network);
    return code;
}

#define INTO(field) offsetof(request, field)

static const char *const parts[] = {"test", "val", NULL};

static const mn__option options[] = {
    {.name = "data",
     .argument = "SPEC",
     .kind = MN__TEXT,
     .into = INTO(data),
     .required = true,
     .help = "data set (see below); required"},
    {.name = "precision",
     .argument = "P",
     .kind = MN__CHOICE,
     .into = INTO(precision),
     .choices = mn__precision_choices,
     .help = "float32 or int8 (default: that of the model). A float32 model is\n"
             "quantised as by `quantize` with its defaults, and not saved"},
    {.name = "split",
     .argument = "PART",
     .kind = MN__CHOICE,
     .into = INTO(part),
     .choices = parts,
     .help = "test (default), or val: the training images that validated\n"
             "the model's training; needs the same data set"},
    {.name = "predictions",
     .argument = "FILE",
     .kind = MN__TEXT,
     .into = INTO(predictions),
     .help = "write one class index per line, in the order of the images"},
    {.name = "dump-layers",
     .argument = "DIR",
     .kind = MN__TEXT,
     .into = INTO(dump),
     .help = "int8: write what each kernel makes of the first image, as .npy"},
    {.name = "json", .kind = MN__FLAG, .into = INTO(json), .help = "print JSON"},
};

static const mn__usage usage = {
    .command = "eval",
    .synopsis = "MODEL.safetensors --data SPEC [options]",
    .about =
        "Measures the accuracy of a model. Look at the test images rarely: they cannot measure\n"
        "what was chosen by them.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operand = "MODEL.safetensors",
    .operand_max = 1,
    .reads_data = true,
    .examples = "  memnet eval study/best/model.safetensors --data fashion-mnist\n"
                "  memnet eval model.safetensors --data cifar10:data --split val --json\n"
                "  memnet eval model.safetensors --data fashion-mnist --precision int8\n",
};

int mn__cmd_eval(int argc, char **argv)
{
    request r = {.precision = -1, .part = PART_TEST};
    int first = 0;
    int code = 0;
    if (!mn__options_parse(&usage, argc, argv, &r, &first, &code))
        return code;
    r.model = argv[first];
    return evaluate(&r);
}

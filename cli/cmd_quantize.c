/*
 * memnet quantize: turns a trained float32 model into one that computes in int8.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "cli/cli.h"
#include "cli/int8.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/text.h"

typedef struct request {
    const char *model;
    const char *data;
    const char *out; /* NULL: beside the model */
    uint32_t images;
    double percentile;
    uint32_t qat_epochs; /* 0: none */
    double qat_rate;
    uint32_t threads; /* 0: all */
    bool json;
} request;

/* "net.safetensors" makes "net-int8.safetensors". The caller frees. */
static char *default_name(const char *model)
{
    static const char end[] = ".safetensors";
    size_t length = strlen(model);
    size_t tail = sizeof end - 1;
    char *text = NULL;
    mn_buffer name;
    if (length > tail && strcmp(model + length - tail, end) == 0)
        length -= tail;
    mn_buffer_init(&name);
    mn_buffer_append(&name, model, length);
    mn_buffer_printf(&name, "-int8%s", end);
    (void)mn_buffer_take(&name, &text, NULL);
    mn_buffer_done(&name);
    return text;
}

static mn_status save(const mn__pipeline *network, const char *out, mn_error *err)
{
    mn_model model = *network->model; /* all but the tensors is borrowed */
    model.tensors = NULL;
    model.is_int8 = true;
    mn_status status = mn_quant_to_tensors(network->deployed, network->quant, &model.tensors, err);
    if (status == MN_OK)
        status = mn_model_save(&model, out, err);
    mn_tensors_free(model.tensors);
    return status;
}

static void warn_of_other_data(const request *r, const mn_model *model, const mn_dataset *dataset)
{
    if (strcmp(model->data_hash, dataset->hash) != 0)
        mn__warn("%s: was trained on the data set %s, %s is %s",
                 r->model,
                 model->data_hash[0] == '\0' ? "unknown" : model->data_hash,
                 r->data,
                 dataset->hash);
}

static int
print_result(const request *r, const mn__pipeline *network, uint32_t images, const char *out)
{
    const mn_plan *plan = network->plan;
    if (r->json)
        return mn__print_json(json_pack("{s:o, s:I, s:o, s:I, s:I, s:I, s:I}",
                                        "out",
                                        mn__json_text(out),
                                        "calibration_images",
                                        (json_int_t)images,
                                        "percentile",
                                        mn__json_number(r->percentile),
                                        "qat_epochs",
                                        (json_int_t)r->qat_epochs,
                                        "weights_bytes",
                                        (json_int_t)plan->weights_bytes,
                                        "arena_bytes",
                                        (json_int_t)plan->arena_bytes,
                                        "total_bytes",
                                        (json_int_t)plan->total_bytes));
    printf("wrote %s, int8, calibrated on %s images\n", out, mn__count_text(images).text);
    printf("  weights  %s\n", mn__bytes_text(plan->weights_bytes).text);
    printf("  arena    %s\n", mn__bytes_text(plan->arena_bytes).text);
    printf("  total    %s\n", mn__bytes_text(plan->total_bytes).text);
    return MN__EXIT_OK;
}

static void print_epoch(void *context, const mn_epoch_result *result)
{
    const request *r = context;
    if (r->json)
        return;
    printf("epoch %u/%u  loss %.4f\n", result->epoch, r->qat_epochs, result->loss);
    (void)fflush(stdout);
}

static mn_status
fine_tune(request *r, mn__pipeline *network, const mn_dataset *dataset, mn_error *err)
{
    mn_train_opts opts = mn_qat_opts_default();
    if (r->qat_epochs == 0)
        return MN_OK;
    opts.epochs = r->qat_epochs;
    opts.learning_rate = (float)r->qat_rate;
    opts.threads = r->threads == 0 ? mn__processors(256) : r->threads;
    return mn__int8_fine_tune(network, dataset, &opts, print_epoch, r, err);
}

/* Tables of int8 in place of the weights they were made of could not be undone. */
static mn_status check_other(const char *model, const char *out, mn_error *err)
{
    struct stat from;
    struct stat to;
    if (stat(model, &from) != 0 || stat(out, &to) != 0 || from.st_dev != to.st_dev ||
        from.st_ino != to.st_ino)
        return MN_OK;
    return mn_error_set(err, MN_ERR_ARG, "%s: the model itself, expected another file", out);
}

static int quantize(request *r)
{
    mn__pipeline network = {0};
    mn_dataset *dataset = NULL;
    mn_quantize_opts opts = mn_quantize_opts_default();
    mn_error err;
    uint32_t images = 0;
    int code = MN__EXIT_FAILED;
    mn_status status = MN_OK;
    char *made = r->out == NULL ? default_name(r->model) : NULL;
    const char *out = r->out == NULL ? made : r->out;
    opts.images = r->images;
    opts.percentile = r->percentile;
    if (out == NULL)
        status = mn_error_set(&err, MN_ERR_NOMEM, "out of memory");
    if (status == MN_OK)
        status = mn__output_check(out, &err);
    if (status == MN_OK)
        status = check_other(r->model, out, &err);
    if (status == MN_OK)
        status = mn__pipeline_load_model(r->model, &network, &err);
    if (status == MN_OK)
        status = mn__pipeline_plan(&network, MN_PRECISION_INT8, &err);
    if (status == MN_OK)
        status = mn_dataset_open(r->data, &dataset, &err);
    if (status == MN_OK) {
        warn_of_other_data(r, network.model, dataset);
        status = mn__int8_quantize(&network, dataset, &opts, &images, &err);
    }
    if (status == MN_OK)
        status = fine_tune(r, &network, dataset, &err);
    if (status == MN_OK)
        status = save(&network, out, &err);
    code = status == MN_OK ? print_result(r, &network, images, out) : mn__fail(&err);
    mn_dataset_free(dataset);
    mn__pipeline_done(&network);
    free(made);
    return code;
}

#define INTO(field) offsetof(request, field)

static const mn__option options[] = {
    {.name = "data",
     .argument = "SPEC",
     .kind = MN__TEXT,
     .into = INTO(data),
     .required = true,
     .help = "data set (see below) whose training images show which numbers\n"
             "occur in the network; required"},
    {.name = "calibration-images",
     .argument = "N",
     .kind = MN__COUNT,
     .into = INTO(images),
     .low = 1,
     .high = 1000000,
     .help = "how many of them, evenly spread (default 512)"},
    {.name = "percentile",
     .argument = "P",
     .kind = MN__REAL,
     .into = INTO(percentile),
     .low = 90,
     .high = 100,
     .help = "leave out 100 - P percent of the numbers at either end of each\n"
             "range (default 100: none)"},
    {.name = "qat-epochs",
     .argument = "N",
     .kind = MN__COUNT,
     .into = INTO(qat_epochs),
     .high = 100000,
     .help = "then train for N epochs with the rounding of int8 (default 0)"},
    {.name = "qat-rate",
     .argument = "X",
     .kind = MN__REAL,
     .into = INTO(qat_rate),
     .high = 100,
     .help = "peak of the learning rate of that (default 0.001)"},
    {.name = "threads",
     .argument = "N",
     .kind = MN__COUNT,
     .into = INTO(threads),
     .low = 1,
     .high = 256,
     .help = "processors for that (default: all); a part of the result"},
    {.name = "out",
     .argument = "FILE",
     .kind = MN__TEXT,
     .into = INTO(out),
     .help = "the int8 model (default: MODEL-int8.safetensors)"},
    {.name = "json", .kind = MN__FLAG, .into = INTO(json), .help = "print JSON"},
};

static const mn__usage usage = {
    .command = "quantize",
    .synopsis = "MODEL.safetensors --data SPEC [options]",
    .about = "Turns a trained model into one that computes in int8: a quarter of the memory, and\n"
             "integers alone. Nothing is trained but with --qat-epochs. What it costs in accuracy\n"
             "tells `memnet eval`.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operand = "MODEL.safetensors",
    .operand_max = 1,
    .reads_data = true,
    .examples = "  memnet quantize model.safetensors --data fashion-mnist\n"
                "  memnet quantize model.safetensors --data cifar10:data --percentile 99.99\n"
                "  memnet quantize model.safetensors --data cifar10:data --qat-epochs 3\n",
};

int mn__cmd_quantize(int argc, char **argv)
{
    mn_quantize_opts opts = mn_quantize_opts_default();
    request r = {.images = opts.images,
                 .percentile = opts.percentile,
                 .qat_rate = (double)mn_qat_opts_default().learning_rate};
    int first = 0;
    int code = 0;
    if (!mn__options_parse(&usage, argc, argv, &r, &first, &code))
        return code;
    r.model = argv[first];
    return quantize(&r);
}

/*
 * memnet export: writes a model as C code, laid out by the plan that `memnet memory` prints.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/boards.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/text.h"
#include "memnet/emit.h"

typedef struct request {
    const char *model;
    const char *out;
    int format;    /* c is the only one */
    int precision; /* -1: the model's */
    bool force;
    bool no_boards;
} request;

static void print_result(const request *r, const mn_plan *plan)
{
    const char *folder = r->out;
    char *word = mn__shell_word(folder);
    const char *quoted = word == NULL ? folder : word;
    printf("wrote %s: model.h and model.c, the kernels in use, an example main.c, README.txt\n"
           "  weights  %s, constant\n",
           folder,
           mn__bytes_text(plan->weights_bytes).text);
    printf("  arena    %s, read-write\n", mn__bytes_text(plan->arena_bytes).text);
    printf("  total    %s\n", mn__bytes_text(plan->total_bytes).text);
    printf("  multiply-adds %s\n", mn__count_text(plan->macs).text);
    printf("compile the example with\n  cc -O2 -std=c99 -o classify %s/*.c\n", quoted);
    if (!r->no_boards)
        mn__boards_print(folder);
    free(word);
}

/* A float32 model has no int8 numbers, and calibrating it takes a data set. */
static mn_status check_precision(const request *r, const mn_model *model, mn_error *err)
{
    if (r->precision != MN_PRECISION_INT8 || model->is_int8)
        return MN_OK;
    return mn_error_set(err,
                        MN_ERR_ARG,
                        "%s: a float32 model, expected one that `memnet quantize` wrote",
                        r->model);
}

static int export_model(const request *r)
{
    mn__pipeline network = {0};
    mn_error err;
    mn_status status = mn__pipeline_load_model(r->model, &network, &err);
    if (status == MN_OK)
        status = check_precision(r, network.model, &err);
    if (status == MN_OK)
        status = mn__pipeline_plan(&network, mn__pipeline_precision(&network, r->precision), &err);
    if (status == MN_OK) {
        const mn_emit_input input = {
            .graph = network.deployed,
            .tensors = network.folded,
            .quant = network.quant,
            .plan = network.plan,
            .model = network.model,
            .force = r->force,
        };
        status = mn_emit_c(&input, r->out, &err);
    }
    if (status == MN_OK)
        print_result(r, network.plan);
    mn__pipeline_done(&network);
    return status == MN_OK ? MN__EXIT_OK : mn__fail(&err);
}

#define INTO(field) offsetof(request, field)

static const char *const formats[] = {"c", NULL};
static const char *const formats_planned[] = {"onnx", NULL};

static const mn__option options[] = {
    {.name = "format",
     .argument = "F",
     .kind = MN__CHOICE,
     .into = INTO(format),
     .choices = formats,
     .planned = formats_planned,
     .required = true,
     .help = "c; required"},
    {.name = "out",
     .argument = "DIR",
     .kind = MN__TEXT,
     .into = INTO(out),
     .required = true,
     .help = "folder, made with its parents; required"},
    {.name = "precision",
     .argument = "P",
     .kind = MN__CHOICE,
     .into = INTO(precision),
     .choices = mn__precision_choices,
     .help = "float32 or int8 (default: that of the model, which is int8 after\n"
             "`memnet quantize`)"},
    {.name = "force",
     .kind = MN__FLAG,
     .into = INTO(force),
     .help = "overwrite the files of an earlier export"},
    {.name = "no-boards",
     .kind = MN__FLAG,
     .into = INTO(no_boards),
     .help = "do not compile it for microcontrollers, which tells the size of\n"
             "its code and its stack there (where cross compilers are installed)"},
};

static const mn__usage usage = {
    .command = "export",
    .synopsis = "MODEL.safetensors --format c --out DIR [options]",
    .about =
        "Writes a model as C code: C99, no heap, all working memory in one static buffer of the\n"
        "size that is printed. An example program in it classifies raw images. Where compilers "
        "for\n"
        "microcontrollers are installed, prints what code and stack take there.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operand = "MODEL.safetensors",
    .operand_max = 1,
    .examples = "  memnet export study/best/model.safetensors --format c --out firmware/net\n"
                "  memnet export model.safetensors --format c --out net --force\n"
                "  memnet export int8.safetensors --format c --precision int8 --out net8\n",
};

int mn__cmd_export(int argc, char **argv)
{
    request r = {.precision = -1};
    int first = 0;
    int code = 0;
    if (!mn__options_parse(&usage, argc, argv, &r, &first, &code))
        return code;
    r.model = argv[first];
    return export_model(&r);
}

/*
 * memnet export: writes a model as C code, laid out by the plan that `memnet memory` prints, or as
 * ONNX.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/boards.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/text.h"
#include "memnet/emit.h"
#include "memnet/onnx.h"

/* In the order of the option's choices. */
typedef enum format { FORMAT_C, FORMAT_ONNX } format;

typedef struct request {
    const char *model;
    const char *out;
    const char *name; /* NULL: the default names */
    int format;
    int precision; /* -1: that of the model */
    bool force;
    bool no_boards;
} request;

static void print_result(const request *r, const mn_plan *plan)
{
    const char *folder = r->out;
    char *word = mn__shell_word(folder);
    const char *quoted = word == NULL ? folder : word;
    const char *name = r->name == NULL ? "model" : r->name;
    printf("wrote %s: %s.h and %s.c, the kernels in use, an example main.c, README.txt\n"
           "  weights  %s, constant\n",
           folder,
           name,
           name,
           mn__bytes_text(plan->weights_bytes).text);
    printf("  arena    %s, read-write\n", mn__bytes_text(plan->arena_bytes).text);
    printf("  total    %s\n", mn__bytes_text(plan->total_bytes).text);
    printf("  multiply-adds %s\n", mn__count_text(plan->macs).text);
    printf("compile the example with\n  cc -O2 -std=c99 -o classify %s/*.c\n", quoted);
    if (!r->no_boards)
        mn__boards_print(folder, r->name);
    free(word);
}

/* A float32 model has no int8 numbers, and calibrating it takes a data set. */
static mn_status check_precision(const request *r, const mn_model *model, mn_error *err)
{
    if (r->precision != MN_PRECISION_INT8 || model->is_int8)
        return MN_OK;
    return mn_error_set(
        err,
        MN_ERR_ARG,
        "%s: a float32 model, which has no int8 tables; `memnet quantize` makes them",
        r->model);
}

static mn_status export_c(const request *r, mn__pipeline *network, mn_error *err)
{
    mn_status status =
        mn__pipeline_plan(network, mn__pipeline_precision(network, r->precision), err);
    if (status != MN_OK)
        return status;
    const mn_emit_input input = {
        .graph = network->deployed,
        .tensors = network->folded,
        .quant = network->quant,
        .plan = network->plan,
        .model = network->model,
        .name = r->name,
        .force = r->force,
    };
    status = mn_emit_c(&input, r->out, err);
    if (status == MN_OK)
        print_result(r, network->plan);
    return status;
}

static void print_onnx_result(const request *r, const mn__pipeline *network)
{
    const mn_preprocessing *pixels = &network->model->preprocessing;
    mn_shape shape = network->genotype.input;
    printf("wrote %s: ONNX, opset 13, %s\n"
           "  input   'input', float32 (1,%u,%u,%u): channels, rows, columns of\n"
           "          (pixel - %.9g) * %.9g\n"
           "  output  'logits', float32 (1,%u)\n",
           r->out,
           network->quant != NULL ? "int8 (QDQ)" : "float32",
           shape.c,
           shape.h,
           shape.w,
           (double)pixels->mean,
           (double)pixels->scale,
           network->model->class_count);
}

static mn_status export_onnx(const request *r, mn__pipeline *network, mn_error *err)
{
    mn_precision precision = mn__pipeline_precision(network, r->precision);
    mn_status status = mn__output_check(r->out, err);
    if (status == MN_OK)
        status = mn__pipeline_deploy(network, precision, err);
    if (status != MN_OK)
        return status;
    const mn_onnx_export_input input = {
        .graph = network->deployed,
        .tensors = network->folded,
        .model = network->model,
        .quant = network->quant,
        .force = r->force,
    };
    status = mn_onnx_export(&input, r->out, err);
    if (status == MN_OK)
        print_onnx_result(r, network);
    return status;
}

static int export_model(const request *r)
{
    mn__pipeline network = {0};
    mn_error err;
    mn_status status = mn__pipeline_load_model(r->model, &network, &err);
    if (status == MN_OK)
        status = check_precision(r, network.model, &err);
    if (status == MN_OK)
        status =
            r->format == FORMAT_ONNX ? export_onnx(r, &network, &err) : export_c(r, &network, &err);
    mn__pipeline_done(&network);
    return status == MN_OK ? MN__EXIT_OK : mn__fail(&err);
}

#define INTO(field) offsetof(request, field)

static const char *const formats[] = {[FORMAT_C] = "c", [FORMAT_ONNX] = "onnx", NULL};

static const mn__option options[] = {
    {.name = "format",
     .argument = "F",
     .kind = MN__CHOICE,
     .into = INTO(format),
     .choices = formats,
     .required = true,
     .help = "c or onnx; required"},
    {.name = "out",
     .argument = "PATH",
     .kind = MN__TEXT,
     .into = INTO(out),
     .required = true,
     .help = "c: a folder, made with its parents; onnx: a file; required"},
    {.name = "name",
     .argument = "NAME",
     .kind = MN__TEXT,
     .into = INTO(name),
     .help = "c: NAME.h, NAME_invoke(), NAME_... in place of model.h,\n"
             "memnet_invoke(), MODEL_...: for several networks in one program"},
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
     .help = "replace the file or files of an earlier export"},
    {.name = "no-boards",
     .kind = MN__FLAG,
     .into = INTO(no_boards),
     .help = "do not compile it for microcontrollers, which tells the size of\n"
             "its code and its stack there (where cross compilers are installed)"},
};

static const mn__usage usage = {
    .command = "export",
    .synopsis = "MODEL.safetensors --format c|onnx --out PATH [options]",
    .about =
        "c: writes a model as C code: C99, no heap, all working memory in one static buffer of "
        "the\n"
        "size that is printed. An example program in it classifies raw images. Where compilers "
        "for\n"
        "microcontrollers are installed, prints what code and stack take there.\n"
        "onnx: writes it as one ONNX file (opset 13) for other runtimes. Its input is float32\n"
        "(1,C,H,W); what to do to the pixels and the names of the classes are in its metadata.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operand = "MODEL.safetensors",
    .operand_max = 1,
    .examples = "  memnet export study/best/model.safetensors --format c --out firmware/net\n"
                "  memnet export model.safetensors --format c --out net --force\n"
                "  memnet export wake.safetensors --format c --name wake --out wake\n"
                "  memnet export model.safetensors --format onnx --out model.onnx\n",
};

int mn__cmd_export(int argc, char **argv)
{
    request r = {.precision = -1};
    int first = 0;
    int code = 0;
    if (!mn__options_parse(&usage, argc, argv, &r, &first, &code))
        return code;
    if (r.name != NULL && r.format != FORMAT_C)
        return mn__usage_error("export", "--name is for --format c");
    r.model = argv[first];
    return export_model(&r);
}

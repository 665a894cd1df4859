/*
 * Loading and planning. Invariant: whatever the step that fails, the message opens with the file.
 */
#include "cli/pipeline.h"

#include <errno.h>
#include <libgen.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memnet/deploy.h"
#include "memnet/onnx.h"

typedef enum content { CONTENT_UNKNOWN, CONTENT_ARCHITECTURE, CONTENT_MODEL, CONTENT_ONNX } content;

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);
    size_t tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* A safetensors file opens with the length of its JSON header, 8 bytes, low byte first; no header
 * is near 2^40 bytes, so that bytes 5 to 7 are zero, which no JSON text has. */
static content content_of_bytes(const unsigned char *bytes, size_t count)
{
    size_t blank = 0;
    if (count >= 9 && bytes[5] == 0 && bytes[6] == 0 && bytes[7] == 0 && bytes[8] == '{')
        return CONTENT_MODEL;
    while (blank < count && strchr(" \t\r\n", bytes[blank]) != NULL && bytes[blank] != '\0')
        blank++;
    return blank < count && bytes[blank] == '{' ? CONTENT_ARCHITECTURE : CONTENT_UNKNOWN;
}

static mn_status look_at(const char *path, content *ret_content, mn_error *err)
{
    unsigned char bytes[256];
    if (ends_with(path, ".json"))
        *ret_content = CONTENT_ARCHITECTURE;
    else if (ends_with(path, ".safetensors"))
        *ret_content = CONTENT_MODEL;
    else if (ends_with(path, ".onnx"))
        *ret_content = CONTENT_ONNX;
    if (*ret_content != CONTENT_UNKNOWN)
        return MN_OK;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return mn_error_set(err, MN_ERR_IO, "%s: %s", path, strerror(errno));
    size_t count = fread(bytes, 1, sizeof bytes, file);
    bool failed = ferror(file) != 0;
    int reason = errno;
    (void)fclose(file);
    if (failed)
        return mn_error_set(err, MN_ERR_IO, "%s: %s", path, strerror(reason));
    *ret_content = content_of_bytes(bytes, count);
    if (*ret_content == CONTENT_UNKNOWN)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: neither an architecture (JSON) nor a model (safetensors), and no "
                            "name that ends in .onnx",
                            path);
    return MN_OK;
}

static mn_status load_model(const char *path, mn__pipeline *pipeline, mn_error *err)
{
    mn_status status = mn_model_load(path, &pipeline->model, err);
    if (status != MN_OK)
        return status;
    const mn_model *model = pipeline->model;
    const char *text = model->architecture;
    status = mn_genotype_parse(text, strlen(text), &pipeline->genotype, err);
    if (status != MN_OK)
        return mn_error_prefix(err, status, "%s: architecture", path);
    if (model->class_count != pipeline->genotype.classes)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "%s: %u class names, the architecture has %u classes",
                            path,
                            model->class_count,
                            pipeline->genotype.classes);
    return MN_OK;
}

static mn_status load_network(content kind, const char *path, mn__pipeline *pipeline, mn_error *err)
{
    mn_status status = kind == CONTENT_MODEL ? load_model(path, pipeline, err)
                                             : mn_genotype_load(path, &pipeline->genotype, err);
    if (status != MN_OK)
        return status;
    status = mn_genotype_lower(&pipeline->genotype, &pipeline->graph, err);
    if (status == MN_OK && pipeline->model != NULL && !pipeline->model->is_int8)
        status =
            mn_tensors_arrange(pipeline->graph, pipeline->model->tensors, &pipeline->tensors, err);
    return status == MN_OK ? MN_OK : mn_error_prefix(err, status, "%s", path);
}

mn_status mn__pipeline_load(const char *path, mn__pipeline *pipeline, mn_error *err)
{
    content kind = CONTENT_UNKNOWN;
    pipeline->path = path;
    mn_status status = look_at(path, &kind, err);
    if (status != MN_OK)
        return status;
    if (kind != CONTENT_ONNX)
        return load_network(kind, path, pipeline, err);
    pipeline->is_imported = true;
    return mn_onnx_import(path, &pipeline->graph, err);
}

mn_status mn__pipeline_load_model(const char *path, mn__pipeline *pipeline, mn_error *err)
{
    mn_status status = mn__pipeline_load(path, pipeline, err);
    if (status == MN_OK && pipeline->is_imported)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "%s: an ONNX file tells `memory` the sizes, nothing else; expected a "
                            "model (.safetensors)",
                            path);
    if (status == MN_OK && pipeline->model == NULL)
        return mn_error_set(
            err, MN_ERR_ARG, "%s: an architecture without weights, expected a model", path);
    return status;
}

static bool is_int8(const mn__pipeline *pipeline)
{
    return pipeline->model != NULL && pipeline->model->is_int8;
}

mn_precision mn__pipeline_precision(const mn__pipeline *pipeline, int asked)
{
    if (asked >= 0)
        return (mn_precision)asked;
    bool weightless = pipeline->model == NULL && !pipeline->is_imported;
    return weightless || is_int8(pipeline) ? MN_PRECISION_INT8 : MN_PRECISION_FLOAT32;
}

mn_status
mn__pipeline_check_precision(const mn__pipeline *pipeline, mn_precision precision, mn_error *err)
{
    if (is_int8(pipeline) && precision != MN_PRECISION_INT8)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "%s: an int8 model, which has no %s weights",
                            pipeline->path,
                            mn_precision_name(precision));
    return MN_OK;
}

mn_status mn__pipeline_deploy(mn__pipeline *pipeline, mn_precision precision, mn_error *err)
{
    mn_status status = mn__pipeline_check_precision(pipeline, precision, err);
    if (status != MN_OK)
        return status;
    status =
        mn_deploy(pipeline->graph, pipeline->tensors, &pipeline->deployed, &pipeline->folded, err);
    if (status == MN_OK && is_int8(pipeline))
        status = mn_quant_from_tensors(
            pipeline->deployed, pipeline->model->tensors, &pipeline->quant, err);
    return status == MN_OK ? MN_OK : mn_error_prefix(err, status, "%s", pipeline->path);
}

mn_status mn__pipeline_plan(mn__pipeline *pipeline, mn_precision precision, mn_error *err)
{
    mn_plan_opts opts = mn_plan_opts_default();
    opts.precision = precision;
    opts.sizes_only = pipeline->is_imported;
    mn_status status = mn__pipeline_deploy(pipeline, precision, err);
    if (status != MN_OK)
        return status;
    status = mn_plan_create(pipeline->deployed, &opts, &pipeline->plan, err);
    return status == MN_OK ? MN_OK : mn_error_prefix(err, status, "%s", pipeline->path);
}

const char *mn__pipeline_sizes_text(const mn__pipeline *pipeline)
{
    return pipeline->is_imported ? "as in the file" : mn_precision_name(pipeline->plan->precision);
}

void mn__pipeline_done(mn__pipeline *pipeline)
{
    mn_plan_free(pipeline->plan);
    mn_quant_free(pipeline->quant);
    mn_tensors_free(pipeline->folded);
    mn_graph_free(pipeline->deployed);
    mn_tensors_free(pipeline->tensors);
    mn_graph_free(pipeline->graph);
    mn_model_free(pipeline->model);
    *pipeline = (mn__pipeline){0};
}

mn_status mn__output_check(const char *path, mn_error *err)
{
    struct stat info;
    mn_status status = MN_OK;
    if (path[0] == '\0')
        return mn_error_set(err, MN_ERR_ARG, "the name of an output file is empty");
    if (path[strlen(path) - 1] == '/')
        return mn_error_set(err, MN_ERR_IO, "%s: a folder, expected the name of a file", path);
    /* Files are written beside and renamed: a device would be replaced by a plain file. */
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return mn_error_set(err, MN_ERR_IO, "%s: exists and is not a regular file", path);
    char *copy = strdup(path);
    if (copy == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", path);
    const char *folder = dirname(copy);
    if (stat(folder, &info) != 0 || access(folder, W_OK | X_OK) != 0)
        status = mn_error_set(
            err, MN_ERR_IO, "%s: cannot be written: %s: %s", path, folder, strerror(errno));
    else if (!S_ISDIR(info.st_mode))
        status =
            mn_error_set(err, MN_ERR_IO, "%s: cannot be written: %s is not a folder", path, folder);
    free(copy);
    return status;
}

uint32_t mn__processors(uint32_t most)
{
    cpu_set_t set;
    int count = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        count = CPU_COUNT(&set);
    if (count < 1)
        return 1;
    return (uint32_t)count > most ? most : (uint32_t)count;
}

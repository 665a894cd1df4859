/*
 * Export as ONNX: checks that graph, numbers and model belong together, writes the graph node by
 * node, and wraps it into a model with its metadata. The entry of the writing half of onnx/.
 * Invariant: the bytes follow from the arguments alone, and nothing reaches the disk unless all of
 * it could be built.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "graph/model.h"
#include "onnx/export.h"
#include "onnx/message.h"

/* Field numbers of onnx.proto. */
enum {
    MODEL_IR_VERSION = 1,
    MODEL_PRODUCER_NAME = 2,
    MODEL_GRAPH = 7,
    MODEL_OPSET_IMPORT = 8,
    MODEL_METADATA_PROPS = 14,
    OPSET_VERSION = 2,
    ENTRY_KEY = 1,
    ENTRY_VALUE = 2,
    GRAPH_NAME = 2,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    VALUE_NAME = 1,
    VALUE_TYPE = 2,
    TYPE_TENSOR = 1,
    TENSOR_ELEMENT = 1,
    TENSOR_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_VALUE = 1
};

/* The IR version that came with opset 13. */
static const int64_t ir_version = 7;
static const int64_t opset = 13;

/* A file of protobuf may not have more. */
static const size_t most_bytes = INT32_MAX;

/* Of the metadata of a model file, what helps who runs the network; the rest is about its training.
 */
static const char *const model_keys[] = {
    "architecture", "preprocessing", "class_names", "data_hash", NULL};

/* ---- checks -------------------------------------------------------------------------------- */

static mn_status check_names(const mn_graph *graph, mn_error *err)
{
    uint32_t inputs = 0;
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++) {
        const mn_node *node = mn_graph_node(graph, n);
        inputs += node->prim == MN_PRIM_INPUT;
        if (strchr(node->name, MN__EXPORT_MARK) != NULL ||
            strlen(node->name) > MN__EXPORT_NODE_NAME_MAX)
            return mn_error_set(err,
                                MN_ERR_UNSUPPORTED,
                                "node '%.200s': expected a name of at most %u bytes without '%c'",
                                node->name,
                                MN__EXPORT_NODE_NAME_MAX,
                                MN__EXPORT_MARK);
    }
    if (inputs != 1 || mn_graph_output_count(graph) != 1)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "a network of %u inputs and %u outputs: expected one of each",
                            inputs,
                            mn_graph_output_count(graph));
    return MN_OK;
}

static mn_status check_tensor(const mn_onnx_export_input *input, uint32_t t, mn_error *err)
{
    const mn_tensor_info *info = mn_graph_tensor(input->graph, t);
    const mn_tensor *tensor = &input->tensors->items[t];
    const float *numbers = tensor->data;
    if (tensor->dtype != MN_F32 || memcmp(tensor->dims, info->dims, sizeof info->dims) != 0)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "tensor '%.200s': expected float32 (%u,%u,%u,%u) as in the graph",
                            info->name,
                            info->dims[0],
                            info->dims[1],
                            info->dims[2],
                            info->dims[3]);
    for (size_t k = 0; k < mn_graph_tensor_elements(input->graph, t); k++)
        if (!isfinite(numbers[k]))
            return mn_error_set(err,
                                MN_ERR_UNSUPPORTED,
                                "tensor '%.200s': element %zu is not finite",
                                info->name,
                                k);
    return MN_OK;
}

static mn_status check_tensors(const mn_onnx_export_input *input, mn_error *err)
{
    mn_status status = MN_OK;
    uint32_t count = mn_graph_tensor_count(input->graph);
    if (input->tensors == NULL || input->tensors->count != count)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "%u tensors, the network has %u",
                            input->tensors == NULL ? 0 : input->tensors->count,
                            count);
    for (uint32_t t = 0; t < count && status == MN_OK; t++)
        status = check_tensor(input, t, err);
    return status;
}

static mn_status check_input(const mn_onnx_export_input *input, mn_error *err)
{
    mn_status status = check_names(input->graph, err);
    if (status != MN_OK)
        return status;
    mn_shape shape = mn_graph_node(input->graph, mn_graph_output(input->graph, 0))->shape;
    if (mn_shape_elements(shape) != input->model->class_count || shape.h != 1 || shape.w != 1)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "the network's output is (%u,%u,%u), the model names %u classes",
                            shape.h,
                            shape.w,
                            shape.c,
                            input->model->class_count);
    return input->quant != NULL ? mn__export_check_quant(input, err) : check_tensors(input, err);
}

/* ---- the graph ----------------------------------------------------------------------------- */

/* A float32 input or output of the graph. */
static void put_value_info(
    mn_buffer *graph, uint32_t field, const char *name, const int64_t *dims, uint32_t rank)
{
    mn_buffer info = {0};
    mn_buffer type = {0};
    mn_buffer tensor = {0};
    mn_buffer shape = {0};
    for (uint32_t d = 0; d < rank; d++) {
        mn_buffer dim = {0};
        mn__put_int(&dim, DIM_VALUE, dims[d]);
        mn__put_message(&shape, SHAPE_DIM, &dim);
    }
    mn__put_int(&tensor, TENSOR_ELEMENT, MN__ELEMENT_FLOAT);
    mn__put_message(&tensor, TENSOR_SHAPE, &shape);
    mn__put_message(&type, TYPE_TENSOR, &tensor);
    mn__put_text(&info, VALUE_NAME, name);
    mn__put_message(&info, VALUE_TYPE, &type);
    mn__put_message(graph, field, &info);
}

static mn_shape input_shape(const mn_graph *graph)
{
    uint32_t n = 0;
    while (mn_graph_node(graph, n)->prim != MN_PRIM_INPUT)
        n++;
    return mn_graph_node(graph, n)->shape;
}

/* Takes nodes and initializers of `e`. */
static void put_graph(mn__export *e, mn_buffer *graph)
{
    mn_shape in = input_shape(e->input->graph);
    const int64_t in_dims[] = {1, in.c, in.h, in.w};
    const int64_t out_dims[] = {1, e->input->model->class_count};
    mn__put_fields(graph, &e->nodes);
    mn__put_text(graph, GRAPH_NAME, "memnet");
    mn__put_fields(graph, &e->initializers);
    put_value_info(graph, GRAPH_INPUT, MN__EXPORT_INPUT, in_dims, 4);
    put_value_info(graph, GRAPH_OUTPUT, MN__EXPORT_OUTPUT, out_dims, 2);
}

/* ---- the model ----------------------------------------------------------------------------- */

static void put_entry(mn_buffer *model, const char *key, const char *value)
{
    mn_buffer entry = {0};
    mn_buffer name = {0};
    mn_buffer_printf(&name, "memnet.%s", key);
    mn__put_message(&entry, ENTRY_KEY, &name);
    mn__put_text(&entry, ENTRY_VALUE, value);
    mn__put_message(model, MODEL_METADATA_PROPS, &entry);
}

static mn_status put_metadata(const mn_onnx_export_input *input, mn_buffer *model, mn_error *err)
{
    mn_metadata metadata;
    mn_metadata_init(&metadata);
    mn_status status = mn_model_describe(input->model, &metadata, err);
    for (uint32_t k = 0; status == MN_OK && model_keys[k] != NULL; k++)
        put_entry(model, model_keys[k], mn_metadata_get(&metadata, model_keys[k]));
    if (status == MN_OK)
        put_entry(model, "precision", input->quant == NULL ? "float32" : "int8");
    mn_metadata_done(&metadata);
    return status;
}

static mn_status put_model(mn__export *e, mn_buffer *model, mn_error *err)
{
    mn_buffer graph = {0};
    mn_buffer set = {0};
    put_graph(e, &graph);
    mn__put_int(&set, OPSET_VERSION, opset); /* of the default domain, "" */
    mn__put_int(model, MODEL_IR_VERSION, ir_version);
    mn__put_text(model, MODEL_PRODUCER_NAME, "memnet");
    mn__put_message(model, MODEL_GRAPH, &graph);
    mn__put_message(model, MODEL_OPSET_IMPORT, &set);
    return put_metadata(e->input, model, err);
}

mn_status mn_onnx_serialise(const mn_onnx_export_input *input,
                            char **ret_bytes,
                            size_t *ret_count,
                            mn_error *err)
{
    mn__export e = {.input = input};
    mn_buffer model = {0};
    size_t count = 0;
    mn_status status = check_input(input, err);
    if (status != MN_OK)
        return status;
    e.output = mn_graph_output(input->graph, 0);
    e.values = mn_calloc(mn_graph_node_count(input->graph), sizeof *e.values);
    if (e.values == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    for (uint32_t n = 0; n < mn_graph_node_count(input->graph) && status == MN_OK; n++)
        status = mn__export_node(&e, n, err);
    if (status != MN_OK)
        goto done;
    (void)mn__export_read(&e, e.output, MN__FORM_VECTOR);
    status = put_model(&e, &model, err);
    if (status == MN_OK && model.count > most_bytes)
        status = mn_error_set(
            err, MN_ERR_LIMIT, "a file of %zu bytes: at most %zu", model.count, most_bytes);
    if (status != MN_OK)
        goto done;
    count = model.count;
    status = mn_buffer_take(&model, ret_bytes, err);
    if (status == MN_OK)
        *ret_count = count;
done:
    mn_buffer_done(&model);
    mn_buffer_done(&e.initializers);
    mn_buffer_done(&e.nodes);
    free(e.values);
    return status;
}

mn_status mn_onnx_export(const mn_onnx_export_input *input, const char *path, mn_error *err)
{
    char *bytes = NULL;
    size_t count = 0;
    if (!input->force && mn_path_exists(path))
        return mn_error_set(err, MN_ERR_IO, "%s: exists", path);
    mn_status status = mn_onnx_serialise(input, &bytes, &count, err);
    if (status != MN_OK)
        return mn_error_prefix(err, status, "%s", path);
    status = mn_file_write(path, bytes, count, err);
    free(bytes);
    return status;
}

/* ONNX files made in memory: a writer of protobuf's wire format with just the messages that the
 * tests need, so that what is read was not written by the library that reads it. */
#ifndef MN_TESTS_ONNX_MODELS_H
#define MN_TESTS_ONNX_MODELS_H

#include "test.h"

#include <inttypes.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "memnet/onnx.h"

/* TensorProto.DataType */
enum { FLOAT = 1, UINT8 = 2, INT8 = 3, INT32 = 6, INT64 = 7, BOOL = 9, HALF = 10, DOUBLE = 11 };

/* A model that is being written: the fields of its graph, and the opset. */
typedef struct onnx_file {
    mn_buffer graph;
    int64_t opset;
} onnx_file;

/* ---- the wire ------------------------------------------------------------------------------ */

static inline void put_varint(mn_buffer *out, uint64_t value)
{
    do {
        unsigned char byte = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        mn_buffer_append(out, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static inline void put_int(mn_buffer *out, uint32_t field, int64_t value)
{
    put_varint(out, field << 3);
    put_varint(out, (uint64_t)value);
}

static inline void put_bytes(mn_buffer *out, uint32_t field, const void *bytes, size_t count)
{
    put_varint(out, field << 3 | 2);
    put_varint(out, count);
    mn_buffer_append(out, bytes, count);
}

static inline void put_text(mn_buffer *out, uint32_t field, const char *text)
{
    put_bytes(out, field, text, strlen(text));
}

/* Puts a message and empties it. */
static inline void put_message(mn_buffer *out, uint32_t field, mn_buffer *message)
{
    put_bytes(out, field, message->bytes == NULL ? "" : message->bytes, message->count);
    mn_buffer_done(message);
}

/* ---- parts of a model ---------------------------------------------------------------------- */

static inline onnx_file onnx_new(int64_t opset)
{
    return (onnx_file){.opset = opset};
}

/* Dimensions like "1,3,8,8"; what is no number is a name; "" is no dimension. */
static inline void
onnx_value_info(onnx_file *file, uint32_t field, const char *name, int type, const char *dims)
{
    mn_buffer info = {0};
    mn_buffer type_proto = {0};
    mn_buffer tensor = {0};
    mn_buffer shape = {0};
    char copy[256];
    char *rest = NULL;
    snprintf(copy, sizeof copy, "%s", dims);
    for (char *dim = strtok_r(copy, ",", &rest); dim != NULL; dim = strtok_r(NULL, ",", &rest)) {
        mn_buffer one = {0};
        if (dim[0] == '-' || (dim[0] >= '0' && dim[0] <= '9'))
            put_int(&one, 1, strtoll(dim, NULL, 10));
        else
            put_text(&one, 2, dim);
        put_message(&shape, 1, &one);
    }
    put_int(&tensor, 1, type);
    put_message(&tensor, 2, &shape);
    put_message(&type_proto, 1, &tensor);
    put_text(&info, 1, name);
    put_message(&info, 2, &type_proto);
    put_message(&file->graph, field, &info);
}

static inline void onnx_input(onnx_file *file, const char *name, int type, const char *dims)
{
    onnx_value_info(file, 11, name, type, dims);
}

static inline void onnx_output(onnx_file *file, const char *name)
{
    mn_buffer info = {0};
    put_text(&info, 1, name);
    put_message(&file->graph, 12, &info);
}

/* A TensorProto with raw data, zeros when `data` is NULL. */
static inline void onnx_tensor_message(
    mn_buffer *tensor, const char *name, int type, const char *dims, const void *data)
{
    static const size_t bytes[] = {[FLOAT] = 4,
                                   [UINT8] = 1,
                                   [INT8] = 1,
                                   [INT32] = 4,
                                   [INT64] = 8,
                                   [BOOL] = 1,
                                   [HALF] = 2,
                                   [DOUBLE] = 8};
    char copy[256];
    char *rest = NULL;
    size_t count = bytes[type];
    snprintf(copy, sizeof copy, "%s", dims);
    for (char *dim = strtok_r(copy, ",", &rest); dim != NULL; dim = strtok_r(NULL, ",", &rest)) {
        put_int(tensor, 1, strtoll(dim, NULL, 10));
        count *= strtoull(dim, NULL, 10);
    }
    void *zeros = calloc(count + 1, 1);
    assert_non_null(zeros);
    put_int(tensor, 2, type);
    put_text(tensor, 8, name);
    put_bytes(tensor, 9, data == NULL ? zeros : data, count);
    free(zeros);
}

static inline void
onnx_constant(onnx_file *file, const char *name, int type, const char *dims, const void *data)
{
    mn_buffer tensor = {0};
    onnx_tensor_message(&tensor, name, type, dims, data);
    put_message(&file->graph, 5, &tensor);
}

/* int64 numbers of one dimension, or a single one of none. */
static inline void
onnx_numbers(onnx_file *file, const char *name, size_t count, const int64_t *data)
{
    char dims[32];
    snprintf(dims, sizeof dims, "%zu", count);
    onnx_constant(file, name, INT64, dims, data);
}

static inline void onnx_float(onnx_file *file, const char *name, float number)
{
    onnx_constant(file, name, FLOAT, "", &number);
}

/* Attributes like "group=2 pads=[1,1] alpha=0.5 auto_pad=VALID". */
static inline void onnx_attributes(mn_buffer *node, const char *text)
{
    char copy[512];
    char *rest = NULL;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *item = strtok_r(copy, " ", &rest); item != NULL; item = strtok_r(NULL, " ", &rest)) {
        mn_buffer attribute = {0};
        char *value = strchr(item, '=');
        assert_non_null(value);
        *value++ = '\0';
        put_text(&attribute, 1, item);
        if (value[0] == '[') {
            for (char *at = value; *at != ']' && at[1] != ']'; at = strpbrk(at + 1, ",]"))
                put_int(&attribute, 8, strtoll(at + 1, NULL, 10));
        } else if (value[0] != '-' && (value[0] < '0' || value[0] > '9')) {
            put_text(&attribute, 4, value);
        } else if (strchr(value, '.') != NULL) {
            float number = strtof(value, NULL);
            put_varint(&attribute, 2 << 3 | 5);
            mn_buffer_append(&attribute, &number, sizeof number);
        } else {
            put_int(&attribute, 3, strtoll(value, NULL, 10));
        }
        put_message(node, 5, &attribute);
    }
}

/* Names of a list like "x,w,,b", an empty one where an input is left out. */
static inline void onnx_names(mn_buffer *node, uint32_t field, const char *list)
{
    for (const char *at = list; *at != '\0';) {
        size_t length = strcspn(at, ",");
        put_bytes(node, field, at, length);
        at += length + (at[length] == ',');
    }
}

/* `op` may be "com.microsoft:QLinearAdd". */
static inline void onnx_named_node(onnx_file *file,
                                   const char *name,
                                   const char *op,
                                   const char *inputs,
                                   const char *outputs,
                                   const char *attributes)
{
    mn_buffer node = {0};
    char domain[64] = "";
    const char *colon = strchr(op, ':');
    if (colon != NULL)
        snprintf(domain, sizeof domain, "%.*s", (int)(colon - op), op);
    onnx_names(&node, 1, inputs);
    onnx_names(&node, 2, outputs);
    put_text(&node, 3, name);
    put_text(&node, 4, colon == NULL ? op : colon + 1);
    onnx_attributes(&node, attributes);
    put_text(&node, 7, domain);
    put_message(&file->graph, 1, &node);
}

static inline void onnx_node(onnx_file *file,
                             const char *op,
                             const char *inputs,
                             const char *outputs,
                             const char *attributes)
{
    onnx_named_node(file, "", op, inputs, outputs, attributes);
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* The file's bytes, freed by the caller; the model is empty again. */
static inline char *onnx_finish(onnx_file *file, size_t *ret_count)
{
    mn_buffer model = {0};
    mn_buffer opset = {0};
    char *bytes = NULL;
    put_int(&model, 1, 8);
    put_message(&model, 7, &file->graph);
    put_text(&opset, 1, "");
    put_int(&opset, 2, file->opset);
    put_message(&model, 8, &opset);
    *ret_count = model.count;
    assert_int_equal(mn_buffer_take(&model, &bytes, NULL), MN_OK);
    return bytes;
}

static inline mn_status onnx_parse(onnx_file *file, mn_graph **ret_graph, mn_error *err)
{
    size_t count = 0;
    char *bytes = onnx_finish(file, &count);
    mn_status status = mn_onnx_parse(bytes, count, ret_graph, err);
    free(bytes);
    return status;
}

/* The graph, which must come out; freed by the caller. */
static inline mn_graph *onnx_graph(onnx_file *file)
{
    mn_graph *graph = NULL;
    mn_error err;
    assert_ok(onnx_parse(file, &graph, &err), &err);
    return graph;
}

/* Fails unless the import is refused with this status and a line that contains `text`. */
static inline void onnx_refused(onnx_file *file, mn_status expected, const char *text)
{
    mn_graph *graph = NULL;
    mn_error err;
    assert_error(onnx_parse(file, &graph, &err), expected, &err, text);
    assert_null(graph);
}

/* The graph in one line, a word per node: "input 8x8x3 conv 8x8x16 <0 ...". */
static inline void assert_nodes(const mn_graph *graph, const char *expected)
{
    mn_buffer text = {0};
    char *all = NULL;
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++) {
        const mn_node *node = mn_graph_node(graph, n);
        mn_buffer_printf(&text,
                         "%s%s %ux%ux%u",
                         n == 0 ? "" : "; ",
                         mn_prim_name(node->prim),
                         node->shape.h,
                         node->shape.w,
                         node->shape.c);
        for (uint32_t i = 0; i < node->input_count; i++)
            mn_buffer_printf(&text, " %u", node->inputs[i]);
    }
    assert_int_equal(mn_buffer_take(&text, &all, NULL), MN_OK);
    assert_string_equal(all, expected);
    free(all);
}

/* Imports, compares as assert_nodes() does, frees. */
static inline void onnx_becomes(onnx_file *file, const char *expected)
{
    mn_graph *graph = onnx_graph(file);
    assert_nodes(graph, expected);
    mn_graph_free(graph);
}

#endif

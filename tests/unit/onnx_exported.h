/* An export as ONNX, unpacked by protobuf-c, and what the tests ask of it. */
#ifndef MN_TESTS_ONNX_EXPORTED_H
#define MN_TESTS_ONNX_EXPORTED_H

#include "test.h"

#include "base/buffer.h"
#include "emit_network.h"
#include "memnet/onnx.h"
#include "onnx.pb-c.h"

#define ARCHITECTURE "{\"format\": 1}"
#define DATA_HASH "0123456789abcdef"

/* A network, and its export unpacked. */
typedef struct fixture {
    network net;
    mn_tensors none;
    char *bytes;
    size_t count;
    Onnx__ModelProto *model;
    const Onnx__GraphProto *graph;
} fixture;

static inline mn_onnx_export_input input_of(fixture *f)
{
    mn_model *model = &f->net.model;
    static char architecture[] = ARCHITECTURE;
    model->architecture = architecture;
    model->tensors = &f->none;
    memcpy(model->data_hash, DATA_HASH, sizeof model->data_hash);
    return (mn_onnx_export_input){
        .graph = f->net.graph, .tensors = &f->net.tensors, .model = model};
}

static inline void unpack(fixture *f, const mn_onnx_export_input *input)
{
    mn_error err;
    assert_ok(mn_onnx_serialise(input, &f->bytes, &f->count, &err), &err);
    f->model = onnx__model_proto__unpack(NULL, f->count, (const uint8_t *)f->bytes);
    assert_non_null(f->model);
    f->graph = f->model->graph;
}

static inline void unpacked_done(fixture *f)
{
    onnx__model_proto__free_unpacked(f->model, NULL);
    free(f->bytes);
    f->model = NULL;
    f->bytes = NULL;
}

/* ---- looking into a model ------------------------------------------------------------------ */

static inline const Onnx__NodeProto *node_of(const fixture *f, const char *output)
{
    for (size_t n = 0; n < f->graph->n_node; n++)
        if (strcmp(f->graph->node[n]->output[0], output) == 0)
            return f->graph->node[n];
    fail_msg("no node makes '%s'", output);
    return NULL;
}

static inline const Onnx__TensorProto *tensor_of(const fixture *f, const char *name)
{
    for (size_t i = 0; i < f->graph->n_initializer; i++)
        if (strcmp(f->graph->initializer[i]->name, name) == 0)
            return f->graph->initializer[i];
    fail_msg("no initializer '%s'", name);
    return NULL;
}

static inline bool has_value(const fixture *f, const char *name)
{
    for (size_t n = 0; n < f->graph->n_node; n++)
        if (strcmp(f->graph->node[n]->output[0], name) == 0)
            return true;
    return false;
}

static inline uint32_t count_ops(const fixture *f, const char *type)
{
    uint32_t count = 0;
    for (size_t n = 0; n < f->graph->n_node; n++)
        count += strcmp(f->graph->node[n]->op_type, type) == 0;
    return count;
}

/* One line: "Type(inputs) -> output attribute=..." */
static inline void describe_node(const Onnx__NodeProto *node, mn_buffer *out)
{
    mn_buffer_printf(out, "%s(", node->op_type);
    for (size_t i = 0; i < node->n_input; i++)
        mn_buffer_printf(out, "%s%s", i == 0 ? "" : ", ", node->input[i]);
    mn_buffer_printf(out, ") -> %s", node->output[0]);
    for (size_t a = 0; a < node->n_attribute; a++) {
        const Onnx__AttributeProto *attribute = node->attribute[a];
        bool is_list = attribute->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
        mn_buffer_printf(out, " %s=", attribute->name);
        if (!is_list)
            mn_buffer_printf(out, "%lld", (long long)attribute->i);
        for (size_t i = 0; is_list && i < attribute->n_ints; i++)
            mn_buffer_printf(out, "%s%lld", i == 0 ? "" : ",", (long long)attribute->ints[i]);
    }
    mn_buffer_printf(out, "\n");
}

/* Every name is new, every input exists by then: what makes the list of nodes a valid graph. */
static inline void check_names(const fixture *f)
{
    for (size_t n = 0; n < f->graph->n_node; n++) {
        const Onnx__NodeProto *node = f->graph->node[n];
        assert_int_equal(node->n_output, 1);
        for (size_t i = 0; i < node->n_input; i++) {
            const char *name = node->input[i];
            bool found = name[0] == '\0' || strcmp(name, f->graph->input[0]->name) == 0;
            for (size_t k = 0; k < n && !found; k++)
                found = strcmp(f->graph->node[k]->output[0], name) == 0;
            for (size_t k = 0; k < f->graph->n_initializer && !found; k++)
                found = strcmp(f->graph->initializer[k]->name, name) == 0;
            if (!found)
                fail_msg("%s reads '%s' before it is made", node->output[0], name);
        }
        for (size_t k = 0; k < n; k++)
            assert_string_not_equal(f->graph->node[k]->output[0], node->output[0]);
        for (size_t k = 0; k < f->graph->n_initializer; k++)
            assert_string_not_equal(f->graph->initializer[k]->name, node->output[0]);
    }
    for (size_t i = 0; i < f->graph->n_initializer; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(f->graph->initializer[k]->name, f->graph->initializer[i]->name);
}

static inline void check_dims(const Onnx__ValueInfoProto *info, const char *name, const char *dims)
{
    const Onnx__TypeProto__Tensor *tensor = info->type->tensor_type;
    char text[64] = "";
    assert_string_equal(info->name, name);
    assert_int_equal(tensor->elem_type, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    for (size_t d = 0; d < tensor->shape->n_dim; d++)
        snprintf(text + strlen(text),
                 sizeof text - strlen(text),
                 "%s%lld",
                 d == 0 ? "" : ",",
                 (long long)tensor->shape->dim[d]->dim_value);
    assert_string_equal(text, dims);
}

static inline const char *metadata_of(const fixture *f, const char *key)
{
    for (size_t i = 0; i < f->model->n_metadata_props; i++)
        if (strcmp(f->model->metadata_props[i]->key, key) == 0)
            return f->model->metadata_props[i]->value;
    fail_msg("no metadata '%s'", key);
    return NULL;
}

static inline void check_line(const fixture *f, const char *output, const char *expected)
{
    mn_buffer line = {0};
    describe_node(node_of(f, output), &line);
    assert_string_equal(line.bytes, expected);
    mn_buffer_done(&line);
}

#endif

/*
 * Names and protobuf fields of an exported graph. Invariant: no two values have one name, since the
 * names of nodes hold no mark and every other name is a node's name, the mark, and a part.
 */
#include <stdio.h>
#include <string.h>

#include "onnx/export.h"
#include "onnx/message.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "raw_data of ONNX is little-endian, and so are the tables that are written as they are"
#endif

/* Field numbers of onnx.proto. */
enum {
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP_TYPE = 4,
    NODE_ATTRIBUTE = 5,
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_I = 3,
    ATTRIBUTE_INTS = 8,
    ATTRIBUTE_TYPE = 20,
    TENSOR_DIMS = 1,
    TENSOR_DATA_TYPE = 2,
    TENSOR_NAME = 8,
    TENSOR_RAW_DATA = 9
};

/* AttributeProto.AttributeType */
enum { TYPE_INT = 2, TYPE_INTS = 7 };

/* ---- names --------------------------------------------------------------------------------- */

mn__export_name mn__export_part_name(const mn__export *e, uint32_t node, const char *part)
{
    mn__export_name name;
    snprintf(name.text,
             sizeof name.text,
             "%.*s%c%.30s",
             (int)MN__EXPORT_NODE_NAME_MAX,
             mn_graph_node(e->input->graph, node)->name,
             MN__EXPORT_MARK,
             part);
    return name;
}

mn__export_name mn__export_value_name(const mn__export *e, uint32_t node, mn__form form)
{
    const mn_node *n = mn_graph_node(e->input->graph, node);
    mn__export_name name;
    bool is_input = n->prim == MN_PRIM_INPUT;
    if (node == e->output && form == MN__FORM_VECTOR) {
        snprintf(name.text, sizeof name.text, "%s", MN__EXPORT_OUTPUT);
        return name;
    }
    if (e->values[node].form != form)
        return mn__export_part_name(e, node, form == MN__FORM_VECTOR ? "vector" : "image");
    if (is_input && e->input->quant != NULL) /* what is read is the input on its grid */
        return mn__export_part_name(e, node, "quantised");
    if (is_input) {
        snprintf(name.text, sizeof name.text, "%s", MN__EXPORT_INPUT);
        return name;
    }
    if (strcmp(n->name, MN__EXPORT_INPUT) == 0 || strcmp(n->name, MN__EXPORT_OUTPUT) == 0)
        return mn__export_part_name(e, node, "value");
    snprintf(name.text, sizeof name.text, "%.*s", (int)MN__EXPORT_NODE_NAME_MAX, n->name);
    return name;
}

/* ---- nodes --------------------------------------------------------------------------------- */

void mn__export_attribute_int(mn_buffer *attributes, const char *name, int64_t value)
{
    mn_buffer attribute;
    mn_buffer_init(&attribute);
    mn__put_text(&attribute, ATTRIBUTE_NAME, name);
    mn__put_int(&attribute, ATTRIBUTE_I, value);
    mn__put_int(&attribute, ATTRIBUTE_TYPE, TYPE_INT);
    mn__put_message(attributes, NODE_ATTRIBUTE, &attribute);
}

void mn__export_attribute_ints(mn_buffer *attributes,
                               const char *name,
                               const int64_t *values,
                               uint32_t count)
{
    mn_buffer attribute;
    mn_buffer_init(&attribute);
    mn__put_text(&attribute, ATTRIBUTE_NAME, name);
    for (uint32_t i = 0; i < count; i++)
        mn__put_int(&attribute, ATTRIBUTE_INTS, values[i]);
    mn__put_int(&attribute, ATTRIBUTE_TYPE, TYPE_INTS);
    mn__put_message(attributes, NODE_ATTRIBUTE, &attribute);
}

void mn__export_add_op(mn__export *e, const mn__export_op *op)
{
    mn_buffer node;
    mn_buffer_init(&node);
    for (uint32_t i = 0; i < op->input_count; i++)
        mn__put_text(&node, NODE_INPUT, op->inputs[i]);
    mn__put_text(&node, NODE_OUTPUT, op->output);
    mn__put_text(&node, NODE_NAME, op->output);
    mn__put_text(&node, NODE_OP_TYPE, op->type);
    if (op->attributes != NULL)
        mn__put_fields(&node, op->attributes);
    mn__put_message(&e->nodes, GRAPH_NODE, &node);
}

void mn__export_add_simple(mn__export *e, const char *type, const char *from, const char *to)
{
    mn__export_add_op(
        e, &(mn__export_op){.type = type, .inputs = &from, .input_count = 1, .output = to});
}

/* ---- initializers -------------------------------------------------------------------------- */

void mn__export_add_tensor(mn__export *e, const mn__export_tensor *tensor)
{
    mn_buffer message;
    mn_buffer_init(&message);
    for (uint32_t d = 0; d < tensor->rank; d++)
        mn__put_int(&message, TENSOR_DIMS, tensor->dims[d]);
    mn__put_int(&message, TENSOR_DATA_TYPE, tensor->element);
    mn__put_text(&message, TENSOR_NAME, tensor->name);
    mn__put_bytes(&message, TENSOR_RAW_DATA, tensor->data, tensor->bytes);
    mn__put_message(&e->initializers, GRAPH_INITIALIZER, &message);
}

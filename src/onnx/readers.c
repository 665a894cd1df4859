/*
 * Who reads what. One walk over the nodes from the last to the first: a node matters when something
 * that matters reads one of its outputs, and a value is stored quantised when all its readers
 * quantise it.
 */
#include <string.h>

#include "base/size.h"
#include "onnx/import.h"

static bool is_one_of(const char *name, const char *const *names)
{
    while (*names != NULL && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

/* Ops whose float input is as good as quantised when their output is: folded or fused into their
 * producer, clamped, or moved without being computed with. */
static bool keeps_grid(const char *op)
{
    static const char *const names[] = {"Relu",
                                        "Clip",
                                        "BatchNormalization",
                                        "Identity",
                                        "Dropout",
                                        "Reshape",
                                        "Flatten",
                                        "Squeeze",
                                        "Unsqueeze",
                                        NULL};
    return is_one_of(op, names);
}

/* Ops that read only the dimensions. */
static bool reads_no_numbers(const char *op)
{
    static const char *const names[] = {"Shape", "Size", NULL};
    return is_one_of(op, names);
}

static mn__onnx_value *named(mn__onnx_import *import, const char *name)
{
    uint32_t value =
        name == NULL || name[0] == '\0' ? MN_NONE : mn__onnx_values_find(&import->values, name);
    return value == MN_NONE ? NULL : &import->values.items[value];
}

static bool is_quantised(const mn__onnx_value *value)
{
    return value != NULL && value->is_read_quantised && !value->is_read_as_it_is &&
           !value->is_output;
}

void mn__onnx_find_readers(mn__onnx_import *import)
{
    const Onnx__GraphProto *graph = import->graph;
    for (size_t o = 0; o < graph->n_output; o++) {
        mn__onnx_value *value = named(import, graph->output[o]->name);
        if (value != NULL)
            value->is_read = value->is_output = true;
    }
    for (size_t n = graph->n_node; n-- > 0;) {
        const Onnx__NodeProto *node = graph->node[n];
        const char *op = node->op_type == NULL ? "" : node->op_type;
        bool matters = false;
        for (size_t o = 0; o < node->n_output; o++) {
            const mn__onnx_value *output = named(import, node->output[o]);
            matters = matters || (output != NULL && output->is_read);
        }
        bool quantises =
            strcmp(op, "QuantizeLinear") == 0 ||
            (node->n_output > 0 && keeps_grid(op) && is_quantised(named(import, node->output[0])));
        for (size_t i = 0; matters && i < node->n_input; i++) {
            mn__onnx_value *value = named(import, node->input[i]);
            if (value == NULL)
                continue;
            value->is_read = true;
            if (i == 0 && quantises)
                value->is_read_quantised = true;
            else if (!reads_no_numbers(op))
                value->is_read_as_it_is = true;
        }
    }
}

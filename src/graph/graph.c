/*
 * The immutable graph: accessors and sums. Built by builder.c, read by every higher floor.
 * Invariant: a node's inputs have smaller indices; all sizes were overflow-checked when built.
 */
#include "graph/graph.h"

#include <stdlib.h>

size_t mn_shape_elements(mn_shape shape)
{
    return (size_t)shape.h * shape.w * shape.c;
}

bool mn_shape_equal(mn_shape a, mn_shape b)
{
    return a.h == b.h && a.w == b.w && a.c == b.c;
}

const char *mn_tensor_role_name(mn_tensor_role role)
{
    switch (role) {
    case MN_ROLE_WEIGHT:
        return "weight";
    case MN_ROLE_BIAS:
        return "bias";
    case MN_ROLE_GAMMA:
        return "gamma";
    case MN_ROLE_BETA:
        return "beta";
    case MN_ROLE_MEAN:
        return "mean";
    case MN_ROLE_VARIANCE:
        return "variance";
    case MN_ROLE_COUNT:
        break;
    }
    return "unknown";
}

uint32_t mn_graph_node_count(const mn_graph *graph)
{
    return graph->node_count;
}

const mn_node *mn_graph_node(const mn_graph *graph, uint32_t node)
{
    return &graph->nodes[node];
}

uint32_t mn_graph_output_count(const mn_graph *graph)
{
    return graph->output_count;
}

uint32_t mn_graph_output(const mn_graph *graph, uint32_t index)
{
    return graph->outputs[index];
}

uint32_t mn_graph_tensor_count(const mn_graph *graph)
{
    return graph->tensor_count;
}

const mn_tensor_info *mn_graph_tensor(const mn_graph *graph, uint32_t tensor)
{
    return &graph->tensors[tensor];
}

size_t mn_graph_tensor_elements(const mn_graph *graph, uint32_t tensor)
{
    const uint32_t *dims = graph->tensors[tensor].dims;
    return (size_t)dims[0] * dims[1] * dims[2] * dims[3];
}

uint64_t mn_graph_parameters(const mn_graph *graph)
{
    uint64_t sum = 0;
    for (uint32_t t = 0; t < graph->tensor_count; t++) {
        mn_tensor_role role = graph->tensors[t].role;
        if (role != MN_ROLE_MEAN && role != MN_ROLE_VARIANCE)
            sum += mn_graph_tensor_elements(graph, t);
    }
    return sum;
}

uint64_t mn_node_macs(const mn_graph *graph, uint32_t node)
{
    const mn_node *n = &graph->nodes[node];
    if (n->prim != MN_PRIM_CONV && n->prim != MN_PRIM_FULLY_CONNECTED)
        return 0;
    uint64_t weights = mn_graph_tensor_elements(graph, n->tensors[MN_ROLE_WEIGHT]);
    return weights * n->shape.h * n->shape.w;
}

uint64_t mn_graph_macs(const mn_graph *graph)
{
    uint64_t sum = 0;
    for (uint32_t n = 0; n < graph->node_count; n++)
        sum += mn_node_macs(graph, n);
    return sum;
}

void mn_graph_free(mn_graph *graph)
{
    if (graph == NULL)
        return;
    for (uint32_t n = 0; graph->nodes != NULL && n < graph->node_count; n++) {
        free(graph->names[n]);
        free(graph->inputs[n]);
    }
    for (uint32_t t = 0; graph->tensor_names != NULL && t < graph->tensor_count; t++)
        free(graph->tensor_names[t]);
    free(graph->names);
    free(graph->inputs);
    free(graph->nodes);
    free(graph->tensor_names);
    free(graph->tensors);
    free(graph->outputs);
    free(graph);
}

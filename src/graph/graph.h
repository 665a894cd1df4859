/*
 * Inside of a graph; only builder.c writes it. Names and input lists are kept a second time as
 * mutable pointers, so that the public node can be const all through and still be freed.
 */
#ifndef MN_GRAPH_GRAPH_H
#define MN_GRAPH_GRAPH_H

#include "memnet/graph.h"

struct mn_graph {
    uint32_t node_count, node_capacity;
    mn_node *nodes;
    char **names;      /* (node_count) */
    uint32_t **inputs; /* (node_count) */
    uint32_t tensor_count, tensor_capacity;
    mn_tensor_info *tensors;
    char **tensor_names; /* (tensor_count) */
    uint32_t output_count;
    uint32_t *outputs;
};

#endif

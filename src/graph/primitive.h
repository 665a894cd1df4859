/*
 * The table of primitives: what each kind of node needs and yields. A new primitive is a value of
 * mn_prim and a row of the table in primitive.c; everything else asks here.
 */
#ifndef MN_GRAPH_PRIMITIVE_H
#define MN_GRAPH_PRIMITIVE_H

#include "memnet/graph.h"

/* Shapes of a node's inputs, in order; input_count of them, each valid. */
typedef mn_status (*mn__shape_rule)(const mn_node_spec *spec,
                                    const mn_shape *inputs,
                                    mn_shape *ret_shape,
                                    mn_error *err);

/* Dims of the tensor of `role`; rank 0 means that the node has none. */
typedef void (*mn__tensor_rule)(const mn_node_spec *spec,
                                mn_shape input,
                                mn_tensor_role role,
                                uint32_t *ret_rank,
                                uint32_t ret_dims[4]);

typedef struct mn__primitive {
    const char *name;
    uint32_t least_inputs, most_inputs;
    mn__shape_rule shape;
    mn__tensor_rule tensor; /* NULL: no tensors */
} mn__primitive;

/* NULL for a value that is no primitive. */
const mn__primitive *mn__primitive_row(mn_prim prim);

#endif

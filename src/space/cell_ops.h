/*
 * Cell ops: what can stand in a slot of a cell, and how each becomes primitives.
 */
#ifndef MN_SPACE_CELL_OPS_H
#define MN_SPACE_CELL_OPS_H

#include <stdint.h>

#include "memnet/genotype.h"

/* The place in a graph that is being built where the nodes of one layer go. Node names are the
 * place's name and a part: "block0.cell1.op0" and "conv". */
typedef struct mn__site {
    mn_graph_builder *builder; /* borrowed; errors stick in it */
    const char *name;          /* borrowed */
    uint32_t layer;
} mn__site;

/* How an op is used: the value that it reads, the channels that it yields, its stride. */
typedef struct mn__op_use {
    uint32_t input;
    uint32_t width;
    uint32_t stride;
} mn__op_use;

/* Lowers `op` and returns the node whose value is (ceil(H/stride), ceil(W/stride), width), or
 * MN_NONE when the builder has failed. */
uint32_t mn__cell_op_lower(mn_cell_op op, const mn__site *site, const mn__op_use *use);

/* The op of that name, or MN_OP_COUNT. */
mn_cell_op mn__cell_op_find(const char *name);

/* 3x3 convolution, batch norm and relu: the op conv_3x3, and the stem. */
uint32_t mn__lower_conv_3x3(const mn__site *site, const mn__op_use *use);

/* Adds `spec` named by site and part, on the site's layer. */
uint32_t mn__site_add(const mn__site *site, const char *part, mn_node_spec spec);

#endif

/*
 * What the exported kernels need, node by node: bytes of values, of scratch and of constant
 * tables. The first room of the planner; every later one takes its sizes from here.
 */
#ifndef MN_PLAN_KERNEL_NEEDS_H
#define MN_PLAN_KERNEL_NEEDS_H

#include "memnet/plan.h"

/* In mn__needs.in_place_bytes: the kernel cannot write over an input. */
#define MN__NOT_IN_PLACE SIZE_MAX

typedef struct mn__needs {
    uint32_t node_count;
    size_t align;
    uint32_t *element_bytes; /* (node_count) of one element of the node's value */
    size_t *value_bytes;     /* (node_count) of each node's value alone, not rounded */
    size_t *scratch_bytes;   /* (node_count) rounded up to `align`; 0 = none */
    size_t *in_place_bytes;  /* (node_count) scratch, rounded up, when the result lies on an input;
                                less than the value, or MN__NOT_IN_PLACE */
    bool *is_output;         /* (node_count) */
    size_t weights_bytes;
} mn__needs;

/*
 * Tests that every node has a kernel (or, with opts->sizes_only, that the deploy pass was run) and
 * fills `needs`, which must be zeroed and is to be emptied with mn__needs_done() whatever the
 * outcome. Afterwards the sum of all values and scratch, each rounded up, is known to fit size_t,
 * so that later rooms add sizes without a check. MN_ERR_UNSUPPORTED and MN_ERR_LIMIT name the node.
 */
mn_status
mn__needs_find(const mn_graph *graph, const mn_plan_opts *opts, mn__needs *needs, mn_error *err);
void mn__needs_done(mn__needs *needs);

/* The value's bytes, rounded up to the alignment: a buffer of its own. */
size_t mn__needs_buffer_bytes(const mn__needs *needs, uint32_t value);

/* Whether node n may write its result over its input x: same kernel pixels, same bytes. */
bool mn__needs_fit_in_place(const mn_graph *graph, const mn__needs *needs, uint32_t n, uint32_t x);

#endif

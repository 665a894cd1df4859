/*
 * The float32 run that calibration watches: the float kernels in an arena laid out by the plan.
 */
#ifndef MN_QUANT_FLOAT_RUN_H
#define MN_QUANT_FLOAT_RUN_H

#include "memnet/plan.h"
#include "memnet/tensors.h"

typedef struct mn__float_network {
    const mn_graph *graph;
    const mn_tensors *tensors;
    mn_plan *plan;
    float **weights; /* (nodes) in the kernels' order; NULL where a node has none */
    uint32_t input, output;
} mn__float_network;

/* Borrows graph and tensors, which must fit each other. `network` starts zeroed and is emptied with
 * mn__float_network_done() whatever the outcome. */
mn_status mn__float_network_init(mn__float_network *network,
                                 const mn_graph *graph,
                                 const mn_tensors *tensors,
                                 mn_error *err);
void mn__float_network_done(mn__float_network *network);

/* Element (y,x,c) of the node's value is values[(y*W + x)*pixel_stride + c]. */
typedef void
mn__float_visit(void *context, uint32_t node, const float *values, uint32_t pixel_stride);

/* Runs on what the caller has put at mn__float_input() of `arena`, plan->arena_bytes bytes. Told
 * are the results of all kernels, and first the input. */
void mn__float_run(const mn__float_network *network,
                   float *arena,
                   mn__float_visit *visit,
                   void *context);
float *mn__float_input(const mn__float_network *network, float *arena);

#endif

/*
 * Inside of a network that is ready to run in int8.
 */
#ifndef MN_QUANT_REFERENCE_H
#define MN_QUANT_REFERENCE_H

#include "kernels/table.h"
#include "memnet/plan.h"
#include "memnet/quantize.h"

struct mn_int8_network {
    const mn_graph *graph;
    const mn_quant *quant;
    mn_plan *plan;
    const mn__s8_kernels *kernels;
    uint32_t input, output; /* nodes */
};

#endif

/*
 * The kernels' own questions about scratch, in the terms of a graph.
 */
#ifndef MN_PLAN_KERNEL_SCRATCH_H
#define MN_PLAN_KERNEL_SCRATCH_H

#include "memnet/plan.h"

/*
 * Scratch bytes of a convolution that reads a value of shape `in`, not rounded: beside its input,
 * and written over it (MN__NOT_IN_PLACE where that cannot be). Sides fit int32_t.
 */
void mn__conv_scratch(const mn_node *node,
                      mn_shape in,
                      mn_precision precision,
                      size_t *ret_scratch_bytes,
                      size_t *ret_in_place_bytes);

#endif

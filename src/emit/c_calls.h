/*
 * Kernel calls of the exported code: one static function for each step of the plan, and
 * memnet_invoke() that runs them in order.
 */
#ifndef MN_EMIT_C_CALLS_H
#define MN_EMIT_C_CALLS_H

#include "base/buffer.h"
#include "memnet/emit.h"

/* Kernel source files of one precision; a set of them is a bit mask. */
typedef enum mn__kernel {
    MN__KERNEL_CONV,
    MN__KERNEL_DEPTHWISE,
    MN__KERNEL_DEPTHWISE_IN_PLACE,
    MN__KERNEL_POOL,
    MN__KERNEL_GLOBAL_POOL,
    MN__KERNEL_FULLY_CONNECTED,
    MN__KERNEL_ADD,
    MN__KERNEL_COPY,
    MN__KERNEL_COUNT
} mn__kernel;

/* "mn_f32_conv.c", "mn_s8_conv.c", ... */
const char *mn__kernel_file(mn__kernel kernel, mn_precision precision);

/* Appends the step functions and memnet_invoke(); *ret_kernels is the set of kernels they call. */
mn_status
mn__emit_calls(const mn_emit_input *input, mn_buffer *out, uint32_t *ret_kernels, mn_error *err);

#endif

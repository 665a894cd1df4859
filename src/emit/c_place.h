/*
 * Where values and scratch lie in the arena of the exported code.
 */
#ifndef MN_EMIT_C_PLACE_H
#define MN_EMIT_C_PLACE_H

#include "memnet/emit.h"

/* Where a value lies in the arena. Elements are floats or bytes, by the plan's precision. */
typedef struct mn__place {
    uint32_t node;   /* whose value it is */
    size_t offset;   /* elements from the start of the arena */
    uint32_t stride; /* elements from pixel to pixel */
    mn_shape shape;
} mn__place;

/* Of the values of an export: sizeof(float) or 1. */
size_t mn__element_bytes(const mn_plan *plan);

/* Finds a node's value and checks that it lies inside its buffer and the arena. */
mn_status
mn__place_find(const mn_emit_input *input, uint32_t node, mn__place *ret_place, mn_error *err);

/* Finds the scratch of a step, in elements from the start of the arena, and checks that it has
 * `bytes` bytes, is aligned to 4 and lies inside the arena. A step without scratch may need none.
 */
mn_status mn__scratch_find(
    const mn_emit_input *input, uint32_t step, size_t bytes, size_t *ret_offset, mn_error *err);

#endif

/*
 * Where values and scratch lie in the arena of the exported code.
 */
#ifndef MN_EMIT_C_PLACE_H
#define MN_EMIT_C_PLACE_H

#include "memnet/emit.h"

/* Where a value lies in the arena. */
typedef struct mn__place {
    size_t offset;   /* floats from the start of the arena */
    uint32_t stride; /* floats from pixel to pixel */
    mn_shape shape;
} mn__place;

/* Finds a node's value and checks that it lies inside its buffer and the arena. */
mn_status
mn__place_find(const mn_emit_input *input, uint32_t node, mn__place *ret_place, mn_error *err);

/* Finds the scratch of a step, in floats from the start of the arena, and checks that it has
 * `bytes` bytes and lies inside the arena. A step without scratch may need none. */
mn_status mn__scratch_find(
    const mn_emit_input *input, uint32_t step, size_t bytes, size_t *ret_offset, mn_error *err);

#endif

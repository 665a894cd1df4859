/*
 * One kernel call of the exported code, in either precision: what c_calls finds in the plan, and
 * what c_calls_f32 and c_calls_s8 write as C.
 */
#ifndef MN_EMIT_C_STEP_H
#define MN_EMIT_C_STEP_H

#include "emit/c_calls.h"
#include "emit/c_place.h"
#include "kernels/mn_f32.h"

/* Where the text goes. */
typedef struct mn__writer {
    const mn_emit_input *input;
    const mn_node *node; /* of the step that is written */
    uint32_t step;
    mn__place to;      /* the node's value */
    mn_buffer *out;    /* step functions */
    mn_buffer *invoke; /* body of memnet_invoke() */
    uint32_t kernels;  /* set of kernels called so far, over all steps */
} mn__writer;

typedef struct mn__call {
    mn__kernel kernel;
    const char *verb; /* the function is mn_f32_<verb> or mn_s8_<verb> */
    mn__place from;
    mn__place from2; /* of add */
    mn__place to;    /* the node's value, or the slice that is written here */
    mn_act act;
    mn_f32_window window; /* of convolutions and pools; geometry only */
    bool has_scratch;
    size_t scratch; /* elements from the start of the arena */
} mn__call;

/* Scratch bytes that the call's kernel wants; -1 when it cannot run so. */
int32_t mn__scratch_f32(const mn__call *call);
int32_t mn__scratch_s8(const mn__call *call);

/* Append the statements of the call to w->out. */
mn_status mn__call_f32(mn__writer *w, const mn__call *call, mn_error *err);
mn_status mn__call_s8(mn__writer *w, const mn__call *call, mn_error *err);

/* H*W of a value. */
uint32_t mn__pixels(const mn__place *place);

#endif

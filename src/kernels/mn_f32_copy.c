/*
 * Copy of a value: concat by copy, and activations that could not be fused.
 * SPDX-License-Identifier: 0BSD
 */
#include "mn_f32_inner.h"

void mn_f32_copy(const float *in, float *out, const mn_f32_span *span)
{
    int32_t p, c;
    for (p = 0; p < span->pixels; p++) {
        const float *from = in + p * span->in_stride;
        float *to = out + p * span->out_stride;
        for (c = 0; c < span->channels; c++)
            to[c] = mn_f32_activate(from[c], span->act);
    }
}

/*
 * Sum of two values, element by element.
 * SPDX-License-Identifier: 0BSD
 */
#include "mn_f32_inner.h"

void mn_f32_add(const float *a, const float *b, float *out, const mn_f32_span *span)
{
    int32_t p, c;
    for (p = 0; p < span->pixels; p++) {
        const float *from_a = a + p * span->in_stride;
        const float *from_b = b + p * span->in2_stride;
        float *to = out + p * span->out_stride;
        for (c = 0; c < span->channels; c++)
            to[c] = mn_f32_activate(from_a[c] + from_b[c], span->act);
    }
}

/*
 * Copy of a value, to another grid where there is a factor: concat by copy, and activations that
 * could not be fused.
 * SPDX-License-Identifier: 0BSD
 */
#include "mn_s8_inner.h"

static void
mn_s8_rescale(const int8_t *from, int8_t *to, const mn_s8_factor *factor, const mn_s8_span *span)
{
    int32_t c;
    for (c = 0; c < span->channels; c++) {
        int32_t value = mn_s8_scale(from[c] - span->in_zero, factor->multiplier, factor->shift);
        to[c] = mn_s8_clamp(value + span->out_zero, span->low, span->high);
    }
}

void mn_s8_copy(const int8_t *in, int8_t *out, const mn_s8_factor *factor, const mn_s8_span *span)
{
    int32_t p, c;
    for (p = 0; p < span->pixels; p++) {
        const int8_t *from = in + p * span->in_stride;
        int8_t *to = out + p * span->out_stride;
        if (factor)
            mn_s8_rescale(from, to, factor, span);
        else
            for (c = 0; c < span->channels; c++)
                to[c] = mn_s8_clamp(from[c], span->low, span->high);
    }
}

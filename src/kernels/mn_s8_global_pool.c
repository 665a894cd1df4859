/*
 * Global average pooling: the mean of each channel over all pixels.
 * SPDX-License-Identifier: 0BSD
 *
 * A block of channels is summed over all pixels in registers.
 */
#include "mn_s8_inner.h"

enum { MN_S8_MEANS = 8 };

static inline void
mn_s8_mean_block(const int8_t *in, const mn_s8_span *span, int32_t count, int32_t *sums)
{
    int32_t p, k;
    for (p = 0; p < span->pixels; p++)
        for (k = 0; k < count; k++)
            sums[k] += in[p * span->in_stride + k];
}

void mn_s8_global_pool(const int8_t *in,
                       int8_t *out,
                       const mn_s8_factor *factor,
                       const mn_s8_span *span)
{
    int32_t zeros = span->in_zero * span->pixels;
    int32_t c, k;
    for (c = 0; c < span->channels; c += MN_S8_MEANS) {
        int32_t left = span->channels - c;
        int32_t count = left < MN_S8_MEANS ? left : (int32_t)MN_S8_MEANS;
        int32_t sums[MN_S8_MEANS] = {0};
        if (count == MN_S8_MEANS) /* a constant count is what lets the compiler unroll */
            mn_s8_mean_block(in + c, span, MN_S8_MEANS, sums);
        else
            mn_s8_mean_block(in + c, span, count, sums);
        for (k = 0; k < count; k++) {
            int32_t value = mn_s8_scale(sums[k] - zeros, factor->multiplier, factor->shift);
            out[c + k] = mn_s8_clamp(value + span->out_zero, span->low, span->high);
        }
    }
}

/*
 * Sum of two values on different grids.
 * SPDX-License-Identifier: 0BSD
 *
 * Both zero points are one constant, and the rounding is done in two shifts, since the half of a
 * large shift would not fit beside the sum: (s + 2^(n-1)) >> n is ((s >> (n-1)) + 1) >> 1.
 */
#include "mn_s8_inner.h"

void mn_s8_add(const int8_t *a,
               const int8_t *b,
               int8_t *out,
               const mn_s8_add_factors *factors,
               const mn_s8_span *span)
{
    int32_t by_a = factors->a;
    int32_t by_b = factors->b;
    int32_t shift = factors->shift - 1;
    int32_t zeros = -(span->in_zero * by_a + span->in2_zero * by_b);
    int32_t half = 1 + 2 * span->out_zero;
    int32_t low = span->low;
    int32_t high = span->high;
    int32_t channels = span->channels;
    int32_t pixels = span->pixels;
    int32_t p, c;
    if (span->in_stride == channels && span->in2_stride == channels &&
        span->out_stride == channels) { /* one long row */
        channels *= pixels;
        pixels = 1;
    }
    for (p = 0; p < pixels; p++) {
        const int8_t *x = a + p * span->in_stride;
        const int8_t *y = b + p * span->in2_stride;
        int8_t *to = out + p * span->out_stride;
        for (c = 0; c < channels; c++) {
            int32_t sum = zeros + x[c] * by_a + y[c] * by_b;
            to[c] = mn_s8_clamp(((sum >> shift) + half) >> 1, low, high);
        }
    }
}

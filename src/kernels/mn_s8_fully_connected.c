/*
 * Fully connected layer: four outputs at a time, over runs of adjacent input.
 * SPDX-License-Identifier: 0BSD
 */
#include "mn_s8_inner.h"

void mn_s8_fully_connected(const int8_t *in,
                           int8_t *out,
                           const mn_s8_filter *filter,
                           int32_t outputs,
                           const mn_s8_span *span)
{
    int32_t dense = span->in_stride == span->channels;
    int32_t runs = dense ? 1 : span->pixels;
    int32_t run = dense ? span->pixels * span->channels : span->channels;
    int32_t row[4];
    int32_t o, r, k;
    for (o = 0; o < outputs; o += 4) {
        int32_t live = outputs - o < 4 ? outputs - o : 4;
        const int8_t *weights = filter->weights + o * runs * run;
        int32_t sums[4];
        for (k = 0; k < 4; k++)
            sums[k] = filter->bias[o + (k < live ? k : live - 1)];
        mn_s8_rows(live, runs * run, row);
        for (r = 0; r < runs; r++)
            mn_s8_dot(in + r * span->in_stride, weights + r * run, row, run, span->in_zero, sums);
        for (k = 0; k < live; k++) {
            int32_t value = mn_s8_scale(sums[k], filter->multiplier[o + k], filter->shift[o + k]);
            out[o + k] = mn_s8_clamp(value + span->out_zero, span->low, span->high);
        }
    }
}

/*
 * Fully connected layer: four outputs at a time over the channels of each pixel, or over the whole
 * input where its pixels lie side by side in memory.
 * SPDX-License-Identifier: 0BSD
 */
#include "mn_f32_inner.h"

void mn_f32_fully_connected(const float *in,
                            float *out,
                            const float *weights,
                            const float *bias,
                            int32_t outputs,
                            const mn_f32_span *span)
{
    int32_t inputs = span->pixels * span->channels;
    int32_t side_by_side = span->in_stride == span->channels;
    int32_t runs = side_by_side ? 1 : span->pixels;
    int32_t run = side_by_side ? inputs : span->channels;
    int32_t row[4];
    int32_t o, r;
    for (o = 0; o < outputs; o += 4) {
        mn_f32_sums sums = {{{0.0f}}};
        mn_f32_rows(outputs - o, inputs, row);
        for (r = 0; r < runs; r++)
            mn_f32_dot(in + r * span->in_stride, weights + o * inputs + r * run, row, run, &sums);
        mn_f32_finish(&sums, bias ? bias + o : bias, outputs - o, span->act, out + o);
    }
}

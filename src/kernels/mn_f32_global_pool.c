/*
 * Global average pooling: the mean of each channel over all pixels.
 * SPDX-License-Identifier: 0BSD
 */
#include "mn_f32_inner.h"

void mn_f32_global_pool(const float *in, float *out, const mn_f32_span *span)
{
    float divisor = (float)span->pixels;
    int32_t c, p;
    for (c = 0; c < span->channels; c++)
        out[c] = 0.0f;
    for (p = 0; p < span->pixels; p++) {
        for (c = 0; c < span->channels; c++)
            out[c] += in[p * span->in_stride + c];
    }
    for (c = 0; c < span->channels; c++)
        out[c] = mn_f32_activate(out[c] / divisor, span->act);
}

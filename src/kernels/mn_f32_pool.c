/*
 * Max and average pooling; only elements inside the image count. A window that lies in the padding
 * altogether yields zero.
 * SPDX-License-Identifier: 0BSD
 *
 * A block of channels is reduced over all taps in registers, as in depthwise convolution.
 */
#include "mn_f32_inner.h"

/* best[0..count) over the taps inside the image; x stands at the first of them. */
static inline void mn_f32_max_block(const float *x,
                                    const mn_f32_window *window,
                                    const mn_f32_taps *taps,
                                    int32_t count,
                                    float *best)
{
    int32_t rows = taps->ky_end - taps->ky;
    int32_t columns = taps->kx_end - taps->kx;
    int32_t r, i, k;
    for (k = 0; k < count && rows > 0; k++)
        best[k] = x[k];
    for (r = 0; r < rows; r++) {
        for (i = 0; i < columns; i++) {
            const float *from = x + (r * window->in_w + i) * window->in_stride;
            for (k = 0; k < count; k++)
                best[k] = from[k] > best[k] ? from[k] : best[k];
        }
    }
}

/* sums[0..count) over the taps inside the image; x stands at the first of them. */
static inline void mn_f32_avg_block(const float *x,
                                    const mn_f32_window *window,
                                    const mn_f32_taps *taps,
                                    int32_t count,
                                    float *sums)
{
    int32_t rows = taps->ky_end - taps->ky;
    int32_t columns = taps->kx_end - taps->kx;
    int32_t r, i, k;
    for (r = 0; r < rows; r++) {
        for (i = 0; i < columns; i++) {
            const float *from = x + (r * window->in_w + i) * window->in_stride;
            for (k = 0; k < count; k++)
                sums[k] += from[k];
        }
    }
}

/* One output pixel, all channels; x at channel 0 of the first tap inside the image. The blocks are
 * called with a constant count where they can be: that is what lets compilers vectorise them. */
static void
mn_f32_max_pixel(const float *x, float *out, const mn_f32_window *window, const mn_f32_taps *taps)
{
    int32_t c, k;
    for (c = 0; c < window->in_c; c += MN_F32_BLOCK) {
        int32_t count = window->in_c - c < MN_F32_BLOCK ? window->in_c - c : (int32_t)MN_F32_BLOCK;
        float best[MN_F32_BLOCK] = {0.0f};
        if (count == MN_F32_BLOCK)
            mn_f32_max_block(x + c, window, taps, MN_F32_BLOCK, best);
        else
            mn_f32_max_block(x + c, window, taps, count, best);
        for (k = 0; k < count; k++)
            out[c + k] = mn_f32_activate(best[k], window->act);
    }
}

static void
mn_f32_avg_pixel(const float *x, float *out, const mn_f32_window *window, const mn_f32_taps *taps)
{
    int32_t area = (taps->ky_end - taps->ky) * (taps->kx_end - taps->kx);
    float divisor = area > 0 ? (float)area : 1.0f;
    int32_t c, k;
    for (c = 0; c < window->in_c; c += MN_F32_BLOCK) {
        int32_t count = window->in_c - c < MN_F32_BLOCK ? window->in_c - c : (int32_t)MN_F32_BLOCK;
        float sums[MN_F32_BLOCK] = {0.0f};
        if (count == MN_F32_BLOCK)
            mn_f32_avg_block(x + c, window, taps, MN_F32_BLOCK, sums);
        else
            mn_f32_avg_block(x + c, window, taps, count, sums);
        for (k = 0; k < count; k++)
            out[c + k] = mn_f32_activate(sums[k] / divisor, window->act);
    }
}

void mn_f32_max_pool(const float *in, float *out, const mn_f32_window *window)
{
    int32_t y, x;
    for (y = 0; y < window->out_h; y++) {
        for (x = 0; x < window->out_w; x++) {
            mn_f32_taps taps = mn_f32_clip(window, y, x);
            const float *from = in + (taps.y * window->in_w + taps.x) * window->in_stride;
            float *to = out + (y * window->out_w + x) * window->out_stride;
            mn_f32_max_pixel(from, to, window, &taps);
        }
    }
}

void mn_f32_avg_pool(const float *in, float *out, const mn_f32_window *window)
{
    int32_t y, x;
    for (y = 0; y < window->out_h; y++) {
        for (x = 0; x < window->out_w; x++) {
            mn_f32_taps taps = mn_f32_clip(window, y, x);
            const float *from = in + (taps.y * window->in_w + taps.x) * window->in_stride;
            float *to = out + (y * window->out_w + x) * window->out_stride;
            mn_f32_avg_pixel(from, to, window, &taps);
        }
    }
}

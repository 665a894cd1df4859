/*
 * Max and average pooling; only elements inside the image count. A window that lies in the padding
 * altogether yields the zero point, clamped.
 * SPDX-License-Identifier: 0BSD
 *
 * A block of channels is reduced over all taps in registers.
 */
#include "mn_s8_inner.h"

enum { MN_S8_POOL_BLOCK = 16 };

/* best[0..count) over the taps inside the image; x stands at the first of them. */
static inline void mn_s8_max_block(const int8_t *x,
                                   const mn_s8_window *window,
                                   const mn_s8_taps *taps,
                                   int32_t count,
                                   int8_t *best)
{
    int32_t rows = taps->ky_end - taps->ky;
    int32_t columns = taps->kx_end - taps->kx;
    int32_t row_step = window->dilation_h * window->in_w * window->in_stride;
    int32_t column_step = window->dilation_w * window->in_stride;
    int32_t r, i, k;
    for (k = 0; k < count && rows > 0; k++)
        best[k] = x[k];
    for (r = 0; r < rows; r++) {
        for (i = 0; i < columns; i++) {
            const int8_t *from = x + r * row_step + i * column_step;
            for (k = 0; k < count; k++)
                best[k] = (int8_t)(from[k] > best[k] ? from[k] : best[k]);
        }
    }
}

/* sums[0..count) over the taps inside the image; x stands at the first of them. */
static inline void mn_s8_avg_block(const int8_t *x,
                                   const mn_s8_window *window,
                                   const mn_s8_taps *taps,
                                   int32_t count,
                                   int32_t *sums)
{
    int32_t rows = taps->ky_end - taps->ky;
    int32_t columns = taps->kx_end - taps->kx;
    int32_t row_step = window->dilation_h * window->in_w * window->in_stride;
    int32_t column_step = window->dilation_w * window->in_stride;
    int32_t r, i, k;
    for (r = 0; r < rows; r++) {
        for (i = 0; i < columns; i++) {
            const int8_t *from = x + r * row_step + i * column_step;
            for (k = 0; k < count; k++)
                sums[k] += from[k];
        }
    }
}

/* floor(sum / area + 1/2): C rounds quotients towards zero. */
static inline int32_t mn_s8_mean(int32_t sum, int32_t area)
{
    int32_t twice = 2 * sum + area;
    int32_t mean = twice / (2 * area);
    return mean - (mean * 2 * area > twice);
}

/* One output pixel, all channels; x at channel 0 of the first tap inside the image. The blocks are
 * called with a constant count where they can be: that is what lets compilers vectorise them. */
static void
mn_s8_max_pixel(const int8_t *x, int8_t *out, const mn_s8_window *window, const mn_s8_taps *taps)
{
    int32_t c, k;
    for (c = 0; c < window->in_c; c += MN_S8_POOL_BLOCK) {
        int32_t left = window->in_c - c;
        int32_t count = left < MN_S8_POOL_BLOCK ? left : (int32_t)MN_S8_POOL_BLOCK;
        int8_t best[MN_S8_POOL_BLOCK];
        for (k = 0; k < MN_S8_POOL_BLOCK; k++)
            best[k] = (int8_t)window->in_zero;
        if (count == MN_S8_POOL_BLOCK)
            mn_s8_max_block(x + c, window, taps, MN_S8_POOL_BLOCK, best);
        else
            mn_s8_max_block(x + c, window, taps, count, best);
        for (k = 0; k < count; k++)
            out[c + k] = mn_s8_clamp(best[k], window->low, window->high);
    }
}

static void
mn_s8_avg_pixel(const int8_t *x, int8_t *out, const mn_s8_window *window, const mn_s8_taps *taps)
{
    int32_t area = (taps->ky_end - taps->ky) * (taps->kx_end - taps->kx);
    int32_t c, k;
    for (c = 0; c < window->in_c; c += MN_S8_POOL_BLOCK) {
        int32_t left = window->in_c - c;
        int32_t count = left < MN_S8_POOL_BLOCK ? left : (int32_t)MN_S8_POOL_BLOCK;
        int32_t sums[MN_S8_POOL_BLOCK] = {0};
        if (count == MN_S8_POOL_BLOCK)
            mn_s8_avg_block(x + c, window, taps, MN_S8_POOL_BLOCK, sums);
        else
            mn_s8_avg_block(x + c, window, taps, count, sums);
        for (k = 0; k < count; k++) {
            int32_t mean = area > 0 ? mn_s8_mean(sums[k], area) : window->in_zero;
            out[c + k] = mn_s8_clamp(mean, window->low, window->high);
        }
    }
}

void mn_s8_max_pool(const int8_t *in, int8_t *out, const mn_s8_window *window)
{
    int32_t y, x;
    for (y = 0; y < window->out_h; y++) {
        for (x = 0; x < window->out_w; x++) {
            mn_s8_taps taps = mn_s8_clip(window, y, x);
            const int8_t *from = in + (taps.y * window->in_w + taps.x) * window->in_stride;
            int8_t *to = out + (y * window->out_w + x) * window->out_stride;
            mn_s8_max_pixel(from, to, window, &taps);
        }
    }
}

void mn_s8_avg_pool(const int8_t *in, int8_t *out, const mn_s8_window *window)
{
    int32_t y, x;
    for (y = 0; y < window->out_h; y++) {
        for (x = 0; x < window->out_w; x++) {
            mn_s8_taps taps = mn_s8_clip(window, y, x);
            const int8_t *from = in + (taps.y * window->in_w + taps.x) * window->in_stride;
            int8_t *to = out + (y * window->out_w + x) * window->out_stride;
            mn_s8_avg_pixel(from, to, window, &taps);
        }
    }
}

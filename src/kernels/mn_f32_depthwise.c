/*
 * Depthwise convolution: one filter a channel.
 * SPDX-License-Identifier: 0BSD
 *
 * Channels are innermost in the image and in the weights (KH,KW,C), so a block of channels is
 * summed over all taps in registers, and compilers vectorise it.
 */
#include "mn_f32_inner.h"

static inline void mn_f32_depthwise_tap(const float *x, const float *w, int32_t count, float *sums)
{
    int32_t k;
    for (k = 0; k < count; k++)
        sums[k] += x[k] * w[k];
}

/* sums[0..count) over the taps inside the image; x and w stand at the first of them. */
static inline void mn_f32_depthwise_block(const float *x,
                                          const float *w,
                                          const mn_f32_window *window,
                                          const mn_f32_taps *taps,
                                          int32_t count,
                                          float *sums)
{
    int32_t row_step = window->dilation_h * window->in_w * window->in_stride;
    int32_t column_step = window->dilation_w * window->in_stride;
    int32_t rows = taps->ky_end - taps->ky;
    int32_t columns = taps->kx_end - taps->kx;
    int32_t r, k;
    for (r = 0; r < rows; r++) {
        const float *from = x + r * row_step;
        const float *filter = w + r * window->kernel_w * window->in_c;
        for (k = 0; k < columns; k++)
            mn_f32_depthwise_tap(from + k * column_step, filter + k * window->in_c, count, sums);
    }
}

/* One output pixel, all channels; x and w stand at the first tap inside the image. */
static void mn_f32_depthwise_pixel(const float *x,
                                   float *out,
                                   const float *w,
                                   const float *bias,
                                   const mn_f32_window *window,
                                   const mn_f32_taps *taps)
{
    int32_t channels = window->in_c;
    int32_t c, k;
    for (c = 0; c < channels; c += MN_F32_BLOCK) {
        int32_t count = channels - c < MN_F32_BLOCK ? channels - c : MN_F32_BLOCK;
        float sums[MN_F32_BLOCK] = {0.0f};
        if (count == MN_F32_BLOCK) /* a constant count is what lets the compiler vectorise */
            mn_f32_depthwise_block(x + c, w + c, window, taps, MN_F32_BLOCK, sums);
        else
            mn_f32_depthwise_block(x + c, w + c, window, taps, count, sums);
        for (k = 0; k < count; k++)
            out[c + k] = mn_f32_activate(bias ? sums[k] + bias[c + k] : sums[k], window->act);
    }
}

void mn_f32_depthwise(const float *in,
                      float *out,
                      const float *weights,
                      const float *bias,
                      const mn_f32_window *window)
{
    int32_t y, x;
    for (y = 0; y < window->out_h; y++) {
        for (x = 0; x < window->out_w; x++) {
            mn_f32_taps taps = mn_f32_clip(window, y, x);
            const float *from = in + (taps.y * window->in_w + taps.x) * window->in_stride;
            const float *w = weights + (taps.ky * window->kernel_w + taps.kx) * window->in_c;
            float *to = out + (y * window->out_w + x) * window->out_stride;
            mn_f32_depthwise_pixel(from, to, w, bias, window, &taps);
        }
    }
}

int32_t mn_f32_depthwise_scratch_bytes(const mn_f32_window *window)
{
    (void)window;
    return 0;
}

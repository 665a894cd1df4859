/*
 * Depthwise convolution: one filter a channel.
 * SPDX-License-Identifier: 0BSD
 *
 * Channels are innermost in the image and in the weights (KH,KW,C), so a block of channels is
 * summed over all taps in registers, and compilers vectorise it.
 */
#include "mn_f32_inner.h"

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
            mn_f32_patch patch;
            patch.x = in + (taps.y * window->in_w + taps.x) * window->in_stride;
            patch.w = weights + (taps.ky * window->kernel_w + taps.kx) * window->in_c;
            patch.rows = taps.ky_end - taps.ky;
            patch.columns = taps.kx_end - taps.kx;
            patch.row_step = window->dilation_h * window->in_w * window->in_stride;
            patch.column_step = window->dilation_w * window->in_stride;
            mn_f32_depthwise_pixel(
                &patch, 1, bias, window, out + (y * window->out_w + x) * window->out_stride);
        }
    }
}

int32_t mn_f32_depthwise_scratch_bytes(const mn_f32_window *window)
{
    (void)window;
    return 0;
}

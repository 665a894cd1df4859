/*
 * Depthwise convolution: one filter a channel.
 * SPDX-License-Identifier: 0BSD
 *
 * Channels are innermost in the image and in the weights (KH,KW,C), so a block of channels is
 * summed over all taps in registers.
 */
#include "mn_s8_depthwise.h"

void mn_s8_depthwise(const int8_t *in,
                     int8_t *out,
                     const mn_s8_filter *filter,
                     void *scratch,
                     const mn_s8_window *window)
{
    int32_t fits = mn_s8_tile_fits(filter, window->out_c);
    int32_t y, x;
    (void)scratch;
    for (y = 0; y < window->out_h; y++) {
        for (x = 0; x < window->out_w; x++) {
            mn_s8_taps taps = mn_s8_clip(window, y, x);
            mn_s8_patch patch;
            patch.x = in + (taps.y * window->in_w + taps.x) * window->in_stride;
            patch.w = filter->weights + (taps.ky * window->kernel_w + taps.kx) * window->in_c;
            patch.rows = taps.ky_end - taps.ky;
            patch.columns = taps.kx_end - taps.kx;
            patch.row_step = window->dilation_h * window->in_w * window->in_stride;
            patch.column_step = window->dilation_w * window->in_stride;
            mn_s8_depthwise_pixel(&patch,
                                  1,
                                  filter,
                                  fits,
                                  window,
                                  out + (y * window->out_w + x) * window->out_stride);
        }
    }
}

int32_t mn_s8_depthwise_scratch_bytes(const mn_s8_window *window)
{
    (void)window;
    return 0;
}

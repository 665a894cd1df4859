/*
 * Depthwise convolution whose result is written over its input.
 * SPDX-License-Identifier: 0BSD
 *
 * Output row y reads input rows from y - pad_top on, of which those up to y are, or are just being,
 * overwritten. A ring of pad_top + 1 rows in scratch keeps them: row y is copied there before its
 * first pixel is written.
 */
#include "mn_s8_depthwise.h"

/* Rows of the ring; row y lies in place y % rows. Without padding above and to the left every tap
 * lies at or behind the pixel that it makes: nothing needs to be kept. */
static int32_t mn_s8_ring_rows(const mn_s8_window *window)
{
    if (window->pad_top == 0 && window->pad_left == 0)
        return 0;
    return window->pad_top < window->in_h ? window->pad_top + 1 : window->in_h;
}

/* True when `pad` of one side can give an output as large as the input. */
static int32_t mn_s8_pad_fits(int32_t pad, int32_t kernel, int32_t dilation)
{
    return pad >= 0 && pad <= (int64_t)(kernel - 1) * dilation;
}

int32_t mn_s8_depthwise_in_place_scratch_bytes(const mn_s8_window *window)
{
    int32_t most = INT32_MAX / window->in_w / window->in_c; /* rows */
    if (window->stride_h != 1 || window->stride_w != 1 || window->out_h != window->in_h ||
        window->out_w != window->in_w || window->out_c != window->in_c ||
        !mn_s8_pad_fits(window->pad_top, window->kernel_h, window->dilation_h) ||
        !mn_s8_pad_fits(window->pad_left, window->kernel_w, window->dilation_w) ||
        mn_s8_ring_rows(window) > most)
        return -1;
    return mn_s8_ring_rows(window) * window->in_w * window->in_c;
}

/* Row y of the image, dense, to its place in the ring. */
static void mn_s8_keep_row(const int8_t *data, int8_t *place, const mn_s8_window *window, int32_t y)
{
    const int8_t *from = data + y * window->in_w * window->in_stride;
    int32_t x, c;
    for (x = 0; x < window->in_w; x++)
        for (c = 0; c < window->in_c; c++)
            place[x * window->in_c + c] = from[x * window->in_stride + c];
}

/* Cuts the window of a pixel of row y where its rows cease to lie at equal steps: at the end of the
 * ring, which is crossed once at most, and behind row y, where the image itself goes on. Returns
 * the number of patches. */
static int32_t mn_s8_patch_cut(const int8_t *data,
                               const int8_t *ring,
                               const int8_t *weights,
                               const mn_s8_window *window,
                               const mn_s8_taps *taps,
                               int32_t y,
                               mn_s8_patch patches[MN_S8_PATCHES])
{
    int32_t ring_rows = mn_s8_ring_rows(window);
    int32_t count = 0;
    int32_t end = 0; /* row at which the last patch ends */
    int32_t ky;
    for (ky = taps->ky; ky < taps->ky_end; ky++) {
        int32_t row = taps->y + (ky - taps->ky) * window->dilation_h;
        if (count == 0 || row >= end) {
            mn_s8_patch *patch = &patches[count++];
            int32_t kept = ring_rows > 0 && row <= y;
            int32_t place = kept ? row % ring_rows : row;
            int32_t stride = kept ? window->in_c : window->in_stride;
            int32_t last = kept ? row + (ring_rows - 1 - place) : window->in_h - 1;
            end = (kept && last > y ? y : last) + 1;
            patch->x = (kept ? ring : data) + (place * window->in_w + taps->x) * stride;
            patch->w = weights + (ky * window->kernel_w + taps->kx) * window->in_c;
            patch->rows = 0;
            patch->columns = taps->kx_end - taps->kx;
            patch->row_step = window->dilation_h * window->in_w * stride;
            patch->column_step = window->dilation_w * stride;
        }
        patches[count - 1].rows++;
    }
    return count;
}

void mn_s8_depthwise_in_place(int8_t *data,
                              const mn_s8_filter *filter,
                              void *scratch,
                              const mn_s8_window *window)
{
    int32_t ring_rows = mn_s8_ring_rows(window);
    int8_t *ring = (int8_t *)scratch;
    int32_t row_count = window->in_w * window->in_c;
    int32_t fits = mn_s8_tile_fits(filter, window->out_c);
    int32_t y, x;
    for (y = 0; y < window->in_h; y++) {
        if (ring_rows > 0)
            mn_s8_keep_row(data, ring + y % ring_rows * row_count, window, y);
        for (x = 0; x < window->in_w; x++) {
            mn_s8_taps taps = mn_s8_clip(window, y, x);
            mn_s8_patch patches[MN_S8_PATCHES];
            int32_t count = mn_s8_patch_cut(data, ring, filter->weights, window, &taps, y, patches);
            int8_t *to = data + (y * window->in_w + x) * window->in_stride;
            mn_s8_depthwise_pixel(patches, count, filter, fits, window, to);
        }
    }
}

/*
 * What the float kernels share: the part of a sliding window that lies inside the image, the fused
 * activation, the inner product of four outputs at a time, and a depthwise output pixel.
 * SPDX-License-Identifier: 0BSD
 *
 * Included by kernels only. A window is clipped to the image once for every output pixel, so that
 * the inner loops test nothing.
 */
#ifndef MN_F32_INNER_H
#define MN_F32_INNER_H

#include "mn_f32.h"

/* Channels that depthwise convolution and pools keep in registers at a time. */
enum { MN_F32_BLOCK = 8 };

/* The taps [ky, ky_end) x [kx, kx_end) of a window that lie inside the image; (y,x) is the input
 * pixel under tap (ky,kx). All zero when the whole window lies in the padding. */
typedef struct mn_f32_taps {
    int32_t ky, ky_end, kx, kx_end;
    int32_t y, x;
} mn_f32_taps;

static inline mn_f32_taps mn_f32_clip(const mn_f32_window *window, int32_t out_y, int32_t out_x)
{
    mn_f32_taps taps;
    int32_t top = out_y * window->stride_h - window->pad_top;
    int32_t left = out_x * window->stride_w - window->pad_left;
    taps.ky = 0;
    taps.kx = 0;
    taps.ky_end = window->kernel_h;
    taps.kx_end = window->kernel_w;
    while (taps.ky < taps.ky_end && top + taps.ky * window->dilation_h < 0)
        taps.ky++;
    while (taps.ky < taps.ky_end && top + (taps.ky_end - 1) * window->dilation_h >= window->in_h)
        taps.ky_end--;
    while (taps.kx < taps.kx_end && left + taps.kx * window->dilation_w < 0)
        taps.kx++;
    while (taps.kx < taps.kx_end && left + (taps.kx_end - 1) * window->dilation_w >= window->in_w)
        taps.kx_end--;
    taps.y = top + taps.ky * window->dilation_h;
    taps.x = left + taps.kx * window->dilation_w;
    if (taps.ky == taps.ky_end || taps.kx == taps.kx_end) {
        taps.ky = taps.ky_end = taps.kx = taps.kx_end = 0;
        taps.y = taps.x = 0;
    }
    return taps;
}

static inline float mn_f32_activate(float value, int32_t act)
{
    if (act != MN_F32_LINEAR && value < 0.0f)
        return 0.0f;
    if (act == MN_F32_RELU6 && value > 6.0f)
        return 6.0f;
    return value;
}

/* The sums of four outputs, each in four lanes: sixteen independent sums hide the latency of the
 * multiply-add, and compilers turn the lanes into vector registers. */
typedef struct mn_f32_sums {
    float lane[4][4];
} mn_f32_sums;

/* sums of output o += x * (weights + row[o]), over `count` adjacent elements. Each x is loaded once
 * for four products. */
static inline void mn_f32_dot(
    const float *x, const float *weights, const int32_t row[4], int32_t count, mn_f32_sums *sums)
{
    const float *w0 = weights + row[0];
    const float *w1 = weights + row[1];
    const float *w2 = weights + row[2];
    const float *w3 = weights + row[3];
    float a[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    float b[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    float c[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    float d[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    int32_t i = 0;
    int32_t k;
    for (; i + 4 <= count; i += 4) {
        float x0 = x[i], x1 = x[i + 1], x2 = x[i + 2], x3 = x[i + 3];
        a[0] += x0 * w0[i], a[1] += x1 * w0[i + 1], a[2] += x2 * w0[i + 2], a[3] += x3 * w0[i + 3];
        b[0] += x0 * w1[i], b[1] += x1 * w1[i + 1], b[2] += x2 * w1[i + 2], b[3] += x3 * w1[i + 3];
        c[0] += x0 * w2[i], c[1] += x1 * w2[i + 1], c[2] += x2 * w2[i + 2], c[3] += x3 * w2[i + 3];
        d[0] += x0 * w3[i], d[1] += x1 * w3[i + 1], d[2] += x2 * w3[i + 2], d[3] += x3 * w3[i + 3];
    }
    for (k = 0; k < 4; k++) {
        sums->lane[0][k] += a[k];
        sums->lane[1][k] += b[k];
        sums->lane[2][k] += c[k];
        sums->lane[3][k] += d[k];
    }
    for (; i < count; i++) {
        sums->lane[0][0] += x[i] * w0[i];
        sums->lane[1][0] += x[i] * w1[i];
        sums->lane[2][0] += x[i] * w2[i];
        sums->lane[3][0] += x[i] * w3[i];
    }
}

/* Where the weights of four outputs begin; past the `live` last ones the last row is repeated, so
 * that a rest of one to three outputs runs the same code. */
static inline void mn_f32_rows(int32_t live, int32_t step, int32_t row[4])
{
    int32_t k;
    for (k = 0; k < 4; k++)
        row[k] = (k < live ? k : live - 1) * step;
}

/* out[k] = act(sum k + bias[k]) for the first `live` (at most four) outputs. bias may be null. */
static inline void
mn_f32_finish(const mn_f32_sums *sums, const float *bias, int32_t live, int32_t act, float *out)
{
    int32_t k;
    for (k = 0; k < live && k < 4; k++) {
        const float *lane = sums->lane[k];
        float sum = (lane[0] + lane[1]) + (lane[2] + lane[3]);
        out[k] = mn_f32_activate(bias ? sum + bias[k] : sum, act);
    }
}

/* Taps of a depthwise window at equal steps, rows x columns of them; x (an image's first channel)
 * and w (KH,KW,C) stand at the first. */
typedef struct mn_f32_patch {
    const float *x, *w;
    int32_t rows, columns;
    int32_t row_step, column_step; /* of x */
} mn_f32_patch;

static inline void mn_f32_tap(const float *x, const float *w, int32_t count, float *sums)
{
    int32_t k;
    for (k = 0; k < count; k++)
        sums[k] += x[k] * w[k];
}

/* sums[0..count) += the taps of all patches, channels c to c + count, row by row. */
static inline void mn_f32_depthwise_sum(const mn_f32_patch *patches,
                                        int32_t patch_count,
                                        const mn_f32_window *window,
                                        int32_t c,
                                        int32_t count,
                                        float *sums)
{
    int32_t p, r, k;
    for (p = 0; p < patch_count; p++) {
        const mn_f32_patch *patch = &patches[p];
        int32_t rows = patch->rows;
        int32_t columns = patch->columns;
        int32_t row_step = patch->row_step;
        int32_t column_step = patch->column_step;
        const float *x = patch->x + c;
        const float *w = patch->w + c;
        for (r = 0; r < rows; r++) {
            const float *from = x + r * row_step;
            const float *filter = w + r * window->kernel_w * window->in_c;
            for (k = 0; k < columns; k++)
                mn_f32_tap(from + k * column_step, filter + k * window->in_c, count, sums);
        }
    }
}

/* One output pixel of a depthwise convolution, all channels: the patches, in the order in which
 * they stand, are its window's taps inside the image. A block of channels is summed over all taps
 * in registers. Channels are written after they were read, so `out` may be a tap itself. */
static inline void mn_f32_depthwise_pixel(const mn_f32_patch *patches,
                                          int32_t patch_count,
                                          const float *bias,
                                          const mn_f32_window *window,
                                          float *out)
{
    int32_t channels = window->in_c;
    int32_t c, k;
    for (c = 0; c < channels; c += MN_F32_BLOCK) {
        int32_t count = channels - c < MN_F32_BLOCK ? channels - c : (int32_t)MN_F32_BLOCK;
        float sums[MN_F32_BLOCK] = {0.0f};
        if (count == MN_F32_BLOCK) /* a constant count is what lets the compiler vectorise */
            mn_f32_depthwise_sum(patches, patch_count, window, c, MN_F32_BLOCK, sums);
        else
            mn_f32_depthwise_sum(patches, patch_count, window, c, count, sums);
        for (k = 0; k < count; k++)
            out[c + k] = mn_f32_activate(bias ? sums[k] + bias[c + k] : sums[k], window->act);
    }
}

#endif

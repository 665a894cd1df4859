/*
 * One output pixel of a depthwise convolution, for the kernel beside its input and the one over it.
 * SPDX-License-Identifier: 0BSD
 *
 * Included by kernels only. A block of channels is summed over all taps in registers: as many as
 * one load brings.
 */
#ifndef MN_S8_DEPTHWISE_H
#define MN_S8_DEPTHWISE_H

#include "mn_s8_inner.h"

/* Taps of a depthwise window at equal steps, rows x columns of them; x (an image's first channel)
 * and w (KH,KW,C) stand at the first. */
typedef struct mn_s8_patch {
    const int8_t *x, *w;
    int32_t rows, columns;
    int32_t row_step, column_step; /* of x */
} mn_s8_patch;

#if defined(MN_S8_DSP)

enum { MN_S8_BLOCK = 4 };

static inline void mn_s8_tap(const int8_t *x, const int8_t *w, int32_t zero, int32_t *sums)
{
    int16x2_t minus = mn_s8_twice(-zero);
    uint32_t four = mn_s8_load4(x);
    int16x2_t even = mn_s8_even(minus, four), odd = mn_s8_odd(minus, four);
    int16x2_t w_even, w_odd;
    four = mn_s8_load4(w);
    w_even = mn_s8_even_bytes(four);
    w_odd = mn_s8_odd_bytes(four);
    sums[0] = __smlabb(even, w_even, sums[0]);
    sums[1] = __smlabb(odd, w_odd, sums[1]);
    sums[2] = __smlatt(even, w_even, sums[2]);
    sums[3] = __smlatt(odd, w_odd, sums[3]);
}

#elif defined(MN_S8_MVE)

enum { MN_S8_BLOCK = 8 };

static inline void mn_s8_tap(const int8_t *x, const int8_t *w, int32_t zero, int32_t *sums)
{
    int32_t half;
    for (half = 0; half < 8; half += 4) {
        int32x4_t value = vsubq_n_s32(vldrbq_s32(x + half), zero);
        int32x4_t product = vmulq_s32(value, vldrbq_s32(w + half));
        vstrwq_s32(sums + half, vaddq_s32(vldrwq_s32(sums + half), product));
    }
}

#else

#if defined(__x86_64__) || defined(__aarch64__)
enum { MN_S8_BLOCK = 16 };
#else
enum { MN_S8_BLOCK = 4 };
#endif

static inline void mn_s8_tap(const int8_t *x, const int8_t *w, int32_t zero, int32_t *sums)
{
    int32_t k;
    for (k = 0; k < MN_S8_BLOCK; k++)
        sums[k] += (x[k] - zero) * w[k];
}

#endif

/* sums[0..MN_S8_BLOCK) += the taps of all patches, channels from c on. */
static inline void mn_s8_sum_block(const mn_s8_patch *patches,
                                   int32_t patch_count,
                                   const mn_s8_window *window,
                                   int32_t c,
                                   int32_t *sums)
{
    int32_t p, r, k;
    for (p = 0; p < patch_count; p++) {
        const mn_s8_patch *patch = &patches[p];
        const int8_t *x = patch->x + c;
        const int8_t *w = patch->w + c;
        for (r = 0; r < patch->rows; r++) {
            const int8_t *from = x + r * patch->row_step;
            const int8_t *filter = w + r * window->kernel_w * window->in_c;
            for (k = 0; k < patch->columns; k++) {
                mn_s8_tap(from, filter, window->in_zero, sums);
                from += patch->column_step;
                filter += window->in_c;
            }
        }
    }
}

/* The sum of one channel over the taps of all patches. */
static inline int32_t mn_s8_sum_one(const mn_s8_patch *patches,
                                    int32_t patch_count,
                                    const mn_s8_window *window,
                                    int32_t c)
{
    int32_t sum = 0;
    int32_t p, r, k;
    for (p = 0; p < patch_count; p++) {
        const mn_s8_patch *patch = &patches[p];
        for (r = 0; r < patch->rows; r++) {
            const int8_t *from = patch->x + c + r * patch->row_step;
            const int8_t *filter = patch->w + c + r * window->kernel_w * window->in_c;
            for (k = 0; k < patch->columns; k++)
                sum += (from[k * patch->column_step] - window->in_zero) * filter[k * window->in_c];
        }
    }
    return sum;
}

/* One output pixel of a depthwise convolution, all channels: the patches are its window's taps
 * inside the image. Channels are written after they were read, so `out` may be a tap itself. */
static inline void mn_s8_depthwise_pixel(const mn_s8_patch *patches,
                                         int32_t patch_count,
                                         const mn_s8_filter *filter,
                                         const mn_s8_window *window,
                                         int8_t *out)
{
    int32_t channels = window->in_c;
    int32_t c = 0;
    int32_t k;
    for (; c + MN_S8_BLOCK <= channels; c += MN_S8_BLOCK) {
        int32_t sums[MN_S8_BLOCK];
        for (k = 0; k < MN_S8_BLOCK; k++)
            sums[k] = filter->bias[c + k];
        mn_s8_sum_block(patches, patch_count, window, c, sums);
        for (k = 0; k < MN_S8_BLOCK; k++)
            out[c + k] = mn_s8_output(sums[k], filter, c + k, window);
    }
    for (; c < channels; c++) {
        int32_t sum = filter->bias[c] + mn_s8_sum_one(patches, patch_count, window, c);
        out[c] = mn_s8_output(sum, filter, c, window);
    }
}

#endif

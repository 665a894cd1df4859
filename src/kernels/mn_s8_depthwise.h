/*
 * One output pixel of a depthwise convolution, for the kernel beside its input and the one over it.
 * SPDX-License-Identifier: 0BSD
 *
 * Included by kernels only. A block of channels is summed over all taps in registers: as many as
 * one load brings.
 */
#ifndef MN_S8_DEPTHWISE_H
#define MN_S8_DEPTHWISE_H

#include "mn_s8_depthwise_dsp.h"
#include "mn_s8_inner.h"

/* Taps of a depthwise window at equal steps, rows x columns of them; x (an image's first channel)
 * and w (KH,KW,C) stand at the first. */
typedef struct mn_s8_patch {
    const int8_t *x, *w;
    int32_t rows, columns;
    int32_t row_step, column_step; /* of x */
} mn_s8_patch;

/* Patches of one window at most. */
enum { MN_S8_PATCHES = 3 };

#if defined(MN_S8_DSP)

/* All whole blocks of four channels at one pixel, where assembly knows what to do. Returns how many
 * channels that makes. */
static inline int32_t mn_s8_depthwise_fast(const mn_s8_patch *patches,
                                           int32_t patch_count,
                                           const mn_s8_filter *filter,
                                           int32_t fits,
                                           const mn_s8_window *window,
                                           int8_t *out)
{
    mn_s8_slide slides[MN_S8_PATCHES];
    mn_s8_fours fours;
    int32_t p;
    if (!fits || patch_count == 0 || window->in_c < 4)
        return 0;
    for (p = 0; p < patch_count; p++) {
        slides[p].x = patches[p].x;
        slides[p].w = patches[p].w;
        slides[p].column_step = patches[p].column_step;
        slides[p].w_step = window->in_c;
        slides[p].rows = patches[p].rows;
        slides[p].columns = patches[p].columns;
        slides[p].row_step = patches[p].row_step;
        slides[p].w_row_step = window->kernel_w * window->in_c;
    }
    fours.slides = slides;
    fours.end = slides + patch_count;
    fours.minus = mn_s8_twice(-window->in_zero);
    fours.bias = filter->bias;
    fours.multiplier = filter->multiplier;
    fours.shift = filter->shift;
    fours.out = out;
    fours.half = 1 + 2 * window->out_zero;
    fours.low = mn_s8_twice(window->low);
    fours.high = mn_s8_twice(window->high);
    fours.whole = window->low == -128 && window->high == 127;
    fours.count = window->in_c / 4;
    mn_s8_depthwise_fours(&fours);
    return window->in_c & ~3;
}

#else

static inline int32_t mn_s8_depthwise_fast(const mn_s8_patch *patches,
                                           int32_t patch_count,
                                           const mn_s8_filter *filter,
                                           int32_t fits,
                                           const mn_s8_window *window,
                                           int8_t *out)
{
    (void)patches, (void)patch_count, (void)filter, (void)fits, (void)window, (void)out;
    return 0;
}

#endif

/* The sums of a block of channels, in registers: loaded, changed tap by tap, stored. */
#if defined(MN_S8_MVE)

enum { MN_S8_BLOCK = 8 };

typedef struct mn_s8_sums {
    int32x4_t low, high;
} mn_s8_sums;

static inline mn_s8_sums mn_s8_sums_load(const int32_t *from)
{
    mn_s8_sums sums;
    sums.low = vldrwq_s32(from);
    sums.high = vldrwq_s32(from + 4);
    return sums;
}

static inline void mn_s8_sums_store(const mn_s8_sums *sums, int32_t *to)
{
    vstrwq_s32(to, sums->low);
    vstrwq_s32(to + 4, sums->high);
}

static inline int32x4_t mn_s8_tap4(int32x4_t sum, const int8_t *x, const int8_t *w, int32_t zero)
{
    return vaddq_s32(sum, vmulq_s32(vsubq_n_s32(vldrbq_s32(x), zero), vldrbq_s32(w)));
}

static inline void mn_s8_tap(mn_s8_sums *sums, const int8_t *x, const int8_t *w, int32_t zero)
{
    sums->low = mn_s8_tap4(sums->low, x, w, zero);
    sums->high = mn_s8_tap4(sums->high, x + 4, w + 4, zero);
}

#elif defined(__x86_64__) || defined(__aarch64__)

enum { MN_S8_BLOCK = 16 };

typedef struct mn_s8_sums {
    int32_t sum[MN_S8_BLOCK];
} mn_s8_sums;

static inline mn_s8_sums mn_s8_sums_load(const int32_t *from)
{
    mn_s8_sums sums;
    int32_t k;
    for (k = 0; k < MN_S8_BLOCK; k++)
        sums.sum[k] = from[k];
    return sums;
}

static inline void mn_s8_sums_store(const mn_s8_sums *sums, int32_t *to)
{
    int32_t k;
    for (k = 0; k < MN_S8_BLOCK; k++)
        to[k] = sums->sum[k];
}

static inline void mn_s8_tap(mn_s8_sums *sums, const int8_t *x, const int8_t *w, int32_t zero)
{
    int32_t k;
    for (k = 0; k < MN_S8_BLOCK; k++)
        sums->sum[k] += (x[k] - zero) * w[k];
}

#else

enum { MN_S8_BLOCK = 4 };

typedef struct mn_s8_sums {
    int32_t s0, s1, s2, s3;
} mn_s8_sums;

static inline mn_s8_sums mn_s8_sums_load(const int32_t *from)
{
    mn_s8_sums sums;
    sums.s0 = from[0];
    sums.s1 = from[1];
    sums.s2 = from[2];
    sums.s3 = from[3];
    return sums;
}

static inline void mn_s8_sums_store(const mn_s8_sums *sums, int32_t *to)
{
    to[0] = sums->s0;
    to[1] = sums->s1;
    to[2] = sums->s2;
    to[3] = sums->s3;
}

static inline void mn_s8_tap(mn_s8_sums *sums, const int8_t *x, const int8_t *w, int32_t zero)
{
    sums->s0 += (x[0] - zero) * w[0];
    sums->s1 += (x[1] - zero) * w[1];
    sums->s2 += (x[2] - zero) * w[2];
    sums->s3 += (x[3] - zero) * w[3];
}

#endif

/* sums[0..MN_S8_BLOCK) += the taps of all patches, channels from c on. */
static inline void mn_s8_sum_block(const mn_s8_patch *patches,
                                   int32_t patch_count,
                                   const mn_s8_window *window,
                                   int32_t c,
                                   int32_t *sums)
{
    mn_s8_sums block = mn_s8_sums_load(sums);
    const int32_t zero = window->in_zero;
    const int32_t w_step = window->in_c;
    int32_t p, r, k;
    for (p = 0; p < patch_count; p++) {
        const mn_s8_patch *patch = &patches[p];
        const int8_t *x = patch->x + c;
        const int8_t *w = patch->w + c;
        const int32_t columns = patch->columns;
        const int32_t step = patch->column_step;
        for (r = 0; r < patch->rows; r++) {
            for (k = 0; k < columns; k++)
                mn_s8_tap(&block, x + k * step, w + k * w_step, zero);
            x += patch->row_step;
            w += window->kernel_w * w_step;
        }
    }
    mn_s8_sums_store(&block, sums);
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

/* A block of outputs, from channel c on. What is the same for all is loaded before any byte is
 * written, since a byte may lie anywhere. */
static inline void mn_s8_outputs(const int32_t *sums,
                                 const mn_s8_filter *filter,
                                 int32_t c,
                                 const mn_s8_window *window,
                                 int8_t *out)
{
    const int32_t *multiplier = filter->multiplier + c;
    const int8_t *shift = filter->shift + c;
    int32_t zero = window->out_zero;
    int32_t low = window->low;
    int32_t high = window->high;
    int32_t k;
    for (k = 0; k < MN_S8_BLOCK; k++)
        out[k] = mn_s8_clamp(mn_s8_scale(sums[k], multiplier[k], shift[k]) + zero, low, high);
}

/* One output pixel of a depthwise convolution, all channels: the patches are its window's taps
 * inside the image; `fits` is what mn_s8_tile_fits() says of the filter. Channels are written after
 * they were read, so `out` may be a tap itself. */
static inline void mn_s8_depthwise_pixel(const mn_s8_patch *patches,
                                         int32_t patch_count,
                                         const mn_s8_filter *filter,
                                         int32_t fits,
                                         const mn_s8_window *window,
                                         int8_t *out)
{
    int32_t channels = window->in_c;
    int32_t c = mn_s8_depthwise_fast(patches, patch_count, filter, fits, window, out);
    int32_t k;
    for (; c + MN_S8_BLOCK <= channels; c += MN_S8_BLOCK) {
        int32_t sums[MN_S8_BLOCK];
        for (k = 0; k < MN_S8_BLOCK; k++)
            sums[k] = filter->bias[c + k];
        mn_s8_sum_block(patches, patch_count, window, c, sums);
        mn_s8_outputs(sums, filter, c, window, out + c);
    }
    for (; c < channels; c++) {
        int32_t sum = filter->bias[c] + mn_s8_sum_one(patches, patch_count, window, c);
        out[c] = mn_s8_output(sum, filter, c, window);
    }
}

#endif

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

/* The taps of one patch for four channels. The order of the members is that in which the code loads
 * them. */
typedef struct mn_s8_fours {
    const int8_t *x, *w;
    int32_t column_step, w_step;
    int32_t minus; /* twice the negative zero point */
    int32_t rows, columns;
    int32_t row_step, w_row_step; /* from the end of a row to the next */
    int32_t sums[4];
} mn_s8_fours;

MN_S8_NAKED void mn_s8_sum_fours(mn_s8_fours *fours __attribute__((unused)))
{
    __asm__("push {r0, r4-r11, lr}\n"
            "mov r4, r0\n"
            "ldmia r4, {r0-r3, r6}\n" /* x, w, column_step, w_step, minus */
            "add r5, r4, #36\n"
            "ldmia r5, {r8-r11}\n"
            "0:\n"
            "ldr r4, [sp]\n"
            "ldr r4, [r4, #24]\n" /* columns */
            "1:\n"
            "ldr r7, [r0]\n"
            "ldr lr, [r1]\n"
            "add r0, r0, r2\n"
            "add r1, r1, r3\n"
            "sxtab16 r12, r6, r7, ror #8\n"
            "sxtab16 r7, r6, r7\n"
            "sxtb16 r5, lr, ror #8\n"
            "sxtb16 lr, lr\n"
            "smlabb r8, r7, lr, r8\n"
            "smlabb r9, r12, r5, r9\n"
            "smlatt r10, r7, lr, r10\n"
            "smlatt r11, r12, r5, r11\n"
            "subs r4, r4, #1\n"
            "bne 1b\n"
            "ldr r4, [sp]\n"
            "ldrd r5, r7, [r4, #28]\n"
            "add r0, r0, r5\n"
            "add r1, r1, r7\n"
            "ldr r5, [r4, #20]\n" /* rows */
            "subs r5, r5, #1\n"
            "str r5, [r4, #20]\n"
            "bne 0b\n"
            "add r5, r4, #36\n"
            "stmia r5, {r8-r11}\n"
            "pop {r0, r4-r11, pc}\n");
}

/* sums[0..MN_S8_BLOCK) += the taps of all patches, channels from c on. */
static inline void mn_s8_sum_block(const mn_s8_patch *patches,
                                   int32_t patch_count,
                                   const mn_s8_window *window,
                                   int32_t c,
                                   int32_t *sums)
{
    mn_s8_fours fours;
    int32_t p, k;
    for (k = 0; k < 4; k++)
        fours.sums[k] = sums[k];
    fours.minus = (int32_t)mn_s8_twice(-window->in_zero);
    fours.w_step = window->in_c;
    for (p = 0; p < patch_count; p++) {
        const mn_s8_patch *patch = &patches[p];
        if (patch->rows == 0 || patch->columns == 0)
            continue;
        fours.x = patch->x + c;
        fours.w = patch->w + c;
        fours.rows = patch->rows;
        fours.columns = patch->columns;
        fours.column_step = patch->column_step;
        fours.row_step = patch->row_step - patch->columns * patch->column_step;
        fours.w_row_step = (window->kernel_w - patch->columns) * window->in_c;
        mn_s8_sum_fours(&fours);
    }
    for (k = 0; k < 4; k++)
        sums[k] = fours.sums[k];
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

#if !defined(MN_S8_DSP)

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

#endif

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

#if defined(MN_S8_DSP)

/* A sum whose shift is above 32 to a byte, not clamped further; half: 1 + 2 * zero point. */
static inline int32_t mn_s8_scale_byte(int32_t sum, int32_t multiplier, int32_t shift, int32_t half)
{
    int32_t byte;
    __asm__("smmul %0, %1, %2\n"
            "asr %0, %0, %3\n"
            "add %0, %0, %4\n"
            "ssat %0, #8, %0, asr #1"
            : "=&r"(byte)
            : "r"(sum), "r"(multiplier), "r"(shift - 33), "r"(half));
    return byte;
}

/* Four outputs; false where a shift asks for the general way. */
static inline int32_t mn_s8_fast_outputs(const int32_t *sums,
                                         const int32_t *multiplier,
                                         const int8_t *shift,
                                         const mn_s8_window *window,
                                         int8_t *out)
{
    int32_t s0 = shift[0], s1 = shift[1], s2 = shift[2], s3 = shift[3];
    int32_t half = 1 + 2 * window->out_zero;
    int32_t low = window->low;
    int32_t high = window->high;
    if (s0 <= 32 || s1 <= 32 || s2 <= 32 || s3 <= 32)
        return 0;
    s0 = mn_s8_scale_byte(sums[0], multiplier[0], s0, half);
    s1 = mn_s8_scale_byte(sums[1], multiplier[1], s1, half);
    s2 = mn_s8_scale_byte(sums[2], multiplier[2], s2, half);
    s3 = mn_s8_scale_byte(sums[3], multiplier[3], s3, half);
    if (low > -128 || high < 127) {
        s0 = mn_s8_clamp(s0, low, high);
        s1 = mn_s8_clamp(s1, low, high);
        s2 = mn_s8_clamp(s2, low, high);
        s3 = mn_s8_clamp(s3, low, high);
    }
    out[0] = (int8_t)s0;
    out[1] = (int8_t)s1;
    out[2] = (int8_t)s2;
    out[3] = (int8_t)s3;
    return 1;
}

#else

static inline int32_t mn_s8_fast_outputs(const int32_t *sums,
                                         const int32_t *multiplier,
                                         const int8_t *shift,
                                         const mn_s8_window *window,
                                         int8_t *out)
{
    (void)sums, (void)multiplier, (void)shift, (void)window, (void)out;
    return 0;
}

#endif

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
    if (mn_s8_fast_outputs(sums, multiplier, shift, window, out))
        return;
    for (k = 0; k < MN_S8_BLOCK; k++)
        out[k] = mn_s8_clamp(mn_s8_scale(sums[k], multiplier[k], shift[k]) + zero, low, high);
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
        mn_s8_outputs(sums, filter, c, window, out + c);
    }
    for (; c < channels; c++) {
        int32_t sum = filter->bias[c] + mn_s8_sum_one(patches, patch_count, window, c);
        out[c] = mn_s8_output(sum, filter, c, window);
    }
}

#endif

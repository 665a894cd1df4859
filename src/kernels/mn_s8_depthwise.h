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

/* Patches of one window at most. */
enum { MN_S8_PATCHES = 3 };

#if defined(MN_S8_DSP)

/* A patch while the code below passes over it: x and w stand at the next four channels. Row steps
 * lead from the start of a row to the next. The order of the members is that in which the code
 * loads them. */
typedef struct mn_s8_slide {
    const int8_t *x, *w;
    int32_t column_step, w_step;
    int32_t rows, columns;
    int32_t row_step, w_row_step;
} mn_s8_slide;

/* Blocks of four channels of one pixel, from the taps to the bytes. */
typedef struct mn_s8_fours {
    mn_s8_slide *slides, *end; /* at least one */
    int32_t minus;             /* twice the negative zero point */
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift; /* all above 32 */
    int8_t *out;
    int32_t half;      /* 1 + 2 * zero point */
    int32_t low, high; /* each twice, in halfwords */
    int32_t whole;     /* low and high are -128 and 127 */
    int32_t count;     /* of blocks, at least one */
} mn_s8_fours;

/* One tap of four channels, whose sums stand in r8 to r11; r6 holds minus. */
#define MN_S8_FOUR_TAPS(x, w)                                                                      \
    "ldr r7, [" x "]\n"                                                                            \
    "ldr lr, [" w "]\n"                                                                            \
    "sxtab16 r12, r6, r7, ror #8\n"                                                                \
    "sxtab16 r7, r6, r7\n"                                                                         \
    "sxtb16 r5, lr, ror #8\n"                                                                      \
    "sxtb16 lr, lr\n"                                                                              \
    "smlabb r8, r7, lr, r8\n"                                                                      \
    "smlabb r9, r12, r5, r9\n"                                                                     \
    "smlatt r10, r7, lr, r10\n"                                                                    \
    "smlatt r11, r12, r5, r11\n"

/* One sum to a byte: r0 holds multipliers, r1 shifts, r3 half. See MN_S8_TILE_SCALE. */
#define MN_S8_FOUR_SCALE(sum)                                                                      \
    "ldr r12, [r0], #4\n"                                                                          \
    "ldrsb r7, [r1], #1\n"                                                                         \
    "smmul " sum ", " sum ", r12\n"                                                                \
    "sub r7, r7, #33\n"                                                                            \
    "asr " sum ", " sum ", r7\n"                                                                   \
    "add " sum ", " sum ", r3\n"                                                                   \
    "ssat " sum ", #8, " sum ", asr #1\n"

/* Two bytes at a time into [low, high], r5 and r7, unless these are the whole grid. */
#define MN_S8_FOUR_CLAMP                                                                           \
    "ldr r7, [r4, #40]\n"                                                                          \
    "cbnz r7, 6f\n"                                                                                \
    "ldrd r5, r7, [r4, #32]\n"                                                                     \
    "pkhbt r8, r8, r9, lsl #16\n"                                                                  \
    "pkhbt r10, r10, r11, lsl #16\n"                                                               \
    "ssub16 r12, r8, r5\n"                                                                         \
    "sel r8, r8, r5\n"                                                                             \
    "ssub16 r12, r10, r5\n"                                                                        \
    "sel r10, r10, r5\n"                                                                           \
    "ssub16 r12, r7, r8\n"                                                                         \
    "sel r8, r8, r7\n"                                                                             \
    "ssub16 r12, r7, r10\n"                                                                        \
    "sel r10, r10, r7\n"                                                                           \
    "asr r9, r8, #16\n"                                                                            \
    "asr r11, r10, #16\n"                                                                          \
    "6:\n"

/* On the stack: fours, the slide, the rows that are left of it. Rows of three taps have a loop of
 * their own. */
MN_S8_NAKED void mn_s8_depthwise_fours(mn_s8_fours *fours __attribute__((unused)))
{
    __asm__("push {r0-r2, r4-r11, lr}\n"
            "0:\n" /* a block */
            "ldr r4, [sp]\n"
            "ldr r5, [r4]\n"
            "ldrd r6, r7, [r4, #8]\n" /* minus, bias */
            "ldmia r7!, {r8-r11}\n"
            "str r7, [r4, #12]\n"
            "1:\n" /* a slide */
            "str r5, [sp, #4]\n"
            "ldmia r5, {r0-r4}\n" /* x, w, column_step, w_step, rows */
            "add r7, r0, #4\n"
            "add r12, r1, #4\n"
            "strd r7, r12, [r5]\n"
            "cmp r4, #0\n"
            "beq 5f\n"
            "ldr r5, [r5, #20]\n" /* columns */
            "cmp r5, #3\n"
            "bne 3f\n"
            "2:\n" /* a row of three */
            MN_S8_FOUR_TAPS("r0", "r1") MN_S8_FOUR_TAPS("r0, r2", "r1, r3") MN_S8_FOUR_TAPS(
                "r0, r2, lsl #1",
                "r1, r3, lsl #1") "ldr r12, [sp, #4]\n"
                                  "ldrd r5, r7, [r12, #24]\n" /* row steps */
                                  "add r0, r0, r5\n"
                                  "add r1, r1, r7\n"
                                  "subs r4, r4, #1\n"
                                  "bne 2b\n"
                                  "b 5f\n"
                                  "3:\n" /* a row */
                                  "str r4, [sp, #8]\n"
                                  "ldr r12, [sp, #4]\n"
                                  "ldr r4, [r12, #20]\n"
                                  "4:\n" MN_S8_FOUR_TAPS(
                                      "r0",
                                      "r1") "add r0, r0, r2\n"
                                            "add r1, r1, r3\n"
                                            "subs r4, r4, #1\n"
                                            "bne 4b\n"
                                            "ldr r12, [sp, #4]\n"
                                            "ldr r4, [r12, #20]\n"
                                            "ldrd r5, r7, [r12, #24]\n"
                                            "mls r0, r4, r2, r0\n" /* back to the row's start */
                                            "mls r1, r4, r3, r1\n"
                                            "add r0, r0, r5\n"
                                            "add r1, r1, r7\n"
                                            "ldr r4, [sp, #8]\n"
                                            "subs r4, r4, #1\n"
                                            "bne 3b\n"
                                            "5:\n"
                                            "ldrd r4, r5, [sp]\n"
                                            "ldr r7, [r4, #4]\n" /* end */
                                            "add r5, r5, #32\n"
                                            "cmp r5, r7\n"
                                            "bne 1b\n"
                                            "add lr, r4, #16\n"
                                            "ldmia lr, {r0-r3}\n" /* multiplier, shift, out, half */
            MN_S8_FOUR_SCALE("r8") MN_S8_FOUR_SCALE("r9") MN_S8_FOUR_SCALE("r10")
                MN_S8_FOUR_SCALE("r11") MN_S8_FOUR_CLAMP "strb r8, [r2], #1\n"
                                                         "strb r9, [r2], #1\n"
                                                         "strb r10, [r2], #1\n"
                                                         "strb r11, [r2], #1\n"
                                                         "stmia lr, {r0-r2}\n"
                                                         "ldr r12, [r4, #44]\n"
                                                         "subs r12, r12, #1\n"
                                                         "str r12, [r4, #44]\n"
                                                         "bne 0b\n"
                                                         "pop {r0-r2, r4-r11, pc}\n");
}

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
    fours.minus = (int32_t)mn_s8_twice(-window->in_zero);
    fours.bias = filter->bias;
    fours.multiplier = filter->multiplier;
    fours.shift = filter->shift;
    fours.out = out;
    fours.half = 1 + 2 * window->out_zero;
    fours.low = (int32_t)mn_s8_twice(window->low);
    fours.high = (int32_t)mn_s8_twice(window->high);
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

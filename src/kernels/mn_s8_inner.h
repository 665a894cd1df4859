/*
 * What the int8 kernels share: the part of a sliding window that lies inside the image, the way
 * from a sum to an output, and the inner product of four filters with one run of input.
 * SPDX-License-Identifier: 0BSD
 *
 * Included by kernels only. Which path is compiled follows from the compiler's macros alone; sums
 * are exact, so that every path gives the same bytes. A window is clipped to the image once for
 * every output pixel, so that the inner loops test nothing.
 */
#ifndef MN_S8_INNER_H
#define MN_S8_INNER_H

#include "mn_s8.h"

#if defined(__ARM_FEATURE_MVE) && !defined(__ARM_BIG_ENDIAN)
#include <arm_mve.h>
#define MN_S8_MVE 1
#elif defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_UNALIGNED) && defined(__thumb2__) &&     \
    !defined(__ARM_BIG_ENDIAN) &&                                                                  \
    (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 8 && !defined(__SSP_ALL__)) ||        \
     (defined(__GNUC__) && __GNUC__ >= 11))
#define MN_S8_DSP 1 /* in assembly: what MN_S8_NAKED needs is there */
#elif defined(__AVX2__)
#include <immintrin.h>
#define MN_S8_AVX2 1
#endif

/* A function that is better called than inlined: it needs the registers for itself. */
#if defined(__GNUC__)
#define MN_S8_LEAF static __attribute__((noinline, unused))
#else
#define MN_S8_LEAF static
#endif

/* The taps [ky, ky_end) x [kx, kx_end) of a window that lie inside the image; (y,x) is the input
 * pixel under tap (ky,kx). All zero when the whole window lies in the padding. */
typedef struct mn_s8_taps {
    int32_t ky, ky_end, kx, kx_end;
    int32_t y, x;
} mn_s8_taps;

static inline mn_s8_taps mn_s8_clip(const mn_s8_window *window, int32_t out_y, int32_t out_x)
{
    mn_s8_taps taps;
    int32_t top = out_y * window->stride_h - window->pad_top;
    int32_t left = out_x * window->stride_w - window->pad_left;
    taps.ky = 0;
    taps.kx = 0;
    taps.ky_end = window->kernel_h;
    taps.kx_end = window->kernel_w;
    taps.y = top;
    taps.x = left;
    if (top >= 0 && left >= 0 && top + (window->kernel_h - 1) * window->dilation_h < window->in_h &&
        left + (window->kernel_w - 1) * window->dilation_w < window->in_w)
        return taps;
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

static inline int8_t mn_s8_clamp(int32_t value, int32_t low, int32_t high)
{
    value = value < low ? low : value;
    return (int8_t)(value > high ? high : value);
}

/* sum * multiplier / 2^shift, halves upwards, for a shift up to 32; beyond +-1024, where every
 * output is clamped, only the sign is right. */
MN_S8_LEAF int32_t mn_s8_scale_up(int32_t sum, int32_t multiplier, int32_t shift)
{
    int64_t product = (int64_t)sum * multiplier;
    product = (product + ((int64_t)1 << (shift - 1))) >> shift;
    return product < -1024 ? -1024 : product > 1024 ? 1024 : (int32_t)product;
}

/* The same for a shift above 32, which leaves nothing to round in the lower word of the product. */
static inline int32_t mn_s8_scale_down(int32_t sum, int32_t multiplier, int32_t shift)
{
    int32_t half = (int32_t)1 << (shift - 33);
#if defined(MN_S8_DSP)
    __asm__("smmla %0, %1, %2, %0" : "+r"(half) : "r"(sum), "r"(multiplier));
    return half >> (shift - 32);
#else
    return ((int32_t)((int64_t)sum * multiplier >> 32) + half) >> (shift - 32);
#endif
}

static inline int32_t mn_s8_scale(int32_t sum, int32_t multiplier, int32_t shift)
{
    if (shift > 32)
        return mn_s8_scale_down(sum, multiplier, shift);
    return mn_s8_scale_up(sum, multiplier, shift);
}

/* Output channel o from its sum, bias included. */
static inline int8_t
mn_s8_output(int32_t sum, const mn_s8_filter *filter, int32_t o, const mn_s8_window *window)
{
    int32_t value = mn_s8_scale(sum, filter->multiplier[o], filter->shift[o]);
    return mn_s8_clamp(value + window->out_zero, window->low, window->high);
}

/* True where assembly can make outputs of these sums: no shift asks for more than the upper word of
 * a product. */
static inline int32_t mn_s8_tile_fits(const mn_s8_filter *filter, int32_t outputs)
{
#if defined(MN_S8_DSP)
    int32_t o = 0;
    while (o < outputs && filter->shift[o] > 32)
        o++;
    return o == outputs;
#else
    (void)filter, (void)outputs;
    return 0;
#endif
}

/* ---- four inner products --------------------------------------------------------------------- */

/* Where the weights of four outputs begin; past the `live` last ones the last row is repeated, so
 * that a rest of one to three outputs runs the same code. */
static inline void mn_s8_rows(int32_t live, int32_t step, int32_t row[4])
{
    int32_t k;
    for (k = 0; k < 4; k++)
        row[k] = (k < live ? k : live - 1) * step;
}

#if defined(MN_S8_DSP)

/* Two equal halfwords. */
static inline int32_t mn_s8_twice(int32_t value)
{
    return (int32_t)(((uint32_t)value & 0xffffu) * 0x10001u);
}

/* A function in assembly, since the loops need every register: what a compiler makes of them spills
 * sums. The body saves what it uses and returns. noipa: gcc, which has it since version 8, would
 * take it for one that touches no memory. The others: a compiler that guards stacks
 * (-fstack-protector-all) or marks calls would put code of its own around the body. */
#if defined(__clang__)
#define MN_S8_NAKED static __attribute__((naked, noinline, unused))
#elif __GNUC__ >= 11
#define MN_S8_NAKED                                                                                \
    static __attribute__((naked, noipa, unused, no_instrument_function, no_stack_protector))
#else
#define MN_S8_NAKED static __attribute__((naked, noipa, unused, no_instrument_function))
#endif

/* sums[k] += (x - zero) * (weights + row[k]) up to x_end, four elements at a time and at least
 * once. minus: twice -zero. */
MN_S8_NAKED void mn_s8_dot_fours(const int8_t *x __attribute__((unused)),
                                 const int8_t *weights __attribute__((unused)),
                                 const int32_t row[4] __attribute__((unused)),
                                 const int8_t *x_end __attribute__((unused)),
                                 int32_t sums[4] __attribute__((unused)),
                                 int32_t minus __attribute__((unused)))
{
    __asm__("push {r3-r11, lr}\n"
            "ldr r12, [sp, #40]\n"
            "ldmia r12, {r8-r11}\n" /* the sums */
            "ldmia r2, {r4-r7}\n"
            "add r2, r1, r5\n" /* weights: r1, r2, r3, lr */
            "add r3, r1, r6\n"
            "add lr, r1, r7\n"
            "add r1, r1, r4\n"
            "ldr r7, [sp, #44]\n" /* minus */
            "1:\n"
            "ldr r4, [r0], #4\n"
            "ldr r6, [r1], #4\n"
            "sxtab16 r5, r7, r4, ror #8\n"
            "sxtab16 r4, r7, r4\n"
            "sxtb16 r12, r6, ror #8\n"
            "sxtb16 r6, r6\n"
            "smlad r8, r5, r12, r8\n"
            "smlad r8, r4, r6, r8\n"
            "ldr r6, [r2], #4\n"
            "sxtb16 r12, r6, ror #8\n"
            "sxtb16 r6, r6\n"
            "smlad r9, r5, r12, r9\n"
            "smlad r9, r4, r6, r9\n"
            "ldr r6, [r3], #4\n"
            "sxtb16 r12, r6, ror #8\n"
            "sxtb16 r6, r6\n"
            "smlad r10, r5, r12, r10\n"
            "smlad r10, r4, r6, r10\n"
            "ldr r6, [lr], #4\n"
            "sxtb16 r12, r6, ror #8\n"
            "sxtb16 r6, r6\n"
            "smlad r11, r5, r12, r11\n"
            "ldr r12, [sp]\n" /* x_end */
            "smlad r11, r4, r6, r11\n"
            "cmp r0, r12\n"
            "bne 1b\n"
            "ldr r12, [sp, #40]\n"
            "stmia r12, {r8-r11}\n"
            "pop {r3-r11, pc}\n");
}

#define MN_S8_DOT_STEP 4
static inline void mn_s8_dot_steps(const int8_t *x,
                                   const int8_t *weights,
                                   const int32_t row[4],
                                   int32_t count,
                                   int32_t zero,
                                   int32_t sums[4])
{
    if (count > 0)
        mn_s8_dot_fours(x, weights, row, x + count, sums, mn_s8_twice(-zero));
}

#elif defined(MN_S8_MVE)

#define MN_S8_DOT_STEP 8
static inline void mn_s8_dot_steps(const int8_t *x,
                                   const int8_t *weights,
                                   const int32_t row[4],
                                   int32_t count,
                                   int32_t zero,
                                   int32_t sums[4])
{
    const int8_t *w0 = weights + row[0];
    const int8_t *w1 = weights + row[1];
    const int8_t *w2 = weights + row[2];
    const int8_t *w3 = weights + row[3];
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    int32_t i;
    for (i = 0; i < count; i += 8) {
        int16x8_t eight = vsubq_n_s16(vldrbq_s16(x + i), (int16_t)zero);
        s0 = vmladavaq_s16(s0, eight, vldrbq_s16(w0 + i));
        s1 = vmladavaq_s16(s1, eight, vldrbq_s16(w1 + i));
        s2 = vmladavaq_s16(s2, eight, vldrbq_s16(w2 + i));
        s3 = vmladavaq_s16(s3, eight, vldrbq_s16(w3 + i));
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

#elif defined(MN_S8_AVX2)

static inline __m256i mn_s8_wide16(const int8_t *from)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from));
}

#define MN_S8_DOT_STEP 16
static inline void mn_s8_dot_steps(const int8_t *x,
                                   const int8_t *weights,
                                   const int32_t row[4],
                                   int32_t count,
                                   int32_t zero,
                                   int32_t sums[4])
{
    __m256i lanes[4];
    __m256i minus = _mm256_set1_epi16((int16_t)zero);
    __m128i total;
    int32_t i, k;
    for (k = 0; k < 4; k++)
        lanes[k] = _mm256_setzero_si256();
    for (i = 0; i < count; i += 16) {
        __m256i wide = _mm256_sub_epi16(mn_s8_wide16(x + i), minus);
        for (k = 0; k < 4; k++) {
            __m256i w = mn_s8_wide16(weights + row[k] + i);
            lanes[k] = _mm256_add_epi32(lanes[k], _mm256_madd_epi16(wide, w));
        }
    }
    lanes[0] = _mm256_hadd_epi32(lanes[0], lanes[1]);
    lanes[2] = _mm256_hadd_epi32(lanes[2], lanes[3]);
    lanes[0] = _mm256_hadd_epi32(lanes[0], lanes[2]);
    total = _mm_add_epi32(_mm256_castsi256_si128(lanes[0]), _mm256_extracti128_si256(lanes[0], 1));
    total = _mm_add_epi32(total, _mm_loadu_si128((const __m128i *)(const void *)sums));
    _mm_storeu_si128((__m128i *)(void *)sums, total);
}

#endif

/* sums of output o += (x - zero) * (weights + row[o]), over `count` adjacent elements. Each x is
 * loaded once for four products. */
MN_S8_LEAF void mn_s8_dot(const int8_t *x,
                          const int8_t *weights,
                          const int32_t row[4],
                          int32_t count,
                          int32_t zero,
                          int32_t sums[4])
{
    const int8_t *w0 = weights + row[0];
    const int8_t *w1 = weights + row[1];
    const int8_t *w2 = weights + row[2];
    const int8_t *w3 = weights + row[3];
    int32_t s0, s1, s2, s3;
    int32_t i = 0;
#if defined(MN_S8_DOT_STEP)
    i = count - count % MN_S8_DOT_STEP;
    mn_s8_dot_steps(x, weights, row, i, zero, sums);
#endif
    s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    for (; i < count; i++) {
        int32_t value = x[i] - zero;
        s0 += value * w0[i];
        s1 += value * w1[i];
        s2 += value * w2[i];
        s3 += value * w3[i];
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

#endif

/*
 * Columns: the inputs of a window at two pixels, less the zero point, widened to 16 bits.
 * SPDX-License-Identifier: 0BSD
 *
 * Included by mn_s8_conv.c only. Columns take two times a window's elements, rounded up to four, at
 * two bytes each. How they lie there is a matter of the path: it is what its multiply-add wants to
 * load.
 */
#ifndef MN_S8_COLUMNS_H
#define MN_S8_COLUMNS_H

#include "mn_s8_inner.h"

/* One of the two columns while it is filled. */
typedef struct mn_s8_column {
    int16_t *wide;
    int8_t *bytes; /* room for the window as it is */
    int32_t zero;
    int32_t whole; /* runs begin and end at multiples of four */
} mn_s8_column;

#if defined(MN_S8_DSP)

/* Fours of both pixels take turns, and within a four stand elements 0, 2, 1, 3: the order in which
 * SXTB16 widens weights. One load of four words brings what four sums need. */
static inline int16_t *mn_s8_column_second(int16_t *columns, int32_t size)
{
    (void)size;
    return columns + 4;
}

static inline int32_t mn_s8_column_at(int32_t k)
{
    return k / 4 * 8 + (k & 1) * 2 + (k >> 1 & 1);
}

/* `fours` times four elements, less the zero point of which minus is twice the negative. */
MN_S8_NAKED void mn_s8_column_fours(int16_t *to __attribute__((unused)),
                                    const int8_t *from __attribute__((unused)),
                                    int32_t fours __attribute__((unused)),
                                    int32_t minus __attribute__((unused)))
{
    __asm__("push {r4-r7}\n"
            "tst r2, #1\n"
            "beq 1f\n"
            "ldr r4, [r1], #4\n"
            "sxtab16 r5, r3, r4, ror #8\n"
            "sxtab16 r4, r3, r4\n"
            "strd r4, r5, [r0], #16\n"
            "1:\n"
            "lsrs r2, r2, #1\n"
            "beq 3f\n"
            "2:\n"
            "ldr r4, [r1], #4\n"
            "ldr r6, [r1], #4\n"
            "sxtab16 r5, r3, r4, ror #8\n"
            "sxtab16 r4, r3, r4\n"
            "sxtab16 r7, r3, r6, ror #8\n"
            "sxtab16 r6, r3, r6\n"
            "strd r4, r5, [r0], #16\n"
            "strd r6, r7, [r0], #16\n"
            "subs r2, r2, #1\n"
            "bne 2b\n"
            "3:\n"
            "pop {r4-r7}\n"
            "bx lr\n");
}

/* Runs that are whole fours are widened on their way, others when the window is complete. */
static inline void
mn_s8_column_put(const mn_s8_column *column, int32_t k, const int8_t *from, int32_t count)
{
    int8_t *to = column->bytes + k;
    int32_t i;
    if (column->whole) {
        mn_s8_column_fours(column->wide + k * 2, from, count >> 2, mn_s8_twice(-column->zero));
        return;
    }
    for (i = 0; i + 4 <= count; i += 4)
        __builtin_memcpy(to + i, from + i, 4);
    for (; i < count; i++)
        to[i] = from[i];
}

static inline void mn_s8_column_clear(const mn_s8_column *column, int32_t k, int32_t count)
{
    int8_t *to = column->bytes + k;
    int16_t *wide = column->wide + k * 2;
    int16_t *end = wide + count * 2;
    int32_t i;
    if (column->whole)
        for (; wide != end; wide += 8)
            __asm__ volatile("strd %1, %1, [%0]" : : "r"(wide), "r"(0) : "memory");
    else
        for (i = 0; i < count; i++)
            to[i] = (int8_t)column->zero;
}

static inline void mn_s8_column_finish(const mn_s8_column *column, int32_t size)
{
    int32_t fours = (size + 3) >> 2;
    if (column->whole)
        return;
    mn_s8_column_clear(column, size, fours * 4 - size);
    mn_s8_column_fours(column->wide, column->bytes, fours, mn_s8_twice(-column->zero));
}

/* One four of both pixels, in r4 to r7, with four weights of one output. */
#define MN_S8_TILE_HALF(weights, first, second)                                                    \
    "ldr r3, [" weights "], #4\n"                                                                  \
    "sxtb16 r12, r3\n"                                                                             \
    "sxtb16 r3, r3, ror #8\n"                                                                      \
    "smlad " first ", r4, r12, " first "\n"                                                        \
    "smlad " second ", r6, r12, " second "\n"                                                      \
    "smlad " first ", r5, r3, " first "\n"                                                         \
    "smlad " second ", r7, r3, " second "\n"

/* Fours up to lr, at least one; an odd number of them enters in the middle. Sums stand in r8 and
 * r9, the first output, and r10 and r11. */
/* clang-format off */
#define MN_S8_TILE_LOOP                                                                            \
    "sub r12, lr, r0\n"                                                                            \
    "tst r12, #16\n"                                                                               \
    "bne 2f\n"                                                                                     \
    "1:\n"                                                                                         \
    "ldmia r0!, {r4-r7}\n"                                                                         \
    MN_S8_TILE_HALF("r1", "r8", "r9")                                                              \
    MN_S8_TILE_HALF("r2", "r10", "r11")                                                            \
    "2:\n"                                                                                         \
    "ldmia r0!, {r4-r7}\n"                                                                         \
    MN_S8_TILE_HALF("r1", "r8", "r9")                                                              \
    MN_S8_TILE_HALF("r2", "r10", "r11")                                                            \
    "cmp r0, lr\n"                                                                                 \
    "bne 1b\n"
/* clang-format on */

/* Pairs of outputs at two pixels, from the columns to the bytes. The order of the members is that
 * in which the code loads them. */
typedef struct mn_s8_pairs {
    const int16_t *columns;
    const int8_t *weights;
    int32_t size; /* of a filter */
    const int32_t *bias;
    const int16_t *end; /* of the columns */
    const int32_t *multiplier;
    const int8_t *shift; /* all above 32 */
    int8_t *out0, *out1;
    int32_t half;      /* 1 + 2 * zero point */
    int32_t low, high; /* each twice, in halfwords */
    int32_t whole;     /* low and high are -128 and 127 */
    int32_t count;     /* at least one */
} mn_s8_pairs;

/* One output at two pixels, whose sums are in the registers a and b: r0 holds multipliers, r1
 * shifts, r5 half. (h + 2^n) >> (n + 1) is ((h >> n) + 1) >> 1, of which SSAT does the last part.
 */
#define MN_S8_TILE_SCALE(a, b)                                                                     \
    "ldr r12, [r0], #4\n"                                                                          \
    "ldrsb r6, [r1], #1\n"                                                                         \
    "smmul " a ", " a ", r12\n"                                                                    \
    "smmul " b ", " b ", r12\n"                                                                    \
    "sub r6, r6, #33\n"                                                                            \
    "asr " a ", " a ", r6\n"                                                                       \
    "asr " b ", " b ", r6\n"                                                                       \
    "add " a ", " a ", r5\n"                                                                       \
    "add " b ", " b ", r5\n"                                                                       \
    "ssat " a ", #8, " a ", asr #1\n"                                                              \
    "ssat " b ", #8, " b ", asr #1\n"

/* Two bytes at a time into [low, high], unless these are the whole grid. */
#define MN_S8_TILE_CLAMP                                                                           \
    "ldr r7, [r4, #48]\n"                                                                          \
    "cbnz r7, 3f\n"                                                                                \
    "ldrd r6, r7, [r4, #40]\n"                                                                     \
    "pkhbt r8, r8, r10, lsl #16\n"                                                                 \
    "pkhbt r9, r9, r11, lsl #16\n"                                                                 \
    "ssub16 r12, r8, r6\n"                                                                         \
    "sel r8, r8, r6\n"                                                                             \
    "ssub16 r12, r9, r6\n"                                                                         \
    "sel r9, r9, r6\n"                                                                             \
    "ssub16 r12, r7, r8\n"                                                                         \
    "sel r8, r8, r7\n"                                                                             \
    "ssub16 r12, r7, r9\n"                                                                         \
    "sel r9, r9, r7\n"                                                                             \
    "asr r10, r8, #16\n"                                                                           \
    "asr r11, r9, #16\n"                                                                           \
    "3:\n"

/* clang-format off */

MN_S8_NAKED void mn_s8_tile_pairs(mn_s8_pairs *pairs __attribute__((unused)))
{
    __asm__(
        "push {r0, r4-r11, lr}\n"
        "0:\n"
        "ldr r4, [sp]\n"
        "ldmia r4, {r0-r3, lr}\n" /* columns, weights, size, bias, end */
        "ldmia r3!, {r8, r10}\n"
        "add r12, r1, r2, lsl #1\n"
        "add r2, r1, r2\n"
        "str r12, [r4, #4]\n"
        "str r3, [r4, #12]\n"
        "mov r9, r8\n"
        "mov r11, r10\n"
        MN_S8_TILE_LOOP
        "ldr r4, [sp]\n"
        "add lr, r4, #20\n"
        "ldmia lr, {r0-r3, r5}\n" /* multiplier, shift, out0, out1, half */
        MN_S8_TILE_SCALE("r8", "r9")
        MN_S8_TILE_SCALE("r10", "r11")
        MN_S8_TILE_CLAMP
        "strb r8, [r2], #1\n"
        "strb r10, [r2], #1\n"
        "strb r9, [r3], #1\n"
        "strb r11, [r3], #1\n"
        "stmia lr, {r0-r3}\n"
        "ldr r12, [r4, #52]\n"
        "subs r12, r12, #1\n"
        "str r12, [r4, #52]\n"
        "bne 0b\n"
        "pop {r0, r4-r11, pc}\n");
}

/* sums of (first output, second output) x (first pixel, second pixel) over fours up to `end`. */
MN_S8_NAKED void mn_s8_tile_fours(const int16_t *columns __attribute__((unused)),
                                  const int8_t *w0 __attribute__((unused)),
                                  const int8_t *w1 __attribute__((unused)),
                                  int32_t sums[4] __attribute__((unused)),
                                  const int16_t *end __attribute__((unused)))
{
    __asm__(
        "push {r3-r11, lr}\n"
        "ldr lr, [sp, #40]\n"
        "ldmia r3, {r8-r11}\n"
        MN_S8_TILE_LOOP
        "ldr r3, [sp]\n"
        "stmia r3, {r8-r11}\n"
        "pop {r3-r11, pc}\n");
}

/* clang-format on */

/* sums of (first output, second output) x (first pixel, second pixel). */
static inline void mn_s8_column_dot(
    const int16_t *columns, const int8_t *w0, const int8_t *w1, int32_t size, int32_t sums[4])
{
    int32_t whole = size & ~3;
    int32_t k;
    if (whole > 0)
        mn_s8_tile_fours(columns, w0, w1, sums, columns + whole * 2);
    for (k = whole; k < size; k++) {
        int32_t x = columns[mn_s8_column_at(k)];
        int32_t y = columns[mn_s8_column_at(k) + 4];
        sums[0] += x * w0[k];
        sums[1] += y * w0[k];
        sums[2] += x * w1[k];
        sums[3] += y * w1[k];
    }
}

#else

/* One pixel behind the other. */
static inline int16_t *mn_s8_column_second(int16_t *columns, int32_t size)
{
    return columns + (size + 3) / 4 * 4;
}

static inline void
mn_s8_column_put(const mn_s8_column *column, int32_t k, const int8_t *from, int32_t count)
{
    int16_t *to = column->wide + k;
    int32_t zero = column->zero;
    int32_t i;
    for (i = 0; i < count; i++)
        to[i] = (int16_t)(from[i] - zero);
}

static inline void mn_s8_column_clear(const mn_s8_column *column, int32_t k, int32_t count)
{
    int32_t i;
    for (i = 0; i < count; i++)
        column->wide[k + i] = 0;
}

static inline void mn_s8_column_finish(const mn_s8_column *column, int32_t size)
{
    (void)column, (void)size;
}

/* sums of (first output, second output) x (first pixel, second pixel). */
MN_S8_LEAF void mn_s8_column_dot(
    const int16_t *columns, const int8_t *w0, const int8_t *w1, int32_t size, int32_t sums[4])
{
    const int16_t *x0 = columns;
    const int16_t *x1 = columns + (size + 3) / 4 * 4;
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    int32_t k = 0;
#if defined(MN_S8_MVE)
    for (; k + 8 <= size; k += 8) {
        int16x8_t first = vldrhq_s16(x0 + k), second = vldrhq_s16(x1 + k);
        int16x8_t weights = vldrbq_s16(w0 + k);
        s0 = vmladavaq_s16(s0, first, weights);
        s1 = vmladavaq_s16(s1, second, weights);
        weights = vldrbq_s16(w1 + k);
        s2 = vmladavaq_s16(s2, first, weights);
        s3 = vmladavaq_s16(s3, second, weights);
    }
#endif
    for (; k < size; k++) {
        s0 += x0[k] * w0[k];
        s1 += x1[k] * w0[k];
        s2 += x0[k] * w1[k];
        s3 += x1[k] * w1[k];
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

#endif
#endif

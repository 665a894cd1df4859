/*
 * Depthwise int8 convolution on Arm cores with the DSP extension, four channels at a time.
 * SPDX-License-Identifier: 0BSD
 *
 * Included by mn_s8_depthwise.h only.
 */
#ifndef MN_S8_DEPTHWISE_DSP_H
#define MN_S8_DEPTHWISE_DSP_H

#include "mn_s8_inner.h"

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

/* clang-format off */

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
    __asm__(
        "push {r0-r2, r4-r11, lr}\n"
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
        MN_S8_FOUR_TAPS("r0", "r1")
        MN_S8_FOUR_TAPS("r0, r2", "r1, r3")
        MN_S8_FOUR_TAPS("r0, r2, lsl #1", "r1, r3, lsl #1")
        "ldr r12, [sp, #4]\n"
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
        "4:\n"
        MN_S8_FOUR_TAPS("r0", "r1")
        "add r0, r0, r2\n"
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
        MN_S8_FOUR_SCALE("r8")
        MN_S8_FOUR_SCALE("r9")
        MN_S8_FOUR_SCALE("r10")
        MN_S8_FOUR_SCALE("r11")
        MN_S8_FOUR_CLAMP
        "strb r8, [r2], #1\n"
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

/* clang-format on */

#endif
#endif

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

static inline void mn_s8_column_store(int16_t *to, int16x2_t even, int16x2_t odd)
{
    uint32_t words[2];
    words[0] = (uint32_t)even;
    words[1] = (uint32_t)odd;
    __builtin_memcpy(to, words, sizeof words);
}

static inline void
mn_s8_column_put(int16_t *column, int32_t k, const int8_t *from, int32_t count, int32_t zero)
{
    int32_t end = k + count;
    for (; k < end && (k & 3) != 0; k++)
        column[mn_s8_column_at(k)] = (int16_t)(*from++ - zero);
    if (k + 4 <= end) {
        int16x2_t minus = mn_s8_twice(-zero);
        int16_t *to = column + k * 2;
        int16_t *last = column + (end & ~3) * 2;
        for (; to != last; to += 8) {
            uint32_t four = mn_s8_load4(from);
            from += 4;
            mn_s8_column_store(to, mn_s8_even(minus, four), mn_s8_odd(minus, four));
        }
        k = end & ~3;
    }
    for (; k < end; k++)
        column[mn_s8_column_at(k)] = (int16_t)(*from++ - zero);
}

static inline void mn_s8_column_clear(int16_t *column, int32_t k, int32_t count)
{
    int32_t end = k + count;
    for (; k < end && (k & 3) != 0; k++)
        column[mn_s8_column_at(k)] = 0;
    for (; k + 4 <= end; k += 4)
        mn_s8_column_store(column + k * 2, 0, 0);
    for (; k < end; k++)
        column[mn_s8_column_at(k)] = 0;
}

/* sums of (first output, second output) x (first pixel, second pixel). */
static inline void mn_s8_column_dot(
    const int16_t *columns, const int8_t *w0, const int8_t *w1, int32_t size, int32_t sums[4])
{
    const int16_t *end = columns + size / 4 * 8;
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    int32_t k;
    while (columns != end) {
        int16x2_t x[4];
        int16x2_t even, odd;
        uint32_t four = mn_s8_load4(w0);
        __builtin_memcpy(x, columns, sizeof x);
        columns += 8;
        w0 += 4;
        even = mn_s8_even_bytes(four);
        odd = mn_s8_odd_bytes(four);
        s0 = __smlad(x[1], odd, __smlad(x[0], even, s0));
        s1 = __smlad(x[3], odd, __smlad(x[2], even, s1));
        four = mn_s8_load4(w1);
        w1 += 4;
        even = mn_s8_even_bytes(four);
        odd = mn_s8_odd_bytes(four);
        s2 = __smlad(x[1], odd, __smlad(x[0], even, s2));
        s3 = __smlad(x[3], odd, __smlad(x[2], even, s3));
    }
    for (k = 0; k < (size & 3); k++) {
        int32_t at = mn_s8_column_at(k);
        s0 += columns[at] * w0[k];
        s1 += columns[at + 4] * w0[k];
        s2 += columns[at] * w1[k];
        s3 += columns[at + 4] * w1[k];
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

#else

/* One pixel behind the other. */
static inline int16_t *mn_s8_column_second(int16_t *columns, int32_t size)
{
    return columns + (size + 3) / 4 * 4;
}

static inline void
mn_s8_column_put(int16_t *column, int32_t k, const int8_t *from, int32_t count, int32_t zero)
{
    int32_t i;
    for (i = 0; i < count; i++)
        column[k + i] = (int16_t)(from[i] - zero);
}

static inline void mn_s8_column_clear(int16_t *column, int32_t k, int32_t count)
{
    int32_t i;
    for (i = 0; i < count; i++)
        column[k + i] = 0;
}

/* sums of (first output, second output) x (first pixel, second pixel). */
static inline void mn_s8_column_dot(
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

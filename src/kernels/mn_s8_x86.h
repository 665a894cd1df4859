/*
 * Convolution with AVX2, and with AVX-512 VNNI where the compiler may use that.
 * SPDX-License-Identifier: 0BSD
 *
 * Included by mn_s8_conv.c only. The filters of a block of outputs are packed so that a register
 * holds the next few weights of each, then eight pixels are summed at a time, whose windows lie in
 * columns. Both live on the stack, which hosts have: about 96 KB. With AVX2 a step takes two
 * elements of 16 bits, less the zero point. With VNNI it takes four of 8 bits, the weights as
 * w + 128, since one factor must be unsigned: sum of x * (w + 128), less 128 times the sum of x,
 * less the zero point times the sum of w. Partial sums may wrap, the whole one fits.
 */
#ifndef MN_S8_X86_H
#define MN_S8_X86_H

#include "mn_s8_inner.h"

#if defined(MN_S8_AVX2)
#include <string.h>

#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
#define MN_S8_VNNI 1
enum { MN_S8_LANES = 16, MN_S8_STEP = 4 };
typedef __m512i mn_s8_lanes;
#else
enum { MN_S8_LANES = 8, MN_S8_STEP = 2 };
typedef __m256i mn_s8_lanes;
#endif

enum { MN_S8_PIXELS = 8, MN_S8_STEPS = 1024, MN_S8_BLOCKS = 16, MN_S8_WORDS = 16384 };

/* Outputs of one block; those past the last are zero. */
typedef struct mn_s8_block {
    int32_t live;
    int32_t start[MN_S8_LANES]; /* what a sum begins with */
    int32_t multiplier[MN_S8_LANES];
    int64_t shift[2][MN_S8_LANES / 2]; /* of even outputs, of odd ones */
    int8_t *out;                       /* of pixel 0 */
} mn_s8_block;

/* What the stack holds: columns (pixels, steps) and filters (blocks, steps, lanes), both in words
 * of MN_S8_STEP elements. */
typedef struct mn_s8_stage {
    int32_t columns[MN_S8_PIXELS][MN_S8_STEPS];
    int32_t column_sums[MN_S8_PIXELS];
    int32_t weights[MN_S8_WORDS];
    mn_s8_block blocks[MN_S8_BLOCKS];
} mn_s8_stage;

/* Elements k on of a row as one word; `size`: how many there are. */
static inline int32_t mn_s8_word(const int8_t *row, int32_t k, int32_t size)
{
    int32_t word = 0;
#if defined(MN_S8_VNNI)
    memcpy(&word, row + k, (size_t)(size - k < 4 ? size - k : 4));
    return (int32_t)((uint32_t)word ^ 0x80808080u);
#else
    word = row[k] & 0xffff;
    return k + 1 < size ? (int32_t)((uint32_t)row[k + 1] << 16 | (uint32_t)word) : word;
#endif
}

/* Outputs [o, o + live) to a block and its weights (steps, lanes). */
static void mn_s8_pack(const mn_s8_filter *filter,
                       int32_t size,
                       int32_t zero,
                       int32_t o,
                       mn_s8_block *block,
                       int32_t *weights)
{
    int32_t lane, k;
    for (lane = 0; lane < MN_S8_LANES; lane++) {
        int32_t live = lane < block->live;
        const int8_t *row = filter->weights + (live ? o + lane : o) * size;
        int32_t sum = 0; /* at most 127 * 4096 in magnitude */
        for (k = 0; k < size; k += MN_S8_STEP)
            weights[k / MN_S8_STEP * MN_S8_LANES + lane] = mn_s8_word(row, k, size);
#if defined(MN_S8_VNNI)
        for (k = 0; k < size; k++)
            sum += row[k];
        sum *= zero;
#else
        (void)zero;
#endif
        block->start[lane] = live ? filter->bias[o + lane] - sum : 0;
        block->multiplier[lane] = live ? filter->multiplier[o + lane] : 0;
        block->shift[lane & 1][lane / 2] = live ? filter->shift[o + lane] : 1;
    }
}

/* The window of output pixel p in group g, and with VNNI 128 times its sum. */
static int32_t mn_s8_stage_fill(
    const mn_s8_conv_plan *plan, const int8_t *in, int32_t g, int32_t p, int32_t *words)
{
    const mn_s8_window *window = plan->window;
    mn_s8_taps taps = mn_s8_clip(window, p / window->out_w, p % window->out_w);
    const int8_t *from =
        in + (taps.y * window->in_w + taps.x) * window->in_stride + g * plan->inputs;
    int32_t inside = (taps.kx_end - taps.kx) * plan->inputs;
    int32_t run = plan->side_by_side ? inside : plan->inputs;
    int32_t steps = (plan->size + MN_S8_STEP - 1) / MN_S8_STEP;
    int8_t bytes[MN_S8_STEPS * 4];
    int32_t sum = 0;
    int32_t r, k;
    if (inside != plan->row || taps.ky_end - taps.ky != window->kernel_h)
        memset(bytes, window->in_zero, (size_t)plan->size);
    for (r = taps.ky; r < taps.ky_end; r++) {
        int8_t *to = bytes + r * plan->row + taps.kx * plan->inputs;
        for (k = 0; k < inside; k += run)
            memcpy(to + k, from + k / run * plan->column_step, (size_t)run);
        from += plan->row_step;
    }
#if defined(MN_S8_VNNI)
    memset(bytes + plan->size, 0, (size_t)(steps * 4 - plan->size));
    for (k = 0; k < steps * 4; k++)
        sum += bytes[k];
    memcpy(words, bytes, (size_t)steps * 4);
#else
    bytes[plan->size] = (int8_t)window->in_zero;
    for (k = 0; k < steps; k++) {
        int32_t first = bytes[2 * k] - window->in_zero;
        int32_t second = bytes[2 * k + 1] - window->in_zero;
        words[k] = (int32_t)((uint32_t)second << 16 | ((uint32_t)first & 0xffffu));
    }
#endif
    return (int32_t)((uint32_t)sum * 128u);
}

/* Four products of 64 bits to outputs of 64 bits: AVX2 has no arithmetic shift of these, so they
 * are shifted as numbers from 0 on. */
static inline __m256i
mn_s8_scale4(__m256i product, const int64_t *shifts, const mn_s8_window *window)
{
    __m256i shift = _mm256_loadu_si256((const __m256i *)(const void *)shifts);
    __m256i one = _mm256_set1_epi64x(1);
    __m256i sign = _mm256_set1_epi64x(INT64_MIN);
    __m256i low = _mm256_set1_epi64x(window->low);
    __m256i high = _mm256_set1_epi64x(window->high);
    __m256i half = _mm256_sllv_epi64(one, _mm256_sub_epi64(shift, one));
    __m256i value = _mm256_xor_si256(_mm256_add_epi64(product, half), sign);
    value = _mm256_sub_epi64(_mm256_srlv_epi64(value, shift), _mm256_srlv_epi64(sign, shift));
    value = _mm256_add_epi64(value, _mm256_set1_epi64x(window->out_zero));
    value = _mm256_blendv_epi8(value, low, _mm256_cmpgt_epi64(low, value));
    return _mm256_blendv_epi8(value, high, _mm256_cmpgt_epi64(value, high));
}

/* Eight outputs of a block, from lane `first` on. */
static inline void mn_s8_store8(
    __m256i sums, const mn_s8_block *block, int32_t first, const mn_s8_window *window, int8_t *out)
{
    const int32_t *factors = block->multiplier + first;
    __m256i factor = _mm256_loadu_si256((const __m256i *)(const void *)factors);
    __m256i even = _mm256_mul_epi32(sums, factor);
    __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(sums, 32), _mm256_srli_epi64(factor, 32));
    __m128i bytes;
    even = mn_s8_scale4(even, block->shift[0] + first / 2, window);
    odd = mn_s8_scale4(odd, block->shift[1] + first / 2, window);
    even = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
    bytes = _mm_packs_epi32(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
    bytes = _mm_packs_epi16(bytes, bytes);
    if (block->live - first >= 8) {
        _mm_storel_epi64((__m128i *)(void *)(out + first), bytes);
    } else if (block->live > first) {
        int8_t rest[16];
        _mm_storeu_si128((__m128i *)(void *)rest, bytes);
        memcpy(out + first, rest, (size_t)(block->live - first));
    }
}

#if defined(MN_S8_VNNI)

static inline __m512i mn_s8_step(__m512i sum, __m512i weights, int32_t word)
{
    return _mm512_dpbusd_epi32(sum, weights, _mm512_set1_epi32(word));
}

static inline mn_s8_lanes mn_s8_load(const int32_t *from)
{
    return _mm512_loadu_si512((const void *)from);
}

static inline void mn_s8_store(
    __m512i sums, int32_t minus, const mn_s8_block *block, const mn_s8_window *window, int8_t *out)
{
    sums = _mm512_sub_epi32(sums, _mm512_set1_epi32(minus));
    mn_s8_store8(_mm512_castsi512_si256(sums), block, 0, window, out);
    mn_s8_store8(_mm512_extracti64x4_epi64(sums, 1), block, 8, window, out);
}

#else

static inline __m256i mn_s8_step(__m256i sum, __m256i weights, int32_t word)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(weights, _mm256_set1_epi32(word)));
}

static inline mn_s8_lanes mn_s8_load(const int32_t *from)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

static inline void mn_s8_store(
    __m256i sums, int32_t minus, const mn_s8_block *block, const mn_s8_window *window, int8_t *out)
{
    (void)minus;
    mn_s8_store8(sums, block, 0, window, out);
}

#endif

/* One block at eight pixels from p on, as many of which as there are. */
static void mn_s8_stage_tile(const mn_s8_stage *stage,
                             const mn_s8_block *block,
                             const int32_t *weights,
                             int32_t steps,
                             const mn_s8_window *window,
                             int32_t p)
{
    int32_t pixels = window->out_h * window->out_w - p;
    mn_s8_lanes sums[MN_S8_PIXELS];
    int32_t s, i;
    for (i = 0; i < MN_S8_PIXELS; i++)
        sums[i] = mn_s8_load(block->start);
    for (s = 0; s < steps; s++) {
        mn_s8_lanes w = mn_s8_load(weights + s * MN_S8_LANES);
        for (i = 0; i < MN_S8_PIXELS; i++)
            sums[i] = mn_s8_step(sums[i], w, stage->columns[i][s]);
    }
    for (i = 0; i < MN_S8_PIXELS && i < pixels; i++)
        mn_s8_store(sums[i],
                    stage->column_sums[i],
                    block,
                    window,
                    block->out + (p + i) * window->out_stride);
}

/* True when it did the convolution; filters may be too large, or too few. */
static int32_t mn_s8_conv_staged(const mn_s8_conv_plan *plan, const int8_t *in, int8_t *out)
{
    mn_s8_stage stage;
    const mn_s8_window *window = plan->window;
    int32_t pixels = window->out_h * window->out_w;
    int32_t steps = (plan->size + MN_S8_STEP - 1) / MN_S8_STEP;
    int32_t first, group_end, b, p, i;
    if (steps > MN_S8_STEPS || plan->outputs < 3)
        return 0;
    for (first = 0; first < window->out_c;) {
        int32_t g = first / plan->outputs;
        int32_t count = 0;
        group_end = (g + 1) * plan->outputs;
        while (first < group_end && count < MN_S8_BLOCKS &&
               (count + 1) * steps * MN_S8_LANES <= MN_S8_WORDS) {
            mn_s8_block *block = &stage.blocks[count];
            int32_t rest = group_end - first;
            block->live = rest < MN_S8_LANES ? rest : (int32_t)MN_S8_LANES;
            block->out = out + first;
            mn_s8_pack(plan->filter,
                       plan->size,
                       window->in_zero,
                       first,
                       block,
                       stage.weights + count++ * steps * MN_S8_LANES);
            first += block->live;
        }
        for (p = 0; p < pixels; p += MN_S8_PIXELS) {
            for (i = 0; i < MN_S8_PIXELS; i++)
                if (i == 0 || p + i < pixels)
                    stage.column_sums[i] = mn_s8_stage_fill(plan, in, g, p + i, stage.columns[i]);
                else
                    memcpy(stage.columns[i], stage.columns[0], (size_t)steps * 4);
            for (b = 0; b < count; b++)
                mn_s8_stage_tile(&stage,
                                 &stage.blocks[b],
                                 stage.weights + b * steps * MN_S8_LANES,
                                 steps,
                                 window,
                                 p);
        }
    }
    return 1;
}

#endif
#endif

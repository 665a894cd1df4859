/*
 * Convolution with AVX2, and with AVX-512 VNNI where the compiler may use that.
 * SPDX-License-Identifier: 0BSD
 *
 * Included by mn_s8_conv.c only. Filters are packed so that a register holds the next few weights
 * of a block of outputs. A band of the image is copied with its padding, so that every window is
 * whole and its taps are at the same distances: then eight pixels are summed at a time. Both copies
 * live on the stack, which hosts have: about 120 KB. With AVX2 a step takes two elements of 16
 * bits, less the zero point. With VNNI it takes four of 8 bits, those of the image as x + 128,
 * since one factor must be unsigned; what that is too much, and the zero point, are taken off
 * before: both are constants times the sum of a filter.
 */
#ifndef MN_S8_X86_H
#define MN_S8_X86_H

#include "mn_s8_inner.h"

#if defined(MN_S8_AVX2)
#include <string.h>

#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
#define MN_S8_VNNI 1
/* MN_S8_ALL: the mask of eight lanes. In C++ gcc 12 warns about its own forms without one. */
enum { MN_S8_LANES = 16, MN_S8_STEP = 4, MN_S8_BAND = 49152, MN_S8_ALL = 0xff };
typedef __m512i mn_s8_lanes;
typedef uint8_t mn_s8_element;
#else
enum { MN_S8_LANES = 8, MN_S8_STEP = 2, MN_S8_BAND = 24576 };
typedef __m256i mn_s8_lanes;
typedef int16_t mn_s8_element;
#endif

enum { MN_S8_PIXELS = 8, MN_S8_BLOCKS = 16, MN_S8_WORDS = 16384 };

/* Outputs of one block; those past the last are zero. */
typedef struct mn_s8_block {
    int32_t live;
    int32_t start[MN_S8_LANES]; /* what a sum begins with */
    int32_t multiplier[MN_S8_LANES];
    int64_t shift[2][MN_S8_LANES / 2]; /* of even outputs, of odd ones */
    int8_t *out;                       /* of pixel 0 */
} mn_s8_block;

/* What the stack holds. A word is MN_S8_STEP elements. */
typedef struct mn_s8_stage {
    mn_s8_element band[MN_S8_BAND + MN_S8_STEP]; /* (rows, columns, inputs) */
    int32_t weights[MN_S8_WORDS];                /* words (blocks, steps, lanes) */
    mn_s8_block blocks[MN_S8_BLOCKS];
} mn_s8_stage;

/* How a convolution is cut: a filter is kernel_h rows of `runs` runs of adjacent elements, of so
 * many words; what is past the end of a run has no weight. */
typedef struct mn_s8_cut {
    int32_t runs, run, words; /* run: elements */
    int32_t steps;            /* words of a filter */
    int32_t columns, width;   /* of a band, in pixels and in elements */
    int32_t rows;             /* output rows of a band; 0: none would fit */
} mn_s8_cut;

static mn_s8_cut mn_s8_cut_make(const mn_s8_conv_plan *plan)
{
    const mn_s8_window *window = plan->window;
    int64_t span = (int64_t)(window->kernel_h - 1) * window->dilation_h + 1;
    int64_t columns = (int64_t)(window->out_w - 1) * window->stride_w +
                      (int64_t)(window->kernel_w - 1) * window->dilation_w + 1;
    int64_t most = MN_S8_BAND / (columns * plan->inputs); /* rows that fit */
    int64_t rows = most < span ? 0 : (most - span) / window->stride_h + 1;
    mn_s8_cut cut;
    cut.runs = window->dilation_w == 1 ? 1 : window->kernel_w;
    cut.run = window->dilation_w == 1 ? plan->row : plan->inputs;
    cut.words = (cut.run + MN_S8_STEP - 1) / MN_S8_STEP;
    cut.steps = window->kernel_h * cut.runs * cut.words;
    cut.columns = rows == 0 ? 0 : (int32_t)columns;
    cut.width = cut.columns * plan->inputs;
    cut.rows = rows < window->out_h ? (int32_t)rows : window->out_h;
    return cut;
}

/* An element of the image as the sums take it. */
static inline mn_s8_element mn_s8_widen(int8_t x, int32_t zero)
{
#if defined(MN_S8_VNNI)
    (void)zero;
    return (uint8_t)((uint8_t)x ^ 0x80u);
#else
    return (int16_t)(x - zero);
#endif
}

/* Weights k on of a run as one word; `size`: how many it has. */
static inline int32_t mn_s8_word(const int8_t *run, int32_t k, int32_t size)
{
    int32_t word = 0;
#if defined(MN_S8_VNNI)
    if (size - k >= 4)
        memcpy(&word, run + k, 4);
    else
        memcpy(&word, run + k, (size_t)(size - k));
    return word;
#else
    word = run[k] & 0xffff;
    return k + 1 < size ? (int32_t)((uint32_t)run[k + 1] << 16 | (uint32_t)word) : word;
#endif
}

/* What is too much in a sum of products with this filter. */
static inline int32_t mn_s8_excess(const int8_t *weights, int32_t size, int32_t zero)
{
    int32_t sum = 0; /* at most 127 * 4096 in magnitude */
#if defined(MN_S8_VNNI)
    int32_t k;
    for (k = 0; k < size; k++)
        sum += weights[k];
    sum *= 128 + zero;
#else
    (void)weights, (void)size, (void)zero;
#endif
    return sum;
}

/* Outputs [o, o + live) to a block and its weights (steps, lanes). */
static void mn_s8_pack(const mn_s8_conv_plan *plan,
                       const mn_s8_cut *cut,
                       int32_t o,
                       mn_s8_block *block,
                       int32_t *weights)
{
    const mn_s8_filter *filter = plan->filter;
    int32_t lane, r, k;
    for (lane = 0; lane < MN_S8_LANES; lane++) {
        int32_t live = lane < block->live;
        const int8_t *row = filter->weights + (live ? o + lane : o) * plan->size;
        int32_t *to = weights + lane;
        for (r = 0; r < plan->window->kernel_h * cut->runs; r++)
            for (k = 0; k < cut->run; k += MN_S8_STEP, to += MN_S8_LANES)
                *to = mn_s8_word(row + r * cut->run, k, cut->run);
        block->start[lane] =
            live ? filter->bias[o + lane] - mn_s8_excess(row, plan->size, plan->window->in_zero)
                 : 0;
        block->multiplier[lane] = live ? filter->multiplier[o + lane] : 0;
        block->shift[lane & 1][lane / 2] = live ? filter->shift[o + lane] : 1;
    }
}

/* `count` elements of padding; returns where the next element goes. */
static mn_s8_element *mn_s8_band_pad(mn_s8_element *to, int32_t count, int32_t zero)
{
    const mn_s8_element padding = mn_s8_widen((int8_t)zero, zero);
    int32_t k;
    for (k = 0; k < count; k++)
        to[k] = padding;
    return to + count;
}

/* One row of a band; `from` is at the group's first channel of the image's row. */
static void mn_s8_band_row(const mn_s8_conv_plan *plan,
                           const mn_s8_cut *cut,
                           const int8_t *from,
                           mn_s8_element *to)
{
    const mn_s8_window *window = plan->window;
    const int32_t zero = window->in_zero;
    int32_t left = window->pad_left < cut->columns ? window->pad_left : cut->columns;
    int32_t pixels = cut->columns - left < window->in_w ? cut->columns - left : window->in_w;
    int32_t k, p;
    to = mn_s8_band_pad(to, left * plan->inputs, zero);
    if (window->in_stride == plan->inputs) {
        for (k = 0; k < pixels * plan->inputs; k++)
            to[k] = mn_s8_widen(from[k], zero);
    } else {
        for (p = 0; p < pixels; p++)
            for (k = 0; k < plan->inputs; k++)
                to[p * plan->inputs + k] = mn_s8_widen(from[p * window->in_stride + k], zero);
    }
    to += pixels * plan->inputs;
    mn_s8_band_pad(to, (cut->columns - left - pixels) * plan->inputs, zero);
}

/* The input of output rows [y, y + rows), of the group whose first channel is at `in`. */
static void mn_s8_band_fill(const mn_s8_conv_plan *plan,
                            const mn_s8_cut *cut,
                            const int8_t *in,
                            int32_t y,
                            int32_t rows,
                            mn_s8_element *band)
{
    const mn_s8_window *window = plan->window;
    int32_t first = y * window->stride_h - window->pad_top;
    int32_t count = (rows - 1) * window->stride_h + (window->kernel_h - 1) * window->dilation_h + 1;
    int32_t r, k;
    for (r = first; r < first + count; r++, band += cut->width) {
        if (r >= 0 && r < window->in_h)
            mn_s8_band_row(plan, cut, in + r * window->in_w * window->in_stride, band);
        else
            mn_s8_band_pad(band, cut->width, window->in_zero);
    }
    for (k = 0; k < MN_S8_STEP; k++) /* the last run's last word ends here */
        band[k] = 0;
}

#if defined(MN_S8_VNNI)

static inline mn_s8_lanes mn_s8_step(mn_s8_lanes sum, mn_s8_lanes weights, int32_t word)
{
    return _mm512_dpbusd_epi32(sum, _mm512_set1_epi32(word), weights);
}

static inline mn_s8_lanes mn_s8_load(const void *from)
{
    return _mm512_loadu_si512(from);
}

/* Eight products of 64 bits to outputs of 64 bits. */
static inline __m512i
mn_s8_scale8(__m512i product, const int64_t *shifts, const mn_s8_window *window)
{
    __m512i shift = mn_s8_load(shifts);
    __m512i one = _mm512_set1_epi64(1);
    __m512i half = _mm512_maskz_sllv_epi64(MN_S8_ALL, one, _mm512_sub_epi64(shift, one));
    __m512i value = _mm512_maskz_srav_epi64(MN_S8_ALL, _mm512_add_epi64(product, half), shift);
    value = _mm512_add_epi64(value, _mm512_set1_epi64(window->out_zero));
    value = _mm512_maskz_max_epi64(MN_S8_ALL, value, _mm512_set1_epi64(window->low));
    return _mm512_maskz_min_epi64(MN_S8_ALL, value, _mm512_set1_epi64(window->high));
}

/* All outputs of a block at one pixel. */
static inline void
mn_s8_store(mn_s8_lanes sums, const mn_s8_block *block, const mn_s8_window *window, int8_t *out)
{
    __m512i factor = mn_s8_load(block->multiplier);
    __m512i even = _mm512_maskz_mul_epi32(MN_S8_ALL, sums, factor);
    __m512i odd = _mm512_maskz_mul_epi32(MN_S8_ALL,
                                         _mm512_maskz_srli_epi64(MN_S8_ALL, sums, 32),
                                         _mm512_maskz_srli_epi64(MN_S8_ALL, factor, 32));
    __m128i bytes;
    even = mn_s8_scale8(even, block->shift[0], window);
    odd = mn_s8_scale8(odd, block->shift[1], window);
    even = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_maskz_slli_epi64(MN_S8_ALL, odd, 32));
    bytes = _mm512_maskz_cvtepi32_epi8(0xffff, even);
    if (block->live == MN_S8_LANES) {
        _mm_storeu_si128((__m128i *)(void *)out, bytes);
    } else {
        int8_t rest[16];
        _mm_storeu_si128((__m128i *)(void *)rest, bytes);
        memcpy(out, rest, (size_t)block->live);
    }
}

#else

static inline mn_s8_lanes mn_s8_step(mn_s8_lanes sum, mn_s8_lanes weights, int32_t word)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(weights, _mm256_set1_epi32(word)));
}

static inline mn_s8_lanes mn_s8_load(const void *from)
{
    return _mm256_loadu_si256((const __m256i *)from);
}

/* Four products of 64 bits to outputs of 64 bits: AVX2 has no arithmetic shift of these, so they
 * are shifted as numbers from 0 on. */
static inline __m256i
mn_s8_scale4(__m256i product, const int64_t *shifts, const mn_s8_window *window)
{
    __m256i shift = mn_s8_load(shifts);
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

/* All outputs of a block at one pixel. */
static inline void
mn_s8_store(mn_s8_lanes sums, const mn_s8_block *block, const mn_s8_window *window, int8_t *out)
{
    __m256i factor = mn_s8_load(block->multiplier);
    __m256i even = _mm256_mul_epi32(sums, factor);
    __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(sums, 32), _mm256_srli_epi64(factor, 32));
    __m128i bytes;
    even = mn_s8_scale4(even, block->shift[0], window);
    odd = mn_s8_scale4(odd, block->shift[1], window);
    even = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
    bytes = _mm_packs_epi32(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
    bytes = _mm_packs_epi16(bytes, bytes);
    if (block->live == MN_S8_LANES) {
        _mm_storel_epi64((__m128i *)(void *)out, bytes);
    } else {
        int8_t rest[16];
        _mm_storeu_si128((__m128i *)(void *)rest, bytes);
        memcpy(out, rest, (size_t)block->live);
    }
}

#endif

/* Sums of one block at eight pixels whose windows begin at `at`. */
static inline void mn_s8_sum(const mn_s8_conv_plan *plan,
                             const mn_s8_cut *cut,
                             const int32_t *weights,
                             const mn_s8_element *const at[MN_S8_PIXELS],
                             mn_s8_lanes sums[MN_S8_PIXELS])
{
    int32_t r, k, i;
    for (r = 0; r < plan->window->kernel_h * cut->runs; r++) {
        int32_t offset = r / cut->runs * plan->window->dilation_h * cut->width +
                         r % cut->runs * plan->window->dilation_w * plan->inputs;
        for (k = 0; k < cut->words; k++, offset += MN_S8_STEP, weights += MN_S8_LANES) {
            mn_s8_lanes w = mn_s8_load(weights);
            for (i = 0; i < MN_S8_PIXELS; i++) {
                int32_t word;
                memcpy(&word, at[i] + offset, sizeof word);
                sums[i] = mn_s8_step(sums[i], w, word);
            }
        }
    }
}

/* All blocks at output pixels [p, p + MN_S8_PIXELS) of a band that begins with pixel `first` and
 * has `count`. */
static void mn_s8_stage_tile(const mn_s8_conv_plan *plan,
                             const mn_s8_cut *cut,
                             const mn_s8_stage *stage,
                             int32_t blocks,
                             int32_t first,
                             int32_t count,
                             int32_t p)
{
    const mn_s8_window *window = plan->window;
    const mn_s8_element *at[MN_S8_PIXELS];
    mn_s8_lanes sums[MN_S8_PIXELS];
    int32_t live = count - p < MN_S8_PIXELS ? count - p : (int32_t)MN_S8_PIXELS;
    int32_t b, i;
    for (i = 0; i < MN_S8_PIXELS; i++) {
        int32_t pixel = i < live ? p + i : p;
        at[i] = stage->band + pixel / window->out_w * window->stride_h * cut->width +
                pixel % window->out_w * window->stride_w * plan->inputs;
    }
    for (b = 0; b < blocks; b++) {
        const mn_s8_block *block = &stage->blocks[b];
        int8_t *out = block->out + (first + p) * window->out_stride;
        for (i = 0; i < MN_S8_PIXELS; i++)
            sums[i] = mn_s8_load(block->start);
        mn_s8_sum(plan, cut, stage->weights + b * cut->steps * MN_S8_LANES, at, sums);
        for (i = 0; i < live; i++)
            mn_s8_store(sums[i], block, window, out + i * window->out_stride);
    }
}

/* Blocks of outputs from `first` on, up to the end of group g; returns how many there is room for:
 * at least one, as the caller's filters are no longer than all words. */
static int32_t mn_s8_stage_pack(const mn_s8_conv_plan *plan,
                                const mn_s8_cut *cut,
                                int32_t first,
                                int32_t g,
                                int8_t *out,
                                mn_s8_stage *stage)
{
    const int32_t words = cut->steps * MN_S8_LANES;
    int32_t end = (g + 1) * plan->outputs;
    int32_t count = 0;
    do {
        mn_s8_block *block = &stage->blocks[count];
        block->live = end - first < MN_S8_LANES ? end - first : (int32_t)MN_S8_LANES;
        block->out = out + first;
        mn_s8_pack(plan, cut, first, block, stage->weights + count * words);
        first += block->live;
        count++;
    } while (first < end && count < MN_S8_BLOCKS && (count + 1) * words <= MN_S8_WORDS);
    return count;
}

/* True when it did the convolution; filters or rows may be too large, or outputs too few. */
static int32_t mn_s8_conv_staged(const mn_s8_conv_plan *plan, const int8_t *in, int8_t *out)
{
    mn_s8_stage stage;
    const mn_s8_window *window = plan->window;
    const mn_s8_cut cut = mn_s8_cut_make(plan);
    int32_t first, y, p;
    if (cut.rows == 0 || cut.steps > MN_S8_WORDS / MN_S8_LANES || plan->outputs < 3)
        return 0;
    for (first = 0; first < window->out_c;) {
        int32_t g = first / plan->outputs;
        int32_t blocks = mn_s8_stage_pack(plan, &cut, first, g, out, &stage);
        for (y = 0; y < window->out_h; y += cut.rows) {
            int32_t rows = window->out_h - y < cut.rows ? window->out_h - y : cut.rows;
            int32_t count = rows * window->out_w;
            mn_s8_band_fill(plan, &cut, in + g * plan->inputs, y, rows, stage.band);
            for (p = 0; p < count; p += MN_S8_PIXELS)
                mn_s8_stage_tile(plan, &cut, &stage, blocks, y * window->out_w, count, p);
        }
        first += (blocks - 1) * MN_S8_LANES + stage.blocks[blocks - 1].live;
    }
    return 1;
}

#endif
#endif

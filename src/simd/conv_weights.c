/*
 * The weight gradient of a dense convolution: for each tap a product of (in lanes x pixels) and
 * (pixels x out lanes). IN x OUT sums stay in registers while a few rows of pixels, small enough
 * for the first cache, pass by.
 *
 * The bf16 instruction multiplies pairs along the summed dimension, which here are pixels: both
 * sides are copied with neighbouring pixels interleaved first.
 */
#include "simd/kernels.h"

enum {
#if MN_LANES == 16
    in_at_once = 8, /* input lanes of a tile with two output blocks */
#elif defined(__AVX2__)
    in_at_once = 4,
#else
    in_at_once = 2,
#endif
    most_blocks = 2,
    chunk_pixels = 128 /* times 3 blocks of 64 bytes: half of the first cache */
};

/* One tap, IN input lanes from `x` on, BLOCKS output blocks, `rows` rows. gradient: (IN,
 * BLOCKS,MN_LANES). */
typedef struct piece {
    const element *x; /* bf16: pairs (pixel,lanes,2) */
    size_t x_row, x_step;
    const element *d; /* bf16: pairs (BLOCKS,pixel / 2,lanes,2) */
    size_t d_plane, d_row;
    uint32_t rows, columns; /* bf16: pairs of columns */
    float *gradient;
} piece;

MN_INLINE void accumulate(const uint32_t IN, const uint32_t BLOCKS, const piece *p)
{
    vec sums[MN_LANES][most_blocks];
#pragma GCC unroll 16
    for (uint32_t k = 0; k < IN; k++)
#pragma GCC unroll 2
        for (uint32_t b = 0; b < BLOCKS; b++)
            sums[k][b] = vec_load(p->gradient + ((size_t)k * BLOCKS + b) * MN_LANES);
    for (uint32_t y = 0; y < p->rows; y++) {
        const element *x = p->x + y * p->x_row;
        const element *d = p->d + y * p->d_row;
        for (uint32_t i = 0; i < p->columns; i++, x += p->x_step) {
#if MN_BF16
            __m512bh d0 = (__m512bh)_mm512_loadu_si512(d);
            __m512bh d1 = BLOCKS > 1 ? (__m512bh)_mm512_loadu_si512(d + p->d_plane) : d0;
            d += 2 * MN_LANES;
#pragma GCC unroll 16
            for (uint32_t k = 0; k < IN; k++) {
                int32_t pair;
                memcpy(&pair, x + (size_t)2 * k, sizeof pair);
                __m512bh both = (__m512bh)_mm512_set1_epi32(pair);
                sums[k][0] = (vec)_mm512_dpbf16_ps((__m512)sums[k][0], d0, both);
                if (BLOCKS > 1)
                    sums[k][1] = (vec)_mm512_dpbf16_ps((__m512)sums[k][1], d1, both);
            }
#else
            vec d0 = vec_load(d);
            vec d1 = BLOCKS > 1 ? vec_load(d + p->d_plane) : d0;
            d += MN_LANES;
#pragma GCC unroll 16
            for (uint32_t k = 0; k < IN; k++) {
                vec both = vec_all(x[k]);
                sums[k][0] += both * d0;
                if (BLOCKS > 1)
                    sums[k][1] += both * d1;
            }
#endif
        }
    }
#pragma GCC unroll 16
    for (uint32_t k = 0; k < IN; k++)
#pragma GCC unroll 2
        for (uint32_t b = 0; b < BLOCKS; b++)
            vec_store(p->gradient + ((size_t)k * BLOCKS + b) * MN_LANES, sums[k][b]);
}

static void accumulate_2(const piece *p)
{
    accumulate(in_at_once, 2, p);
}

static void accumulate_half_2(const piece *p)
{
    accumulate(in_at_once / 2, 2, p);
}

static void accumulate_1(const piece *p)
{
    accumulate(2 * in_at_once, 1, p);
}

static void accumulate_half_1(const piece *p)
{
    accumulate(in_at_once, 1, p);
}

static void accumulate_quarter_1(const piece *p)
{
    accumulate(in_at_once / 2, 1, p);
}

/* All input lanes of one tap. `lane_step`: elements from one input lane to the next. */
static void run_tap(piece p, uint32_t blocks, uint32_t lanes, size_t lane_step)
{
    uint32_t step = blocks == 1 ? 2 * in_at_once : in_at_once;
    void (*run)(const piece *) = blocks == 1 ? accumulate_1 : accumulate_2;
    if (lanes <= in_at_once / 2) {
        step = in_at_once / 2;
        run = blocks == 1 ? accumulate_quarter_1 : accumulate_half_2;
    } else if (lanes <= in_at_once && blocks == 1) {
        step = in_at_once;
        run = accumulate_half_1;
    }
    for (uint32_t k = 0; k < lanes; k += step) {
        run(&p);
        p.x += step * lane_step;
        p.gradient += (size_t)step * blocks * MN_LANES;
    }
}

#if MN_BF16
/* (pixel q, pixel q + step) of each lane side by side, for every q of the padded image. */
static void pair_image(const mn__conv_weights_pass *c, const element *in, element *pairs)
{
    const size_t pixels = (size_t)c->in_rows * c->in_columns;
    const size_t step = c->in_step / MN_LANES;
    for (size_t q = 0; q < pixels; q++) {
        const element *second = in + (q + step < pixels ? q + step : q) * MN_LANES;
        const element *first = in + q * MN_LANES;
        __m512i a = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)first));
        __m512i b =
            _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)second));
        _mm512_storeu_si512(pairs + q * 2 * MN_LANES, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
    }
}

/* Pairs of neighbouring pixels of each row; the last of an odd row has 0 beside it. */
static void pair_gradient(const mn__conv_weights_pass *c, const element *d, element *pairs)
{
    const uint32_t halves = (c->columns + 1) / 2;
    for (uint32_t y = 0; y < c->rows; y++)
        for (uint32_t i = 0; i < halves; i++) {
            const element *at = d + y * c->out_row + (size_t)2 * i * MN_LANES;
            __m512i a =
                _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)at));
            __m512i b = _mm512_setzero_si512();
            if (2 * i + 1 < c->columns)
                b = _mm512_cvtepu16_epi32(
                    _mm256_loadu_si256((const __m256i *)(const void *)(at + MN_LANES)));
            _mm512_storeu_si512(pairs, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
            pairs += 2 * MN_LANES;
        }
}
#endif

/* What input block `i` contributes to all output blocks. `whole`: tap 0 and all rows of it; lane
 * and pixel distances in x are `scale` times those of the pass. */
static void run_block(
    const mn__conv_weights_pass *c, uint32_t i, const piece *whole, size_t scale, float *gradient)
{
    const size_t tap_size = (size_t)MN_LANES * MN_LANES;
    const uint32_t most_rows = c->columns < chunk_pixels ? chunk_pixels / c->columns : 1;
    for (uint32_t b = 0; b < c->out_blocks; b += most_blocks) {
        uint32_t blocks = c->out_blocks - b < most_blocks ? 1 : most_blocks;
        size_t first = ((size_t)b * c->in_blocks + (size_t)i * blocks) * c->taps.count;
        for (uint32_t y = 0; y < c->rows; y += most_rows) {
            piece p = *whole;
            p.rows = c->rows - y < most_rows ? c->rows - y : most_rows;
            p.d += b * p.d_plane + y * p.d_row;
            for (uint32_t t = 0; t < c->taps.count; t++) {
                p.x = whole->x + y * p.x_row + c->taps.offset[t] * scale;
                p.gradient = gradient + (first + (size_t)t * blocks) * tap_size;
                run_tap(p, blocks, c->in_lanes[i], scale);
            }
        }
    }
}

void MN_NAME(mn__conv_weights)(const mn__conv_weights_pass *c,
                               const void *in,
                               const void *out_gradient,
                               float *gradient,
                               void *scratch)
{
#if MN_BF16
    const size_t scale = 2;
    const uint32_t halves = (c->columns + 1) / 2;
    const size_t d_plane = (size_t)c->rows * halves * 2 * MN_LANES;
    element *d_pairs = scratch;
    element *x_pairs = d_pairs + c->out_blocks * d_plane;
    for (uint32_t b = 0; b < c->out_blocks; b++)
        pair_gradient(c, (const element *)out_gradient + b * c->out_plane, d_pairs + b * d_plane);
    piece whole = {.x = x_pairs,
                   .x_row = c->in_row * scale,
                   .x_step = c->in_step * 2 * scale,
                   .d = d_pairs,
                   .d_plane = d_plane,
                   .d_row = (size_t)halves * 2 * MN_LANES,
                   .columns = halves};
    for (uint32_t i = 0; i < c->in_blocks; i++) {
        pair_image(c, (const element *)in + i * c->in_plane, x_pairs);
        run_block(c, i, &whole, scale, gradient);
    }
#else
    (void)scratch;
    piece whole = {.x_row = c->in_row,
                   .x_step = c->in_step,
                   .d = out_gradient,
                   .d_plane = c->out_plane,
                   .d_row = c->out_row,
                   .columns = c->columns};
    for (uint32_t i = 0; i < c->in_blocks; i++) {
        whole.x = (const element *)in + i * c->in_plane;
        run_block(c, i, &whole, 1, gradient);
    }
#endif
}

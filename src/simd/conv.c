/*
 * Dense convolution, forward and with respect to the data: the same loop over another filter.
 *
 * A tile of ROWS x COLUMNS output pixels and BLOCKS output blocks stays in registers while all
 * taps and input channels pass by: each loaded weight serves every pixel of the tile, each pixel
 * that is spread over a register serves every block; pixels of small maps come from several rows.
 */
#include <stdbool.h>

#include "simd/fetch.h"
#include "simd/kernels.h"

enum {
#if MN_LANES == 16
    tile_pixels = 8, /* 32 registers: 16 sums, 2 weights */
#elif defined(__AVX2__)
    tile_pixels = 6, /* 16 registers: 12 sums, 2 weights, 1 pixel */
#else
    tile_pixels = 3, /* 16 registers of half a vec: 12 of sums */
#endif
    most_pixels = 8,
    most_blocks = 2
};

/* What a tile reads and writes. */
typedef struct place {
    const element *in;     /* padded pixel of the first output, tap offsets to be added */
    const element *filter; /* of the group */
    element *out;
    const element *addend; /* NULL: none */
    float *sums;           /* of the group's first block; NULL: not wanted */
    fetch *fetch;
    size_t squares; /* floats from sums to sums of squares */
} place;

typedef void (*tile_fn)(const mn__conv_pass *c, const place *at);

/* Adds what input lanes [0,lanes) of one tap contribute. w: (lanes,BLOCKS,MN_LANES). */
MN_INLINE void add_tap(const uint32_t ROWS,
                       const uint32_t COLUMNS,
                       const uint32_t BLOCKS,
                       const mn__conv_pass *c,
                       const element *q,
                       const element *w,
                       uint32_t lanes,
                       vec sums[most_pixels][most_blocks])
{
#if MN_BF16
    for (uint32_t k = 0; k < lanes; k += 2) {
        __m512bh w0 = (__m512bh)_mm512_loadu_si512(w);
        __m512bh w1 = BLOCKS > 1 ? (__m512bh)_mm512_loadu_si512(w + 2 * MN_LANES) : w0;
        w += (size_t)2 * BLOCKS * MN_LANES;
#pragma GCC unroll 8
        for (uint32_t p = 0; p < ROWS * COLUMNS; p++) {
            int32_t pair;
            memcpy(&pair, q + p / COLUMNS * c->in_row + p % COLUMNS * c->in_step + k, sizeof pair);
            __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
            sums[p][0] = (vec)_mm512_dpbf16_ps((__m512)sums[p][0], w0, x);
            if (BLOCKS > 1)
                sums[p][1] = (vec)_mm512_dpbf16_ps((__m512)sums[p][1], w1, x);
        }
    }
#else
    for (uint32_t k = 0; k < lanes; k++) {
        vec w0 = vec_load(w);
        vec w1 = BLOCKS > 1 ? vec_load(w + MN_LANES) : w0;
        w += (size_t)BLOCKS * MN_LANES;
#pragma GCC unroll 8
        for (uint32_t p = 0; p < ROWS * COLUMNS; p++) {
            vec x = vec_all(q[p / COLUMNS * c->in_row + p % COLUMNS * c->in_step + k]);
            sums[p][0] += x * w0;
            if (BLOCKS > 1)
                sums[p][1] += x * w1;
        }
    }
#endif
}

/* Adds the tile to the statistics. */
MN_INLINE void count_tile(const uint32_t PIXELS,
                          const uint32_t BLOCKS,
                          const place *at,
                          vec sums[most_pixels][most_blocks])
{
#pragma GCC unroll 2
    for (uint32_t b = 0; b < BLOCKS; b++) {
        float *to = at->sums + (size_t)b * MN_LANES;
        vec sum = vec_load(to);
        vec squares = vec_load(to + at->squares);
#pragma GCC unroll 8
        for (uint32_t p = 0; p < PIXELS; p++) {
            sum += sums[p][b];
            squares += sums[p][b] * sums[p][b];
        }
        vec_store(to, sum);
        vec_store(to + at->squares, squares);
    }
}

MN_INLINE void write_tile(const uint32_t ROWS,
                          const uint32_t COLUMNS,
                          const uint32_t BLOCKS,
                          const mn__conv_pass *c,
                          const place *at,
                          vec sums[most_pixels][most_blocks])
{
    const size_t plane = c->out_plane;
    const size_t row = c->out_row;
    const size_t step = c->out_step;
    const element *addend = at->addend;
    element *out = at->out;
    if (addend != NULL)
#pragma GCC unroll 2
        for (uint32_t b = 0; b < BLOCKS; b++)
#pragma GCC unroll 8
            for (uint32_t p = 0; p < ROWS * COLUMNS; p++)
                sums[p][b] +=
                    element_load(addend + b * plane + p / COLUMNS * row + p % COLUMNS * step);
#pragma GCC unroll 2
    for (uint32_t b = 0; b < BLOCKS; b++)
#pragma GCC unroll 8
        for (uint32_t p = 0; p < ROWS * COLUMNS; p++)
            element_store(out + b * plane + p / COLUMNS * row + p % COLUMNS * step, sums[p][b]);
}

MN_INLINE void tile(const uint32_t ROWS,
                    const uint32_t COLUMNS,
                    const uint32_t BLOCKS,
                    const mn__conv_pass *c,
                    const place *at)
{
    vec sums[most_pixels][most_blocks];
#pragma GCC unroll 2
    for (uint32_t b = 0; b < BLOCKS; b++)
#pragma GCC unroll 8
        for (uint32_t p = 0; p < ROWS * COLUMNS; p++)
            expect_write(at->out + b * c->out_plane + p / COLUMNS * c->out_row +
                         p % COLUMNS * c->out_step);
#pragma GCC unroll 8
    for (uint32_t p = 0; p < ROWS * COLUMNS; p++) {
        sums[p][0] = vec_all(0.0f);
        if (BLOCKS > 1)
            sums[p][1] = vec_all(0.0f);
    }
    const size_t tap_size = (size_t)MN_LANES * BLOCKS * MN_LANES;
    for (uint32_t i = 0; i < c->in_blocks; i++) {
        const element *image = at->in + i * c->in_plane;
        const element *w = at->filter + i * c->filter_taps * tap_size;
        fetch_some(at->fetch);
        for (uint32_t t = 0; t < c->taps.count; t++)
            add_tap(ROWS,
                    COLUMNS,
                    BLOCKS,
                    c,
                    image + c->taps.offset[t],
                    w + c->taps.index[t] * tap_size,
                    c->in_lanes[i],
                    sums);
    }
    write_tile(ROWS, COLUMNS, BLOCKS, c, at, sums);
    if (at->sums != NULL)
        count_tile(ROWS * COLUMNS, BLOCKS, at, sums);
}

#define TILE(rows, columns)                                                                        \
    static void tile_##rows##x##columns##_1(const mn__conv_pass *c, const place *at)               \
    {                                                                                              \
        tile(rows, columns, 1, c, at);                                                             \
    }                                                                                              \
    static void tile_##rows##x##columns##_2(const mn__conv_pass *c, const place *at)               \
    {                                                                                              \
        tile(rows, columns, 2, c, at);                                                             \
    }
TILE(1, 1)
TILE(1, 2)
TILE(1, 3)
TILE(1, 4)
TILE(1, 5)
TILE(1, 6)
TILE(1, 7)
TILE(1, 8)
TILE(2, 1)
TILE(2, 2)
TILE(2, 3)
TILE(2, 4)
TILE(4, 1)
TILE(4, 2)

/* By [blocks - 1][log2 rows][columns - 1]. */
static const tile_fn tiles[most_blocks][3][most_pixels] = {
    {{tile_1x1_1,
      tile_1x2_1,
      tile_1x3_1,
      tile_1x4_1,
      tile_1x5_1,
      tile_1x6_1,
      tile_1x7_1,
      tile_1x8_1},
     {tile_2x1_1, tile_2x2_1, tile_2x3_1, tile_2x4_1},
     {tile_4x1_1, tile_4x2_1}},
    {{tile_1x1_2,
      tile_1x2_2,
      tile_1x3_2,
      tile_1x4_2,
      tile_1x5_2,
      tile_1x6_2,
      tile_1x7_2,
      tile_1x8_2},
     {tile_2x1_2, tile_2x2_2, tile_2x3_2, tile_2x4_2},
     {tile_4x1_2, tile_4x2_2}},
};

/* log2 of how many rows a tile of that many columns takes. */
static uint32_t rows_shift(uint32_t columns, uint32_t rows)
{
    if (columns * 4 <= tile_pixels && rows >= 4)
        return 2;
    return columns * 2 <= tile_pixels && rows >= 2 ? 1 : 0;
}

static void run_group(const mn__conv_pass *c, uint32_t blocks, place group)
{
    const uint32_t parts = (c->columns + tile_pixels - 1) / tile_pixels;
    for (uint32_t y = 0; y < c->rows;) {
        uint32_t shift = rows_shift(c->columns, c->rows - y);
        for (uint32_t part = 0, x = 0; part < parts; part++) {
            /* tiles of a row differ by one column at most */
            uint32_t columns = (c->columns + part) / parts;
            size_t out = y * c->out_row + x * c->out_step;
            place at = group;
            at.in += y * c->in_row + x * c->in_step;
            at.out += out;
            if (at.addend != NULL)
                at.addend += out;
            tiles[blocks - 1][shift][columns - 1](c, &at);
            x += columns;
        }
        y += 1u << shift;
    }
}

void MN_NAME(mn__conv)(const mn__conv_pass *c,
                       const void *in,
                       const void *filter,
                       void *out,
                       const void *addend,
                       float *sums)
{
    const size_t block_weights = (size_t)c->in_blocks * c->filter_taps * MN_LANES * MN_LANES;
    const size_t all = ((size_t)c->rows * c->columns + tile_pixels - 1) / tile_pixels *
                       ((c->out_blocks + most_blocks - 1) / most_blocks);
    fetch ahead = fetch_begin(c->ahead, all * c->in_blocks);
    for (uint32_t b = 0; b < c->out_blocks; b += most_blocks) {
        place group = {.in = in,
                       .filter = (const element *)filter + b * block_weights,
                       .out = (element *)out + b * c->out_plane,
                       .squares = (size_t)c->out_blocks * MN_LANES,
                       .fetch = &ahead};
        if (addend != NULL)
            group.addend = (const element *)addend + b * c->out_plane;
        if (sums != NULL)
            group.sums = sums + (size_t)b * MN_LANES;
        run_group(c, c->out_blocks - b < most_blocks ? 1 : most_blocks, group);
    }
}

/* Float filters are used as they are; bf16 ones have pairs of input lanes side by side. */
void MN_NAME(mn__convert_filter)(const float *filter,
                                 uint32_t blocks_at_once,
                                 size_t count,
                                 void *out)
{
    element *to = out;
#if MN_BF16
    const size_t row = (size_t)blocks_at_once * MN_LANES;
    for (size_t i = 0; i < count; i += 2 * row) {
        for (size_t k = 0; k < row; k += MN_LANES) {
            __m256i a = (__m256i)_mm512_cvtneps_pbh((__m512)vec_load(filter + i + k));
            __m256i b = (__m256i)_mm512_cvtneps_pbh((__m512)vec_load(filter + i + row + k));
            __m512i low = _mm512_cvtepu16_epi32(a);
            __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(b), 16);
            _mm512_storeu_si512(to + i + 2 * k, _mm512_or_si512(low, high));
        }
    }
#else
    (void)blocks_at_once;
    memcpy(to, filter, count * sizeof *to);
#endif
}

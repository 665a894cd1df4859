/*
 * Depthwise convolution over one padded block of floats, forward and with respect to the data, and
 * its weight gradient. Average pooling is the same with weights of one and a factor for each pixel.
 * Limited by memory and by loads, not by arithmetic: where the taps of a square kernel are
 * adjacent, a loaded pixel serves all taps of its row.
 */
#include <stdbool.h>

#include "simd/fetch.h"
#include "simd/kernels.h"

enum { strip_pixels = 8, most_side = 5, most_taps = 25 };

/* What a strip of pixels of one row reads and writes. */
typedef struct strip {
    const float *in;
    const float *filter;
    element *out;
    const element *addend; /* NULL: none */
    const float *factor;   /* NULL: none */
    vec *sums;             /* sum, sum of squares; NULL: not wanted */
} strip;

/* Any taps, pixels in_step apart. */
MN_INLINE void
add_taps(const uint32_t COUNT, const mn__depthwise_pass *d, const strip *s, vec sums[strip_pixels])
{
    for (uint32_t t = 0; t < d->taps.count; t++) {
        const float *q = s->in + d->taps.offset[t];
        vec w = vec_load(s->filter + (size_t)d->taps.index[t] * MN_LANES);
#pragma GCC unroll 8
        for (uint32_t p = 0; p < COUNT; p++)
            sums[p] += w * vec_load(q + p * d->in_step);
    }
}

/* KERNEL rows of KERNEL adjacent taps, pixels adjacent. */
MN_INLINE void add_square(const uint32_t KERNEL,
                          const uint32_t COUNT,
                          const mn__depthwise_pass *d,
                          const strip *s,
                          vec sums[strip_pixels])
{
    for (uint32_t y = 0; y < KERNEL; y++) {
        const float *q = s->in + d->taps.offset[y * KERNEL];
        const uint32_t *index = d->taps.index + (size_t)y * KERNEL;
        vec w[most_side];
#pragma GCC unroll 5
        for (uint32_t k = 0; k < KERNEL; k++)
            w[k] = vec_load(s->filter + (size_t)index[k] * MN_LANES);
#pragma GCC unroll 12
        for (uint32_t x = 0; x < COUNT + KERNEL - 1; x++) {
            vec pixel = vec_load(q + (size_t)x * MN_LANES);
#pragma GCC unroll 5
            for (uint32_t k = 0; k < KERNEL; k++)
                if (x >= k && x - k < COUNT)
                    sums[x - k] += w[k] * pixel;
        }
    }
}

/* KERNEL 0: any taps. */
MN_INLINE void
run_strip(const uint32_t KERNEL, const uint32_t COUNT, const mn__depthwise_pass *d, const strip *s)
{
    vec sums[strip_pixels];
#pragma GCC unroll 8
    for (uint32_t p = 0; p < COUNT; p++) {
        expect_write(s->out + p * d->out_step);
        sums[p] = vec_all(0.0f);
    }
    if (KERNEL == 0)
        add_taps(COUNT, d, s, sums);
    else
        add_square(KERNEL, COUNT, d, s, sums);
#pragma GCC unroll 8
    for (uint32_t p = 0; p < COUNT; p++) {
        vec v = sums[p];
        if (s->factor != NULL)
            v *= vec_all(s->factor[p]);
        if (s->addend != NULL)
            v += element_load(s->addend + p * d->out_step);
        element_store(s->out + p * d->out_step, v);
        sums[p] = v;
    }
    if (s->sums == NULL)
        return;
#pragma GCC unroll 8
    for (uint32_t p = 0; p < COUNT; p++) {
        s->sums[0] += sums[p];
        s->sums[1] += sums[p] * sums[p];
    }
}

/* The side of the square that the taps are, if a strip of it is worth a loop of its own; else 0. */
static uint32_t square_of(const mn__depthwise_pass *d)
{
    const uint32_t side = d->taps.count == 9 ? 3 : d->taps.count == 25 ? 5 : 0;
    bool square = side != 0 && d->in_step == MN_LANES;
    for (uint32_t t = 0; t < d->taps.count && square; t++)
        square = t % side == 0 || d->taps.offset[t] == d->taps.offset[t - 1] + (size_t)MN_LANES;
    return square ? side : 0;
}

typedef void (*strip_fn)(const mn__depthwise_pass *d, const strip *s);

#define STRIP(kernel, count)                                                                       \
    static void strip_##kernel##_##count(const mn__depthwise_pass *d, const strip *s)              \
    {                                                                                              \
        run_strip(kernel, count, d, s);                                                            \
    }
#define STRIPS(kernel)                                                                             \
    STRIP(kernel, 1)                                                                               \
    STRIP(kernel, 2)                                                                               \
    STRIP(kernel, 4)                                                                               \
    STRIP(kernel, 8)
STRIPS(0)
STRIPS(3)
STRIPS(5)

/* By [side / 2][log2 pixels]. */
static const strip_fn strips[3][4] = {
    {strip_0_1, strip_0_2, strip_0_4, strip_0_8},
    {strip_3_1, strip_3_2, strip_3_4, strip_3_8},
    {strip_5_1, strip_5_2, strip_5_4, strip_5_8},
};

/* log2 of the pixels that the next strip of a row takes: all that are left of it, or as many as
 * registers hold, as a power of two. */
static uint32_t strip_shift(uint32_t left)
{
    uint32_t shift = 0;
    while (2u << shift <= left && 2u << shift <= strip_pixels)
        shift++;
    return shift;
}

void MN_NAME(mn__depthwise)(const mn__depthwise_pass *d,
                            const float *in,
                            const float *filter,
                            void *out,
                            const void *addend,
                            float *sums,
                            size_t sums_stride)
{
    vec totals[2] = {vec_all(0.0f), vec_all(0.0f)};
    const uint32_t square = square_of(d);
    const size_t row_strips =
        d->columns / strip_pixels + (size_t)__builtin_popcount(d->columns % strip_pixels);
    fetch ahead = fetch_begin(d->ahead, d->rows * row_strips);
    for (uint32_t y = 0; y < d->rows; y++) {
        for (uint32_t x = 0; x < d->columns;) {
            uint32_t shift = strip_shift(d->columns - x);
            size_t to = y * d->out_row + x * d->out_step;
            fetch_some(&ahead);
            strip s = {.in = in + y * d->in_row + x * d->in_step,
                       .filter = filter,
                       .out = (element *)out + to,
                       .addend = addend == NULL ? NULL : (const element *)addend + to,
                       .factor = d->factor == NULL ? NULL : d->factor + (size_t)y * d->columns + x,
                       .sums = sums == NULL ? NULL : totals};
            strips[square / 2][shift](d, &s);
            x += 1u << shift;
        }
    }
    if (sums != NULL) {
        vec_store(sums, vec_load(sums) + totals[0]);
        vec_store(sums + sums_stride, vec_load(sums + sums_stride) + totals[1]);
    }
}

/* COUNT taps from `first` on; COUNT is a constant, so that their sums stay in registers. */
MN_INLINE void weights_of(const uint32_t COUNT,
                          const mn__depthwise_pass *d,
                          uint32_t first,
                          const float *in,
                          const float *out_gradient,
                          float *gradient)
{
    vec sums[most_taps];
    size_t offset[most_taps];
#pragma GCC unroll 25
    for (uint32_t t = 0; t < COUNT; t++) {
        sums[t] = vec_load(gradient + (size_t)(first + t) * MN_LANES);
        offset[t] = d->taps.offset[first + t];
    }
    for (uint32_t y = 0; y < d->rows; y++)
        for (uint32_t x = 0; x < d->columns; x++) {
            vec g = vec_load(out_gradient + y * d->out_row + x * d->out_step);
            const float *corner = in + y * d->in_row + x * d->in_step;
#pragma GCC unroll 25
            for (uint32_t t = 0; t < COUNT; t++)
                sums[t] += g * vec_load(corner + offset[t]);
        }
#pragma GCC unroll 25
    for (uint32_t t = 0; t < COUNT; t++)
        vec_store(gradient + (size_t)(first + t) * MN_LANES, sums[t]);
}

void MN_NAME(mn__depthwise_weights)(const mn__depthwise_pass *d,
                                    const float *in,
                                    const float *out_gradient,
                                    float *gradient)
{
    uint32_t t = 0;
    for (; MN_LANES == 16 && t + 25 <= d->taps.count; t += 25)
        weights_of(25, d, t, in, out_gradient, gradient);
    for (; t + 9 <= d->taps.count; t += 9)
        weights_of(9, d, t, in, out_gradient, gradient);
    for (; t + 5 <= d->taps.count; t += 5)
        weights_of(5, d, t, in, out_gradient, gradient);
    for (; t < d->taps.count; t++)
        weights_of(1, d, t, in, out_gradient, gradient);
}

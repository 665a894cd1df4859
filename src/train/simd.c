/*
 * Vector loops of the trainer, compiled once for each instruction set with MN_LANES (8 or 16) and
 * MN_SIMD_TABLE (the name of the table at the end). Invariant: what is written does not depend on
 * anything but the arguments and the number of threads.
 */
#include <string.h>

#include "train/simd.h"

typedef float lane __attribute__((vector_size(MN_LANES * sizeof(float))));

enum { max_kernel = 5 };

static lane load(const float *p)
{
    lane v;
    memcpy(&v, p, sizeof v);
    return v;
}

static void store(float *p, lane v)
{
    memcpy(p, &v, sizeof v);
}

static void add(float *restrict out, const float *restrict a, const float *restrict b, size_t count)
{
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++)
        out[i] = a[i] + b[i];
}

static void accumulate1(float *restrict sum, const float *restrict a, size_t count)
{
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++)
        sum[i] += a[i];
}

static void
accumulate2(float *restrict sum, const float *restrict a, const float *restrict b, size_t count)
{
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++)
        sum[i] += a[i] + b[i];
}

static void accumulate3(float *restrict sum,
                        const float *restrict a,
                        const float *restrict b,
                        const float *restrict c,
                        size_t count)
{
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++)
        sum[i] += a[i] + b[i] + c[i];
}

/* Three terms a pass: the sum is read and written once for every three. */
static void accumulate(float *sum, const float *const *terms, uint32_t term_count, size_t count)
{
    uint32_t i = 0;
    for (; i + 3 <= term_count; i += 3)
        accumulate3(sum, terms[i], terms[i + 1], terms[i + 2], count);
    if (term_count - i == 2)
        accumulate2(sum, terms[i], terms[i + 1], count);
    else if (term_count - i == 1)
        accumulate1(sum, terms[i], count);
}

static void sgd(const mn__sgd *step,
                float *restrict weight,
                const float *restrict gradient,
                float *restrict velocity,
                size_t count)
{
    float rate = step->rate;
    float momentum = step->momentum;
    float decay = step->decay;
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        float g = gradient[i] + decay * weight[i];
        float v = momentum * velocity[i] + g;
        velocity[i] = v;
        weight[i] -= rate * (g + momentum * v);
    }
}

/* Rows and columns that the kernel reaches: the size of the padded image. */
static uint32_t reach(uint32_t out, uint32_t stride, uint32_t kernel)
{
    return (out - 1) * stride + kernel;
}

/* Copies one block of one image into the middle of the padded image, whose border is zero. */
static void pad_image(const mn__depthwise *g, const float *image, float *padded)
{
    uint32_t columns = reach(g->out_w, g->stride, g->kernel);
    uint32_t rows = reach(g->out_h, g->stride, g->kernel);
    uint32_t copied_w = g->in_w < columns - g->pad_left ? g->in_w : columns - g->pad_left;
    for (uint32_t y = 0; y < g->in_h && y + g->pad_top < rows; y++)
        memcpy(padded + ((size_t)(y + g->pad_top) * columns + g->pad_left) * MN_LANES,
               image + (size_t)y * g->in_w * MN_LANES,
               (size_t)copied_w * sizeof(lane));
}

/* Adds one image's share to sums (K,K,lanes). `kernel` is a constant where this is inlined, so
 * that all K*K sums stay in registers. */
static inline __attribute__((always_inline)) void depthwise_image(const mn__depthwise *g,
                                                                  uint32_t kernel,
                                                                  const float *padded,
                                                                  const float *out_gradient,
                                                                  float *sums)
{
    lane acc[max_kernel * max_kernel];
    uint32_t columns = reach(g->out_w, g->stride, kernel);
#pragma GCC unroll 25
    for (uint32_t t = 0; t < kernel * kernel; t++)
        acc[t] = load(sums + (size_t)t * MN_LANES);
    for (uint32_t y = 0; y < g->out_h; y++) {
        for (uint32_t x = 0; x < g->out_w; x++) {
            lane d = load(out_gradient + ((size_t)y * g->out_w + x) * MN_LANES);
            const float *corner =
                padded + ((size_t)y * g->stride * columns + (size_t)x * g->stride) * MN_LANES;
#pragma GCC unroll 5
            for (uint32_t i = 0; i < kernel; i++)
#pragma GCC unroll 5
                for (uint32_t j = 0; j < kernel; j++)
                    acc[i * kernel + j] += d * load(corner + ((size_t)i * columns + j) * MN_LANES);
        }
    }
#pragma GCC unroll 25
    for (uint32_t t = 0; t < kernel * kernel; t++)
        store(sums + (size_t)t * MN_LANES, acc[t]);
}

static void depthwise_thread(const mn__depthwise *g, uint32_t thread)
{
    size_t share = mn__depthwise_scratch(g, MN_LANES);
    size_t taps = (size_t)g->kernel * g->kernel;
    float *sums = g->scratch + share * thread;
    float *padded = sums + (size_t)g->blocks * taps * MN_LANES;
    memset(sums, 0, share * sizeof(float));
    for (size_t item = thread; item < (size_t)g->batch * g->blocks; item += g->threads) {
        size_t block = item % g->blocks;
        const float *image = g->input + item * g->in_h * g->in_w * MN_LANES;
        const float *gradient = g->out_gradient + item * g->out_h * g->out_w * MN_LANES;
        float *block_sums = sums + block * taps * MN_LANES;
        pad_image(g, image, padded);
        if (g->kernel == 3)
            depthwise_image(g, 3, padded, gradient, block_sums);
        else
            depthwise_image(g, 5, padded, gradient, block_sums);
    }
}

static void depthwise_weight_gradient(const mn__depthwise *g)
{
    size_t share = mn__depthwise_scratch(g, MN_LANES);
    size_t count = (size_t)g->blocks * g->kernel * g->kernel * MN_LANES;
#pragma omp parallel for schedule(static, 1)
    for (uint32_t thread = 0; thread < g->threads; thread++)
        depthwise_thread(g, thread);
    for (size_t i = 0; i < count; i++) {
        float sum = 0.0f;
        for (uint32_t thread = 0; thread < g->threads; thread++)
            sum += g->scratch[share * thread + i];
        g->weight_gradient[i] = sum;
    }
}

const mn__simd MN_SIMD_TABLE = {
    .lanes = MN_LANES,
    .add = add,
    .accumulate = accumulate,
    .sgd = sgd,
    .depthwise_weight_gradient = depthwise_weight_gradient,
};

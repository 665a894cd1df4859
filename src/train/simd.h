/*
 * Our own vector loops, for what oneDNN has not or does slowly. simd.c is compiled once for each
 * instruction set; the set is chosen at run time to match oneDNN's.
 *
 * Blocked layout: values are (N, CB, H, W, lanes), CB blocks of `lanes` channels.
 */
#ifndef MN_TRAIN_SIMD_H
#define MN_TRAIN_SIMD_H

#include <stddef.h>
#include <stdint.h>

/* Geometry of a depthwise weight gradient. */
typedef struct mn__depthwise {
    const float *input;        /* (N,CB,H,W,lanes) */
    const float *out_gradient; /* (N,CB,OH,OW,lanes) */
    float *weight_gradient;    /* (CB,K,K,lanes), written */
    float *scratch;            /* mn__depthwise_scratch() floats for each thread */
    uint32_t batch, blocks;
    uint32_t in_h, in_w, out_h, out_w;
    uint32_t kernel, stride, pad_top, pad_left;
    uint32_t threads;
} mn__depthwise;

/* Hyper-parameters of one optimiser step (Nesterov momentum, coupled weight decay). */
typedef struct mn__sgd {
    float rate, momentum, decay;
} mn__sgd;

typedef struct mn__simd {
    uint32_t lanes; /* floats in a register, and channels in a block */
    /* out = a + b */
    void (*add)(float *out, const float *a, const float *b, size_t count);
    /* sum += term_0 + ... + term_(terms-1); terms >= 1 */
    void (*accumulate)(float *sum, const float *const *terms, uint32_t term_count, size_t count);
    /* velocity = momentum * velocity + g; weight -= rate * (g + momentum * velocity) with
     * g = gradient + decay * weight */
    void (*sgd)(
        const mn__sgd *step, float *weight, const float *gradient, float *velocity, size_t count);
    void (*depthwise_weight_gradient)(const mn__depthwise *geometry);
} mn__simd;

/* Floats of scratch for one thread: a padded image of one block, and the partial sums. */
size_t mn__depthwise_scratch(const mn__depthwise *geometry, uint32_t lanes);

extern const mn__simd mn__simd_portable; /* 8 lanes, compiler's baseline */
#if defined(__x86_64__)
extern const mn__simd mn__simd_avx2;   /* 8 lanes */
extern const mn__simd mn__simd_avx512; /* 16 lanes */
#endif

#endif

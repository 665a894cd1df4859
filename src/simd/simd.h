/*
 * Vector kernels of training: pure loops over one image, without threads, memory of their own or
 * knowledge of networks. Every file next to kernels.h is compiled once for each set of instructions
 * and element type; mn__simd_choose() picks a table at run time.
 *
 * Layout. Feature maps are (N,blocks,H,W,lanes): a block holds as many channels as a register has
 * floats. Elements are float or bf16; sums, weights of depthwise kernels and weight gradients are
 * float always. Lanes without a channel hold zero, and every kernel keeps them so.
 *
 * Dense filters are stored as (groups,in blocks,taps,lanes of in,1|2 blocks of out,lanes): a group
 * is a pair of output blocks that one tile computes together, the last one a single block where
 * their number is odd. In bf16 two input lanes lie side by side, (..,lanes/2,1|2,lanes,2), as the
 * dot-product instruction takes them. mn__filter_at() is the only place that knows this.
 */
#ifndef MN_SIMD_SIMD_H
#define MN_SIMD_SIMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Feature maps as stored. Images lie image_stride elements apart: more than their size when they
 * are a slice of a concat. */
typedef struct mn__maps {
    void *data; /* image 0 */
    size_t image_stride;
    uint32_t blocks, h, w;
} mn__maps;

/* How readers see stored maps x: z = clamp(scale * x + shift), without a pass of its own. */
typedef struct mn__view {
    mn__maps maps;
    const float *scale, *shift; /* (blocks,lanes); NULL: z = clamp(x) */
    float low, high;            /* -INFINITY and INFINITY: no clamp */
} mn__view;

/* A gradient that is computed where it is read. With dz the gradient of the view z of x, and dz'
 * the same where z is not clamped and 0 elsewhere: a * dz' + b * x + c, or dz' where a is NULL. */
typedef struct mn__slope {
    mn__maps dz;
    bool through;           /* false: just dz */
    mn__view view;          /* of x, when `through` */
    const float *a, *b, *c; /* (blocks,lanes) */
} mn__slope;

/* Part of an image with a border around it. Rows and columns outside of the image hold `fill`. */
typedef struct mn__pad {
    uint32_t first_block, blocks;
    int32_t first_row; /* of the image, in row 0 */
    uint32_t rows, columns;
    uint32_t left; /* columns before the image */
    float fill;
} mn__pad;

/* Memory that will be read next. A kernel asks for it piece by piece while it computes, so that
 * arithmetic and memory work at the same time. A hint: no result depends on it. */
enum { mn__most_spans = 16, mn__line_bytes = 64 };
typedef struct mn__ahead {
    struct {
        const char *at;
        size_t lines; /* of mn__line_bytes */
    } spans[mn__most_spans];
    uint32_t count;
} mn__ahead;

/* Where a window reads, relative to the padded pixel of an output: `offset` in elements, and the
 * tap of the filter that is applied there. */
typedef struct mn__taps {
    uint32_t count;
    const size_t *offset;
    const uint32_t *index;
} mn__taps;

/* A dense convolution over a padded image; strides are in elements. */
typedef struct mn__conv_pass {
    uint32_t in_blocks;
    const uint8_t *in_lanes; /* (in blocks): lanes up to the last channel */
    size_t in_plane;         /* from block to block */
    size_t in_row, in_step;  /* from one output row or pixel to the next */
    mn__taps taps;
    uint32_t filter_taps; /* of the whole filter: a pass may use some of them */
    uint32_t out_blocks, rows, columns;
    size_t out_plane, out_row, out_step;
    const mn__ahead *ahead; /* NULL: nothing is known */
} mn__conv_pass;

/* The weight gradient of the same: the gradient of the output lies in a padded image too. */
typedef struct mn__conv_weights_pass {
    uint32_t in_blocks;
    const uint8_t *in_lanes;
    size_t in_plane, in_row, in_step;
    uint32_t in_rows, in_columns; /* of the padded image */
    mn__taps taps;
    uint32_t out_blocks, rows, columns;
    size_t out_plane, out_row; /* of the padded gradient, whose pixels are adjacent */
} mn__conv_weights_pass;

/* A depthwise pass over one padded block of floats. */
typedef struct mn__depthwise_pass {
    mn__taps taps;
    size_t in_row, in_step;
    uint32_t rows, columns;
    size_t out_row, out_step;
    const float *factor;    /* (rows,columns): results are multiplied by it; NULL: not */
    const mn__ahead *ahead; /* NULL: nothing is known; max pooling does not ask */
} mn__depthwise_pass;

/* Numbers scale * k, k whole and in [low,high], 0 among them. |low| and |high| <= 2^24. */
typedef struct mn__grid {
    float scale, low, high;
} mn__grid;

/* Hyper-parameters of one optimiser step (Nesterov momentum, coupled weight decay). */
typedef struct mn__sgd {
    float rate, momentum, decay;
} mn__sgd;

typedef struct mn__simd {
    const char *name;
    uint32_t lanes;
    uint32_t element_bytes; /* 4: float; 2: bf16 */

    /* out (blocks,rows,columns,lanes): elements, or floats in the second. */
    void (*pad)(const mn__pad *pad, const mn__view *view, size_t image, void *out);
    void (*pad_float)(const mn__pad *pad, const mn__view *view, size_t image, float *out);
    void (*pad_slope)(const mn__pad *pad, const mn__slope *slope, size_t image, void *out);
    void (*pad_slope_float)(const mn__pad *pad, const mn__slope *slope, size_t image, float *out);

    /* out = conv(in) + addend. addend has the strides of out and may be out; NULL: none. sums
     * (2,out blocks,lanes): sum and sum of squares of the results are added to it; NULL: not. */
    void (*conv)(const mn__conv_pass *pass,
                 const void *in,
                 const void *filter,
                 void *out,
                 const void *addend,
                 float *sums);
    /* gradient, laid out as a float filter, += what these pixels contribute. scratch:
     * mn__conv_weights_scratch() bytes. */
    void (*conv_weights)(const mn__conv_weights_pass *pass,
                         const void *in,
                         const void *out_gradient,
                         float *gradient,
                         void *scratch);

    /* filter (taps,lanes). sums (2,lanes at a distance of sums_stride). */
    void (*depthwise)(const mn__depthwise_pass *pass,
                      const float *in,
                      const float *filter,
                      void *out,
                      const void *addend,
                      float *sums,
                      size_t sums_stride);
    /* gradient (taps,lanes) += sum over pixels; out_gradient: padded floats, pixels adjacent. */
    void (*depthwise_weights)(const mn__depthwise_pass *pass,
                              const float *in,
                              const float *out_gradient,
                              float *gradient);

    /* which (rows,columns,lanes): the tap of each maximum, the first of equals. */
    void (*max_pool)(const mn__depthwise_pass *pass, const float *in, void *out, uint8_t *which);
    /* out = sum of the out_gradients whose maximum the pixel was, + addend. One backward sweep: the
     * padded out_gradient and `which` (of the same shape, no tap where it is padding). */
    void (*max_pool_gradient)(const mn__depthwise_pass *pass,
                              const float *out_gradient,
                              const uint8_t *which,
                              void *out,
                              const void *addend);

    /* out = the views' sum (1 or 2 views), block by block of one image. */
    void (*join)(const mn__view *views, uint32_t view_count, const mn__maps *out, size_t image);
    /* out = the number of the grid that is nearest to the view, halves upwards:
     * scale * floor(clamp(z / scale, low, high) + 1/2), the same bits from the same z in every
     * table of floats. What is not a number stays so. */
    void (*fake_quant)(const mn__view *view,
                       const mn__grid *grid,
                       const mn__maps *out,
                       size_t image);
    /* out = slope + addend; addend may be out, or NULL. */
    void (*store_slope)(const mn__slope *slope,
                        const mn__maps *addend,
                        const mn__maps *out,
                        size_t image);
    /* sums (2,blocks,lanes) += sum of x, sum of x squared, over one image. */
    void (*sums)(const mn__maps *maps, size_t image, float *sums);
    /* sums (2,blocks,lanes) += sum of dz', sum of dz' * (x - mean). */
    void (*slope_sums)(const mn__slope *slope, const float *mean, size_t image, float *sums);

    /* One image to floats (blocks,h,w,lanes), and a float image to stored maps. */
    void (*to_float)(const mn__view *view, size_t image, float *out);
    void (*from_float)(const float *in, const mn__maps *addend, const mn__maps *out, size_t image);

    /* Elements of a filter from floats of the same layout (bf16: lanes paired). */
    void (*convert_filter)(const float *filter, uint32_t blocks_at_once, size_t count, void *out);
    /* out = weights as int8 can hold them, channel by channel: number i belongs to channel
     * i % channels, and becomes s * floor(w / s + 1/2) with s = max |w| of its channel / 127.
     * `channels` is 1 or a multiple of the lanes, `count` a multiple of both; the same bits in
     * every table. A channel of zeros stays so. */
    void (*quantise_weights)(const float *weights, uint32_t channels, size_t count, float *out);
    float (*dot)(const float *a, const float *b, size_t count);
    void (*add_scaled)(float *sum, float factor, const float *a, size_t count);
    void (*add)(float *sum, const float *a, size_t count);
    /* velocity = momentum * velocity + g; weight -= rate * (g + momentum * velocity) with
     * g = gradient + decay * weight. */
    void (*sgd)(
        const mn__sgd *step, float *weight, const float *gradient, float *velocity, size_t count);
} mn__simd;

/* Which table: the best that this processor and MEMNET_ISA (avx512: float32 only, avx2, portable;
 * else any) allow. bf16: NULL where there is none. */
const mn__simd *mn__simd_choose(bool bf16);

/* Index of weight (out lane, in lane, tap) in a dense filter of floats. */
size_t mn__filter_at(uint32_t lanes,
                     uint32_t in_lanes,
                     uint32_t out_lanes,
                     uint32_t taps,
                     uint32_t out_lane,
                     uint32_t in_lane,
                     uint32_t tap);

/* Bytes of scratch of conv_weights: a bf16 pass pairs pixels first. */
size_t mn__conv_weights_scratch(const mn__simd *simd, const mn__conv_weights_pass *pass);

extern const mn__simd mn__simd_portable; /* 8 lanes, the compiler's baseline */
#if defined(__x86_64__)
extern const mn__simd mn__simd_avx2;   /* 8 lanes */
extern const mn__simd mn__simd_avx512; /* 16 lanes */
extern const mn__simd mn__simd_bf16;   /* 16 lanes, AVX512-BF16 */
#endif

#endif

/*
 * Int8 kernels of memnet: one inference, batch 1, no heap, no libc.
 * SPDX-License-Identifier: 0BSD
 *
 * Compiled into the library and copied verbatim into exported code, so this is C99 that is also
 * C++11. Values are (H,W,C), channels last; element (y,x,c) lies at base[(y*W + x)*stride + c],
 * where the pixel stride is at least C: a value may be a slice of a wider one. Sizes are in
 * elements unless a name ends in _bytes.
 *
 * Numbers: real = scale * (q - zero), q in [-128,127], one scale and zero point a value. Weights
 * are symmetric, in [-127,127], one scale an output channel; a bias is int32 in units of input
 * scale * weight scale. Sums are exact in int32. They are brought to the output's scale by a
 * multiplier and a shift, rounded once, halves upwards, the same everywhere:
 *
 *     q = zero + ((int64) sum * multiplier + (1 << (shift - 1)) >> shift), clamped to [low, high]
 *
 * with an arithmetic shift, multiplier in [2^30, 2^31) or 0 and shift in [1, 62]: the real factor
 * is multiplier / 2^shift. Padding has the real value 0. Every path, portable or for an
 * instruction set, gives the same bytes.
 */
#ifndef MN_S8_H
#define MN_S8_H

#include <stdint.h>

/* A product x * w is at most 255 * 127 in magnitude. Sums of up to MN_S8_TERMS of them, a filter's
 * KH*KW*I/groups or a row of a fully connected layer, stay inside an int32 where no bias is beyond
 * +-MN_S8_BIAS. More or beyond that is for the caller to refuse, and global pools of more than
 * 2^22 pixels, average pools of as many taps. */
#define MN_S8_TERMS 33155 /* macros: an enumerator must fit into an int, which may have 16 bits */
#define MN_S8_BIAS 1073741823

#ifdef __cplusplus
extern "C" {
#endif

/* Shapes, sliding window and grids of convolutions and pools. Padding at the bottom and right
 * follows from the output size. */
typedef struct mn_s8_window {
    int32_t in_h, in_w, in_c, in_stride;
    int32_t out_h, out_w, out_c, out_stride;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t groups;            /* mn_s8_conv only */
    int32_t in_zero, out_zero; /* pools: out_zero = in_zero, the scales are one */
    int32_t low, high;         /* of the output: -128 and 127, or where a relu clamps */
} mn_s8_window;

/* Shapes and grids of kernels without a window: `pixels` = H*W. */
typedef struct mn_s8_span {
    int32_t pixels, channels;
    int32_t in_stride, in2_stride, out_stride;
    int32_t in_zero, in2_zero, out_zero;
    int32_t low, high;
} mn_s8_span;

/* Constant tables of a convolution or fully connected layer of O outputs. */
typedef struct mn_s8_filter {
    const int8_t *weights;
    const int32_t *bias;       /* (O), never null */
    const int32_t *multiplier; /* (O) */
    const int8_t *shift;       /* (O) */
} mn_s8_filter;

/* One factor for a whole value. */
typedef struct mn_s8_factor {
    int32_t multiplier;
    int32_t shift;
} mn_s8_factor;

/* Convolution. weights (O,KH,KW,I/groups). No byte shared. `scratch`, aligned to 4 bytes, has
 * mn_s8_conv_scratch_bytes() bytes; it may be null where these are 0. */
void mn_s8_conv(const int8_t *in,
                int8_t *out,
                const mn_s8_filter *filter,
                void *scratch,
                const mn_s8_window *window);

/* Depthwise convolution, one filter a channel. weights (KH,KW,C). No byte shared. Scratch as above,
 * mn_s8_depthwise_scratch_bytes(). */
void mn_s8_depthwise(const int8_t *in,
                     int8_t *out,
                     const mn_s8_filter *filter,
                     void *scratch,
                     const mn_s8_window *window);

/* The same, written exactly over its input: the pixel stride is in_stride = out_stride. `scratch`
 * shares no byte with `data` and has mn_s8_depthwise_in_place_scratch_bytes() bytes; it may be null
 * where these are 0. */
void mn_s8_depthwise_in_place(int8_t *data,
                              const mn_s8_filter *filter,
                              void *scratch,
                              const mn_s8_window *window);

/* Pools; average counts only elements inside the image: floor(sum / count + 1/2). No byte
 * shared. */
void mn_s8_max_pool(const int8_t *in, int8_t *out, const mn_s8_window *window);
void mn_s8_avg_pool(const int8_t *in, int8_t *out, const mn_s8_window *window);

/* Mean over all pixels: out (C). The factor is input scale / (output scale * pixels). No byte
 * shared. */
void mn_s8_global_pool(const int8_t *in,
                       int8_t *out,
                       const mn_s8_factor *factor,
                       const mn_s8_span *span);

/* out (outputs) from weights (outputs, pixels*channels, in the input's order). No byte shared. */
void mn_s8_fully_connected(const int8_t *in,
                           int8_t *out,
                           const mn_s8_filter *filter,
                           int32_t outputs,
                           const mn_s8_span *span);

/* out = a + b, element by element: with A = multiplier of a, B of b and one shift for both,
 * q = zero + (((a - in_zero) * A + (b - in2_zero) * B + (1 << (shift - 1))) >> shift), clamped. A
 * and B lie in [0, 2^22], the larger in [2^21, 2^22] unless both are 0, so that 32 bits suffice;
 * shift in [1, 31]. out may be a or b itself (same stride). */
typedef struct mn_s8_add_factors {
    int32_t a, b;
    int32_t shift;
} mn_s8_add_factors;
void mn_s8_add(const int8_t *a,
               const int8_t *b,
               int8_t *out,
               const mn_s8_add_factors *factors,
               const mn_s8_span *span);

/* out = in, on the output's grid: copies a value, which is also how concat by copy and lone
 * activations run. factor null: both grids are one, the bytes are copied (and clamped). out may be
 * in itself (same stride). */
void mn_s8_copy(const int8_t *in, int8_t *out, const mn_s8_factor *factor, const mn_s8_span *span);

/* Scratch bytes that a kernel needs in the arena beside its input and output. They follow from the
 * shapes alone, not from the pixel strides nor from the instruction set: the plan of one network
 * is the same everywhere. */
int32_t mn_s8_conv_scratch_bytes(const mn_s8_window *window);
int32_t mn_s8_depthwise_scratch_bytes(const mn_s8_window *window);

/* The same for a depthwise convolution written over its input; -1 where that cannot be: it needs
 * stride 1, an output of the input's shape, and scratch that an int32_t can count. */
int32_t mn_s8_depthwise_in_place_scratch_bytes(const mn_s8_window *window);

#ifdef __cplusplus
}
#endif
#endif

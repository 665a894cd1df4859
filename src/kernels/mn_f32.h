/*
 * Float kernels of memnet: one inference, batch 1, no heap, no libc.
 * SPDX-License-Identifier: 0BSD
 *
 * Compiled into the library and copied verbatim into exported code, so this is C99 that is also
 * C++11. Values are (H,W,C), channels last; element (y,x,c) lies at
 * base[(y*W + x)*stride + c], where the pixel stride is at least C: a value may be a slice of a
 * wider one. Sizes are in elements unless a name ends in _bytes.
 */
#ifndef MN_F32_H
#define MN_F32_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Activation applied to what a kernel writes. */
enum { MN_F32_LINEAR = 0, MN_F32_RELU = 1, MN_F32_RELU6 = 2 };

/* Shapes and sliding window of convolutions and pools. Padding at the bottom and right follows
 * from the output size. */
typedef struct mn_f32_window {
    int32_t in_h, in_w, in_c, in_stride;
    int32_t out_h, out_w, out_c, out_stride;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t groups; /* mn_f32_conv only */
    int32_t act;
} mn_f32_window;

/* Shapes of kernels without a window: `pixels` = H*W. */
typedef struct mn_f32_span {
    int32_t pixels, channels;
    int32_t in_stride, in2_stride, out_stride;
    int32_t act;
} mn_f32_span;

/* Convolution. weights (O,KH,KW,I/groups), bias (O) or null. `in` and `out` share no byte. */
void mn_f32_conv(const float *in,
                 float *out,
                 const float *weights,
                 const float *bias,
                 const mn_f32_window *window);

/* Depthwise convolution, one filter a channel. weights (KH,KW,C), bias (C) or null. No byte
 * shared. */
void mn_f32_depthwise(const float *in,
                      float *out,
                      const float *weights,
                      const float *bias,
                      const mn_f32_window *window);

/* The same, written exactly over its input: the pixel stride is in_stride = out_stride. The results
 * are those of mn_f32_depthwise to the last bit. `scratch` shares no byte with `data` and has
 * mn_f32_depthwise_in_place_scratch_bytes() bytes; it may be null where these are 0. */
void mn_f32_depthwise_in_place(float *data,
                               const float *weights,
                               const float *bias,
                               float *scratch,
                               const mn_f32_window *window);

/* Pools; average counts only elements inside the image. No byte shared. */
void mn_f32_max_pool(const float *in, float *out, const mn_f32_window *window);
void mn_f32_avg_pool(const float *in, float *out, const mn_f32_window *window);

/* Mean over all pixels: out (C). No byte shared. */
void mn_f32_global_pool(const float *in, float *out, const mn_f32_span *span);

/* out (outputs) = weights (outputs, pixels*channels, in the input's order) * in + bias (outputs) or
 * null. No byte shared. */
void mn_f32_fully_connected(const float *in,
                            float *out,
                            const float *weights,
                            const float *bias,
                            int32_t outputs,
                            const mn_f32_span *span);

/* out = act(a + b), element by element; out may be a or b itself (same stride). */
void mn_f32_add(const float *a, const float *b, float *out, const mn_f32_span *span);

/* out = act(in): copies a value, which is also how concat by copy and lone activations run; out
 * may be in itself (same stride). */
void mn_f32_copy(const float *in, float *out, const mn_f32_span *span);

/* Scratch bytes that a kernel needs in the arena beside its input and output. They follow from the
 * shapes alone, not from the pixel strides. The planner asks these; float kernels keep their sums
 * in registers and need none, unless rows of an input are needed after they were overwritten. */
int32_t mn_f32_conv_scratch_bytes(const mn_f32_window *window);
int32_t mn_f32_depthwise_scratch_bytes(const mn_f32_window *window);

/* The same for a depthwise convolution written over its input: pad_top + 1 rows of the image, at
 * most all of it; 0 without padding above and to the left. -1 where that cannot be: it needs stride
 * 1, an output of the input's shape, and scratch that an int32_t can count. */
int32_t mn_f32_depthwise_in_place_scratch_bytes(const mn_f32_window *window);

#ifdef __cplusplus
}
#endif
#endif

/*
 * Inside of the convolution layer: shared by layer_conv.c and conv_gradient.c.
 */
#ifndef MN_TRAIN_CONV_H
#define MN_TRAIN_CONV_H

#include "train/network.h"

typedef struct mn__phases mn__phases;

typedef struct mn__conv {
    dnnl_primitive_t backward_data;    /* NULL when the input wants no gradient */
    dnnl_primitive_t backward_weights; /* NULL: own_gradient */
    dnnl_memory_t backward_filter;     /* weights in the layout of backward_data */
    dnnl_memory_t source;
    mn__depthwise *own_gradient;
    mn__phases *phases; /* backward_weights runs on these; NULL: on source and gradient */
    const mn__simd *simd;
    uint32_t weight, bias; /* tensors; bias may be MN_NONE */
} mn__conv;

/* What the three primitives of a convolution share. */
typedef struct mn__conv_shape {
    dnnl_dims_t filter, bias, strides, dilates, pad_before, pad_after;
    int filter_rank;
    dnnl_memory_desc_t source, filter_any, bias_desc, out;
    const dnnl_memory_desc_t *bias_or_null;
} mn__conv_shape;

/* Strides, dilation and padding that yield exactly `out` from `in`. */
void mn__conv_fill_window(const mn_window *w, mn_shape in, mn_shape out, mn__conv_shape *c);

mn_status
mn__conv_describe_forward(const mn__conv_shape *c, dnnl_convolution_desc_t *ret_op, mn_error *err);

/* Chooses how the weight gradient is computed; fills own_gradient or phases where it is not simply
 * a primitive on source and gradient. Yields the layout of the gradient. */
mn_status mn__conv_build_weight_gradient(mn__network *net,
                                         uint32_t node,
                                         const mn_window *window,
                                         const mn__conv_shape *c,
                                         const mn__value *in,
                                         const mn__value *out,
                                         dnnl_primitive_desc_t forward,
                                         mn__conv *conv,
                                         dnnl_memory_desc_t *ret_desc,
                                         mn_error *err);

/* Adds the steps that compute it. */
mn_status mn__conv_add_weight_gradient(mn__network *net,
                                       mn__conv *conv,
                                       const mn__gradient *out_gradient,
                                       mn_error *err);

#endif

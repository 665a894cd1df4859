/*
 * How a window slides over a padded image, forward and backward. A sweep is one run over a grid of
 * outputs with the taps that apply to all of them. Forward needs one. Backward, an input pixel is
 * reached by those taps only that agree with it modulo the stride, so each phase of the stride is a
 * sweep of its own, dense and without stride.
 */
#ifndef MN_TRAIN_WINDOW_H
#define MN_TRAIN_WINDOW_H

#include "train/network.h"

typedef struct mn__sweep {
    mn__taps taps;
    size_t in_row, in_step; /* elements of the padded image */
    uint32_t rows, columns;
    size_t out_first, out_row, out_step; /* elements of the output's block */
} mn__sweep;

typedef struct mn__sliding {
    mn__pad pad; /* of the padded input; blocks are for the caller to set */
    uint32_t stride_h;
    size_t plane; /* elements of one padded block */
    bool exact;   /* the padded image is the image itself */
    mn__sweep forward;
    mn__pad gradient_pad; /* of the padded gradient of the output */
    size_t gradient_plane;
    size_t gradient_first; /* where its pixel (0,0) is */
    size_t gradient_row;
    uint32_t phase_count;
    mn__sweep *phases;
} mn__sliding;

/* The sweep as a pass over one padded block. */
mn__depthwise_pass mn__depthwise_pass_of(const mn__sweep *sweep);

/* backward false: without phases, and the gradient is padded by nothing. */
mn_status mn__sliding_create(mn__network *net,
                             const mn_window *window,
                             mn_shape in,
                             mn_shape out,
                             bool backward,
                             mn__sliding **ret_sliding,
                             mn_error *err);

#endif

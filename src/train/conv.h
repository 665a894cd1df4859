/*
 * A dense convolution of a network: its state, and what forward and backward share.
 */
#ifndef MN_TRAIN_CONV_H
#define MN_TRAIN_CONV_H

#include "train/network.h"
#include "train/window.h"

typedef struct mn__conv_state {

    mn__network *net;
    const mn__value *in;
    mn__value *out;
    const mn__parameter *weight;
    mn__sliding *sliding;
    uint32_t band;              /* output rows that are computed from one padded copy */
    const void *forward_filter; /* elements: `converted`, or weight->seen where floats do */
    char *converted, *backward_filter;
    float *transposed; /* the backward filter in floats */
    mn__gradient *out_gradient;
    mn__target target; /* out NULL: the input wants no gradient */
} mn__conv_state;

/* Output rows [first,first + rows) and what they are computed from. */
typedef struct mn__band {

    uint32_t first, rows;
    mn__pad pad;  /* of the input */
    size_t plane; /* elements of one padded block */
} mn__band;

/* The band from output row `first` on. */
mn__band mn__conv_band(const mn__conv_state *s, uint32_t first);

/* Blocks of lanes of a value. */
uint32_t mn__conv_blocks(const mn__conv_state *s, const mn__value *value);

/* The input as the kernels want it: where it is, or a padded copy in `scratch`. Yields the elements
 * from block to block. */
const void *mn__conv_input(
    const mn__conv_state *s, const mn__band *b, uint32_t image, void *scratch, size_t *ret_plane);

/* Bytes of the padded input of a whole image, and of its padded gradient. */
size_t mn__conv_input_bytes(const mn__conv_state *s);
size_t mn__conv_gradient_bytes(const mn__conv_state *s);

/* What a pass computes and moves; `passes` of them. */
mn__work mn__conv_work(const mn__conv_state *s, const char *kind, double passes);

/* conv_filter.c: the filters that the kernels read, and the step that refreshes them. */
mn_status mn__conv_filters(mn__network *net, mn__conv_state *s, uint32_t node, mn_error *err);

/* conv_backward.c: adds the backward step. */
mn_status mn__conv_backward(mn__network *net,
                            const mn__layer *layer,
                            mn__gradient *out_gradient,
                            mn_error *err);

#endif

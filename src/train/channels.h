/*
 * Which channel of a parent's value a channel of a child's value continues: the part of inheritance
 * that looks through concats.
 */
#ifndef MN_TRAIN_CHANNELS_H
#define MN_TRAIN_CHANNELS_H

#include <stdbool.h>

#include "memnet/graph.h"
#include "memnet/status.h"

typedef struct mn__channels mn__channels;

/* A child and its parent; everything is borrowed. */
typedef struct mn__family {
    const mn_graph *child, *parent;
    const uint32_t *layer_parents; /* (layer_count), as in mn_tensors_inherit() */
    uint32_t layer_count;
    const uint32_t *parent_node; /* (child nodes) the node that each continues, or MN_NONE */
} mn__family;

/* The family's arrays are borrowed while the result lives. */
mn_status mn__channels_create(const mn__family *family, mn__channels **ret_channels, mn_error *err);
/* NULL is fine. */
void mn__channels_free(mn__channels *channels);

/* For each channel of the child's value `a` a channel of the parent's value `b`, or MN_NONE. No
 * channel of `b` comes twice. Borrowed until the next call. */
const uint32_t *mn__channels_match(mn__channels *channels, uint32_t a, uint32_t b);

/* Of an add in a layer without a parent, whose one side is a plain link to a value that the parent
 * has and whose other side a new branch that ends in a batch norm: the norm. When its scale is zero
 * the add yields what the link does, and so its channels count as the link's. MN_NONE for other
 * nodes. *ret_clamped: a relu follows the norm. */
uint32_t mn__channels_residual_norm(const mn__channels *channels, uint32_t node, bool *ret_clamped);

/* True for a depthwise convolution: one filter for each channel of its input. */
bool mn__follows_channels(const mn_node *node);

#endif

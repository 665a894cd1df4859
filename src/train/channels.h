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

/* Everything is borrowed while the result lives. `layer_parents` (layer_count) as in
 * mn_tensors_inherit(). */
mn_status mn__channels_create(const mn_graph *child,
                              const uint32_t *layer_parents,
                              uint32_t layer_count,
                              const mn_graph *parent,
                              mn__channels **ret_channels,
                              mn_error *err);
/* NULL is fine. */
void mn__channels_free(mn__channels *channels);

/* For each channel of the child's value `a` a channel of the parent's value `b`, or MN_NONE. No
 * channel of `b` comes twice. Borrowed until the next call. */
const uint32_t *mn__channels_match(mn__channels *channels, uint32_t a, uint32_t b);

/* True for a depthwise convolution: one filter for each channel of its input. */
bool mn__follows_channels(const mn_node *node);

#endif

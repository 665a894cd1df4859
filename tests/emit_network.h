/*
 * A network for the tests of emit/: every kernel at least once, a plan made by hand with slices,
 * copies into slices, in-place results with and without scratch and views, and a plain evaluation
 * in double precision that knows nothing of the plan.
 */
#ifndef MN_TESTS_EMIT_NETWORK_H
#define MN_TESTS_EMIT_NETWORK_H

#include "memnet/emit.h"

#define NET_MEAN 128.0f
#define NET_SCALE 0.0123456789f

enum { NET_H = 7, NET_W = 6, NET_C = 3, NET_CLASSES = 4 };

typedef struct network {
    mn_graph *graph;
    mn_tensors tensors; /* names stay NULL: order is what counts */
    mn_plan plan;
    mn_model model;
    char *class_names[NET_CLASSES];
} network;

/* The network with every kernel. Must stay where it is: the model points into it. */
void network_init(network *n);

/* An input straight into a fully connected layer. */
void network_init_small(network *n);

/* The same with a depthwise convolution of stride 2, the plan's first step, between the two. */
void network_init_strided(network *n);

void network_done(network *n);

/* What mn_emit_c() takes. */
mn_emit_input network_input(const network *n);

/* Classifies an image of bytes (NET_H,NET_W,NET_C) in double precision. */
void network_run(const network *n, const unsigned char *image, double ret_scores[NET_CLASSES]);

#endif

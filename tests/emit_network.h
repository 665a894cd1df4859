/*
 * A network for the tests of emit/: every kernel at least once, a plan made by hand with slices,
 * copies into slices, in-place results with and without scratch and views, and plain evaluations,
 * in double precision and in int8, that know nothing of the plan.
 */
#ifndef MN_TESTS_EMIT_NETWORK_H
#define MN_TESTS_EMIT_NETWORK_H

#include "memnet/emit.h"

#define NET_MEAN 128.0f
#define NET_SCALE 0.0123456789f

enum { NET_H = 7, NET_W = 6, NET_C = 3, NET_CLASSES = 4, NET_NODES_MAX = 24 };

typedef struct network {
    mn_graph *graph;
    mn_tensors tensors; /* names stay NULL: order is what counts */
    mn_plan plan;
    mn_quant *quant; /* NULL: float32 */
    mn_model model;
    char *class_names[NET_CLASSES];
} network;

/* The network with every kernel. Must stay where it is: the model points into it. */
void network_init(network *n);

/* An input straight into a fully connected layer. */
void network_init_small(network *n);

/* The same with a depthwise convolution of stride 2, the plan's first step, between the two. */
void network_init_strided(network *n);

/* Turns any of these into int8, with numbers made from `seed`: grids that agree, weights over the
 * whole range, factors at which the results spread over it. */
void network_quantise(network *n, uint64_t seed);

void network_done(network *n);

/* What mn_emit_c() takes. */
mn_emit_input network_input(const network *n);

/* Classifies an image of bytes (NET_H,NET_W,NET_C) in double precision. */
void network_run(const network *n, const unsigned char *image, double ret_scores[NET_CLASSES]);

/* Evaluates an int8 network on an image of its input's shape: fills ret_values with the dense
 * values of all nodes, which the caller frees one by one. */
void network_run_s8(const network *n, const int8_t *image, int8_t *ret_values[]);

#endif

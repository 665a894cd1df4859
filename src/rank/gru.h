/*
 * A layer of gated recurrent units (Cho et al. 2014, in the form of cuDNN and PyTorch), forward and
 * backward over one sequence. Legend: T steps, D inputs of a step, H units.
 *
 *     z = sigmoid(Wz x + Uz h + bz)            how much is kept
 *     r = sigmoid(Wr x + Ur h + br)
 *     n = tanh(Wn x + bn + r (Un h + c))       what may take its place
 *     h' = (1 - z) n + z h
 *
 * Weights are one row of floats: W (D,3H), U (H,3H), b (3H), c (H), gates in the order z, r, n.
 * The layer owns nothing: weights, traces and gradients are the caller's.
 */
#ifndef MN_RANK_GRU_H
#define MN_RANK_GRU_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"

typedef struct mn__gru {
    uint32_t inputs; /* D */
    uint32_t units;  /* H */
} mn__gru;

/* What a forward pass leaves for the backward pass; enough room for the steps at hand. */
typedef struct mn__gru_trace {
    float *h;     /* (T+1,H); the first row is the state that the sequence starts from */
    float *gates; /* (T,3H): z, r, n */
    float *inner; /* (T,H): Un h + c */
} mn__gru_trace;

/* Floats of the weights; of a trace of `steps` steps. Sizes are bounded by the caller. */
size_t mn__gru_weights(const mn__gru *gru);
size_t mn__gru_trace_floats(const mn__gru *gru, uint32_t steps);

/* Lays a trace into `block` of mn__gru_trace_floats() floats and zeroes the first state. */
mn__gru_trace mn__gru_trace_make(const mn__gru *gru, uint32_t steps, float *block);

/* Uniform in +-sqrt(3 / fan-in); biases zero, but for z: 1, so that a new layer remembers. */
void mn__gru_initialise(const mn__gru *gru, float *weights, mn_random *random);

/* Runs over x (T,D); trace->h holds the states, the last of them in row T. */
void mn__gru_forward(const mn__gru *gru,
                     const float *weights,
                     const float *x,
                     uint32_t steps,
                     const mn__gru_trace *trace);

/* One backward pass. */
typedef struct mn__gru_backward {
    const float *weights;
    const float *x; /* (T,D) */
    uint32_t steps;
    const mn__gru_trace *trace;
    float *dh;        /* (T,H): gradient of each step's new state; used up */
    float *dx;        /* (T,D), written; NULL when nobody wants it */
    float *dweights;  /* as the weights; added to */
    float *workspace; /* (6H) */
} mn__gru_backward;

void mn__gru_backward_run(const mn__gru *gru, const mn__gru_backward *pass);

#endif

/*
 * The network of the structure correlation controller (the paper's section of that name), forward
 * and backward over a window of candidates. Legend: n candidates of the window, T steps of one, D
 * features of a step, G globals, H units, M units of the head, Z what the head sees.
 *
 *     encoder GRU    (T,D) -> f_i (H), its last state, for each candidate by itself
 *     ranking GRU    f_1..f_n -> r_1..r_n (H): each judged in the company of those before it;
 *                    left out where `company` is false
 *     head           z = [r, f, globals] (Z); a = tanh(A z + a0) (M); y = B [a, z] + b0 (3)
 *
 * Weights are one row of floats: encoder, ranking, A (Z,M), a0 (M), B (M+Z,3), b0 (3).
 */
#ifndef MN_RANK_SCC_H
#define MN_RANK_SCC_H

#include <stdbool.h>

#include "memnet/status.h"
#include "rank/gru.h"

/* What is predicted of a candidate: its accuracy, and its two parts of memory. */
enum { mn__rank_targets = 3 };

/* Bounds that keep every product of sizes within 64 bits. */
#define MN__SCC_MAX_WIDTH 4096u
#define MN__SCC_MAX_STEPS 65536u

typedef struct mn__scc {
    mn__gru encoder;
    mn__gru ranking;
    uint32_t globals, head;
    bool company;
} mn__scc;

/* One candidate, ready for the network. */
typedef struct mn__scc_input {
    uint32_t steps;
    const float *features; /* (T,D) */
    const float *globals;  /* (G) */
} mn__scc_input;

/* Room for windows; owned, freed by mn__scc_work_free(). */
typedef struct mn__scc_work {
    uint32_t most, steps; /* of candidates, and of steps of one */
    float *y, *dy;        /* (most,3): what came out, and its gradient */
    float *z, *dz;        /* (most,Z) */
    float *a, *da;        /* (most,M) */
    float *f, *df;        /* (most,H) */
    float *dr;            /* (most,H) */
    float *dh;            /* (steps,H) */
    float *workspace;     /* (6H) */
    float *traces;        /* most blocks of the encoder, then one of the ranking GRU */
    float *block;         /* owns all of the above */
} mn__scc_work;

mn__scc
mn__scc_make(uint32_t features, uint32_t globals, uint32_t hidden, uint32_t head, bool company);

size_t mn__scc_weights(const mn__scc *net);
void mn__scc_initialise(const mn__scc *net, float *weights, mn_random *random);

/* MN_ERR_NOMEM when there is no room; *ret_work untouched then. */
mn_status mn__scc_work_create(
    const mn__scc *net, uint32_t most, uint32_t steps, mn__scc_work *ret_work, mn_error *err);
void mn__scc_work_free(mn__scc_work *work);

/* Writes work->y for the n <= most candidates inputs[order[i]] (order NULL: inputs[i]). */
void mn__scc_forward(const mn__scc *net,
                     const float *weights,
                     const mn__scc_input *inputs,
                     const uint32_t *order,
                     uint32_t n,
                     mn__scc_work *work);

/* After a forward pass of the same window: adds to `dweights` what work->dy asks for. */
void mn__scc_backward(const mn__scc *net,
                      const float *weights,
                      const mn__scc_input *inputs,
                      const uint32_t *order,
                      uint32_t n,
                      mn__scc_work *work,
                      float *dweights);

#endif

/*
 * How the network of the controller learns: windows of shuffled candidates, Adam, one descent of
 * the learning rate. The same arguments give the same weights.
 */
#ifndef MN_RANK_LEARN_H
#define MN_RANK_LEARN_H

#include "rank/loss.h"
#include "rank/scc.h"

/* What there is to learn from: `index` picks the candidates; all borrowed. */
typedef struct mn__lesson {
    const mn__scc_input *inputs;
    const float *targets;  /* (all,3), in the order of the inputs */
    const uint32_t *index; /* (count) */
    uint32_t count;        /* > 0 */
    uint32_t steps;        /* most steps of a candidate */
} mn__lesson;

typedef struct mn__learn_opts {
    mn__rank_loss loss;
    uint32_t epochs; /* times that every candidate is seen */
    uint32_t window; /* most candidates that are judged together, and that a step learns from */
    double rate;     /* the largest learning rate, after a rise over the first tenth of the steps */
    double l2;       /* shrinks every weight by rate * l2 a step (Loshchilov and Hutter 2019) */
} mn__learn_opts;

/* Initialises `weights` of `net` from the stream and teaches them. MN_ERR_NOMEM. */
mn_status mn__scc_learn(const mn__scc *net,
                        const mn__lesson *lesson,
                        const mn__learn_opts *opts,
                        mn_random random,
                        float *weights,
                        mn_error *err);

#endif

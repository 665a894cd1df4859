/*
 * From the samples of a caller to what the network reads: checked, globals standardised, targets as
 * normal scores.
 */
#ifndef MN_RANK_SAMPLES_H
#define MN_RANK_SAMPLES_H

#include "rank/controller.h"

/* How globals are standardised: (x - mean) * gain, cut to +-4, so that a network far larger than
 * all that was learnt from does not leave the range of the head. */
typedef struct mn__rank_scale {
    uint32_t features, globals;
    float *mean; /* (G); owns the block */
    float *gain; /* (G); 0 where all are equal */
} mn__rank_scale;

/* Samples, ready; owned, freed by mn__ready_free(). Features are borrowed from the set. */
typedef struct mn__ready {
    uint32_t count;
    uint32_t steps;        /* most of a sample */
    mn__scc_input *inputs; /* (count) */
    float *globals;        /* (count,G) */
    float *targets;        /* (count,3); NULL when not asked for */
} mn__ready;

/* MN_ERR_ARG for sizes out of range or numbers that are not finite; targets count if `taught`. */
mn_status mn__rank_set_check(const mn__rank_set *set, bool taught, mn_error *err);

mn_status mn__rank_scale_make(const mn__rank_set *set, mn__rank_scale *ret_scale, mn_error *err);
void mn__rank_scale_free(mn__rank_scale *scale);

/* `taught`: with targets. */
mn_status mn__ready_make(const mn__rank_set *set,
                         const mn__rank_scale *scale,
                         bool taught,
                         mn__ready *ret_ready,
                         mn_error *err);
void mn__ready_free(mn__ready *ready);

#endif

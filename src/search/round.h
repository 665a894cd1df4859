/*
 * One round: generate, check against the bound, rank, train, score, decide.
 */
#ifndef MN_SEARCH_ROUND_H
#define MN_SEARCH_ROUND_H

#include "search/session.h"

/* Where a round starts, and what it hands to the next. */
typedef struct mn__base {
    bool exists; /* false before round 0 */
    mn_genotype genotype;
    mn_run_key run; /* its training, whose weights children inherit */
} mn__base;

typedef enum mn__round_end {
    MN__ROUND_DECIDED,  /* the base may have changed */
    MN__ROUND_RECALLED, /* the same, out of the study */
    MN__ROUND_EMPTY /* nothing new fits the bound, or the base cannot grow: the search is over */
} mn__round_end;

/* Runs round `round` on `base`, or recalls it when the study has decided it; unless it was empty,
 * `base` is the base of the next round and the round is in the study. */
mn_status mn__round_run(
    mn__session *session, uint32_t round, mn__base *base, mn__round_end *ret_end, mn_error *err);

#endif

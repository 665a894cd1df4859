/*
 * Rankers: which candidates deserve training. An interface, so that a learning ranker can take the
 * place of the rule.
 */
#ifndef MN_SEARCH_RANKER_H
#define MN_SEARCH_RANKER_H

#include "memnet/genotype.h"
#include "search/measure.h"

/* What a ranker may look at. */
typedef struct mn__rankable {
    const mn_genotype *genotype; /* borrowed */
    mn__needs needs;
} mn__rankable;

typedef struct mn__ranker {
    const char *name;
    /* Writes a value for each candidate, larger is better, none NaN. */
    mn_status (*rank)(void *context,
                      const mn__rankable *candidates,
                      uint32_t count,
                      double *ret_values,
                      mn_error *err);
    void *context;
} mn__ranker;

/*
 * The rule that ranks until something has been learnt: log(multiply-adds) + log(weight bytes) -
 * log(effort). Among networks that keep a bound, those that compute more with more weights are the
 * more accurate ones as a rule, and of two that compute as much the one that trains faster: it does
 * it in few wide layers, the other in many thin ones.
 */
mn__ranker mn__ranker_by_size(void);

/* 0 for every candidate: strategies that train whatever fits ask nobody. */
mn__ranker mn__ranker_none(void);

#endif

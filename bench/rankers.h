/*
 * The rankers that bench/rank_nb201 sets side by side, behind one function.
 */
#ifndef MN_BENCH_RANKERS_H
#define MN_BENCH_RANKERS_H

#include "nb201.h"

/* One ranker learns from the cells `known` (count) and scores the cells `asked` (asked_count). */
typedef struct ranker_call {
    const nb201 *table;
    const uint32_t *known;
    uint32_t count;
    const uint32_t *asked;
    uint32_t asked_count;
    mn__rank_opts opts; /* kind is set by the ranker */
} ranker_call;

typedef struct nb201_ranker {
    const char *name;
    bool ranks, searches; /* what it does when no ranker was chosen */
    mn_status (*rank)(const struct nb201_ranker *self,
                      const ranker_call *call,
                      double *ret_scores, /* (asked_count) */
                      mn_error *err);
    mn__rank_kind kind; /* of the controller */
    bool plain;         /* sees codes alone */
} nb201_ranker;

/* controller: as the search will call it, its kind chosen by cross-validation. scc, pairwise,
 * regressor: each kind by itself. codes, gru: controller and regressor that see codes alone. ridge:
 * rank_ridge.h. */
enum { ranker_count = 7 };
extern const nb201_ranker rankers[ranker_count];

/* NULL when there is none of that name. */
const nb201_ranker *ranker_find(const char *name);

#endif

/*
 * The candidates of a round: told apart, brought under the bound, measured, ranked.
 */
#ifndef MN_SEARCH_CANDIDATES_H
#define MN_SEARCH_CANDIDATES_H

#include "search/measure.h"
#include "search/propose.h"
#include "search/ranker.h"

typedef struct mn__entry {
    const mn_candidate *candidate; /* borrowed from the pool's families */
    const mn__base *parent;        /* likewise; exists = false: trained from scratch */
    char id[MN_STUDY_ID_BYTES];
    mn__needs needs;
    bool fits;
    double rank_value;
    bool slow; /* to train, beside the others */
    bool chosen;
} mn__entry;

/* Entries are distinct networks that no earlier round has seen (of several goals: that none has
 * chosen, nor one of the same goal made first), in order of generation. */
typedef struct mn__pool {
    mn__families families;
    uint32_t count;
    mn__entry *entries;
    uint32_t generated, duplicate, over_bound;
    uint32_t put_aside; /* over the bound, of a former base of the round; not among the entries */
} mn__pool;

mn_status mn__pool_make(mn__session *session, uint32_t round, mn__pool *ret_pool, mn_error *err);
void mn__pool_done(mn__pool *pool);

/* Ranks the entries that fit and marks the best `top_k` (UINT32_MAX: all) as chosen; equals in
 * order of id. Entries that take more than `most_effort` (INFINITY: any) times the median effort of
 * those that fit come behind all others. */
mn_status mn__pool_choose(
    mn__pool *pool, const mn__ranker *ranker, uint32_t top_k, double most_effort, mn_error *err);

/* Puts all entries into the study, in one transaction. */
mn_status mn__pool_store(mn__session *session, const mn__pool *pool, uint32_t round, mn_error *err);

#endif

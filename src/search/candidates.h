/*
 * The candidates of a round: generated, told apart, measured, checked against the bound.
 */
#ifndef MN_SEARCH_CANDIDATES_H
#define MN_SEARCH_CANDIDATES_H

#include "memnet/moves.h"
#include "search/measure.h"
#include "search/session.h"

typedef struct mn__entry {
    const mn_candidate *candidate; /* borrowed from the pool's lists */
    char id[MN_STUDY_ID_BYTES];
    mn__needs needs;
    bool fits;
    double rank_value;
    bool chosen;
} mn__entry;

/* Entries are distinct networks that no earlier round has seen, in order of generation. */
typedef struct mn__pool {
    mn_candidates *lists[2]; /* grown (or round 0), trimmed */
    uint32_t count;
    mn__entry *entries;
    uint32_t generated, duplicate, over_bound;
} mn__pool;

/* `base` NULL: round 0 on the session's frame. */
mn_status mn__pool_make(mn__session *session,
                        uint32_t round,
                        const mn_genotype *base,
                        mn__pool *ret_pool,
                        mn_error *err);
void mn__pool_done(mn__pool *pool);

/* Ranks the entries that fit and marks the best `top_k` (UINT32_MAX: all) as chosen; equals in
 * order of id. */
mn_status mn__pool_choose(mn__pool *pool, uint32_t top_k, mn_error *err);

/* Puts all entries into the study, in one transaction. */
mn_status mn__pool_store(mn__session *session,
                         const mn__pool *pool,
                         uint32_t round,
                         const char *parent_id,
                         mn_error *err);

#endif

/*
 * The exact search for offsets. Comes after the greedy one, when that has left a gap to the peak.
 */
#ifndef MN_PLAN_OFFSETS_EXACT_H
#define MN_PLAN_OFFSETS_EXACT_H

#include "plan/offsets_core.h"

typedef struct mn__verdict {
    bool found;         /* the pieces have offsets, in an arena of lower_bytes */
    size_t lower_bytes; /* no placement needs less */
    uint64_t states;    /* looked at */
} mn__verdict;

/*
 * Looks for the smallest arena that is smaller than `arena_bytes`, for `max_states` states at
 * most. If none is found and the verdict's lower_bytes reach arena_bytes, there is none.
 *
 * @param lower_bytes  No placement needs less.
 */
mn_status mn__offsets_exact(mn__core *core,
                            size_t lower_bytes,
                            size_t arena_bytes,
                            uint64_t max_states,
                            mn__verdict *ret_verdict,
                            mn_error *err);

#endif

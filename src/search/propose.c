/*
 * Proposals: dispatch, and augment-trim. Invariant: children lie in the order in which they were
 * made, whatever happens to them later.
 */
#include "search/propose.h"

#include <stdlib.h>

#include "base/size.h"

mn_status mn__families_make(mn__families *families, uint32_t count, mn_error *err)
{
    families->items = mn_calloc(count, sizeof *families->items);
    if (families->items == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    families->count = count;
    return MN_OK;
}

void mn__families_done(mn__families *families)
{
    for (uint32_t i = 0; i < families->count; i++)
        mn_candidates_free(families->items[i].children);
    free(families->items);
    *families = (mn__families){0};
}

mn_random mn__propose_stream(const mn__session *session, uint32_t round)
{
    return mn_random_make(mn_random_mix(session->opts->seed, round),
                          0x70726f706f7365); /* "propose" */
}

mn_status mn__candidates_make(uint32_t count, mn_candidates **ret_candidates, mn_error *err)
{
    mn_candidates *candidates = mn_calloc(1, sizeof *candidates);
    if (candidates != NULL)
        candidates->items = mn_calloc(count, sizeof *candidates->items);
    if (candidates == NULL || candidates->items == NULL) {
        free(candidates);
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    }
    candidates->count = count;
    *ret_candidates = candidates;
    return MN_OK;
}

mn_space mn__propose_space(const mn__session *session)
{
    mn_space space = mn_space_default();
    space.max_cells = session->opts->max_cells;
    return space;
}

mn_status mn__propose(mn__session *session, uint32_t round, mn__families *families, mn_error *err)
{
    switch (session->opts->strategy) {
    case MN_STRATEGY_RANDOM:
        return mn__propose_random(session, round, families, err);
    case MN_STRATEGY_EVOLUTION:
        return mn__propose_evolution(session, round, families, err);
    case MN_STRATEGY_AUGMENT_TRIM:
        break;
    }
    if (session->opts->preset == MN_PRESET_PAPER)
        return mn__propose_paper(session, families, err);
    return mn__propose_augment_trim(session, round, families, err);
}

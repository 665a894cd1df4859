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

/* True when some block has as many cells as the options allow. */
static bool is_full(const mn__session *session, const mn_genotype *base)
{
    for (uint32_t b = 0; b < base->block_count; b++)
        if (base->blocks[b].cell_count >= session->opts->max_cells)
            return true;
    return false;
}

mn_status mn__propose_augment_trim(mn__session *session,
                                   uint32_t round,
                                   mn__families *families,
                                   mn_error *err)
{
    const mn__goal *goal = mn__session_goal(session);
    const mn_genotype *base = &goal->base.genotype;
    (void)round;
    families->enough = UINT32_MAX;
    mn_status status = mn__families_make(families, 2, err);
    if (status == MN_OK && !goal->base.exists)
        return mn_moves_round0(&goal->frame, &families->items[0].children, err);
    if (status != MN_OK)
        return status;
    families->items[0].parent = families->items[1].parent = goal->base;
    if (!is_full(session, base))
        status = mn_moves_augment(base, &families->items[0].children, err);
    if (status == MN_OK)
        status = mn_moves_trim(base, &families->items[1].children, err);
    return status;
}

mn_status mn__propose(mn__session *session, uint32_t round, mn__families *families, mn_error *err)
{
    if (session->opts->strategy != MN_STRATEGY_AUGMENT_TRIM)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "strategy %s: does not exist yet",
                            mn_strategy_name(session->opts->strategy));
    return mn__propose_augment_trim(session, round, families, err);
}

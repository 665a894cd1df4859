/*
 * The size rule, and none.
 */
#include "search/ranker.h"

#include <math.h>

static mn_status rank_by_size(void *context,
                              const mn__rankable *candidates,
                              uint32_t count,
                              double *ret_values,
                              mn_error *err)
{
    (void)context;
    (void)err;
    for (uint32_t i = 0; i < count; i++)
        ret_values[i] = log((double)candidates[i].needs.macs + 1.0) +
                        log((double)candidates[i].needs.weights_bytes + 1.0) -
                        log(candidates[i].needs.effort + 1.0);
    return MN_OK;
}

mn__ranker mn__ranker_by_size(void)
{
    return (mn__ranker){.name = "size", .rank = rank_by_size};
}

static mn_status rank_none(void *context,
                           const mn__rankable *candidates,
                           uint32_t count,
                           double *ret_values,
                           mn_error *err)
{
    (void)context;
    (void)candidates;
    (void)err;
    for (uint32_t i = 0; i < count; i++)
        ret_values[i] = 0.0;
    return MN_OK;
}

mn__ranker mn__ranker_none(void)
{
    return (mn__ranker){.name = "none", .rank = rank_none};
}

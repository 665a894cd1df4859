/*
 * Rankers: the controller as the search will call it, its kinds one by one, and its peers.
 */
#include "rankers.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "rank_ridge.h"

/* The set of some cells, in fresh memory that the caller frees through set->samples. */
static mn_status make_set(const nb201_ranker *self,
                          const nb201 *table,
                          const uint32_t *cells,
                          uint32_t count,
                          mn__rank_set *ret_set,
                          mn_error *err)
{
    const mn__rank_sample *all = self->plain ? table->plain : table->samples;
    mn__rank_sample *samples = mn_calloc(count, sizeof *samples);
    if (samples == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "no room for %u samples", count);
    for (uint32_t i = 0; i < count; i++)
        samples[i] = all[cells[i]];
    *ret_set = (mn__rank_set){.features = nb201_features,
                              .globals = self->plain ? 0 : nb201_globals,
                              .count = count,
                              .samples = samples};
    return MN_OK;
}

static mn_status
by_controller(const nb201_ranker *self, const ranker_call *call, double *ret_scores, mn_error *err)
{
    mn__rank_set known = {0};
    mn__rank_set asked = {0};
    mn__rank_opts opts = call->opts;
    mn__controller *controller = NULL;
    opts.kind = self->kind;
    mn_status status = make_set(self, call->table, call->known, call->count, &known, err);
    if (status == MN_OK)
        status = make_set(self, call->table, call->asked, call->asked_count, &asked, err);
    if (status == MN_OK)
        status = mn__controller_fit(&known, &opts, &controller, err);
    if (status == MN_OK)
        status = mn__controller_predict(controller, &asked, ret_scores, NULL, err);
    mn__controller_free(controller);
    free((void *)(uintptr_t)asked.samples);
    free((void *)(uintptr_t)known.samples);
    return status;
}

static mn_status
by_ridge(const nb201_ranker *self, const ranker_call *call, double *ret_scores, mn_error *err)
{
    (void)self;
    return rank_ridge(call, ret_scores, err);
}

const nb201_ranker rankers[ranker_count] = {
    {"controller", true, true, by_controller, MN__RANK_AUTO, false},
    {"scc", false, false, by_controller, MN__RANK_JOINT, false},
    {"pairwise", false, false, by_controller, MN__RANK_PAIRWISE, false},
    {"regressor", false, false, by_controller, MN__RANK_REGRESSOR, false},
    {"codes", false, false, by_controller, MN__RANK_AUTO, true},
    {"gru", true, false, by_controller, MN__RANK_REGRESSOR, true},
    {"ridge", true, true, by_ridge, MN__RANK_KINDS, true},
};

const nb201_ranker *ranker_find(const char *name)
{
    for (int i = 0; i < ranker_count; i++)
        if (strcmp(rankers[i].name, name) == 0)
            return &rankers[i];
    return NULL;
}

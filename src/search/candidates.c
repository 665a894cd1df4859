/*
 * Candidates of a round. Invariant: an entry that does not fit is never chosen.
 */
#include "search/candidates.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "search/fit.h"
#include "search/options.h"
#include "space/layer_map.h"

void mn__pool_done(mn__pool *pool)
{
    mn__families_done(&pool->families);
    free(pool->entries);
    *pool = (mn__pool){0};
}

/* True when a round before `round` has chosen this network, or one of the same goal was the first
 * to make it: what another goal's bound refused, or its ranking left out, may be worth training
 * here. */
static mn_status seen_before(
    const mn__session *session, const char *id, uint32_t round, bool *ret_seen, mn_error *err)
{
    mn_genotype_row row;
    bool found = false;
    uint32_t goals = session->opts->bound_count;
    mn_status status = mn_study_get_genotype(session->study, id, &row, &found, err);
    if (status == MN_OK)
        *ret_seen = found && row.round < round &&
                    (row.state == MN_STATE_CHOSEN || row.round % goals == round % goals);
    return status;
}

static bool in_pool(const mn__pool *pool, const char *id)
{
    for (uint32_t i = 0; i < pool->count; i++)
        if (strcmp(pool->entries[i].id, id) == 0)
            return true;
    return false;
}

/* The place of an entry that has been added: refused as a duplicate, or kept and measured. */
static mn_status add(mn__session *session,
                     uint32_t round,
                     mn__pool *pool,
                     const mn__family *family,
                     mn_candidate *candidate,
                     mn_error *err)
{
    const mn__goal *goal = mn__session_goal(session);
    mn__entry entry = {.candidate = candidate, .parent = &family->parent};
    bool seen = false;
    mn_status status = MN_OK;
    if (session->opts->preset == MN_PRESET_FAST)
        status = mn__fit_widths(&candidate->genotype,
                                goal->bound,
                                session->opts->precision,
                                !entry.parent->exists,
                                err);
    if (status != MN_OK)
        return status;
    mn_genotype_id(&candidate->genotype, entry.id);
    pool->generated++;
    if (!in_pool(pool, entry.id))
        status = seen_before(session, entry.id, round, &seen, err);
    else
        seen = true;
    if (status == MN_OK && seen) {
        pool->duplicate++;
        return MN_OK;
    }
    if (status == MN_OK)
        status = mn__measure(&candidate->genotype, session->opts->precision, &entry.needs, err);
    if (status != MN_OK)
        return status;
    entry.fits = mn__bound_keeps(
        goal->bound, entry.needs.weights_bytes, entry.needs.arena_bytes, entry.needs.macs);
    pool->over_bound += !entry.fits;
    pool->entries[pool->count++] = entry;
    return MN_OK;
}

static mn_status fill(mn__session *session, uint32_t round, mn__pool *pool, mn_error *err)
{
    const mn__families *families = &pool->families;
    size_t total = 0;
    for (uint32_t f = 0; f < families->count; f++)
        total += families->items[f].children == NULL ? 0 : families->items[f].children->count;
    pool->entries = mn_calloc(total, sizeof *pool->entries);
    if (pool->entries == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t f = 0; f < families->count; f++) {
        const mn__family *family = &families->items[f];
        for (size_t i = 0; family->children != NULL && i < family->children->count; i++) {
            if (pool->count - pool->over_bound >= families->enough)
                return MN_OK;
            mn_status status = add(session, round, pool, family, &family->children->items[i], err);
            if (status != MN_OK)
                return status;
            mn__session_tick(session);
        }
    }
    return MN_OK;
}

mn_status mn__pool_make(mn__session *session, uint32_t round, mn__pool *ret_pool, mn_error *err)
{
    mn__pool pool = {0};
    mn_status status = mn__propose(session, round, &pool.families, err);
    if (status == MN_OK)
        status = fill(session, round, &pool, err);
    if (status == MN_OK)
        *ret_pool = pool;
    else
        mn__pool_done(&pool);
    return status;
}

static int better_first(const void *a, const void *b)
{
    const mn__entry *x = *(mn__entry *const *)a;
    const mn__entry *y = *(mn__entry *const *)b;
    if (x->slow != y->slow)
        return x->slow ? 1 : -1;
    if (x->rank_value != y->rank_value)
        return x->rank_value > y->rank_value ? -1 : 1;
    return strcmp(x->id, y->id);
}

static int less_effort_first(const void *a, const void *b)
{
    const mn__entry *x = *(mn__entry *const *)a;
    const mn__entry *y = *(mn__entry *const *)b;
    return (x->needs.effort > y->needs.effort) - (x->needs.effort < y->needs.effort);
}

static void mark_slow(mn__entry **entries, uint32_t count, double most_effort)
{
    if (count == 0)
        return;
    qsort(entries, count, sizeof(mn__entry *), less_effort_first);
    double most = most_effort * entries[count / 2]->needs.effort;
    for (uint32_t i = 0; i < count; i++)
        entries[i]->slow = entries[i]->needs.effort > most;
}

mn_status mn__pool_choose(
    mn__pool *pool, const mn__ranker *ranker, uint32_t top_k, double most_effort, mn_error *err)
{
    mn__entry **fitting = mn_calloc(pool->count, sizeof(mn__entry *));
    mn__rankable *rankable = mn_calloc(pool->count, sizeof *rankable);
    double *values = mn_calloc(pool->count, sizeof *values);
    uint32_t count = 0;
    mn_status status = MN_OK;
    if (fitting == NULL || rankable == NULL || values == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; status == MN_OK && i < pool->count; i++) {
        mn__entry *entry = &pool->entries[i];
        if (!entry->fits)
            continue;
        rankable[count] =
            (mn__rankable){.genotype = &entry->candidate->genotype, .needs = entry->needs};
        fitting[count++] = entry;
    }
    if (status == MN_OK)
        status = ranker->rank(ranker->context, rankable, count, values, err);
    if (status == MN_OK) {
        for (uint32_t i = 0; i < count; i++)
            fitting[i]->rank_value = values[i];
        mark_slow(fitting, count, most_effort);
        qsort(fitting, count, sizeof(mn__entry *), better_first);
        for (uint32_t i = 0; i < count && i < top_k; i++)
            fitting[i]->chosen = true;
    }
    free(values);
    free(rankable);
    free(fitting);
    return status;
}

static mn_status store_entry(mn_study *study, const mn__entry *entry, uint32_t round, mn_error *err)
{
    char *json = NULL;
    char *map = NULL;
    mn_genotype_row row = {.move = mn_move_name(entry->candidate->kind),
                           .round = round,
                           .state = !entry->fits    ? MN_STATE_OVER_BOUND
                                    : entry->chosen ? MN_STATE_CHOSEN
                                                    : MN_STATE_RANKED,
                           .rank_score = entry->rank_value,
                           .weights_bytes = entry->needs.weights_bytes,
                           .arena_bytes = entry->needs.arena_bytes,
                           .total_bytes = entry->needs.total_bytes,
                           .macs = entry->needs.macs};
    memcpy(row.id, entry->id, sizeof row.id);
    if (entry->parent->exists)
        memcpy(row.parent_id, entry->parent->run.genotype_id, sizeof row.parent_id);
    mn_status status = mn_genotype_print(&entry->candidate->genotype, 0, &json, err);
    if (status == MN_OK)
        status = mn_layer_map_print(&entry->candidate->map, &map, err);
    row.json = json;
    row.map_json = map;
    if (status == MN_OK)
        status = mn_study_put_genotype(study, &row, err);
    free(map);
    free(json);
    return status;
}

mn_status mn__pool_store(mn__session *session, const mn__pool *pool, uint32_t round, mn_error *err)
{
    mn_status status = mn_study_begin(session->study, err);
    if (status != MN_OK)
        return status;
    for (uint32_t i = 0; i < pool->count && status == MN_OK; i++)
        status = store_entry(session->study, &pool->entries[i], round, err);
    if (status == MN_OK)
        status = mn_study_commit(session->study, err);
    if (status != MN_OK)
        mn_study_rollback(session->study);
    return status;
}

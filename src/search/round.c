/*
 * One round. Everything here is a function of options, data and earlier rounds, so a round that
 * was interrupted is run again and finds its finished trainings in the study.
 */
#include "search/round.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "search/best.h"
#include "search/ranking.h"
#include "search/rungs.h"

/* Reads the genotype of a row of the study. */
static mn_status
load_genotype(mn_study *study, const char *id, mn_genotype *ret_genotype, mn_error *err)
{
    mn_genotype_row row;
    bool found = false;
    mn_status status = mn_study_get_genotype(study, id, &row, &found, err);
    if (status == MN_OK && !found)
        status = mn_error_set(err, MN_ERR_DB, "genotype %s: not in the study", id);
    if (status == MN_OK)
        status = mn_genotype_parse(row.json, strlen(row.json), ret_genotype, err);
    return status;
}

/* A round that the study has decided: only its outcome matters. The search may have been killed
 * before it was shown. */
static mn_status recall(mn__session *session, const mn_round_row *row, mn_error *err)
{
    mn__base next = {.exists = true};
    mn_status status = load_genotype(session->study, row->best_id, &next.genotype, err);
    if (status == MN_OK)
        status = mn__rungs_last_run(session, row->best_id, &next.run, err);
    if (status == MN_OK)
        mn__session_goal(session)->base = next;
    return status == MN_OK ? mn__best_of_round(session, err) : status;
}

/* Writes the round's row, hands the winner on as the next base. */
static mn_status decide(mn__session *session,
                        uint32_t round,
                        const mn__pool *pool,
                        const mn__rungs_result *result,
                        mn_error *err)
{
    mn__base *base = &mn__session_goal(session)->base;
    const mn__survivor *best = &result->best;
    mn_round_row row = {.round = round,
                        .best_accuracy = best->accuracy,
                        .best_score = best->score,
                        .generated = pool->generated,
                        .over_bound = pool->over_bound,
                        .duplicate = pool->duplicate,
                        .trained = result->trained,
                        .failed = result->failed};
    row.ranked = pool->count - pool->over_bound - row.trained - row.failed;
    if (base->exists)
        memcpy(row.base_id, base->run.genotype_id, sizeof row.base_id);
    memcpy(row.best_id, best->entry->id, sizeof row.best_id);
    mn_status status = mn_study_put_round(session->study, &row, err);
    if (status == MN_OK)
        *base = (mn__base){
            .exists = true, .genotype = best->entry->candidate->genotype, .run = best->run};
    return status;
}

static uint32_t how_many(const mn_search_opts *opts, uint32_t round)
{
    return opts->preset == MN_PRESET_PAPER && round / opts->bound_count < 2 ? UINT32_MAX
                                                                            : opts->top_k;
}

/* How the round was ranked, beside what its trainings then said (docs/study.md, events). */
static mn_status put_ranking(mn__session *session,
                             uint32_t round,
                             const mn__pool *pool,
                             const mn__rungs_result *result,
                             const mn__ranking *ranking,
                             mn_error *err)
{
    char *detail = NULL;
    mn_status status = mn__ranking_print(ranking, pool, result->first_accuracy, &detail, err);
    if (status == MN_OK)
        status = mn_study_put_event(session->study, "ranking", round, detail, err);
    free(detail);
    return status;
}

/* Only augment-trim has more candidates than it trains. */
static mn_status
choose(mn__session *session, uint32_t round, mn__pool *pool, mn__learned *learned, mn_error *err)
{
    mn_status status = MN_OK;
    learned->ranking = (mn__ranking){.name = "none", .size_tau = (double)NAN};
    if (session->opts->strategy == MN_STRATEGY_AUGMENT_TRIM)
        status = mn__learned_make(session, round, learned, err);
    mn__ranker ranker = mn__ranker_learned(learned);
    return status == MN_OK ? mn__pool_choose(pool, &ranker, how_many(session->opts, round), err)
                           : status;
}

static mn_status
train_and_decide(mn__session *session, uint32_t round, mn__pool *pool, mn_error *err)
{
    mn__learned learned = {0};
    mn__rungs_result result = {0};
    mn_status status = choose(session, round, pool, &learned, err);
    if (status == MN_OK)
        status = mn__pool_store(session, pool, round, err);
    if (status == MN_OK)
        status = mn__rungs_run(session, round, pool, &result, err);
    if (status == MN_OK)
        status = put_ranking(session, round, pool, &result, &learned.ranking, err);
    if (status == MN_OK)
        status = decide(session, round, pool, &result, err);
    session->progress.jobs_done = session->progress.jobs_total = result.trained;
    mn__rungs_done(&result);
    mn__learned_done(&learned);
    return status;
}

mn_status mn__round_run(mn__session *session, uint32_t round, mn__round_end *ret_end, mn_error *err)
{
    mn_round_row row;
    mn__pool pool = {0};
    bool decided = false;
    mn_progress *p = &session->progress;
    p->phase = "round";
    p->round = round;
    p->rung = 0;
    mn_status status = mn_study_get_round(session->study, round, &row, &decided, err);
    if (status == MN_OK && decided) {
        status = recall(session, &row, err);
        *ret_end = MN__ROUND_RECALLED;
        return status;
    }
    if (status == MN_OK)
        status = mn__pool_make(session, round, &pool, err);
    if (status != MN_OK)
        return status;
    p->fresh = pool.count;
    p->fits = pool.count - pool.over_bound;
    *ret_end = p->fits == 0 ? MN__ROUND_EMPTY : MN__ROUND_DECIDED;
    if (p->fits > 0) {
        status = train_and_decide(session, round, &pool, err);
        if (status == MN_OK)
            status = mn__best_of_round(session, err);
        if (status == MN_OK)
            mn__session_tell(session, true);
    }
    mn__pool_done(&pool);
    return status;
}

/*
 * One round. Everything here is a function of options, data and earlier rounds, so a round that
 * was interrupted is run again and finds its finished trainings in the study.
 */
#include "search/round.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "search/best.h"
#include "search/pace.h"
#include "search/ranking.h"
#include "search/rebase.h"
#include "search/rung_images.h"
#include "search/rungs.h"

/* A round that the study has decided: only its outcome matters. The search may have been killed
 * before it was shown. */
static mn_status recall(mn__session *session, const mn_round_row *row, mn_error *err)
{
    mn__base next = {.exists = true};
    mn_status status = mn__session_genotype(session, row->best_id, &next.genotype, err);
    if (status == MN_OK)
        status = mn__rungs_last_run(session, row->best_id, &next.run, err);
    if (status == MN_OK)
        mn__session_goal(session)->base = next;
    return status == MN_OK ? mn__best_of_round(session, err) : status;
}

/* The survivor of a round, or its base where every training failed. */
static mn_status choose_best(mn__session *session,
                             const mn__rungs_result *result,
                             mn_round_row *row,
                             mn__base *ret_base,
                             mn_error *err)
{
    const mn__base *base = &mn__session_goal(session)->base;
    const mn__survivor *best = &result->best;
    mn_run_row run;
    bool found = false;
    if (best->entry != NULL) {
        row->best_accuracy = best->accuracy;
        row->best_score = best->score;
        memcpy(row->best_id, best->entry->id, sizeof row->best_id);
        *ret_base = (mn__base){
            .exists = true, .genotype = best->entry->candidate->genotype, .run = best->run};
        return MN_OK;
    }
    if (!base->exists)
        return mn_error_set(err,
                            MN_ERR_WORKER,
                            "round %u: all %u trainings failed, the last one: %s",
                            row->round,
                            result->failed,
                            session->failure);
    mn_status status = mn_study_get_run(session->study, &base->run, &run, &found, err);
    if (status != MN_OK)
        return status;
    row->best_accuracy = found ? run.val_accuracy : (double)NAN;
    row->best_score = (double)NAN;
    memcpy(row->best_id, base->run.genotype_id, sizeof row->best_id);
    *ret_base = *base;
    return MN_OK;
}

/* Writes the round's row, hands the winner on as the next base. */
static mn_status decide(mn__session *session,
                        uint32_t round,
                        const mn__pool *pool,
                        const mn__rungs_result *result,
                        mn_error *err)
{
    mn__base *base = &mn__session_goal(session)->base;
    mn__base next = {0};
    mn_round_row row = {.round = round,
                        .generated = pool->generated,
                        .over_bound = pool->over_bound + pool->put_aside,
                        .duplicate = pool->duplicate,
                        .trained = result->trained,
                        .failed = result->failed};
    row.ranked = pool->count - pool->over_bound - row.trained - row.failed;
    if (base->exists)
        memcpy(row.base_id, base->run.genotype_id, sizeof row.base_id);
    mn_status status = choose_best(session, result, &row, &next, err);
    if (status == MN_OK)
        status = mn_study_put_round(session->study, &row, err);
    if (status == MN_OK)
        *base = next;
    return status;
}

/* Under `fast`, networks that take longer than so many medians to train give way to others: a round
 * lasts as long as its slowest network, and trains eight for one that takes eight times as long. */
static double most_effort(const mn_search_opts *opts)
{
    return opts->preset == MN_PRESET_PAPER ? (double)INFINITY : 2.0;
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
    mn__ranker ranker = mn__ranker_none();
    mn_status status = MN_OK;
    learned->ranking = (mn__ranking){.name = ranker.name, .size_tau = (double)NAN};
    if (session->opts->strategy == MN_STRATEGY_AUGMENT_TRIM) {
        status = mn__learned_make(session, round, learned, err);
        ranker = mn__ranker_learned(learned);
    }
    return status == MN_OK
               ? mn__pool_choose(
                     pool, &ranker, how_many(session->opts, round), most_effort(session->opts), err)
               : status;
}

static mn_status train_and_decide(
    mn__session *session, uint32_t round, mn__pool *pool, mn__round_end *ret_end, mn_error *err)
{
    mn__learned learned = {0};
    mn__rungs_result result = {0};
    mn__work_left work = {0};
    int64_t start = mn_clock_ms();
    mn_status status = choose(session, round, pool, &learned, err);
    if (status == MN_OK)
        status = mn__session_save_clock(session, err);
    if (status == MN_OK)
        status = mn__pace_work(session, pool, &work, err);
    if (status != MN_OK || mn__pace_late(session, round, work)) {
        *ret_end = MN__ROUND_LATE;
        mn__learned_done(&learned);
        return status;
    }
    status = mn__pool_store(session, pool, round, err);
    if (status == MN_OK)
        status = mn__rung_images_decide(session, pool, err);
    if (status == MN_OK)
        status = mn__rungs_run(session, round, pool, &result, err);
    if (status == MN_OK)
        status = put_ranking(session, round, pool, &result, &learned.ranking, err);
    if (status == MN_OK)
        status = decide(session, round, pool, &result, err);
    session->progress.jobs_done = session->progress.jobs_total = result.trained;
    mn__pace_note(session, work, mn_clock_ms() - start);
    mn__rungs_done(&result);
    mn__learned_done(&learned);
    return status;
}

static uint32_t fitting(const mn__pool *pool)
{
    return pool->count - pool->over_bound;
}

/* The pool of another base replaces one of which nothing is new, if something new of its fits. */
static mn_status rebase(mn__session *session, uint32_t round, mn__pool *pool, mn_error *err)
{
    mn__base *base = &mn__session_goal(session)->base;
    const mn__base former = *base;
    mn__pool other = {0};
    bool found = false;
    mn_status status = mn__rebase_find(session, round, base, &found, err);
    if (status != MN_OK || !found)
        return status;
    status = mn__pool_make(session, round, &other, err);
    if (status == MN_OK && fitting(&other) > 0) {
        /* What was made of the former base is recorded with the round all the same. */
        status = mn__pool_store(session, pool, round, err);
        other.generated += pool->generated;
        other.duplicate += pool->duplicate;
        other.put_aside = pool->over_bound;
        mn__pool_done(pool);
        *pool = other;
        return status == MN_OK ? mn__rebase_note(session, round, base, err) : status;
    }
    *base = former;
    mn__pool_done(&other);
    return status;
}

static mn_status make_pool(mn__session *session, uint32_t round, mn__pool *ret_pool, mn_error *err)
{
    mn_status status = mn__pool_make(session, round, ret_pool, err);
    if (status == MN_OK && fitting(ret_pool) == 0)
        status = rebase(session, round, ret_pool, err);
    return status == MN_OK ? mn__session_save_clock(session, err) : status;
}

static const char ended_event[] = "search-ended";

/* What was made in vain is recorded as well. */
static mn_status
put_ended(mn__session *session, uint32_t round, const mn__pool *pool, mn_error *err)
{
    char *detail = NULL;
    mn_status status = mn__pool_store(session, pool, round, err);
    if (status != MN_OK)
        return status;
    int length = asprintf(&detail,
                          "{\"reason\":\"nothing new fits\",\"bound\":%" PRIu64
                          ",\"duplicate\":%" PRIu32 "}",
                          mn__session_goal(session)->bytes,
                          pool->duplicate);
    if (length < 0)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    status = mn_study_put_event(session->study, ended_event, round, detail, err);
    free(detail);
    return status;
}

/* What the study knows of a round; *ret_end is set when that is all there is to do. */
static mn_status look_up(
    mn__session *session, uint32_t round, bool *ret_known, mn__round_end *ret_end, mn_error *err)
{
    mn_round_row row;
    char *ended = NULL;
    mn_status status = mn_study_get_round(session->study, round, &row, ret_known, err);
    if (status == MN_OK && *ret_known) {
        *ret_end = MN__ROUND_RECALLED;
        return recall(session, &row, err);
    }
    if (status == MN_OK)
        status = mn_study_get_event(session->study, ended_event, round, &ended, err);
    *ret_known = ended != NULL;
    *ret_end = MN__ROUND_EMPTY;
    free(ended);
    return status;
}

mn_status mn__round_run(mn__session *session, uint32_t round, mn__round_end *ret_end, mn_error *err)
{
    mn__pool pool = {0};
    bool known = false;
    mn_progress *p = &session->progress;
    p->phase = "round";
    p->round = round;
    p->rung = 0;
    mn_status status = look_up(session, round, &known, ret_end, err);
    if (status != MN_OK || known)
        return status;
    status = make_pool(session, round, &pool, err);
    if (status != MN_OK) {
        mn__pool_done(&pool);
        return status;
    }
    p->fresh = pool.count;
    p->fits = fitting(&pool);
    *ret_end = p->fits == 0 ? MN__ROUND_EMPTY : MN__ROUND_DECIDED;
    if (p->fits == 0)
        status = put_ended(session, round, &pool, err);
    else
        status = train_and_decide(session, round, &pool, ret_end, err);
    if (status == MN_OK && *ret_end == MN__ROUND_DECIDED)
        status = mn__best_of_round(session, err);
    if (status == MN_OK && *ret_end == MN__ROUND_DECIDED)
        mn__session_tell(session, true);
    mn__pool_done(&pool);
    return status;
}

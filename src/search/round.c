/*
 * One round. Everything here is a function of options, data and earlier rounds, so a round that
 * was interrupted is run again and finds its finished trainings in the study.
 */
#include "search/round.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "search/best.h"
#include "search/candidates.h"
#include "search/options.h"
#include "search/score.h"

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
static mn_status
recall(mn__session *session, const mn_round_row *row, mn__base *base, mn_error *err)
{
    mn__base next = {.exists = true, .run = {.seed = 0, .rung = 0}};
    memcpy(next.run.genotype_id, row->best_id, sizeof next.run.genotype_id);
    mn_status status = load_genotype(session->study, row->best_id, &next.genotype, err);
    if (status == MN_OK)
        *base = next;
    return status == MN_OK ? mn__best_of_round(session, err) : status;
}

static mn__training
training_of(const mn__session *session, const mn__entry *entry, const mn__base *base)
{
    mn__training t = {.key = {.seed = 0, .rung = 0},
                      .genotype = &entry->candidate->genotype,
                      .train = &session->rung,
                      .epochs = session->opts->rung_epochs,
                      .images = session->opts->rung_images};
    memcpy(t.key.genotype_id, entry->id, sizeof t.key.genotype_id);
    if (base->exists) {
        t.parent = &base->genotype;
        t.map = &entry->candidate->map;
        t.parent_run = &base->run;
    }
    return t;
}

static mn__scored scored(double accuracy_percent, const mn__needs *needs)
{
    return (mn__scored){.accuracy = accuracy_percent / 100.0,
                        .weights = (double)needs->weights_bytes,
                        .arena = (double)needs->arena_bytes};
}

/* What candidates are compared with: the base, or in round 0 the mean of what was trained. */
static mn_status reference(mn__session *session,
                           const mn__base *base,
                           const mn__training *trainings,
                           mn__entry *const *entries,
                           uint32_t count,
                           mn__scored *ret,
                           mn_error *err)
{
    mn__scored mean = {0};
    uint32_t good = 0;
    if (base->exists) {
        mn_run_row row;
        mn__needs needs;
        bool found = false;
        mn_status status = mn_study_get_run(session->study, &base->run, &row, &found, err);
        if (status == MN_OK && !found)
            status =
                mn_error_set(err, MN_ERR_DB, "run of %s: not in the study", base->run.genotype_id);
        double accuracy = status == MN_OK ? row.val_accuracy : 0.0;
        if (status == MN_OK)
            status = mn__measure(&base->genotype, session->opts->precision, &needs, err);
        if (status == MN_OK)
            *ret = scored(accuracy, &needs);
        return status;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (trainings[i].row.failed)
            continue;
        mn__scored s = scored(trainings[i].row.val_accuracy, &entries[i]->needs);
        mean.accuracy += s.accuracy;
        mean.weights += s.weights;
        mean.arena += s.arena;
        good++;
    }
    if (good > 0)
        *ret = (mn__scored){mean.accuracy / good, mean.weights / good, mean.arena / good};
    return MN_OK;
}

/* The highest score wins, equals by id; MN_NONE when every training failed. */
static uint32_t pick_best(const mn__session *session,
                          const mn__training *trainings,
                          mn__entry *const *entries,
                          uint32_t count,
                          const mn__scored *against,
                          double *ret_score)
{
    uint32_t best = MN_NONE;
    double best_score = -(double)INFINITY;
    double bound = (double)mn__bound_bytes(&session->opts->bound);
    for (uint32_t i = 0; i < count; i++) {
        if (trainings[i].row.failed)
            continue;
        mn__scored s = scored(trainings[i].row.val_accuracy, &entries[i]->needs);
        double score = session->opts->preset == MN_PRESET_PAPER
                           ? mn__score_paper(&s, against, session->opts->lambda)
                           : mn__score_bounded(&s, against, session->opts->lambda, bound);
        bool wins = best == MN_NONE || score > best_score ||
                    (score == best_score && strcmp(entries[i]->id, entries[best]->id) < 0);
        if (wins) {
            best = i;
            best_score = score;
        }
    }
    *ret_score = best_score;
    return best;
}

/* Writes the round's row, hands the winner on as the next base. */
static mn_status decide(mn__session *session,
                        uint32_t round,
                        const mn__pool *pool,
                        const mn__training *trainings,
                        mn__entry *const *entries,
                        uint32_t count,
                        mn__base *base,
                        mn_error *err)
{
    mn__scored against = {0};
    double score = 0.0;
    mn_round_row row = {.round = round,
                        .generated = pool->generated,
                        .over_bound = pool->over_bound,
                        .duplicate = pool->duplicate,
                        .ranked = pool->count - pool->over_bound - count};
    mn_status status = reference(session, base, trainings, entries, count, &against, err);
    if (status != MN_OK)
        return status;
    uint32_t best = pick_best(session, trainings, entries, count, &against, &score);
    if (best == MN_NONE)
        return mn_error_set(err, MN_ERR_WORKER, "round %u: all %u trainings failed", round, count);
    for (uint32_t i = 0; i < count; i++) {
        row.trained += !trainings[i].row.failed;
        row.failed += trainings[i].row.failed;
    }
    if (base->exists)
        memcpy(row.base_id, base->run.genotype_id, sizeof row.base_id);
    memcpy(row.best_id, entries[best]->id, sizeof row.best_id);
    row.best_accuracy = trainings[best].row.val_accuracy;
    row.best_score = score;
    status = mn_study_put_round(session->study, &row, err);
    if (status != MN_OK)
        return status;
    *base = (mn__base){
        .exists = true, .genotype = entries[best]->candidate->genotype, .run = trainings[best].key};
    return MN_OK;
}

static mn_status train_and_decide(
    mn__session *session, uint32_t round, mn__pool *pool, mn__base *base, mn_error *err)
{
    mn__entry **entries = mn_calloc(pool->count, sizeof(mn__entry *));
    mn__training *trainings = mn_calloc(pool->count, sizeof *trainings);
    uint32_t count = 0;
    mn_status status = MN_OK;
    if (entries == NULL || trainings == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; status == MN_OK && i < pool->count; i++)
        if (pool->entries[i].chosen) {
            entries[count] = &pool->entries[i];
            trainings[count++] = training_of(session, &pool->entries[i], base);
        }
    if (status == MN_OK)
        status = mn__session_train(session, trainings, count, err);
    if (status == MN_OK)
        status = decide(session, round, pool, trainings, entries, count, base, err);
    free(trainings);
    free(entries);
    return status;
}

static uint32_t how_many(const mn_search_opts *opts, uint32_t round)
{
    return opts->preset == MN_PRESET_PAPER && round < 2 ? UINT32_MAX : opts->top_k;
}

mn_status mn__round_run(
    mn__session *session, uint32_t round, mn__base *base, mn__round_end *ret_end, mn_error *err)
{
    mn_round_row row;
    mn__pool pool = {0};
    bool decided = false;
    mn_progress *p = &session->progress;
    p->phase = "round";
    p->round = round;
    mn_status status = mn_study_get_round(session->study, round, &row, &decided, err);
    if (status == MN_OK && decided) {
        status = recall(session, &row, base, err);
        *ret_end = MN__ROUND_RECALLED;
        return status;
    }
    if (status == MN_OK)
        status = mn__pool_make(session, round, base->exists ? &base->genotype : NULL, &pool, err);
    if (status != MN_OK)
        return status;
    p->generated = pool.generated;
    p->fits = pool.count - pool.over_bound;
    if (p->fits == 0) {
        *ret_end = MN__ROUND_EMPTY;
        goto done;
    }
    status = mn__pool_choose(&pool, how_many(session->opts, round), err);
    if (status == MN_OK)
        status =
            mn__pool_store(session, &pool, round, base->exists ? base->run.genotype_id : "", err);
    if (status == MN_OK)
        status = train_and_decide(session, round, &pool, base, err);
    if (status == MN_OK)
        status = mn__best_of_round(session, err);
    if (status == MN_OK)
        mn__session_tell(session, true);
    *ret_end = MN__ROUND_DECIDED;
done:
    mn__pool_done(&pool);
    return status;
}

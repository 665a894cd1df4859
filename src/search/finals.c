/*
 * Finals: train, choose, read the test, publish. See finals.h.
 */
#include "search/finals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/size.h"
#include "search/best.h"
#include "search/finals_plan.h"
#include "search/finals_time.h"
#include "search/rungs.h"
#include "space/layer_map.h"

static const char test_event[] = "test-read";

/* Mean validation accuracy of a finalist over its seeds, and its best seed; false when one of its
 * trainings failed. */
static bool mean_of(const mn__training *trainings,
                    uint32_t seeds,
                    double *ret_mean,
                    const mn__training **ret_best)
{
    double sum = 0.0;
    const mn__training *best = &trainings[0];
    for (uint32_t s = 0; s < seeds; s++) {
        if (trainings[s].row.failed)
            return false;
        sum += trainings[s].row.val_accuracy;
        if (trainings[s].row.val_accuracy > best->row.val_accuracy)
            best = &trainings[s];
    }
    *ret_mean = sum / seeds;
    *ret_best = best;
    return true;
}

/* *ret_index is MN_NONE when the training of every finalist failed. */
static void find_winner(const mn__training *trainings,
                        const mn__finals_plan *plan,
                        mn_best_row *ret_row,
                        uint32_t *ret_index)
{
    uint32_t winner = MN_NONE;
    for (uint32_t i = 0; i < plan->count; i++) {
        double mean = 0.0;
        const mn__training *best = NULL;
        if (!mean_of(&trainings[(size_t)i * plan->seeds], plan->seeds, &mean, &best))
            continue;
        if (winner == MN_NONE || mean > ret_row->val_accuracy) {
            winner = i;
            ret_row->val_accuracy = mean;
            ret_row->run = best->key;
        }
    }
    if (winner == MN_NONE) /* anything is better */
        ret_row->val_accuracy = -(double)INFINITY;
    *ret_index = winner;
}

/* What the rounds have made of the first finalist competes where the finals end below it: quantised
 * as they are, but not trained anew. Short finals can end below it, and its weights are older than
 * they are. */
static mn_status challenge(mn__session *session,
                           const mn__training *finals,
                           const mn__finals_plan *plan,
                           mn_best_row *row,
                           uint32_t *winner,
                           mn_error *err)
{
    mn_run_key key;
    mn_run_row searched = {0};
    bool found = false;
    mn__training kept = finals[0];
    mn_layer_map same = {0};
    double rounds_epochs = 0.0;
    mn_status status = mn__rungs_last_run(session, plan->ids[0], &key, err);
    if (status == MN_OK)
        status = mn_study_get_run(session->study, &key, &searched, &found, err);
    if (status != MN_OK || !found || searched.val_accuracy <= row->val_accuracy)
        return status;
    status = mn__finals_rounds_epochs(session, &rounds_epochs, err);
    if (status == MN_OK)
        status = mn__layer_map_build(kept.genotype, kept.genotype, NULL, &same, err);
    if (status != MN_OK)
        return status;
    kept.key.seed = plan->seeds; /* behind those of the finals */
    kept.qat_epochs = mn__finals_tuning_again(session->opts, plan->epochs, rounds_epochs);
    kept.keeps = true;
    kept.parent = kept.genotype;
    kept.parent_run = &key;
    kept.map = &same;
    session->progress.epochs = 0;
    status = mn__session_train(session, &kept, 1, err);
    mn_layer_map_done(&same);
    if (status != MN_OK || kept.row.failed || kept.row.val_accuracy <= row->val_accuracy)
        return status;
    row->val_accuracy = kept.row.val_accuracy;
    row->run = kept.key;
    *winner = 0;
    return MN_OK;
}

/* The test accuracy of a winner: read from the study when it was read from the test set before. */
static mn_status read_test(mn__session *session,
                           uint32_t number,
                           const mn_genotype *genotype,
                           mn_best_row *row,
                           mn_error *err)
{
    char *detail = NULL;
    json_t *object = NULL;
    mn_status status = mn_study_get_event(session->study, test_event, number, &detail, err);
    if (status != MN_OK)
        return status;
    if (detail != NULL) {
        status = mn_json_parse(test_event, detail, strlen(detail), 1 << 20, &object, err);
        if (status == MN_OK)
            status = mn_json_get_number(object, test_event, "accuracy", &row->test_accuracy, err);
        json_decref(object);
        free(detail);
        return status;
    }
    session->progress.phase = "test";
    mn__session_tell(session, false);
    status = mn__session_test(
        session, genotype, &row->run, session->opts->precision, &row->test_accuracy, err);
    if (status != MN_OK)
        return status;
    object =
        json_pack("{s:s, s:f}", "genotype", row->run.genotype_id, "accuracy", row->test_accuracy);
    detail = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (detail == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    status = mn_study_put_event(session->study, test_event, number, detail, err);
    free(detail);
    return status;
}

/* A former winner stays when it did better on the validation split. */
static mn_status
former_is_better(mn__session *session, const mn_best_row *row, bool *ret, mn_error *err)
{
    mn_best_row stored;
    bool found = false;
    mn_status status = mn_study_get_best(session->study, row->bound_bytes, &stored, &found, err);
    if (status == MN_OK)
        *ret = found && stored.run.rung >= MN_STUDY_FINALS_RUNG &&
               stored.run.rung != row->run.rung && stored.val_accuracy >= row->val_accuracy;
    return status;
}

static mn_status crown(mn__session *session,
                       const mn__finals_plan *plan,
                       const mn__training *trainings,
                       mn_error *err)
{
    mn_best_row row = {.bound_bytes = mn__session_goal(session)->bytes,
                       .test_accuracy = (double)NAN};
    uint32_t winner = 0;
    bool stays = false;
    find_winner(trainings, plan, &row, &winner);
    mn_status status = challenge(session, trainings, plan, &row, &winner, err);
    if (status == MN_OK && winner == MN_NONE)
        status = mn_error_set(err,
                              MN_ERR_WORKER,
                              "the training of every finalist failed, of the last one: %s",
                              session->failure);
    if (status == MN_OK)
        status = former_is_better(session, &row, &stays, err);
    if (status != MN_OK || stays)
        return status;
    const mn_genotype *genotype = trainings[(size_t)winner * plan->seeds].genotype;
    status = read_test(session, plan->number, genotype, &row, err);
    return status == MN_OK ? mn__best_publish(session, &row, err) : status;
}

mn_status mn__finals_run(mn__session *session, uint32_t stage, mn_error *err)
{
    mn__finals_plan plan = {0};
    mn_genotype *genotypes = NULL;
    mn__training *trainings = NULL;
    mn_status status = mn__finals_plan_make(session, stage, &plan, err);
    if (status != MN_OK)
        return status;
    session->progress.phase = "finals";
    session->progress.epochs = plan.epochs;
    genotypes = mn_calloc(plan.count, sizeof *genotypes);
    trainings = mn_calloc((size_t)plan.count * plan.seeds, sizeof *trainings);
    if (genotypes == NULL || trainings == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < plan.count && status == MN_OK; i++) {
        status = mn__session_genotype(session, plan.ids[i], &genotypes[i], err);
        for (uint32_t s = 0; s < plan.seeds && status == MN_OK; s++) {
            mn__training *t = &trainings[(size_t)i * plan.seeds + s];
            *t = (mn__training){.key = {.seed = s, .rung = MN_STUDY_FINALS_RUNG + plan.number},
                                .genotype = &genotypes[i],
                                .train = &session->finals,
                                .epochs = plan.epochs,
                                .images = UINT32_MAX - 1,
                                .precision = session->opts->precision,
                                .qat_epochs = mn__finals_tuning(session->opts, plan.epochs),
                                .checkpoints = true};
            memcpy(t->key.genotype_id, plan.ids[i], sizeof t->key.genotype_id);
        }
    }
    if (status == MN_OK)
        status = mn__session_train(session, trainings, plan.count * plan.seeds, err);
    if (status == MN_OK)
        status = crown(session, &plan, trainings, err);
    free(trainings);
    free(genotypes);
    return status;
}

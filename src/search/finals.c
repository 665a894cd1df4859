/*
 * Finals. The plan (who, how many epochs) is an event of the study: the clock may decide it, but
 * only once. Finals number n train at rung MN_STUDY_FINALS_RUNG + n.
 */
#include "search/finals.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/size.h"
#include "search/best.h"
#include "search/options.h"
#include "search/rungs.h"
#include "space/layer_map.h"

static const char plan_event[] = "finals";
static const char test_event[] = "test-read";

enum { most_finalists = 64, most_epochs = 300, least_epochs = 2 };

/* Share of the time that is left which trainings may be planned for: the rest is for starting
 * workers, for the test and for a machine that slows down. */
static const double planned_share = 0.96;

/* What an epoch of fine-tuning costs beside one of training: it computes in float32, training
 * mostly in bf16, which is about half of that. */
static const double fine_tuning_cost = 2.0;

/* Fine-tuning is at most one epoch for so many of training, one at least. */
enum { fine_tuning_part = 4 };

/* What evaluating an image costs beside training on it: a forward pass instead of three. */
static const double evaluation_cost = 1.0 / 3.0;

/* Where the time allows so many epochs to each of several seeds, they are trained: the mean of a
 * few tells finalists apart. Below that the epochs are worth more: docs/results.md has a network
 * that gains 1.2 points from 60 more epochs, where seeds differ by a few tenths. */
enum { most_seeds = 3, enough_epochs = 150 };

/* Finals of so many epochs hardly end below what the rounds have made. */
enum { enough_to_win = 12 };

typedef struct finals_plan {
    uint32_t epochs;
    uint32_t seeds; /* trainings of each finalist */
    uint32_t count;
    char ids[most_finalists][MN_STUDY_ID_BYTES];
} finals_plan;

/* Of a goal's finals: events and rungs are numbered through all stages and goals. */
static uint32_t number_of(const mn__session *session, uint32_t stage)
{
    return stage * session->opts->bound_count + session->goal;
}

/* Whether finals number `number` are planned, and under which --time. */
static mn_status
planned(mn__session *session, uint32_t number, bool *ret, int64_t *ret_time_ms, mn_error *err)
{
    char *detail = NULL;
    json_t *object = NULL;
    mn_status status = mn_study_get_event(session->study, plan_event, number, &detail, err);
    *ret = false;
    if (status != MN_OK || detail == NULL)
        return status;
    status = mn_json_parse(plan_event, detail, strlen(detail), 1 << 20, &object, err);
    if (status == MN_OK)
        status = mn_json_get_integer(object, plan_event, "time_ms", 0, INT64_MAX, ret_time_ms, err);
    json_decref(object);
    free(detail);
    *ret = status == MN_OK;
    return status;
}

mn_status
mn__finals_planned(mn__session *session, uint32_t *ret_stages, int64_t *ret_time_ms, mn_error *err)
{
    uint32_t goals = session->opts->bound_count;
    uint32_t number = 0;
    int64_t time_ms = 0;
    bool more = true;
    mn_status status = MN_OK;
    while (status == MN_OK && more) {
        /* The goals of a stage are planned one after another, the first one first. */
        status = planned(session, number * goals, &more, &time_ms, err);
        number += more;
    }
    if (status != MN_OK)
        return status;
    *ret_stages = number;
    *ret_time_ms = time_ms;
    return MN_OK;
}

/* Work of one epoch in training images: training on `images`, then the validation split. */
static double epoch_work(const mn__session *session, double images)
{
    double validation = mn__session_split_fraction() * session->dataset->train.count;
    double training = session->dataset->train.count - validation;
    return (images < training ? images : training) + evaluation_cost * validation;
}

/* Milliseconds a training image of a network: those of the fastest of its runs in the rounds, since
 * whatever else the machine does makes runs slower. */
static mn_status network_ms(mn__session *session, const mn_run_key *run, double *ret, mn_error *err)
{
    double fastest = (double)INFINITY;
    mn_run_key key = *run;
    for (key.rung = 0; key.rung <= mn__rung_last(session); key.rung++) {
        mn_run_row row;
        bool found = false;
        uint32_t epochs = 0;
        uint32_t images = 0;
        mn_status status = mn_study_get_run(session->study, &key, &row, &found, err);
        if (status != MN_OK)
            return status;
        if (!found || row.failed)
            continue;
        mn__rung_size(session, key.rung, &epochs, &images);
        double ms = (double)row.train_ms / (epoch_work(session, images) * epochs);
        fastest = ms < fastest ? ms : fastest;
    }
    *ret = isfinite(fastest) ? fastest : 0.0;
    return MN_OK;
}

/* Of the slowest finalist. */
static mn_status
image_ms(mn__session *session, const mn_run_key *keys, uint32_t count, double *ret, mn_error *err)
{
    double slowest = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        double ms = 0.0;
        mn_status status = network_ms(session, &keys[i], &ms, err);
        if (status != MN_OK)
            return status;
        slowest = ms > slowest ? ms : slowest;
    }
    *ret = slowest;
    return MN_OK;
}

/* Epochs of fine-tuning behind so many of training: of a short one they are the smaller part. */
static uint32_t fine_tuning(const mn_search_opts *opts, uint32_t epochs)
{
    uint32_t most = epochs / fine_tuning_part > 1 ? epochs / fine_tuning_part : 1;
    if (opts->precision != MN_PRECISION_INT8)
        return 0;
    return opts->qat_epochs < most ? opts->qat_epochs : most;
}

/* What finals of so many epochs cost, in epochs of training, in `turns` one after the other. */
static double finals_cost(const mn_search_opts *opts, uint32_t epochs, uint32_t turns)
{
    double tuning = fine_tuning_cost * fine_tuning(opts, epochs);
    double again = epochs < enough_to_win ? tuning : 0.0; /* see challenge() */
    return turns * (epochs + tuning) + again;
}

/* Epochs that the time that is left allows, on the workers there are, to this many trainings of
 * `ms` a training image. */
static uint32_t affordable(const mn__session *session, uint32_t trainings, double ms)
{
    const mn_search_opts *opts = session->opts;
    uint32_t turns = (trainings + opts->jobs - 1) / opts->jobs;
    uint32_t epochs = ms > 0.0 ? most_epochs : least_epochs;
    double work = epoch_work(session, session->dataset->train.count);
    double left = (double)(opts->time_ms - mn__session_elapsed_ms(session)) * planned_share /
                  (opts->bound_count - session->goal);
    while (epochs > least_epochs && ms * work * finals_cost(opts, epochs, turns) > left)
        epochs--;
    return epochs;
}

static mn_status
choose_epochs(mn__session *session, const mn_run_key *keys, finals_plan *plan, mn_error *err)
{
    const mn_search_opts *opts = session->opts;
    double ms = 0.0;
    plan->epochs = opts->finalist_epochs;
    plan->seeds = opts->finalist_seeds;
    if (opts->time_ms == 0)
        return MN_OK;
    mn_status status = image_ms(session, keys, plan->count, &ms, err);
    if (status != MN_OK)
        return status;
    while (plan->seeds < most_seeds &&
           affordable(session, plan->count * (plan->seeds + 1), ms) >= enough_epochs)
        plan->seeds++;
    plan->epochs = affordable(session, plan->count * plan->seeds, ms);
    return MN_OK;
}

/* Event and rung in one transaction: a kill leaves both or none. */
static mn_status put_plan(mn_study *study, uint32_t number, const char *detail, mn_error *err)
{
    mn_status status = mn_study_begin(study, err);
    if (status != MN_OK)
        return status;
    status = mn_study_put_event(study, plan_event, number, detail, err);
    if (status == MN_OK)
        status = mn_study_put_rung(study, MN_STUDY_FINALS_RUNG + number, detail, err);
    if (status == MN_OK)
        return mn_study_commit(study, err);
    mn_study_rollback(study);
    return status;
}

static mn_status
store_plan(mn__session *session, uint32_t number, const finals_plan *plan, mn_error *err)
{
    json_t *ids = json_array();
    bool complete = ids != NULL;
    for (uint32_t i = 0; i < plan->count; i++)
        complete = complete && json_array_append_new(ids, json_string(plan->ids[i])) == 0;
    json_t *object = json_pack("{s:I, s:i, s:i, s:o}",
                               "time_ms",
                               (json_int_t)session->opts->time_ms,
                               "epochs",
                               (int)plan->epochs,
                               "seeds",
                               (int)plan->seeds,
                               "finalists",
                               ids);
    char *detail = object == NULL || !complete ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (detail == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    mn_status status = put_plan(session->study, number, detail, err);
    free(detail);
    return status;
}

static mn_status parse_plan(const char *detail, finals_plan *ret_plan, mn_error *err)
{
    finals_plan plan = {0};
    json_t *object = NULL;
    const json_t *ids = NULL;
    int64_t epochs = 0;
    int64_t seeds = 0;
    mn_status status = mn_json_parse(plan_event, detail, strlen(detail), 1 << 20, &object, err);
    if (status == MN_OK)
        status = mn_json_get_integer(object, plan_event, "epochs", 1, 100000, &epochs, err);
    if (status == MN_OK)
        status = mn_json_get_integer(object, plan_event, "seeds", 1, 64, &seeds, err);
    if (status == MN_OK)
        status = mn_json_get_array(object, plan_event, "finalists", 1, most_finalists, &ids, err);
    for (size_t i = 0; status == MN_OK && i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        if (id == NULL || strlen(id) != MN_STUDY_ID_BYTES - 1)
            status = mn_error_set(err, MN_ERR_DB, "finals: finalist %zu is no id", i);
        else
            memcpy(plan.ids[plan.count++], id, MN_STUDY_ID_BYTES);
    }
    plan.epochs = (uint32_t)epochs;
    plan.seeds = (uint32_t)seeds;
    json_decref(object);
    if (status == MN_OK)
        *ret_plan = plan;
    return status;
}

/* The stored plan, or a new one, stored. */
static mn_status
make_plan(mn__session *session, uint32_t number, finals_plan *ret_plan, mn_error *err)
{
    char *detail = NULL;
    finals_plan plan = {0};
    mn_run_key top[most_finalists];
    mn_status status = mn_study_get_event(session->study, plan_event, number, &detail, err);
    if (status == MN_OK && detail != NULL) {
        status = parse_plan(detail, ret_plan, err);
        free(detail);
        return status;
    }
    if (status == MN_OK)
        status = mn__rungs_top(session, session->opts->finalists, top, &plan.count, err);
    if (status == MN_OK && plan.count == 0)
        status = mn_error_set(err, MN_ERR_WORKER, "no network was trained: no finalist");
    if (status != MN_OK)
        return status;
    for (uint32_t i = 0; i < plan.count; i++)
        memcpy(plan.ids[i], top[i].genotype_id, MN_STUDY_ID_BYTES);
    status = choose_epochs(session, top, &plan, err);
    if (status == MN_OK)
        status = store_plan(session, number, &plan, err);
    if (status == MN_OK)
        *ret_plan = plan;
    return status;
}

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
                        const finals_plan *plan,
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
                           const finals_plan *plan,
                           mn_best_row *row,
                           uint32_t *winner,
                           mn_error *err)
{
    mn_run_key key;
    mn_run_row searched = {0};
    bool found = false;
    mn__training kept = finals[0];
    mn_layer_map same = {0};
    mn_status status = mn__rungs_last_run(session, plan->ids[0], &key, err);
    if (status == MN_OK)
        status = mn_study_get_run(session->study, &key, &searched, &found, err);
    if (status != MN_OK || !found || searched.val_accuracy <= row->val_accuracy)
        return status;
    status = mn__layer_map_build(kept.genotype, kept.genotype, NULL, &same, err);
    if (status != MN_OK)
        return status;
    kept.key.seed = plan->seeds; /* behind those of the finals */
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
                       uint32_t number,
                       const finals_plan *plan,
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
        status = mn_error_set(err, MN_ERR_WORKER, "the training of every finalist failed");
    if (status == MN_OK)
        status = former_is_better(session, &row, &stays, err);
    if (status != MN_OK || stays)
        return status;
    const mn_genotype *genotype = trainings[(size_t)winner * plan->seeds].genotype;
    status = read_test(session, number, genotype, &row, err);
    return status == MN_OK ? mn__best_publish(session, &row, err) : status;
}

mn_status mn__finals_run(mn__session *session, uint32_t stage, mn_error *err)
{
    finals_plan plan = {0};
    uint32_t number = number_of(session, stage);
    mn_genotype *genotypes = NULL;
    mn__training *trainings = NULL;
    mn_status status = make_plan(session, number, &plan, err);
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
            *t = (mn__training){.key = {.seed = s, .rung = MN_STUDY_FINALS_RUNG + number},
                                .genotype = &genotypes[i],
                                .train = &session->finals,
                                .epochs = plan.epochs,
                                .images = UINT32_MAX - 1,
                                .precision = session->opts->precision,
                                .qat_epochs = fine_tuning(session->opts, plan.epochs),
                                .checkpoints = true};
            memcpy(t->key.genotype_id, plan.ids[i], sizeof t->key.genotype_id);
        }
    }
    if (status == MN_OK)
        status = mn__session_train(session, trainings, plan.count * plan.seeds, err);
    if (status == MN_OK)
        status = crown(session, number, &plan, trainings, err);
    free(trainings);
    free(genotypes);
    return status;
}

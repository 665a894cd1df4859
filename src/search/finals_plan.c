/*
 * The plan of finals. The clock may decide it, but only once: it is an event of the study.
 */
#include "search/finals_plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "search/finalists.h"
#include "search/finals_time.h"
#include "search/rungs.h"
#include "search/work.h"

static const char plan_event[] = "finals";

/* Share of the time that is left which trainings may be planned for: the rest is for starting
 * workers, for the test and for a machine that slows down. */
static const double planned_share = 0.96;

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

/* Epochs that a run was trained for: a hopeless one has stopped before its last. */
static mn_status epochs_of(const mn_run_row *row, uint32_t *ret_epochs, mn_error *err)
{
    json_t *curve = NULL;
    mn_status status =
        mn_json_parse("curve", row->curve_json, strlen(row->curve_json), 1 << 20, &curve, err);
    if (status == MN_OK)
        *ret_epochs = (uint32_t)json_array_size(curve);
    json_decref(curve);
    return status;
}

/* Milliseconds an epoch of a network on all training images: by the fastest of its runs in the
 * rounds, since whatever else the machine does makes runs slower. 0 when it has none. */
static mn_status epoch_ms(mn__session *session, const mn_run_key *run, double *ret, mn_error *err)
{
    double whole = mn__training_work(session, session->dataset->train.count, 1);
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
        status = epochs_of(&row, &epochs, err);
        if (status != MN_OK)
            return status;
        if (epochs == 0)
            continue;
        double ms = (double)row.train_ms * whole / mn__training_work(session, images, epochs);
        fastest = ms < fastest ? ms : fastest;
    }
    *ret = isfinite(fastest) ? fastest : 0.0;
    return MN_OK;
}

mn_status mn__finals_rounds_epochs(mn__session *session, double *ret_epochs, mn_error *err)
{
    mn_study_counts counts;
    double images_each = 0.0;
    mn_status status = mn_study_count(session->study, &counts, err);
    if (status != MN_OK)
        return status;
    for (uint32_t rung = 0; rung <= mn__rung_last(session); rung++) {
        uint32_t epochs = 0;
        uint32_t images = 0;
        mn__rung_size(session, rung, &epochs, &images);
        images_each += (double)epochs * images;
    }
    double rounds = ceil((double)counts.rounds / session->opts->bound_count);
    *ret_epochs = rounds * images_each / session->dataset->train.count;
    return MN_OK;
}

static mn_status
choose_length(mn__session *session, const mn_run_key *keys, mn__finals_plan *plan, mn_error *err)
{
    const mn_search_opts *opts = session->opts;
    double each_ms[MN__MOST_FINALISTS] = {0.0};
    double slowest = 0.0;
    mn__finals_known known = {.finalists = plan->count, .epoch_ms = each_ms};
    plan->epochs = opts->finalist_epochs;
    plan->seeds = opts->finalist_seeds;
    if (opts->time_ms == 0)
        return MN_OK;
    for (uint32_t i = 0; i < plan->count; i++) {
        mn_status status = epoch_ms(session, &keys[i], &each_ms[i], err);
        if (status != MN_OK)
            return status;
        slowest = each_ms[i] > slowest ? each_ms[i] : slowest;
    }
    for (uint32_t i = 0; i < plan->count; i++) /* none is known to be fast */
        each_ms[i] = each_ms[i] > 0.0 ? each_ms[i] : slowest;
    mn_status status = mn__finals_rounds_epochs(session, &known.rounds_epochs, err);
    if (status != MN_OK)
        return status;
    double left = (double)(opts->time_ms - mn__session_elapsed_ms(session)) * planned_share /
                  (opts->bound_count - session->goal);
    mn__finals_afford(opts, &known, left, &plan->seeds, &plan->epochs);
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

static mn_status store_plan(mn__session *session, const mn__finals_plan *plan, mn_error *err)
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
    mn_status status = put_plan(session->study, plan->number, detail, err);
    free(detail);
    return status;
}

static mn_status
parse_plan(const char *detail, uint32_t number, mn__finals_plan *ret_plan, mn_error *err)
{
    mn__finals_plan plan = {.number = number};
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
        status =
            mn_json_get_array(object, plan_event, "finalists", 1, MN__MOST_FINALISTS, &ids, err);
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

/* What a plan made now would say; nothing is stored. */
static mn_status
draw_up(mn__session *session, uint32_t number, mn__finals_plan *ret_plan, mn_error *err)
{
    mn__finals_plan plan = {.number = number};
    mn_run_key top[MN__MOST_FINALISTS];
    mn_status status = mn__finalists_choose(session, top, &plan.count, err);
    if (status == MN_OK && plan.count == 0)
        status = mn_error_set(err, MN_ERR_WORKER, "no network was trained: no finalist");
    if (status != MN_OK)
        return status;
    for (uint32_t i = 0; i < plan.count; i++)
        memcpy(plan.ids[i], top[i].genotype_id, MN_STUDY_ID_BYTES);
    status = choose_length(session, top, &plan, err);
    if (status == MN_OK)
        *ret_plan = plan;
    return status;
}

static mn_status find_plan(mn__session *session,
                           uint32_t number,
                           bool *ret_found,
                           mn__finals_plan *ret_plan,
                           mn_error *err)
{
    char *detail = NULL;
    mn_status status = mn_study_get_event(session->study, plan_event, number, &detail, err);
    *ret_found = detail != NULL;
    if (status == MN_OK && detail != NULL)
        status = parse_plan(detail, number, ret_plan, err);
    free(detail);
    return status;
}

mn_status
mn__finals_plan_make(mn__session *session, uint32_t stage, mn__finals_plan *ret_plan, mn_error *err)
{
    bool found = false;
    uint32_t number = number_of(session, stage);
    mn_status status = find_plan(session, number, &found, ret_plan, err);
    if (status != MN_OK || found)
        return status;
    status = draw_up(session, number, ret_plan, err);
    return status == MN_OK ? store_plan(session, ret_plan, err) : status;
}

/* True when `next` trains a network that `former` does not, or longer, or as long on more seeds. */
static bool says_more(const mn__finals_plan *next, const mn__finals_plan *former)
{
    for (uint32_t i = 0; i < next->count; i++) {
        bool known = false;
        for (uint32_t k = 0; k < former->count && !known; k++)
            known = strcmp(next->ids[i], former->ids[k]) == 0;
        if (!known)
            return true;
    }
    return next->epochs > former->epochs ||
           (next->epochs == former->epochs && next->seeds > former->seeds);
}

mn_status mn__finals_say_more(mn__session *session, uint32_t stage, bool *ret, mn_error *err)
{
    mn__finals_plan next = {0};
    mn__finals_plan former = {0};
    bool found = false;
    mn_status status = MN_OK;
    *ret = true;
    if (stage == 0)
        return MN_OK;
    status = find_plan(session, number_of(session, stage), &found, &next, err);
    if (status == MN_OK && !found)
        status = draw_up(session, number_of(session, stage), &next, err);
    if (status == MN_OK)
        status = find_plan(session, number_of(session, stage - 1), &found, &former, err);
    if (status == MN_OK)
        *ret = !found || says_more(&next, &former);
    return status;
}

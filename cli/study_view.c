/*
 * Reading a study for show.
 */
#include "cli/study_view.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "cli/text.h"

static mn_status load_best(mn_study *study, uint64_t bound, mn__best *ret_best, mn_error *err)
{
    mn_best_row best;
    mn_genotype_row genotype;
    bool found = false;
    *ret_best = (mn__best){.bound_bytes = bound};
    mn_status status = mn_study_get_best(study, bound, &best, &found, err);
    if (status != MN_OK || !found)
        return status;
    status = mn_study_get_genotype(study, best.run.genotype_id, &genotype, &found, err);
    if (status != MN_OK)
        return status;
    if (!found)
        return mn_error_set(err,
                            MN_ERR_DB,
                            "study %s: its best network %s is missing",
                            mn_study_folder(study),
                            best.run.genotype_id);
    ret_best->found = true;
    memcpy(ret_best->id, genotype.id, sizeof ret_best->id);
    ret_best->val_accuracy = best.val_accuracy;
    ret_best->test_accuracy = best.test_accuracy;
    ret_best->weights_bytes = genotype.weights_bytes;
    ret_best->arena_bytes = genotype.arena_bytes;
    ret_best->total_bytes = genotype.total_bytes;
    ret_best->macs = genotype.macs;
    return MN_OK;
}

static mn_status load(mn_study *study, mn__study_view *view, mn_error *err)
{
    view->active_ms = mn_study_active_ms(study);
    view->bound_count = mn_study_bound_count(study);
    view->bests = mn_calloc(view->bound_count, sizeof *view->bests);
    if (view->bests == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "study %s: out of memory", mn_study_folder(study));
    mn_status status = mn_study_count(study, &view->counts, err);
    for (uint32_t i = 0; status == MN_OK && i < view->bound_count; i++)
        status = load_best(study, mn_study_bound(study, i), &view->bests[i], err);
    if (status == MN_OK)
        status = mn_study_front(study, &view->front, &view->front_count, err);
    return status;
}

mn_status mn__study_view_load(const char *folder, mn__study_view *ret_view, mn_error *err)
{
    mn_study *study = NULL;
    mn__study_view view = {0};
    mn_status status = mn_study_open(folder, NULL, &study, err);
    if (status == MN_OK)
        status = load(study, &view, err);
    mn_study_close(&study);
    if (status == MN_OK)
        *ret_view = view;
    else
        mn__study_view_done(&view);
    return status;
}

void mn__study_view_done(mn__study_view *view)
{
    free(view->front);
    free(view->bests);
    *view = (mn__study_view){0};
}

static json_t *best_json(const mn__best *best)
{
    json_t *network = json_null();
    if (best->found)
        network = json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:I}",
                            "id",
                            best->id,
                            "val_accuracy",
                            mn__json_number(best->val_accuracy),
                            "test_accuracy",
                            mn__json_number(best->test_accuracy),
                            "weights_bytes",
                            (json_int_t)best->weights_bytes,
                            "arena_bytes",
                            (json_int_t)best->arena_bytes,
                            "total_bytes",
                            (json_int_t)best->total_bytes,
                            "macs",
                            (json_int_t)best->macs);
    return json_pack("{s:I, s:o}", "bytes", (json_int_t)best->bound_bytes, "best", network);
}

static json_t *front_row_json(const mn_front_row *row)
{
    return json_pack("{s:s, s:o, s:I}",
                     "id",
                     row->id,
                     "val_accuracy",
                     mn__json_number(row->val_accuracy),
                     "total_bytes",
                     (json_int_t)row->total_bytes);
}

static json_t *counts_json(const mn_study_counts *counts)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                     "generated",
                     (json_int_t)counts->generated,
                     "over_bound",
                     (json_int_t)counts->over_bound,
                     "duplicate",
                     (json_int_t)counts->duplicate,
                     "ranked",
                     (json_int_t)counts->ranked,
                     "trained",
                     (json_int_t)counts->trained,
                     "failed",
                     (json_int_t)counts->failed,
                     "waiting",
                     (json_int_t)counts->waiting);
}

json_t *mn__study_view_json(const mn__study_view *view)
{
    json_t *bounds = json_array();
    json_t *front = json_array();
    bool complete = bounds != NULL && front != NULL;
    for (uint32_t i = 0; complete && i < view->bound_count; i++)
        complete = json_array_append_new(bounds, best_json(&view->bests[i])) == 0;
    for (uint32_t i = 0; complete && i < view->front_count; i++)
        complete = json_array_append_new(front, front_row_json(&view->front[i])) == 0;
    if (!complete) {
        json_decref(front);
        json_decref(bounds);
        return NULL;
    }
    return json_pack("{s:o, s:o, s:I, s:o, s:I}",
                     "bounds",
                     bounds,
                     "front",
                     front,
                     "rounds",
                     (json_int_t)view->counts.rounds,
                     "counts",
                     counts_json(&view->counts),
                     "active_ms",
                     (json_int_t)view->active_ms);
}

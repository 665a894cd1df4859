/*
 * The search from end to end: the way in. Rounds until the rounds or the search's share of the
 * time are used up, then finals. Every step first looks into the study, so starting again is the
 * same as going on.
 */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "search/best.h"
#include "search/finals.h"
#include "search/finals_plan.h"
#include "search/options.h"
#include "search/pace.h"
#include "search/round.h"
#include "search/rung_images.h"
#include "search/session.h"
#include "search/width.h"

static mn_status open_study(mn__session *s, const char *folder, mn_error *err)
{
    char *options = NULL;
    uint64_t bounds[MN_MAX_BOUNDS];
    mn_status status = mn__search_opts_print(s->opts, &options, err);
    if (status != MN_OK)
        return status;
    for (uint32_t g = 0; g < s->opts->bound_count; g++)
        bounds[g] = s->goals[g].bytes;
    mn_study_setup setup = {.options_json = options,
                            .data_hash = s->dataset->hash,
                            .seed = s->opts->seed,
                            .bounds_bytes = bounds,
                            .bound_count = s->opts->bound_count};
    status = mn_study_open(folder, &setup, &s->study, err);
    free(options);
    return status == MN_OK ? mn__rung_images_recall(s, err) : status;
}

/* Candidates are compared on validation images: there must be some. */
static mn_status
check_validation(const mn_search_opts *opts, const mn_dataset *dataset, mn_error *err)
{
    mn_split split = {0};
    double fraction = mn__session_split_fraction();
    mn_status status = mn_split_make(dataset, opts->seed, fraction, &split, err);
    if (status == MN_OK && split.validation_count == 0)
        status = mn_error_set(err,
                              MN_ERR_ARG,
                              "data: a share of %g of %u training images leaves none of any class "
                              "to validate on",
                              fraction,
                              dataset->train.count);
    mn_split_done(&split);
    return status;
}

static bool study_exists(const char *folder)
{
    char *path = mn_path_join(folder, "study.db");
    bool exists = path != NULL && mn_path_exists(path);
    free(path);
    return exists;
}

static mn_status begin(mn__session *s, const char *folder, mn_error *err)
{
    s->clock_start_ms = s->clock_saved_ms = mn_clock_ms();
    mn_status status = mn__search_opts_check(s->opts, err);
    if (status == MN_OK)
        status = check_validation(s->opts, s->dataset, err);
    for (uint32_t g = 0; g < s->opts->bound_count && status == MN_OK; g++) {
        s->goals[g].bound = &s->opts->bounds[g];
        s->goals[g].bytes = mn__bound_bytes(&s->opts->bounds[g]);
        s->goals[g].shown_accuracy = (double)NAN;
    }
    /* A study that exists is asked first: it knows which options it was made with. A new one is
     * only made for bounds that some network keeps. */
    if (status == MN_OK && study_exists(folder))
        status = open_study(s, folder, err);
    for (uint32_t g = 0; g < s->opts->bound_count && status == MN_OK; g++)
        status =
            mn__choose_frame(s->opts, &s->opts->bounds[g], s->dataset, &s->goals[g].frame, err);
    if (status == MN_OK && s->study == NULL)
        status = open_study(s, folder, err);
    if (status == MN_OK)
        status = mn__session_sweep(s, false, err);
    if (status == MN_OK)
        status = mn_dataset_share(s->dataset, &s->data_fd, err);
    if (status == MN_OK)
        status = mn__executor_create(
            s->opts->worker_program, s->opts->jobs, s->data_fd, &s->executor, err);
    if (status != MN_OK)
        return status;
    s->rung = mn_train_opts_default();
    s->rung.augmentation.crop_padding = 0; /* too few steps to overfit: it would only slow them */
    s->finals = mn_train_opts_default();
    s->finals.augmentation.crop_padding = 1;
    s->active_start_ms = mn_study_active_ms(s->study);
    s->progress = (mn_progress){.phase = "round", .bound_count = s->opts->bound_count};
    mn__session_turn(s, 0);
    return MN_OK;
}

static void end(mn__session *s)
{
    mn__executor_free(s->executor);
    if (s->data_fd >= 0)
        close(s->data_fd);
    mn_study_close(&s->study);
}

/* True when another round may start; whether it is expected to end in time, mn__round_run() knows
 * once its networks are chosen. What the study has decided does not ask the clock. */
static mn_status another_round(mn__session *s, uint32_t round, bool *ret, mn_error *err)
{
    uint32_t goals = s->opts->bound_count;
    mn_round_row row;
    mn_status status = MN_OK;
    *ret = round / goals < s->opts->rounds;
    if (s->opts->time_ms == 0)
        return MN_OK;
    *ret = round < goals || mn__session_elapsed_ms(s) < mn__pace_search_ms(s);
    if (!*ret)
        status = mn_study_get_round(s->study, round, &row, ret, err);
    return status;
}

/* A round for the goal whose turn it is; *ret_over is set when it comes too late. */
static mn_status run_round(mn__session *s, uint32_t round, bool *ret_over, mn_error *err)
{
    mn__round_end outcome = MN__ROUND_DECIDED;
    mn__session_turn(s, round % s->opts->bound_count);
    if (mn__session_goal(s)->exhausted)
        return MN_OK;
    mn_status status = mn__round_run(s, round, &outcome, err);
    if (status != MN_OK)
        return status;
    *ret_over = outcome == MN__ROUND_LATE;
    if (outcome == MN__ROUND_EMPTY) {
        mn__session_goal(s)->exhausted = true;
        s->progress.phase = "exhausted";
        mn__session_tell(s, true);
        s->progress.phase = "round";
    }
    return MN_OK;
}

static bool all_exhausted(const mn__session *s)
{
    for (uint32_t g = 0; g < s->opts->bound_count; g++)
        if (!s->goals[g].exhausted)
            return false;
    return true;
}

static mn_status run_rounds(mn__session *s, mn_error *err)
{
    bool over = false;
    mn_status status = MN_OK;
    for (uint32_t round = 0; status == MN_OK && !over && !all_exhausted(s); round++) {
        bool another = false;
        status = another_round(s, round, &another, err);
        over = !another;
        if (status == MN_OK && another)
            status = run_round(s, round, &over, err);
    }
    return status;
}

/* Finals of a stage for every goal; each gets its share of what is left of the time. */
static mn_status run_finals(mn__session *s, uint32_t stage, mn_error *err)
{
    mn_status status = MN_OK;
    for (uint32_t g = 0; g < s->opts->bound_count && status == MN_OK; g++) {
        mn__session_turn(s, g);
        status = mn__finals_run(s, stage, err);
        if (status == MN_OK)
            status = mn__best_of_round(s, err); /* shows the winner */
    }
    if (status == MN_OK)
        status = mn__session_sweep(s, true, err);
    mn__session_turn(s, 0);
    return status == MN_OK ? mn__best_of_round(s, err) : status;
}

/* Finals of another stage, unless they would only train the networks of the last ones again, and no
 * longer: under several bounds, for each of them. */
static mn_status run_new_finals(mn__session *s, uint32_t stage, mn_error *err)
{
    bool more = false;
    mn_status status = MN_OK;
    for (uint32_t g = 0; g < s->opts->bound_count && status == MN_OK && !more; g++) {
        mn__session_turn(s, g);
        status = mn__finals_say_more(s, stage, &more, err);
    }
    mn__session_turn(s, 0);
    return status == MN_OK && more ? run_finals(s, stage, err) : status;
}

static mn_status search(mn__session *s, mn_error *err)
{
    uint32_t stages = 0;
    int64_t finals_time_ms = 0;
    mn_status status = mn__finals_planned(s, &stages, &finals_time_ms, err);
    /* The clock has ended this search before and may not open it again. */
    bool frozen = stages > 0 && s->opts->time_ms <= finals_time_ms;
    if (status == MN_OK)
        status = mn__pace_resume(s, finals_time_ms, err);
    if (status == MN_OK && s->active_start_ms > 0) {
        s->progress.phase = "continue";
        mn__session_tell(s, true);
    }
    if (status == MN_OK && s->opts->time_ms != 0) {
        s->progress.phase = "plan";
        s->progress.search_ms = mn__pace_search_ms(s);
        mn__session_tell(s, true);
    }
    /* An interruption may have left finals half done: what they have cost is not thrown away. */
    if (status == MN_OK && stages > 0)
        status = run_finals(s, stages - 1, err);
    if (status != MN_OK || frozen)
        return status;
    status = run_rounds(s, err);
    return status == MN_OK ? run_new_finals(s, stages, err) : status;
}

mn_status mn_search_run(const mn_search_opts *opts,
                        const mn_dataset *dataset,
                        const char *study_folder,
                        mn_error *err)
{
    mn__session s = {.opts = opts, .dataset = dataset, .data_fd = -1};
    mn_status status = begin(&s, study_folder, err);
    if (status == MN_OK) {
        status = search(&s, err);
        mn_status saved = mn__session_save_clock(&s, status == MN_OK ? err : NULL);
        status = status == MN_OK ? saved : status;
    }
    if (status == MN_OK) {
        s.progress.phase = "done";
        mn__session_tell(&s, true);
    }
    end(&s);
    return status;
}

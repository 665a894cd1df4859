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
#include "search/options.h"
#include "search/round.h"
#include "search/session.h"
#include "search/width.h"

/* Share of --time for rounds; the finals get the rest. Finalists start from scratch, and what a
 * network can do shows only after many epochs, so they get the larger part. */
static const double search_share = 0.45;

static mn_status open_study(mn__session *s, const char *folder, mn_error *err)
{
    char *options = NULL;
    uint64_t bound = mn__bound_bytes(&s->opts->bound);
    mn_status status = mn__search_opts_print(s->opts, &options, err);
    if (status != MN_OK)
        return status;
    mn_study_setup setup = {.options_json = options,
                            .data_hash = s->dataset->hash,
                            .seed = s->opts->seed,
                            .bounds_bytes = &bound,
                            .bound_count = 1};
    status = mn_study_open(folder, &setup, &s->study, err);
    free(options);
    if (status == MN_OK)
        status = mn_study_put_rung(s->study, 0, mn_study_options(s->study), err);
    return status;
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

static mn_status begin(mn__session *s, const char *folder, mn_error *err)
{
    mn_status status = mn__search_opts_check(s->opts, err);
    if (status == MN_OK)
        status = check_validation(s->opts, s->dataset, err);
    if (status == MN_OK)
        status = mn__choose_frame(s->opts, s->dataset, &s->frame, err);
    if (status == MN_OK)
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
    s->clock_start_ms = s->clock_saved_ms = mn_clock_ms();
    s->active_start_ms = mn_study_active_ms(s->study);
    s->progress = (mn_progress){.phase = "round",
                                .best_accuracy = (double)NAN,
                                .bound_bytes = mn__bound_bytes(&s->opts->bound)};
    return MN_OK;
}

static void end(mn__session *s)
{
    mn__executor_free(s->executor);
    if (s->data_fd >= 0)
        close(s->data_fd);
    mn_study_close(&s->study);
}

/* True when another round may start: rounds are left, or it is expected to end in the search's
 * share of the time. Round 0 always runs. */
static bool another_round(const mn__session *s, uint32_t round, int64_t last_round_ms)
{
    if (s->opts->time_ms == 0)
        return round < s->opts->rounds;
    double share = search_share * (double)s->opts->time_ms;
    return round == 0 || (double)(mn__session_elapsed_ms(s) + last_round_ms) <= share;
}

/* `frozen`: the clock has ended this search before and may not open it again. */
static mn_status run_rounds(mn__session *s, bool frozen, mn_error *err)
{
    mn__base base = {.exists = false};
    int64_t last_round_ms = 0;
    for (uint32_t round = 0; !frozen && another_round(s, round, last_round_ms); round++) {
        mn__round_end outcome = MN__ROUND_DECIDED;
        int64_t start = mn_clock_ms();
        mn_status status = mn__round_run(s, round, &base, &outcome, err);
        if (status != MN_OK)
            return status;
        if (outcome == MN__ROUND_EMPTY)
            return mn_study_put_event(
                s->study, "search-ended", round, "{\"reason\":\"nothing new fits\"}", err);
        /* How long a recalled round once took is not stored: the mean must do. */
        last_round_ms = outcome == MN__ROUND_RECALLED ? s->active_start_ms / (round + 1)
                                                      : mn_clock_ms() - start;
    }
    return MN_OK;
}

static mn_status search(mn__session *s, mn_error *err)
{
    uint32_t finals = 0;
    int64_t finals_time_ms = 0;
    mn_status status = mn__finals_planned(s, &finals, &finals_time_ms, err);
    bool frozen = finals > 0 && s->opts->time_ms <= finals_time_ms;
    if (status == MN_OK)
        status = run_rounds(s, frozen, err);
    if (status == MN_OK)
        status = mn__finals_run(s, frozen ? finals - 1 : finals, err);
    if (status == MN_OK)
        status = mn__best_of_round(s, err); /* shows the winner */
    return status;
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

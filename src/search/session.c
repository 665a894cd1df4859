/*
 * The session: clock, progress, and trainings through the executor into the study.
 * Invariant: a result is in the study before anyone decides on it.
 */
#include "search/session.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/size.h"

mn__goal *mn__session_goal(mn__session *session)
{
    return &session->goals[session->goal];
}

void mn__session_turn(mn__session *session, uint32_t goal)
{
    session->goal = goal;
    session->progress.bound_bytes = session->goals[goal].bytes;
    session->progress.best_accuracy = session->goals[goal].shown_accuracy;
    session->progress.best_bytes = session->goals[goal].shown_bytes;
}

int64_t mn__session_elapsed_ms(const mn__session *session)
{
    return session->active_start_ms + (mn_clock_ms() - session->clock_start_ms);
}

mn_status mn__session_save_clock(mn__session *session, mn_error *err)
{
    session->clock_saved_ms = mn_clock_ms();
    return mn_study_set_active_ms(session->study, mn__session_elapsed_ms(session), err);
}

mn_status mn__session_sweep(const mn__session *session, bool all, mn_error *err)
{
    static const char ending[] = ".safetensors";
    static const char checkpoint[] = ".checkpoint";
    static const char temporary[] = ".tmp"; /* at the end of either */
    mn_status status = MN_OK;
    char *path = mn__session_path(session, "weights");
    DIR *folder = path == NULL ? NULL : opendir(path);
    if (folder == NULL)
        status = mn_error_set(
            err, MN_ERR_IO, "%s/weights: %s", mn_study_folder(session->study), strerror(errno));
    struct dirent *entry = folder == NULL ? NULL : readdir(folder);
    for (; entry != NULL && status == MN_OK; entry = readdir(folder)) {
        const char *rest = strstr(entry->d_name, ending);
        rest = rest == NULL ? "" : rest + sizeof ending - 1;
        bool is_checkpoint = strncmp(rest, checkpoint, sizeof checkpoint - 1) == 0;
        bool is_temporary = strncmp(rest, temporary, sizeof temporary - 1) == 0 ||
                            (is_checkpoint && strstr(rest, temporary) != NULL);
        if (!is_temporary && !(all && is_checkpoint))
            continue;
        char *file = mn_path_join(path, entry->d_name);
        status = file == NULL ? mn_error_set(err, MN_ERR_NOMEM, "out of memory")
                              : mn_folder_remove(file, err);
        free(file);
    }
    if (folder != NULL)
        closedir(folder);
    free(path);
    return status;
}

void mn__session_tell(mn__session *session, bool landed)
{
    mn_progress *p = &session->progress;
    p->landed = landed;
    p->elapsed_ms = mn__session_elapsed_ms(session);
    p->left_ms = session->opts->time_ms == 0 ? -1 : session->opts->time_ms - p->elapsed_ms;
    if (session->opts->time_ms != 0 && p->left_ms < 0)
        p->left_ms = 0;
    if (session->opts->progress != NULL)
        session->opts->progress(session->opts->progress_context, p);
}

double mn__session_split_fraction(void)
{
    return 0.1;
}

uint64_t mn__session_run_seed(const mn__session *session, const mn_run_key *key)
{
    uint64_t id = mn_hash_bytes(MN_HASH_START, key->genotype_id, strlen(key->genotype_id));
    uint64_t seed = mn_random_mix(session->opts->seed, id);
    return mn_random_mix(mn_random_mix(seed, key->rung), key->seed);
}

char *mn__session_path(const mn__session *session, const char *relative)
{
    return mn_path_join(mn_study_folder(session->study), relative);
}

mn_status mn__session_genotype(const mn__session *session,
                               const char *id,
                               mn_genotype *ret_genotype,
                               mn_error *err)
{
    mn_genotype_row row;
    bool found = false;
    mn_status status = mn_study_get_genotype(session->study, id, &row, &found, err);
    if (status == MN_OK && !found)
        status = mn_error_set(err, MN_ERR_DB, "genotype %s: not in the study", id);
    if (status == MN_OK)
        status = mn_genotype_parse(row.json, strlen(row.json), ret_genotype, err);
    return status;
}

/* Absolute or study-relative path of a run's weights file, with an optional ending. */
static char *run_path(const mn__session *session, const mn_run_key *key, const char *ending)
{
    char *relative = mn_study_weights_path(key);
    char *path = relative == NULL ? NULL : mn__session_path(session, relative);
    free(relative);
    if (path == NULL)
        return NULL;
    size_t bytes = strlen(path) + strlen(ending) + 1;
    char *whole = mn_calloc(bytes, 1);
    if (whole != NULL)
        snprintf(whole, bytes, "%s%s", path, ending);
    free(path);
    return whole;
}

/* Borrows everything it can; only the paths are owned by the job. */
static mn_status
make_line(const mn__session *s, const mn__training *t, char **ret_line, mn_error *err)
{
    mn__job job = {.kind = t->keeps ? MN__JOB_KEEP : MN__JOB_TRAIN,
                   .genotype = *t->genotype,
                   .train = *t->train,
                   .images = t->images,
                   .split_seed = s->opts->seed,
                   .split_fraction = mn__session_split_fraction(),
                   .hopeless = t->hopeless,
                   .precision = t->precision,
                   .qat_epochs = t->qat_epochs,
                   .has_parent = t->parent != NULL};
    mn_status status = MN_OK;
    job.train.epochs = t->epochs;
    job.train.seed = mn__session_run_seed(s, &t->key);
    job.weights = run_path(s, &t->key, "");
    job.checkpoint = t->checkpoints ? run_path(s, &t->key, ".checkpoint") : strdup("");
    if (job.has_parent) {
        job.parent = *t->parent;
        job.parent_weights = run_path(s, t->parent_run, "");
        job.map = *t->map;
    }
    if (job.weights == NULL || job.checkpoint == NULL ||
        (job.has_parent && job.parent_weights == NULL))
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    if (status == MN_OK)
        status = mn__job_print(&job, ret_line, err);
    job.map = (mn_layer_map){0}; /* borrowed */
    mn__job_done(&job);
    return status;
}

/* The trainings of a batch that have to be run, and where their results go. */
typedef struct running {
    mn__session *session;
    mn__training *trainings;
    uint32_t *which; /* job index -> training index */
} running;

/* Keeps why a training failed, for when the search ends of that. */
static void note_failure(mn__session *session, const mn_run_row *row)
{
    if (row->failed)
        snprintf(session->failure, sizeof session->failure, "%s", row->reason);
}

static mn_status
store_result(void *context, uint32_t index, const mn__result *result, mn_error *err)
{
    running *r = context;
    mn__training *t = &r->trainings[r->which[index]];
    char *weights = mn_study_weights_path(&t->key);
    if (weights == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    mn_run_row row = {.key = t->key,
                      .failed = result->failed,
                      .reason = result->reason,
                      .val_accuracy = result->failed ? (double)NAN : result->accuracy,
                      .val_loss = result->failed ? (double)NAN : result->loss,
                      .curve_json = result->curve_json,
                      .weights = result->failed ? "" : weights,
                      .train_ms = result->train_ms};
    mn_status status = mn_study_put_run(r->session->study, &row, err);
    if (status == MN_OK)
        status = mn__session_save_clock(r->session, err);
    free(weights);
    note_failure(r->session, &row);
    row.reason = row.curve_json = row.weights = NULL;
    t->row = row;
    r->session->progress.jobs_done++;
    r->session->progress.final_accuracy = row.val_accuracy;
    mn__session_tell(r->session, row.key.rung >= MN_STUDY_FINALS_RUNG);
    return status;
}

/* A kill costs no more active time than this, and what a step takes. */
static const int64_t clock_save_ms = 5000;

void mn__session_tick(mn__session *session)
{
    if (mn_clock_ms() - session->clock_saved_ms >= clock_save_ms)
        (void)mn__session_save_clock(session, NULL); /* the next result meets the same trouble */
    mn__session_tell(session, false);
}

static void tick(void *context)
{
    const running *r = context;
    mn__session_tick(r->session);
}

/* Fills a row from the study; *ret_known tells whether it was there. */
static mn_status recall(mn__session *s, mn__training *t, bool *ret_known, mn_error *err)
{
    mn_run_row row;
    mn_status status = mn_study_get_run(s->study, &t->key, &row, ret_known, err);
    if (status != MN_OK || !*ret_known)
        return status;
    note_failure(s, &row);
    row.reason = row.curve_json = row.weights = NULL;
    t->row = row;
    return MN_OK;
}

mn_status
mn__session_train(mn__session *session, mn__training *trainings, uint32_t count, mn_error *err)
{
    running r = {.session = session, .trainings = trainings};
    char **lines = mn_calloc(count, sizeof *lines);
    r.which = mn_calloc(count, sizeof *r.which);
    uint32_t jobs = 0;
    mn_status status = MN_OK;
    if (lines == NULL || r.which == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < count && status == MN_OK; i++) {
        bool known = false;
        status = recall(session, &trainings[i], &known, err);
        if (status == MN_OK && !known) {
            r.which[jobs] = i;
            status = make_line(session, &trainings[i], &lines[jobs], err);
            jobs += status == MN_OK;
        }
    }
    session->progress.jobs_total = count;
    session->progress.jobs_done = count - jobs;
    mn__session_tell(session, false);
    mn__executor_calls calls = {.finished = store_result, .tick = tick, .context = &r};
    if (status == MN_OK && jobs > 0)
        status = mn__executor_run(session->executor, lines, jobs, &calls, err);
    for (uint32_t i = 0; lines != NULL && i < jobs; i++)
        free(lines[i]);
    free(lines);
    free(r.which);
    return status;
}

static mn_status take_time(void *context, uint32_t index, const mn__result *result, mn_error *err)
{
    int64_t *ms = context;
    (void)index;
    (void)err;
    *ms = result->failed ? INT64_MAX : result->train_ms;
    return MN_OK;
}

mn_status mn__session_probe(mn__session *session,
                            const mn__training *training,
                            int64_t *ret_ms,
                            mn_error *err)
{
    char *line = NULL;
    mn__executor_calls calls = {.finished = take_time, .context = ret_ms};
    mn_status status = make_line(session, training, &line, err);
    if (status == MN_OK)
        status = mn__executor_run(session->executor, &line, 1, &calls, err);
    free(line);
    return status;
}

typedef struct tested {
    mn__session *session;
    double accuracy;
} tested;

static mn_status
take_accuracy(void *context, uint32_t index, const mn__result *result, mn_error *err)
{
    tested *t = context;
    (void)index;
    if (result->failed)
        return mn_error_set(err, MN_ERR_WORKER, "test: %s", result->reason);
    t->accuracy = result->accuracy;
    return MN_OK;
}

mn_status mn__session_test(mn__session *session,
                           const mn_genotype *genotype,
                           const mn_run_key *key,
                           mn_precision precision,
                           double *ret_accuracy,
                           mn_error *err)
{
    tested t = {.session = session};
    char *line = NULL;
    mn__job job = {.kind = MN__JOB_TEST, .genotype = *genotype, .precision = precision};
    job.weights = run_path(session, key, "");
    mn_status status = job.weights == NULL ? mn_error_set(err, MN_ERR_NOMEM, "out of memory")
                                           : mn__job_print(&job, &line, err);
    mn__executor_calls calls = {.finished = take_accuracy, .context = &t};
    if (status == MN_OK)
        status = mn__executor_run(session->executor, &line, 1, &calls, err);
    if (status == MN_OK)
        *ret_accuracy = t.accuracy;
    free(line);
    mn__job_done(&job);
    return status;
}

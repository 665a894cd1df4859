/*
 * The worker: a process that trains what it is told, one job after another, in one arena. It knows
 * nothing of the study. Invariant: exactly one result line for each job line.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "base/size.h"
#include "memnet/search.h"
#include "search/job.h"

static const size_t max_curve_bytes = (size_t)16 << 20;

typedef struct worker {
    const mn_dataset *dataset;
    mn_arena *arena;
} worker;

/* Initial weights of a child from its parent's model file. */
static mn_status
inherit(const mn__job *job, const mn_graph *graph, mn_tensors **ret_initial, mn_error *err)
{
    mn_graph *parent = NULL;
    mn_model *model = NULL;
    mn_tensors *tensors = NULL;
    mn_status status = mn_genotype_lower(&job->parent, &parent, err);
    if (status == MN_OK)
        status = mn_model_load(job->parent_weights, &model, err);
    if (status == MN_OK)
        status = mn_tensors_arrange(parent, model->tensors, &tensors, err);
    if (status == MN_OK)
        status = mn_tensors_inherit(graph,
                                    job->map.parent,
                                    job->map.count,
                                    parent,
                                    tensors,
                                    job->train.seed,
                                    ret_initial,
                                    err);
    mn_tensors_free(tensors);
    mn_model_free(model);
    mn_graph_free(parent);
    return status;
}

/* The first `count` of the shuffled training images: the same for every job of a rung. */
static void pick_images(mn_split *split, uint64_t seed, uint32_t count)
{
    if (count >= split->train_count)
        return;
    mn_random random = mn_random_make(seed, 0x696d61676573); /* "images" */
    mn_random_shuffle(&random, split->train, split->train_count);
    split->train_count = count;
}

/* The learning curve travels beside the checkpoint, so that an interrupted training reports the
 * same one as an uninterrupted one. */
static char *curve_path(const mn__job *job)
{
    size_t bytes = strlen(job->checkpoint) + sizeof ".curve";
    char *path = mn_calloc(bytes, 1);
    if (path != NULL)
        snprintf(path, bytes, "%s.curve", job->checkpoint);
    return path;
}

/* The curve of the epochs that a checkpoint holds; NULL when the file does not have them. */
static json_t *load_curve(const mn__job *job, uint32_t epochs)
{
    char *path = curve_path(job);
    char *text = NULL;
    size_t count = 0;
    json_t *curve = NULL;
    if (path != NULL && mn_file_read(path, max_curve_bytes, &text, &count, NULL) == MN_OK)
        (void)mn_json_parse(path, text, count, max_curve_bytes, &curve, NULL);
    if (!json_is_array(curve) || json_array_size(curve) < epochs) {
        json_decref(curve);
        curve = NULL;
    }
    while (curve != NULL && json_array_size(curve) > epochs)
        json_array_remove(curve, json_array_size(curve) - 1);
    free(text);
    free(path);
    return curve;
}

/* Curve first, checkpoint second: a kill in between leaves a curve that is too long, not short. */
static mn_status
save_progress(mn_trainer *trainer, const mn__job *job, const json_t *curve, mn_error *err)
{
    char *path = curve_path(job);
    char *text = json_dumps(curve, JSON_COMPACT | JSON_REAL_PRECISION(9));
    mn_status status = MN_OK;
    if (path == NULL || text == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    if (status == MN_OK)
        status = mn_file_write(path, text, strlen(text), err);
    if (status == MN_OK)
        status = mn_trainer_save(trainer, job->checkpoint, err);
    free(text);
    free(path);
    return status;
}

static void remove_progress(const mn__job *job)
{
    char *path = curve_path(job);
    if (path != NULL)
        (void)unlink(path); /* a leftover would only take room */
    (void)unlink(job->checkpoint);
    free(path);
}

/* One epoch, the validation accuracy after it, and its point of the curve. */
static mn_status run_epoch(mn_trainer *trainer,
                           const worker *w,
                           const mn_split *split,
                           json_t *curve,
                           mn__result *result,
                           mn_error *err)
{
    mn_epoch_result epoch = {0};
    mn_eval_result evaluation = {0};
    mn_status status = mn_trainer_epoch(trainer, &epoch, err);
    if (status == MN_OK)
        status = mn_trainer_evaluate(trainer,
                                     w->dataset,
                                     &w->dataset->train,
                                     split->validation,
                                     split->validation_count,
                                     &evaluation,
                                     NULL,
                                     err);
    if (status != MN_OK)
        return status;
    result->accuracy = evaluation.count == 0 ? 0.0 : 100.0 * evaluation.correct / evaluation.count;
    result->loss = evaluation.loss;
    json_t *point = json_pack("[i, f, f]", (int)epoch.epoch, epoch.loss, result->accuracy);
    if (json_array_append_new(curve, point) != 0)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    return MN_OK;
}

static mn_status run_epochs(mn_trainer *trainer,
                            const worker *w,
                            const mn__job *job,
                            const mn_split *split,
                            json_t *curve,
                            mn__result *result,
                            mn_error *err)
{
    mn_status status = MN_OK;
    while (status == MN_OK && mn_trainer_epochs_done(trainer) < job->train.epochs) {
        status = run_epoch(trainer, w, split, curve, result, err);
        bool last = mn_trainer_epochs_done(trainer) == job->train.epochs;
        if (status == MN_OK && job->checkpoint[0] != '\0' && !last)
            status = save_progress(trainer, job, curve, err);
    }
    if (status != MN_OK)
        return status;
    result->curve_json = json_dumps(curve, JSON_COMPACT | JSON_REAL_PRECISION(9));
    return result->curve_json == NULL ? mn_error_set(err, MN_ERR_NOMEM, "out of memory") : MN_OK;
}

/* A complete model file, so that any result of a search can be exported. */
static mn_status save_model(mn_trainer *trainer,
                            const worker *w,
                            const mn__job *job,
                            mn_preprocessing preprocessing,
                            mn_error *err)
{
    mn_model model = {.preprocessing = preprocessing,
                      .class_count = w->dataset->class_count,
                      .split_seed = job->split_seed,
                      .split_fraction = job->split_fraction};
    memcpy(model.data_hash, w->dataset->hash, sizeof model.data_hash);
    mn_status status = MN_OK;
    /* Class names are only read while the model is saved. */
    model.class_names = mn_calloc(model.class_count, sizeof *model.class_names);
    if (model.class_names == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < model.class_count; i++)
        model.class_names[i] = (char *)(uintptr_t)w->dataset->class_names[i];
    status = mn_genotype_print(&job->genotype, 0, &model.architecture, err);
    if (status == MN_OK)
        status = mn_trainer_tensors(trainer, &model.tensors, err);
    if (status == MN_OK)
        status = mn_model_save(&model, job->weights, err);
    mn_tensors_free(model.tensors);
    free(model.architecture);
    free(model.class_names);
    return status;
}

/* A trainer at the job's last checkpoint, or at its start. A checkpoint that does not fit is worth
 * no more than none. */
static mn_status start_training(const mn_trainer_setup *setup,
                                const mn__job *job,
                                mn_trainer **ret_trainer,
                                json_t **ret_curve,
                                mn_error *err)
{
    mn_trainer *trainer = NULL;
    json_t *curve = NULL;
    mn_status status = mn_trainer_create(setup, &trainer, err);
    if (status == MN_OK && job->checkpoint[0] != '\0' && mn_path_exists(job->checkpoint)) {
        if (mn_trainer_resume(trainer, job->checkpoint, NULL) == MN_OK)
            curve = load_curve(job, mn_trainer_epochs_done(trainer));
        if (curve == NULL) {
            mn_trainer_free(trainer);
            trainer = NULL;
            status = mn_trainer_create(setup, &trainer, err);
        }
    }
    if (status == MN_OK && curve == NULL)
        curve = json_array();
    if (status == MN_OK && curve == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    if (status != MN_OK) {
        mn_trainer_free(trainer);
        return status;
    }
    *ret_trainer = trainer;
    *ret_curve = curve;
    return MN_OK;
}

static mn_status train(const worker *w, const mn__job *job, mn__result *result, mn_error *err)
{
    mn_graph *graph = NULL;
    mn_tensors *initial = NULL;
    mn_trainer *trainer = NULL;
    mn_split split = {0};
    json_t *curve = NULL;
    int64_t start = mn_clock_ms();
    mn_status status = mn_genotype_lower(&job->genotype, &graph, err);
    if (status == MN_OK)
        status = mn_split_make(w->dataset, job->split_seed, job->split_fraction, &split, err);
    if (status == MN_OK && job->has_parent)
        status = inherit(job, graph, &initial, err);
    if (status != MN_OK)
        goto done;
    mn_trainer_setup setup = {
        .graph = graph,
        .dataset = w->dataset,
        .preprocessing = mn_preprocessing_measure(w->dataset, split.train, split.train_count),
        .initial = initial,
        .opts = job->train,
        .arena = w->arena};
    pick_images(&split, job->split_seed, job->images);
    setup.indices = split.train;
    setup.index_count = split.train_count;
    status = start_training(&setup, job, &trainer, &curve, err);
    if (status == MN_OK)
        status = run_epochs(trainer, w, job, &split, curve, result, err);
    if (status == MN_OK)
        status = save_model(trainer, w, job, setup.preprocessing, err);
    if (status == MN_OK && job->checkpoint[0] != '\0')
        remove_progress(job);
    result->train_ms = mn_clock_ms() - start;
done:
    json_decref(curve);
    mn_trainer_free(trainer);
    mn_tensors_free(initial);
    mn_split_done(&split);
    mn_graph_free(graph);
    return status;
}

static mn_status test(const worker *w, const mn__job *job, mn__result *result, mn_error *err)
{
    mn_graph *graph = NULL;
    mn_model *model = NULL;
    mn_tensors *tensors = NULL;
    mn_trainer *trainer = NULL;
    mn_eval_result evaluation = {0};
    mn_status status = mn_genotype_lower(&job->genotype, &graph, err);
    if (status == MN_OK)
        status = mn_model_load(job->weights, &model, err);
    if (status == MN_OK)
        status = mn_tensors_arrange(graph, model->tensors, &tensors, err);
    if (status == MN_OK) {
        mn_trainer_setup setup = {.graph = graph,
                                  .preprocessing = model->preprocessing,
                                  .initial = tensors,
                                  .opts = mn_train_opts_default(),
                                  .arena = w->arena};
        status = mn_trainer_create(&setup, &trainer, err);
    }
    if (status == MN_OK)
        status = mn_trainer_evaluate(
            trainer, w->dataset, &w->dataset->test, NULL, 0, &evaluation, NULL, err);
    if (status == MN_OK && evaluation.count > 0)
        result->accuracy = 100.0 * evaluation.correct / evaluation.count;
    result->loss = evaluation.loss;
    mn_trainer_free(trainer);
    mn_tensors_free(tensors);
    mn_model_free(model);
    mn_graph_free(graph);
    return status;
}

/* Runs one job; a failure becomes a result that says why. */
static mn_status
run_job(const worker *w, const char *line, size_t count, char **ret_line, mn_error *err)
{
    mn__job job = {0};
    mn__result result = {0};
    mn_error reason = {0};
    mn_status status = mn__job_parse(line, count, &job, &reason);
    if (status == MN_OK)
        status = job.kind == MN__JOB_TEST ? test(w, &job, &result, &reason)
                                          : train(w, &job, &result, &reason);
    if (status != MN_OK) {
        result.fatal = status == MN_ERR_IO || status == MN_ERR_NOMEM;
        result.failed = !result.fatal;
        free(result.reason);
        result.reason = strdup(reason.message);
    }
    status = mn__result_print(&result, ret_line, err);
    mn__result_done(&result);
    mn__job_done(&job);
    return status;
}

static mn_status write_line(int fd, const char *line, mn_error *err)
{
    size_t length = strlen(line);
    size_t done = 0;
    while (done <= length) {
        const char *from = done < length ? line + done : "\n";
        size_t count = done < length ? length - done : 1;
        ssize_t put = write(fd, from, count);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return mn_error_set(err, MN_ERR_IO, "result: %s", strerror(errno));
        done += (size_t)put;
    }
    return MN_OK;
}

mn_status mn_worker_run(int in_fd, int out_fd, int data_fd, mn_error *err)
{
    mn_dataset *dataset = NULL;
    worker w = {0};
    char *line = NULL;
    size_t capacity = 0;
    int own_fd = dup(in_fd);
    FILE *in = own_fd < 0 ? NULL : fdopen(own_fd, "r");
    mn_status status = MN_OK;
    if (in == NULL)
        status = mn_error_set(err, MN_ERR_IO, "job input: %s", strerror(errno));
    if (status == MN_OK)
        status = mn_dataset_map(data_fd, &dataset, err);
    if (status == MN_OK)
        status = mn_arena_create(&w.arena, err);
    w.dataset = dataset;
    while (status == MN_OK) {
        ssize_t count = getline(&line, &capacity, in);
        if (count < 0)
            break;
        char *answer = NULL;
        status = run_job(&w, line, (size_t)count, &answer, err);
        if (status == MN_OK)
            status = write_line(out_fd, answer, err);
        free(answer);
    }
    free(line);
    mn_arena_free(w.arena);
    mn_dataset_free(dataset);
    if (in != NULL)
        fclose(in);
    else if (own_fd >= 0)
        close(own_fd);
    return status;
}

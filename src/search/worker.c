/*
 * The worker: a process that trains what it is told, one job after another, in one arena. It knows
 * nothing of the study. Invariant: exactly one result line for each job line.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/random.h"
#include "base/size.h"
#include "memnet/search.h"
#include "search/history.h"
#include "search/int8.h"
#include "search/job.h"
#include "search/validation.h"

/* The data set as the jobs of a study divide it, all in the same way. */
typedef struct division {
    bool known;
    uint64_t seed;
    double fraction;
    mn_split split;
    mn_preprocessing preprocessing; /* of all that is trained on */
} division;

typedef struct worker {
    const mn_dataset *dataset;
    mn_arena *arena;
    division division; /* of the last job that trained */
} worker;

static mn_status divide(worker *w, const mn__job *job, mn_error *err)
{
    division next = {.known = true, .seed = job->split_seed, .fraction = job->split_fraction};
    division *last = &w->division;
    if (last->known && last->seed == next.seed && last->fraction == next.fraction)
        return MN_OK;
    mn_status status = mn_split_make(w->dataset, next.seed, next.fraction, &next.split, err);
    if (status != MN_OK)
        return status;
    next.preprocessing =
        mn_preprocessing_measure(w->dataset, next.split.train, next.split.train_count);
    mn_split_done(&last->split);
    *last = next;
    return MN_OK;
}

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

/* The first of the shuffled training images: the same for every job of a rung. Fills a split whose
 * training images are the caller's to free, and whose validation images are the division's. */
static mn_status
pick_images(const division *whole, const mn__job *job, mn_split *ret_split, mn_error *err)
{
    mn_split split = whole->split;
    split.train = mn_calloc(split.train_count, sizeof *split.train);
    if (split.train == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < split.train_count; i++)
        split.train[i] = whole->split.train[i];
    if (job->images < split.train_count) {
        mn_random random = mn_random_make(job->split_seed, 0x696d61676573); /* "images" */
        mn_random_shuffle(&random, split.train, split.train_count);
        split.train_count = job->images;
    }
    *ret_split = split;
    return MN_OK;
}

/* History first, checkpoint second: a kill in between leaves a history that is too long, not
 * short. */
static mn_status
save_progress(mn_trainer *trainer, const mn__job *job, const mn__history *history, mn_error *err)
{
    mn_status status = mn__history_save(history, job->checkpoint, err);
    return status == MN_OK ? mn_trainer_save(trainer, job->checkpoint, err) : status;
}

/* Which of the training images judge. */
typedef struct jury {
    uint32_t *images;
    uint32_t count;
} jury;

/* What one training works with. */
typedef struct course {
    const mn_dataset *dataset;
    const mn__job *job;
    const mn_split *split;
    jury between; /* after every epoch but the last */
    mn_trainer *trainer;
    mn__history history;
    int64_t start_ms; /* of the clock, put back by what former processes spent */
} course;

/* Evenly spread over the validation split, whose order may be that of the classes. */
static mn_status choose_jury(const mn_split *split, jury *ret, mn_error *err)
{
    jury chosen = {.count = mn__validation_between(split->train_count, split->validation_count)};
    chosen.images = mn_calloc(chosen.count, sizeof *chosen.images);
    if (chosen.images == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < chosen.count; i++)
        chosen.images[i] = split->validation[(uint64_t)i * split->validation_count / chosen.count];
    *ret = chosen;
    return MN_OK;
}

static mn_status
judge(course *c, const uint32_t *images, uint32_t count, mn__result *result, mn_error *err)
{
    mn_eval_result evaluation = {0};
    mn_status status = mn_trainer_evaluate(
        c->trainer, c->dataset, &c->dataset->train, images, count, &evaluation, NULL, err);
    if (status != MN_OK)
        return status;
    result->accuracy = evaluation.count == 0 ? 0.0 : 100.0 * evaluation.correct / evaluation.count;
    result->loss = evaluation.loss;
    return MN_OK;
}

/* How well the network as it stands does on the validation split. */
static mn_status judge_all(course *c, mn__result *result, mn_error *err)
{
    return judge(c, c->split->validation, c->split->validation_count, result, err);
}

/* True when a training has shown that it leads nowhere. Never before its second epoch: one says
 * next to nothing. */
static bool is_hopeless(const course *c, double accuracy)
{
    uint32_t done = mn_trainer_epochs_done(c->trainer);
    return done >= 2 && 3 * (uint64_t)done >= 2 * (uint64_t)c->job->train.epochs &&
           accuracy < c->job->hopeless;
}

/* One epoch, the validation accuracy after it, and its point of the curve. */
static mn_status run_epoch(course *c, mn__result *result, bool *ret_over, mn_error *err)
{
    mn_epoch_result epoch = {0};
    mn_status status = mn_trainer_epoch(c->trainer, &epoch, err);
    bool over = mn_trainer_epochs_done(c->trainer) >= c->job->train.epochs;
    if (status == MN_OK && !over) {
        status = judge(c, c->between.images, c->between.count, result, err);
        over = is_hopeless(c, result->accuracy);
    }
    if (status == MN_OK && over)
        status = judge_all(c, result, err);
    *ret_over = over;
    if (status != MN_OK)
        return status;
    return mn__history_add(
        &c->history, epoch.loss, result->accuracy, mn_clock_ms() - c->start_ms, err);
}

/* What is saved is worth going on with: a hopeless epoch is not saved, so that a training that was
 * killed behind it ends there again, with the same numbers. */
static mn_status run_epochs(course *c, mn__result *result, mn_error *err)
{
    bool over = mn_trainer_epochs_done(c->trainer) >= c->job->train.epochs;
    mn_status status = MN_OK;
    while (status == MN_OK && !over) {
        status = run_epoch(c, result, &over, err);
        if (status == MN_OK && c->job->checkpoint[0] != '\0' && !over)
            status = save_progress(c->trainer, c->job, &c->history, err);
    }
    return status;
}

/* A complete model file, so that any result of a search can be exported. */
static mn_status save_model(const worker *w,
                            const mn__job *job,
                            mn_preprocessing preprocessing,
                            mn_tensors *tensors,
                            mn_error *err)
{
    mn_model model = {.tensors = tensors,
                      .is_int8 = job->precision == MN_PRECISION_INT8,
                      .preprocessing = preprocessing,
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
        status = mn_model_save(&model, job->weights, err);
    free(model.architecture);
    free(model.class_names);
    return status;
}

/* True when the trainer now stands at the job's last checkpoint. A checkpoint that does not fit,
 * or whose history is lost, is worth no more than none. */
static bool resume(course *c)
{
    const char *path = c->job->checkpoint;
    if (path[0] == '\0' || mn_trainer_resume(c->trainer, path, NULL) != MN_OK)
        return false;
    uint32_t epochs = mn_trainer_epochs_done(c->trainer);
    if (epochs < 1 || epochs >= c->job->train.epochs) /* the last epoch yields the result */
        return false;
    return mn__history_load(&c->history, path, epochs);
}

/* A trainer at the job's last checkpoint, or at its start. */
static mn_status start_training(const mn_trainer_setup *setup, course *c, mn_error *err)
{
    mn_status status = mn_trainer_create(setup, &c->trainer, err);
    if (status != MN_OK)
        return status;
    if (resume(c)) {
        c->start_ms -= mn__history_ms(&c->history);
        return MN_OK;
    }
    if (mn_path_exists(c->job->checkpoint)) { /* it may have been read in part */
        mn_trainer_free(c->trainer);
        c->trainer = NULL;
        status = mn_trainer_create(setup, &c->trainer, err);
    }
    return status == MN_OK ? mn__history_init(&c->history, err) : status;
}

/* From the trained network to the model file: its own numbers, or those of int8, whose accuracy is
 * then the result's. */
static mn_status
finish(course *c, const worker *w, const mn_trainer_setup *setup, mn__result *result, mn_error *err)
{
    const mn__job *job = c->job;
    mn_tensors *tensors = NULL;
    mn_tensors *int8 = NULL;
    mn_eval_result validation = {0};
    result->curve_json = mn__history_curve(&c->history);
    if (result->curve_json == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    mn_status status = mn_trainer_tensors(c->trainer, &tensors, err);
    if (status == MN_OK && job->precision == MN_PRECISION_INT8) {
        mn_trainer_free(c->trainer); /* fine-tuning takes the arena */
        c->trainer = NULL;
        const mn__int8_setup end = {.graph = setup->graph,
                                    .tensors = tensors,
                                    .dataset = w->dataset,
                                    .split = c->split,
                                    .preprocessing = setup->preprocessing,
                                    .epochs = job->qat_epochs,
                                    .seed = job->train.seed,
                                    .arena = w->arena};
        status = mn__int8_finish(&end, &int8, &validation, err);
        if (status == MN_OK && validation.count > 0)
            result->accuracy = 100.0 * validation.correct / validation.count;
        result->loss = validation.loss;
    }
    if (status == MN_OK)
        status = save_model(w, job, setup->preprocessing, int8 == NULL ? tensors : int8, err);
    mn_tensors_free(int8);
    mn_tensors_free(tensors);
    return status;
}

static mn_status train(worker *w, const mn__job *job, mn__result *result, mn_error *err)
{
    mn_graph *graph = NULL;
    mn_tensors *initial = NULL;
    mn_split split = {0};
    course c = {.dataset = w->dataset, .job = job, .split = &split, .start_ms = mn_clock_ms()};
    mn_status status = mn_genotype_lower(&job->genotype, &graph, err);
    if (status == MN_OK && job->has_parent)
        status = inherit(job, graph, &initial, err);
    if (status == MN_OK)
        status = divide(w, job, err);
    if (status == MN_OK)
        status = pick_images(&w->division, job, &split, err);
    if (status == MN_OK)
        status = choose_jury(&split, &c.between, err);
    mn_trainer_setup setup = {.graph = graph,
                              .dataset = w->dataset,
                              .indices = split.train,
                              .index_count = split.train_count,
                              .preprocessing = w->division.preprocessing,
                              .initial = initial,
                              .opts = job->train,
                              .arena = w->arena};
    if (status == MN_OK)
        status = start_training(&setup, &c, err);
    if (status == MN_OK)
        status =
            job->kind == MN__JOB_KEEP ? judge_all(&c, result, err) : run_epochs(&c, result, err);
    if (status == MN_OK)
        status = finish(&c, w, &setup, result, err);
    result->train_ms = mn_clock_ms() - c.start_ms;
    mn__history_done(&c.history);
    free(c.between.images);
    free(split.train);
    mn_trainer_free(c.trainer);
    mn_tensors_free(initial);
    mn_graph_free(graph);
    return status;
}

static mn_status test_int8(const worker *w,
                           const mn_graph *graph,
                           const mn_model *model,
                           mn_eval_result *ret,
                           mn_error *err)
{
    const mn_int8_task task = {.preprocessing = model->preprocessing,
                               .dataset = w->dataset,
                               .images = &w->dataset->test,
                               .count = w->dataset->test.count,
                               .threads = 1};
    if (!model->is_int8)
        return mn_error_set(err, MN_ERR_MISMATCH, "test: the model is not int8");
    return mn__int8_evaluate(graph, model->tensors, &task, ret, err);
}

static mn_status test_float(const worker *w,
                            const mn_graph *graph,
                            const mn_model *model,
                            mn_eval_result *ret,
                            mn_error *err)
{
    mn_tensors *tensors = NULL;
    mn_trainer *trainer = NULL;
    mn_status status = mn_tensors_arrange(graph, model->tensors, &tensors, err);
    if (status == MN_OK) {
        mn_trainer_setup setup = {.graph = graph,
                                  .preprocessing = model->preprocessing,
                                  .initial = tensors,
                                  .opts = mn_train_opts_default(),
                                  .arena = w->arena};
        setup.opts.compute = MN_COMPUTE_FLOAT32; /* as the exported code computes */
        status = mn_trainer_create(&setup, &trainer, err);
    }
    if (status == MN_OK)
        status =
            mn_trainer_evaluate(trainer, w->dataset, &w->dataset->test, NULL, 0, ret, NULL, err);
    mn_trainer_free(trainer);
    mn_tensors_free(tensors);
    return status;
}

static mn_status test(const worker *w, const mn__job *job, mn__result *result, mn_error *err)
{
    mn_graph *graph = NULL;
    mn_model *model = NULL;
    mn_eval_result evaluation = {0};
    mn_status status = mn_genotype_lower(&job->genotype, &graph, err);
    if (status == MN_OK)
        status = mn_model_load(job->weights, &model, err);
    if (status == MN_OK)
        status = (job->precision == MN_PRECISION_INT8 ? test_int8 : test_float)(
            w, graph, model, &evaluation, err);
    if (status == MN_OK && evaluation.count > 0)
        result->accuracy = 100.0 * evaluation.correct / evaluation.count;
    result->loss = evaluation.loss;
    mn_model_free(model);
    mn_graph_free(graph);
    return status;
}

/* Statuses that tell about the network: its loss left the numbers, or it cannot be computed. Any
 * other tells about the machine or the study (no room, a damaged parent), and training it later
 * may do. */
static bool is_about_network(mn_status status)
{
    return status == MN_ERR_LIMIT || status == MN_ERR_UNSUPPORTED;
}

/* Runs one job; a failure becomes a result that says why. */
static mn_status run_job(worker *w, const char *line, size_t count, char **ret_line, mn_error *err)
{
    mn__job job = {0};
    mn__result result = {0};
    mn_error reason = {0};
    mn_status status = mn__job_parse(line, count, &job, &reason);
    if (status == MN_OK)
        status = job.kind == MN__JOB_TEST ? test(w, &job, &result, &reason)
                                          : train(w, &job, &result, &reason);
    if (status != MN_OK) {
        result.failed = is_about_network(status);
        result.fatal = !result.failed;
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

/* A worker must not work for nobody. The kernel ends it with its parent; a parent that died before
 * it was asked to has left a pipe without a reader (polled after that, so no death is missed).
 * With a limit on file sizes a write must fail, not kill. */
static void tie_to_parent(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail with a valid signal */
    (void)signal(SIGXFSZ, SIG_IGN);
}

static bool somebody_listens(int out_fd)
{
    struct pollfd out = {.fd = out_fd, .events = POLLOUT};
    return poll(&out, 1, 0) < 0 || (out.revents & POLLERR) == 0;
}

mn_status mn_worker_run(int in_fd, int out_fd, int data_fd, mn_error *err)
{
    mn_dataset *dataset = NULL;
    worker w = {0};
    char *line = NULL;
    size_t capacity = 0;
    tie_to_parent();
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
        if (count < 0 || !somebody_listens(out_fd))
            break;
        char *answer = NULL;
        status = run_job(&w, line, (size_t)count, &answer, err);
        if (status == MN_OK)
            status = write_line(out_fd, answer, err);
        free(answer);
    }
    free(line);
    mn_split_done(&w.division.split);
    mn_arena_free(w.arena);
    mn_dataset_free(dataset);
    if (in != NULL)
        (void)fclose(in); /* only read */
    else if (own_fd >= 0)
        close(own_fd);
    return status;
}

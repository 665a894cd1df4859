/*
 * memnet train: trains one architecture and writes a model file.
 *
 * The validation images are cut from the training images by seed; the test set is never touched.
 * Invariant: the model is written once, when all epochs are done.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/resident.h"
#include "base/size.h"
#include "cli/cli.h"
#include "cli/pipeline.h"
#include "cli/text.h"
#include "cli/train_options.h"

/* A training under way; all owned. */
typedef struct training {
    mn_genotype genotype;
    mn_graph *graph;
    mn_dataset *dataset;
    mn_split split;
    mn_preprocessing preprocessing;
    mn_trainer *trainer;
    size_t resident_bytes; /* of the process before the trainer; 0: not known */
} training;

static void training_done(training *t)
{
    mn_trainer_free(t->trainer);
    mn_split_done(&t->split);
    mn_dataset_free(t->dataset);
    mn_graph_free(t->graph);
}

static mn_status check_request(const mn__train_request *r, mn_error *err)
{
    mn_status status = mn__output_check(r->out, err);
    if (status == MN_OK && r->checkpoint != NULL)
        status = mn__output_check(r->checkpoint, err);
    if (status == MN_OK)
        status = mn_train_opts_check(&r->opts, err);
    return status;
}

static mn_status prepare(const mn__train_request *r, training *t, mn_error *err)
{
    mn_status status = mn_genotype_load(r->architecture, &t->genotype, err);
    if (status == MN_OK)
        status = mn_genotype_lower(&t->genotype, &t->graph, err);
    if (status == MN_OK)
        status = mn_dataset_open(r->data, &t->dataset, err);
    if (status == MN_OK)
        status = mn_split_make(t->dataset, r->split_seed, r->validation, &t->split, err);
    if (status != MN_OK)
        return status;
    t->preprocessing = mn_preprocessing_measure(t->dataset, t->split.train, t->split.train_count);
    const mn_trainer_setup setup = {
        .graph = t->graph,
        .dataset = t->dataset,
        .indices = t->split.train,
        .index_count = t->split.train_count,
        .preprocessing = t->preprocessing,
        .opts = r->opts,
    };
    size_t peak;
    if (!mn_resident_bytes(&t->resident_bytes, &peak))
        t->resident_bytes = 0;
    status = mn_trainer_create(&setup, &t->trainer, err);
    if (status != MN_OK)
        return mn_error_prefix(err, status, "%s", r->architecture);
    if (r->checkpoint != NULL && mn_path_exists(r->checkpoint))
        status = mn_trainer_resume(t->trainer, r->checkpoint, err);
    return status;
}

/* The bytes that the process is expected to hold at most. Validation makes batches too. */
static size_t expected_bytes(const training *t)
{
    mn_trainer_memory memory = mn_trainer_memory_of(t->trainer);
    return t->resident_bytes + memory.arena_bytes + 2 * memory.batches_bytes;
}

static void print_plan(const training *t)
{
    mn_trainer_memory memory = mn_trainer_memory_of(t->trainer);
    printf("kernels: %s\n"
           "memory of the training\n"
           "  feature maps, gradients  %s\n"
           "  weights, scratch         %s\n"
           "  images made ahead        %s\n",
           mn_trainer_kernels(t->trainer),
           mn__bytes_text(memory.maps_bytes).text,
           mn__bytes_text(memory.arena_bytes - memory.maps_bytes).text,
           mn__bytes_text(2 * memory.batches_bytes).text);
}

/* What the process took, beside what it was expected to. */
static void print_memory(const training *t)
{
    size_t now, peak;
    if (t->resident_bytes == 0 || !mn_resident_bytes(&now, &peak))
        return;
    printf("memory of the process\n"
           "  before the training      %s\n"
           "  expected with it         %s\n"
           "  at most, in fact         %s\n",
           mn__bytes_text(t->resident_bytes).text,
           mn__bytes_text(expected_bytes(t)).text,
           mn__bytes_text(peak).text);
}

static void print_start(const mn__train_request *r, const training *t)
{
    printf("training on %s images, validating on %s; %s parameters, %u thread%s\n",
           mn__count_text(t->split.train_count).text,
           mn__count_text(t->split.validation_count).text,
           mn__count_text(mn_graph_parameters(t->graph)).text,
           r->opts.threads,
           r->opts.threads == 1 ? "" : "s");
    if (r->verbose)
        print_plan(t);
    if (mn_trainer_epochs_done(t->trainer) > 0)
        printf("continuing after epoch %u from %s\n",
               mn_trainer_epochs_done(t->trainer),
               r->checkpoint);
    (void)fflush(stdout);
}

/* Percent on the validation images; NaN when there are none. */
static mn_status validate(const training *t, double *ret_accuracy, mn_error *err)
{
    mn_eval_result result;
    *ret_accuracy = (double)NAN;
    if (t->split.validation_count == 0)
        return MN_OK;
    mn_status status = mn_trainer_evaluate(t->trainer,
                                           t->dataset,
                                           &t->dataset->train,
                                           t->split.validation,
                                           t->split.validation_count,
                                           &result,
                                           NULL,
                                           err);
    if (status == MN_OK)
        *ret_accuracy = 100.0 * result.correct / result.count;
    return status;
}

static void print_epoch(const mn__train_request *r,
                        const training *t,
                        const mn_epoch_result *epoch,
                        double accuracy)
{
    double images = t->split.train_count; /* an incomplete last batch is dropped */
    if (t->split.train_count > r->opts.batch)
        images -= t->split.train_count % r->opts.batch;
    printf("epoch %u/%u  loss %.4f  validation %s  %s images/s",
           epoch->epoch,
           r->opts.epochs,
           epoch->loss,
           mn__percent_text(accuracy).text,
           mn__count_text((uint64_t)(images * 1000.0 / (epoch->train_ms + 1.0))).text);
    if (r->verbose)
        printf("  %.2f s, %.0f %% of it waiting for images",
               epoch->train_ms / 1000.0,
               100.0 * epoch->wait_ms / (epoch->train_ms + 1.0));
    putchar('\n');
    (void)fflush(stdout);
}

static mn_status
run_epochs(const mn__train_request *r, training *t, double *ret_accuracy, mn_error *err)
{
    mn_status status = MN_OK;
    mn_epoch_result epoch;
    *ret_accuracy = (double)NAN;
    if (mn_trainer_epochs_done(t->trainer) == r->opts.epochs)
        return validate(t, ret_accuracy, err);
    while (status == MN_OK && mn_trainer_epochs_done(t->trainer) < r->opts.epochs) {
        status = mn_trainer_epoch(t->trainer, &epoch, err);
        if (status == MN_OK && r->checkpoint != NULL)
            status = mn_trainer_save(t->trainer, r->checkpoint, err);
        if (status == MN_OK)
            status = validate(t, ret_accuracy, err);
        if (status == MN_OK)
            print_epoch(r, t, &epoch, *ret_accuracy);
    }
    return status;
}

static mn_status copy_class_names(const mn_dataset *dataset, mn_model *model, mn_error *err)
{
    model->class_names = mn_calloc(dataset->class_count, sizeof *model->class_names);
    if (model->class_names == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "model: out of memory");
    for (; model->class_count < dataset->class_count; model->class_count++) {
        char *name = strdup(dataset->class_names[model->class_count]);
        if (name == NULL)
            return mn_error_set(err, MN_ERR_NOMEM, "model: out of memory");
        model->class_names[model->class_count] = name;
    }
    return MN_OK;
}

static mn_status save_model(const mn__train_request *r, const training *t, mn_error *err)
{
    mn_model *model = mn_calloc(1, sizeof *model);
    if (model == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "model: out of memory");
    model->preprocessing = t->preprocessing;
    model->split_seed = r->split_seed;
    model->split_fraction = r->validation;
    memcpy(model->data_hash, t->dataset->hash, sizeof model->data_hash);
    mn_status status = copy_class_names(t->dataset, model, err);
    if (status == MN_OK)
        status = mn_genotype_print(&t->genotype, 0, &model->architecture, err);
    if (status == MN_OK)
        status = mn_trainer_tensors(t->trainer, &model->tensors, err);
    if (status == MN_OK)
        status = mn_model_save(model, r->out, err);
    mn_model_free(model);
    return status;
}

static int train(const mn__train_request *r)
{
    training t = {0};
    double accuracy = 0.0;
    mn_error err;
    mn_status status = check_request(r, &err);
    if (status == MN_OK)
        status = prepare(r, &t, &err);
    if (status != MN_OK)
        goto done;
    print_start(r, &t);
    status = run_epochs(r, &t, &accuracy, &err);
    if (status == MN_OK)
        status = save_model(r, &t, &err);
    if (status == MN_OK)
        printf("saved %s, validation accuracy %s\n", r->out, mn__percent_text(accuracy).text);
    if (status == MN_OK && r->verbose)
        print_memory(&t);
done:
    training_done(&t);
    return status == MN_OK ? MN__EXIT_OK : mn__fail(&err);
}

int mn__cmd_train(int argc, char **argv)
{
    mn__train_request r = {.out = "model.safetensors", .validation = 0.1, .split_seed = 1};
    int first = 0;
    int code = 0;
    r.opts = mn_train_opts_default();
    r.opts.threads = mn__processors(256);
    r.schedule = (int)r.opts.schedule;
    r.flip = (int)r.opts.augmentation.flip;
    if (!mn__options_parse(&mn__train_usage, argc, argv, &r, &first, &code))
        return code;
    r.architecture = argv[first];
    r.opts.schedule = (mn_schedule)r.schedule;
    r.opts.compute = (mn_compute)r.compute;
    r.opts.augmentation.flip = (mn_flip)r.flip;
    return train(&r);
}

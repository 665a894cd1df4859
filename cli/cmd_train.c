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
#include "base/size.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/text.h"
#include "memnet/train.h"

/* What the command line says. */
typedef struct request {
    const char *architecture;
    const char *data;
    const char *out;
    const char *checkpoint; /* NULL: none */
    mn_train_opts opts;
    double learning_rate;
    double validation;
    uint64_t split_seed;
    int compute; /* auto is float32 today */
    bool verbose;
} request;

/* A training under way; all owned. */
typedef struct training {
    mn_genotype genotype;
    mn_graph *graph;
    mn_dataset *dataset;
    mn_split split;
    mn_preprocessing preprocessing;
    mn_trainer *trainer;
} training;

static void training_done(training *t)
{
    mn_trainer_free(t->trainer);
    mn_split_done(&t->split);
    mn_dataset_free(t->dataset);
    mn_graph_free(t->graph);
}

static mn_status check_request(const request *r, mn_error *err)
{
    mn_status status = mn__output_check(r->out, err);
    if (status == MN_OK && r->checkpoint != NULL)
        status = mn__output_check(r->checkpoint, err);
    if (status == MN_OK)
        status = mn_train_opts_check(&r->opts, err);
    return status;
}

static mn_status prepare(const request *r, training *t, mn_error *err)
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
    status = mn_trainer_create(&setup, &t->trainer, err);
    if (status != MN_OK)
        return mn_error_prefix(err, status, "%s", r->architecture);
    if (r->checkpoint != NULL && mn_path_exists(r->checkpoint))
        status = mn_trainer_resume(t->trainer, r->checkpoint, err);
    return status;
}

static void print_start(const request *r, const training *t)
{
    printf("training on %s images, validating on %s; %s parameters, %u thread%s\n",
           mn__count_text(t->split.train_count).text,
           mn__count_text(t->split.validation_count).text,
           mn__count_text(mn_graph_parameters(t->graph)).text,
           r->opts.threads,
           r->opts.threads == 1 ? "" : "s");
    if (r->verbose)
        printf("the trainer keeps %s\n", mn__bytes_text(mn_trainer_arena_bytes(t->trainer)).text);
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

static void
print_epoch(const request *r, const training *t, const mn_epoch_result *epoch, double accuracy)
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
        printf("  %.2f s, %.2f s of it waiting for images",
               epoch->train_ms / 1000.0,
               epoch->wait_ms / 1000.0);
    putchar('\n');
    (void)fflush(stdout);
}

static mn_status run_epochs(const request *r, training *t, double *ret_accuracy, mn_error *err)
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

static mn_status save_model(const request *r, const training *t, mn_error *err)
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

static int train(const request *r)
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
done:
    training_done(&t);
    return status == MN_OK ? MN__EXIT_OK : mn__fail(&err);
}

#define INTO(field) offsetof(request, field)

static const char *const computes[] = {"auto", "float32", NULL};
static const char *const computes_planned[] = {"bf16", NULL};

static const mn__option options[] = {
    {.name = "data",
     .argument = "SPEC",
     .kind = MN__TEXT,
     .into = INTO(data),
     .required = true,
     .help = "data set (see below); required"},
    {.name = "epochs",
     .argument = "N",
     .kind = MN__COUNT,
     .into = INTO(opts.epochs),
     .low = 1,
     .high = 100000,
     .help = "passes over the training images, default 10"},
    {.name = "batch",
     .argument = "N",
     .kind = MN__COUNT,
     .into = INTO(opts.batch),
     .low = 1,
     .high = 4096,
     .help = "images per step, default 64"},
    {.name = "learning-rate",
     .argument = "X",
     .kind = MN__REAL,
     .into = INTO(learning_rate),
     .low = 0,
     .high = 100,
     .help = "its peak, default 0.2"},
    {.name = "seed",
     .argument = "N",
     .kind = MN__INTEGER,
     .into = INTO(opts.seed),
     .help = "of first weights, order and augmentation, default 1"},
    {.name = "compute",
     .argument = "MODE",
     .kind = MN__CHOICE,
     .into = INTO(compute),
     .choices = computes,
     .planned = computes_planned,
     .help = "auto (default) or float32"},
    {.name = "threads",
     .argument = "N",
     .kind = MN__COUNT,
     .into = INTO(opts.threads),
     .low = 1,
     .high = 256,
     .help = "default: all processors; the result depends on it"},
    {.name = "out",
     .argument = "FILE",
     .kind = MN__TEXT,
     .into = INTO(out),
     .help = "the model, default model.safetensors"},
    {.name = "checkpoint",
     .argument = "FILE",
     .kind = MN__TEXT,
     .into = INTO(checkpoint),
     .help = "saved after every epoch, and continued when it exists"},
    {.name = "validation",
     .argument = "F",
     .kind = MN__REAL,
     .into = INTO(validation),
     .low = 0,
     .high = 0.9,
     .help = "share of the training images that validates instead,\ndefault 0.1"},
    {.name = "split-seed",
     .argument = "N",
     .kind = MN__INTEGER,
     .into = INTO(split_seed),
     .help = "of the choice of these images, default 1"},
    {.name = "verbose",
     .kind = MN__FLAG,
     .into = INTO(verbose),
     .help = "also print memory, seconds and waiting"},
};

static const mn__usage usage = {
    .command = "train",
    .synopsis = "ARCH.json --data SPEC [options]",
    .about =
        "Trains an architecture and writes a model file. Prints a line for every epoch: loss,\n"
        "accuracy on the validation images, images per second. The test images are not touched.\n"
        "The same options, seeds and threads give the same model.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operand = "ARCH.json",
    .operand_max = 1,
    .reads_data = true,
    .examples = "  memnet train architecture.json --data fashion-mnist\n"
                "  memnet train study/best/architecture.json --data cifar10:data --epochs 60 \\\n"
                "      --checkpoint long.checkpoint --out long.safetensors\n",
};

int mn__cmd_train(int argc, char **argv)
{
    request r = {.out = "model.safetensors", .validation = 0.1, .split_seed = 1};
    int first = 0;
    int code = 0;
    r.opts = mn_train_opts_default();
    r.opts.threads = mn__processors(256);
    r.learning_rate = (double)r.opts.learning_rate;
    if (!mn__options_parse(&usage, argc, argv, &r, &first, &code))
        return code;
    r.architecture = argv[first];
    r.opts.learning_rate = (float)r.learning_rate;
    return train(&r);
}

/*
 * The trainer: runs epochs and evaluations of one network. Invariant: after every public call the
 * copies of the weights in other layouts agree with the weights.
 */
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "train/initialise.h"
#include "train/loss.h"
#include "train/optimiser.h"
#include "train/schedule.h"
#include "train/tensors_check.h"
#include "train/whiten.h"

static mn_status check_setup(const mn_trainer_setup *setup, mn_error *err)
{
    mn_status status = mn_train_opts_check(&setup->opts, err);
    const mn_node *last = mn_graph_node(setup->graph, mn_graph_output(setup->graph, 0));
    const mn_dataset *dataset = setup->dataset;
    if (status != MN_OK)
        return status;
    if (mn_graph_output_count(setup->graph) != 1 ||
        !mn__makes_logits(setup->graph, mn_graph_output(setup->graph, 0)))
        return mn_error_set(
            err, MN_ERR_UNSUPPORTED, "%s: expected a fully connected layer at the end", last->name);
    if (dataset == NULL)
        return MN_OK;
    const mn_shape in = mn_graph_node(setup->graph, 0)->shape;
    if (!mn_shape_equal(in, dataset->shape))
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "the network reads (%u,%u,%u), the data set has (%u,%u,%u)",
                            in.h,
                            in.w,
                            in.c,
                            dataset->shape.h,
                            dataset->shape.w,
                            dataset->shape.c);
    if (last->shape.c != dataset->class_count)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "the network has %u classes, the data set %u",
                            last->shape.c,
                            dataset->class_count);
    if (setup->indices == NULL || setup->index_count == 0)
        return mn_error_set(err, MN_ERR_ARG, "no images to train on");
    if (setup->opts.whiten && mn__whiten_tensor(setup->graph) == MN_NONE)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "whiten: no dense convolution reads the image whose window is of "
                            "several pixels, not larger than the image, and of at most %u "
                            "numbers with all channels",
                            MN__PATCH_MAX);
    return MN_OK;
}

static mn_status start_batches(mn_trainer *trainer, mn_error *err)
{
    const mn_trainer_setup *setup = &trainer->setup;
    mn_batches_opts opts = {
        .dataset = setup->dataset,
        .images = &setup->dataset->train,
        .indices = setup->indices,
        .index_count = setup->index_count,
        .batch = trainer->net->opts.batch,
        .preprocessing = setup->preprocessing,
        .augmentation = setup->opts.augmentation,
        .shuffle = true,
        .seed = setup->opts.seed,
    };
    return mn_batches_create(&opts, &trainer->batches, err);
}

/* A network of int8 grids: bf16, of eight bits itself, would round between their numbers. */
static bool is_quantised(const mn_trainer_setup *setup)
{
    bool quantised = setup->opts.int8_weights;
    for (uint32_t n = 0; n < mn_graph_node_count(setup->graph) && !quantised; n++)
        quantised = mn_graph_node(setup->graph, n)->prim == MN_PRIM_FAKE_QUANT;
    return quantised;
}

static mn_status
choose_simd(const mn_trainer_setup *setup, const mn__simd **ret_simd, mn_error *err)
{
    const mn_compute compute = setup->opts.compute;
    const bool floats = compute == MN_COMPUTE_FLOAT32 || is_quantised(setup);
    const mn__simd *bf16 = floats ? NULL : mn__simd_choose(true);
    if (floats && compute == MN_COMPUTE_BF16)
        return mn_error_set(
            err, MN_ERR_UNSUPPORTED, "compute: bf16 cannot hold the grids of a quantised network");
    if (bf16 == NULL && compute == MN_COMPUTE_BF16)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "compute: this processor has no bf16 instructions (AVX512-BF16)");
    *ret_simd = bf16 == NULL ? mn__simd_choose(false) : bf16;
    return MN_OK;
}

/* A copy of the numbers that are given, or random ones. */
static mn_status
make_initial(const mn_trainer_setup *setup, mn_tensors **ret_tensors, mn_error *err)
{
    if (setup->initial != NULL) {
        mn_status status = mn__tensors_check(setup->graph, setup->initial, err);
        return status == MN_OK ? mn_tensors_clone(setup->initial, ret_tensors, err) : status;
    }
    mn_status status = mn_tensors_initialise(setup->graph, setup->opts.seed, ret_tensors, err);
    if (status == MN_OK && setup->opts.dirac)
        mn__tensors_make_dirac(setup->graph, *ret_tensors);
    return status;
}

/* The batches exist: they have checked the indices that whitening goes by. */
static mn_status start_weights(mn_trainer *trainer, mn_error *err)
{
    const mn_trainer_setup *setup = &trainer->setup;
    mn_tensors *tensors = NULL;
    mn_status status = make_initial(setup, &tensors, err);
    if (status == MN_OK && setup->opts.whiten && setup->dataset != NULL)
        status = mn__whiten(setup, tensors, err);
    if (status == MN_OK)
        mn__parameters_import(trainer->net, MN__PART_VALUE, tensors);
    mn_tensors_free(tensors);
    return status;
}

mn_status mn_trainer_create(const mn_trainer_setup *setup, mn_trainer **ret_trainer, mn_error *err)
{
    mn_status status = check_setup(setup, err);
    if (status != MN_OK)
        return status;
    mn_trainer *trainer = mn_calloc(1, sizeof *trainer);
    if (trainer == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    trainer->setup = *setup;
    trainer->frozen = setup->opts.whiten ? mn__whiten_tensor(setup->graph) : MN_NONE;
    uint32_t batch = setup->opts.batch;
    if (setup->dataset != NULL && setup->index_count < batch)
        batch = setup->index_count;
    mn__network_opts opts = {.batch = batch,
                             .slices = setup->opts.threads < batch ? setup->opts.threads : batch,
                             .int8_weights = setup->opts.int8_weights};
    status = choose_simd(setup, &opts.simd, err);
    if (status == MN_OK && setup->arena == NULL)
        status = mn_arena_create(&trainer->own_arena, err);
    if (status == MN_OK)
        status = mn__network_create(setup->graph,
                                    &opts,
                                    setup->arena == NULL ? trainer->own_arena : setup->arena,
                                    &trainer->net,
                                    err);
    if (status == MN_OK)
        status = setup->dataset == NULL ? MN_OK : start_batches(trainer, err);
    if (status == MN_OK)
        status = start_weights(trainer, err);
    if (status == MN_OK)
        status = mn__average_init(trainer->net, setup->opts.average, &trainer->average, err);
    if (status != MN_OK) {
        mn_trainer_free(trainer);
        return status;
    }
    *ret_trainer = trainer;
    return MN_OK;
}

void mn_trainer_free(mn_trainer *trainer)
{
    if (trainer == NULL)
        return;
    mn_batches_free(trainer->batches);
    mn__network_free(trainer->net);
    mn_arena_free(trainer->own_arena);
    free(trainer);
}

mn_status mn__trainer_step(
    mn_trainer *trainer, const mn_batch *batch, float rate, double *ret_loss, mn_error *err)
{
    mn__network *net = trainer->net;
    mn__network_forward(net, batch->images, true);
    const mn__targets targets = {.labels = batch->labels,
                                 .other_labels = batch->other_labels,
                                 .lambda = batch->lambda,
                                 .smoothing = trainer->setup.opts.label_smoothing};
    double loss = mn__loss(
        net->logits, &targets, net->opts.batch, batch->count, net->classes, net->logits_gradient);
    if (!isfinite(loss))
        return mn_error_set(err, MN_ERR_LIMIT, "the loss is not finite");
    mn__network_backward(net);
    mn__optimiser_step(net, &trainer->setup.opts, rate, trainer->frozen);
    mn__network_refresh(net);
    *ret_loss = loss;
    return MN_OK;
}

/* The loss does not see everything: not running statistics, and not what the last step did. */
static mn_status check_weights(const mn__network *net, mn_error *err)
{
    for (uint32_t t = 0; t < mn_graph_tensor_count(net->graph); t++) {
        const mn__parameter *p = &net->parameters[t];
        bool finite = true;
        for (size_t i = 0; i < p->count; i++)
            finite = finite && isfinite(p->value[i]);
        if (!finite)
            return mn_error_set(err,
                                MN_ERR_LIMIT,
                                "%s holds a number that is not finite",
                                mn_graph_tensor(net->graph, t)->name);
    }
    return MN_OK;
}

mn_status mn_trainer_epoch(mn_trainer *trainer, mn_epoch_result *ret_result, mn_error *err)
{
    const mn_train_opts *opts = &trainer->setup.opts;
    if (trainer->batches == NULL)
        return mn_error_set(err, MN_ERR_ARG, "a trainer without a data set cannot train");
    if (trainer->epochs_done >= opts->epochs)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "epoch %u of a training of %u",
                            trainer->epochs_done + 1,
                            opts->epochs);
    uint64_t per_epoch = mn_batches_per_epoch(trainer->batches);
    uint64_t step = per_epoch * trainer->epochs_done;
    uint64_t steps = per_epoch * opts->epochs;
    double wait_before = mn_batches_wait_ms(trainer->batches);
    int64_t start = mn_clock_ms();
    double sum = 0.0;
    mn_status status = MN_OK;
    mn_batch batch;
    mn_batches_begin(trainer->batches, trainer->epochs_done);
    while (status == MN_OK && mn_batches_next(trainer->batches, &batch)) {
        double loss = 0.0;
        float rate = mn__schedule_rate(opts->schedule, opts->learning_rate, step, steps);
        status = mn__trainer_step(trainer, &batch, rate, &loss, err);
        if (status == MN_OK)
            mn__average_step(&trainer->average, trainer->net, step++);
        sum += loss;
    }
    if (status == MN_OK)
        status = check_weights(trainer->net, err);
    if (status != MN_OK)
        return mn_error_prefix(err, status, "epoch %u", trainer->epochs_done + 1);
    trainer->epochs_done++;
    *ret_result = (mn_epoch_result){
        .epoch = trainer->epochs_done,
        .loss = sum / (double)per_epoch,
        .train_ms = (double)(mn_clock_ms() - start),
        .wait_ms = mn_batches_wait_ms(trainer->batches) - wait_before,
    };
    return MN_OK;
}

uint32_t mn_trainer_epochs_done(const mn_trainer *trainer)
{
    return trainer->epochs_done;
}

/* Classifies one batch that the network has run on. */
static void classify_batch(const mn__network *net,
                           const mn_batch *batch,
                           mn_eval_result *result,
                           uint16_t *predictions)
{
    uint32_t classes = net->classes;
    for (uint32_t i = 0; i < batch->count; i++) {
        uint32_t best = 0;
        result->loss +=
            mn__classify(net->logits + (size_t)i * classes, classes, batch->labels[i], &best);
        result->correct += best == batch->labels[i];
        if (predictions != NULL)
            predictions[result->count] = (uint16_t)best;
        result->count++;
    }
}

static void
classify_all(mn__network *net, mn_batches *batches, mn_eval_result *result, uint16_t *predictions)
{
    mn_batch batch;
    mn_batches_begin(batches, 0);
    while (mn_batches_next(batches, &batch)) {
        mn__network_forward(net, batch.images, false);
        classify_batch(net, &batch, result, predictions);
    }
}

mn_status mn_trainer_evaluate(mn_trainer *trainer,
                              const mn_dataset *dataset,
                              const mn_images *images,
                              const uint32_t *indices,
                              uint32_t index_count,
                              mn_eval_result *ret_result,
                              uint16_t *ret_predictions,
                              mn_error *err)
{
    mn__network *net = trainer->net;
    mn_batches *batches = NULL;
    mn_eval_result result = {0};
    mn_batches_opts opts = {.dataset = dataset,
                            .images = images,
                            .indices = indices,
                            .index_count = index_count,
                            .batch = net->opts.batch,
                            .preprocessing = trainer->setup.preprocessing};
    const mn_shape in = mn_graph_node(net->graph, 0)->shape;
    if (!mn_shape_equal(in, dataset->shape) || dataset->class_count != net->classes)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "the network reads (%u,%u,%u) and has %u classes, the data set has "
                            "(%u,%u,%u) and %u",
                            in.h,
                            in.w,
                            in.c,
                            net->classes,
                            dataset->shape.h,
                            dataset->shape.w,
                            dataset->shape.c,
                            dataset->class_count);
    mn_status status = mn_batches_create(&opts, &batches, err);
    if (status != MN_OK)
        return status;
    mn__average_swap(&trainer->average, net);
    classify_all(net, batches, &result, ret_predictions);
    mn__average_swap(&trainer->average, net);
    mn_batches_free(batches);
    result.loss = result.count == 0 ? 0.0 : result.loss / result.count;
    if (!isfinite(result.loss))
        return mn_error_set(err, MN_ERR_LIMIT, "the evaluation loss is not finite");
    *ret_result = result;
    return MN_OK;
}

mn_status mn__trainer_weights(mn_trainer *trainer, mn_tensors **ret_tensors, mn_error *err)
{
    mn_tensors *tensors = NULL;
    mn_status status = mn_tensors_create_for_graph(trainer->setup.graph, &tensors, err);
    if (status != MN_OK)
        return status;
    mn__parameters_export(trainer->net, MN__PART_VALUE, tensors);
    *ret_tensors = tensors;
    return MN_OK;
}

mn_status mn_trainer_tensors(mn_trainer *trainer, mn_tensors **ret_tensors, mn_error *err)
{
    mn__average_swap(&trainer->average, trainer->net);
    mn_status status = mn__trainer_weights(trainer, ret_tensors, err);
    mn__average_swap(&trainer->average, trainer->net);
    return status;
}

mn_trainer_memory mn_trainer_memory_of(const mn_trainer *trainer)
{
    return (mn_trainer_memory){
        .maps_bytes = trainer->net->planned_bytes,
        .arena_bytes = mn_arena_used(trainer->net->arena),
        .batches_bytes = trainer->batches == NULL ? 0 : mn_batches_bytes(trainer->batches),
    };
}

const char *mn_trainer_kernels(const mn_trainer *trainer)
{
    return trainer->net->opts.simd->name;
}

void mn_trainer_profile(mn_trainer *trainer)
{
    mn__program *programs[] = {&trainer->net->forward, &trainer->net->backward};
    trainer->net->profiled = true;
    for (int p = 0; p < 2; p++)
        for (uint32_t i = 0; i < programs[p]->count; i++)
            programs[p]->steps[i].seconds = 0.0;
}

void mn_trainer_visit_steps(const mn_trainer *trainer,
                            void (*visit)(void *context, const mn_step_cost *cost),
                            void *context)
{
    const mn__network *net = trainer->net;
    const mn__program *programs[] = {&net->forward, &net->backward};
    for (int p = 0; p < 2; p++)
        for (uint32_t i = 0; i < programs[p]->count; i++) {
            const mn__step *step = &programs[p]->steps[i];
            mn_step_cost cost = {
                .layer = step->node == MN_NONE ? "" : mn_graph_node(net->graph, step->node)->name,
                .kind = step->work.kind,
                .seconds = step->seconds,
                .flops = step->work.flops * net->opts.batch,
                .bytes = step->work.bytes * net->opts.batch};
            visit(context, &cost);
        }
}

/* Training: it learns, it repeats itself bit by bit, it refuses what it cannot train, and nothing
 * of one trainer shows in the next. */
#include "train_fixture.h"

#include <math.h>

#include "tensors_check.h"
#include "train/trainer.h"

static tiny_data data;

static int set_up(void **state)
{
    (void)state;
    tiny_data_init(&data);
    return 0;
}

static mn_eval_result evaluate_training_images(mn_trainer *trainer)
{
    mn_eval_result result;
    mn_error err;
    assert_ok(mn_trainer_evaluate(
                  trainer, &data.dataset, &data.dataset.train, NULL, 0, &result, NULL, &err),
              &err);
    return result;
}

/* Trains `epochs` epochs; losses go to `ret_losses` unless it is NULL. */
static void train(mn_trainer *trainer, uint32_t epochs, double *ret_losses)
{
    mn_error err;
    for (uint32_t i = 0; i < epochs; i++) {
        mn_epoch_result result;
        assert_ok(mn_trainer_epoch(trainer, &result, &err), &err);
        assert_int_equal(result.epoch, mn_trainer_epochs_done(trainer));
        assert_true(result.train_ms >= 0.0 && result.wait_ms >= 0.0);
        if (ret_losses != NULL)
            ret_losses[i] = result.loss;
    }
}

/* All that a training of `epochs` epochs leaves. */
static mn_tensors *trained(const mn_trainer_setup *setup, uint32_t epochs)
{
    mn_trainer *trainer = tiny_trainer(setup);
    train(trainer, epochs, NULL);
    mn_tensors *tensors = tiny_tensors(trainer);
    mn_trainer_free(trainer);
    return tensors;
}

static void test_learns(void **state)
{
    (void)state;
    for (int schedule = 0; schedule < 2; schedule++) {
        mn_genotype g = tiny_genotype(schedule == 0 ? MN_HEAD_GAP : MN_HEAD_MAXPOOL2);
        mn_graph *graph = tiny_lower(&g);
        mn_trainer_setup setup = tiny_setup(graph, &data);
        setup.opts.epochs = 10;
        setup.opts.schedule = schedule == 0 ? MN_SCHEDULE_COSINE : MN_SCHEDULE_ONE_CYCLE;
        mn_trainer *trainer = tiny_trainer(&setup);
        double losses[10];
        train(trainer, 10, losses);
        mn_eval_result result = evaluate_training_images(trainer);
        assert_true(losses[9] < losses[0]);
        assert_true(result.correct > 95);
        assert_true(result.loss < 0.5);
        mn_trainer_free(trainer);
        mn_graph_free(graph);
    }
}

/* The first step's loss is log(classes) when all logits are equal: a last layer of zeros. */
static void test_first_loss(void **state)
{
    (void)state;
    mn_genotype g = tiny_small_genotype();
    mn_graph *graph = tiny_lower(&g);
    mn_tensors *zeros = NULL;
    mn_error err;
    assert_ok(mn_tensors_create_for_graph(graph, &zeros, &err), &err);
    mn_trainer_setup setup = tiny_setup(graph, &data);
    setup.initial = zeros;
    setup.opts.learning_rate = 0.0f;
    mn_trainer *trainer = tiny_trainer(&setup);
    double loss = 0.0;
    train(trainer, 1, &loss);
    assert_true(fabs(loss - log(tiny_classes)) < 1e-6);
    mn_trainer_free(trainer);
    mn_tensors_free(zeros);
    mn_graph_free(graph);
}

/* A tenth of the batch's mean and (biased) variance goes into the running ones, from 0 and 1. */
static void test_running_statistics(void **state)
{
    (void)state;
    mn_node_spec specs[] = {{.prim = MN_PRIM_BATCH_NORM, .name = "norm"}, TINY_LAST};
    mn_graph *graph = tiny_chain(specs, 2);
    mn_trainer_setup setup = tiny_setup(graph, &data);
    setup.index_count = 16;
    setup.opts.augmentation = (mn_augmentation){0};
    mn_tensors *tensors = trained(&setup, 1);
    const float *mean = tensors->items[mn_tensors_find(tensors, "norm.mean")].data;
    const float *variance = tensors->items[mn_tensors_find(tensors, "norm.variance")].data;
    for (uint32_t c = 0; c < tiny_c; c++) {
        double sum = 0.0;
        double squares = 0.0;
        double count = 16.0 * tiny_pixels / tiny_c;
        for (uint32_t i = c; i < 16 * tiny_pixels; i += tiny_c) {
            double x = ((double)data.pixels[i] - 107.0) / 55.0;
            sum += x;
            squares += x * x;
        }
        sum /= count;
        assert_true(fabs((double)mean[c] - 0.1 * sum) < 1e-5);
        assert_true(fabs((double)variance[c] - 0.9 - 0.1 * (squares / count - sum * sum)) < 1e-5);
    }
    mn_tensors_free(tensors);
    mn_graph_free(graph);
}

static void check_repeats(const mn_genotype *genotype, uint32_t images, uint32_t threads)
{
    mn_graph *graph = tiny_lower(genotype);
    mn_trainer_setup setup = tiny_setup(graph, &data);
    setup.opts.threads = threads;
    setup.opts.augmentation =
        (mn_augmentation){.crop_padding = 2, .flip = MN_FLIP_RANDOM, .cutout = 3, .mixup = 0.2f};
    setup.index_count = images;
    mn_tensors *first = trained(&setup, 2);
    mn_tensors *second = trained(&setup, 2);
    assert_tensors_equal(first, second);
    setup.opts.seed = 2;
    mn_tensors *other = trained(&setup, 1);
    assert_memory_not_equal(first->items[0].data, other->items[0].data, 4 * sizeof(float));
    mn_tensors_free(other);
    mn_tensors_free(second);
    mn_tensors_free(first);
    mn_graph_free(graph);
}

/* Few steps where threads wait for each other. */
static void test_repeats_itself(void **state)
{
    (void)state;
    mn_genotype full = tiny_genotype(MN_HEAD_GAP);
    mn_genotype small = tiny_small_genotype();
    check_repeats(&full, tiny_train, 1);
    check_repeats(&small, 32, 2);
}

/* Two trainers that live at once, on one and on two threads, in turns: each as if alone. */
static void test_trainers_side_by_side(void **state)
{
    (void)state;
    mn_genotype g = tiny_small_genotype();
    mn_graph *graph = tiny_lower(&g);
    mn_trainer_setup setups[2] = {tiny_setup(graph, &data), tiny_setup(graph, &data)};
    mn_tensors *alone[2];
    mn_trainer *both[2];
    for (uint32_t i = 0; i < 2; i++) {
        setups[i].opts.threads = 2 - i;
        setups[i].index_count = 32;
        alone[i] = trained(&setups[i], 2);
    }
    for (uint32_t i = 0; i < 2; i++)
        both[i] = tiny_trainer(&setups[i]);
    for (uint32_t epoch = 0; epoch < 2; epoch++)
        for (uint32_t i = 0; i < 2; i++)
            train(both[i], 1, NULL);
    for (uint32_t i = 0; i < 2; i++) {
        mn_tensors *tensors = tiny_tensors(both[i]);
        assert_tensors_equal(alone[i], tensors);
        mn_tensors_free(tensors);
        mn_tensors_free(alone[i]);
        mn_trainer_free(both[i]);
    }
    mn_graph_free(graph);
}

/* Evaluating and exporting between epochs changes nothing. */
static void test_looking_changes_nothing(void **state)
{
    (void)state;
    mn_genotype g = tiny_genotype(MN_HEAD_MAXPOOL2);
    mn_graph *graph = tiny_lower(&g);
    mn_trainer_setup setup = tiny_setup(graph, &data);
    mn_tensors *plain = trained(&setup, 2);
    mn_trainer *trainer = tiny_trainer(&setup);
    for (int i = 0; i < 2; i++) {
        train(trainer, 1, NULL);
        (void)evaluate_training_images(trainer);
        mn_tensors_free(tiny_tensors(trainer));
    }
    mn_tensors *looked_at = tiny_tensors(trainer);
    assert_tensors_equal(plain, looked_at);
    mn_tensors_free(looked_at);
    mn_trainer_free(trainer);
    mn_tensors_free(plain);
    mn_graph_free(graph);
}

/* An arena that other networks have filled gives what a fresh one gives. */
static void test_used_arena(void **state)
{
    (void)state;
    mn_genotype genotypes[] = {
        tiny_genotype(MN_HEAD_GAP), tiny_small_genotype(), tiny_genotype(MN_HEAD_MAXPOOL2)};
    mn_arena *arena = NULL;
    void *block = NULL;
    mn_error err;
    assert_ok(mn_arena_create(&arena, &err), &err);
    assert_ok(mn_arena_alloc(arena, 8 << 20, &block, &err), &err);
    memset(block, 0xff, 8 << 20); /* NaN wherever somebody reads what was not written */
    for (int i = 0; i < 5; i++) {
        mn_graph *graph = tiny_lower(&genotypes[i % 3]);
        mn_trainer_setup setup = tiny_setup(graph, &data);
        mn_tensors *fresh = trained(&setup, 1);
        setup.arena = arena;
        mn_trainer *trainer = tiny_trainer(&setup);
        train(trainer, 1, NULL);
        (void)evaluate_training_images(trainer);
        mn_tensors *reused = tiny_tensors(trainer);
        assert_tensors_equal(fresh, reused);
        assert_true(mn_trainer_memory_of(trainer).arena_bytes > 100000);
        assert_true(mn_trainer_memory_of(trainer).arena_bytes < 8 << 20);
        mn_trainer_free(trainer);
        mn_tensors_free(reused);
        mn_tensors_free(fresh);
        mn_graph_free(graph);
    }
    mn_arena_free(arena);
}

/* Fewer images than a batch are one short batch; the last few of an epoch are dropped. */
static void test_few_images(void **state)
{
    (void)state;
    mn_genotype g = tiny_small_genotype();
    mn_graph *graph = tiny_lower(&g);
    for (uint32_t count = 1; count <= 17; count += 4) {
        mn_trainer_setup setup = tiny_setup(graph, &data);
        setup.index_count = count;
        mn_trainer *trainer = tiny_trainer(&setup);
        double losses[4];
        train(trainer, 4, losses);
        for (int i = 0; i < 4; i++)
            assert_true(isfinite(losses[i]) && losses[i] > 0.0);
        assert_int_equal(evaluate_training_images(trainer).count, tiny_train);
        mn_trainer_free(trainer);
    }
    mn_graph_free(graph);
}

/* A loss or a weight that is not finite ends the epoch, even where a relu hides it from the loss.
 */
static void test_lost_training(void **state)
{
    (void)state;
    mn_genotype g = tiny_genotype(MN_HEAD_GAP);
    mn_graph *graph = tiny_lower(&g);
    mn_trainer_setup setup = tiny_setup(graph, &data);
    mn_epoch_result result = {.epoch = 77};
    mn_error err;
    setup.opts.learning_rate = 100.0f;
    setup.opts.momentum = 0.9999f;
    setup.opts.weight_decay = 1.0f;
    mn_trainer *trainer = tiny_trainer(&setup);
    mn_status status = MN_OK;
    for (int i = 0; i < 4 && status == MN_OK; i++)
        status = mn_trainer_epoch(trainer, &result, &err);
    assert_int_equal(status, MN_ERR_LIMIT);
    assert_non_null(strstr(err.message, "finite"));
    assert_int_equal(strncmp(err.message, "epoch ", 6), 0);
    mn_trainer_free(trainer);
    mn_graph_free(graph);
}

/* Training does not read the running statistics: the loss stays finite, the network is lost. */
static void test_hidden_numbers(void **state)
{
    (void)state;
    const mn_node_spec specs[] = {{.prim = MN_PRIM_BATCH_NORM, .name = "norm"}, TINY_LAST};
    mn_graph *graph = tiny_chain(specs, 2);
    mn_tensors *tensors = tiny_random_tensors(graph, 3);
    mn_trainer_setup setup = tiny_setup(graph, &data);
    mn_epoch_result result = {.epoch = 77};
    mn_error err;
    setup.initial = tensors;
    ((float *)tensors->items[mn_tensors_find(tensors, "norm.mean")].data)[1] = NAN;
    mn_trainer *trainer = tiny_trainer(&setup);
    assert_error(mn_trainer_epoch(trainer, &result, &err),
                 MN_ERR_LIMIT,
                 &err,
                 "epoch 1: norm.mean holds a number that is not finite");
    assert_int_equal(result.epoch, 77);
    assert_int_equal(mn_trainer_epochs_done(trainer), 0);
    mn_trainer_free(trainer);
    mn_tensors_free(tensors);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_first_loss),
        cmocka_unit_test(test_running_statistics),
        cmocka_unit_test(test_repeats_itself),
        cmocka_unit_test(test_trainers_side_by_side),
        cmocka_unit_test(test_looking_changes_nothing),
        cmocka_unit_test(test_used_arena),
        cmocka_unit_test(test_few_images),
        cmocka_unit_test(test_lost_training),
        cmocka_unit_test(test_hidden_numbers),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

/* Averages of the weights: against the formula in double, who sees them, and that training does not
 * notice them. */
#include "train_fixture.h"

#include <math.h>

#include "tensors_check.h"
#include "train/trainer.h"

enum { steps = 40 };

static tiny_data data;

static int set_up(void **state)
{
    (void)state;
    tiny_data_init(&data);
    return 0;
}

static double train_epoch(mn_trainer *trainer)
{
    mn_epoch_result result;
    mn_error err;
    assert_ok(mn_trainer_epoch(trainer, &result, &err), &err);
    return result.loss;
}

static mn_tensors *weights_of(mn_trainer *trainer)
{
    mn_tensors *tensors = NULL;
    mn_error err;
    assert_ok(mn__trainer_weights(trainer, &tensors, &err), &err);
    return tensors;
}

static mn_eval_result evaluate(mn_trainer *trainer, uint16_t *predictions)
{
    mn_eval_result result;
    mn_error err;
    assert_ok(mn_trainer_evaluate(
                  trainer, &data.dataset, &data.dataset.test, NULL, 0, &result, predictions, &err),
              &err);
    return result;
}

/* A step an epoch, so that every weight on the way can be looked at. */
static mn_trainer_setup stepwise_setup(const mn_graph *graph, float average)
{
    mn_trainer_setup setup = tiny_setup(graph, &data);
    setup.index_count = setup.opts.batch;
    setup.opts.epochs = steps;
    setup.opts.average = average;
    return setup;
}

/* Takes the weights after step `step` into `expected`, tensor by tensor, in double. */
static void follow(double **expected, const mn_tensors *weights, double decay, uint32_t step)
{
    double grown = step / (step + 9.0);
    double d = grown < decay ? grown : decay;
    for (uint32_t t = 0; t < weights->count; t++) {
        const float *w = weights->items[t].data;
        for (size_t i = 0; i < mn_tensor_elements(&weights->items[t]); i++)
            expected[t][i] = d * expected[t][i] + (1.0 - d) * (double)w[i];
    }
}

static void assert_near(double **expected, const mn_tensors *actual)
{
    for (uint32_t t = 0; t < actual->count; t++) {
        const float *a = actual->items[t].data;
        for (size_t i = 0; i < mn_tensor_elements(&actual->items[t]); i++)
            assert_true(fabs(expected[t][i] - (double)a[i]) < 1e-5);
    }
}

/* Running statistics are among the tensors: all of them are compared after every step. */
static void test_formula(void **state)
{
    (void)state;
    mn_genotype g = tiny_small_genotype();
    mn_graph *graph = tiny_lower(&g);
    mn_trainer_setup setup = stepwise_setup(graph, 0.75f); /* reached at step 27 */
    mn_trainer *trainer = tiny_trainer(&setup);
    mn_tensors *tensors = weights_of(trainer);
    double **expected = calloc(tensors->count, sizeof *expected);
    assert_non_null(expected);
    for (uint32_t t = 0; t < tensors->count; t++) {
        expected[t] = calloc(mn_tensor_elements(&tensors->items[t]), sizeof **expected);
        assert_non_null(expected[t]);
    }
    uint32_t tensor_count = tensors->count;
    mn_tensors_free(tensors);
    for (uint32_t step = 0; step < steps; step++) {
        (void)train_epoch(trainer);
        mn_tensors *weights = weights_of(trainer);
        mn_tensors *averages = tiny_tensors(trainer);
        follow(expected, weights, 0.75, step);
        assert_near(expected, averages);
        mn_tensors_free(averages);
        mn_tensors_free(weights);
    }
    for (uint32_t t = 0; t < tensor_count; t++)
        free(expected[t]);
    free(expected);
    mn_trainer_free(trainer);
    mn_graph_free(graph);
}

/* Losses and weights are those of a training without averages, looked at or not. */
static void test_training_does_not_notice(void **state)
{
    (void)state;
    mn_genotype g = tiny_genotype(MN_HEAD_GAP);
    mn_graph *graph = tiny_lower(&g);
    mn_trainer_setup setup = tiny_setup(graph, &data);
    mn_trainer *plain = tiny_trainer(&setup);
    setup.opts.average = 0.99f;
    mn_trainer *averaged = tiny_trainer(&setup);
    for (uint32_t epoch = 0; epoch < setup.opts.epochs; epoch++) {
        double expected = train_epoch(plain);
        assert_true(train_epoch(averaged) == expected);
        (void)evaluate(averaged, NULL);
        mn_tensors_free(tiny_tensors(averaged));
        mn_tensors *a = tiny_tensors(plain);
        mn_tensors *b = weights_of(averaged);
        assert_tensors_equal(a, b);
        mn_tensors_free(b);
        mn_tensors_free(a);
    }
    mn_trainer_free(averaged);
    mn_trainer_free(plain);
    mn_graph_free(graph);
}

/* Evaluation gives what a network with the averages as its weights gives. */
static void test_evaluation_sees_averages(void **state)
{
    (void)state;
    mn_genotype g = tiny_genotype(MN_HEAD_MAXPOOL2);
    mn_graph *graph = tiny_lower(&g);
    mn_trainer_setup setup = tiny_setup(graph, &data);
    uint16_t actual[tiny_test], expected[tiny_test];
    setup.opts.average = 0.9f;
    mn_trainer *trainer = tiny_trainer(&setup);
    (void)train_epoch(trainer);
    mn_tensors *weights = weights_of(trainer);
    mn_tensors *averages = tiny_tensors(trainer);
    mn_eval_result result = evaluate(trainer, actual);

    mn_trainer_setup other = {.graph = graph,
                              .preprocessing = data.preprocessing,
                              .initial = averages,
                              .opts = mn_train_opts_default()};
    other.opts.compute = setup.opts.compute;
    other.opts.batch = setup.opts.batch;
    mn_trainer *judge = tiny_trainer(&other);
    mn_eval_result wanted = evaluate(judge, expected);
    assert_true(result.loss == wanted.loss);
    assert_int_equal(result.correct, wanted.correct);
    assert_memory_equal(actual, expected, sizeof actual);
    mn_trainer_free(judge);
    other.initial = weights;
    judge = tiny_trainer(&other);
    assert_true(evaluate(judge, expected).loss != result.loss);
    mn_trainer_free(judge);
    mn_tensors_free(averages);
    mn_tensors_free(weights);
    mn_trainer_free(trainer);
    mn_graph_free(graph);
}

/* Before the first step they are the initial weights. */
static void test_start(void **state)
{
    (void)state;
    mn_genotype g = tiny_small_genotype();
    mn_graph *graph = tiny_lower(&g);
    mn_trainer_setup setup = stepwise_setup(graph, 0.999f);
    mn_trainer *trainer = tiny_trainer(&setup);
    mn_tensors *weights = weights_of(trainer);
    mn_tensors *averages = tiny_tensors(trainer);
    assert_tensors_equal(weights, averages);
    mn_tensors_free(averages);
    mn_tensors_free(weights);
    mn_trainer_free(trainer);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_training_does_not_notice),
        cmocka_unit_test(test_evaluation_sees_averages),
        cmocka_unit_test(test_start),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

/* The optimiser: one step against the formula, tensor by tensor, and which tensors a group's option
 * moves. */
#include "train_fixture.h"

#include <math.h>

#include "train/trainer.h"

static tiny_data data;

static int set_up(void **state)
{
    (void)state;
    tiny_data_init(&data);
    return 0;
}

/* A setup whose epoch is one step, and the learning rate of the first one. */
static mn_trainer_setup one_step_setup(const mn_graph *graph)
{
    mn_trainer_setup setup = tiny_setup(graph, &data);
    setup.opts.epochs = 1;
    setup.opts.schedule = MN_SCHEDULE_COSINE;
    setup.index_count = setup.opts.batch;
    return setup;
}

/* The only step of a cosine over one step stands at its middle, behind the warm-up. */
static double first_rate(const mn_train_opts *opts)
{
    double fall = (0.5 - 0.05) / 0.95;
    return (double)opts->learning_rate * 0.5 * (1.0 + cos(3.14159265358979 * fall));
}

static mn_trainer *stepped(const mn_trainer_setup *setup)
{
    mn_trainer *trainer = tiny_trainer(setup);
    mn_epoch_result result;
    mn_error err;
    assert_ok(mn_trainer_epoch(trainer, &result, &err), &err);
    return trainer;
}

static mn_tensors *part_of(mn_trainer *trainer, mn__parameter_part part)
{
    mn_tensors *tensors = NULL;
    mn_error err;
    assert_ok(mn_tensors_create_for_graph(trainer->setup.graph, &tensors, &err), &err);
    mn__parameters_export(trainer->net, part, tensors);
    return tensors;
}

/* weight - rate * (1 + momentum) * (gradient + decay * weight), the first step from no velocity. */
static void check_step(const mn_trainer_setup *setup)
{
    const mn_train_opts *opts = &setup->opts;
    mn_tensors *before = tiny_random_tensors(setup->graph, 5);
    mn_trainer_setup s = *setup;
    s.initial = before;
    mn_trainer *trainer = stepped(&s);
    mn_tensors *after = tiny_tensors(trainer);
    mn_tensors *gradient = part_of(trainer, MN__PART_GRADIENT);
    for (uint32_t t = 0; t < before->count; t++) {
        mn_tensor_role role = mn_graph_tensor(setup->graph, t)->role;
        if (role == MN_ROLE_MEAN || role == MN_ROLE_VARIANCE)
            continue;
        double rate = first_rate(opts) * (role == MN_ROLE_BETA ? (double)opts->beta_rate : 1.0);
        double decay = role == MN_ROLE_WEIGHT ? (double)opts->weight_decay : 0.0;
        const float *w = before->items[t].data;
        const float *g = gradient->items[t].data;
        const float *now = after->items[t].data;
        for (size_t i = 0; i < mn_graph_tensor_elements(setup->graph, t); i++) {
            double slope = (double)g[i] + decay * (double)w[i];
            double expected = (double)w[i] - rate * (1.0 + (double)opts->momentum) * slope;
            assert_true(fabs(expected - (double)now[i]) < 1e-6 + 1e-6 * fabs(expected));
        }
    }
    mn_tensors_free(gradient);
    mn_tensors_free(after);
    mn_tensors_free(before);
    mn_trainer_free(trainer);
}

static void test_step(void **state)
{
    (void)state;
    static const float beta_rates[] = {1.0f, 64.0f, 0.0f};
    mn_genotype g = tiny_small_genotype();
    mn_graph *graph = tiny_lower(&g);
    for (int i = 0; i < 3; i++) {
        mn_trainer_setup setup = one_step_setup(graph);
        setup.opts.weight_decay = 0.1f;
        setup.opts.beta_rate = beta_rates[i];
        check_step(&setup);
    }
    mn_graph_free(graph);
}

/* The rate of the shifts is theirs alone: after one step all else is what it is without it. */
static void test_beta_rate_moves_shifts_only(void **state)
{
    (void)state;
    mn_genotype g = tiny_genotype(MN_HEAD_GAP);
    mn_graph *graph = tiny_lower(&g);
    mn_trainer_setup setup = one_step_setup(graph);
    mn_trainer *plain = stepped(&setup);
    setup.opts.beta_rate = 64.0f;
    mn_trainer *other = stepped(&setup);
    mn_tensors *a = tiny_tensors(plain);
    mn_tensors *b = tiny_tensors(other);
    uint32_t shifts = 0;
    for (uint32_t t = 0; t < a->count; t++) {
        size_t bytes = mn_graph_tensor_elements(graph, t) * sizeof(float);
        if (mn_graph_tensor(graph, t)->role != MN_ROLE_BETA) {
            assert_memory_equal(a->items[t].data, b->items[t].data, bytes);
            continue;
        }
        assert_memory_not_equal(a->items[t].data, b->items[t].data, bytes);
        shifts++;
    }
    assert_true(shifts > 5);
    mn_tensors_free(b);
    mn_tensors_free(a);
    mn_trainer_free(other);
    mn_trainer_free(plain);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step),
        cmocka_unit_test(test_beta_rate_moves_shifts_only),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

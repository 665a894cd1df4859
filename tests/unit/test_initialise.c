/* Initial numbers: convolutions that pass the image on, and everything else left at random. */
#include "train_fixture.h"

#include "tensors_check.h"

static tiny_data data;

static int set_up(void **state)
{
    (void)state;
    tiny_data_init(&data);
    return 0;
}

static mn_tensors *initial(const mn_graph *graph, const mn_tensors *given, bool dirac)
{
    mn_trainer_setup setup = tiny_setup(graph, &data);
    setup.initial = given;
    setup.opts.dirac = dirac;
    mn_trainer *trainer = tiny_trainer(&setup);
    mn_tensors *tensors = tiny_tensors(trainer);
    mn_trainer_free(trainer);
    return tensors;
}

/* What the definition gives at (o,i,y,x). */
static float dirac_at(const mn_tensor_info *info, uint32_t o, uint32_t i, uint32_t y, uint32_t x)
{
    return o == i && y == info->dims[2] / 2 && x == info->dims[3] / 2 ? 1.0f : 0.0f;
}

/* Compares one dense convolution's weight; yields how many filters are the identity's. */
static uint32_t check_weight(const mn_tensor_info *info, const float *actual, const float *random)
{
    uint32_t passed = info->dims[0] < info->dims[1] ? info->dims[0] : info->dims[1];
    size_t at = 0;
    for (uint32_t o = 0; o < info->dims[0]; o++)
        for (uint32_t i = 0; i < info->dims[1]; i++)
            for (uint32_t y = 0; y < info->dims[2]; y++)
                for (uint32_t x = 0; x < info->dims[3]; x++, at++)
                    assert_true(actual[at] ==
                                (o < passed ? dirac_at(info, o, i, y, x) : random[at]));
    return passed;
}

static void test_dirac(void **state)
{
    (void)state;
    mn_genotype g = tiny_genotype(MN_HEAD_GAP);
    mn_graph *graph = tiny_lower(&g);
    mn_tensors *random = initial(graph, NULL, false);
    mn_tensors *dirac = initial(graph, NULL, true);
    uint32_t identities = 0;
    uint32_t random_filters = 0;
    for (uint32_t t = 0; t < random->count; t++) {
        const mn_tensor_info *info = mn_graph_tensor(graph, t);
        const mn_node *node = mn_graph_node(graph, info->node);
        if (node->prim == MN_PRIM_CONV && node->groups == 1 && info->role == MN_ROLE_WEIGHT) {
            uint32_t passed = check_weight(info, dirac->items[t].data, random->items[t].data);
            identities += passed;
            random_filters += info->dims[0] - passed;
        } else {
            assert_memory_equal(dirac->items[t].data,
                                random->items[t].data,
                                mn_graph_tensor_elements(graph, t) * sizeof(float));
        }
    }
    assert_true(identities > 20 && random_filters > 2);
    mn_tensors_free(dirac);
    mn_tensors_free(random);
    mn_graph_free(graph);
}

/* The filters do what they are for: the image comes out as it went in, border included. */
static void test_dirac_passes_the_image_on(void **state)
{
    (void)state;
    const mn_shape shape = {tiny_h, tiny_w, tiny_c};
    mn_node_spec specs[] = {{.prim = MN_PRIM_CONV,
                             .name = "a",
                             .channels = 5,
                             .window = mn_window_same(shape, 3, 3, 1, 1)},
                            {.prim = MN_PRIM_CONV,
                             .name = "b",
                             .channels = tiny_c,
                             .window = mn_window_same(shape, 1, 7, 1, 1)},
                            TINY_LAST};
    mn_graph *through = tiny_chain(specs, 3);
    mn_graph *direct = tiny_chain(specs + 2, 1);
    const mn_graph *graphs[] = {through, direct};
    mn_eval_result results[2];
    for (int i = 0; i < 2; i++) {
        mn_trainer_setup setup = tiny_setup(graphs[i], &data);
        mn_error err;
        setup.opts.dirac = true;
        mn_trainer *trainer = tiny_trainer(&setup);
        assert_ok(mn_trainer_evaluate(
                      trainer, &data.dataset, &data.dataset.test, NULL, 0, &results[i], NULL, &err),
                  &err);
        mn_trainer_free(trainer);
    }
    assert_int_equal(results[0].correct, results[1].correct);
    assert_true(results[0].loss > results[1].loss - 1e-6 &&
                results[0].loss < results[1].loss + 1e-6);
    mn_graph_free(direct);
    mn_graph_free(through);
}

static void test_given_numbers_stay(void **state)
{
    (void)state;
    mn_genotype g = tiny_small_genotype();
    mn_graph *graph = tiny_lower(&g);
    mn_tensors *given = tiny_random_tensors(graph, 8);
    mn_tensors *tensors = initial(graph, given, true);
    assert_tensors_equal(given, tensors);
    mn_tensors_free(tensors);
    mn_tensors_free(given);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dirac),
        cmocka_unit_test(test_dirac_passes_the_image_on),
        cmocka_unit_test(test_given_numbers_stay),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

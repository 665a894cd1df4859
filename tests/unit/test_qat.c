/*
 * Quantisation-aware fine-tuning: behind which nodes a deployed graph is rounded, that both graphs
 * have the same tensors, what is refused, and that a network gets better at its grids.
 */
#include "train_fixture.h"

#include <math.h>

#include "alloc_failure.h"
#include "memnet/deploy.h"
#include "memnet/qat.h"
#include "train_graphs.h"

static tiny_data data;

static int set_up(void **state)
{
    tiny_data_init(&data);
    return alloc_failure_setup(state);
}

static const mn_quant_value grid = {.scale = 0.03125f, .zero_point = -3};
static const mn_quant_value other_grid = {.scale = 0.0625f, .zero_point = -3};

/* The same grid for every node; the caller frees. */
static mn_quant_value *one_grid(const mn_graph *graph)
{
    mn_quant_value *values = calloc(mn_graph_node_count(graph), sizeof *values);
    assert_non_null(values);
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++)
        values[n] = grid;
    return values;
}

static mn_graph *prepare(const mn_graph *deployed, const mn_quant_value *values)
{
    mn_error err;
    mn_graph *prepared = NULL;
    assert_ok(mn_qat_prepare(deployed, values, &prepared, &err), &err);
    return prepared;
}

/* ---- where values are rounded ----------------------------------------------------------------
 */

/* Nodes "n0", "n1", ... of every kind that a deployed graph may have. */
static mn_graph *every_kind(void)
{
    sketch s;
    mn_error err;
    mn_graph *graph = NULL;
    const mn_window one = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
    const mn_window two = {2, 2, 1, 1, 1, 1, 0, 0, 0, 0};
    const mn_node_spec conv = {
        .prim = MN_PRIM_CONV, .channels = 4, .window = one, .bias = true, .act = MN_ACT_RELU6};
    const mn_node_spec max = {.prim = MN_PRIM_MAX_POOL, .window = two, .act = MN_ACT_RELU};
    const mn_node_spec max6 = {.prim = MN_PRIM_MAX_POOL, .window = one, .act = MN_ACT_RELU6};
    const mn_node_spec average = {.prim = MN_PRIM_AVG_POOL, .window = two};
    const mn_node_spec shape = {.prim = MN_PRIM_RESHAPE, .shape = {1, 1, 8}};
    const mn_node_spec logits = {.prim = MN_PRIM_FULLY_CONNECTED, .channels = 3};
    uint32_t x = sketch_start(&s, 1, (mn_shape){4, 4, 2});
    x = sketch_node(&s, conv, &x, 1);              /* n1 */
    uint32_t a = sketch_node(&s, max, &x, 1);      /* n2 */
    uint32_t b = sketch_node(&s, average, &x, 1);  /* n3 */
    x = sketch_pair(&s, MN_PRIM_ADD, a, b);        /* n4 */
    x = sketch_simple(&s, MN_PRIM_RELU, x);        /* n5 */
    x = sketch_pair(&s, MN_PRIM_CONCAT, x, b);     /* n6 */
    x = sketch_node(&s, max6, &x, 1);              /* n7 */
    x = sketch_simple(&s, MN_PRIM_RELU6, x);       /* n8 */
    x = sketch_simple(&s, MN_PRIM_GLOBAL_POOL, x); /* n9 */
    x = sketch_node(&s, shape, &x, 1);             /* n10 */
    uint32_t both[2] = {x, sketch_node(&s, logits, &x, 1) /* n11 */};
    assert_ok(mn_graph_builder_finish(s.builder, both, 2, &graph, &err), &err);
    mn_graph_builder_free(s.builder);
    return graph;
}

/* Bit n: node n of the deployed graph is rounded. Checks that its readers, and the outside, read
 * what is rounded, on the grid of its value. */
static uint32_t rounded_nodes(const mn_graph *deployed, const mn_quant_value *values)
{
    mn_graph *prepared = prepare(deployed, values);
    uint32_t map[32];
    uint32_t at = 0;
    uint32_t rounded = 0;
    for (uint32_t n = 0; n < mn_graph_node_count(deployed); n++) {
        char name[32];
        const mn_node *from = mn_graph_node(deployed, n);
        const mn_node *to = mn_graph_node(prepared, at);
        assert_string_equal(to->name, from->name);
        assert_true(to->prim == from->prim && to->act == from->act);
        for (uint32_t i = 0; i < from->input_count; i++)
            assert_int_equal(to->inputs[i], map[from->inputs[i]]);
        map[n] = at++;
        snprintf(name, sizeof name, "%s/grid", from->name);
        if (at == mn_graph_node_count(prepared) ||
            strcmp(mn_graph_node(prepared, at)->name, name) != 0)
            continue;
        const mn_node *round = mn_graph_node(prepared, at);
        assert_int_equal(round->prim, MN_PRIM_FAKE_QUANT);
        assert_int_equal(round->inputs[0], map[n]);
        assert_true(round->grid.scale == values[n].scale && round->grid.low == -128 &&
                    round->grid.zero_point == values[n].zero_point && round->grid.high == 127);
        map[n] = at++;
        rounded |= UINT32_C(1) << n;
    }
    assert_int_equal(at, mn_graph_node_count(prepared));
    for (uint32_t i = 0; i < mn_graph_output_count(deployed); i++)
        assert_int_equal(mn_graph_output(prepared, i), map[mn_graph_output(deployed, i)]);
    mn_graph_free(prepared);
    return rounded;
}

static void test_where(void **state)
{
    (void)state;
    /* input, conv, average pool, add, max pool and relu at six, global pool, fully connected */
    const uint32_t always =
        1u << 0 | 1u << 1 | 1u << 3 | 1u << 4 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 11;
    mn_graph *graph = every_kind();
    mn_quant_value *values = one_grid(graph);
    assert_int_equal(rounded_nodes(graph, values), always);
    static const uint32_t pickers[] = {2, 5, 6, 10};
    for (size_t i = 0; i < sizeof pickers / sizeof pickers[0]; i++) { /* to a grid of its own */
        values[pickers[i]] = other_grid;
        assert_true(rounded_nodes(graph, values) & 1u << pickers[i]);
        values[pickers[i]] = grid;
    }
    values[3].zero_point++; /* of the concat's second part */
    assert_int_equal(rounded_nodes(graph, values), always | 1u << 6);
    free(values);
    mn_graph_free(graph);
}

/* Numbers of one graph are numbers of the other. */
static void test_tensors(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 40; i++) {
        mn_error err;
        mn_graph *deployed = NULL;
        mn_graph *graph = sketch_random(i);
        assert_ok(mn_deploy(graph, NULL, &deployed, NULL, &err), &err);
        mn_quant_value *values = one_grid(deployed);
        mn_graph *prepared = prepare(deployed, values);
        assert_int_equal(mn_graph_tensor_count(prepared), mn_graph_tensor_count(deployed));
        for (uint32_t t = 0; t < mn_graph_tensor_count(deployed); t++) {
            const mn_tensor_info *a = mn_graph_tensor(deployed, t);
            const mn_tensor_info *b = mn_graph_tensor(prepared, t);
            assert_string_equal(a->name, b->name);
            assert_int_equal(a->rank, b->rank);
            assert_memory_equal(a->dims, b->dims, sizeof a->dims);
        }
        free(values);
        mn_graph_free(prepared);
        mn_graph_free(deployed);
        mn_graph_free(graph);
    }
}

/* ---- refusals --------------------------------------------------------------------------------
 */

static void test_refusals(void **state)
{
    (void)state;
    static const mn_quant_value bad[] = {{.scale = 0.0f},
                                         {.scale = -1.0f},
                                         {.scale = INFINITY},
                                         {.scale = NAN},
                                         {.scale = 1.0f, .zero_point = 128},
                                         {.scale = 1.0f, .zero_point = -129}};
    mn_error err;
    mn_graph *none = NULL;
    mn_graph *graph = every_kind();
    mn_quant_value *values = one_grid(graph);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        values[6] = bad[i];
        assert_error(mn_qat_prepare(graph, values, &none, &err), MN_ERR_ARG, &err, "n6: scale ");
    }
    free(values);
    mn_graph_free(graph);
    graph = sketch_hard(2); /* with batch norms */
    values = one_grid(graph);
    assert_error(mn_qat_prepare(graph, values, &none, &err),
                 MN_ERR_UNSUPPORTED,
                 &err,
                 "a deployed graph has no batch_norm node");
    assert_null(none);
    free(values);
    mn_graph_free(graph);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    mn_graph *graph = every_kind();
    mn_quant_value *values = one_grid(graph);
    size_t n = 0;
    for (bool failed = true; failed;) {
        mn_graph *prepared = NULL;
        mn_error err;
        alloc_fail_at(++n);
        mn_status status = mn_qat_prepare(graph, values, &prepared, &err);
        failed = alloc_has_failed();
        assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
        assert_true((prepared == NULL) == failed);
        mn_graph_free(prepared);
    }
    assert_true(n > 30);
    free(values);
    mn_graph_free(graph);
}

/* ---- training --------------------------------------------------------------------------------
 */

/* A small network, deployed, as a few steps of training leave it. */
static mn_graph *half_trained(mn_tensors **ret_tensors)
{
    mn_error err;
    mn_genotype g = tiny_small_genotype();
    mn_graph *graph = tiny_lower(&g);
    mn_graph *deployed = NULL;
    mn_trainer_setup setup = tiny_setup(graph, &data);
    mn_epoch_result result;
    setup.opts.epochs = 1;
    mn_trainer *trainer = tiny_trainer(&setup);
    assert_ok(mn_trainer_epoch(trainer, &result, &err), &err);
    mn_tensors *tensors = tiny_tensors(trainer);
    assert_ok(mn_deploy(graph, tensors, &deployed, ret_tensors, &err), &err);
    mn_tensors_free(tensors);
    mn_trainer_free(trainer);
    mn_graph_free(graph);
    return deployed;
}

static mn_trainer_setup qat_setup(const mn_graph *deployed, const mn_tensors *initial)
{
    mn_trainer_setup setup = tiny_setup(deployed, &data);
    setup.opts = mn_qat_opts_default();
    setup.opts.epochs = 6;
    setup.opts.learning_rate = 0.01f;
    setup.opts.batch = 16;
    setup.opts.augmentation = (mn_augmentation){0};
    setup.initial = initial;
    return setup;
}

/* Loss on the test images of a network on its grids. */
static double
loss_on_grids(const mn_graph *deployed, const mn_quant_value *values, const mn_tensors *tensors)
{
    mn_error err;
    mn_eval_result result;
    mn_graph *prepared = prepare(deployed, values);
    mn_trainer_setup setup = qat_setup(prepared, tensors);
    mn_trainer *trainer = tiny_trainer(&setup);
    assert_ok(mn_trainer_evaluate(
                  trainer, &data.dataset, &data.dataset.test, NULL, 0, &result, NULL, &err),
              &err);
    assert_int_equal(result.count, tiny_test);
    mn_trainer_free(trainer);
    mn_graph_free(prepared);
    return result.loss;
}

typedef struct losses {
    uint32_t count;
    double first, last;
} losses;

static void note_loss(void *context, const mn_epoch_result *result)
{
    losses *l = context;
    l->count++;
    assert_int_equal(result->epoch, l->count);
    l->first = l->count == 1 ? result->loss : l->first;
    l->last = result->loss;
}

static void test_learns(void **state)
{
    (void)state;
    mn_error err;
    mn_tensors *before = NULL;
    mn_tensors *after = NULL;
    mn_tensors *again = NULL;
    mn_graph *deployed = half_trained(&before);
    mn_quant_value *values = one_grid(deployed);
    mn_trainer_setup setup = qat_setup(deployed, before);
    losses l = {0};
    assert_ok(mn_qat_train(&setup, values, note_loss, &l, &after, &err), &err);
    assert_int_equal(l.count, setup.opts.epochs);
    assert_true(l.last < 0.9 * l.first);
    assert_true(loss_on_grids(deployed, values, after) <
                0.8 * loss_on_grids(deployed, values, before));
    setup.opts.int8_weights = false; /* taken as set */
    assert_ok(mn_qat_train(&setup, values, NULL, NULL, &again, &err), &err);
    for (uint32_t t = 0; t < after->count; t++)
        assert_memory_equal(after->items[t].data,
                            again->items[t].data,
                            mn_tensor_elements(&after->items[t]) * sizeof(float));
    mn_tensors_free(before);
    mn_tensors_free(after);
    mn_tensors_free(again);
    free(values);
    mn_graph_free(deployed);
}

/* bf16 has fewer bits than the grids: not by choice, and not by itself. */
static void test_float_only(void **state)
{
    (void)state;
    mn_error err;
    mn_tensors *initial = NULL;
    mn_graph *deployed = half_trained(&initial);
    mn_quant_value *values = one_grid(deployed);
    mn_graph *prepared = prepare(deployed, values);
    const mn_graph *graphs[] = {prepared, prepared, deployed};
    for (int i = 0; i < 3; i++) {
        mn_trainer *trainer = NULL;
        mn_trainer_setup setup = qat_setup(graphs[i], initial);
        setup.opts.int8_weights = i > 0;
        setup.opts.compute = MN_COMPUTE_BF16;
        assert_error(mn_trainer_create(&setup, &trainer, &err),
                     MN_ERR_UNSUPPORTED,
                     &err,
                     "compute: bf16 cannot hold the grids of a quantised network");
        setup.opts.compute = MN_COMPUTE_AUTO;
        trainer = tiny_trainer(&setup);
        assert_string_not_equal(mn_trainer_kernels(trainer), "bf16");
        mn_trainer_free(trainer);
    }
    mn_tensors_free(initial);
    mn_graph_free(prepared);
    free(values);
    mn_graph_free(deployed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_float_only),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

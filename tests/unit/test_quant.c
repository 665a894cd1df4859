/* Tables of quantised networks and the judge of their numbers. */
#include "test.h"

#include "alloc_failure.h"

#include <math.h>

#include "memnet/quant.h"

enum { X, CONV, DEPTHWISE, RELU, JOINED, POOL, SUM, FLAT, MEAN, DENSE, NODES };

static uint32_t add(mn_graph_builder *b,
                    mn_node_spec spec,
                    const char *name,
                    uint32_t count,
                    const uint32_t *inputs)
{
    spec.name = name;
    spec.inputs = inputs;
    spec.input_count = count;
    spec.layer = MN_NONE;
    return mn_graph_add(b, &spec);
}

/* One of everything. The input of the graph is a part of the concat. */
static mn_graph *sample(void)
{
    mn_graph_builder *b = NULL;
    mn_graph *graph = NULL;
    mn_error err;
    mn_shape shape = {4, 4, 2};
    mn_window same = mn_window_same(shape, 3, 3, 1, 1);
    assert_ok(mn_graph_builder_create(&b, &err), &err);
    add(b, (mn_node_spec){.prim = MN_PRIM_INPUT, .shape = shape}, "x", 0, NULL);
    add(b,
        (mn_node_spec){.prim = MN_PRIM_CONV, .channels = 4, .window = same, .act = MN_ACT_RELU},
        "conv",
        1,
        (uint32_t[]){X});
    add(b,
        (mn_node_spec){.prim = MN_PRIM_CONV, .channels = 4, .groups = 4, .window = same},
        "depthwise",
        1,
        (uint32_t[]){CONV});
    add(b, (mn_node_spec){.prim = MN_PRIM_RELU}, "relu", 1, (uint32_t[]){DEPTHWISE});
    add(b, (mn_node_spec){.prim = MN_PRIM_CONCAT}, "joined", 2, (uint32_t[]){X, RELU});
    add(b,
        (mn_node_spec){.prim = MN_PRIM_AVG_POOL, .window = same},
        "pool",
        1,
        (uint32_t[]){JOINED});
    add(b, (mn_node_spec){.prim = MN_PRIM_ADD}, "sum", 2, (uint32_t[]){POOL, JOINED});
    add(b,
        (mn_node_spec){.prim = MN_PRIM_RESHAPE, .shape = {2, 2, 24}},
        "flat",
        1,
        (uint32_t[]){SUM});
    add(b, (mn_node_spec){.prim = MN_PRIM_GLOBAL_POOL}, "mean", 1, (uint32_t[]){FLAT});
    add(b,
        (mn_node_spec){.prim = MN_PRIM_FULLY_CONNECTED, .channels = 3, .bias = true},
        "dense",
        1,
        (uint32_t[]){MEAN});
    assert_ok(mn_graph_builder_finish(b, (uint32_t[]){DENSE}, 1, &graph, &err), &err);
    mn_graph_builder_free(b);
    return graph;
}

/* Sound numbers for the sample. */
static mn_quant *sound(const mn_graph *graph)
{
    mn_quant *quant = NULL;
    mn_error err;
    assert_ok(mn_quant_create(graph, &quant, &err), &err);
    for (uint32_t n = 0; n < quant->node_count; n++) {
        mn_quant_node *q = &quant->nodes[n];
        uint32_t outputs = mn_quant_sizes_of(graph, n).outputs;
        quant->values[n] = (mn_quant_value){.scale = 0.5f, .zero_point = -3};
        q->low = -128;
        q->high = 127;
        q->add_a = 1 << 21;
        q->add_b = 1 << 22;
        q->add_shift = 31;
        q->factor = 1 << 30;
        q->factor_shift = 62;
        for (uint32_t o = 0; o < outputs; o++) {
            q->multiplier[o] = INT32_MAX;
            q->shift[o] = 1;
            q->weight_scale[o] = 1.0f;
            q->weights[o] = -127;
        }
    }
    quant->values[X].scale = 0.25f;
    return quant;
}

static void test_tables(void **state)
{
    (void)state;
    mn_graph *graph = sample();
    mn_quant *quant = NULL;
    mn_error err;
    assert_ok(mn_quant_create(graph, &quant, &err), &err);
    assert_int_equal(quant->node_count, NODES);
    mn_quant_sizes sizes = mn_quant_sizes_of(graph, CONV);
    assert_int_equal(sizes.outputs, 4);
    assert_int_equal(sizes.filter, 18);
    assert_false(sizes.is_depthwise);
    sizes = mn_quant_sizes_of(graph, DEPTHWISE);
    assert_int_equal(sizes.outputs, 4);
    assert_int_equal(sizes.filter, 9);
    assert_true(sizes.is_depthwise);
    assert_int_equal(mn_quant_sizes_of(graph, DENSE).filter, 24);
    assert_int_equal(mn_quant_sizes_of(graph, MEAN).outputs, 0);
    for (uint32_t n = 0; n < NODES; n++)
        assert_true((quant->nodes[n].weights != NULL) ==
                    (n == CONV || n == DEPTHWISE || n == DENSE));
    quant->nodes[CONV].weights[4 * 18 - 1] = 1; /* the sanitizer sees what is too short */
    quant->nodes[CONV].bias[3] = 1;
    quant->nodes[CONV].multiplier[3] = 1;
    quant->nodes[CONV].shift[3] = 1;
    quant->nodes[CONV].weight_scale[3] = 1;
    mn_quant_free(quant);
    mn_quant_free(NULL);
    mn_graph_free(graph);
}

static void test_memory(void **state)
{
    (void)state;
    mn_graph *graph = sample();
    size_t n = 0;
    for (bool failed = true; failed;) {
        mn_quant *quant = NULL;
        mn_error err;
        alloc_fail_at(++n);
        mn_status status = mn_quant_create(graph, &quant, &err);
        failed = alloc_has_failed();
        assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
        assert_true((quant == NULL) == failed);
        mn_quant_free(quant);
    }
    assert_int_equal(n, 3 + 3 * 5 + 1);
    mn_quant *quant = sound(graph);
    mn_error err;
    alloc_fail_at(1);
    assert_int_equal(mn_quant_check(graph, quant, &err), MN_ERR_NOMEM);
    assert_true(alloc_has_failed());
    mn_quant_free(quant);
    mn_graph_free(graph);
}

static void test_classes(void **state)
{
    (void)state;
    mn_graph *graph = sample();
    uint32_t classes[NODES];
    const uint32_t expected[NODES] = {
        X, CONV, DEPTHWISE, DEPTHWISE, DEPTHWISE, DEPTHWISE, SUM, SUM, MEAN, DENSE};
    mn_quant_classes(graph, classes);
    assert_memory_equal(classes, expected, sizeof expected);
    mn_graph_free(graph);
}

/* Classes that meet late, from both sides, and a concat of concats. */
static void test_classes_that_meet(void **state)
{
    (void)state;
    mn_graph_builder *b = NULL;
    mn_graph *graph = NULL;
    mn_error err;
    mn_node_spec one = {.prim = MN_PRIM_CONV,
                        .channels = 2,
                        .window = mn_window_same((mn_shape){2, 2, 2}, 1, 1, 1, 1)};
    mn_node_spec join = {.prim = MN_PRIM_CONCAT};
    uint32_t classes[7];
    const uint32_t expected[7] = {0, 1, 2, 1, 1, 1, 1};
    assert_ok(mn_graph_builder_create(&b, &err), &err);
    add(b, (mn_node_spec){.prim = MN_PRIM_INPUT, .shape = {2, 2, 2}}, "x", 0, NULL);
    add(b, one, "a", 1, (uint32_t[]){0});
    add(b, one, "b", 1, (uint32_t[]){0});
    add(b, one, "c", 1, (uint32_t[]){0});
    add(b, join, "ca", 2, (uint32_t[]){3, 1});
    add(b,
        (mn_node_spec){.prim = MN_PRIM_MAX_POOL, .window = one.window},
        "pool",
        1,
        (uint32_t[]){3});
    add(b, join, "all", 3, (uint32_t[]){5, 0, 4});
    assert_ok(mn_graph_builder_finish(b, (uint32_t[]){6, 2}, 2, &graph, &err), &err);
    mn_graph_builder_free(b);
    mn_quant_classes(graph, classes);
    assert_memory_equal(classes, expected, sizeof expected);
    mn_graph_free(graph);
}

/* Numbers at the ends of what is allowed. */
static void test_sound(void **state)
{
    (void)state;
    mn_graph *graph = sample();
    mn_quant *quant = sound(graph);
    mn_quant_node *q = quant->nodes;
    mn_error err;
    assert_ok(mn_quant_check(graph, quant, &err), &err);
    q[CONV].multiplier[0] = 0;
    q[SUM].add_a = 0;
    q[SUM].add_b = 0;
    q[RELU].low = 127;
    q[CONV].bias[0] = (1 << 30) - 1;
    q[CONV].bias[2] = -((1 << 30) - 1);
    assert_ok(mn_quant_check(graph, quant, &err), &err);
    mn_quant_free(quant);
    mn_graph_free(graph);
}

/* Breaks one number, expects the message, and mends it. */
#define assert_bad(place, number, status, text)                                                    \
    do {                                                                                           \
        __typeof__(place) kept_ = (place);                                                         \
        (place) = (number);                                                                        \
        assert_error(mn_quant_check(graph, quant, &err), (status), &err, (text));                  \
        (place) = kept_;                                                                           \
        assert_ok(mn_quant_check(graph, quant, &err), &err);                                       \
    } while (0)

static void test_bad_numbers(void **state)
{
    (void)state;
    mn_graph *graph = sample();
    mn_quant *quant = sound(graph);
    mn_quant_node *q = quant->nodes;
    mn_error err;
    assert_ok(mn_quant_check(graph, quant, &err), &err);
    assert_bad(quant->node_count, NODES - 1, MN_ERR_MISMATCH, "9 nodes, expected 10");
    assert_bad(quant->values[X].scale, 0.0f, MN_ERR_FORMAT, "'x': scale 0");
    assert_bad(quant->values[SUM].scale, NAN, MN_ERR_FORMAT, "'sum': scale nan");
    assert_bad(quant->values[SUM].scale, INFINITY, MN_ERR_FORMAT, "'sum': scale inf");
    assert_bad(quant->values[X].zero_point, -129, MN_ERR_FORMAT, "'x': zero point -129");
    assert_bad(quant->values[X].zero_point, 128, MN_ERR_FORMAT, "'x': zero point 128");
    assert_bad(q[CONV].weights[7], -128, MN_ERR_FORMAT, "'conv': weight -128");
    assert_bad(q[DEPTHWISE].weights[35], -128, MN_ERR_FORMAT, "'depthwise': weight -128");
    assert_bad(q[DENSE].multiplier[2], (1 << 30) - 1, MN_ERR_FORMAT, "'dense': multiplier");
    assert_bad(q[DENSE].multiplier[2], -1, MN_ERR_FORMAT, "'dense': multiplier -1");
    assert_bad(q[DENSE].shift[2], 0, MN_ERR_FORMAT, "'dense': shift 0");
    assert_bad(q[DENSE].shift[2], 63, MN_ERR_FORMAT, "'dense': shift 63");
    assert_bad(q[DENSE].weight_scale[1], 0.0f, MN_ERR_FORMAT, "'dense': output 1: weight scale");
    assert_bad(q[DENSE].weight_scale[1], NAN, MN_ERR_FORMAT, "'dense': output 1: weight scale");
    assert_bad(q[DENSE].bias[1], 1 << 30, MN_ERR_FORMAT, "'dense': bias");
    assert_bad(q[DENSE].bias[1], INT32_MIN, MN_ERR_FORMAT, "'dense': bias");
    mn_quant_free(quant);
    mn_graph_free(graph);
}

static void test_bad_nodes(void **state)
{
    (void)state;
    mn_graph *graph = sample();
    mn_quant *quant = sound(graph);
    mn_quant_node *q = quant->nodes;
    mn_error err;
    assert_bad(q[MEAN].factor, 5, MN_ERR_FORMAT, "'mean': multiplier 5");
    assert_bad(q[MEAN].factor_shift, 0, MN_ERR_FORMAT, "'mean': shift 0");
    assert_bad(q[SUM].add_a, -1, MN_ERR_FORMAT, "'sum': factor");
    assert_bad(q[SUM].add_b, (1 << 22) + 1, MN_ERR_FORMAT, "'sum': factor b");
    q[SUM].add_a = 0;
    assert_bad(q[SUM].add_b, (1 << 21) - 1, MN_ERR_FORMAT, "'sum': factor b");
    assert_bad(q[SUM].add_shift, 0, MN_ERR_FORMAT, "'sum': shift 0");
    assert_bad(q[SUM].add_shift, 32, MN_ERR_FORMAT, "'sum': shift 32");
    assert_bad(q[CONV].low, -129, MN_ERR_FORMAT, "'conv': lower end -129");
    assert_bad(q[CONV].high, 128, MN_ERR_FORMAT, "'conv': upper end 128");
    assert_bad(q[CONV].high, -129, MN_ERR_FORMAT, "'conv': upper end -129");
    assert_bad(q[CONV].low, 128, MN_ERR_FORMAT, "'conv': lower end 128");
    assert_bad(q[JOINED].low, -127, MN_ERR_FORMAT, "'joined': lower end -127, expected -128");
    assert_bad(q[FLAT].high, 126, MN_ERR_FORMAT, "'flat': upper end 126, expected 127");
    assert_bad(quant->values[RELU].scale, 0.25f, MN_ERR_MISMATCH, "as of 'depthwise'");
    assert_bad(quant->values[POOL].zero_point, 5, MN_ERR_MISMATCH, "'pool': grid 0.5, 5");
    assert_bad(quant->values[FLAT].zero_point, 5, MN_ERR_MISMATCH, "'flat'");
    assert_bad(quant->values[X].scale, 0x1p100f, MN_ERR_LIMIT, "'joined': part 0");
    assert_bad(q[CONV].shift, NULL, MN_ERR_MISMATCH, "'conv': has no tables");
    assert_bad(q[SUM].bias, q[CONV].bias, MN_ERR_MISMATCH, "'sum': has tables");
    mn_quant_free(quant);
    mn_graph_free(graph);
}

static void test_unsupported(void **state)
{
    (void)state;
    mn_graph_builder *b = NULL;
    mn_graph *graph = NULL;
    mn_error err;
    assert_ok(mn_graph_builder_create(&b, &err), &err);
    add(b, (mn_node_spec){.prim = MN_PRIM_INPUT, .shape = {2, 2, 2}}, "x", 0, NULL);
    add(b, (mn_node_spec){.prim = MN_PRIM_BATCH_NORM}, "norm", 1, (uint32_t[]){0});
    assert_ok(mn_graph_builder_finish(b, (uint32_t[]){1}, 1, &graph, &err), &err);
    mn_graph_builder_free(b);
    mn_quant *quant = sound(graph);
    quant->values[0].scale = 1;
    assert_error(mn_quant_check(graph, quant, &err),
                 MN_ERR_UNSUPPORTED,
                 &err,
                 "'norm': batch_norm has no int8 kernel");
    mn_quant_free(quant);
    mn_graph_free(graph);
}

/* An input and a fully connected layer or a global pool over it. */
static void assert_wide(mn_prim prim, mn_shape shape, mn_status status)
{
    mn_graph_builder *b = NULL;
    mn_graph *graph = NULL;
    mn_error err;
    assert_ok(mn_graph_builder_create(&b, &err), &err);
    add(b, (mn_node_spec){.prim = MN_PRIM_INPUT, .shape = shape}, "x", 0, NULL);
    add(b, (mn_node_spec){.prim = prim, .channels = 1}, "wide", 1, (uint32_t[]){0});
    assert_ok(mn_graph_builder_finish(b, (uint32_t[]){1}, 1, &graph, &err), &err);
    mn_graph_builder_free(b);
    mn_quant *quant = sound(graph);
    if (status == MN_OK)
        assert_ok(mn_quant_check(graph, quant, &err), &err);
    else
        assert_error(mn_quant_check(graph, quant, &err), status, &err, "'wide': ");
    mn_quant_free(quant);
    mn_graph_free(graph);
}

static void test_sums(void **state)
{
    (void)state;
    assert_wide(MN_PRIM_FULLY_CONNECTED, (mn_shape){1, 1, 33155}, MN_OK);
    assert_wide(MN_PRIM_FULLY_CONNECTED, (mn_shape){1, 4, 8289}, MN_ERR_UNSUPPORTED);
    assert_wide(MN_PRIM_GLOBAL_POOL, (mn_shape){2048, 2048, 1}, MN_OK);
    assert_wide(MN_PRIM_GLOBAL_POOL, (mn_shape){2048, 2049, 1}, MN_ERR_UNSUPPORTED);
}

static void test_factors(void **state)
{
    (void)state;
    const double good[] = {
        1, 0.5, 0.75, 1.5, 1e-9, 0x1p-32, 3.0e-5, 1e6, 0x1.fffffep29, 0.99999999999};
    int32_t multiplier = 0;
    int32_t shift = 0;
    mn_error err;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_ok(mn_quant_factor(good[i], &multiplier, &shift, &err), &err);
        assert_true(multiplier >= 1 << 30);
        assert_true(shift >= 1 && shift <= 62);
        assert_true(fabs(ldexp(multiplier, -shift) / good[i] - 1) < 0x1p-30);
    }
    assert_int_equal(shift, 30); /* rounded up to 1 */
    assert_int_equal(multiplier, 1 << 30);
    const double none[] = {0, 0x1.fp-33, 1e-300};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_ok(mn_quant_factor(none[i], &multiplier, &shift, &err), &err);
        assert_int_equal(multiplier, 0);
        assert_true(shift >= 1 && shift <= 62);
    }
    const double bad[] = {-1, -1e-300, NAN, INFINITY, 0x1p30, 0x1.ffffffffffffp29};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_error(
            mn_quant_factor(bad[i], &multiplier, &shift, &err), MN_ERR_LIMIT, &err, "factor of");
}

static void test_copy_factors(void **state)
{
    (void)state;
    mn_quant_value a = {.scale = 0.5f, .zero_point = 3};
    mn_quant_value b = {.scale = 0.25f, .zero_point = 3};
    int32_t multiplier = 0;
    int32_t shift = 0;
    bool same = false;
    mn_error err;
    assert_ok(mn_quant_copy_factor(&a, &a, &same, &multiplier, &shift, &err), &err);
    assert_true(same);
    assert_ok(mn_quant_copy_factor(&a, &b, &same, &multiplier, &shift, &err), &err);
    assert_false(same);
    assert_true(ldexp(multiplier, -shift) == 2.0);
    b = (mn_quant_value){.scale = 0.5f, .zero_point = 4};
    assert_ok(mn_quant_copy_factor(&a, &b, &same, &multiplier, &shift, &err), &err);
    assert_false(same);
    b.scale = 0x1p-100f;
    assert_error(mn_quant_copy_factor(&a, &b, &same, &multiplier, &shift, &err),
                 MN_ERR_LIMIT,
                 &err,
                 "factor");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_classes_that_meet),
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_bad_numbers),
        cmocka_unit_test(test_bad_nodes),
        cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_factors),
        cmocka_unit_test(test_copy_factors),
    };
    return cmocka_run_group_tests(tests, alloc_failure_setup, NULL);
}

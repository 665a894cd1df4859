/* The paper's memory metric: its own example, values inside layers, small cases by hand. */
#include "plan_tools.h"

#include "plan/paper_metric.h"

static uint32_t in_layer(tool *t, uint32_t layer, mn_node_spec spec)
{
    spec.layer = layer;
    return tool_add(t, spec);
}

/* One node that stands for an op of a cell: only its layer and its inputs matter here. */
static uint32_t op(tool *t, uint32_t layer, uint32_t x)
{
    return in_layer(t, layer, (mn_node_spec){.prim = MN_PRIM_RELU, .inputs = &x, .input_count = 1});
}

static uint32_t join(tool *t, uint32_t layer, mn_prim prim, uint32_t count, const uint32_t *inputs)
{
    return in_layer(t, layer, (mn_node_spec){.prim = prim, .inputs = inputs, .input_count = count});
}

/* An op of several primitives in one layer, as lowering makes them: conv, batch norm, relu. */
static uint32_t deep_op(tool *t, uint32_t layer, uint32_t x)
{
    mn_shape shape = mn_graph_builder_shape(t->builder, x);
    uint32_t y = in_layer(t,
                          layer,
                          (mn_node_spec){.prim = MN_PRIM_CONV,
                                         .inputs = &x,
                                         .input_count = 1,
                                         .channels = shape.c,
                                         .window = mn_window_same(shape, 3, 3, 1, 1)});
    y = in_layer(
        t, layer, (mn_node_spec){.prim = MN_PRIM_BATCH_NORM, .inputs = &y, .input_count = 1});
    return op(t, layer, y);
}

/* The paper's block: cell 1 = (input, input, sep 3x3, fac 1x7, add), cell 2 = (cell 1, input, avg,
 * sep 5x5, concat), cell 3 = (cell 1, cell 2, max, max, add); all outputs concatenated. The op on
 * cell 2 halves the channels that the concat doubled. Ten values and the input. */
static mn_graph *example_block(uint32_t (*make_op)(tool *, uint32_t, uint32_t))
{
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 8);
    uint32_t a = make_op(&t, 0, x);
    uint32_t b = make_op(&t, 1, x);
    uint32_t cell1 = join(&t, 2, MN_PRIM_ADD, 2, (uint32_t[]){a, b});
    a = make_op(&t, 3, cell1);
    b = make_op(&t, 4, x);
    uint32_t cell2 = join(&t, 5, MN_PRIM_CONCAT, 2, (uint32_t[]){a, b});
    a = make_op(&t, 6, cell1);
    b = in_layer(&t,
                 7,
                 (mn_node_spec){.prim = MN_PRIM_CONV,
                                .inputs = &cell2,
                                .input_count = 1,
                                .channels = 8,
                                .window = mn_window_same((mn_shape){4, 4, 16}, 3, 3, 1, 1)});
    uint32_t cell3 = join(&t, 8, MN_PRIM_ADD, 2, (uint32_t[]){a, b});
    uint32_t out = join(&t, 9, MN_PRIM_CONCAT, 3, (uint32_t[]){cell1, cell2, cell3});
    return tool_finish_one(&t, out);
}

static void assert_example(mn_graph *graph)
{
    static const uint32_t expected[8] = {1, 3, 2, 4, 3, 4, 3, 1};
    /* In maps of 4*4*8: cell 2 counts twice, the output four times. */
    static const uint64_t maps[8] = {1, 3, 2, 4, 4, 5, 4, 4};
    mn__paper_times times = {0};
    mn_error err;
    size_t intermediate = 0;
    size_t total = 0;
    assert_ok(mn__paper_times_find(graph, &times, &err), &err);
    assert_int_equal(times.count, 8);
    assert_memory_equal(times.representations, expected, sizeof expected);
    for (uint32_t t = 0; t < 8; t++)
        assert_int_equal(times.elements[t], maps[t] * 128);
    assert_ok(mn__paper_metric(graph, &intermediate, &total, &err), &err);
    assert_int_equal(intermediate, 4 * 5 * 128);
    assert_int_equal(total, intermediate + 4 * mn_graph_parameters(graph));
    mn__paper_times_done(&times);
    mn_graph_free(graph);
}

static void test_example_of_the_paper(void **state)
{
    (void)state;
    assert_example(example_block(op));
}

/* What is inside a layer neither takes time nor counts. */
static void test_values_inside_layers_do_not_count(void **state)
{
    (void)state;
    assert_example(example_block(deep_op));
}

/* Without layers every node is one: input, conv, conv; half-open, so one map at a time. */
static void test_nodes_without_layers(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t a = tool_conv(&t, tool_input(&t, 4, 4, 1), 3);
    mn_graph *graph = tool_finish_one(&t, tool_conv(&t, a, 2));
    mn__paper_times times = {0};
    mn_error err;
    assert_ok(mn__paper_times_find(graph, &times, &err), &err);
    assert_int_equal(times.count, 3);
    const uint64_t elements[3] = {16, 48, 32};
    assert_memory_equal(times.elements, elements, sizeof elements);
    mn__paper_times_done(&times);
    mn_plan *plan = NULL;
    assert_ok(mn_plan_create(graph, NULL, &plan, &err), &err);
    assert_int_equal(plan->paper_intermediate_bytes, 192);
    assert_int_equal(plan->paper_total_bytes, 192 + 4 * mn_graph_parameters(graph));
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* An early output stays; a value that nothing reads never counts. */
static void test_outputs_stay_and_the_unread_is_nothing(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 2, 2, 1);
    uint32_t early = tool_conv(&t, x, 2);
    (void)tool_conv(&t, x, 50);
    uint32_t last = tool_conv(&t, tool_conv(&t, early, 3), 1);
    mn_graph *graph = tool_finish(&t, 2, (uint32_t[]){early, last});
    mn__paper_times times = {0};
    mn_error err;
    assert_ok(mn__paper_times_find(graph, &times, &err), &err);
    assert_int_equal(times.count, 4);
    const uint64_t elements[4] = {4, 8, 8 + 12, 8 + 4};
    assert_memory_equal(times.elements, elements, sizeof elements);
    mn__paper_times_done(&times);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example_of_the_paper),
        cmocka_unit_test(test_values_inside_layers_do_not_count),
        cmocka_unit_test(test_nodes_without_layers),
        cmocka_unit_test(test_outputs_stay_and_the_unread_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

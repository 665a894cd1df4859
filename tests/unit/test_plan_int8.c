/* Plans in int8: a byte an element, tables as the kernels take them, scratch that int8 kernels ask
 * for, and the same rules for what lies where. */
#include "plan_sim.h"

static mn_plan_opts int8_opts(void)
{
    mn_plan_opts opts = mn_plan_opts_default();
    opts.precision = MN_PRECISION_INT8;
    return opts;
}

static mn_plan *int8_plan(const mn_graph *graph)
{
    mn_plan_opts opts = int8_opts();
    mn_plan *plan = sim_plan(graph, &opts);
    assert_int_equal(plan->precision, MN_PRECISION_INT8);
    return plan;
}

/* Convolution 3 -> 5 channels without bias, depthwise, fully connected 5*8*8 -> 7. */
static void test_sizes(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 8, 8, 3);
    uint32_t a = tool_add(&t,
                          (mn_node_spec){.prim = MN_PRIM_CONV,
                                         .inputs = &x,
                                         .input_count = 1,
                                         .channels = 5,
                                         .window = mn_window_same((mn_shape){8, 8, 3}, 3, 3, 1, 1),
                                         .layer = MN_NONE});
    uint32_t b = tool_depthwise(&t, a);
    mn_graph *graph = tool_finish_one(&t, tool_dense(&t, b, 7));
    mn_plan *plan = int8_plan(graph);
    size_t conv = 5 * 3 * 9 + 5 * 9;
    size_t depthwise = 5 * 9 + 5 * 9;
    size_t dense = (size_t)7 * 5 * 64 + 7 * 9;
    assert_int_equal(plan->weights_bytes, conv + depthwise + dense);
    assert_int_equal(plan->buffers[plan->views[x].buffer].bytes, 192);
    assert_int_equal(plan->buffers[plan->views[a].buffer].bytes, 320);
    assert_int_equal(plan->arena_bytes, 640); /* a and b: 320 each */
    assert_int_equal(plan->lower_bound_bytes, 640);
    assert_int_equal(plan->total_bytes, plan->weights_bytes + 640);
    mn_error err;
    plan->weights_bytes -= 5;
    plan->total_bytes -= 5;
    assert_error(mn_plan_check(graph, plan, &err), MN_ERR_INTERNAL, &err, "figures");
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* The kernels' bytes as they are, rounded up; float32 would count rows of floats. */
static void test_scratch(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_conv(&t, tool_input(&t, 8, 8, 4), 4);
    mn_graph *graph = tool_finish_one(&t, tool_depthwise(&t, x));
    mn_error err;
    conv_scratch = 48; /* int8: 49, rounded up to 64 */
    depthwise_in_place_scratch = 50;
    mn_plan *plan = int8_plan(graph);
    assert_int_equal(plan->buffers[plan->steps[0].scratch].bytes, 64);
    assert_true(plan->steps[1].in_place);
    assert_int_equal(plan->buffers[plan->steps[1].scratch].bytes, 64);
    depthwise_in_place_scratch = 65;
    assert_error(mn_plan_check(graph, plan, &err), MN_ERR_INTERNAL, &err, "scratch is too small");
    depthwise_in_place_scratch = 50;
    conv_scratch = 64;
    assert_error(mn_plan_check(graph, plan, &err), MN_ERR_INTERNAL, &err, "scratch is too small");
    mn_plan_free(plan);
    conv_scratch = 0;
    depthwise_in_place_scratch = 256; /* as much as the value: no gain */
    plan = int8_plan(graph);
    assert_false(plan->steps[1].in_place);
    mn_plan_free(plan);
    depthwise_in_place_scratch = -1;
    mn_graph_free(graph);
}

/* Imported graphs state what their elements take. */
static void test_refusals(void **state)
{
    (void)state;
    tool t = tool_start();
    mn_graph *graph = tool_finish_one(&t, tool_input(&t, 2, 2, 2));
    mn_plan_opts opts = int8_opts();
    mn_plan *plan = NULL;
    mn_error err;
    opts.sizes_only = true;
    assert_error(mn_plan_create(graph, &opts, &plan, &err), MN_ERR_UNSUPPORTED, &err, "imported");
    opts.sizes_only = false;
    opts.align = 2;
    assert_error(mn_plan_create(graph, &opts, &plan, &err), MN_ERR_ARG, &err, "alignment");
    assert_null(plan);
    mn_graph_free(graph);
}

/* What no int8 kernel runs is refused by the plan, not behind a training. */
static void test_sums_too_long(void **state)
{
    (void)state;
    for (uint32_t terms = MN_S8_TERMS; terms <= MN_S8_TERMS + 1; terms++) {
        tool t = tool_start();
        mn_graph *graph = tool_finish_one(&t, tool_dense(&t, tool_input(&t, 1, 1, terms), 2));
        mn_plan_opts opts = int8_opts();
        mn_plan *plan = NULL;
        mn_error err;
        bool fits = true;
        if (terms == MN_S8_TERMS) {
            assert_ok(mn_plan_create(graph, &opts, &plan, &err), &err);
        } else {
            assert_error(mn_plan_create(graph, &opts, &plan, &err),
                         MN_ERR_UNSUPPORTED,
                         &err,
                         "sums of 33156 products, int8 kernels sum at most 33155");
            assert_int_equal(mn_plan_fits(graph, &opts, SIZE_MAX, SIZE_MAX, &fits, &err),
                             MN_ERR_UNSUPPORTED);
        }
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
}

static void test_fits(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_conv(&t, tool_input(&t, 8, 8, 4), 8);
    mn_graph *graph = tool_finish_one(&t, tool_conv(&t, x, 4));
    mn_plan_opts opts = int8_opts();
    mn_plan *plan = int8_plan(graph);
    mn_error err;
    bool fits = false;
    assert_ok(mn_plan_fits(graph, &opts, SIZE_MAX, plan->total_bytes, &fits, &err), &err);
    assert_true(fits);
    assert_ok(mn_plan_fits(graph, &opts, SIZE_MAX, plan->total_bytes - 1, &fits, &err), &err);
    assert_false(fits);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

static void test_random_graphs(void **state)
{
    (void)state;
    mn_random random = mn_random_make(3, 1);
    mn_plan_opts opts = int8_opts();
    uint32_t in_place = 0;
    uint32_t slices = 0;
    opts.max_states = 500;
    for (uint32_t i = 0; i < 600; i++) {
        mn_graph *graph = tool_random_graph(
            &random, (tool_random){.nodes = i % 20 == 0 ? 60 : 14, .channels = 5});
        conv_scratch = i % 3 == 0 ? 20 : 0;
        depthwise_scratch = i % 4 == 0 ? 36 : 0;
        depthwise_in_place_scratch = i % 2 == 0 ? 6 : -1;
        mn_plan *plan = sim_plan(graph, &opts);
        for (uint32_t s = 0; s < plan->step_count; s++)
            in_place += plan->steps[s].in_place;
        for (uint32_t v = 0; v < plan->value_count; v++)
            slices += plan->views[v].pixel_stride > mn_graph_node(graph, v)->shape.c;
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
    conv_scratch = 0;
    depthwise_scratch = 0;
    depthwise_in_place_scratch = -1;
    assert_true(in_place > 100);
    assert_true(slices > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_scratch),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_sums_too_long),
        cmocka_unit_test(test_fits),
        cmocka_unit_test(test_random_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

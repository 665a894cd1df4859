/* The planner: hand-computed plans to the byte, options, refusals. What lies in or over what has
 * files of its own: test_plan_in_place.c, test_plan_concat.c. */
#include "plan_sim.h"

static void assert_proven(const mn_plan *plan, size_t arena)
{
    assert_int_equal(plan->arena_bytes, arena);
    assert_int_equal(plan->peak_bytes, arena);
    assert_int_equal(plan->lower_bound_bytes, arena);
    assert_true(plan->order_proven);
    assert_true(plan->offsets_proven);
}

/* input 128 bytes, two convolutions of 256: the two are alive together. */
static void test_chain(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t a = tool_conv(&t, tool_input(&t, 4, 4, 2), 4);
    uint32_t b = tool_conv(&t, a, 4);
    mn_graph *graph = tool_finish_one(&t, b);
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 512);
    assert_int_equal(plan->step_count, 2);
    assert_int_equal(plan->steps[0].live_bytes, 384);
    assert_int_equal(plan->steps[1].live_bytes, 512);
    assert_int_equal(plan->weights_bytes, 4 * (3 * 3 * 2 * 4 + 4 + 3 * 3 * 4 * 4 + 4));
    assert_int_equal(plan->total_bytes, plan->weights_bytes + 512);
    assert_int_equal(plan->macs, 16 * (3 * 3 * 2 * 4 + 3 * 3 * 4 * 4));
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* 4x4x2 -> relu in place -> pool 2x2x2 -> reshape -> 10 classes: 128 + 32 at most; 40 become 48. */
static void test_classifier(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_one(&t, MN_PRIM_RELU, tool_input(&t, 4, 4, 2));
    uint32_t pool = tool_window(&t, MN_PRIM_AVG_POOL, x, 0, 2, 2);
    uint32_t flat = tool_reshape(&t, pool, (mn_shape){1, 1, 8});
    uint32_t classes = tool_dense(&t, flat, 10);
    mn_graph *graph = tool_finish_one(&t, classes);
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 160);
    assert_int_equal(plan->step_count, 3);
    assert_int_equal(plan->steps[2].live_bytes, 80);
    assert_int_equal(plan->views[flat].buffer, plan->views[pool].buffer);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

static void test_output_that_is_the_input(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 3, 3, 1);
    uint32_t flat = tool_reshape(&t, x, (mn_shape){1, 1, 9});
    mn_graph *graph = tool_finish(&t, 2, (uint32_t[]){x, flat});
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 48);
    assert_int_equal(plan->step_count, 0);
    assert_int_equal(plan->buffer_count, 1);
    assert_int_equal(plan->total_bytes, 48);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* An input that nobody reads has to be there at the start all the same: beside the other one 128
 * when there is no step, during the first step (48 + 128 + 128) when there is one. */
static void test_inputs_that_nobody_reads(void **state)
{
    (void)state;
    for (int steps = 0; steps < 3; steps++) {
        const size_t arenas[] = {48 + 128, 48 + 128, 48 + 256};
        tool t = tool_start();
        tool_input(&t, 3, 3, 1);
        uint32_t x = tool_input(&t, 4, 4, 2);
        if (steps == 1)
            x = tool_one(&t, MN_PRIM_RELU, x);
        if (steps == 2)
            x = tool_conv(&t, tool_conv(&t, x, 2), 2);
        mn_graph *graph = tool_finish_one(&t, x);
        mn_plan *plan = sim_plan(graph, NULL);
        assert_proven(plan, arenas[steps]);
        assert_int_equal(plan->step_count, steps);
        if (steps == 2)
            assert_int_equal(plan->steps[1].live_bytes, 256);
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
}

/* Breadth first would keep three large maps; depth first keeps one and three small ones. */
static void test_order_is_chosen(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 8, 8, 1);
    uint32_t wide[3];
    uint32_t narrow[3];
    for (int i = 0; i < 3; i++)
        wide[i] = tool_conv(&t, x, 16);
    for (int i = 0; i < 3; i++)
        narrow[i] = tool_one(&t, MN_PRIM_GLOBAL_POOL, wide[i]);
    uint32_t sum = tool_pair(&t, MN_PRIM_ADD, narrow[0], narrow[1]);
    sum = tool_pair(&t, MN_PRIM_ADD, sum, narrow[2]);
    mn_graph *graph = tool_finish_one(&t, sum);
    mn_plan *plan = sim_plan(graph, NULL);
    /* At the second pool: the image 256 for the third branch, a map 4096, two results 64 each. All
     * three maps at once would be worse, and so would any other order. */
    assert_proven(plan, 256 + 4096 + 64 + 64);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* Without states the greedy order is all there is; more of them never make it worse. */
static void test_states_are_bounded(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 4);
    mn_plan_opts opts = mn_plan_opts_default();
    uint32_t searched = 0;
    assert_int_equal(opts.max_states, MN_PLAN_MAX_STATES);
    assert_false(opts.sizes_only);
    for (uint32_t i = 0; i < 100; i++) {
        mn_graph *graph = tool_random_graph(&random, (tool_random){.nodes = 40, .channels = 1});
        opts.max_states = 0;
        mn_plan *greedy = sim_plan(graph, &opts);
        assert_int_equal(greedy->states, 0);
        assert_int_equal(greedy->peak_bytes, greedy->greedy_peak_bytes);
        opts.max_states = 500;
        mn_plan *best = sim_plan(graph, &opts);
        assert_true(best->states <= 500);
        assert_int_equal(best->greedy_peak_bytes, greedy->peak_bytes);
        assert_true(best->peak_bytes <= greedy->peak_bytes);
        assert_true(best->lower_bound_bytes <= best->peak_bytes);
        assert_true(greedy->lower_bound_bytes <= best->peak_bytes);
        assert_int_equal(best->order_proven, best->peak_bytes == best->lower_bound_bytes);
        searched += best->states > 0;
        mn_plan_free(greedy);
        mn_plan_free(best);
        mn_graph_free(graph);
    }
    assert_true(searched > 10);
}

static void test_same_arguments_same_plan(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 3);
    mn_graph *graph = tool_random_graph(&random, (tool_random){.nodes = 60, .channels = 1});
    mn_plan *a = sim_plan(graph, NULL);
    mn_plan *b = sim_plan(graph, NULL);
    assert_int_equal(a->step_count, b->step_count);
    assert_memory_equal(a->views, b->views, a->value_count * sizeof *a->views);
    for (uint32_t t = 0; t < a->step_count; t++)
        assert_int_equal(a->steps[t].node, b->steps[t].node);
    for (uint32_t i = 0; i < a->buffer_count; i++)
        assert_int_equal(a->buffers[i].offset, b->buffers[i].offset);
    mn_plan_free(a);
    mn_plan_free(b);
    mn_graph_free(graph);
}

static void test_scratch(void **state)
{
    (void)state;
    conv_scratch = 100;
    depthwise_scratch = 20;
    tool t = tool_start();
    uint32_t a = tool_conv(&t, tool_input(&t, 4, 4, 2), 4);
    uint32_t b = tool_depthwise(&t, a);
    mn_graph *graph = tool_finish_one(&t, b);
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 512 + 32);
    assert_int_equal(plan->steps[0].live_bytes, 384 + 112);
    assert_int_not_equal(plan->steps[0].scratch, MN_NONE);
    mn_plan_free(plan);
    mn_graph_free(graph);
    conv_scratch = 0;
    depthwise_scratch = 0;
}

static void test_alignment(void **state)
{
    (void)state;
    tool t = tool_start();
    mn_graph *graph = tool_finish_one(&t, tool_conv(&t, tool_input(&t, 3, 3, 1), 1));
    mn_plan_opts opts = mn_plan_opts_default();
    assert_int_equal(opts.align, 16);
    const size_t aligns[] = {4, 16, 32, 64, 4096};
    const size_t arenas[] = {72, 96, 128, 128, 8192};
    for (size_t i = 0; i < sizeof aligns / sizeof aligns[0]; i++) {
        mn_plan *plan = NULL;
        mn_error err;
        opts.align = aligns[i];
        assert_ok(mn_plan_create(graph, &opts, &plan, &err), &err);
        assert_proven(plan, arenas[i]);
        mn_plan_free(plan);
    }
    mn_graph_free(graph);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void assert_refused(tool t, uint32_t output, mn_status status, const char *text)
{
    mn_graph *graph = tool_finish_one(&t, output);
    mn_plan *plan = NULL;
    mn_error err;
    assert_error(mn_plan_create(graph, NULL, &plan, &err), status, &err, text);
    assert_null(plan);
    assert_int_equal(mn_plan_create(graph, NULL, &plan, NULL), status);
    mn_graph_free(graph);
}

static void test_primitives_without_a_kernel(void **state)
{
    (void)state;
    const mn_prim prims[] = {MN_PRIM_BATCH_NORM, MN_PRIM_IDENTITY, MN_PRIM_FAKE_QUANT};
    for (size_t i = 0; i < sizeof prims / sizeof prims[0]; i++) {
        tool t = tool_start();
        uint32_t x = tool_input(&t, 2, 2, 2);
        uint32_t y = tool_add(&t,
                              (mn_node_spec){.prim = prims[i],
                                             .inputs = &x,
                                             .input_count = 1,
                                             .grid = {.scale = 1.0f, .low = -128, .high = 127},
                                             .layer = MN_NONE});
        char text[80];
        snprintf(text, sizeof text, "'n1': %s has no kernel: run the", mn_prim_name(prims[i]));
        assert_refused(t, y, MN_ERR_UNSUPPORTED, text);
    }
    tool t = tool_start();
    uint32_t x =
        tool_add(&t, (mn_node_spec){.prim = MN_PRIM_OPAQUE, .shape = {2, 2, 2}, .layer = MN_NONE});
    assert_refused(t, x, MN_ERR_UNSUPPORTED, "'n0': opaque has no kernel");
    t = tool_start();
    x = tool_input(&t, 2, 2, 2);
    x = tool_add(&t,
                 (mn_node_spec){.prim = MN_PRIM_CONCAT,
                                .inputs = &x,
                                .input_count = 1,
                                .act = MN_ACT_RELU,
                                .layer = MN_NONE});
    assert_refused(t, x, MN_ERR_UNSUPPORTED, "'n1': concat with a fused activation");
}

static void test_options(void **state)
{
    (void)state;
    tool t = tool_start();
    mn_graph *graph = tool_finish_one(&t, tool_input(&t, 2, 2, 2));
    mn_plan_opts opts = mn_plan_opts_default();
    mn_plan *plan = NULL;
    mn_error err;
    opts.precision = (mn_precision)9;
    assert_error(mn_plan_create(graph, &opts, &plan, &err), MN_ERR_UNSUPPORTED, &err, "or int8");
    opts.precision = MN_PRECISION_FLOAT32;
    const size_t bad[] = {0, 1, 2, 3, 12, SIZE_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        opts.align = bad[i];
        assert_error(mn_plan_create(graph, &opts, &plan, &err), MN_ERR_ARG, &err, "alignment");
    }
    mn_graph_free(graph);
    t = tool_start();
    graph = tool_finish_one(&t, tool_conv(&t, tool_input(&t, 2, 2, 2), 2));
    opts.align = (size_t)1 << (sizeof(size_t) * 8 - 1); /* each value counts twice: scratch */
    assert_error(mn_plan_create(graph, &opts, &plan, &err), MN_ERR_LIMIT, &err, "'n0'");
    opts.align /= 2;
    assert_error(mn_plan_create(graph, &opts, &plan, &err), MN_ERR_LIMIT, &err, "'n1'");
    assert_null(plan);
    mn_plan_free(NULL);
    mn_graph_free(graph);
}

static void test_precision_names(void **state)
{
    (void)state;
    mn_precision precision = MN_PRECISION_FLOAT32;
    mn_error err;
    assert_ok(mn_precision_parse("int8", &precision, &err), &err);
    assert_int_equal(precision, MN_PRECISION_INT8);
    assert_ok(mn_precision_parse("float32", &precision, &err), &err);
    assert_int_equal(precision, MN_PRECISION_FLOAT32);
    const char *bad[] = {"", "int", "INT8", "float32 ", NULL};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_error(mn_precision_parse(bad[i], &precision, &err), MN_ERR_ARG, &err, "expected");
    assert_string_equal(mn_precision_name((mn_precision)9), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_classifier),
        cmocka_unit_test(test_output_that_is_the_input),
        cmocka_unit_test(test_inputs_that_nobody_reads),
        cmocka_unit_test(test_order_is_chosen),
        cmocka_unit_test(test_states_are_bounded),
        cmocka_unit_test(test_same_arguments_same_plan),
        cmocka_unit_test(test_scratch),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_primitives_without_a_kernel),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_precision_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

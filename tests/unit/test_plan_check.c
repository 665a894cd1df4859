/* The checker, one lie at a time, and plans that are odd but sound. Plans that are broken at
 * random: test_plan_mutations.c. */
#include "plan_forge.h"

/* Plans that are merely wasteful are sound: the checker must not cry wolf. */
static void test_apart_buffers_are_accepted(void **state)
{
    (void)state;
    mn_random random = mn_random_make(2, 2);
    for (uint32_t i = 0; i < 300; i++) {
        mn_error err;
        conv_scratch = i % 3 == 0 ? 40 : 0;
        depthwise_in_place_scratch = i % 2 == 0 ? 16 : -1;
        mn_graph *graph = tool_random_graph(&random, (tool_random){.nodes = 12, .channels = 1});
        mn_plan *plan = sim_plan(graph, NULL);
        forge_lifetimes(plan);
        forge_figures(plan);
        assert_null(sim_problem(graph, plan));
        assert_ok(mn_plan_check(graph, plan, &err), &err);
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
    conv_scratch = 0;
    depthwise_in_place_scratch = -1;
}

static void assert_caught(const mn_graph *graph, mn_plan *bad, const char *text)
{
    mn_error err;
    assert_error(mn_plan_check(graph, bad, &err), MN_ERR_INTERNAL, &err, text);
    mn_plan_free(bad);
}

static void test_lies_are_caught(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t a = tool_conv(&t, tool_input(&t, 4, 4, 2), 4);
    uint32_t b = tool_conv(&t, a, 4);
    mn_graph *graph = tool_finish_one(&t, tool_pair(&t, MN_PRIM_ADD, b, a));
    mn_plan *plan = sim_plan(graph, NULL);
    mn_plan *bad = clone(plan);
    bad->weights_bytes += 4;
    bad->total_bytes += 4;
    assert_caught(graph, bad, "figures");
    bad = clone(plan);
    bad->total_bytes--;
    assert_caught(graph, bad, "figures");
    bad = clone(plan);
    bad->lower_bound_bytes = bad->arena_bytes + 16;
    assert_caught(graph, bad, "figures");
    bad = clone(plan);
    bad->order_proven = !bad->order_proven;
    assert_caught(graph, bad, "figures");
    bad = clone(plan);
    bad->offsets_proven = !bad->offsets_proven;
    assert_caught(graph, bad, "figures");
    bad = clone(plan);
    bad->macs++;
    assert_caught(graph, bad, "figures");
    bad = clone(plan);
    bad->steps[1].live_bytes--;
    assert_caught(graph, bad, "live bytes, expected");
    bad = clone(plan);
    bad->steps[2].in_place = false;
    assert_caught(graph, bad, "in_place");
    bad = clone(plan);
    bad->steps[0].scratch = 0;
    assert_caught(graph, bad, "scratch");
    bad = clone(plan);
    bad->buffers[0].offset += 8;
    assert_caught(graph, bad, "buffer 0 is not aligned");
    bad = clone(plan);
    bad->buffers[0].offset = SIZE_MAX - 15;
    assert_caught(graph, bad, "buffer 0 lies outside the arena");
    bad = clone(plan);
    bad->buffers[0].last_step = 99;
    assert_caught(graph, bad, "lifetime");
    bad = clone(plan);
    bad->steps[1].node = 99;
    assert_caught(graph, bad, "step 1 runs no node");
    bad = clone(plan);
    bad->steps[1].node = bad->steps[0].node;
    assert_caught(graph, bad, "runs twice");
    bad = clone(plan);
    bad->views[a].buffer = MN_NONE;
    assert_caught(graph, bad, "'n1': its view is in no buffer");
    bad = clone(plan);
    bad->views[a].channel_offset = UINT32_MAX;
    bad->views[a].pixel_stride = UINT32_MAX;
    assert_caught(graph, bad, "'n1': its view leaves the buffer");
    bad = clone(plan);
    bad->value_count--;
    assert_caught(graph, bad, "no plan of a graph of 4 nodes");
    bad = clone(plan);
    bad->precision = (mn_precision)9;
    assert_caught(graph, bad, "no plan");
    bad = clone(plan);
    bad->precision = MN_PRECISION_INT8;
    assert_caught(graph, bad, "figures");
    bad = clone(plan);
    bad->precision = MN_PRECISION_INT8;
    bad->sizes_only = true;
    assert_caught(graph, bad, "no plan");
    bad = clone(plan);
    bad->align = 0;
    assert_caught(graph, bad, "no plan");
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* Two values of four channels in pixels of eight: apart by four channels they interleave, by less
 * or more one runs into the other or around into the next pixel. */
static void test_interleaved_values(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 2, 2, 4);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t b = tool_conv(&t, x, 4);
    uint32_t sum = tool_pair(&t, MN_PRIM_ADD, a, b);
    mn_graph *graph = tool_finish_one(&t, tool_conv(&t, sum, 4));
    mn_plan *plan = sim_plan(graph, NULL);
    for (uint32_t apart = 0; apart <= 8; apart++) {
        mn_plan *other = clone(plan);
        mn_error err;
        uint32_t buffer = other->views[a].buffer;
        other->buffers[buffer].bytes = 4 * 64;
        other->views[a] = (mn_view){.buffer = buffer, .channel_offset = 0, .pixel_stride = 8};
        other->views[b] = (mn_view){.buffer = buffer, .channel_offset = apart, .pixel_stride = 8};
        other->views[sum] = other->views[a];
        forge_lifetimes(other);
        forge_in_place(graph, other);
        forge_figures(other);
        mn_status expected = apart == 4 ? MN_OK : MN_ERR_INTERNAL;
        assert_true((sim_problem(graph, other) == NULL) == (expected == MN_OK));
        assert_int_equal(mn_plan_check(graph, other, &err), expected);
        mn_plan_free(other);
    }
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* A plan of another graph with as many nodes: concat in place of add. */
static void test_plan_of_another_graph(void **state)
{
    (void)state;
    mn_graph *graphs[2];
    for (int i = 0; i < 2; i++) {
        tool t = tool_start();
        uint32_t x = tool_input(&t, 2, 2, 4);
        uint32_t a = tool_conv(&t, x, 4);
        uint32_t b = tool_conv(&t, x, 4);
        uint32_t last = tool_pair(&t, i == 0 ? MN_PRIM_ADD : MN_PRIM_CONCAT, a, b);
        graphs[i] = tool_finish_one(&t, last);
    }
    mn_error err;
    mn_plan *added = sim_plan(graphs[0], NULL);
    mn_plan *joined = sim_plan(graphs[1], NULL);
    assert_int_equal(mn_plan_check(graphs[1], added, &err), MN_ERR_INTERNAL);
    assert_int_equal(mn_plan_check(graphs[0], joined, NULL), MN_ERR_INTERNAL);
    mn_plan_free(added);
    mn_plan_free(joined);
    mn_graph_free(graphs[0]);
    mn_graph_free(graphs[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apart_buffers_are_accepted),
        cmocka_unit_test(test_lies_are_caught),
        cmocka_unit_test(test_interleaved_values),
        cmocka_unit_test(test_plan_of_another_graph),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

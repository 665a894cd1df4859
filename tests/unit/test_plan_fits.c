/* Whether a plan fits, which is often told without making it: always what the plan itself would
 * say.
 */
#include "plan_sim.h"

static bool fits(const mn_graph *graph, const mn_plan_opts *opts, size_t arena, size_t total)
{
    mn_error err;
    bool no = false;
    bool yes = true;
    assert_ok(mn_plan_fits(graph, opts, arena, total, &no, &err), &err);
    assert_ok(mn_plan_fits(graph, opts, arena, total, &yes, &err), &err);
    assert_int_equal(no, yes); /* it was written, and twice the same */
    return yes;
}

/* At, below and above each figure of the plan that could be the limit. */
static void assert_agrees(const mn_graph *graph, const mn_plan_opts *opts)
{
    mn_plan *plan = sim_plan(graph, opts);
    const size_t arenas[] = {plan->arena_bytes,
                             plan->arena_bytes - 1,
                             plan->arena_bytes + 16,
                             plan->lower_bound_bytes - 1,
                             plan->lower_bound_bytes,
                             plan->greedy_peak_bytes,
                             0,
                             SIZE_MAX};
    for (size_t i = 0; i < sizeof arenas / sizeof arenas[0]; i++) {
        size_t total = arenas[i] == SIZE_MAX ? SIZE_MAX : plan->weights_bytes + arenas[i];
        bool expected = plan->arena_bytes <= arenas[i];
        assert_int_equal(fits(graph, opts, arenas[i], SIZE_MAX), expected);
        assert_int_equal(fits(graph, opts, SIZE_MAX, total), expected);
        assert_int_equal(fits(graph, opts, plan->arena_bytes, total), expected);
        assert_int_equal(fits(graph, opts, arenas[i], plan->total_bytes), expected);
        assert_false(fits(graph, opts, plan->arena_bytes - 1, total));
    }
    if (plan->weights_bytes > 0)
        assert_false(fits(graph, opts, SIZE_MAX, plan->weights_bytes - 1));
    mn_plan_free(plan);
}

static void test_agrees_with_the_plan(void **state)
{
    (void)state;
    mn_random random = mn_random_make(10, 1);
    mn_plan_opts opts = mn_plan_opts_default();
    for (uint32_t i = 0; i < 250; i++) {
        conv_scratch = i % 3 == 0 ? 40 : 0;
        depthwise_in_place_scratch = i % 2 == 0 ? 16 : -1;
        opts.max_states = i % 4 == 0 ? 0 : 200;
        mn_graph *graph = tool_random_graph(&random, (tool_random){.nodes = 24, .channels = 1});
        assert_agrees(graph, &opts);
        mn_graph_free(graph);
    }
    conv_scratch = 0;
    depthwise_in_place_scratch = -1;
}

/* What cannot be planned is refused, whatever the limits; the answer stays untouched. */
static void test_refusals(void **state)
{
    (void)state;
    tool t = tool_start();
    mn_graph *graph = tool_finish_one(&t, tool_one(&t, MN_PRIM_IDENTITY, tool_input(&t, 2, 2, 2)));
    const size_t limits[] = {0, 100, SIZE_MAX};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        mn_error err;
        bool answer = i == 0;
        assert_error(mn_plan_fits(graph, NULL, limits[i], limits[i], &answer, &err),
                     MN_ERR_UNSUPPORTED,
                     &err,
                     "identity has no kernel");
        assert_int_equal(answer, i == 0);
    }
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_the_plan),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The planner and its checker when allocations fail, one after another: MN_ERR_NOMEM, nothing
 * handed out, nothing left behind (which the leak sanitizer sees). */
#include "plan_tools.h"

#include "alloc_failure.h"

static mn_graph *sample(void)
{
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 2);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t b = tool_conv(&t, a, 4);
    uint32_t sum = tool_pair(&t, MN_PRIM_ADD, a, b);
    uint32_t all = tool_join(&t, MN_PRIM_CONCAT, 3, (uint32_t[]){x, sum, b});
    return tool_finish_one(&t, tool_conv(&t, all, 4));
}

/* Branches of a few kernels each, joined: the greedy order is not the best one, so that there is a
 * search, and it lasts until its tables have grown. */
static mn_graph *sample_of_search(void)
{
    tool t = tool_start();
    uint32_t x = tool_conv(&t, tool_input(&t, 2, 2, 1), 4);
    uint32_t ends[5];
    for (uint32_t i = 0; i < 5; i++) {
        ends[i] = tool_conv(&t, x, 4 + 20 * i);
        for (uint32_t k = 0; k < 2; k++)
            ends[i] = tool_pair(
                &t, MN_PRIM_ADD, tool_conv(&t, ends[i], 8 - i), tool_conv(&t, ends[i], 8 - i));
    }
    return tool_finish_one(&t, tool_conv(&t, tool_join(&t, MN_PRIM_CONCAT, 5, ends), 4));
}

/* Lets each allocation of planning fail, one after another. Returns how many there are. */
static size_t fail_all(const mn_graph *graph, const mn_plan_opts *opts)
{
    size_t n = 0;
    for (bool failed = true; failed;) {
        mn_plan *plan = NULL;
        mn_error err;
        alloc_fail_at(++n);
        mn_status status = mn_plan_create(graph, opts, &plan, &err);
        failed = alloc_has_failed();
        assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
        assert_true((plan == NULL) == failed);
        mn_plan_free(plan);
    }
    return n;
}

static void test_create(void **state)
{
    (void)state;
    conv_scratch = 8;
    mn_graph *graph = sample();
    assert_true(fail_all(graph, NULL) > 50);
    conv_scratch = 0;
    mn_graph_free(graph);
}

static void test_search(void **state)
{
    (void)state;
    mn_graph *graph = sample_of_search();
    mn_plan_opts opts = mn_plan_opts_default();
    mn_plan *plan = NULL;
    mn_error err;
    opts.max_states = 600;
    assert_ok(mn_plan_create(graph, &opts, &plan, &err), &err);
    assert_true(plan->states > 200); /* more boards than the first tables hold */
    assert_true(plan->peak_bytes < plan->greedy_peak_bytes);
    mn_plan_free(plan);
    assert_true(fail_all(graph, &opts) > 80);
    mn_graph_free(graph);
}

static void test_fits(void **state)
{
    (void)state;
    mn_graph *graph = sample();
    mn_plan *plan = NULL;
    mn_error err;
    assert_ok(mn_plan_create(graph, NULL, &plan, &err), &err);
    size_t arena = plan->arena_bytes;
    mn_plan_free(plan);
    size_t n = 0;
    for (bool failed = true; failed;) {
        bool fits = false;
        alloc_fail_at(++n);
        mn_status status = mn_plan_fits(graph, NULL, arena, SIZE_MAX, &fits, &err);
        failed = alloc_has_failed();
        assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
        assert_int_equal(fits, !failed);
    }
    assert_true(n > 30);
    mn_graph_free(graph);
}

static void test_check(void **state)
{
    (void)state;
    mn_graph *graph = sample();
    mn_plan *plan = NULL;
    mn_error err;
    assert_ok(mn_plan_create(graph, NULL, &plan, &err), &err);
    size_t n = 0;
    for (bool failed = true; failed;) {
        alloc_fail_at(++n);
        mn_status status = mn_plan_check(graph, plan, &err);
        failed = alloc_has_failed();
        assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
    }
    assert_true(n > 4);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_fits),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, alloc_failure_setup, NULL);
}

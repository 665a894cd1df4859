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

static void test_create(void **state)
{
    (void)state;
    conv_scratch = 8;
    mn_graph *graph = sample();
    size_t n = 0;
    for (bool failed = true; failed;) {
        mn_plan *plan = NULL;
        mn_error err;
        alloc_fail_at(++n);
        mn_status status = mn_plan_create(graph, NULL, &plan, &err);
        failed = alloc_has_failed();
        assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
        assert_true((plan == NULL) == failed);
        mn_plan_free(plan);
    }
    assert_true(n > 50);
    conv_scratch = 0;
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
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, alloc_failure_setup, NULL);
}

/* The stack of a chain of calls, from texts as gcc 12 writes them. */
#include "test.h"

#include "alloc_failure.h"
#include "cli/call_graph.h"

/* gcc -fcallgraph-info=su, shortened: invoke -> a -> b, invoke -> c; b calls memset. */
static const char model_ci[] =
    "graph: { title: \"model.c\"\n"
    "node: { title: \"model.c:a\" label: \"a\\nmodel.c:3:13\\n24 bytes (static)\\n0 dynamic\" }\n"
    "node: { title: \"b\" label: \"b\\nx/mn_s8.h:5:6\" shape : ellipse }\n"
    "node: { title: \"memnet_invoke\" label: \"memnet_invoke\\nmodel.c:9:6\\n8 bytes (static)\" }\n"
    "edge: { sourcename: \"memnet_invoke\" targetname: \"model.c:a\" label: \"model.c:10:5\" }\n"
    "edge: { sourcename: \"memnet_invoke\" targetname: \"c\" label: \"model.c:11:5\" }\n"
    "edge: { sourcename: \"model.c:a\" targetname: \"b\" label: \"model.c:4:5\" }\n"
    "}\n";
static const char kernel_ci[] =
    "node: { title: \"b\" label: \"b\\nmn_s8_b.c:5:6\\n100 bytes (static)\\n0 dynamic objects\" }\n"
    "node: { title: \"c\" label: \"c\\nmn_s8_c.c:5:6\\n120 bytes (static)\\n0 dynamic objects\" }\n"
    "node: { title: \"unused\" label: \"unused\\nmn_s8_c.c:9:6\\n999 bytes (static)\" }\n";
static const char library_ci[] =
    "node: { title: \"memset\" label: \"__builtin_memset\\n<built-in>\" shape : ellipse }\n"
    "edge: { sourcename: \"b\" targetname: \"memset\" label: \"mn_s8_b.c:6:5\" }";

static void test_deepest_chain(void **state)
{
    (void)state;
    mn_error err;
    mn__call_graph graph = {0};
    uint32_t bytes = 0;
    bool complete = true;
    assert_ok(mn__call_graph_add(&graph, model_ci, &err), &err);
    assert_ok(mn__call_graph_stack(&graph, "memnet_invoke", &bytes, &complete, &err), &err);
    assert_int_equal(bytes, 32); /* b and c are unknown so far */
    assert_false(complete);
    assert_ok(mn__call_graph_add(&graph, kernel_ci, &err), &err);
    assert_ok(mn__call_graph_stack(&graph, "memnet_invoke", &bytes, &complete, &err), &err);
    assert_int_equal(bytes, 8 + 24 + 100);
    assert_true(complete);
    assert_ok(mn__call_graph_stack(&graph, "model.c:a", &bytes, &complete, &err), &err);
    assert_int_equal(bytes, 24 + 100);
    assert_ok(mn__call_graph_add(&graph, library_ci, &err), &err);
    assert_ok(mn__call_graph_stack(&graph, "memnet_invoke", &bytes, &complete, &err), &err);
    assert_int_equal(bytes, 8 + 24 + 100);
    assert_false(complete);
    mn__call_graph_done(&graph);
}

static void test_assembly(void **state)
{
    (void)state;
    static const char text[] =
        "node: { title: \"k.c:fours\" label: \"fours\\nk.h:3:13\\n0 bytes (static)\" }\n"
        "node: { title: \"fours_of\" label: \"fours_of\\nk.h:8:13\\n8 bytes (static)\" }\n"
        "edge: { sourcename: \"fours_of\" targetname: \"k.c:fours\" label: \"k.h:9:5\" }\n";
    mn_error err;
    mn__call_graph graph = {0};
    uint32_t bytes = 0;
    bool complete = false;
    assert_ok(mn__call_graph_add(&graph, text, &err), &err);
    mn__call_graph_set_frame(&graph, "fours", 40);
    mn__call_graph_set_frame(&graph, "none", 100);
    assert_ok(mn__call_graph_stack(&graph, "fours_of", &bytes, &complete, &err), &err);
    assert_int_equal(bytes, 48);
    assert_true(complete);
    mn__call_graph_done(&graph);
}

static void test_malformed(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "node: { title: \"a\" }",
        "node: { title: \"a label: 8 bytes (static)",
        "edge: { sourcename: \"a\" }",
        "node: {\nedge: { sourcename: \"a\" targetname: \"b\" }",
    };
    mn_error err;
    uint32_t bytes = 0;
    bool complete = false;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        mn__call_graph graph = {0};
        assert_error(
            mn__call_graph_add(&graph, texts[i], &err), MN_ERR_FORMAT, &err, "a call graph");
        mn__call_graph_done(&graph);
    }
    mn__call_graph none = {0};
    assert_ok(mn__call_graph_add(&none, "no graph at all\n", &err), &err);
    assert_error(mn__call_graph_stack(&none, "memnet_invoke", &bytes, &complete, &err),
                 MN_ERR_FORMAT,
                 &err,
                 "without memnet_invoke");
    mn__call_graph_done(&none);
}

/* Recursion, which kernels do not have, ends. */
static void test_cycle(void **state)
{
    (void)state;
    mn_error err;
    mn__call_graph graph = {0};
    uint32_t bytes = 0;
    bool complete = false;
    assert_ok(mn__call_graph_add(&graph,
                                 "node: { title: \"a\" label: \"a\\n8 bytes (static)\" }\n"
                                 "edge: { sourcename: \"a\" targetname: \"a\" }\n",
                                 &err),
              &err);
    assert_ok(mn__call_graph_stack(&graph, "a", &bytes, &complete, &err), &err);
    assert_true(bytes >= 8);
    mn__call_graph_done(&graph);
}

static void test_allocation_failures(void **state)
{
    (void)state;
    mn_error err;
    size_t failures = 0;
    for (bool failed = true; failed; failures++) {
        mn__call_graph graph = {0};
        alloc_fail_at(failures + 1);
        mn_status status = mn__call_graph_add(&graph, model_ci, &err);
        failed = alloc_has_failed();
        assert_true(failed == (status != MN_OK));
        mn__call_graph_done(&graph);
    }
    assert_true(failures > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deepest_chain),
        cmocka_unit_test(test_assembly),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_cycle),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, alloc_failure_setup, NULL);
}

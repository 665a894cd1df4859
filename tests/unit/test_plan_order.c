/* Orders of execution: complete, producers first, and the greedy ones better where it matters. */
#include "plan_rooms.h"

#include "plan/order.h"

/* A node is there when it has run, or has no step and all of its inputs are there. */
static bool is_there(const mn_graph *graph, const mn__alias *alias, const bool *run, uint32_t n)
{
    const mn_node *node = mn_graph_node(graph, n);
    if (alias->has_step[n])
        return run[n];
    for (uint32_t i = 0; i < node->input_count; i++)
        if (!is_there(graph, alias, run, node->inputs[i]))
            return false;
    return true;
}

static void assert_order(const mn_graph *graph, const rooms *r, uint32_t count)
{
    uint32_t nodes = mn_graph_node_count(graph);
    bool *run = calloc(nodes, sizeof *run);
    uint32_t steps = 0;
    assert_non_null(run);
    for (uint32_t n = 0; n < nodes; n++)
        steps += r->alias.has_step[n];
    assert_int_equal(count, steps);
    for (uint32_t t = 0; t < count; t++) {
        uint32_t n = r->order[t];
        assert_true(n < nodes && r->alias.has_step[n] && !run[n]);
        const mn_node *node = mn_graph_node(graph, n);
        for (uint32_t i = 0; i < node->input_count; i++)
            assert_true(is_there(graph, &r->alias, run, node->inputs[i]));
        run[n] = true;
    }
    free(run);
}

static void test_orders_are_complete(void **state)
{
    (void)state;
    mn_random random = mn_random_make(4, 1);
    for (uint32_t i = 0; i < 600; i++) {
        mn_graph *graph = tool_random_graph(&random, (tool_random){.nodes = 30, .channels = 1});
        rooms r = make_rooms(graph, (mn__joining)(i % MN__JOININGS), NULL);
        for (int way = 0; way < MN__ORDER_WAYS; way++) {
            mn_error err;
            uint32_t count = 0;
            assert_ok(mn__order_find(
                          graph, &r.needs, &r.alias, (mn__order_way)way, r.order, &count, &err),
                      &err);
            assert_order(graph, &r, count);
        }
        free_rooms(&r);
        mn_graph_free(graph);
    }
}

/* Three wide branches that shrink: each is finished before the next is begun. */
static void test_greedy_goes_deep(void **state)
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
    uint32_t all = tool_join(&t, MN_PRIM_CONCAT, 3, narrow);
    mn_graph *graph = tool_finish_one(&t, all);
    for (int way = MN__ORDER_FORWARD; way <= MN__ORDER_BACKWARD; way++) {
        rooms r = make_rooms(graph, MN__JOIN_SLICES, NULL);
        mn_error err;
        uint32_t count = 0;
        assert_ok(
            mn__order_find(graph, &r.needs, &r.alias, (mn__order_way)way, r.order, &count, &err),
            &err);
        assert_int_equal(count, 6);
        for (uint32_t i = 0; i < 6; i += 2)
            assert_int_equal(mn_graph_node(graph, r.order[i + 1])->inputs[0], r.order[i]);
        free_rooms(&r);
    }
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders_are_complete),
        cmocka_unit_test(test_greedy_goes_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

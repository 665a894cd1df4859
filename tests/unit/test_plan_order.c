/* Orders of execution: complete, producers first, never above the greedy order nor below the bound,
 * and better the more boards may be looked at. */
#include "plan_rooms.h"

#include "plan/order.h"

static mn__order order_by(const rooms *r, mn__effort effort, uint32_t max_states)
{
    mn__order order = {0};
    mn_error err;
    assert_ok(mn__order_find(&r->values, effort, max_states, &order, &err), &err);
    return order;
}

static mn__order order_of(const rooms *r, uint32_t max_states)
{
    return order_by(r, MN__SEARCH, max_states);
}

/* Inputs of a concat that the order lets lie in it, repeated ones once. */
static uint32_t count_slices(const rooms *r, const mn__order *order, uint32_t n)
{
    uint32_t count = 0;
    for (uint32_t x = 0; x < n; x++)
        count += r->values.value_of[x] == x && order->host[x] == n;
    return count;
}

static bool has_step(const mn_graph *graph, const rooms *r, const mn__order *order, uint32_t n)
{
    const mn_node *node = mn_graph_node(graph, n);
    if (node->prim == MN_PRIM_CONCAT)
        return count_slices(r, order, n) < node->input_count;
    return node->prim != MN_PRIM_INPUT && node->prim != MN_PRIM_RESHAPE;
}

/* A node is there when it has run, or has no step and all of its inputs are there. */
static bool
is_there(const mn_graph *graph, const rooms *r, const mn__order *o, const bool *run, uint32_t n)
{
    const mn_node *node = mn_graph_node(graph, n);
    if (has_step(graph, r, o, n))
        return run[n];
    for (uint32_t i = 0; i < node->input_count; i++)
        if (!is_there(graph, r, o, run, node->inputs[i]))
            return false;
    return true;
}

static void assert_complete(const mn_graph *graph, const rooms *r, const mn__order *o)
{
    uint32_t nodes = mn_graph_node_count(graph);
    uint32_t steps = 0;
    bool *run = calloc(nodes, sizeof *run);
    assert_non_null(run);
    for (uint32_t n = 0; n < nodes; n++)
        steps += has_step(graph, r, o, n);
    assert_int_equal(o->step_count, steps);
    for (uint32_t t = 0; t < o->step_count; t++) {
        uint32_t n = o->steps[t];
        assert_true(n < nodes && has_step(graph, r, o, n) && !run[n]);
        const mn_node *node = mn_graph_node(graph, n);
        for (uint32_t i = 0; i < node->input_count; i++)
            assert_true(is_there(graph, r, o, run, node->inputs[i]));
        run[n] = true;
    }
    free(run);
}

static void test_orders_are_complete(void **state)
{
    (void)state;
    mn_random random = mn_random_make(4, 1);
    uint32_t better = 0;
    for (uint32_t i = 0; i < 400; i++) {
        const uint32_t most[] = {0, 4, 100, 2000};
        mn_graph *graph = tool_random_graph(&random, (tool_random){.nodes = 30, .channels = 1});
        rooms *r = make_rooms(graph);
        size_t peak = SIZE_MAX;
        size_t bound = 0;
        for (size_t k = 0; k < sizeof most / sizeof most[0]; k++) {
            mn__order order = order_of(r, most[k]);
            assert_complete(graph, r, &order);
            assert_true(order.lower_bound_bytes <= order.peak_bytes);
            assert_true(order.peak_bytes <= order.greedy_peak_bytes);
            assert_true(order.states <= most[k]);
            better += order.peak_bytes < order.greedy_peak_bytes;
            /* bounds and peaks of all of them hold for each: the true least lies between */
            peak = order.peak_bytes < peak ? order.peak_bytes : peak;
            bound = order.lower_bound_bytes > bound ? order.lower_bound_bytes : bound;
            assert_true(bound <= peak);
            mn__order_done(&order);
        }
        free_rooms(r);
        mn_graph_free(graph);
    }
    assert_true(better > 40); /* the search was needed */
}

/* Without a search: a bound alone, or the graph's own order. Neither contradicts what a search
 * finds. */
static void test_lesser_efforts(void **state)
{
    (void)state;
    mn_random random = mn_random_make(4, 2);
    for (uint32_t i = 0; i < 300; i++) {
        mn_graph *graph = tool_random_graph(&random, (tool_random){.nodes = 30, .channels = 1});
        rooms *r = make_rooms(graph);
        mn__order bound = order_by(r, MN__JUST_BOUND, 1000);
        mn__order straight = order_by(r, MN__STRAIGHT, 1000);
        mn__order best = order_of(r, 500);
        assert_int_equal(bound.step_count, 0);
        assert_complete(graph, r, &straight);
        assert_int_equal(bound.states + straight.states, 0);
        assert_true(bound.lower_bound_bytes <= best.lower_bound_bytes);
        assert_true(bound.lower_bound_bytes <= best.peak_bytes);
        assert_true(best.lower_bound_bytes <= straight.peak_bytes);
        assert_true(best.greedy_peak_bytes <= straight.peak_bytes);
        mn__order_done(&bound);
        mn__order_done(&straight);
        mn__order_done(&best);
        free_rooms(r);
        mn_graph_free(graph);
    }
}

/* Three wide branches that shrink: each is finished before the next is begun, greedily too. */
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
    rooms *r = make_rooms(graph);
    mn__order order = order_of(r, 0);
    assert_int_equal(order.states, 0);
    for (uint32_t i = 0; i < 6; i += 2)
        assert_int_equal(mn_graph_node(graph, order.steps[i + 1])->inputs[0], order.steps[i]);
    /* x 256, a wide map 4096; the concat 192 is open from the first pool on, or two pools (64 each)
     * are done when the last wide map is there and the image is gone: 256 + 4096 + 128 */
    assert_in_range(order.greedy_peak_bytes, 4480, 4544);
    assert_int_equal(order.peak_bytes, order.greedy_peak_bytes);
    mn__order_done(&order);
    order = order_of(r, 100);
    assert_int_equal(order.peak_bytes, 4480);
    assert_int_equal(order.lower_bound_bytes, 4480);
    mn__order_done(&order);
    free_rooms(r);
    mn_graph_free(graph);
}

/* Two segments, each with a choice of order: the bytes are those of the worse one, and of the other
 * one no more is searched than could matter. */
static void test_segments_are_joined(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    for (uint32_t wide = 16; wide <= 32; wide += 16) {
        uint32_t a = tool_conv(&t, tool_conv(&t, x, wide), 4);
        uint32_t b = tool_conv(&t, tool_conv(&t, x, wide), 4);
        x = tool_conv(&t, tool_pair(&t, MN_PRIM_ADD, a, b), 4);
    }
    mn_graph *graph = tool_finish_one(&t, x);
    rooms *r = make_rooms(graph);
    mn__order order = order_of(r, MN_PLAN_MAX_STATES);
    assert_true(r->segment_count >= 2);
    assert_complete(graph, r, &order);
    /* what comes in 256, the first branch's end 256, the second's map 4 * 4 * 32 floats */
    assert_int_equal(order.peak_bytes, 256 + 256 + 2048);
    assert_int_equal(order.lower_bound_bytes, order.peak_bytes);
    mn__order_done(&order);
    free_rooms(r);
    mn_graph_free(graph);
}

/* Sums that may all be written over one another in a slice of the concat: there are more ways from
 * the first to the last than a search could walk. */
static void test_ladders(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        tool t = tool_start();
        uint32_t in = tool_input(&t, 4, 4, 4);
        uint32_t before = tool_conv(&t, in, 4);
        uint32_t at = tool_conv(&t, before, 4);
        depthwise_in_place_scratch = 16;
        for (int i = 0; i < 60; i++) {
            uint32_t other = kind == 0 ? before : tool_depthwise(&t, at);
            uint32_t next =
                tool_pair(&t, MN_PRIM_ADD, kind == 0 ? at : tool_depthwise(&t, at), other);
            before = at;
            at = next;
        }
        mn_graph *graph =
            tool_finish_one(&t, tool_pair(&t, MN_PRIM_CONCAT, at, tool_conv(&t, in, 4)));
        rooms *r = make_rooms(graph);
        mn__order order = order_of(r, 1000);
        assert_complete(graph, r, &order);
        mn__order_done(&order);
        free_rooms(r);
        mn_graph_free(graph);
    }
    depthwise_in_place_scratch = -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders_are_complete),
        cmocka_unit_test(test_lesser_efforts),
        cmocka_unit_test(test_greedy_goes_deep),
        cmocka_unit_test(test_segments_are_joined),
        cmocka_unit_test(test_ladders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

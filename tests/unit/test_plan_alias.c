/* Aliases: which choices are made where several are sound. That they are sound is what the
 * simulator of test_plan.c sees. */
#include "plan_rooms.h"

static void assert_shared(const rooms *r, uint32_t a, uint32_t b, bool expected)
{
    assert_int_equal(r->alias.views[a].buffer == r->alias.views[b].buffer, expected);
}

/* With the order open only a value's sole reader may write over it; a known order tells more. */
static void test_open_order_is_careful(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_conv(&t, tool_input(&t, 2, 2, 2), 4);
    uint32_t y = tool_conv(&t, x, 4);
    uint32_t z = tool_one(&t, MN_PRIM_RELU, x);
    mn_graph *graph = tool_finish(&t, 2, (uint32_t[]){y, z});
    rooms r = make_rooms(graph, MN__JOIN_SLICES, NULL);
    assert_false(r.alias.in_place[z]);
    assert_shared(&r, x, z, false);
    free_rooms(&r);
    const uint32_t y_first[] = {0, 0, 1, 2};
    r = make_rooms(graph, MN__JOIN_SLICES, y_first);
    assert_true(r.alias.in_place[z]);
    assert_shared(&r, x, z, true);
    free_rooms(&r);
    const uint32_t z_first[] = {0, 0, 2, 1};
    r = make_rooms(graph, MN__JOIN_SLICES, z_first);
    assert_false(r.alias.in_place[z]);
    free_rooms(&r);
    mn_graph_free(graph);
}

/* A reshape keeps what it looks at alive; the reshape itself may be written over. */
static void test_reshape_is_looked_through(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_conv(&t, tool_input(&t, 2, 2, 2), 4);
    uint32_t flat = tool_reshape(&t, x, (mn_shape){1, 1, 16});
    uint32_t a = tool_one(&t, MN_PRIM_RELU, x);
    uint32_t b = tool_one(&t, MN_PRIM_RELU, flat);
    mn_graph *graph = tool_finish(&t, 2, (uint32_t[]){a, b});
    const uint32_t when[] = {0, 0, 0, 1, 2};
    rooms r = make_rooms(graph, MN__JOIN_SLICES, when);
    assert_shared(&r, x, flat, true);
    assert_false(r.alias.in_place[a]);
    assert_true(r.alias.in_place[b]);
    assert_int_equal(r.alias.views[b].pixel_stride, 16);
    free_rooms(&r);
    mn_graph_free(graph);
}

/* sum = old + young goes into a concat. In place, the concat's buffer would live from `old` on;
 * so `young` is taken, or neither, or the concat copies. */
static void test_joinings(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t old = tool_conv(&t, tool_input(&t, 2, 2, 2), 4);
    uint32_t young = tool_conv(&t, tool_conv(&t, old, 8), 4);
    uint32_t sum = tool_pair(&t, MN_PRIM_ADD, old, young);
    uint32_t other = tool_conv(&t, sum, 2);
    uint32_t all = tool_pair(&t, MN_PRIM_CONCAT, other, sum);
    mn_graph *graph = tool_finish_one(&t, all);
    rooms r = make_rooms(graph, MN__JOIN_IN_PLACE, NULL);
    assert_shared(&r, young, all, true);
    assert_shared(&r, old, all, false);
    assert_int_equal(r.alias.views[young].channel_offset, 2);
    assert_int_equal(r.alias.views[young].pixel_stride, 6);
    assert_false(r.alias.has_step[all]);
    free_rooms(&r);
    r = make_rooms(graph, MN__JOIN_SLICES, NULL);
    assert_shared(&r, young, all, false);
    assert_shared(&r, sum, all, true);
    assert_false(r.alias.in_place[sum]);
    free_rooms(&r);
    r = make_rooms(graph, MN__JOIN_COPIES, NULL);
    assert_shared(&r, sum, all, false);
    assert_true(r.alias.in_place[sum]);
    assert_true(r.alias.has_step[all]);
    free_rooms(&r);
    mn_graph_free(graph);
}

/* Graph inputs and outputs, what a reshape reads, and what is a slice elsewhere are copied. */
static void test_what_cannot_be_a_slice(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 2, 2, 2);
    uint32_t a = tool_conv(&t, x, 2);
    uint32_t out = tool_conv(&t, x, 2);
    uint32_t read = tool_conv(&t, x, 2);
    uint32_t flat = tool_reshape(&t, read, (mn_shape){1, 1, 8});
    uint32_t first = tool_pair(&t, MN_PRIM_CONCAT, a, a);
    uint32_t second = tool_join(&t, MN_PRIM_CONCAT, 5, (uint32_t[]){x, a, out, read, first});
    mn_graph *graph = tool_finish(&t, 3, (uint32_t[]){second, out, flat});
    rooms r = make_rooms(graph, MN__JOIN_IN_PLACE, NULL);
    assert_shared(&r, x, second, false);
    assert_shared(&r, out, second, false);
    assert_shared(&r, read, second, false);
    assert_shared(&r, read, flat, true);
    assert_shared(&r, first, second, true); /* a concat inside a concat, with a inside it */
    assert_shared(&r, a, first, true);
    assert_int_equal(r.alias.views[a].channel_offset, 8);
    assert_int_equal(r.alias.views[a].pixel_stride, 12);
    assert_true(r.alias.has_step[first]);
    assert_true(r.alias.has_step[second]);
    free_rooms(&r);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_order_is_careful),
        cmocka_unit_test(test_reshape_is_looked_through),
        cmocka_unit_test(test_joinings),
        cmocka_unit_test(test_what_cannot_be_a_slice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

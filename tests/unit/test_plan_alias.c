/* Aliases: where values lie, given what the order decided. Nothing is decided here, so the tests
 * write the decisions down by hand. */
#include "plan_rooms.h"

#include "plan/alias.h"

typedef struct decided {
    rooms *rooms;
    mn__order order; /* nothing lies in or over anything until a test says so */
    mn__alias alias;
} decided;

static decided decide(const mn_graph *graph)
{
    uint32_t nodes = mn_graph_node_count(graph);
    decided d = {.rooms = make_rooms(graph)};
    d.order.host = malloc(nodes * sizeof *d.order.host);
    d.order.over = malloc(nodes * sizeof *d.order.over);
    assert_non_null(d.order.host);
    assert_non_null(d.order.over);
    for (uint32_t n = 0; n < nodes; n++) {
        d.order.host[n] = MN_NONE;
        d.order.over[n] = MN_NONE;
    }
    return d;
}

static void lay_out(decided *d)
{
    mn_error err;
    assert_ok(mn__alias_find(&d->rooms->values, &d->order, &d->alias, &err), &err);
}

static void forget(decided *d)
{
    mn__alias_done(&d->alias);
    mn__order_done(&d->order);
    free_rooms(d->rooms);
}

static void assert_view(const decided *d, uint32_t value, uint32_t like, uint32_t at, uint32_t by)
{
    assert_int_equal(d->alias.views[value].buffer, d->alias.views[like].buffer);
    assert_int_equal(d->alias.views[value].channel_offset, at);
    assert_int_equal(d->alias.views[value].pixel_stride, by);
}

/* A reshape has no step and no buffer: the same bytes under its own shape. */
static void test_reshape(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 2, 2, 4);
    uint32_t flat = tool_reshape(&t, x, (mn_shape){1, 1, 16});
    mn_graph *graph = tool_finish_one(&t, tool_dense(&t, flat, 3));
    decided d = decide(graph);
    lay_out(&d);
    assert_view(&d, flat, x, 0, 16);
    assert_view(&d, x, x, 0, 4);
    assert_false(d.alias.has_step[x]);
    assert_false(d.alias.has_step[flat]);
    assert_int_equal(d.alias.buffer_count, 2);
    assert_int_equal(d.alias.buffer_bytes[0], 64);
    assert_int_equal(d.alias.buffer_bytes[1], 16); /* 12, rounded up */
    forget(&d);
    mn_graph_free(graph);
}

/* A result written over an input shares its buffer; a chain of them has one. */
static void test_over(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 2, 2, 4);
    uint32_t a = tool_one(&t, MN_PRIM_RELU, x);
    uint32_t b = tool_one(&t, MN_PRIM_RELU6, a);
    mn_graph *graph = tool_finish_one(&t, b);
    decided d = decide(graph);
    d.order.over[a] = x;
    d.order.over[b] = a;
    lay_out(&d);
    assert_view(&d, b, x, 0, 4);
    assert_true(d.alias.in_place[a] && d.alias.in_place[b]);
    assert_false(d.alias.in_place[x]);
    assert_int_equal(d.alias.buffer_count, 1);
    forget(&d);
    d = decide(graph);
    lay_out(&d);
    assert_false(d.alias.in_place[a] || d.alias.in_place[b]);
    assert_int_equal(d.alias.buffer_count, 3);
    forget(&d);
    mn_graph_free(graph);
}

/* Channels: outer = [c 4 | inner = [a 4 | b 2] 6]; b lies under the sum that takes its place. */
static void test_slices_nest(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 2, 2, 2);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t b = tool_conv(&t, x, 2);
    uint32_t sum = tool_pair(&t, MN_PRIM_ADD, x, b);
    uint32_t c = tool_conv(&t, x, 4);
    uint32_t inner = tool_pair(&t, MN_PRIM_CONCAT, a, sum);
    uint32_t outer = tool_pair(&t, MN_PRIM_CONCAT, c, inner);
    mn_graph *graph = tool_finish_one(&t, outer);
    decided d = decide(graph);
    d.order.host[a] = inner;
    d.order.host[b] = sum;
    d.order.host[sum] = inner;
    d.order.host[c] = outer;
    d.order.host[inner] = outer;
    lay_out(&d);
    assert_view(&d, c, outer, 0, 10);
    assert_view(&d, inner, outer, 4, 10);
    assert_view(&d, a, outer, 4, 10);
    assert_view(&d, sum, outer, 8, 10);
    assert_view(&d, b, outer, 8, 10);
    assert_true(d.alias.in_place[sum]);
    assert_false(d.alias.in_place[b] || d.alias.in_place[inner]);
    assert_true(d.alias.has_step[sum]);
    assert_false(d.alias.has_step[inner]);
    assert_false(d.alias.has_step[outer]);
    assert_int_equal(d.alias.buffer_count, 2);
    assert_int_equal(d.alias.buffer_bytes[d.alias.views[outer].buffer], 160);
    forget(&d);
    mn_graph_free(graph);
}

/* A concat has a step as soon as one of its inputs does not lie in it: another value, or the second
 * time that it reads the same one, which lies in the first slice. */
static void test_concats_that_copy(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 2, 2, 2);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t b = tool_conv(&t, x, 4);
    uint32_t twice = tool_join(&t, MN_PRIM_CONCAT, 3, (uint32_t[]){b, a, a});
    mn_graph *graph = tool_finish_one(&t, twice);
    decided d = decide(graph);
    d.order.host[a] = twice;
    d.order.host[b] = twice;
    lay_out(&d);
    assert_view(&d, a, twice, 4, 12);
    assert_true(d.alias.has_step[twice]);
    forget(&d);
    d = decide(graph);
    lay_out(&d);
    assert_view(&d, a, a, 0, 4);
    assert_true(d.alias.has_step[twice]);
    assert_int_equal(d.alias.buffer_count, 4);
    forget(&d);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reshape),
        cmocka_unit_test(test_over),
        cmocka_unit_test(test_slices_nest),
        cmocka_unit_test(test_concats_that_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

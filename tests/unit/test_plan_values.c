/* Values, who reads them and where they may lie: a small graph by hand, random ones against the
 * definitions, spelt out slowly. */
#include "plan_rooms.h"

static void
assert_list(const mn__lists *lists, uint32_t node, uint32_t count, const uint32_t *expected)
{
    assert_int_equal(mn__list_count(lists, node), count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(mn__list_of(lists, node)[i], expected[i]);
}

/* x -> a -> flat (a reshape) ; a, flat -> sum ; x -> b -> relu ; (relu, b, b) -> all. */
static void test_by_hand(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 2, 2, 3);
    uint32_t a = tool_conv(&t, x, 3);
    uint32_t flat = tool_reshape(&t, a, (mn_shape){1, 4, 3});
    uint32_t sum = tool_pair(&t, MN_PRIM_ADD, flat, flat);
    uint32_t b = tool_conv(&t, x, 3);
    uint32_t relu = tool_one(&t, MN_PRIM_RELU, b);
    uint32_t all = tool_join(&t, MN_PRIM_CONCAT, 3, (uint32_t[]){relu, b, b});
    uint32_t last = tool_conv(&t, all, 1);
    mn_graph *graph = tool_finish(&t, 2, (uint32_t[]){sum, last});
    rooms *r = make_rooms(graph);
    const mn__values *v = &r->values;
    assert_int_equal(v->value_of[flat], a);
    assert_int_equal(v->value_of[sum], sum);
    assert_int_equal(v->bytes[x], 48);
    assert_int_equal(v->bytes[all], 4 * 4 * 9);
    assert_list(&v->inputs, flat, 0, NULL); /* neither kernel nor concat */
    assert_list(&v->inputs, sum, 1, (uint32_t[]){a});
    assert_list(&v->inputs, all, 2, (uint32_t[]){relu, b});
    assert_list(&v->readers, x, 2, (uint32_t[]){a, b});
    assert_list(&v->readers, a, 1, (uint32_t[]){sum});
    assert_list(&v->readers, flat, 0, NULL);
    assert_list(&v->readers, b, 2, (uint32_t[]){relu, all});
    assert_list(&v->hosts, relu, 1, (uint32_t[]){all});
    assert_list(&v->hosts, b, 2, (uint32_t[]){relu, all}); /* under relu, which has a host */
    assert_list(&v->hosts, a, 0, NULL);                    /* reshaped, and the sum has no host */
    assert_list(&v->hosts, all, 0, NULL);
    assert_true(v->is_dense[x] && v->is_dense[a] && v->is_dense[sum] && v->is_dense[last]);
    assert_false(v->is_dense[b] || v->is_dense[relu] || v->is_dense[all]);
    assert_true(v->is_output[sum] && v->is_output[last]);
    assert_false(v->is_output[a] || v->is_output[x]);
    free_rooms(r);
    mn_graph_free(graph);
}

/* An output that is reshaped, and a reshaped output: the value that has the bytes is the output. */
static void test_outputs_through_reshapes(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t a = tool_conv(&t, tool_input(&t, 2, 2, 2), 2);
    uint32_t flat = tool_reshape(&t, a, (mn_shape){1, 1, 8});
    uint32_t again = tool_reshape(&t, flat, (mn_shape){1, 2, 4});
    mn_graph *graph = tool_finish_one(&t, again);
    rooms *r = make_rooms(graph);
    assert_int_equal(r->values.value_of[again], a);
    assert_true(r->values.is_output[a]);
    assert_true(r->values.is_dense[a]);
    assert_false(mn__values_is_made(&r->values, flat));
    assert_true(mn__values_is_made(&r->values, a));
    free_rooms(r);
    mn_graph_free(graph);
}

/* ---- random graphs --------------------------------------------------------------------------- */

static uint32_t looked_through(const mn_graph *graph, uint32_t n)
{
    while (mn_graph_node(graph, n)->prim == MN_PRIM_RESHAPE)
        n = mn_graph_node(graph, n)->inputs[0];
    return n;
}

static bool reads(const mn_graph *graph, uint32_t n, uint32_t x)
{
    const mn_node *node = mn_graph_node(graph, n);
    for (uint32_t i = 0; node->prim != MN_PRIM_RESHAPE && i < node->input_count; i++)
        if (looked_through(graph, node->inputs[i]) == x)
            return true;
    return false;
}

static bool is_dense(const mn_graph *graph, uint32_t x)
{
    bool dense = mn_graph_node(graph, x)->prim == MN_PRIM_INPUT;
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++)
        dense = dense || (n != x && looked_through(graph, n) == x);
    for (uint32_t i = 0; i < mn_graph_output_count(graph); i++)
        dense = dense || looked_through(graph, mn_graph_output(graph, i)) == x;
    return dense;
}

/* By the kernel's own word, which the stand-ins give: 16 bytes or none. */
static bool can_write_over(const mn_graph *graph, uint32_t n, uint32_t x)
{
    const mn_node *node = mn_graph_node(graph, n);
    const mn_node *in = mn_graph_node(graph, x);
    bool by_rows = node->prim == MN_PRIM_CONV && node->groups == in->shape.c &&
                   node->window.stride_h == 1 && depthwise_in_place_scratch >= 0 &&
                   4 * mn_shape_elements(node->shape) > 16;
    return mn_shape_equal(node->shape, in->shape) &&
           (by_rows || node->prim == MN_PRIM_ADD || node->prim == MN_PRIM_RELU ||
            node->prim == MN_PRIM_RELU6);
}

static bool may_lie_in(const mn_graph *graph, uint32_t x, uint32_t h)
{
    if (!reads(graph, h, x) || is_dense(graph, x))
        return false;
    if (mn_graph_node(graph, h)->prim == MN_PRIM_CONCAT)
        return true;
    for (uint32_t up = h + 1; up < mn_graph_node_count(graph); up++)
        if (may_lie_in(graph, h, up))
            return can_write_over(graph, h, x);
    return false;
}

static bool has(const mn__lists *lists, uint32_t node, uint32_t item)
{
    uint32_t times = 0;
    for (uint32_t i = 0; i < mn__list_count(lists, node); i++)
        times += mn__list_of(lists, node)[i] == item;
    assert_true(times <= 1);
    return times == 1;
}

static void assert_defined(const mn_graph *graph, const mn__values *v)
{
    for (uint32_t x = 0; x < v->nodes; x++) {
        bool is_value = looked_through(graph, x) == x;
        assert_int_equal(v->value_of[x], looked_through(graph, x));
        for (uint32_t n = 0; n < v->nodes; n++) {
            assert_int_equal(has(&v->inputs, n, x), is_value && reads(graph, n, x));
            assert_int_equal(has(&v->readers, x, n), is_value && reads(graph, n, x));
            assert_int_equal(has(&v->hosts, x, n), is_value && may_lie_in(graph, x, n));
        }
        if (is_value)
            assert_int_equal(v->is_dense[x], is_dense(graph, x));
        for (uint32_t i = 1; i < mn__list_count(&v->readers, x); i++)
            assert_true(mn__list_of(&v->readers, x)[i - 1] < mn__list_of(&v->readers, x)[i]);
        for (uint32_t i = 1; i < mn__list_count(&v->hosts, x); i++)
            assert_true(mn__list_of(&v->hosts, x)[i - 1] < mn__list_of(&v->hosts, x)[i]);
    }
}

static void test_random_graphs(void **state)
{
    (void)state;
    mn_random random = mn_random_make(6, 1);
    uint32_t hosts = 0;
    uint32_t kernels = 0;
    for (uint32_t i = 0; i < 600; i++) {
        depthwise_in_place_scratch = i % 2 == 0 ? 16 : -1;
        mn_graph *graph = tool_random_graph(&random, (tool_random){.nodes = 20, .channels = 1});
        rooms *r = make_rooms(graph);
        assert_defined(graph, &r->values);
        hosts += r->values.hosts.start[r->values.nodes];
        for (uint32_t k = 0; k < r->values.hosts.start[r->values.nodes]; k++)
            kernels += mn__values_prim(&r->values, r->values.hosts.items[k]) != MN_PRIM_CONCAT;
        free_rooms(r);
        mn_graph_free(graph);
    }
    depthwise_in_place_scratch = -1;
    assert_true(hosts > 500);
    assert_true(kernels > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_outputs_through_reshapes),
        cmocka_unit_test(test_random_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What lies over an input, to the byte: element-wise kernels, reshapes, depthwise convolutions with
 * the rows that they keep in scratch, and where each is refused. Maps of 4x4x4 floats: 256 bytes.
 */
#include "plan_sim.h"

#include "memnet/deploy.h"

static void assert_proven(const mn_plan *plan, size_t arena)
{
    assert_int_equal(plan->arena_bytes, arena);
    assert_int_equal(plan->peak_bytes, arena);
    assert_int_equal(plan->lower_bound_bytes, arena);
    assert_true(plan->order_proven);
    assert_true(plan->offsets_proven);
}

/* The step of a node. */
static const mn_step *step_of(const mn_plan *plan, uint32_t node)
{
    for (uint32_t t = 0; t < plan->step_count; t++)
        if (plan->steps[t].node == node)
            return &plan->steps[t];
    fail_msg("node %u has no step", node);
    return NULL;
}

/* ---- element by element ---------------------------------------------------------------------- */

static uint32_t add_elementwise(tool *t, mn_prim prim, uint32_t x)
{
    return prim == MN_PRIM_ADD ? tool_pair(t, prim, x, x) : tool_one(t, prim, x);
}

static const mn_prim elementwise[] = {MN_PRIM_RELU, MN_PRIM_RELU6, MN_PRIM_ADD};
enum { ELEMENTWISE = sizeof elementwise / sizeof elementwise[0] };

/* Over the graph's input, which dies: one buffer for all. */
static void test_elementwise(void **state)
{
    (void)state;
    for (int i = 0; i < ELEMENTWISE; i++) {
        tool t = tool_start();
        uint32_t y = add_elementwise(&t, elementwise[i], tool_input(&t, 4, 4, 4));
        mn_graph *graph = tool_finish_one(&t, y);
        mn_plan *plan = sim_plan(graph, NULL);
        assert_proven(plan, 256);
        assert_true(plan->steps[0].in_place);
        assert_int_equal(plan->steps[0].live_bytes, 256);
        assert_int_equal(plan->steps[0].scratch, MN_NONE);
        assert_int_equal(plan->weights_bytes, 0);
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
}

/* The input is an output of the graph too, and so has to stay: two buffers. */
static void test_elementwise_spares_what_lives_on(void **state)
{
    (void)state;
    for (int i = 0; i < ELEMENTWISE; i++) {
        tool t = tool_start();
        uint32_t x = tool_input(&t, 4, 4, 4);
        uint32_t y = add_elementwise(&t, elementwise[i], x);
        mn_graph *graph = tool_finish(&t, 2, (uint32_t[]){y, x});
        mn_plan *plan = sim_plan(graph, NULL);
        assert_proven(plan, 512);
        assert_false(plan->steps[0].in_place);
        assert_int_equal(plan->steps[0].live_bytes, 512);
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
}

/* x is read by a relu and by a convolution to 64 bytes. The convolution comes first (256 + 64), so
 * that the relu may write over x; the other way round there would be 256 + 256 + 64. */
static void test_order_lets_a_kernel_write_over(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    uint32_t y = tool_one(&t, MN_PRIM_RELU, x);
    uint32_t small = tool_conv(&t, x, 1);
    mn_graph *graph = tool_finish(&t, 2, (uint32_t[]){y, small});
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 256 + 64);
    assert_int_equal(plan->steps[0].node, small);
    assert_true(plan->steps[1].in_place);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* x and two convolutions of 256 bytes each; the add writes over one of its inputs. */
static void test_residual_add(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    uint32_t b = tool_conv(&t, tool_conv(&t, x, 4), 4);
    uint32_t sum = tool_pair(&t, MN_PRIM_ADD, x, b);
    mn_graph *graph = tool_finish_one(&t, sum);
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 768);
    assert_true(plan->steps[2].in_place);
    assert_int_equal(plan->steps[2].live_bytes, 512);
    assert_int_equal(plan->buffer_count, 3);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* An input that a later kernel reads too is no target; the other one is. */
static void test_add_takes_the_input_that_dies(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t sum = tool_pair(&t, MN_PRIM_ADD, a, x);
    uint32_t b = tool_conv(&t, sum, 4);
    uint32_t last = tool_pair(&t, MN_PRIM_ADD, b, a);
    mn_graph *graph = tool_finish_one(&t, last);
    mn_plan *plan = sim_plan(graph, NULL);
    assert_int_equal(plan->views[sum].buffer, plan->views[x].buffer);
    assert_int_not_equal(plan->views[sum].buffer, plan->views[a].buffer);
    assert_int_equal(step_of(plan, sum)->live_bytes, 512);
    assert_proven(plan, 768); /* a, the sum and b */
    mn_plan_free(plan);
    mn_graph_free(graph);
}

static void test_add_of_two_outputs(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t sum = tool_pair(&t, MN_PRIM_ADD, x, a);
    mn_graph *graph = tool_finish(&t, 3, (uint32_t[]){sum, a, x});
    mn_plan *plan = sim_plan(graph, NULL);
    assert_false(plan->steps[1].in_place);
    assert_proven(plan, 768);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* ---- reshape, identity ----------------------------------------------------------------------- */

/* One buffer for a chain of element-wise kernels, the graph's input among them; a reshape between
 * them is neither a step nor a buffer. */
static void test_chain_through_a_reshape(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_one(&t, MN_PRIM_RELU, tool_input(&t, 4, 4, 4));
    uint32_t flat = tool_reshape(&t, tool_one(&t, MN_PRIM_RELU6, x), (mn_shape){1, 16, 4});
    uint32_t y = tool_one(&t, MN_PRIM_RELU, tool_pair(&t, MN_PRIM_ADD, flat, flat));
    mn_graph *graph = tool_finish_one(&t, y);
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 256);
    assert_int_equal(plan->buffer_count, 1);
    assert_int_equal(plan->step_count, 4);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* A reshape keeps what it looks at alive: both relus read the same bytes, so the second in order
 * alone may write over them. */
static void test_reshape_is_looked_through(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    uint32_t flat = tool_reshape(&t, x, (mn_shape){1, 1, 64});
    uint32_t a = tool_one(&t, MN_PRIM_RELU, x);
    uint32_t b = tool_one(&t, MN_PRIM_RELU, flat);
    mn_graph *graph = tool_finish(&t, 2, (uint32_t[]){a, b});
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 512);
    assert_false(plan->steps[0].in_place);
    assert_true(plan->steps[1].in_place);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* An identity has no kernel; the deploy pass leaves none: two maps for the two convolutions. */
static void test_identity_is_gone(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t a = tool_conv(&t, tool_input(&t, 4, 4, 4), 4);
    uint32_t b = tool_conv(&t, tool_one(&t, MN_PRIM_IDENTITY, a), 4);
    mn_graph *graph = tool_finish_one(&t, tool_one(&t, MN_PRIM_IDENTITY, b));
    mn_graph *deployed = NULL;
    mn_error err;
    assert_ok(mn_deploy(graph, NULL, &deployed, NULL, &err), &err);
    mn_plan *plan = sim_plan(deployed, NULL);
    assert_int_equal(plan->step_count, 2);
    assert_proven(plan, 512);
    mn_plan_free(plan);
    mn_graph_free(deployed);
    mn_graph_free(graph);
}

/* ---- depthwise, row by row ------------------------------------------------------------------- */

static void reset_scratch(void)
{
    conv_scratch = 0;
    depthwise_scratch = 0;
    depthwise_in_place_scratch = -1;
}

/* The kernel refuses: input and result side by side. */
static void test_depthwise_apart(void **state)
{
    (void)state;
    tool t = tool_start();
    mn_graph *graph = tool_finish_one(&t, tool_depthwise(&t, tool_input(&t, 4, 4, 4)));
    depthwise_scratch = 24;
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 512 + 32);
    assert_int_equal(plan->steps[0].live_bytes, 512 + 32);
    assert_false(plan->steps[0].in_place);
    assert_int_equal(plan->weights_bytes, 4 * (9 * 4 + 4));
    mn_plan_free(plan);
    mn_graph_free(graph);
    reset_scratch();
}

/* One map and the rows, rounded up, in place of two maps; the other kernel's scratch counts not. */
static void test_depthwise_in_place(void **state)
{
    (void)state;
    const int32_t rows[] = {0, 4, 40, 48, 240};
    const size_t bytes[] = {0, 16, 48, 48, 240};
    tool t = tool_start();
    mn_graph *graph = tool_finish_one(&t, tool_depthwise(&t, tool_input(&t, 4, 4, 4)));
    depthwise_scratch = 64;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        depthwise_in_place_scratch = rows[i];
        mn_plan *plan = sim_plan(graph, NULL);
        assert_proven(plan, 256 + bytes[i]);
        assert_true(plan->steps[0].in_place);
        assert_int_equal(plan->steps[0].live_bytes, 256 + bytes[i]);
        assert_int_equal(plan->buffer_count, bytes[i] > 0 ? 2 : 1);
        assert_int_equal(plan->steps[0].scratch == MN_NONE, bytes[i] == 0);
        if (bytes[i] > 0)
            assert_int_equal(plan->buffers[plan->steps[0].scratch].bytes, bytes[i]);
        mn_plan_free(plan);
    }
    mn_graph_free(graph);
    reset_scratch();
}

/* Rows that come to as much as the map (244 is rounded to 256), stride 2, and stride 2 on a single
 * pixel, where the shapes agree, but the kernel refuses. */
static void test_depthwise_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t side, stride;
        int32_t rows;
        size_t arena;
    } cases[] = {{4, 1, 244, 512}, {4, 1, 256, 512}, {4, 2, 0, 256 + 64}, {1, 2, 0, 16 + 16}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tool t = tool_start();
        uint32_t x = tool_input(&t, cases[i].side, cases[i].side, 4);
        mn_graph *graph = tool_finish_one(&t, tool_depthwise_by(&t, x, cases[i].stride));
        depthwise_in_place_scratch = cases[i].rows;
        mn_plan *plan = sim_plan(graph, NULL);
        assert_proven(plan, cases[i].arena);
        assert_false(plan->steps[0].in_place);
        assert_int_equal(plan->steps[0].scratch, MN_NONE);
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
    reset_scratch();
}

/* A dense convolution of equal shapes never is. With one channel it is depthwise, too. */
static void test_dense_convolution(void **state)
{
    (void)state;
    depthwise_in_place_scratch = 16;
    for (uint32_t channels = 1; channels <= 2; channels++) {
        tool t = tool_start();
        uint32_t x = tool_input(&t, 4, 4, channels);
        mn_graph *graph = tool_finish_one(&t, tool_conv(&t, x, channels));
        mn_plan *plan = sim_plan(graph, NULL);
        assert_proven(plan, channels == 1 ? 64 + 16 : 2 * 128);
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
    reset_scratch();
}

/* The operand is read by a convolution as well: that one comes first (256 + 256), and then the
 * operand dies (256 + 256 + 48). When it has to stay, both maps are there. */
static void test_depthwise_spares_what_lives_on(void **state)
{
    (void)state;
    depthwise_in_place_scratch = 48;
    for (int stays = 0; stays < 2; stays++) {
        tool t = tool_start();
        uint32_t x = tool_input(&t, 4, 4, 4);
        uint32_t y = tool_depthwise(&t, x);
        uint32_t z = tool_conv(&t, x, 4);
        mn_graph *graph = tool_finish(&t, stays ? 3 : 2, (uint32_t[]){y, z, x});
        mn_plan *plan = sim_plan(graph, NULL);
        assert_proven(plan, stays ? 768 : 512 + 48);
        assert_int_equal(step_of(plan, y)->in_place, !stays);
        assert_int_equal(step_of(plan, y)->scratch == MN_NONE, stays);
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
    reset_scratch();
}

/* A chain of them, as blocks of mobile networks have: conv 16 channels, depthwise, conv 4. In place
 * the widest step has one wide map 1024, its input 256 or the rows 192. */
static void test_inverted_bottleneck(void **state)
{
    (void)state;
    for (int in_place = 0; in_place < 2; in_place++) {
        tool t = tool_start();
        uint32_t wide = tool_conv(&t, tool_input(&t, 4, 4, 4), 16);
        mn_graph *graph = tool_finish_one(&t, tool_conv(&t, tool_depthwise(&t, wide), 4));
        depthwise_in_place_scratch = in_place ? 192 : -1;
        mn_plan *plan = sim_plan(graph, NULL);
        assert_proven(plan, in_place ? 1024 + 256 : 2 * 1024);
        assert_int_equal(plan->steps[1].live_bytes, in_place ? 1024 + 192 : 2 * 1024);
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
    reset_scratch();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elementwise),
        cmocka_unit_test(test_elementwise_spares_what_lives_on),
        cmocka_unit_test(test_order_lets_a_kernel_write_over),
        cmocka_unit_test(test_residual_add),
        cmocka_unit_test(test_add_takes_the_input_that_dies),
        cmocka_unit_test(test_add_of_two_outputs),
        cmocka_unit_test(test_chain_through_a_reshape),
        cmocka_unit_test(test_reshape_is_looked_through),
        cmocka_unit_test(test_identity_is_gone),
        cmocka_unit_test(test_depthwise_apart),
        cmocka_unit_test(test_depthwise_in_place),
        cmocka_unit_test(test_depthwise_refused),
        cmocka_unit_test(test_dense_convolution),
        cmocka_unit_test(test_depthwise_spares_what_lives_on),
        cmocka_unit_test(test_inverted_bottleneck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

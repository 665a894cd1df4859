/* Plans for the sake of their sizes: nodes of which nothing else is known, elements of other sizes,
 * constants that are no float32 tensors. Maps have 4x4 pixels. */
#include "plan_sim.h"

static mn_plan *plan_sizes(const mn_graph *graph)
{
    mn_plan_opts opts = mn_plan_opts_default();
    opts.sizes_only = true;
    mn_plan *plan = sim_plan(graph, &opts);
    assert_true(plan->sizes_only);
    return plan;
}

static void assert_proven(const mn_plan *plan, size_t arena)
{
    assert_int_equal(plan->arena_bytes, arena);
    assert_int_equal(plan->lower_bound_bytes, arena);
    assert_true(plan->order_proven);
    assert_true(plan->offsets_proven);
}

/* Without sizes_only the graph is refused in one line that ends in `text`. */
static void assert_refused(const mn_graph *graph, const char *text)
{
    mn_plan *plan = NULL;
    mn_error err;
    assert_int_equal(mn_plan_create(graph, NULL, &plan, &err), MN_ERR_UNSUPPORTED);
    assert_string_equal(err.message, text);
    assert_null(plan);
}

static uint32_t
add_typed(tool *t, mn_prim prim, uint32_t count, const uint32_t *inputs, uint32_t element_bytes)
{
    return tool_add(t,
                    (mn_node_spec){.prim = prim,
                                   .inputs = inputs,
                                   .input_count = count,
                                   .shape = {4, 4, 4},
                                   .layer = MN_NONE,
                                   .element_bytes = element_bytes});
}

static uint32_t add_opaque(tool *t, uint32_t x, uint32_t element_bytes)
{
    return add_typed(t, MN_PRIM_OPAQUE, 1, &x, element_bytes);
}

/* ---- opaque nodes ---------------------------------------------------------------------------- */

/* Only with s and p in slices of k2 from the start are 75 units enough. What p becomes on its way
 * to the last concat lies there, too, and does not come on top of it. */
static void test_parts_of_several(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t in = tool_op(&t, 1, 0, NULL);
    uint32_t s = tool_op(&t, 35, 1, &in);
    uint32_t x = tool_op(&t, 30, 1, &s);
    uint32_t y = tool_op(&t, 5, 1, &s);
    uint32_t p = tool_op(&t, 5, 2, (uint32_t[]){x, y});
    uint32_t u = tool_op(&t, 5, 1, &x);
    uint32_t c = tool_op(&t, 5, 1, &p);
    uint32_t z = tool_op(&t, 1, 1, &c);
    uint32_t k2 = tool_pair(&t, MN_PRIM_CONCAT, s, p);
    uint32_t k3 = tool_pair(&t, MN_PRIM_CONCAT, p, z);
    uint32_t last = tool_pair(&t, MN_PRIM_CONCAT, c, u);
    mn_graph *graph = tool_finish(&t, 3, (uint32_t[]){k2, k3, last});
    mn_plan *plan = plan_sizes(graph);
    assert_true(plan->order_proven);
    assert_int_equal(plan->peak_bytes, 75 * 16);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* Whatever it does, it reads and writes: never in place, though the shapes agree. */
static void test_opaque(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = add_opaque(&t, tool_input(&t, 4, 4, 4), 0);
    mn_graph *graph = tool_finish_one(&t, tool_one(&t, MN_PRIM_RELU, x));
    assert_refused(graph, "node 'n1': opaque has no kernel");
    mn_plan *plan = plan_sizes(graph);
    assert_proven(plan, 512);
    assert_int_equal(plan->step_count, 2);
    assert_false(plan->steps[0].in_place);
    assert_true(plan->steps[1].in_place);
    assert_int_equal(plan->steps[1].live_bytes, 256);
    mn_error err;
    plan->sizes_only = false;
    assert_error(mn_plan_check(graph, plan, &err), MN_ERR_INTERNAL, &err, "no kernel can run it");
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* Without inputs it has a step all the same, and several inputs are read together: a, b and c, each
 * 256. c is copied, so that the concat 512 is opened when a and b are gone. */
static void test_opaque_inputs(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t a = add_typed(&t, MN_PRIM_OPAQUE, 0, NULL, 0);
    uint32_t b = tool_input(&t, 4, 4, 4);
    uint32_t c = add_typed(&t, MN_PRIM_OPAQUE, 2, (uint32_t[]){a, b}, 0);
    uint32_t d = tool_conv(&t, c, 4);
    mn_graph *graph = tool_finish_one(&t, tool_pair(&t, MN_PRIM_CONCAT, c, d));
    mn_plan *plan = plan_sizes(graph);
    assert_proven(plan, 768); /* c in its slice: a 256, b 256 and the concat 512 */
    assert_int_equal(plan->step_count, 4);
    assert_int_equal(plan->weights_bytes, 4 * (3 * 3 * 4 * 4 + 4));
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* What the deploy pass takes away is refused with sizes_only, too. */
static void test_deploy_comes_first(void **state)
{
    (void)state;
    tool t = tool_start();
    mn_graph *graph = tool_finish_one(&t, tool_one(&t, MN_PRIM_IDENTITY, tool_input(&t, 4, 4, 4)));
    mn_plan_opts opts = mn_plan_opts_default();
    mn_plan *plan = NULL;
    mn_error err;
    opts.sizes_only = true;
    assert_error(mn_plan_create(graph, &opts, &plan, &err),
                 MN_ERR_UNSUPPORTED,
                 &err,
                 "node 'n1': identity has no kernel: run the deploy pass first");
    assert_null(plan);
    mn_graph_free(graph);
}

/* An activation that no kernel fuses: as many bytes as without. */
static void test_fused_activation(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    uint32_t y = tool_add(&t,
                          (mn_node_spec){.prim = MN_PRIM_OPAQUE,
                                         .inputs = &x,
                                         .input_count = 1,
                                         .shape = {4, 4, 1},
                                         .act = MN_ACT_RELU,
                                         .layer = MN_NONE});
    mn_graph *graph = tool_finish_one(&t, y);
    mn_plan *plan = plan_sizes(graph);
    assert_proven(plan, 256 + 64);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* ---- elements of other sizes ----------------------------------------------------------------- */

/* 64 elements each of 1, 2 and 8 bytes: 64, 128, 512. No value lies over one of other elements,
 * though all shapes agree; the last relu, of equal ones, does. */
static void test_mixed_elements(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = add_typed(&t, MN_PRIM_INPUT, 0, NULL, 1);
    uint32_t a = add_typed(&t, MN_PRIM_RELU, 1, &x, 2);
    uint32_t b = add_typed(&t, MN_PRIM_RELU6, 1, &a, 8);
    uint32_t c = add_typed(&t, MN_PRIM_RELU, 1, &b, 8);
    mn_graph *graph = tool_finish_one(&t, c);
    assert_refused(graph, "node 'n0': a value of 1-byte elements has no kernel");
    mn_plan *plan = plan_sizes(graph);
    assert_proven(plan, 128 + 512);
    assert_int_equal(plan->buffer_count, 3);
    assert_int_equal(plan->buffers[plan->views[x].buffer].bytes, 64);
    assert_int_equal(plan->steps[0].live_bytes, 64 + 128);
    assert_int_equal(plan->steps[1].live_bytes, 128 + 512);
    assert_int_equal(plan->steps[2].live_bytes, 512);
    assert_false(plan->steps[0].in_place || plan->steps[1].in_place);
    assert_true(plan->steps[2].in_place);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* A reshape is its input under another shape, and of the same type. */
static void test_reshape_of_another_type(void **state)
{
    (void)state;
    tool t = tool_start();
    mn_plan_opts opts = mn_plan_opts_default();
    mn_plan *plan = NULL;
    mn_error err;
    uint32_t x = add_typed(&t, MN_PRIM_INPUT, 0, NULL, 1);
    mn_node_spec spec = {.prim = MN_PRIM_RESHAPE,
                         .inputs = &x,
                         .input_count = 1,
                         .shape = {1, 1, 64},
                         .element_bytes = 2,
                         .layer = MN_NONE};
    mn_graph *graph = tool_finish_one(&t, tool_add(&t, spec));
    opts.sizes_only = true;
    assert_error(mn_plan_create(graph, &opts, &plan, &err),
                 MN_ERR_UNSUPPORTED,
                 &err,
                 "node 'n1': a reshape to elements of 2 bytes, expected 1");
    assert_null(plan);
    mn_graph_free(graph);
}

static void test_constants_without_a_kernel(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    mn_node_spec spec = {.prim = MN_PRIM_RELU,
                         .inputs = &x,
                         .input_count = 1,
                         .constant_bytes = 8,
                         .layer = MN_NONE};
    mn_graph *graph = tool_finish_one(&t, tool_add(&t, spec));
    assert_refused(graph, "node 'n1': constants that are no tensors have no kernel");
    mn_graph_free(graph);
}

/* 4-byte elements, once by the precision and once by name, are the same. */
static void test_named_float(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    mn_graph *graph = tool_finish_one(&t, add_typed(&t, MN_PRIM_RELU, 1, &x, 4));
    assert_refused(graph, "node 'n1': a value of 4-byte elements has no kernel");
    mn_plan *plan = plan_sizes(graph);
    assert_proven(plan, 256);
    assert_true(plan->steps[0].in_place);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* An add takes the operand whose elements are as wide as its own: the second one. */
static void test_add_of_mixed_elements(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t inputs[] = {add_typed(&t, MN_PRIM_INPUT, 0, NULL, 8),
                         add_typed(&t, MN_PRIM_INPUT, 0, NULL, 2)};
    mn_graph *graph = tool_finish_one(&t, add_typed(&t, MN_PRIM_ADD, 2, inputs, 2));
    mn_plan *plan = plan_sizes(graph);
    assert_proven(plan, 512 + 128);
    assert_true(plan->steps[0].in_place);
    assert_int_equal(plan->views[2].buffer, plan->views[inputs[1]].buffer);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* Of a byte and of two: the concat, of two, has the second as a slice and copies the first. The
 * view counts elements. */
static void test_concat_of_mixed_elements(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = add_typed(&t, MN_PRIM_INPUT, 0, NULL, 1);
    uint32_t a = add_opaque(&t, x, 1);
    uint32_t b = add_opaque(&t, a, 2);
    uint32_t all = add_typed(&t, MN_PRIM_CONCAT, 2, (uint32_t[]){a, b}, 2);
    mn_graph *graph = tool_finish_one(&t, all);
    mn_plan *plan = plan_sizes(graph);
    assert_proven(plan, 64 + 256);
    assert_int_equal(plan->views[b].buffer, plan->views[all].buffer);
    assert_int_equal(plan->views[b].channel_offset, 4);
    assert_int_equal(plan->views[b].pixel_stride, 8);
    assert_int_not_equal(plan->views[a].buffer, plan->views[all].buffer);
    assert_int_equal(plan->step_count, 3);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* The rows of a depthwise convolution in place have the value's elements: of 32 bytes of floats, 8
 * remain, which round to 16. */
static void test_rows_of_bytes(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = add_typed(&t, MN_PRIM_INPUT, 0, NULL, 1);
    uint32_t y = tool_add(&t,
                          (mn_node_spec){.prim = MN_PRIM_CONV,
                                         .inputs = &x,
                                         .input_count = 1,
                                         .channels = 4,
                                         .groups = 4,
                                         .window = mn_window_same((mn_shape){4, 4, 4}, 3, 3, 1, 1),
                                         .layer = MN_NONE,
                                         .element_bytes = 1});
    mn_graph *graph = tool_finish_one(&t, y);
    depthwise_in_place_scratch = 32;
    mn_plan *plan = plan_sizes(graph);
    assert_proven(plan, 64 + 16);
    assert_true(plan->steps[0].in_place);
    mn_plan_free(plan);
    mn_graph_free(graph);
    depthwise_in_place_scratch = -1;
}

/* ---- constants ------------------------------------------------------------------------------- */

/* Where the file says what the constants take, that counts in place of the tensors. */
static void test_constant_bytes(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    uint32_t y = tool_add(&t,
                          (mn_node_spec){.prim = MN_PRIM_CONV,
                                         .inputs = &x,
                                         .input_count = 1,
                                         .channels = 4,
                                         .window = mn_window_same((mn_shape){4, 4, 4}, 3, 3, 1, 1),
                                         .bias = true,
                                         .layer = MN_NONE,
                                         .constant_bytes = 160});
    uint32_t z = tool_add(&t,
                          (mn_node_spec){.prim = MN_PRIM_OPAQUE,
                                         .inputs = &y,
                                         .input_count = 1,
                                         .shape = {4, 4, 4},
                                         .layer = MN_NONE,
                                         .constant_bytes = 7});
    mn_graph *graph = tool_finish_one(&t, tool_conv(&t, z, 1));
    mn_plan *plan = plan_sizes(graph);
    assert_int_equal(plan->weights_bytes, 160 + 7 + 4 * (3 * 3 * 4 + 1));
    assert_int_equal(plan->total_bytes, plan->weights_bytes + 512);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* Sums of constants that do not fit are refused. */
static void test_constants_do_not_fit(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    for (int i = 0; i < 2; i++)
        x = tool_add(&t,
                     (mn_node_spec){.prim = MN_PRIM_OPAQUE,
                                    .inputs = &x,
                                    .input_count = 1,
                                    .shape = {4, 4, 4},
                                    .layer = MN_NONE,
                                    .constant_bytes = SIZE_MAX / 2 + 1});
    mn_graph *graph = tool_finish_one(&t, x);
    mn_plan_opts opts = mn_plan_opts_default();
    mn_plan *plan = NULL;
    mn_error err;
    opts.sizes_only = true;
    assert_error(mn_plan_create(graph, &opts, &plan, &err), MN_ERR_LIMIT, &err, "weights do not");
    mn_graph_free(graph);
}

/* ---- random graphs --------------------------------------------------------------------------- */

/* The same graph with other element sizes, and every eighth node opaque. A reshape has the elements
 * of what it looks at. */
static mn_graph *retype(const mn_graph *graph, mn_random *random)
{
    const uint32_t sizes[] = {0, 1, 2, 8};
    uint32_t elements[16] = {0};
    tool t = tool_start();
    assert_true(mn_graph_node_count(graph) <= 16);
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++) {
        const mn_node *node = mn_graph_node(graph, n);
        bool free_form = node->prim != MN_PRIM_INPUT && node->prim != MN_PRIM_RESHAPE;
        mn_node_spec spec = {.prim = node->prim,
                             .inputs = node->inputs,
                             .input_count = node->input_count,
                             .shape = node->shape,
                             .channels = node->shape.c,
                             .window = node->window,
                             .groups = node->groups,
                             .layer = MN_NONE};
        spec.element_bytes = sizes[mn_random_below(random, 4)];
        if (node->input_count > 0 && mn_random_below(random, 4) > 0)
            spec.element_bytes = elements[node->inputs[0]];
        if (node->prim == MN_PRIM_RESHAPE)
            spec.element_bytes = elements[node->inputs[0]];
        if (free_form && mn_random_below(random, 8) == 0)
            spec.prim = MN_PRIM_OPAQUE;
        elements[tool_add(&t, spec)] = spec.element_bytes;
    }
    return tool_finish(&t, 1, (uint32_t[]){mn_graph_node_count(graph) - 1});
}

/* Whatever the types: the simulator finds every byte where it should be. */
static void test_random_types(void **state)
{
    (void)state;
    mn_random random = mn_random_make(5, 1);
    uint32_t in_place = 0;
    uint32_t slices = 0;
    for (uint32_t i = 0; i < 800; i++) {
        conv_scratch = i % 3 == 0 ? 20 : 0;
        depthwise_in_place_scratch = i % 2 == 0 ? 16 : -1;
        mn_graph *plain = tool_random_graph(&random, (tool_random){.nodes = 14, .channels = 2});
        mn_graph *graph = retype(plain, &random);
        mn_plan *plan = plan_sizes(graph);
        for (uint32_t s = 0; s < plan->step_count; s++)
            in_place += plan->steps[s].in_place;
        for (uint32_t n = 0; n < plan->value_count; n++)
            slices += plan->views[n].pixel_stride > mn_graph_node(graph, n)->shape.c;
        mn_plan_free(plan);
        mn_graph_free(graph);
        mn_graph_free(plain);
    }
    conv_scratch = 0;
    depthwise_in_place_scratch = -1;
    assert_true(in_place > 100);
    assert_true(slices > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_of_several),
        cmocka_unit_test(test_opaque),
        cmocka_unit_test(test_opaque_inputs),
        cmocka_unit_test(test_deploy_comes_first),
        cmocka_unit_test(test_fused_activation),
        cmocka_unit_test(test_mixed_elements),
        cmocka_unit_test(test_reshape_of_another_type),
        cmocka_unit_test(test_constants_without_a_kernel),
        cmocka_unit_test(test_named_float),
        cmocka_unit_test(test_add_of_mixed_elements),
        cmocka_unit_test(test_concat_of_mixed_elements),
        cmocka_unit_test(test_rows_of_bytes),
        cmocka_unit_test(test_constant_bytes),
        cmocka_unit_test(test_constants_do_not_fit),
        cmocka_unit_test(test_random_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

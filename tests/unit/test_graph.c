/* The graph builder: shapes, tensors and padding by the definitions; refusals; sticking errors. */
#include "test.h"

#include "alloc_failure.h"
#include "memnet/graph.h"

/* An input (7,6,4), node 0, and what a test adds to it. */
static mn_graph_builder *start(void)
{
    mn_graph_builder *builder = NULL;
    mn_error err;
    mn_node_spec input = {.prim = MN_PRIM_INPUT, .name = "x", .shape = {7, 6, 4}, .layer = MN_NONE};
    assert_ok(mn_graph_builder_create(&builder, &err), &err);
    assert_int_equal(mn_graph_add(builder, &input), 0);
    return builder;
}

static mn_window window(uint32_t kernel, uint32_t stride, uint32_t dilation, uint32_t pad)
{
    return (mn_window){kernel, kernel, stride, stride, dilation, dilation, pad, pad, pad, pad};
}

static const uint32_t first[] = {0, 0, 0};

typedef struct shape_case {
    mn_node_spec spec;
    mn_shape shape;
    uint32_t weight[4]; /* zeros: none */
    uint64_t macs;
} shape_case;

static void test_shapes_and_tensors(void **state)
{
    (void)state;
    const shape_case cases[] = {
        {{.prim = MN_PRIM_CONV, .input_count = 1, .channels = 5, .window = window(3, 1, 1, 0)},
         {5, 4, 5},
         {5, 4, 3, 3},
         5 * 4 * 5 * 4 * 9},
        {{.prim = MN_PRIM_CONV, .input_count = 1, .channels = 5, .window = window(3, 2, 2, 2)},
         {4, 3, 5},
         {5, 4, 3, 3},
         4 * 3 * 5 * 4 * 9},
        {{.prim = MN_PRIM_CONV,
          .input_count = 1,
          .channels = 8,
          .groups = 2,
          .window = window(1, 1, 1, 0)},
         {7, 6, 8},
         {8, 2, 1, 1},
         7 * 6 * 8 * 2},
        {{.prim = MN_PRIM_CONV,
          .input_count = 1,
          .channels = 4,
          .groups = 4,
          .window = window(5, 1, 1, 2)},
         {7, 6, 4},
         {4, 1, 5, 5},
         7 * 6 * 4 * 25},
        {{.prim = MN_PRIM_MAX_POOL, .input_count = 1, .window = window(2, 2, 1, 0)},
         {3, 3, 4},
         {0},
         0},
        {{.prim = MN_PRIM_AVG_POOL, .input_count = 1, .window = window(3, 2, 1, 1)},
         {4, 3, 4},
         {0},
         0},
        {{.prim = MN_PRIM_FULLY_CONNECTED, .input_count = 1, .channels = 10},
         {1, 1, 10},
         {10, 4, 7, 6},
         10 * 4 * 7 * 6},
        {{.prim = MN_PRIM_GLOBAL_POOL, .input_count = 1}, {1, 1, 4}, {0}, 0},
        {{.prim = MN_PRIM_CONCAT, .input_count = 3}, {7, 6, 12}, {0}, 0},
        {{.prim = MN_PRIM_ADD, .input_count = 2}, {7, 6, 4}, {0}, 0},
        {{.prim = MN_PRIM_RELU6, .input_count = 1}, {7, 6, 4}, {0}, 0},
        {{.prim = MN_PRIM_RESHAPE, .input_count = 1, .shape = {1, 2, 84}}, {1, 2, 84}, {0}, 0},
        {{.prim = MN_PRIM_OPAQUE, .input_count = 2, .shape = {9, 9, 9}}, {9, 9, 9}, {0}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mn_graph_builder *builder = start();
        mn_graph *graph = NULL;
        mn_error err;
        mn_node_spec spec = cases[i].spec;
        spec.name = "y";
        spec.inputs = first;
        spec.bias = spec.prim == MN_PRIM_CONV;
        spec.layer = 3;
        uint32_t output = mn_graph_add(builder, &spec);
        assert_ok(mn_graph_builder_finish(builder, &output, 1, &graph, &err), &err);
        const mn_node *node = mn_graph_node(graph, 1);
        assert_true(mn_shape_equal(node->shape, cases[i].shape));
        assert_int_equal(node->layer, 3);
        assert_int_equal(mn_graph_macs(graph), cases[i].macs);
        uint32_t weight = node->tensors[MN_ROLE_WEIGHT];
        assert_int_equal(weight != MN_NONE, cases[i].weight[0] != 0);
        if (weight != MN_NONE) {
            assert_memory_equal(
                mn_graph_tensor(graph, weight)->dims, cases[i].weight, sizeof cases[i].weight);
            assert_string_equal(mn_graph_tensor(graph, weight)->name, "y.weight");
        }
        assert_int_equal(node->tensors[MN_ROLE_BIAS] != MN_NONE, spec.prim == MN_PRIM_CONV);
        mn_graph_free(graph);
        mn_graph_builder_free(builder);
    }
}

/* Running statistics are tensors, but no parameters. */
static void test_parameters(void **state)
{
    (void)state;
    mn_graph_builder *builder = start();
    mn_graph *graph = NULL;
    mn_error err;
    mn_node_spec norm = {
        .prim = MN_PRIM_BATCH_NORM, .name = "n", .inputs = first, .input_count = 1};
    uint32_t output = mn_graph_add(builder, &norm);
    assert_ok(mn_graph_builder_finish(builder, &output, 1, &graph, &err), &err);
    assert_int_equal(mn_graph_tensor_count(graph), 4);
    assert_int_equal(mn_graph_parameters(graph), 2 * 4);
    assert_true(mn_graph_node(graph, 1)->epsilon == 1e-5f);
    mn_graph_free(graph);
    mn_graph_builder_free(builder);
}

/* "Same" windows yield ceil(input / stride), whatever the kernel. */
static void test_same_windows(void **state)
{
    (void)state;
    for (uint32_t side = 1; side <= 12; side++)
        for (uint32_t kernel = 1; kernel <= 7; kernel++)
            for (uint32_t stride = 1; stride <= 3; stride++)
                for (uint32_t dilation = 1; dilation <= 2; dilation++) {
                    mn_shape in = {side, 13 - side, 2};
                    mn_graph_builder *builder = NULL;
                    mn_error err;
                    assert_ok(mn_graph_builder_create(&builder, &err), &err);
                    mn_node_spec input = {.prim = MN_PRIM_INPUT, .name = "x", .shape = in};
                    mn_node_spec conv = {.prim = MN_PRIM_CONV,
                                         .name = "y",
                                         .inputs = first,
                                         .input_count = 1,
                                         .channels = 1,
                                         .window =
                                             mn_window_same(in, kernel, kernel, stride, dilation)};
                    mn_graph_add(builder, &input);
                    mn_shape out = mn_graph_builder_shape(builder, mn_graph_add(builder, &conv));
                    assert_int_equal(out.h, (in.h + stride - 1) / stride);
                    assert_int_equal(out.w, (in.w + stride - 1) / stride);
                    mn_graph_builder_free(builder);
                }
}

typedef struct refusal {
    mn_node_spec spec;
    mn_status status;
    const char *message;
} refusal;

static const uint32_t unknown[] = {5};
static const uint32_t none[] = {MN_NONE};

static const refusal refusals[] = {
    {{.prim = MN_PRIM_RELU, .name = "", .inputs = first, .input_count = 1},
     MN_ERR_ARG,
     "needs a name"},
    {{.prim = MN_PRIM_COUNT, .name = "y"}, MN_ERR_ARG, "no primitive"},
    {{.prim = MN_PRIM_ADD, .name = "y", .inputs = first, .input_count = 1},
     MN_ERR_ARG,
     "node 1 'y': add: 1 inputs, expected 2 to 2"},
    {{.prim = MN_PRIM_RELU, .name = "y", .inputs = unknown, .input_count = 1},
     MN_ERR_ARG,
     "node 5 out of range [0,1)"},
    {{.prim = MN_PRIM_RELU, .name = "y", .inputs = none, .input_count = 1},
     MN_ERR_ARG,
     "out of range [0,1)"},
    {{.prim = MN_PRIM_INPUT, .name = "y", .shape = {3, 0, 3}}, MN_ERR_LIMIT, "(3,0,3)"},
    {{.prim = MN_PRIM_INPUT, .name = "y", .shape = {UINT32_MAX, UINT32_MAX, UINT32_MAX}},
     MN_ERR_LIMIT,
     "expected 1 to"},
    {{.prim = MN_PRIM_RESHAPE,
      .name = "y",
      .inputs = first,
      .input_count = 1,
      .shape = {1, 1, 167}},
     MN_ERR_ARG,
     "cannot reshape (7,6,4)"},
    {{.prim = MN_PRIM_CONV,
      .name = "y",
      .inputs = first,
      .input_count = 1,
      .channels = 6,
      .groups = 4,
      .window = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}},
     MN_ERR_ARG,
     "4 groups do not divide 4 input and 6 output"},
    {{.prim = MN_PRIM_CONV,
      .name = "y",
      .inputs = first,
      .input_count = 1,
      .channels = 6,
      .window = {8, 1, 1, 1, 1, 1, 0, 0, 0, 0}},
     MN_ERR_ARG,
     "does not fit into 7x6"},
    {{.prim = MN_PRIM_CONV,
      .name = "y",
      .inputs = first,
      .input_count = 1,
      .channels = 6,
      .window = {1, 1, 0, 1, 1, 1, 0, 0, 0, 0}},
     MN_ERR_ARG,
     "expected at least 1"},
    /* 2^32 + 5 rows: must not wrap to 5 */
    {{.prim = MN_PRIM_CONV,
      .name = "y",
      .inputs = first,
      .input_count = 1,
      .channels = 1,
      .window = {1, 1, 1, 1, 1, 1, UINT32_MAX - 2, 0, 1, 0}},
     MN_ERR_LIMIT,
     "expected 1 to"},
    {{.prim = MN_PRIM_CONV,
      .name = "y",
      .inputs = first,
      .input_count = 1,
      .channels = 1 << 26,
      .window = {1, 1, 7, 6, 1, 1, 0, 0, 0, 0}},
     MN_OK,
     ""},
    {{.prim = MN_PRIM_CONV,
      .name = "y",
      .inputs = first,
      .input_count = 1,
      .channels = 1 << 26,
      .window = {3, 3, 7, 6, 1, 1, 0, 0, 0, 0}},
     MN_ERR_LIMIT,
     "weight (67108864,4,3,3)"},
    {{.prim = MN_PRIM_MAX_POOL,
      .name = "y",
      .inputs = first,
      .input_count = 1,
      .window = {2, 2, 1, 1, 1, 1, 2, 0, 0, 0}},
     MN_ERR_ARG,
     "padding of a pool"},
    {{.prim = MN_PRIM_AVG_POOL,
      .name = "y",
      .inputs = first,
      .input_count = 1,
      .window = {2, 2, 1, 1, 2, 1, 0, 0, 0, 0}},
     MN_ERR_ARG,
     "pools have no dilation"},
    {{.prim = MN_PRIM_FAKE_QUANT,
      .name = "y",
      .inputs = first,
      .input_count = 1,
      .grid = {.scale = 0.1f, .zero_point = 300, .low = -128, .high = 127}},
     MN_ERR_ARG,
     "zero point 300 out of range [-128,127]"},
    {{.prim = MN_PRIM_FAKE_QUANT,
      .name = "y",
      .inputs = first,
      .input_count = 1,
      .grid = {.scale = 0.0f, .low = -128, .high = 127}},
     MN_ERR_ARG,
     "expected a positive scale"},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        mn_graph_builder *builder = start();
        mn_graph *graph = NULL;
        mn_error err;
        uint32_t node = mn_graph_add(builder, &refusals[i].spec);
        assert_int_equal(node, refusals[i].status == MN_OK ? 1 : MN_NONE);
        assert_error(mn_graph_builder_finish(builder, first, 1, &graph, &err),
                     refusals[i].status,
                     &err,
                     refusals[i].message);
        assert_int_equal(graph != NULL, refusals[i].status == MN_OK);
        mn_graph_free(graph);
        mn_graph_builder_free(builder);
    }
}

/* The first error is the one that is told; after it nothing is added; a builder finishes once. */
static void test_errors_stick(void **state)
{
    (void)state;
    mn_graph_builder *builder = start();
    mn_graph *graph = NULL;
    mn_error err;
    mn_node_spec wrong = {.prim = MN_PRIM_ADD, .name = "bad", .inputs = first, .input_count = 1};
    mn_node_spec right = {.prim = MN_PRIM_RELU, .name = "good", .inputs = first, .input_count = 1};
    assert_int_equal(mn_graph_add(builder, &wrong), MN_NONE);
    assert_int_equal(mn_graph_add(builder, &right), MN_NONE);
    assert_error(
        mn_graph_builder_finish(builder, first, 1, &graph, &err), MN_ERR_ARG, &err, "'bad'");
    assert_int_equal(mn_graph_add(builder, &right), MN_NONE);
    mn_graph_builder_free(builder);

    builder = start();
    assert_ok(mn_graph_builder_finish(builder, first, 1, &graph, &err), &err);
    mn_graph_free(graph);
    graph = NULL;
    assert_error(mn_graph_builder_finish(builder, first, 1, &graph, &err),
                 MN_ERR_ARG,
                 &err,
                 "finished before");
    assert_null(graph);
    mn_graph_builder_free(builder);
    mn_graph_builder_free(NULL);
    mn_graph_free(NULL);
}

static void test_outputs_and_names(void **state)
{
    (void)state;
    const struct {
        uint32_t count;
        uint32_t outputs[2];
        const char *name;
        const char *message;
    } cases[] = {
        {0, {0, 0}, "y", "needs an output"},
        {2, {0, 2}, "y", "output 1: node 2 out of range [0,2)"},
        {2, {1, 1}, "y", "node 1 is an output twice"},
        {1, {1, 0}, "x", "two nodes are named 'x'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mn_graph_builder *builder = start();
        mn_graph *graph = NULL;
        mn_error err;
        mn_node_spec spec = {
            .prim = MN_PRIM_RELU, .name = cases[i].name, .inputs = first, .input_count = 1};
        assert_int_equal(mn_graph_add(builder, &spec), 1);
        assert_error(
            mn_graph_builder_finish(builder, cases[i].outputs, cases[i].count, &graph, &err),
            MN_ERR_ARG,
            &err,
            cases[i].message);
        assert_null(graph);
        mn_graph_builder_free(builder);
    }
}

/* 70 nodes: past the first growth of every array. */
static mn_status build_long(mn_graph **ret_graph, mn_error *err)
{
    mn_graph_builder *builder = NULL;
    mn_status status = mn_graph_builder_create(&builder, err);
    if (status != MN_OK)
        return status;
    mn_node_spec input = {.prim = MN_PRIM_INPUT, .name = "x", .shape = {3, 3, 2}};
    uint32_t last = mn_graph_add(builder, &input);
    for (int i = 0; i < 70; i++) {
        char name[16];
        uint32_t from = last;
        snprintf(name, sizeof name, "conv%d", i);
        mn_node_spec spec = {.prim = MN_PRIM_CONV,
                             .name = name,
                             .inputs = &from,
                             .input_count = 1,
                             .channels = 2,
                             .window = window(1, 1, 1, 0)};
        last = mn_graph_add(builder, &spec);
    }
    status = mn_graph_builder_finish(builder, &last, 1, ret_graph, err);
    mn_graph_builder_free(builder);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    size_t n = 0;
    for (bool failed = true; failed;) {
        mn_graph *graph = NULL;
        mn_error err;
        alloc_fail_at(++n);
        mn_status status = build_long(&graph, &err);
        failed = alloc_has_failed();
        assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
        assert_int_equal(graph == NULL, failed);
        mn_graph_free(graph);
    }
    assert_true(n > 4 * 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes_and_tensors),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_same_windows),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_errors_stick),
        cmocka_unit_test(test_outputs_and_names),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, alloc_failure_setup, NULL);
}

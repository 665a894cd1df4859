/* The reference run, with kernels and plan, against the plain evaluation of quant_slow.h, bit by
 * bit and layer by layer, on random graphs, numbers and grids. */
#include "quant_slow.h"

typedef struct watcher {
    const slow *expected;
    uint32_t visits;
    uint32_t sliced; /* results with gaps between their pixels */
} watcher;

static void compare(void *context, uint32_t n, const int8_t *values, uint32_t pixel_stride)
{
    watcher *w = context;
    mn_shape shape = mn_graph_node(w->expected->graph, n)->shape;
    const int8_t *expected = w->expected->values[n];
    for (uint32_t p = 0; p < shape.h * shape.w; p++)
        for (uint32_t c = 0; c < shape.c; c++)
            if (values[(size_t)p * pixel_stride + c] != expected[(size_t)p * shape.c + c])
                fail_msg("node %u (%s), pixel %u, channel %u: %d, expected %d",
                         n,
                         mn_prim_name(mn_graph_node(w->expected->graph, n)->prim),
                         p,
                         c,
                         values[(size_t)p * pixel_stride + c],
                         expected[(size_t)p * shape.c + c]);
    w->visits++;
    w->sliced += pixel_stride > shape.c && shape.h * shape.w > 1;
}

/* One grid for every class, of a scale between 1/1000 and 1, zero anywhere. */
static mn_quant *
convert_to_random_grids(const mn_graph *graph, const mn_tensors *tensors, mn_random *random)
{
    uint32_t nodes = mn_graph_node_count(graph);
    mn_quant_value *values = calloc(nodes, sizeof *values);
    uint32_t *classes = calloc(nodes, sizeof *classes);
    mn_quant *quant = NULL;
    mn_error err;
    assert_true(values != NULL && classes != NULL);
    mn_quant_classes(graph, classes);
    for (uint32_t n = 0; n < nodes; n++)
        values[n] =
            classes[n] != n
                ? values[classes[n]]
                : (mn_quant_value){.scale = powf(10.0f, -3.0f * mn_random_uniform(random)),
                                   .zero_point = (int32_t)mn_random_below(random, 256) - 128};
    assert_ok(mn_quant_convert(graph, tensors, values, &quant, &err), &err);
    free(values);
    free(classes);
    return quant;
}

/* A data set of a few random images of the graph's input, in the caller's memory. */
static mn_quant *calibrate(const mn_graph *graph, const mn_tensors *tensors, mn_random *random)
{
    mn_shape shape = mn_graph_node(graph, 0)->shape;
    size_t elements = mn_shape_elements(shape);
    uint8_t *pixels = malloc(5 * elements);
    mn_dataset dataset = {.shape = shape, .train = {.count = 5, .pixels = pixels}};
    mn_quantize_input input = {.graph = graph,
                               .tensors = tensors,
                               .preprocessing = {.mean = 120, .scale = 0.02f},
                               .dataset = &dataset};
    mn_quantize_opts opts = mn_quantize_opts_default();
    mn_quant *quant = NULL;
    mn_error err;
    assert_non_null(pixels);
    for (size_t i = 0; i < 5 * elements; i++)
        pixels[i] = (uint8_t)mn_random_below(random, 256);
    opts.percentile = mn_random_below(random, 2) == 0 ? 100 : 95;
    assert_ok(mn_quantize(&input, &opts, &quant, &err), &err);
    assert_int_equal(quant->values[0].zero_point, -8);
    free(pixels);
    return quant;
}

static void assert_same(const mn_graph *graph, const mn_quant *quant, mn_random *random, watcher *w)
{
    size_t in = mn_shape_elements(mn_graph_node(graph, 0)->shape);
    uint32_t last = mn_graph_output(graph, 0);
    size_t out = mn_shape_elements(mn_graph_node(graph, last)->shape);
    mn_int8_network *network = NULL;
    mn_error err;
    assert_ok(mn_int8_network_create(graph, quant, &network, &err), &err);
    int8_t *input = calloc(in, 1);
    int8_t *output = calloc(out, 1);
    int8_t *arena = calloc(mn_int8_network_arena_bytes(network), 1);
    assert_true(input != NULL && output != NULL && arena != NULL);
    for (size_t i = 0; i < mn_int8_network_arena_bytes(network); i++)
        arena[i] = 0x5a; /* no kernel may count on zeros */
    for (uint32_t image = 0; image < 3; image++) {
        for (size_t i = 0; i < in; i++)
            input[i] = (int8_t)((int32_t)mn_random_below(random, 256) - 128);
        slow expected = slow_run(graph, quant, input);
        mn_int8_visitor visitor = {.visit = compare, .context = w};
        w->expected = &expected;
        mn_int8_network_run(network, arena, input, output, &visitor);
        assert_memory_equal(output, expected.values[last], out);
        mn_int8_network_run(network, arena, input, output, NULL);
        assert_memory_equal(output, expected.values[last], out);
        slow_done(&expected);
    }
    free(arena);
    free(output);
    free(input);
    mn_int8_network_free(network);
}

static void test_random_graphs(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 7);
    watcher w = {0};
    for (uint32_t i = 0; i < 600; i++) {
        mn_graph *graph = slow_random_graph(&random);
        mn_tensors *tensors = slow_random_tensors(graph, &random);
        mn_quant *quant = i % 2 == 0 ? convert_to_random_grids(graph, tensors, &random)
                                     : calibrate(graph, tensors, &random);
        assert_same(graph, quant, &random, &w);
        mn_quant_free(quant);
        mn_tensors_free(tensors);
        mn_graph_free(graph);
    }
    assert_true(w.visits > 5000);
    assert_true(w.sliced > 500);
}

static void test_refusals(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 2, 2, 2);
    uint32_t y = tool_input(&t, 2, 2, 2);
    mn_graph *graph = tool_finish_one(&t, tool_pair(&t, MN_PRIM_ADD, x, y));
    mn_quant *quant = NULL;
    mn_int8_network *network = NULL;
    mn_error err;
    assert_ok(mn_quant_create(graph, &quant, &err), &err);
    assert_error(mn_int8_network_create(graph, quant, &network, &err),
                 MN_ERR_UNSUPPORTED,
                 &err,
                 "2 inputs and 1 outputs");
    mn_quant_free(quant);
    mn_graph_free(graph);
    t = tool_start();
    graph = tool_finish_one(&t, tool_conv(&t, tool_input(&t, 2, 2, 2), 2));
    assert_ok(mn_quant_create(graph, &quant, &err), &err);
    assert_error(
        mn_int8_network_create(graph, quant, &network, &err), MN_ERR_FORMAT, &err, "scale 0");
    assert_null(network);
    mn_int8_network_free(NULL);
    mn_quant_free(quant);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

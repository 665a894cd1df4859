/* The planner: hand-computed plans to the byte, random graphs against a simulator and against the
 * least liveness over all orders, refusals. */
#include "plan_tools.h"

static mn_plan *plan_of(const mn_graph *graph)
{
    mn_plan *plan = NULL;
    mn_error err;
    assert_ok(mn_plan_create(graph, NULL, &plan, &err), &err);
    const char *problem = sim_problem(graph, plan);
    if (problem != NULL)
        fail_msg("simulator: %s", problem);
    return plan;
}

static void assert_view(const mn_plan *plan, uint32_t value, uint32_t channel, uint32_t stride)
{
    assert_int_equal(plan->views[value].channel_offset, channel);
    assert_int_equal(plan->views[value].pixel_stride, stride);
}

static void assert_proven(const mn_plan *plan, size_t arena)
{
    assert_int_equal(plan->arena_bytes, arena);
    assert_int_equal(plan->lower_bound_bytes, arena);
    assert_true(plan->order_proven);
    assert_true(plan->offsets_proven);
}

/* input 128 bytes, two convolutions of 256: the two are alive together. */
static void test_chain(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t a = tool_conv(&t, tool_input(&t, 4, 4, 2), 4);
    uint32_t b = tool_conv(&t, a, 4);
    mn_graph *graph = tool_finish_one(&t, b);
    mn_plan *plan = plan_of(graph);
    assert_proven(plan, 512);
    assert_int_equal(plan->step_count, 2);
    assert_int_equal(plan->steps[0].live_bytes, 384);
    assert_int_equal(plan->steps[1].live_bytes, 512);
    assert_int_equal(plan->weights_bytes, 4 * (3 * 3 * 2 * 4 + 4 + 3 * 3 * 4 * 4 + 4));
    assert_int_equal(plan->total_bytes, plan->weights_bytes + 512);
    assert_int_equal(plan->macs, 16 * (3 * 3 * 2 * 4 + 3 * 3 * 4 * 4));
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* x and two convolutions of 256 bytes each; the add writes over one of its inputs. */
static void test_residual_add_in_place(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    uint32_t b = tool_conv(&t, tool_conv(&t, x, 4), 4);
    uint32_t sum = tool_pair(&t, MN_PRIM_ADD, x, b);
    mn_graph *graph = tool_finish_one(&t, sum);
    mn_plan *plan = plan_of(graph);
    assert_proven(plan, 768);
    assert_true(plan->steps[2].in_place);
    assert_int_equal(plan->steps[2].live_bytes, 512);
    assert_int_equal(plan->buffer_count, 3);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* One buffer for a chain of element-wise kernels, the graph's input among them. */
static void test_elementwise_chain_in_place(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_one(&t, MN_PRIM_RELU, tool_input(&t, 4, 4, 4));
    x = tool_reshape(&t, tool_one(&t, MN_PRIM_RELU6, x), (mn_shape){1, 16, 4});
    x = tool_one(&t, MN_PRIM_RELU, tool_pair(&t, MN_PRIM_ADD, x, x));
    mn_graph *graph = tool_finish_one(&t, x);
    mn_plan *plan = plan_of(graph);
    assert_proven(plan, 256);
    assert_int_equal(plan->buffer_count, 1);
    assert_int_equal(plan->step_count, 4);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* An input that a later kernel reads too is no target; the other one is. */
static void test_add_spares_what_is_read_later(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t sum = tool_pair(&t, MN_PRIM_ADD, a, x);
    uint32_t b = tool_conv(&t, sum, 4);
    uint32_t last = tool_pair(&t, MN_PRIM_ADD, b, a);
    mn_graph *graph = tool_finish_one(&t, last);
    mn_plan *plan = plan_of(graph);
    assert_int_equal(plan->views[sum].buffer, plan->views[x].buffer);
    assert_int_not_equal(plan->views[sum].buffer, plan->views[a].buffer);
    assert_proven(plan, 768);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

static void test_add_of_two_outputs_is_not_in_place(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t sum = tool_pair(&t, MN_PRIM_ADD, x, a);
    mn_graph *graph = tool_finish(&t, 3, (uint32_t[]){sum, a, x});
    mn_plan *plan = plan_of(graph);
    assert_false(plan->steps[1].in_place);
    assert_proven(plan, 768);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* Both convolutions write into the concat: 128 + 512 bytes and no third step. */
static void test_concat_by_slices(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 2);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t b = tool_conv(&t, x, 4);
    uint32_t both = tool_pair(&t, MN_PRIM_CONCAT, a, b);
    mn_graph *graph = tool_finish_one(&t, both);
    mn_plan *plan = plan_of(graph);
    assert_int_equal(plan->arena_bytes, 640);
    assert_int_equal(plan->lower_bound_bytes, 512);
    assert_true(plan->offsets_proven);
    assert_int_equal(plan->step_count, 2);
    assert_int_equal(plan->buffer_count, 2);
    assert_view(plan, a, 0, 8);
    assert_view(plan, b, 4, 8);
    assert_view(plan, both, 0, 8);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

static void test_concat_nests(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 2);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t b = tool_window(&t, MN_PRIM_MAX_POOL, x, 0, 3, 1);
    uint32_t inner = tool_pair(&t, MN_PRIM_CONCAT, a, b);
    uint32_t c = tool_conv(&t, x, 4);
    uint32_t outer = tool_pair(&t, MN_PRIM_CONCAT, c, inner);
    mn_graph *graph = tool_finish_one(&t, outer);
    mn_plan *plan = plan_of(graph);
    assert_int_equal(plan->arena_bytes, 128 + 640);
    assert_int_equal(plan->step_count, 3);
    assert_view(plan, c, 0, 10);
    assert_view(plan, inner, 4, 10);
    assert_view(plan, a, 4, 10);
    assert_view(plan, b, 8, 10);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* The graph's input stays dense, so the concat copies it beside the convolution's slice. */
static void test_concat_of_the_input_copies(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 2);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t both = tool_pair(&t, MN_PRIM_CONCAT, x, a);
    mn_graph *graph = tool_finish_one(&t, both);
    mn_plan *plan = plan_of(graph);
    assert_int_equal(plan->arena_bytes, 128 + 384);
    assert_int_equal(plan->lower_bound_bytes, 384);
    assert_int_equal(plan->step_count, 2);
    assert_int_equal(plan->steps[1].node, both);
    assert_false(plan->steps[1].in_place);
    assert_view(plan, x, 0, 2);
    assert_view(plan, a, 2, 6);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* Twice the same value, and an output that a concat reads: the second place is a copy. */
static void test_concat_copies_what_cannot_be_a_slice(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t b = tool_conv(&t, x, 4);
    uint32_t all = tool_join(&t, MN_PRIM_CONCAT, 3, (uint32_t[]){a, a, b});
    mn_graph *graph = tool_finish(&t, 2, (uint32_t[]){all, b});
    mn_plan *plan = plan_of(graph);
    assert_int_equal(plan->step_count, 3);
    assert_view(plan, a, 0, 12);
    assert_view(plan, b, 0, 4);
    assert_int_equal(plan->arena_bytes, 256 + 256 + 768);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

static void test_depthwise_is_not_in_place(void **state)
{
    (void)state;
    tool t = tool_start();
    mn_graph *graph = tool_finish_one(&t, tool_depthwise(&t, tool_input(&t, 4, 4, 4)));
    mn_plan *plan = plan_of(graph);
    assert_proven(plan, 512);
    assert_int_equal(plan->weights_bytes, 4 * (9 * 4 + 4));
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* 4x4x2 -> relu in place -> pool 2x2x2 -> reshape -> 10 classes: 128 + 32 at most; 40 become 48. */
static void test_classifier(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_one(&t, MN_PRIM_RELU, tool_input(&t, 4, 4, 2));
    uint32_t pool = tool_window(&t, MN_PRIM_AVG_POOL, x, 0, 2, 2);
    uint32_t flat = tool_reshape(&t, pool, (mn_shape){1, 1, 8});
    uint32_t classes = tool_dense(&t, flat, 10);
    mn_graph *graph = tool_finish_one(&t, classes);
    mn_plan *plan = plan_of(graph);
    assert_proven(plan, 160);
    assert_int_equal(plan->step_count, 3);
    assert_int_equal(plan->steps[2].live_bytes, 80);
    assert_int_equal(plan->views[flat].buffer, plan->views[pool].buffer);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

static void test_output_that_is_the_input(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 3, 3, 1);
    uint32_t flat = tool_reshape(&t, x, (mn_shape){1, 1, 9});
    mn_graph *graph = tool_finish(&t, 2, (uint32_t[]){x, flat});
    mn_plan *plan = plan_of(graph);
    assert_proven(plan, 48);
    assert_int_equal(plan->step_count, 0);
    assert_int_equal(plan->buffer_count, 1);
    assert_int_equal(plan->total_bytes, 48);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* Breadth first would keep three large maps; depth first keeps one and three small ones. */
static void test_order_is_chosen(void **state)
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
    uint32_t sum = tool_pair(&t, MN_PRIM_ADD, narrow[0], narrow[1]);
    sum = tool_pair(&t, MN_PRIM_ADD, sum, narrow[2]);
    mn_graph *graph = tool_finish_one(&t, sum);
    mn_plan *plan = plan_of(graph);
    /* image 256, one map 4096, the running sum 64, a pool's result 64 */
    assert_in_range(plan->arena_bytes, 256 + 4096 + 64, 256 + 4096 + 3 * 64);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* A concat of many early, long dead producers is cheaper by copy: turning it over is found. */
static void test_concat_is_turned_over_when_copies_are_smaller(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    uint32_t early = tool_conv(&t, x, 4);
    uint32_t big = tool_conv(&t, early, 64);
    uint32_t small = tool_conv(&t, big, 4);
    uint32_t many[9] = {early};
    for (int i = 1; i < 9; i++)
        many[i] = i == 1 ? tool_conv(&t, small, 4) : tool_conv(&t, many[i - 1], 4);
    uint32_t all = tool_join(&t, MN_PRIM_CONCAT, 9, many);
    mn_graph *graph = tool_finish_one(&t, all);
    mn_plan *plan = plan_of(graph);
    /* slices: concat 2304 beside big 4096 = 6400 at the least; copies: big 4096 + early + small */
    assert_int_equal(plan->arena_bytes, 4096 + 256 + 256);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

static void test_scratch(void **state)
{
    (void)state;
    conv_scratch = 100;
    depthwise_scratch = 20;
    tool t = tool_start();
    uint32_t a = tool_conv(&t, tool_input(&t, 4, 4, 2), 4);
    uint32_t b = tool_depthwise(&t, a);
    mn_graph *graph = tool_finish_one(&t, b);
    mn_plan *plan = plan_of(graph);
    assert_proven(plan, 512 + 32);
    assert_int_equal(plan->steps[0].live_bytes, 384 + 112);
    assert_int_not_equal(plan->steps[0].scratch, MN_NONE);
    mn_plan_free(plan);
    mn_graph_free(graph);
    conv_scratch = 0;
    depthwise_scratch = 0;
}

static void test_alignment(void **state)
{
    (void)state;
    tool t = tool_start();
    mn_graph *graph = tool_finish_one(&t, tool_conv(&t, tool_input(&t, 3, 3, 1), 1));
    mn_plan_opts opts = mn_plan_opts_default();
    assert_int_equal(opts.align, 16);
    const size_t aligns[] = {4, 16, 32, 64, 4096};
    const size_t arenas[] = {72, 96, 128, 128, 8192};
    for (size_t i = 0; i < sizeof aligns / sizeof aligns[0]; i++) {
        mn_plan *plan = NULL;
        mn_error err;
        opts.align = aligns[i];
        assert_ok(mn_plan_create(graph, &opts, &plan, &err), &err);
        assert_proven(plan, arenas[i]);
        mn_plan_free(plan);
    }
    mn_graph_free(graph);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void assert_refused(tool t, uint32_t output, mn_status status, const char *text)
{
    mn_graph *graph = tool_finish_one(&t, output);
    mn_plan *plan = NULL;
    mn_error err;
    assert_error(mn_plan_create(graph, NULL, &plan, &err), status, &err, text);
    assert_null(plan);
    assert_int_equal(mn_plan_create(graph, NULL, &plan, NULL), status);
    mn_graph_free(graph);
}

static void test_primitives_without_a_kernel(void **state)
{
    (void)state;
    const mn_prim prims[] = {MN_PRIM_BATCH_NORM, MN_PRIM_IDENTITY, MN_PRIM_FAKE_QUANT};
    for (size_t i = 0; i < sizeof prims / sizeof prims[0]; i++) {
        tool t = tool_start();
        uint32_t x = tool_input(&t, 2, 2, 2);
        uint32_t y = tool_add(&t,
                              (mn_node_spec){.prim = prims[i],
                                             .inputs = &x,
                                             .input_count = 1,
                                             .grid = {.scale = 1.0f, .low = -128, .high = 127},
                                             .layer = MN_NONE});
        char text[80];
        snprintf(text, sizeof text, "'n1': %s has no kernel: run the", mn_prim_name(prims[i]));
        assert_refused(t, y, MN_ERR_UNSUPPORTED, text);
    }
    tool t = tool_start();
    uint32_t x =
        tool_add(&t, (mn_node_spec){.prim = MN_PRIM_OPAQUE, .shape = {2, 2, 2}, .layer = MN_NONE});
    assert_refused(t, x, MN_ERR_UNSUPPORTED, "'n0': opaque has no kernel");
    t = tool_start();
    x = tool_input(&t, 2, 2, 2);
    x = tool_add(&t,
                 (mn_node_spec){.prim = MN_PRIM_CONCAT,
                                .inputs = &x,
                                .input_count = 1,
                                .act = MN_ACT_RELU,
                                .layer = MN_NONE});
    assert_refused(t, x, MN_ERR_UNSUPPORTED, "'n1': concat with a fused activation");
}

static void test_options(void **state)
{
    (void)state;
    tool t = tool_start();
    mn_graph *graph = tool_finish_one(&t, tool_input(&t, 2, 2, 2));
    mn_plan_opts opts = mn_plan_opts_default();
    mn_plan *plan = NULL;
    mn_error err;
    opts.precision = MN_PRECISION_INT8;
    assert_error(mn_plan_create(graph, &opts, &plan, &err), MN_ERR_UNSUPPORTED, &err, "int8");
    opts.precision = MN_PRECISION_FLOAT32;
    const size_t bad[] = {0, 1, 2, 3, 12, SIZE_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        opts.align = bad[i];
        assert_error(mn_plan_create(graph, &opts, &plan, &err), MN_ERR_ARG, &err, "alignment");
    }
    mn_graph_free(graph);
    t = tool_start();
    graph = tool_finish_one(&t, tool_conv(&t, tool_input(&t, 2, 2, 2), 2));
    opts.align = (size_t)1 << (sizeof(size_t) * 8 - 1);
    assert_error(mn_plan_create(graph, &opts, &plan, &err), MN_ERR_LIMIT, &err, "'n1'");
    assert_null(plan);
    mn_plan_free(NULL);
    mn_graph_free(graph);
}

static void test_precision_names(void **state)
{
    (void)state;
    mn_precision precision = MN_PRECISION_FLOAT32;
    mn_error err;
    assert_ok(mn_precision_parse("int8", &precision, &err), &err);
    assert_int_equal(precision, MN_PRECISION_INT8);
    assert_ok(mn_precision_parse("float32", &precision, &err), &err);
    assert_int_equal(precision, MN_PRECISION_FLOAT32);
    const char *bad[] = {"", "int", "INT8", "float32 ", NULL};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_error(mn_precision_parse(bad[i], &precision, &err), MN_ERR_ARG, &err, "expected");
    assert_string_equal(mn_precision_name((mn_precision)9), "unknown");
}

/* ---- random graphs --------------------------------------------------------------------------- */

/* The least, over all orders, of the most content that is needed at once: concats and reshapes are
 * free, an element-wise kernel may write over an input that nothing needs later. No plan can do
 * with less. Sets of nodes are bits. */
typedef struct exhaustive {
    const mn_graph *graph;
    uint32_t nodes;
    uint32_t kernels;      /* set of the nodes that compute something */
    uint32_t parts[16];    /* of a value: the contents that it is made of */
    uint32_t readers[16];  /* of a content */
    uint32_t output_parts; /* contents that are part of an output */
    size_t best[1 << 12];  /* of a set of kernels that have run */
} exhaustive;

static size_t bytes_of(const exhaustive *x, uint32_t set)
{
    size_t bytes = 0;
    for (uint32_t n = 0; n < x->nodes; n++)
        if (set >> n & 1)
            bytes += 4 * mn_shape_elements(mn_graph_node(x->graph, n)->shape);
    return bytes;
}

/* Contents that are needed when the kernels in `run` have run. */
static uint32_t needed_after(const exhaustive *x, uint32_t run)
{
    uint32_t there = run | (((1u << x->nodes) - 1) & ~x->kernels);
    uint32_t needed = 0;
    for (uint32_t n = 0; n < x->nodes; n++)
        if ((there >> n & 1) && x->parts[n] == 1u << n &&
            ((x->readers[n] & ~run) != 0 || (x->output_parts >> n & 1)))
            needed |= 1u << n;
    return needed;
}

static size_t bytes_while(const exhaustive *x, uint32_t run, uint32_t kernel)
{
    const mn_node *node = mn_graph_node(x->graph, kernel);
    uint32_t after = needed_after(x, run | 1u << kernel);
    bool elementwise =
        node->prim == MN_PRIM_ADD || node->prim == MN_PRIM_RELU || node->prim == MN_PRIM_RELU6;
    uint32_t alive = needed_after(x, run);
    size_t bytes = bytes_of(x, alive);
    size_t result = bytes_of(x, 1u << kernel);
    size_t least = bytes + result;
    for (uint32_t i = 0; elementwise && i < node->input_count; i++) {
        /* What dies with this input makes room; a concat may hold copies beside. */
        size_t rest = bytes_of(x, alive & (after | ~x->parts[node->inputs[i]]));
        least = rest + result < least ? rest + result : least;
    }
    return least > bytes ? least : bytes;
}

static void find_contents(exhaustive *x)
{
    for (uint32_t n = 0; n < x->nodes; n++) {
        const mn_node *node = mn_graph_node(x->graph, n);
        bool arranges = node->prim == MN_PRIM_CONCAT || node->prim == MN_PRIM_RESHAPE;
        if (!arranges)
            x->parts[n] = 1u << n;
        if (!arranges && node->prim != MN_PRIM_INPUT)
            x->kernels |= 1u << n;
        for (uint32_t i = 0; i < node->input_count; i++) {
            uint32_t parts = x->parts[node->inputs[i]];
            if (arranges)
                x->parts[n] |= parts;
            for (uint32_t p = 0; p < n && !arranges; p++)
                if (parts >> p & 1)
                    x->readers[p] |= 1u << n;
        }
    }
    for (uint32_t i = 0; i < mn_graph_output_count(x->graph); i++)
        x->output_parts |= x->parts[mn_graph_output(x->graph, i)];
}

static size_t least_liveness(const mn_graph *graph)
{
    static exhaustive x;
    memset(&x, 0, sizeof x);
    x.graph = graph;
    x.nodes = mn_graph_node_count(graph);
    assert_true(x.nodes <= 12);
    find_contents(&x);
    uint32_t inputs = 0;
    for (uint32_t n = 0; n < x.nodes; n++)
        if (mn_graph_node(graph, n)->prim == MN_PRIM_INPUT)
            inputs |= 1u << n;
    for (uint32_t run = 1; run < 1u << x.nodes; run++)
        x.best[run] = SIZE_MAX;
    x.best[0] = bytes_of(&x, inputs);
    for (uint32_t run = 0; run < 1u << x.nodes; run++) {
        if ((run & ~x.kernels) != 0 || x.best[run] == SIZE_MAX)
            continue;
        for (uint32_t n = 0; n < x.nodes; n++) {
            const mn_node *node = mn_graph_node(graph, n);
            uint32_t wanted = 0;
            for (uint32_t i = 0; i < node->input_count; i++)
                wanted |= x.parts[node->inputs[i]];
            if (!(x.kernels >> n & 1) || (run >> n & 1) || (wanted & x.kernels & ~run) != 0)
                continue;
            size_t bytes = bytes_while(&x, run, n);
            bytes = bytes > x.best[run] ? bytes : x.best[run];
            if (bytes < x.best[run | 1u << n])
                x.best[run | 1u << n] = bytes;
        }
    }
    return x.best[x.kernels];
}

static void assert_sound(const mn_graph *graph, const mn_plan *plan, bool even)
{
    mn_error err;
    size_t largest = 0;
    size_t all = 0;
    size_t least = least_liveness(graph);
    assert_ok(mn_plan_check(graph, plan, &err), &err);
    for (uint32_t t = 0; t < plan->step_count; t++)
        largest = plan->steps[t].live_bytes > largest ? plan->steps[t].live_bytes : largest;
    for (uint32_t b = 0; b < plan->buffer_count; b++)
        all += plan->buffers[b].bytes;
    assert_true(plan->lower_bound_bytes <= plan->arena_bytes);
    assert_true(least <= plan->arena_bytes);
    assert_true(largest <= plan->arena_bytes);
    assert_true(plan->arena_bytes <= all);
    assert_int_equal(plan->arena_bytes % plan->align, 0);
    if (even) /* nothing is rounded, so the quick bound is below the exhaustive one */
        assert_true(plan->lower_bound_bytes <= least);
}

static bool has_concat(const mn_graph *graph)
{
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++)
        if (mn_graph_node(graph, n)->prim == MN_PRIM_CONCAT)
            return true;
    return false;
}

static void test_random_graphs(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 1);
    uint32_t plain = 0;
    uint32_t exact = 0;
    uint32_t slices = 0;
    uint32_t in_place = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        bool even = i % 2 == 0;
        mn_graph *graph =
            tool_random_graph(&random, (tool_random){.nodes = 12, .channels = even ? 4 : 1});
        conv_scratch = i % 5 == 0 && !even ? 20 : 0;
        mn_plan *plan = plan_of(graph);
        assert_sound(graph, plan, even);
        if (even && !has_concat(graph)) {
            plain++;
            exact += plan->arena_bytes == least_liveness(graph);
        }
        for (uint32_t t = 0; t < plan->step_count; t++)
            in_place += plan->steps[t].in_place;
        for (uint32_t v = 0; v < plan->value_count; v++)
            slices += plan->views[v].pixel_stride > mn_graph_node(graph, v)->shape.c;
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
    conv_scratch = 0;
    assert_true(slices > 300); /* the cases are what they are meant to be */
    assert_true(in_place > 300);
    assert_true(plain > 500);
    assert_true(exact * 10 > plain * 9); /* small graphs are mostly planned as well as possible */
}

/* Larger graphs, for what only shows in the large: many concats, crowded arenas. */
static void test_random_large_graphs(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 2);
    for (uint32_t i = 0; i < 60; i++) {
        mn_graph *graph = tool_random_graph(&random, (tool_random){.nodes = 90, .channels = 1});
        mn_plan *plan = plan_of(graph);
        assert_true(plan->lower_bound_bytes <= plan->arena_bytes);
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
}

static void test_same_arguments_same_plan(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 3);
    mn_graph *graph = tool_random_graph(&random, (tool_random){.nodes = 60, .channels = 1});
    mn_plan *a = plan_of(graph);
    mn_plan *b = plan_of(graph);
    assert_int_equal(a->step_count, b->step_count);
    assert_memory_equal(a->views, b->views, a->value_count * sizeof *a->views);
    for (uint32_t t = 0; t < a->step_count; t++)
        assert_int_equal(a->steps[t].node, b->steps[t].node);
    for (uint32_t i = 0; i < a->buffer_count; i++)
        assert_int_equal(a->buffers[i].offset, b->buffers[i].offset);
    mn_plan_free(a);
    mn_plan_free(b);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_residual_add_in_place),
        cmocka_unit_test(test_elementwise_chain_in_place),
        cmocka_unit_test(test_add_spares_what_is_read_later),
        cmocka_unit_test(test_add_of_two_outputs_is_not_in_place),
        cmocka_unit_test(test_concat_by_slices),
        cmocka_unit_test(test_concat_nests),
        cmocka_unit_test(test_concat_of_the_input_copies),
        cmocka_unit_test(test_concat_copies_what_cannot_be_a_slice),
        cmocka_unit_test(test_depthwise_is_not_in_place),
        cmocka_unit_test(test_classifier),
        cmocka_unit_test(test_output_that_is_the_input),
        cmocka_unit_test(test_order_is_chosen),
        cmocka_unit_test(test_concat_is_turned_over_when_copies_are_smaller),
        cmocka_unit_test(test_scratch),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_primitives_without_a_kernel),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_precision_names),
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_random_large_graphs),
        cmocka_unit_test(test_same_arguments_same_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

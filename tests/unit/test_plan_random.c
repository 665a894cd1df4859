/* Plans of random graphs: run by the simulator, accepted by the checker, and never below the least
 * content that any order must keep. */
#include "plan_sim.h"

/* The least, over all orders, of the most content that is needed at once: concats and reshapes are
 * free, and so is writing over an input that nothing needs later. No plan can do with less, be it
 * by the rules of plan/board.h or by others. Sets of nodes are bits. */
typedef struct exhaustive {
    const mn_graph *graph;
    uint32_t nodes;
    uint32_t kernels;      /* set of the nodes that compute something */
    uint32_t parts[16];    /* of a value: the contents that it is made of */
    uint32_t readers[16];  /* of a content */
    uint32_t output_parts; /* contents that are part of an output */
    uint32_t idle;         /* inputs that nobody needs: there at the first step all the same */
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

/* Depthwise in place, with less scratch than the value takes. */
static bool may_run_by_rows(const exhaustive *x, uint32_t kernel)
{
    const mn_node *node = mn_graph_node(x->graph, kernel);
    const mn_node *in = mn_graph_node(x->graph, node->inputs[0]);
    return node->groups == in->shape.c && mn_shape_equal(node->shape, in->shape) &&
           node->window.stride_h == 1 && depthwise_in_place_scratch >= 0 &&
           (size_t)depthwise_in_place_scratch < bytes_of(x, 1u << kernel);
}

static size_t bytes_while(const exhaustive *x, uint32_t run, uint32_t kernel)
{
    const mn_node *node = mn_graph_node(x->graph, kernel);
    uint32_t after = needed_after(x, run | 1u << kernel);
    bool by_rows = node->prim == MN_PRIM_CONV && may_run_by_rows(x, kernel);
    bool over = node->prim == MN_PRIM_ADD || node->prim == MN_PRIM_RELU ||
                node->prim == MN_PRIM_RELU6 || by_rows;
    uint32_t alive = needed_after(x, run);
    size_t bytes = bytes_of(x, alive);
    size_t result = bytes_of(x, 1u << kernel);
    size_t least = bytes + result;
    for (uint32_t i = 0; over && i < node->input_count; i++) {
        /* What dies with this input makes room; a concat may hold copies beside. */
        size_t rest = bytes_of(x, alive & (after | ~x->parts[node->inputs[i]]));
        rest += result + (by_rows ? (size_t)depthwise_in_place_scratch : 0);
        least = rest < least ? rest : least;
    }
    least = least > bytes ? least : bytes;
    return run == 0 ? least + bytes_of(x, x->idle) : least;
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
    for (uint32_t n = 0; n < x->nodes; n++)
        if (mn_graph_node(x->graph, n)->prim == MN_PRIM_INPUT && x->readers[n] == 0 &&
            !(x->output_parts >> n & 1))
            x->idle |= 1u << n;
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

static void assert_sound(const mn_graph *graph, const mn_plan *plan)
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
    assert_true(plan->lower_bound_bytes <= plan->peak_bytes);
    assert_true(plan->peak_bytes <= plan->arena_bytes);
    assert_true(least <= plan->peak_bytes);
    assert_true(plan->arena_bytes <= all);
    assert_int_equal(plan->arena_bytes % plan->align, 0);
    if (plan->step_count > 0)
        assert_int_equal(largest, plan->peak_bytes);
    assert_true(plan->peak_bytes <= plan->greedy_peak_bytes);
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
        depthwise_in_place_scratch = i % 3 == 0 ? 16 : -1;
        mn_plan *plan = sim_plan(graph, NULL);
        assert_sound(graph, plan);
        if (even && !has_concat(graph)) {
            plain++;
            exact += plan->peak_bytes == least_liveness(graph);
        }
        for (uint32_t t = 0; t < plan->step_count; t++)
            in_place += plan->steps[t].in_place;
        for (uint32_t v = 0; v < plan->value_count; v++)
            slices += plan->views[v].pixel_stride > mn_graph_node(graph, v)->shape.c;
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
    conv_scratch = 0;
    depthwise_in_place_scratch = -1;
    assert_true(slices > 300); /* the cases are what they are meant to be */
    assert_true(in_place > 300);
    assert_true(plain > 500);
    assert_int_equal(exact, plain); /* without concats there are no rules to be bound by */
}

/* Larger graphs, for what only shows in the large: many concats, crowded arenas. */
static void test_random_large_graphs(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 2);
    mn_plan_opts opts = mn_plan_opts_default();
    opts.max_states = 500; /* soundness is looked for, not the best plan */
    for (uint32_t i = 0; i < 60; i++) {
        mn_graph *graph = tool_random_graph(&random, (tool_random){.nodes = 90, .channels = 1});
        depthwise_in_place_scratch = i % 2 == 0 ? 16 : -1;
        mn_plan *plan = sim_plan(graph, &opts);
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
    depthwise_in_place_scratch = -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_random_large_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

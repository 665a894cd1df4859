/* The search for an order against brute force: for every way to lay values inside others that the
 * rules of plan/board.h allow, the least peak over all orders. Nothing of the planner is used: what
 * is alive follows from which nodes have run, and all sets of nodes are looked at. */
#include "plan_sim.h"

#if defined(__SANITIZE_ADDRESS__)
enum { PROPERTY_CASES = 2000 };
#else
enum { PROPERTY_CASES = 20000 };
#endif

enum { MOST_NODES = 14, MOST_OPS = 9 };

typedef struct brute {
    const mn_graph *graph;
    uint32_t nodes;
    uint32_t value[MOST_NODES];   /* what a node yields: itself, or what it reshapes */
    uint32_t inputs[MOST_NODES];  /* set of values */
    uint32_t readers[MOST_NODES]; /* of a value: set of nodes */
    bool made[MOST_NODES], dense[MOST_NODES], output[MOST_NODES];
    size_t bytes[MOST_NODES]; /* of a value, rounded up */
    size_t scratch[MOST_NODES], in_place[MOST_NODES];
    uint32_t host[MOST_NODES]; /* the assignment that is being tried; MN_NONE = none */
    uint32_t root[MOST_NODES];
    uint32_t all; /* set of the nodes that are made */
    size_t idle;  /* inputs that nobody reads */
    size_t least; /* over all assignments so far */
    uint32_t assignments;
} brute;

static const mn_node *node_of(const brute *b, uint32_t n)
{
    return mn_graph_node(b->graph, n);
}

static bool is_concat(const brute *b, uint32_t n)
{
    return node_of(b, n)->prim == MN_PRIM_CONCAT;
}

static size_t round_up(size_t bytes)
{
    return (bytes + 15) / 16 * 16;
}

/* Scratch of writing in place, or SIZE_MAX; the stubs of plan_tools.h say what kernels ask. */
static size_t in_place_scratch(const brute *b, uint32_t n)
{
    const mn_node *node = node_of(b, n);
    size_t value = 4 * mn_shape_elements(node->shape);
    if (node->prim == MN_PRIM_ADD || node->prim == MN_PRIM_RELU || node->prim == MN_PRIM_RELU6)
        return 0;
    mn_shape in = node->input_count > 0 ? node_of(b, node->inputs[0])->shape : (mn_shape){0};
    bool depthwise = node->prim == MN_PRIM_CONV && node->groups == in.c && node->shape.c == in.c;
    if (!depthwise || depthwise_in_place_scratch < 0 || node->window.stride_h != 1 ||
        round_up((size_t)depthwise_in_place_scratch) >= value)
        return SIZE_MAX;
    return round_up((size_t)depthwise_in_place_scratch);
}

static void look_at(brute *b, const mn_graph *graph)
{
    *b = (brute){.graph = graph, .nodes = mn_graph_node_count(graph), .least = SIZE_MAX};
    assert_true(b->nodes <= MOST_NODES);
    for (uint32_t n = 0; n < b->nodes; n++) {
        const mn_node *node = node_of(b, n);
        bool reshape = node->prim == MN_PRIM_RESHAPE;
        b->value[n] = reshape ? b->value[node->inputs[0]] : n;
        b->made[n] = !reshape && node->prim != MN_PRIM_INPUT;
        b->all |= b->made[n] ? 1u << n : 0;
        if (reshape || node->prim == MN_PRIM_INPUT)
            b->dense[b->value[n]] = true;
        b->bytes[n] = round_up(4 * mn_shape_elements(node->shape));
        mn_shape in = node->input_count > 0 ? node_of(b, node->inputs[0])->shape : (mn_shape){0};
        bool depthwise = node->groups == in.c && node->shape.c == in.c;
        if (node->prim == MN_PRIM_CONV)
            b->scratch[n] = round_up((size_t)(depthwise ? depthwise_scratch : conv_scratch));
        b->in_place[n] = in_place_scratch(b, n);
        for (uint32_t i = 0; b->made[n] && i < node->input_count; i++) {
            b->inputs[n] |= 1u << b->value[node->inputs[i]];
            b->readers[b->value[node->inputs[i]]] |= 1u << n;
        }
    }
    for (uint32_t i = 0; i < mn_graph_output_count(graph); i++) {
        uint32_t x = b->value[mn_graph_output(graph, i)];
        b->output[x] = true;
        b->dense[x] = true;
    }
    for (uint32_t n = 0; n < b->nodes; n++)
        if (node_of(b, n)->prim == MN_PRIM_INPUT && b->readers[n] == 0 && !b->output[n])
            b->idle += b->bytes[n];
}

/* Whether n reads x in its own shape, so that it could write over it. */
static bool fits_over(const brute *b, uint32_t n, uint32_t x)
{
    const mn_node *node = node_of(b, n);
    for (uint32_t i = 0; i < node->input_count; i++)
        if (b->value[node->inputs[i]] == x &&
            mn_shape_equal(node_of(b, node->inputs[i])->shape, node->shape))
            return b->in_place[n] != SIZE_MAX;
    return false;
}

/* Nodes that have no step: concats all of whose inputs lie in them and are there. A concat that
 * reads a value twice copies it once. */
static uint32_t add_stepless(const brute *b, uint32_t run)
{
    for (uint32_t n = 0; n < b->nodes; n++) {
        const mn_node *node = node_of(b, n);
        bool there = is_concat(b, n);
        uint32_t seen = 0;
        for (uint32_t i = 0; there && i < node->input_count; i++) {
            uint32_t x = b->value[node->inputs[i]];
            there = b->host[x] == n && (run >> x & 1) != 0 && (seen >> x & 1) == 0;
            seen |= 1u << x;
        }
        if (there)
            run |= 1u << n;
    }
    return run;
}

/* Reads and writes still to come for the buffer of root r, when the nodes in `run` have run. */
static uint32_t still_to_come(const brute *b, uint32_t r, uint32_t run, bool *ret_begun)
{
    uint32_t nodes = 0;
    *ret_begun = false;
    for (uint32_t x = 0; x < b->nodes; x++) {
        if (b->value[x] != x || b->root[x] != r)
            continue;
        *ret_begun = *ret_begun || !b->made[x] || (run >> x & 1) != 0;
        if (b->made[x] && (run >> x & 1) == 0)
            nodes |= 1u << x;
        nodes |= b->readers[x] & ~run;
    }
    return nodes;
}

static size_t live_after(const brute *b, uint32_t run)
{
    size_t bytes = 0;
    for (uint32_t r = 0; r < b->nodes; r++) {
        bool begun = false;
        if (b->value[r] != r || b->root[r] != r)
            continue;
        uint32_t nodes = still_to_come(b, r, run, &begun);
        if (begun && (nodes != 0 || b->output[r]))
            bytes += b->bytes[r];
    }
    return bytes;
}

/* Whether y is x or lies in it. */
static bool lies_in(const brute *b, uint32_t y, uint32_t x)
{
    while (y != x && b->value[y] == y && b->host[y] != MN_NONE)
        y = b->host[y];
    return y == x;
}

static bool may_run(const brute *b, uint32_t run, uint32_t n)
{
    if ((run >> n & 1) != 0 || !b->made[n])
        return false;
    for (uint32_t x = 0; x < b->nodes; x++) {
        if ((b->inputs[n] >> x & 1) == 0)
            continue;
        if (b->made[x] && (run >> x & 1) == 0)
            return false;
        for (uint32_t y = 0; b->host[x] == n && !is_concat(b, n) && y <= x; y++)
            if (lies_in(b, y, x) && (b->readers[y] & ~run & ~(1u << n)) != 0)
                return false; /* it would be written over too early */
    }
    return true;
}

static size_t bytes_while(const brute *b, uint32_t run, uint32_t n)
{
    size_t before = live_after(b, run);
    bool begun = false;
    (void)still_to_come(b, b->root[n], run, &begun);
    size_t bytes = before + (begun ? 0 : b->bytes[b->root[n]]) + b->scratch[n];
    for (uint32_t x = 0; x < b->nodes; x++) {
        if ((b->inputs[n] >> x & 1) == 0)
            continue;
        if (b->host[x] == n && !is_concat(b, n))
            return before + b->in_place[n];
        bool here = false;
        if (b->root[n] == n && !is_concat(b, n) && b->root[x] == x && !b->output[x] &&
            fits_over(b, n, x) && still_to_come(b, x, run, &here) == 1u << n &&
            before + b->in_place[n] < bytes)
            bytes = before + b->in_place[n];
    }
    return bytes + ((run & b->all) == 0 ? b->idle : 0);
}

/* The least over all orders for this assignment: of every set that can have run, the least peak
 * on the way to it. */
static void try_assignment(brute *b)
{
    static size_t least[1u << MOST_NODES];
    b->assignments++;
    for (uint32_t n = b->nodes; n-- > 0;)
        b->root[n] = b->host[n] == MN_NONE ? n : b->root[b->host[n]];
    for (uint32_t run = 0; run < 1u << b->nodes; run++)
        least[run] = SIZE_MAX;
    size_t start = live_after(b, 0);
    least[0] = b->all == 0 ? start + b->idle : start;
    for (uint32_t run = 0; run < 1u << b->nodes; run++) {
        if (least[run] >= b->least || (run & ~b->all) != 0)
            continue;
        for (uint32_t n = 0; n < b->nodes; n++) {
            if (!may_run(b, run, n))
                continue;
            size_t bytes = bytes_while(b, run, n);
            bytes = bytes > least[run] ? bytes : least[run];
            uint32_t next = add_stepless(b, run | 1u << n);
            least[next] = bytes < least[next] ? bytes : least[next];
        }
    }
    if (least[b->all] < b->least)
        b->least = least[b->all];
}

/* All assignments, from the last value back, as a value may lie inside a kernel's result only when
 * that lies in a concat. `taken` has the kernels that something lies under already. */
static void assign(brute *b, uint32_t n, uint32_t taken)
{
    if (n-- == 0) {
        try_assignment(b);
        return;
    }
    b->host[n] = MN_NONE;
    assign(b, n, taken);
    for (uint32_t h = n + 1; h < b->nodes && b->value[n] == n && !b->dense[n]; h++) {
        if ((b->readers[n] >> h & 1) == 0)
            continue;
        bool under = !is_concat(b, h);
        if (under && ((taken >> h & 1) != 0 || b->host[h] == MN_NONE || !fits_over(b, h, n)))
            continue;
        b->host[n] = h;
        assign(b, n, under ? taken | 1u << h : taken);
    }
    b->host[n] = MN_NONE;
}

static uint32_t count_ops(const mn_graph *graph)
{
    uint32_t ops = 0;
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++) {
        mn_prim prim = mn_graph_node(graph, n)->prim;
        ops += prim != MN_PRIM_INPUT && prim != MN_PRIM_RESHAPE;
    }
    return ops;
}

static void describe(const mn_graph *graph)
{
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++) {
        const mn_node *node = mn_graph_node(graph, n);
        print_error("%u %s (%u,%u,%u) groups %u of",
                    n,
                    mn_prim_name(node->prim),
                    node->shape.h,
                    node->shape.w,
                    node->shape.c,
                    node->groups);
        for (uint32_t i = 0; i < node->input_count; i++)
            print_error(" %u", node->inputs[i]);
        print_error("\n");
    }
    for (uint32_t i = 0; i < mn_graph_output_count(graph); i++)
        print_error("output %u\n", mn_graph_output(graph, i));
}

/* The quick verdict is that of the plan, at its figures and around them. */
static void check_verdicts(const mn_graph *graph, const mn_plan *plan)
{
    mn_error err;
    const size_t arenas[] = {0, plan->lower_bound_bytes, plan->arena_bytes, plan->arena_bytes + 64};
    for (size_t i = 0; i < 4; i++) {
        for (size_t less = 0; less < 2 && less <= arenas[i]; less++) {
            size_t most = arenas[i] - less;
            bool by_arena = false;
            bool by_total = false;
            assert_ok(mn_plan_fits(graph, NULL, most, SIZE_MAX, &by_arena, &err), &err);
            assert_ok(
                mn_plan_fits(graph, NULL, SIZE_MAX, plan->weights_bytes + most, &by_total, &err),
                &err);
            assert_int_equal(by_arena, plan->arena_bytes <= most);
            assert_int_equal(by_total, plan->arena_bytes <= most);
        }
    }
}

static void compare(const mn_graph *graph, uint32_t number, uint32_t *several)
{
    static brute b;
    mn_plan *plan = NULL;
    mn_error err;
    look_at(&b, graph);
    assign(&b, b.nodes, 0);
    *several += b.assignments > 1;
    if (mn_plan_create(graph, NULL, &plan, &err) != MN_OK) {
        describe(graph);
        fail_msg("graph %u: %s", number, err.message);
    }
    const char *problem = sim_problem(graph, plan);
    if (plan->peak_bytes != b.least || !plan->order_proven || problem != NULL) {
        describe(graph);
        fail_msg("graph %u: peak %zu, lower bound %zu, brute force %zu over %u assignments; %s",
                 number,
                 plan->peak_bytes,
                 plan->lower_bound_bytes,
                 b.least,
                 b.assignments,
                 problem == NULL ? "the plan runs" : problem);
    }
    check_verdicts(graph, plan);
    mn_plan_free(plan);
}

static void test_order_equals_brute_force(void **state)
{
    (void)state;
    mn_random random = mn_random_make(7, 1);
    uint32_t several = 0;
    uint32_t compared = 0;
    for (uint32_t i = 0; compared < PROPERTY_CASES; i++) {
        tool_random opts = {.nodes = MOST_NODES - 1, .channels = i % 2 == 0 ? 4 : 1};
        conv_scratch = i % 5 == 0 ? 36 : 0;
        depthwise_scratch = i % 7 == 0 ? 20 : 0;
        depthwise_in_place_scratch = (int32_t)(i % 4) * 16 - 16;
        mn_graph *graph = tool_random_graph(&random, opts);
        uint32_t ops = count_ops(graph);
        if (ops >= 3 && ops <= MOST_OPS) {
            compare(graph, i, &several);
            compared++;
        }
        mn_graph_free(graph);
    }
    conv_scratch = 0;
    depthwise_scratch = 0;
    depthwise_in_place_scratch = -1;
    assert_true(several * 4 > compared); /* the choice of places matters often enough */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_equals_brute_force),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The checker: it must reject every plan that the simulator finds to be broken. */
#include "plan_tools.h"

static mn_plan *plan_of(const mn_graph *graph)
{
    mn_plan *plan = NULL;
    mn_error err;
    assert_ok(mn_plan_create(graph, NULL, &plan, &err), &err);
    return plan;
}

static void *copy_of(const void *items, size_t count, size_t size)
{
    void *copy = calloc(count + 1, size);
    assert_non_null(copy);
    if (count > 0)
        memcpy(copy, items, count * size);
    return copy;
}

/* With room for one more step, which duplicate_step() uses. */
static mn_plan *clone(const mn_plan *plan)
{
    mn_plan *copy = copy_of(plan, 1, sizeof *plan);
    copy->steps = copy_of(plan->steps, plan->step_count, sizeof *plan->steps);
    copy->views = copy_of(plan->views, plan->value_count, sizeof *plan->views);
    copy->buffers = copy_of(plan->buffers, plan->buffer_count, sizeof *plan->buffers);
    return copy;
}

/* Recomputes every figure that the checker could find stale, so that it has to see the fault. */
static void forge_figures(mn_plan *plan)
{
    size_t peak = 0;
    for (uint32_t t = 0; t == 0 || t < plan->step_count; t++) {
        size_t live = 0;
        for (uint32_t i = 0; i < plan->buffer_count; i++)
            if (plan->buffers[i].first_step <= t && t <= plan->buffers[i].last_step)
                live += plan->buffers[i].bytes;
        if (plan->step_count > 0)
            plan->steps[t].live_bytes = live;
        peak = live > peak ? live : peak;
    }
    plan->total_bytes = plan->weights_bytes + plan->arena_bytes;
    plan->lower_bound_bytes = plan->lower_bound_bytes < peak ? plan->lower_bound_bytes : peak;
    plan->order_proven = peak == plan->lower_bound_bytes;
    plan->offsets_proven = peak == plan->arena_bytes;
}

static bool is_elementwise(mn_prim prim)
{
    return prim == MN_PRIM_ADD || prim == MN_PRIM_RELU || prim == MN_PRIM_RELU6;
}

/* Tells in in_place what the views now say. */
static void forge_in_place(const mn_graph *graph, mn_plan *plan)
{
    for (uint32_t t = 0; t < plan->step_count; t++) {
        const mn_node *node = mn_graph_node(graph, plan->steps[t].node);
        mn_view out = plan->views[plan->steps[t].node];
        plan->steps[t].in_place = false;
        for (uint32_t i = 0; is_elementwise(node->prim) && i < node->input_count; i++) {
            mn_view in = plan->views[node->inputs[i]];
            if (in.buffer == out.buffer && in.channel_offset == out.channel_offset &&
                (in.pixel_stride == out.pixel_stride || node->shape.h * node->shape.w == 1))
                plan->steps[t].in_place = true;
        }
    }
}

/* ---- mutations: each returns false when the plan has nothing to mutate ----------------------- */

typedef bool (*mutation)(const mn_graph *graph, mn_plan *plan, mn_random *random);

static bool move_buffer(const mn_graph *graph, mn_plan *plan, mn_random *random)
{
    (void)graph;
    if (plan->buffer_count < 2)
        return false;
    uint32_t a = mn_random_below(random, plan->buffer_count);
    uint32_t b = mn_random_below(random, plan->buffer_count);
    plan->buffers[a].offset = plan->buffers[b].offset;
    return plan->buffers[a].bytes <= plan->arena_bytes - plan->buffers[a].offset;
}

/* Buffers take the lifetimes that the views demand in the new order, so that the order itself
 * remains to be caught. */
static void forge_lifetimes(mn_plan *plan)
{
    uint32_t last = plan->step_count > 0 ? plan->step_count - 1 : 0;
    for (uint32_t i = 0; i < plan->buffer_count; i++) {
        plan->buffers[i].first_step = 0;
        plan->buffers[i].last_step = last;
        plan->buffers[i].offset =
            i == 0 ? 0 : plan->buffers[i - 1].offset + plan->buffers[i - 1].bytes;
        plan->arena_bytes = plan->buffers[i].offset + plan->buffers[i].bytes;
    }
}

/* Apart and alive all the time, buffers cannot clash; only the wrong order is left. */
static bool swap_steps(const mn_graph *graph, mn_plan *plan, mn_random *random)
{
    (void)graph;
    if (plan->step_count < 2)
        return false;
    uint32_t a = mn_random_below(random, plan->step_count);
    uint32_t b = mn_random_below(random, plan->step_count);
    mn_step moved = plan->steps[a];
    plan->steps[a] = plan->steps[b];
    plan->steps[b] = moved;
    forge_lifetimes(plan);
    return a != b;
}

static bool shrink_arena(const mn_graph *graph, mn_plan *plan, mn_random *random)
{
    (void)graph;
    plan->arena_bytes -= plan->align * (1 + mn_random_below(random, 2));
    return plan->arena_bytes < SIZE_MAX / 2;
}

/* A value moves onto another one, in plans whose buffers never clash by themselves. */
static bool share_view(const mn_graph *graph, mn_plan *plan, mn_random *random)
{
    (void)graph;
    uint32_t a = mn_random_below(random, plan->value_count);
    uint32_t b = mn_random_below(random, plan->value_count);
    plan->views[a] = plan->views[b];
    if (mn_random_below(random, 2) == 0)
        plan->views[a].pixel_stride = mn_graph_node(graph, a)->shape.c;
    forge_lifetimes(plan);
    return a != b;
}

static bool shift_view(const mn_graph *graph, mn_plan *plan, mn_random *random)
{
    (void)graph;
    mn_view *view = &plan->views[mn_random_below(random, plan->value_count)];
    uint32_t by = 1 + mn_random_below(random, 4);
    switch (mn_random_below(random, 4)) {
    case 0:
        view->channel_offset += by;
        break;
    case 1:
        view->channel_offset -= by < view->channel_offset ? by : view->channel_offset;
        break;
    case 2:
        view->pixel_stride += by;
        break;
    default:
        view->pixel_stride -= by < view->pixel_stride ? by : view->pixel_stride;
        break;
    }
    forge_lifetimes(plan);
    return true;
}

/* A lone element-wise result is put onto an input that something still reads. */
static bool force_in_place(const mn_graph *graph, mn_plan *plan, mn_random *random)
{
    for (uint32_t tries = 0; tries < 20; tries++) {
        uint32_t n = mn_random_below(random, plan->value_count);
        const mn_node *node = mn_graph_node(graph, n);
        if (!is_elementwise(node->prim))
            continue;
        uint32_t x = node->inputs[mn_random_below(random, node->input_count)];
        uint32_t from = plan->views[n].buffer;
        if (from == plan->views[x].buffer)
            continue;
        for (uint32_t v = 0; v < plan->value_count; v++) /* all that lies there moves along */
            if (plan->views[v].buffer == from)
                plan->views[v] = plan->views[x];
        forge_lifetimes(plan);
        return true;
    }
    return false;
}

static bool shorten_life(const mn_graph *graph, mn_plan *plan, mn_random *random)
{
    (void)graph;
    mn_plan_buffer *b = &plan->buffers[mn_random_below(random, plan->buffer_count)];
    if (b->first_step == b->last_step)
        return false;
    if (mn_random_below(random, 2) == 0)
        b->first_step++;
    else
        b->last_step--;
    return true;
}

static bool drop_step(const mn_graph *graph, mn_plan *plan, mn_random *random)
{
    (void)graph;
    if (plan->step_count == 0)
        return false;
    uint32_t at = mn_random_below(random, plan->step_count);
    memmove(
        &plan->steps[at], &plan->steps[at + 1], (plan->step_count - at - 1) * sizeof *plan->steps);
    plan->step_count--;
    forge_lifetimes(plan);
    return true;
}

static bool move_scratch(const mn_graph *graph, mn_plan *plan, mn_random *random)
{
    (void)graph;
    for (uint32_t tries = 0; tries < 20 && plan->step_count > 0; tries++) {
        mn_step *step = &plan->steps[mn_random_below(random, plan->step_count)];
        if (step->scratch == MN_NONE)
            continue;
        forge_lifetimes(plan);
        step->scratch = mn_random_below(random, plan->buffer_count);
        return true;
    }
    return false;
}

static const struct {
    mutation mutate;
    const char *name;
} mutations[] = {
    {move_buffer, "move_buffer"},
    {swap_steps, "swap_steps"},
    {shrink_arena, "shrink_arena"},
    {share_view, "share_view"},
    {shift_view, "shift_view"},
    {force_in_place, "force_in_place"},
    {shorten_life, "shorten_life"},
    {drop_step, "drop_step"},
    {move_scratch, "move_scratch"},
};

enum { MUTATIONS = sizeof mutations / sizeof mutations[0] };

static void test_broken_plans_are_rejected(void **state)
{
    (void)state;
    mn_random random = mn_random_make(2, 1);
    uint32_t broken[MUTATIONS] = {0};
    for (uint32_t i = 0; i < 1200; i++) {
        mn_error err;
        conv_scratch = i % 3 == 0 ? 40 : 0;
        mn_graph *graph = tool_random_graph(&random, (tool_random){.nodes = 12, .channels = 1});
        mn_plan *plan = plan_of(graph);
        for (uint32_t m = 0; m < MUTATIONS; m++) {
            mn_plan *bad = clone(plan);
            if (mutations[m].mutate(graph, bad, &random)) {
                forge_in_place(graph, bad);
                forge_figures(bad);
                const char *problem = sim_problem(graph, bad);
                if (problem != NULL && mn_plan_check(graph, bad, &err) == MN_OK)
                    fail_msg("%s: accepted, but %s", mutations[m].name, problem);
                if (problem != NULL)
                    assert_int_equal(mn_plan_check(graph, bad, &err), MN_ERR_INTERNAL);
                broken[m] += problem != NULL;
            }
            mn_plan_free(bad);
        }
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
    conv_scratch = 0;
    for (uint32_t m = 0; m < MUTATIONS; m++)
        if (broken[m] < 100)
            fail_msg("%s: only %u broken plans", mutations[m].name, broken[m]);
}

/* Plans that are merely wasteful are sound: the checker must not cry wolf. */
static void test_apart_buffers_are_accepted(void **state)
{
    (void)state;
    mn_random random = mn_random_make(2, 2);
    for (uint32_t i = 0; i < 300; i++) {
        mn_error err;
        mn_graph *graph = tool_random_graph(&random, (tool_random){.nodes = 12, .channels = 1});
        mn_plan *plan = plan_of(graph);
        forge_lifetimes(plan);
        forge_figures(plan);
        assert_null(sim_problem(graph, plan));
        assert_ok(mn_plan_check(graph, plan, &err), &err);
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
}

/* ---- figures: one lie at a time -------------------------------------------------------------- */

static void assert_caught(const mn_graph *graph, mn_plan *bad, const char *text)
{
    mn_error err;
    assert_error(mn_plan_check(graph, bad, &err), MN_ERR_INTERNAL, &err, text);
    mn_plan_free(bad);
}

static void test_lies_are_caught(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t a = tool_conv(&t, tool_input(&t, 4, 4, 2), 4);
    uint32_t b = tool_conv(&t, a, 4);
    mn_graph *graph = tool_finish_one(&t, tool_pair(&t, MN_PRIM_ADD, b, a));
    mn_plan *plan = plan_of(graph);
    mn_plan *bad = clone(plan);
    bad->weights_bytes += 4;
    bad->total_bytes += 4;
    assert_caught(graph, bad, "figures");
    bad = clone(plan);
    bad->total_bytes--;
    assert_caught(graph, bad, "figures");
    bad = clone(plan);
    bad->lower_bound_bytes = bad->arena_bytes + 16;
    assert_caught(graph, bad, "figures");
    bad = clone(plan);
    bad->order_proven = !bad->order_proven;
    assert_caught(graph, bad, "figures");
    bad = clone(plan);
    bad->offsets_proven = !bad->offsets_proven;
    assert_caught(graph, bad, "figures");
    bad = clone(plan);
    bad->macs++;
    assert_caught(graph, bad, "figures");
    bad = clone(plan);
    bad->steps[1].live_bytes--;
    assert_caught(graph, bad, "live bytes, expected");
    bad = clone(plan);
    bad->steps[2].in_place = false;
    assert_caught(graph, bad, "in_place");
    bad = clone(plan);
    bad->steps[0].scratch = 0;
    assert_caught(graph, bad, "scratch");
    bad = clone(plan);
    bad->buffers[0].offset += 8;
    assert_caught(graph, bad, "buffer 0 is not aligned");
    bad = clone(plan);
    bad->buffers[0].offset = SIZE_MAX - 15;
    assert_caught(graph, bad, "buffer 0 lies outside the arena");
    bad = clone(plan);
    bad->buffers[0].last_step = 99;
    assert_caught(graph, bad, "lifetime");
    bad = clone(plan);
    bad->steps[1].node = 99;
    assert_caught(graph, bad, "step 1 runs no node");
    bad = clone(plan);
    bad->steps[1].node = bad->steps[0].node;
    assert_caught(graph, bad, "runs twice");
    bad = clone(plan);
    bad->views[a].buffer = MN_NONE;
    assert_caught(graph, bad, "'n1': its view is in no buffer");
    bad = clone(plan);
    bad->views[a].channel_offset = UINT32_MAX;
    bad->views[a].pixel_stride = UINT32_MAX;
    assert_caught(graph, bad, "'n1': its view leaves the buffer");
    bad = clone(plan);
    bad->value_count--;
    assert_caught(graph, bad, "no float32 plan of a graph of 4 nodes");
    bad = clone(plan);
    bad->precision = MN_PRECISION_INT8;
    assert_caught(graph, bad, "float32");
    bad = clone(plan);
    bad->align = 0;
    assert_caught(graph, bad, "float32");
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* Two values of four channels in pixels of eight: apart by four channels they interleave, by less
 * or more one runs into the other or around into the next pixel. */
static void test_interleaved_values(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 2, 2, 4);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t b = tool_conv(&t, x, 4);
    uint32_t sum = tool_pair(&t, MN_PRIM_ADD, a, b);
    mn_graph *graph = tool_finish_one(&t, tool_conv(&t, sum, 4));
    mn_plan *plan = plan_of(graph);
    for (uint32_t apart = 0; apart <= 8; apart++) {
        mn_plan *other = clone(plan);
        mn_error err;
        uint32_t buffer = other->views[a].buffer;
        other->buffers[buffer].bytes = 4 * 64;
        other->views[a] = (mn_view){.buffer = buffer, .channel_offset = 0, .pixel_stride = 8};
        other->views[b] = (mn_view){.buffer = buffer, .channel_offset = apart, .pixel_stride = 8};
        other->views[sum] = other->views[a];
        forge_lifetimes(other);
        forge_in_place(graph, other);
        forge_figures(other);
        mn_status expected = apart == 4 ? MN_OK : MN_ERR_INTERNAL;
        assert_true((sim_problem(graph, other) == NULL) == (expected == MN_OK));
        assert_int_equal(mn_plan_check(graph, other, &err), expected);
        mn_plan_free(other);
    }
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* A plan of another graph with as many nodes: concat in place of add. */
static void test_plan_of_another_graph(void **state)
{
    (void)state;
    mn_graph *graphs[2];
    for (int i = 0; i < 2; i++) {
        tool t = tool_start();
        uint32_t x = tool_input(&t, 2, 2, 4);
        uint32_t a = tool_conv(&t, x, 4);
        uint32_t b = tool_conv(&t, x, 4);
        uint32_t last = tool_pair(&t, i == 0 ? MN_PRIM_ADD : MN_PRIM_CONCAT, a, b);
        graphs[i] = tool_finish_one(&t, last);
    }
    mn_error err;
    mn_plan *added = plan_of(graphs[0]);
    mn_plan *joined = plan_of(graphs[1]);
    assert_int_equal(mn_plan_check(graphs[1], added, &err), MN_ERR_INTERNAL);
    assert_int_equal(mn_plan_check(graphs[0], joined, NULL), MN_ERR_INTERNAL);
    mn_plan_free(added);
    mn_plan_free(joined);
    mn_graph_free(graphs[0]);
    mn_graph_free(graphs[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_plans_are_rejected),
        cmocka_unit_test(test_apart_buffers_are_accepted),
        cmocka_unit_test(test_lies_are_caught),
        cmocka_unit_test(test_interleaved_values),
        cmocka_unit_test(test_plan_of_another_graph),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

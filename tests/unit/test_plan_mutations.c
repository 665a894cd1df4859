/* The checker against plans that are broken at random: it must reject every one that the simulator
 * finds to be broken, and every figure that is not what it says. */
#include "plan_forge.h"

/* Each changes a plan in one way; returns false when it has nothing to change. */
typedef bool (*mutation)(const mn_graph *graph, mn_plan *plan, mn_random *random);

/* ---- order ----------------------------------------------------------------------------------- */

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

/* ---- buffers --------------------------------------------------------------------------------- */

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

static bool shrink_arena(const mn_graph *graph, mn_plan *plan, mn_random *random)
{
    (void)graph;
    plan->arena_bytes -= plan->align * (1 + mn_random_below(random, 2));
    return plan->arena_bytes < SIZE_MAX / 2;
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

/* ---- views ----------------------------------------------------------------------------------- */

/* A value moves onto another one. */
static bool share_view(const mn_graph *graph, mn_plan *plan, mn_random *random)
{
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

/* A result is put onto an input that something may still read. */
static bool force_over(const mn_graph *graph, mn_plan *plan, mn_random *random, bool by_rows)
{
    for (uint32_t tries = 0; tries < 30; tries++) {
        uint32_t n = mn_random_below(random, plan->value_count);
        const mn_node *node = mn_graph_node(graph, n);
        if (node->input_count == 0 || (node->prim == MN_PRIM_CONV) != by_rows)
            continue;
        uint32_t x = node->inputs[mn_random_below(random, node->input_count)];
        uint32_t from = plan->views[n].buffer;
        if (from == plan->views[x].buffer || !sim_may_be_in_place(graph, plan, n, x))
            continue;
        for (uint32_t v = 0; v < plan->value_count; v++) /* all that lies there moves along */
            if (plan->views[v].buffer == from)
                plan->views[v] = plan->views[x];
        forge_lifetimes(plan);
        return true;
    }
    return false;
}

static bool force_elementwise(const mn_graph *graph, mn_plan *plan, mn_random *random)
{
    return force_over(graph, plan, random, false);
}

static bool force_depthwise(const mn_graph *graph, mn_plan *plan, mn_random *random)
{
    return force_over(graph, plan, random, true);
}

/* A step in place, of a kernel that works row by row if `by_rows`; NULL when none was found. */
static mn_step *pick_in_place(const mn_graph *graph, mn_plan *plan, mn_random *random, bool by_rows)
{
    for (uint32_t tries = 0; tries < 30 && plan->step_count > 0; tries++) {
        mn_step *step = &plan->steps[mn_random_below(random, plan->step_count)];
        bool conv = mn_graph_node(graph, step->node)->prim == MN_PRIM_CONV;
        if (step->in_place && conv == by_rows)
            return step;
    }
    return NULL;
}

/* A result in place slides off its input by a channel or a pixel; there is room for it. */
static bool slide(const mn_graph *graph, mn_plan *plan, mn_random *random, bool by_rows)
{
    const mn_step *step = pick_in_place(graph, plan, random, by_rows);
    if (step == NULL)
        return false;
    mn_view *view = &plan->views[step->node];
    view->channel_offset += mn_random_below(random, 2) == 0 ? 1 : view->pixel_stride;
    plan->buffers[view->buffer].bytes += 1024;
    forge_lifetimes(plan);
    return true;
}

static bool slide_elementwise(const mn_graph *graph, mn_plan *plan, mn_random *random)
{
    return slide(graph, plan, random, false);
}

static bool slide_depthwise(const mn_graph *graph, mn_plan *plan, mn_random *random)
{
    return slide(graph, plan, random, true);
}

/* ---- scratch, and what is said about running in place -----------------------------------------
 */

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

/* The rows of a kernel in place are gone, too few, or on the value itself. */
static bool spoil_rows(const mn_graph *graph, mn_plan *plan, mn_random *random)
{
    mn_step *step = pick_in_place(graph, plan, random, true);
    if (step == NULL || step->scratch == MN_NONE)
        return false;
    switch (mn_random_below(random, 3)) {
    case 0:
        plan->buffers[step->scratch].bytes -= plan->align;
        break;
    case 1:
        step->scratch = plan->views[step->node].buffer;
        break;
    default:
        step->scratch = MN_NONE;
        break;
    }
    forge_lifetimes(plan);
    return true;
}

/* The other kernel is called than the views ask for. */
static bool flip_in_place(const mn_graph *graph, mn_plan *plan, mn_random *random)
{
    for (uint32_t tries = 0; tries < 20 && plan->step_count > 0; tries++) {
        mn_step *step = &plan->steps[mn_random_below(random, plan->step_count)];
        const mn_node *node = mn_graph_node(graph, step->node);
        if (node->prim != MN_PRIM_CONV ||
            !sim_may_be_in_place(graph, plan, step->node, node->inputs[0]))
            continue;
        step->in_place = !step->in_place;
        forge_lifetimes(plan);
        return true;
    }
    return false;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct {
    mutation mutate;
    const char *name;
    bool tells_in_place; /* in_place is not to be forged after it */
} mutations[] = {
    {swap_steps, "swap_steps", false},
    {drop_step, "drop_step", false},
    {move_buffer, "move_buffer", false},
    {shrink_arena, "shrink_arena", false},
    {shorten_life, "shorten_life", false},
    {share_view, "share_view", false},
    {shift_view, "shift_view", false},
    {force_elementwise, "force_elementwise", false},
    {force_depthwise, "force_depthwise", false},
    {slide_elementwise, "slide_elementwise", false},
    {slide_depthwise, "slide_depthwise", false},
    {move_scratch, "move_scratch", false},
    {spoil_rows, "spoil_rows", false},
    {flip_in_place, "flip_in_place", true},
};

enum { MUTATIONS = sizeof mutations / sizeof mutations[0] };

typedef struct tally {
    uint32_t tried;  /* plans with something to change */
    uint32_t broken; /* of those, by the simulator's word; the others happen to be sound */
} tally;

/* Tries mutation m on a copy. When the simulator finds the result broken, so must the checker. */
static void
try_one(const mn_graph *graph, const mn_plan *plan, uint32_t m, mn_random *random, tally *count)
{
    mn_error err;
    mn_plan *bad = clone(plan);
    if (mutations[m].mutate(graph, bad, random)) {
        if (!mutations[m].tells_in_place)
            forge_in_place(graph, bad);
        forge_figures(bad);
        const char *problem = sim_problem(graph, bad);
        mn_status status = mn_plan_check(graph, bad, &err);
        if (problem != NULL && status != MN_ERR_INTERNAL)
            fail_msg("%s: status %d, but %s", mutations[m].name, (int)status, problem);
        count->tried++;
        count->broken += problem != NULL;
    }
    mn_plan_free(bad);
}

/* Scratch differs from graph to graph: none, other rows in place than apart, the same rows. */
static void choose_scratch(uint32_t i)
{
    conv_scratch = i % 3 == 0 ? 40 : 0;
    depthwise_scratch = i % 4 == 1 ? 16 : 0;
    depthwise_in_place_scratch = i % 4 == 0 ? -1 : i % 4 == 3 ? 24 : 16;
}

static void reset_scratch(void)
{
    conv_scratch = 0;
    depthwise_scratch = 0;
    depthwise_in_place_scratch = -1;
}

static void test_broken_plans_are_rejected(void **state)
{
    (void)state;
    mn_random random = mn_random_make(2, 1);
    tally counts[MUTATIONS] = {{0}};
    for (uint32_t i = 0; i < 2400; i++) {
        choose_scratch(i);
        mn_graph *graph = tool_random_graph(&random, (tool_random){.nodes = 14, .channels = 2});
        mn_plan *plan = sim_plan(graph, NULL);
        for (uint32_t m = 0; m < MUTATIONS; m++)
            try_one(graph, plan, m, &random, &counts[m]);
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
    reset_scratch();
    for (uint32_t m = 0; m < MUTATIONS; m++)
        print_message("%s: %u tried, %u broken, all of those rejected\n",
                      mutations[m].name,
                      counts[m].tried,
                      counts[m].broken);
    for (uint32_t m = 0; m < MUTATIONS; m++)
        if (counts[m].broken < 100)
            fail_msg("%s: only %u broken plans", mutations[m].name, counts[m].broken);
}

/* ---- figures --------------------------------------------------------------------------------- */

/* Changes one figure that follows from the rest of the plan. The simulator knows nothing of them;
 * each change is a lie by itself. */
static void lie(mn_plan *plan, uint32_t figure, size_t by)
{
    switch (figure) {
    case 0:
        plan->weights_bytes += by;
        plan->total_bytes += by;
        break;
    case 1:
        plan->total_bytes += by;
        break;
    case 2:
        plan->peak_bytes += by;
        break;
    case 3:
        plan->lower_bound_bytes = plan->peak_bytes + by;
        break;
    case 4:
        plan->order_proven = !plan->order_proven;
        break;
    case 5:
        plan->macs += by;
        break;
    case 6:
        plan->arena_bytes += 1 + by % (plan->align - 1); /* no multiple of the alignment */
        plan->total_bytes = plan->weights_bytes + plan->arena_bytes;
        break;
    default:
        plan->steps[by % plan->step_count].live_bytes += by;
        break;
    }
}

enum { FIGURES = 8 };

static void test_false_figures_are_rejected(void **state)
{
    (void)state;
    mn_random random = mn_random_make(2, 3);
    for (uint32_t i = 0; i < 150; i++) {
        choose_scratch(i);
        mn_graph *graph = tool_random_graph(&random, (tool_random){.nodes = 14, .channels = 2});
        mn_plan *plan = sim_plan(graph, NULL);
        for (uint32_t figure = 0; figure < FIGURES; figure++) {
            mn_error err;
            mn_plan *bad = clone(plan);
            if (figure + 1 < FIGURES || plan->step_count > 0) {
                lie(bad, figure, 1 + mn_random_below(&random, 1000));
                assert_error(mn_plan_check(graph, bad, &err), MN_ERR_INTERNAL, &err, "plan: ");
            }
            mn_plan_free(bad);
        }
        mn_plan_free(plan);
        mn_graph_free(graph);
    }
    reset_scratch();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_plans_are_rejected),
        cmocka_unit_test(test_false_figures_are_rejected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

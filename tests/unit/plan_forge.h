/* Copies of plans and figures that agree again after a plan was changed by hand, for the tests of
 * plan/'s checker: it has to see the fault itself, not a figure that went stale. */
#ifndef MN_PLAN_FORGE_H
#define MN_PLAN_FORGE_H

#include "plan_sim.h"

static inline void *copy_of(const void *items, size_t count, size_t size)
{
    void *copy = calloc(count + 1, size);
    assert_non_null(copy);
    if (count > 0)
        memcpy(copy, items, count * size);
    return copy;
}

/* With room for one more step, which duplicate_step() uses. */
static inline mn_plan *clone(const mn_plan *plan)
{
    mn_plan *copy = copy_of(plan, 1, sizeof *plan);
    copy->steps = copy_of(plan->steps, plan->step_count, sizeof *plan->steps);
    copy->views = copy_of(plan->views, plan->value_count, sizeof *plan->views);
    copy->buffers = copy_of(plan->buffers, plan->buffer_count, sizeof *plan->buffers);
    return copy;
}

/* Recomputes every figure that the checker could find stale, so that it has to see the fault. */
static inline void forge_figures(mn_plan *plan)
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
    plan->peak_bytes = peak;
    plan->total_bytes = plan->weights_bytes + plan->arena_bytes;
    plan->lower_bound_bytes = plan->lower_bound_bytes < peak ? plan->lower_bound_bytes : peak;
    plan->order_proven = peak == plan->lower_bound_bytes;
    plan->offsets_proven = peak == plan->arena_bytes;
}

/* Tells in in_place what the views now say. */
static inline void forge_in_place(const mn_graph *graph, mn_plan *plan)
{
    for (uint32_t t = 0; t < plan->step_count; t++) {
        const mn_node *node = mn_graph_node(graph, plan->steps[t].node);
        plan->steps[t].in_place = false;
        for (uint32_t i = 0; i < node->input_count; i++)
            if (sim_may_be_in_place(graph, plan, plan->steps[t].node, node->inputs[i]) &&
                sim_same_place(graph, plan, plan->steps[t].node, node->inputs[i]))
                plan->steps[t].in_place = true;
    }
}

/* Buffers lie apart and live all the time, so that they cannot clash by themselves: what is wrong
 * otherwise remains to be caught. */
static inline void forge_lifetimes(mn_plan *plan)
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

#endif

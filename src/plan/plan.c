/*
 * The planner: tries layouts and keeps the one with the smallest arena. A layout is a way to join
 * each concat, an order, the aliases that these allow, and offsets.
 *
 * The search starts with every concat in slices, which saves its copy but keeps its whole buffer
 * alive from the first slice on, and turns concats over one by one where that makes the arena
 * smaller. A search for a network plans every candidate, so all of this has to take no more than
 * a few milliseconds for a hundred nodes.
 */
#include "memnet/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "plan/bound.h"
#include "plan/liveness.h"
#include "plan/offsets.h"
#include "plan/order.h"
#include "plan/paper_metric.h"

static const uint32_t most_passes = 2;
/* Nodes times concats turned over: bounds the time for large imported graphs. */
static const uint32_t most_work = 20000;
/* Of the exact search for offsets: some tens of milliseconds, where they are spent at all. */
static const uint64_t most_states = 20000;

typedef struct layout {
    mn__alias alias;
    mn__liveness liveness;
    size_t arena_bytes;
} layout;

typedef struct planner {
    const mn_graph *graph;
    mn__needs needs;
    size_t bound_bytes;
    uint8_t *joinings; /* (nodes) mn__joining of each concat */
    uint32_t *order;   /* (nodes) */
    uint32_t *when;    /* (nodes) */
    uint32_t most_turned;
    layout best;
    bool has_best;
} planner;

mn_plan_opts mn_plan_opts_default(void)
{
    return (mn_plan_opts){.precision = MN_PRECISION_FLOAT32, .align = 16};
}

static void layout_done(layout *l)
{
    mn__alias_done(&l->alias);
    mn__liveness_done(&l->liveness);
}

/* Lays out one order, in p->order. A layout whose liveness alone is no better than the best arena
 * is left without offsets. */
static mn_status lay_out(planner *p, uint32_t step_count, layout *l, mn_error *err)
{
    for (uint32_t t = 0; t < step_count; t++)
        p->when[p->order[t]] = t;
    mn_status status = mn__alias_find(p->graph, &p->needs, p->joinings, p->when, &l->alias, err);
    if (status == MN_OK)
        status = mn__liveness_find(
            p->graph, &p->needs, &l->alias, p->order, step_count, &l->liveness, err);
    if (status != MN_OK)
        return status;
    l->arena_bytes = SIZE_MAX;
    if (p->has_best && l->liveness.peak_bytes >= p->best.arena_bytes)
        return MN_OK;
    mn__placement placement = {0};
    status = mn__offsets_find(l->liveness.buffers,
                              l->liveness.buffer_count,
                              l->liveness.peak_bytes,
                              most_states,
                              &placement,
                              err);
    if (status == MN_OK)
        l->arena_bytes = placement.arena_bytes;
    return status;
}

/* Tries all orders for the present joinings. Tells whether one became the best. */
static mn_status try_orders(planner *p, bool *ret_improved, mn_error *err)
{
    mn__alias open = {0};
    mn_status status = mn__alias_find(p->graph, &p->needs, p->joinings, NULL, &open, err);
    *ret_improved = false;
    for (int way = 0; way < MN__ORDER_WAYS && status == MN_OK; way++) {
        layout l = {0};
        uint32_t steps = 0;
        status =
            mn__order_find(p->graph, &p->needs, &open, (mn__order_way)way, p->order, &steps, err);
        if (status == MN_OK)
            status = lay_out(p, steps, &l, err);
        if (status == MN_OK && (!p->has_best || l.arena_bytes < p->best.arena_bytes)) {
            layout worse = p->best;
            p->best = l;
            l = worse;
            p->has_best = true;
            *ret_improved = true;
        }
        layout_done(&l);
    }
    mn__alias_done(&open);
    return status;
}

/* Tries the other ways to join one concat and stays with the best. */
static mn_status turn_over(planner *p, uint32_t concat, bool *ret_improved, mn_error *err)
{
    uint8_t best = p->joinings[concat];
    mn_status status = MN_OK;
    for (uint8_t other = 0; other < MN__JOININGS && status == MN_OK; other++) {
        bool improved = false;
        if (other == best)
            continue;
        p->joinings[concat] = other;
        status = try_orders(p, &improved, err);
        if (improved) {
            best = other;
            *ret_improved = true;
        }
    }
    p->joinings[concat] = best;
    return status;
}

static mn_status search(planner *p, mn_error *err)
{
    uint32_t nodes = p->needs.node_count;
    uint32_t turned = 0;
    bool improved = false;
    memset(p->joinings, MN__JOIN_IN_PLACE, nodes * sizeof *p->joinings);
    mn_status status = try_orders(p, &improved, err);
    for (uint32_t pass = 0; improved && pass < most_passes; pass++) {
        improved = false;
        for (uint32_t n = 0; n < nodes && status == MN_OK; n++) {
            if (mn_graph_node(p->graph, n)->prim != MN_PRIM_CONCAT)
                continue;
            if (p->best.arena_bytes <= p->bound_bytes || turned++ >= p->most_turned)
                return MN_OK;
            status = turn_over(p, n, &improved, err);
        }
    }
    return status;
}

/* Fills the figures of the plan and moves the best layout into it. */
static mn_status finish(planner *p, mn_plan *plan, mn_error *err)
{
    layout *best = &p->best;
    if (!mn_size_add(p->needs.weights_bytes, best->arena_bytes, &plan->total_bytes))
        return mn_error_set(err, MN_ERR_LIMIT, "weights and arena do not fit into memory");
    mn_status status =
        mn__paper_metric(p->graph, &plan->paper_intermediate_bytes, &plan->paper_total_bytes, err);
    if (status != MN_OK)
        return status;
    plan->precision = MN_PRECISION_FLOAT32;
    plan->align = p->needs.align;
    plan->step_count = best->liveness.step_count;
    plan->steps = best->liveness.steps;
    best->liveness.steps = NULL;
    plan->value_count = best->alias.value_count;
    plan->views = best->alias.views;
    best->alias.views = NULL;
    plan->buffer_count = best->liveness.buffer_count;
    plan->buffers = best->liveness.buffers;
    best->liveness.buffers = NULL;
    plan->weights_bytes = p->needs.weights_bytes;
    plan->arena_bytes = best->arena_bytes;
    plan->lower_bound_bytes = p->bound_bytes;
    plan->order_proven = best->liveness.peak_bytes == p->bound_bytes;
    plan->offsets_proven = best->arena_bytes == best->liveness.peak_bytes;
    plan->macs = mn_graph_macs(p->graph);
    return MN_OK;
}

mn_status
mn_plan_create(const mn_graph *graph, const mn_plan_opts *opts, mn_plan **ret_plan, mn_error *err)
{
    mn_plan_opts defaults = mn_plan_opts_default();
    uint32_t nodes = mn_graph_node_count(graph);
    planner p = {.graph = graph, .most_turned = most_work / (nodes + 1) + 1};
    mn_plan *plan = mn_calloc(1, sizeof *plan);
    mn_status status = MN_OK;
    p.joinings = mn_calloc(nodes, sizeof *p.joinings);
    p.order = mn_calloc(nodes, sizeof *p.order);
    p.when = mn_calloc(nodes, sizeof *p.when);
    if (plan == NULL || p.joinings == NULL || p.order == NULL || p.when == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    status = mn__needs_find(graph, opts == NULL ? &defaults : opts, &p.needs, err);
    if (status == MN_OK)
        status = mn__bound_find(graph, &p.needs, &p.bound_bytes, err);
    if (status == MN_OK)
        status = search(&p, err);
    if (status == MN_OK)
        status = finish(&p, plan, err);
    if (status == MN_OK)
        status = mn_plan_check(graph, plan, err);
    if (status != MN_OK)
        goto done;
    *ret_plan = plan;
    plan = NULL;
done:
    mn_plan_free(plan);
    layout_done(&p.best);
    mn__needs_done(&p.needs);
    free(p.joinings);
    free(p.order);
    free(p.when);
    return status;
}

void mn_plan_free(mn_plan *plan)
{
    if (plan == NULL)
        return;
    free(plan->steps);
    free(plan->views);
    free(plan->buffers);
    free(plan);
}

/*
 * The planner: rooms one after another.
 *
 *     needs -> values -> order (and which value lies inside which) -> alias -> liveness -> offsets
 *
 * A search for a network plans every candidate, so all of this has to take no more than a few
 * milliseconds for a hundred nodes.
 */
#include "memnet/plan.h"

#include <stdlib.h>

#include "base/size.h"
#include "plan/alias.h"
#include "plan/liveness.h"
#include "plan/offsets.h"
#include "plan/order.h"
#include "plan/paper_metric.h"

/* Of the exact search for offsets: some tens of milliseconds, where they are spent at all. */
static const uint64_t most_placements = 20000;

typedef struct layout {
    mn__alias alias;
    mn__liveness liveness;
    mn__placement placement;
} layout;

typedef struct planner {
    const mn_graph *graph;
    mn_plan_opts opts;
    mn__needs needs;
    mn__values values;
    mn__order order;
    layout layout;
} planner;

mn_plan_opts mn_plan_opts_default(void)
{
    return (mn_plan_opts){
        .precision = MN_PRECISION_FLOAT32, .align = 16, .max_states = MN_PLAN_MAX_STATES};
}

static void layout_done(layout *l)
{
    mn__liveness_done(&l->liveness);
    mn__alias_done(&l->alias);
}

static void planner_done(planner *p)
{
    layout_done(&p->layout);
    mn__order_done(&p->order);
    mn__values_done(&p->values);
    mn__needs_done(&p->needs);
}

/* Buffers and offsets for one order. */
static mn_status lay_out(const planner *p, const mn__order *order, layout *l, mn_error *err)
{
    mn_status status = mn__alias_find(&p->values, order, &l->alias, err);
    if (status == MN_OK)
        status = mn__liveness_find(
            p->graph, &p->needs, &l->alias, order->steps, order->step_count, &l->liveness, err);
    if (status == MN_OK && l->liveness.peak_bytes != order->peak_bytes)
        status = mn_error_set(err,
                              MN_ERR_INTERNAL,
                              "plan: %zu bytes are alive at most, expected %zu",
                              l->liveness.peak_bytes,
                              order->peak_bytes);
    if (status == MN_OK)
        status = mn__offsets_find(l->liveness.buffers,
                                  l->liveness.buffer_count,
                                  l->liveness.peak_bytes,
                                  most_placements,
                                  &l->placement,
                                  err);
    return status;
}

/* Sizes, and what may lie where. */
static mn_status prepare(planner *p, mn_error *err)
{
    mn_status status = mn__needs_find(p->graph, &p->opts, &p->needs, err);
    if (status == MN_OK)
        status = mn__values_find(p->graph, &p->needs, &p->values, err);
    return status;
}

/* Lays out the graph's own order. */
static mn_status lay_out_straight(planner *p, layout *l, mn_error *err)
{
    mn__order straight = {0};
    mn_status status = mn__order_find(&p->values, MN__STRAIGHT, 0, &straight, err);
    if (status == MN_OK)
        status = lay_out(p, &straight, l, err);
    mn__order_done(&straight);
    return status;
}

/* The best order, unless its buffers leave gaps and the graph's own order does better. */
static mn_status make(planner *p, mn_error *err)
{
    layout straight = {0};
    mn_status status = prepare(p, err);
    if (status == MN_OK)
        status = mn__order_find(&p->values, MN__SEARCH, p->opts.max_states, &p->order, err);
    if (status == MN_OK)
        status = lay_out(p, &p->order, &p->layout, err);
    if (status == MN_OK && p->layout.placement.arena_bytes > p->order.peak_bytes) {
        status = lay_out_straight(p, &straight, err);
        if (status == MN_OK && straight.placement.arena_bytes < p->layout.placement.arena_bytes) {
            layout worse = p->layout;
            p->layout = straight;
            straight = worse;
        }
    }
    layout_done(&straight);
    return status;
}

/* Fills the figures of the plan and moves the layout into it. */
static mn_status finish(planner *p, mn_plan *plan, mn_error *err)
{
    if (!mn_size_add(p->needs.weights_bytes, p->layout.placement.arena_bytes, &plan->total_bytes))
        return mn_error_set(err, MN_ERR_LIMIT, "weights and arena do not fit into memory");
    mn_status status =
        mn__paper_metric(p->graph, &plan->paper_intermediate_bytes, &plan->paper_total_bytes, err);
    if (status != MN_OK)
        return status;
    plan->precision = p->opts.precision;
    plan->align = p->needs.align;
    plan->sizes_only = p->opts.sizes_only;
    plan->step_count = p->layout.liveness.step_count;
    plan->steps = p->layout.liveness.steps;
    p->layout.liveness.steps = NULL;
    plan->value_count = p->layout.alias.value_count;
    plan->views = p->layout.alias.views;
    p->layout.alias.views = NULL;
    plan->buffer_count = p->layout.liveness.buffer_count;
    plan->buffers = p->layout.liveness.buffers;
    p->layout.liveness.buffers = NULL;
    plan->weights_bytes = p->needs.weights_bytes;
    plan->arena_bytes = p->layout.placement.arena_bytes;
    plan->peak_bytes = p->layout.liveness.peak_bytes;
    plan->lower_bound_bytes = p->order.lower_bound_bytes;
    plan->order_proven = plan->peak_bytes == p->order.lower_bound_bytes;
    plan->offsets_proven = p->layout.placement.proven;
    plan->greedy_peak_bytes = p->order.greedy_peak_bytes;
    plan->states = p->order.states;
    plan->macs = mn_graph_macs(p->graph);
    return MN_OK;
}

mn_status
mn_plan_create(const mn_graph *graph, const mn_plan_opts *opts, mn_plan **ret_plan, mn_error *err)
{
    planner p = {.graph = graph, .opts = opts == NULL ? mn_plan_opts_default() : *opts};
    mn_plan *plan = mn_calloc(1, sizeof *plan);
    mn_status status = MN_OK;
    if (plan == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    status = make(&p, err);
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
    planner_done(&p);
    return status;
}

typedef enum verdict { FITS, FITS_NOT, UNKNOWN } verdict;

/* Cheap answers: what no order can do without, then the graph's own order. Neither contradicts the
 * plan: make() does not choose a larger arena than that of the graph's own order. */
static mn_status decide(planner *p, size_t most_arena_bytes, verdict *ret_verdict, mn_error *err)
{
    mn__order bound = {0};
    mn_status status = mn__order_find(&p->values, MN__JUST_BOUND, 0, &bound, err);
    bool is_over = bound.lower_bound_bytes > most_arena_bytes;
    mn__order_done(&bound);
    *ret_verdict = is_over ? FITS_NOT : UNKNOWN;
    if (status != MN_OK || is_over)
        return status;
    status = lay_out_straight(p, &p->layout, err);
    if (status == MN_OK && p->layout.placement.arena_bytes <= most_arena_bytes)
        *ret_verdict = FITS;
    return status;
}

mn_status mn_plan_fits(const mn_graph *graph,
                       const mn_plan_opts *opts,
                       size_t most_arena_bytes,
                       size_t most_total_bytes,
                       bool *ret_fits,
                       mn_error *err)
{
    planner p = {.graph = graph, .opts = opts == NULL ? mn_plan_opts_default() : *opts};
    mn_plan *plan = NULL;
    verdict found = FITS_NOT;
    mn_status status = prepare(&p, err);
    if (status != MN_OK || p.needs.weights_bytes > most_total_bytes)
        goto done;
    size_t most = most_total_bytes - p.needs.weights_bytes;
    most = most < most_arena_bytes ? most : most_arena_bytes;
    status = decide(&p, most, &found, err);
    if (status != MN_OK || found != UNKNOWN)
        goto done;
    status = mn_plan_create(graph, opts, &plan, err);
    if (status == MN_OK)
        found = plan->arena_bytes <= most ? FITS : FITS_NOT;
done:
    if (status == MN_OK)
        *ret_fits = found == FITS;
    mn_plan_free(plan);
    planner_done(&p);
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

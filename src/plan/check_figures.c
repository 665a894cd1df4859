/*
 * The part of the checker that looks at the plan's own figures: buffers, lifetimes and sums. Like
 * check.c, it shares no code with the planner.
 */
#include "plan/check.h"

mn_status mn__check_buffers(const mn_plan *plan, mn_error *err)
{
    for (uint32_t i = 0; i < plan->buffer_count; i++) {
        const mn_plan_buffer *b = &plan->buffers[i];
        if (b->bytes % plan->align != 0 || b->offset % plan->align != 0)
            return mn_error_set(err, MN_ERR_INTERNAL, "plan: buffer %u is not aligned", i);
        if (b->offset > plan->arena_bytes || b->bytes > plan->arena_bytes - b->offset)
            return mn_error_set(err, MN_ERR_INTERNAL, "plan: buffer %u lies outside the arena", i);
        if (b->first_step > b->last_step || (b->last_step >= plan->step_count && b->last_step > 0))
            return mn_error_set(err, MN_ERR_INTERNAL, "plan: buffer %u has no sound lifetime", i);
        for (uint32_t k = 0; k < i; k++) {
            const mn_plan_buffer *a = &plan->buffers[k];
            if (a->first_step <= b->last_step && b->first_step <= a->last_step &&
                a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes)
                return mn_error_set(err, MN_ERR_INTERNAL, "plan: buffers %u and %u overlap", k, i);
        }
    }
    return MN_OK;
}

mn_status mn__check_figures(const mn_graph *graph, const mn_plan *plan, mn_error *err)
{
    size_t weights = 0;
    size_t peak = 0;
    for (uint32_t t = 0; t < mn_graph_tensor_count(graph); t++) {
        const mn_tensor_info *info = mn_graph_tensor(graph, t);
        if (plan->precision == MN_PRECISION_INT8)
            weights += info->role == MN_ROLE_WEIGHT
                           ? mn_graph_tensor_elements(graph, t) + (size_t)info->dims[0] * 9
                           : 0; /* bias, multiplier and shift are 4, 4 and 1 bytes */
        else if (mn_graph_node(graph, info->node)->constant_bytes == 0)
            weights += sizeof(float) * mn_graph_tensor_elements(graph, t);
    }
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++)
        weights += mn_graph_node(graph, n)->constant_bytes;
    for (uint32_t t = 0; t == 0 || t < plan->step_count; t++) {
        size_t live = 0;
        for (uint32_t i = 0; i < plan->buffer_count; i++)
            if (plan->buffers[i].first_step <= t && t <= plan->buffers[i].last_step)
                live += plan->buffers[i].bytes;
        if (plan->step_count > 0 && plan->steps[t].live_bytes != live)
            return mn_error_set(err,
                                MN_ERR_INTERNAL,
                                "plan: step %u: %zu live bytes, expected %zu",
                                t,
                                plan->steps[t].live_bytes,
                                live);
        peak = live > peak ? live : peak;
    }
    if (plan->arena_bytes % plan->align != 0 || plan->weights_bytes != weights ||
        plan->total_bytes < weights || plan->total_bytes - weights != plan->arena_bytes ||
        plan->peak_bytes != peak || plan->lower_bound_bytes > peak || peak > plan->arena_bytes ||
        plan->order_proven != (peak == plan->lower_bound_bytes) ||
        (peak == plan->arena_bytes && !plan->offsets_proven) || plan->macs != mn_graph_macs(graph))
        return mn_error_set(err,
                            MN_ERR_INTERNAL,
                            "plan: the figures contradict each other (arena %zu, peak %zu, "
                            "lower bound %zu, weights %zu, total %zu)",
                            plan->arena_bytes,
                            peak,
                            plan->lower_bound_bytes,
                            plan->weights_bytes,
                            plan->total_bytes);
    return MN_OK;
}

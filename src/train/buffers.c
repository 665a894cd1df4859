/*
 * Memory of the steps: every buffer is alive from the first to the last step that uses it, over the
 * forward and the backward program, and the planner places buffers as it does those of an
 * inference. Steps of a group run image by image together (program.c), so lifetimes are widened to
 * groups.
 */
#include <stdlib.h>

#include "plan/offsets.h"
#include "train/network.h"
#include "train/program.h"

mn_status mn__buffer_create(mn__network *net, size_t bytes, mn__buffer **ret_buffer, mn_error *err)
{
    void *block = NULL;
    size_t rounded;
    if (!mn_size_round_up(bytes, MN_ARENA_ALIGN, &rounded))
        return mn_error_set(err, MN_ERR_NOMEM, "no memory for %zu bytes", bytes);
    mn_status status = mn__network_alloc(net, 1, sizeof(mn__buffer), &block, err);
    if (status != MN_OK)
        return status;
    mn__buffer *buffer = block;
    *buffer = (mn__buffer){.bytes = rounded, .first = MN_NONE, .next = net->buffers};
    net->buffers = buffer;
    *ret_buffer = buffer;
    return MN_OK;
}

void mn__uses_buffer(mn__network *net, mn__buffer *buffer)
{
    uint32_t step = mn__next_step(net);
    if (buffer->first == MN_NONE)
        buffer->first = step;
    buffer->last = step;
}

static void need(mn__network *net, uint32_t step)
{
    if (step != MN_NONE && (net->needs == MN_NONE || step > net->needs))
        net->needs = step;
}

void mn__uses_value(mn__network *net, const mn__value *value)
{
    mn__uses_buffer(net, mn__buffer_of(value->storage));
    if (value->scale != NULL)
        need(net, value->ready);
}

void mn__uses_gradient(mn__network *net, const mn__gradient *gradient)
{
    mn__uses_buffer(net, mn__buffer_of(&gradient->storage));
    if (gradient->through != NULL) {
        mn__uses_value(net, gradient->through);
        if (gradient->a != NULL)
            need(net, gradient->ready);
    }
}

void mn__wants_scratch(mn__network *net, size_t bytes)
{
    if (bytes > net->scratch_bytes)
        net->scratch_bytes = bytes;
}

/* The most bytes that are alive in one group. */
static size_t peak_of(const mn_plan_buffer *plan, uint32_t count, uint32_t groups, size_t *alive)
{
    size_t peak = 0;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t g = plan[i].first_step; g <= plan[i].last_step; g++)
            alive[g] += plan[i].bytes;
    for (uint32_t g = 0; g < groups; g++)
        peak = alive[g] > peak ? alive[g] : peak;
    return peak;
}

static mn_status plan_places(
    mn__network *net, mn_plan_buffer *plan, uint32_t count, size_t *ret_bytes, mn_error *err)
{
    uint32_t groups = 0;
    uint32_t *group_of = NULL;
    size_t *alive = NULL;
    mn__placement placement;
    mn_status status = mn__groups_find(net, &group_of, &groups, err);
    if (status != MN_OK)
        return status;
    alive = mn_calloc(groups, sizeof *alive);
    if (alive == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    for (uint32_t i = 0; i < count; i++) {
        plan[i].first_step = net->opts.separate ? 0 : group_of[plan[i].first_step];
        plan[i].last_step = net->opts.separate ? groups - 1 : group_of[plan[i].last_step];
    }
    status = mn__offsets_find(plan, count, peak_of(plan, count, groups, alive), 0, &placement, err);
    if (status == MN_OK)
        *ret_bytes = placement.arena_bytes;
done:
    free(alive);
    free(group_of);
    return status;
}

mn_status mn__buffers_place(mn__network *net, mn_error *err)
{
    uint32_t count = 0;
    void *memory = NULL;
    size_t bytes = 0;
    for (const mn__buffer *b = net->buffers; b != NULL; b = b->next)
        count += b->first != MN_NONE;
    mn_plan_buffer *plan = mn_calloc(count, sizeof *plan);
    if (plan == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    uint32_t i = 0;
    for (const mn__buffer *b = net->buffers; b != NULL; b = b->next)
        if (b->first != MN_NONE)
            plan[i++] =
                (mn_plan_buffer){.bytes = b->bytes, .first_step = b->first, .last_step = b->last};
    mn_status status = plan_places(net, plan, count, &bytes, err);
    if (status == MN_OK)
        status = mn_arena_take(net->arena, bytes, &memory, err);
    i = 0;
    for (mn__buffer *b = net->buffers; b != NULL && status == MN_OK; b = b->next)
        if (b->first != MN_NONE)
            b->data = (char *)memory + plan[i++].offset;
    net->planned_bytes = bytes;
    free(plan);
    return status;
}

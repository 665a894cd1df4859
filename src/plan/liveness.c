/*
 * Lifetimes of buffers for one order of execution, and how many bytes are alive at each step.
 * Lifetimes include both ends: a kernel's input and output are alive together. Graph inputs are
 * alive from the first step, graph outputs to the last.
 */
#include "plan/liveness.h"

#include <stdlib.h>

#include "base/size.h"

static void touch(mn__liveness *l, uint32_t buffer, uint32_t step)
{
    mn_plan_buffer *b = &l->buffers[buffer];
    if (step < b->first_step)
        b->first_step = step;
    if (step > b->last_step)
        b->last_step = step;
}

static void touch_all(const mn_graph *graph,
                      const mn__needs *needs,
                      const mn__alias *alias,
                      const uint32_t *order,
                      mn__liveness *l)
{
    uint32_t end = l->step_count > 0 ? l->step_count - 1 : 0;
    for (uint32_t t = 0; t < l->step_count; t++) {
        const mn_node *node = mn_graph_node(graph, order[t]);
        touch(l, alias->views[order[t]].buffer, t);
        for (uint32_t i = 0; i < node->input_count; i++)
            touch(l, alias->views[node->inputs[i]].buffer, t);
    }
    for (uint32_t n = 0; n < alias->value_count; n++) {
        if (mn_graph_node(graph, n)->prim == MN_PRIM_INPUT)
            touch(l, alias->views[n].buffer, 0);
        if (needs->is_output[n])
            touch(l, alias->views[n].buffer, end);
    }
}

/* Appends a buffer for the scratch of each step that has some. */
static void add_scratch(const mn__needs *needs, mn__liveness *l)
{
    for (uint32_t t = 0; t < l->step_count; t++) {
        uint32_t n = l->steps[t].node;
        size_t bytes = l->steps[t].in_place ? needs->in_place_bytes[n] : needs->scratch_bytes[n];
        if (bytes == 0)
            continue;
        l->steps[t].scratch = l->buffer_count;
        l->buffers[l->buffer_count++] =
            (mn_plan_buffer){.bytes = bytes, .first_step = t, .last_step = t};
    }
}

/* live_bytes by differences: what is born at a step minus what died before it. */
static mn_status sum_live_bytes(mn__liveness *l, mn_error *err)
{
    size_t *born = mn_calloc(l->step_count + 1, sizeof *born);
    size_t *dead = mn_calloc(l->step_count + 1, sizeof *dead);
    size_t live = 0;
    mn_status status = MN_OK;
    if (born == NULL || dead == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    for (uint32_t b = 0; b < l->buffer_count; b++) {
        born[l->buffers[b].first_step] += l->buffers[b].bytes;
        if (l->step_count > 0)
            dead[l->buffers[b].last_step + 1] += l->buffers[b].bytes;
    }
    for (uint32_t t = 0; t == 0 || t < l->step_count; t++) {
        live = live - dead[t] + born[t];
        if (l->step_count > 0)
            l->steps[t].live_bytes = live;
        if (live > l->peak_bytes)
            l->peak_bytes = live;
    }
done:
    free(born);
    free(dead);
    return status;
}

mn_status mn__liveness_find(const mn_graph *graph,
                            const mn__needs *needs,
                            const mn__alias *alias,
                            const uint32_t *order,
                            uint32_t step_count,
                            mn__liveness *liveness,
                            mn_error *err)
{
    mn__liveness *l = liveness;
    l->step_count = step_count;
    l->buffer_count = alias->buffer_count;
    l->steps = mn_calloc(step_count, sizeof *l->steps);
    l->buffers = mn_calloc((size_t)alias->buffer_count + step_count, sizeof *l->buffers);
    if (l->steps == NULL || l->buffers == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t t = 0; t < step_count; t++)
        l->steps[t] =
            (mn_step){.node = order[t], .scratch = MN_NONE, .in_place = alias->in_place[order[t]]};
    for (uint32_t b = 0; b < alias->buffer_count; b++)
        l->buffers[b] = (mn_plan_buffer){.bytes = alias->buffer_bytes[b], .first_step = MN_NONE};
    touch_all(graph, needs, alias, order, l);
    add_scratch(needs, l);
    return sum_live_bytes(l, err);
}

void mn__liveness_done(mn__liveness *liveness)
{
    free(liveness->steps);
    free(liveness->buffers);
    *liveness = (mn__liveness){0};
}

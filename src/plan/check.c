/*
 * The independent checker: believes nothing but the graph, the order of the steps and the views,
 * and shares no code with the planner.
 *
 * It looks at pieces: the bytes that one kernel call (or the caller, for a graph input) writes.
 * Times are the numbers of the steps plus one; at time 0 the caller has written the inputs, at
 * time `end` it reads the outputs. A piece is alive from the time when it is written to the last
 * time when it is read, be it through concats and reshapes that have no step of their own. Two
 * pieces that are alive at the same time must not share a byte. The one exception is an
 * element-wise kernel that writes exactly over an input which nothing reads later.
 */
#include "plan/check.h"

#include <stdlib.h>

#include "base/size.h"

/* ---- views and steps, each by itself -------------------------------------------------------- */

static mn_status check_view(const mn__checker *c, uint32_t n)
{
    mn__region region = mn__check_region(c, n);
    if (region.view.buffer >= c->plan->buffer_count)
        return mn__check_wrong(c, n, "its view is in no buffer");
    if (region.view.pixel_stride < region.shape.c)
        return mn__check_wrong(c, n, "its pixels overlap each other");
    if (mn__check_extent(&region) > c->plan->buffers[region.view.buffer].bytes / region.element)
        return mn__check_wrong(c, n, "its view leaves the buffer");
    return MN_OK;
}

/* Whether a kernel or a rearrangement without one stands behind the primitive. */
static bool is_planned(const mn__checker *c, mn_prim prim)
{
    return prim != MN_PRIM_BATCH_NORM && prim != MN_PRIM_IDENTITY && prim != MN_PRIM_FAKE_QUANT &&
           (prim != MN_PRIM_OPAQUE || c->plan->sizes_only) && prim < MN_PRIM_COUNT;
}

static mn_status read_steps(mn__checker *c)
{
    for (uint32_t n = 0; n < c->nodes; n++)
        c->time_of[n] = MN_NONE;
    for (uint32_t t = 0; t < c->plan->step_count; t++) {
        uint32_t n = c->plan->steps[t].node;
        if (n >= c->nodes)
            return mn_error_set(c->err, MN_ERR_INTERNAL, "plan: step %u runs no node", t);
        if (c->time_of[n] != MN_NONE)
            return mn__check_wrong(c, n, "runs twice");
        c->time_of[n] = t + 1;
    }
    for (uint32_t n = 0; n < c->nodes; n++) {
        mn_prim prim = mn__check_node(c, n)->prim;
        bool runs = c->time_of[n] != MN_NONE;
        if (!is_planned(c, prim) ||
            (mn__check_node(c, n)->element_bytes != 0 && !c->plan->sizes_only))
            return mn__check_wrong(c, n, "no kernel can run it");
        if (prim != MN_PRIM_CONCAT && runs == (prim == MN_PRIM_INPUT || prim == MN_PRIM_RESHAPE))
            return mn__check_wrong(c, n, runs ? "must not have a step" : "has no step");
        mn_status status = check_view(c, n);
        if (status != MN_OK)
            return status;
    }
    return MN_OK;
}

/* ---- contents: where they are made, until when they are read -------------------------------- */

/* Where input x of a concat belongs; `channel` counts those before it. */
static mn__region slot_of(const mn__checker *c, uint32_t concat, uint32_t x, uint32_t channel)
{
    mn__region slot = mn__check_region(c, concat);
    slot.view.channel_offset += channel; /* fits: the concat's own view was checked */
    slot.shape = mn__check_node(c, x)->shape;
    return slot;
}

static void add_piece(mn__checker *c, uint32_t n, mn__region region, uint32_t written)
{
    c->pieces[c->piece_count++] =
        (mn__piece){.node = n, .region = region, .written = written, .last_read = c->until[n]};
}

/* A concat's inputs lie in their slots, or its step copies them there. */
static mn_status check_concat(mn__checker *c, uint32_t n)
{
    const mn_node *node = mn__check_node(c, n);
    uint32_t channel = 0;
    uint32_t copied = 0;
    for (uint32_t i = 0; i < node->input_count; i++) {
        mn__region from = mn__check_region(c, node->inputs[i]);
        mn__region slot = slot_of(c, n, node->inputs[i], channel);
        channel += slot.shape.c;
        if (mn__check_same_place(&from, &slot))
            continue;
        add_piece(c, n, slot, c->time_of[n]);
        copied++;
    }
    if (copied > 0 && c->time_of[n] == MN_NONE)
        return mn__check_wrong(c, n, "an input is neither in its slot nor copied there");
    if (copied == 0 && c->time_of[n] != MN_NONE)
        return mn__check_wrong(c, n, "has a step with nothing to copy");
    return MN_OK;
}

/* Forward: that producers run before readers, and the time at which each value is complete. */
static mn_status check_dependencies(mn__checker *c)
{
    for (uint32_t n = 0; n < c->nodes; n++) {
        const mn_node *node = mn__check_node(c, n);
        mn__region region = mn__check_region(c, n);
        uint32_t latest = 0;
        for (uint32_t i = 0; i < node->input_count; i++)
            latest = c->made[node->inputs[i]] > latest ? c->made[node->inputs[i]] : latest;
        if (c->time_of[n] != MN_NONE && c->time_of[n] <= latest)
            return mn__check_wrong(c, n, "runs before an input is there");
        c->made[n] = c->time_of[n] != MN_NONE ? c->time_of[n] : latest;
        if (node->prim == MN_PRIM_RESHAPE) {
            mn__region from = mn__check_region(c, node->inputs[0]);
            if (!mn__check_is_dense(&from) || !mn__check_is_dense(&region) ||
                from.element != region.element || from.view.buffer != region.view.buffer ||
                from.view.channel_offset != region.view.channel_offset)
                return mn__check_wrong(c, n, "does not lie where its input lies");
        }
        if (node->prim == MN_PRIM_INPUT && !mn__check_is_dense(&region))
            return mn__check_wrong(c, n, "an input of the graph must be dense");
    }
    return MN_OK;
}

/* Backward: until when each value's bytes are read. */
static mn_status find_last_reads(mn__checker *c)
{
    for (uint32_t n = 0; n < c->nodes; n++)
        c->until[n] = c->made[n];
    for (uint32_t i = 0; i < mn_graph_output_count(c->graph); i++) {
        uint32_t n = mn_graph_output(c->graph, i);
        mn__region region = mn__check_region(c, n);
        c->until[n] = c->end;
        if (!mn__check_is_dense(&region))
            return mn__check_wrong(c, n, "an output of the graph must be dense");
    }
    for (uint32_t n = c->nodes; n-- > 0;) {
        const mn_node *node = mn__check_node(c, n);
        uint32_t channel = 0;
        for (uint32_t i = 0; i < node->input_count; i++) {
            uint32_t x = node->inputs[i];
            mn__region from = mn__check_region(c, x);
            mn__region slot = slot_of(c, n, x, channel);
            bool shared = c->time_of[n] == MN_NONE ||
                          (node->prim == MN_PRIM_CONCAT && mn__check_same_place(&from, &slot));
            uint32_t read = shared ? c->until[n] : c->time_of[n];
            c->until[x] = read > c->until[x] ? read : c->until[x];
            if (node->prim == MN_PRIM_CONCAT)
                channel += from.shape.c;
        }
    }
    return MN_OK;
}

static mn_status find_pieces(mn__checker *c)
{
    for (uint32_t n = 0; n < c->nodes; n++) {
        const mn_node *node = mn__check_node(c, n);
        if (node->prim == MN_PRIM_CONCAT) {
            mn_status status = check_concat(c, n);
            if (status != MN_OK)
                return status;
        } else if (node->prim != MN_PRIM_RESHAPE) {
            add_piece(c, n, mn__check_region(c, n), c->made[n]);
        }
    }
    return MN_OK;
}

/* ---- that nothing alive shares a byte ------------------------------------------------------- */

/* `late` overwrites what its own kernel reads for the last time; that the places agree exactly is
 * up to mn__check_kernels(). */
static bool is_written_over(const mn__checker *c, const mn__piece *early, const mn__piece *late)
{
    const mn_node *node = mn__check_node(c, late->node);
    for (uint32_t i = 0; i < node->input_count && early->last_read == late->written; i++)
        if (mn__check_may_be_in_place(c, late->node, node->inputs[i]))
            return true;
    return false;
}

static mn_status check_pieces(const mn__checker *c)
{
    for (uint32_t i = 0; i < c->piece_count; i++) {
        const mn__piece *a = &c->pieces[i];
        for (uint32_t k = 0; k < i; k++) {
            const mn__piece *b = &c->pieces[k];
            if (a->written > b->last_read || b->written > a->last_read ||
                !mn__check_overlap(c, &a->region, &b->region) || is_written_over(c, a, b) ||
                is_written_over(c, b, a))
                continue;
            return mn_error_set(c->err,
                                MN_ERR_INTERNAL,
                                "plan: '%s' and '%s' share bytes while both are needed",
                                mn__check_node(c, b->node)->name,
                                mn__check_node(c, a->node)->name);
        }
    }
    return MN_OK;
}

/* Buffers must be alive as long as what lies in them. */
static mn_status check_lifetimes(const mn__checker *c)
{
    uint32_t last = c->plan->step_count > 0 ? c->plan->step_count - 1 : 0;
    for (uint32_t i = 0; i < c->piece_count; i++) {
        const mn__piece *p = &c->pieces[i];
        const mn_plan_buffer *b = &c->plan->buffers[p->region.view.buffer];
        uint32_t from = p->written > 0 ? p->written - 1 : 0;
        uint32_t to = p->last_read > 0 ? p->last_read - 1 : 0;
        if (b->first_step > from || b->last_step < (to < last ? to : last))
            return mn__check_wrong(c, p->node, "its buffer's lifetime is too short");
    }
    return MN_OK;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static mn_status check_all(mn__checker *c)
{
    static mn_status (*const parts[])(mn__checker *) = {
        read_steps, check_dependencies, find_last_reads, find_pieces};
    static mn_status (*const judges[])(const mn__checker *) = {
        check_pieces, mn__check_kernels, check_lifetimes};
    mn_status status = mn__check_buffers(c->plan, c->err);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status == MN_OK; i++)
        status = parts[i](c);
    for (size_t i = 0; i < sizeof judges / sizeof judges[0] && status == MN_OK; i++)
        status = judges[i](c);
    if (status == MN_OK)
        status = mn__check_figures(c->graph, c->plan, c->err);
    return status;
}

mn_status mn_plan_check(const mn_graph *graph, const mn_plan *plan, mn_error *err)
{
    mn__checker c = {.graph = graph,
                     .plan = plan,
                     .err = err,
                     .nodes = mn_graph_node_count(graph),
                     .end = plan->step_count + 1};
    mn_status status = MN_OK;
    size_t most_pieces = c.nodes;
    bool is_int8 = plan->precision == MN_PRECISION_INT8;
    if (plan->value_count != c.nodes ||
        (is_int8 ? plan->sizes_only : plan->precision != MN_PRECISION_FLOAT32) ||
        plan->align < sizeof(float) || plan->step_count > c.nodes)
        return mn_error_set(
            err, MN_ERR_INTERNAL, "plan: it is no plan of a graph of %u nodes", c.nodes);
    for (uint32_t n = 0; n < c.nodes; n++)
        most_pieces += mn_graph_node(graph, n)->input_count;
    c.time_of = mn_calloc(c.nodes, sizeof *c.time_of);
    c.made = mn_calloc(c.nodes, sizeof *c.made);
    c.until = mn_calloc(c.nodes, sizeof *c.until);
    c.pieces = mn_calloc(most_pieces, sizeof *c.pieces);
    if (c.time_of == NULL || c.made == NULL || c.until == NULL || c.pieces == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    else
        status = check_all(&c);
    free(c.time_of);
    free(c.made);
    free(c.until);
    free(c.pieces);
    return status;
}

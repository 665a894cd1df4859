/*
 * Decides which values share memory and where in a buffer each lies.
 *
 * Values that hold the same bytes, one after another (in place) or at once (reshape), form a
 * group, named by its first value. Only the group's last step-made value, its occupant, is alive
 * together with reshapes of it; what it was written over is dead. A group either is a buffer or is
 * a slice of a concat, which belongs to a group of its own, and so on: concats nest.
 *
 * Invariants:
 *  - a group is a slice only when its newest value is the concat's input, and nothing is written
 *    onto a slice or joins its group afterwards;
 *  - graph inputs, graph outputs and reshaped values are dense, so their groups are no slices.
 */
#include "plan/alias.h"

#include <stdlib.h>

#include "base/size.h"

/* In place of a reader: the bytes are needed for ever, or by readers whose order is open. */
static const uint32_t for_ever = MN_NONE - 1;

enum { WORK_ARRAYS = 8 };

typedef struct maker {
    const mn_graph *graph;
    const mn__needs *needs;
    const uint8_t *joinings;
    const uint32_t *when; /* may be NULL */
    mn__alias *alias;
    uint32_t *work;     /* (WORK_ARRAYS, nodes): the arrays below */
    uint32_t *host;     /* of a value: the concat whose slice it is, or MN_NONE */
    uint32_t *channel;  /* of a value with a host: where in the concat */
    uint32_t *last;     /* of a value: the node that reads it last, MN_NONE, or for_ever */
    uint32_t *last_all; /* the same, of the value and of all slices in it */
    uint32_t *group;    /* of a value: first value of its group */
    uint32_t *occupant; /* of a group: the value that lies in it now */
    uint32_t *born;     /* of a group: when its first byte is written */
    uint32_t *slice_of; /* of a group: its value that has a host, or MN_NONE */
    bool *dense;        /* of a group: must not become a slice */
} maker;

static const mn_node *node_at(const maker *m, uint32_t n)
{
    return mn_graph_node(m->graph, n);
}

/* Claims, concat by concat, the inputs that can be produced right inside their concat. */
static void choose_slices(maker *m)
{
    bool *has_step = m->alias->has_step;
    for (uint32_t n = 0; n < m->needs->node_count; n++) {
        const mn_node *node = node_at(m, n);
        m->host[n] = MN_NONE;
        m->dense[n] =
            node->prim == MN_PRIM_INPUT || node->prim == MN_PRIM_RESHAPE || m->needs->is_output[n];
        has_step[n] = node->prim != MN_PRIM_INPUT && node->prim != MN_PRIM_RESHAPE;
        if (node->prim == MN_PRIM_RESHAPE)
            m->dense[node->inputs[0]] = true;
    }
    for (uint32_t n = 0; n < m->needs->node_count; n++) {
        const mn_node *node = node_at(m, n);
        if (node->prim != MN_PRIM_CONCAT)
            continue;
        uint32_t channel = 0;
        uint32_t sliced = 0;
        for (uint32_t i = 0; i < node->input_count; i++) {
            uint32_t x = node->inputs[i];
            if (m->joinings[n] != MN__JOIN_COPIES && m->host[x] == MN_NONE && !m->dense[x]) {
                m->host[x] = n;
                m->channel[x] = channel;
                sliced++;
            }
            channel += node_at(m, x)->shape.c;
        }
        has_step[n] = sliced < node->input_count;
    }
}

static bool is_slice_in(const maker *m, uint32_t value, uint32_t concat)
{
    return node_at(m, concat)->prim == MN_PRIM_CONCAT && m->host[value] == concat;
}

/* The later of two readers; with the order open, two different readers have no later one. */
static uint32_t later(const maker *m, uint32_t a, uint32_t b)
{
    if (a == MN_NONE || a == b)
        return b;
    if (b == MN_NONE)
        return a;
    if (a == for_ever || b == for_ever || m->when == NULL)
        return for_ever;
    return m->when[a] > m->when[b] ? a : b;
}

/* Last readers, looking through reshapes and slices: whoever reads those reads this value. Nothing
 * is written onto a slice, so it does not matter that a copying concat may read it too. */
static void find_last_readers(maker *m)
{
    for (uint32_t n = 0; n < m->needs->node_count; n++)
        m->last[n] = m->needs->is_output[n] ? for_ever : MN_NONE;
    for (uint32_t n = m->needs->node_count; n-- > 0;) {
        const mn_node *node = node_at(m, n);
        for (uint32_t i = 0; i < node->input_count; i++) {
            uint32_t x = node->inputs[i];
            bool looked_through = !m->alias->has_step[n] || is_slice_in(m, x, n);
            m->last[x] = later(m, m->last[x], looked_through ? m->last[n] : n);
        }
    }
}

/* Starts a group of its own for a value. */
static void found_group(maker *m, uint32_t n)
{
    const mn_node *node = node_at(m, n);
    uint32_t now = m->when != NULL && m->alias->has_step[n] ? m->when[n] : n;
    m->group[n] = n;
    m->occupant[n] = n;
    m->slice_of[n] = m->host[n] != MN_NONE ? n : MN_NONE;
    m->born[n] = node->prim == MN_PRIM_INPUT ? 0 : now + 1;
    m->last_all[n] = m->last[n];
    if (node->prim != MN_PRIM_CONCAT)
        return;
    if (!m->alias->has_step[n])
        m->born[n] = MN_NONE;
    for (uint32_t i = 0; i < node->input_count; i++) {
        uint32_t x = node->inputs[i];
        if (!is_slice_in(m, x, n))
            continue;
        m->last_all[n] = later(m, m->last_all[n], m->last_all[x]);
        if (m->born[m->group[x]] < m->born[n])
            m->born[n] = m->born[m->group[x]];
    }
}

/* Whether element-wise node n may write its result onto its input x. */
static bool may_write_onto(const maker *m, uint32_t n, uint32_t x)
{
    uint32_t group = m->group[x];
    bool may_become_slice =
        m->host[n] == MN_NONE || (m->joinings[m->host[n]] == MN__JOIN_IN_PLACE && !m->dense[group]);
    return m->slice_of[group] == MN_NONE && may_become_slice &&
           m->last_all[m->occupant[group]] == n;
}

/* Joins n to the group of an input. Of two that die here the younger is taken: when the result is
 * a slice, the whole concat's buffer lives from the group's first byte on. */
static bool join_in_place(maker *m, uint32_t n)
{
    const mn_node *node = node_at(m, n);
    uint32_t best = MN_NONE;
    for (uint32_t i = 0; i < node->input_count; i++) {
        uint32_t x = node->inputs[i];
        if (may_write_onto(m, n, x) &&
            (best == MN_NONE || m->born[m->group[x]] > m->born[m->group[best]]))
            best = x;
    }
    if (best == MN_NONE)
        return false;
    uint32_t group = m->group[best];
    m->group[n] = group;
    m->occupant[group] = n;
    m->slice_of[group] = m->host[n] != MN_NONE ? n : MN_NONE;
    m->dense[group] = m->dense[group] || m->dense[n];
    m->last_all[n] = m->last[n];
    m->alias->in_place[n] = true;
    return true;
}

static void form_groups(maker *m)
{
    for (uint32_t n = 0; n < m->needs->node_count; n++) {
        const mn_node *node = node_at(m, n);
        if (node->prim == MN_PRIM_RESHAPE)
            m->group[n] = m->group[node->inputs[0]]; /* dense since choose_slices() */
        else if (!mn__prim_is_elementwise(node->prim) || !join_in_place(m, n))
            found_group(m, n);
    }
}

/* Gives every group its place. A host lies above all of its slices, so that going down from the
 * last value meets each concat after the group that it belongs to was placed. */
static void place_groups(maker *m)
{
    mn__alias *alias = m->alias;
    mn_view *place = alias->views; /* of a group, at its first value; stride 0 = dense */
    for (uint32_t n = 0; n < m->needs->node_count; n++) {
        if (m->group[n] != n || m->slice_of[n] != MN_NONE)
            continue;
        place[n] = (mn_view){.buffer = alias->buffer_count};
        alias->buffer_bytes[alias->buffer_count++] = mn__needs_buffer_bytes(m->needs, n);
    }
    for (uint32_t n = m->needs->node_count; n-- > 0;) {
        const mn_node *node = node_at(m, n);
        if (node->prim != MN_PRIM_CONCAT)
            continue;
        mn_view whole = place[m->group[n]];
        for (uint32_t i = 0; i < node->input_count; i++) {
            uint32_t x = node->inputs[i];
            if (is_slice_in(m, x, n))
                place[m->group[x]] = (mn_view){
                    .buffer = whole.buffer,
                    .channel_offset = whole.channel_offset + m->channel[x],
                    .pixel_stride = whole.pixel_stride > 0 ? whole.pixel_stride : node->shape.c,
                };
        }
    }
    for (uint32_t n = m->needs->node_count; n-- > 0;) { /* a group's first value comes last */
        alias->views[n] = place[m->group[n]];
        if (alias->views[n].pixel_stride == 0)
            alias->views[n].pixel_stride = node_at(m, n)->shape.c;
    }
}

static mn_status allocate(maker *m, mn_error *err)
{
    uint32_t nodes = m->needs->node_count;
    mn__alias *alias = m->alias;
    alias->value_count = nodes;
    alias->views = mn_calloc(nodes, sizeof *alias->views);
    alias->has_step = mn_calloc(nodes, sizeof *alias->has_step);
    alias->in_place = mn_calloc(nodes, sizeof *alias->in_place);
    alias->buffer_bytes = mn_calloc(nodes, sizeof *alias->buffer_bytes);
    m->dense = mn_calloc(nodes, sizeof *m->dense);
    m->work = mn_calloc(nodes, WORK_ARRAYS * sizeof *m->work);
    if (alias->views == NULL || alias->has_step == NULL || alias->in_place == NULL ||
        alias->buffer_bytes == NULL || m->dense == NULL || m->work == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    m->host = m->work;
    m->channel = m->host + nodes;
    m->last = m->channel + nodes;
    m->last_all = m->last + nodes;
    m->group = m->last_all + nodes;
    m->occupant = m->group + nodes;
    m->born = m->occupant + nodes;
    m->slice_of = m->born + nodes;
    return MN_OK;
}

mn_status mn__alias_find(const mn_graph *graph,
                         const mn__needs *needs,
                         const uint8_t *joinings,
                         const uint32_t *when,
                         mn__alias *alias,
                         mn_error *err)
{
    maker m = {.graph = graph, .needs = needs, .joinings = joinings, .when = when, .alias = alias};
    mn_status status = allocate(&m, err);
    if (status == MN_OK) {
        choose_slices(&m);
        find_last_readers(&m);
        form_groups(&m);
        place_groups(&m);
    }
    free(m.work);
    free(m.dense);
    return status;
}

void mn__alias_done(mn__alias *alias)
{
    free(alias->views);
    free(alias->has_step);
    free(alias->in_place);
    free(alias->buffer_bytes);
    *alias = (mn__alias){0};
}

/*
 * Lays values into buffers. Invariant: a host comes after what lies in it, and what is written over
 * comes before what writes, so two walks place everything: buffers going up, slices going down.
 */
#include "plan/alias.h"

#include <stdlib.h>

#include "base/size.h"

/* The slice of concat `host` that input x, an input of it, lies in when it lies in it: the first
 * one that reads it. */
static mn_view slice_of(const mn__values *v, uint32_t host, uint32_t x, mn_view whole)
{
    const mn_node *node = mn_graph_node(v->graph, host);
    uint32_t channel = 0;
    for (uint32_t i = 0; i < node->input_count && v->value_of[node->inputs[i]] != x; i++)
        channel += mn_graph_node(v->graph, node->inputs[i])->shape.c;
    whole.channel_offset += channel;
    return whole;
}

/* How many inputs of a concat need no copy. */
static uint32_t count_slices(const mn__values *v, const mn__order *order, uint32_t concat)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < mn__list_count(&v->inputs, concat); i++)
        count += order->host[mn__list_of(&v->inputs, concat)[i]] == concat;
    return count;
}

static void place_all(const mn__values *v, const mn__order *order, mn__alias *alias)
{
    for (uint32_t n = 0; n < v->nodes; n++) {
        if (v->value_of[n] != n || order->host[n] != MN_NONE)
            continue;
        uint32_t over = order->over[n];
        alias->in_place[n] = over != MN_NONE;
        alias->views[n] = (mn_view){.pixel_stride = mn_graph_node(v->graph, n)->shape.c};
        if (over != MN_NONE) {
            alias->views[n].buffer = alias->views[over].buffer;
        } else {
            alias->views[n].buffer = alias->buffer_count;
            alias->buffer_bytes[alias->buffer_count++] = v->bytes[n];
        }
    }
    for (uint32_t x = v->nodes; x-- > 0;) {
        uint32_t host = order->host[x];
        if (v->value_of[x] != x || host == MN_NONE)
            continue;
        if (mn__values_prim(v, host) == MN_PRIM_CONCAT) {
            alias->views[x] = slice_of(v, host, x, alias->views[host]);
        } else {
            alias->views[x] = alias->views[host];
            alias->in_place[host] = true;
        }
    }
    for (uint32_t n = 0; n < v->nodes; n++) {
        if (v->value_of[n] != n) { /* dense, under its own shape */
            alias->views[n] = alias->views[v->value_of[n]];
            alias->views[n].pixel_stride = mn_graph_node(v->graph, n)->shape.c;
        }
        alias->has_step[n] = mn__values_is_made(v, n);
        if (mn__values_prim(v, n) == MN_PRIM_CONCAT)
            alias->has_step[n] =
                count_slices(v, order, n) < mn_graph_node(v->graph, n)->input_count;
    }
}

mn_status
mn__alias_find(const mn__values *values, const mn__order *order, mn__alias *alias, mn_error *err)
{
    uint32_t nodes = values->nodes;
    alias->value_count = nodes;
    alias->views = mn_calloc(nodes, sizeof *alias->views);
    alias->has_step = mn_calloc(nodes, sizeof *alias->has_step);
    alias->in_place = mn_calloc(nodes, sizeof *alias->in_place);
    alias->buffer_bytes = mn_calloc(nodes, sizeof *alias->buffer_bytes);
    if (alias->views == NULL || alias->has_step == NULL || alias->in_place == NULL ||
        alias->buffer_bytes == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    place_all(values, order, alias);
    return MN_OK;
}

void mn__alias_done(mn__alias *alias)
{
    free(alias->views);
    free(alias->has_step);
    free(alias->in_place);
    free(alias->buffer_bytes);
    *alias = (mn__alias){0};
}

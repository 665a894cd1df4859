/*
 * Channels are followed back to the node that made them, through all that leaves channels where
 * they are and through concats. What is found there is a key: (layer, channel), with the child's
 * layers translated into the parent's. Equal keys are the same feature. A feature may come several
 * times in one value (a concat of an op and an identity of the same input); then the first of the
 * child's takes the first of the parent's, and so on, so that no weight is used twice.
 *
 * Keys of all values are worked out once, in graph order; a match is linear in the channels. A
 * candidate of forty cells has some thousand values of up to a thousand channels.
 */
#include "train/channels.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

/* Keys of the channels of every value of one graph. */
typedef struct trace {
    size_t *first;  /* (nodes) where a value's keys begin; several values may share theirs */
    uint32_t *keys; /* MN_NONE: no counterpart */
} trace;

struct mn__channels {
    const mn_graph *child, *parent;
    const uint32_t *layer_parents;
    uint32_t layer_count;
    uint32_t parent_layers; /* one more than the parent's highest layer */
    uint32_t *layer_key;    /* (parent_layers + 2) first key of each layer, of the image, the end */
    trace child_trace, parent_trace;
    uint32_t *head; /* (keys) first free channel of the parent's value, or MN_NONE */
    uint32_t *next; /* (widest parent value) next channel of the same key */
    uint32_t *map;  /* (widest child value) */
};

bool mn__follows_channels(const mn_node *node)
{
    return node->prim == MN_PRIM_CONV && node->groups > 1 && node->groups == node->shape.c;
}

static bool keeps_channels(const mn_node *node)
{
    switch (node->prim) {
    case MN_PRIM_BATCH_NORM:
    case MN_PRIM_RELU:
    case MN_PRIM_RELU6:
    case MN_PRIM_MAX_POOL:
    case MN_PRIM_AVG_POOL:
    case MN_PRIM_GLOBAL_POOL:
    case MN_PRIM_IDENTITY:
    case MN_PRIM_FAKE_QUANT:
        return true;
    case MN_PRIM_CONV:
        return mn__follows_channels(node);
    case MN_PRIM_INPUT:
    case MN_PRIM_ADD:
    case MN_PRIM_CONCAT:
    case MN_PRIM_FULLY_CONNECTED:
    case MN_PRIM_RESHAPE:
    case MN_PRIM_OPAQUE:
    case MN_PRIM_COUNT:
        break;
    }
    return false;
}

/* The parent's layer whose channels a node makes; parent_layers for the image; MN_NONE. */
static uint32_t key_layer(const mn__channels *c, const mn_node *node, bool of_child)
{
    uint32_t layer = node->layer;
    if (node->prim == MN_PRIM_INPUT)
        return c->parent_layers;
    if (of_child)
        layer = layer < c->layer_count ? c->layer_parents[layer] : MN_NONE;
    return layer < c->parent_layers ? layer : MN_NONE;
}

static uint32_t widest(const mn_graph *graph)
{
    uint32_t most = 0;
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++)
        most = mn_graph_node(graph, n)->shape.c > most ? mn_graph_node(graph, n)->shape.c : most;
    return most;
}

/* Gives every layer of the parent as many keys as its widest node has channels. */
static mn_status number_keys(mn__channels *c, mn_error *err)
{
    uint32_t nodes = mn_graph_node_count(c->parent);
    for (uint32_t n = 0; n < nodes; n++) {
        uint32_t layer = mn_graph_node(c->parent, n)->layer;
        if (layer != MN_NONE && layer >= c->parent_layers)
            c->parent_layers = layer + 1;
    }
    c->layer_key = mn_calloc((size_t)c->parent_layers + 2, sizeof *c->layer_key);
    if (c->layer_key == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t n = 0; n < nodes; n++) {
        const mn_node *node = mn_graph_node(c->parent, n);
        uint32_t layer = key_layer(c, node, false);
        if (layer != MN_NONE && node->shape.c > c->layer_key[layer + 1])
            c->layer_key[layer + 1] = node->shape.c;
    }
    size_t keys = 0;
    for (uint32_t k = 1; k <= c->parent_layers + 1; k++) {
        keys += c->layer_key[k];
        if (keys >= MN_NONE)
            return mn_error_set(err, MN_ERR_LIMIT, "a network of too many channels to inherit");
        c->layer_key[k] = (uint32_t)keys;
    }
    return MN_OK;
}

static mn_status allocate_trace(const mn_graph *graph, trace *t, mn_error *err)
{
    uint32_t nodes = mn_graph_node_count(graph);
    size_t total = 0;
    bool fits = true;
    for (uint32_t n = 0; n < nodes && fits; n++)
        if (!keeps_channels(mn_graph_node(graph, n)))
            fits = mn_size_add(total, mn_graph_node(graph, n)->shape.c, &total);
    t->first = mn_calloc(nodes, sizeof *t->first);
    t->keys = fits ? mn_calloc(total, sizeof *t->keys) : NULL;
    if (t->first == NULL || t->keys == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    return MN_OK;
}

static mn_status fill_trace(const mn__channels *c, bool of_child, trace *t, mn_error *err)
{
    const mn_graph *graph = of_child ? c->child : c->parent;
    size_t end = 0;
    mn_status status = allocate_trace(graph, t, err);
    for (uint32_t n = 0; status == MN_OK && n < mn_graph_node_count(graph); n++) {
        const mn_node *node = mn_graph_node(graph, n);
        if (keeps_channels(node)) {
            t->first[n] = t->first[node->inputs[0]];
            continue;
        }
        t->first[n] = end;
        if (node->prim == MN_PRIM_CONCAT) {
            for (uint32_t i = 0; i < node->input_count; i++) {
                uint32_t channels = mn_graph_node(graph, node->inputs[i])->shape.c;
                memcpy(
                    t->keys + end, t->keys + t->first[node->inputs[i]], channels * sizeof *t->keys);
                end += channels;
            }
            continue;
        }
        uint32_t layer = key_layer(c, node, of_child);
        for (uint32_t k = 0; k < node->shape.c; k++) {
            bool exists = layer != MN_NONE && k < c->layer_key[layer + 1] - c->layer_key[layer];
            t->keys[end++] = exists ? c->layer_key[layer] + k : MN_NONE;
        }
    }
    return status;
}

mn_status mn__channels_create(const mn_graph *child,
                              const uint32_t *layer_parents,
                              uint32_t layer_count,
                              const mn_graph *parent,
                              mn__channels **ret_channels,
                              mn_error *err)
{
    mn__channels *c = mn_calloc(1, sizeof *c);
    if (c == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    c->child = child;
    c->parent = parent;
    c->layer_parents = layer_parents;
    c->layer_count = layer_count;
    mn_status status = number_keys(c, err);
    if (status == MN_OK)
        status = fill_trace(c, true, &c->child_trace, err);
    if (status == MN_OK)
        status = fill_trace(c, false, &c->parent_trace, err);
    if (status == MN_OK) {
        uint32_t keys = c->layer_key[c->parent_layers + 1];
        c->head = mn_calloc(keys, sizeof *c->head);
        c->next = mn_calloc(widest(parent), sizeof *c->next);
        c->map = mn_calloc(widest(child), sizeof *c->map);
        if (c->head == NULL || c->next == NULL || c->map == NULL)
            status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        for (uint32_t k = 0; status == MN_OK && k < keys; k++)
            c->head[k] = MN_NONE;
    }
    if (status == MN_OK)
        *ret_channels = c;
    else
        mn__channels_free(c);
    return status;
}

void mn__channels_free(mn__channels *channels)
{
    if (channels == NULL)
        return;
    free(channels->map);
    free(channels->next);
    free(channels->head);
    free(channels->parent_trace.keys);
    free(channels->parent_trace.first);
    free(channels->child_trace.keys);
    free(channels->child_trace.first);
    free(channels->layer_key);
    free(channels);
}

const uint32_t *mn__channels_match(mn__channels *c, uint32_t a, uint32_t b)
{
    uint32_t child_channels = mn_graph_node(c->child, a)->shape.c;
    uint32_t parent_channels = mn_graph_node(c->parent, b)->shape.c;
    const uint32_t *child_keys = c->child_trace.keys + c->child_trace.first[a];
    const uint32_t *parent_keys = c->parent_trace.keys + c->parent_trace.first[b];
    for (uint32_t p = parent_channels; p-- > 0;) {
        uint32_t key = parent_keys[p];
        if (key == MN_NONE)
            continue;
        c->next[p] = c->head[key];
        c->head[key] = p;
    }
    for (uint32_t k = 0; k < child_channels; k++) {
        uint32_t key = child_keys[k];
        c->map[k] = key == MN_NONE ? MN_NONE : c->head[key];
        if (c->map[k] != MN_NONE)
            c->head[key] = c->next[c->map[k]];
    }
    for (uint32_t p = 0; p < parent_channels; p++)
        if (parent_keys[p] != MN_NONE)
            c->head[parent_keys[p]] = MN_NONE;
    return c->map;
}

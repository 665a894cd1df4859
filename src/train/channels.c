/*
 * Channels are followed back to the node that made them, through all that leaves channels where
 * they are and through concats. What is found there is a key: (layer, channel), with the child's
 * layers translated into the parent's. Equal keys are the same feature. A feature may come several
 * times in one value (a concat of an op and an identity of the same input); then the first of the
 * child's takes the first of the parent's, and so on, so that no weight is used twice.
 *
 * Two nodes make no features of their own, though they could: a projection that continues a plain
 * link of the parent, and an add whose new branch starts at zero. Both pass on what they read.
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
    mn__family f;
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
        layer = layer < c->f.layer_count ? c->f.layer_parents[layer] : MN_NONE;
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
    uint32_t nodes = mn_graph_node_count(c->f.parent);
    for (uint32_t n = 0; n < nodes; n++) {
        uint32_t layer = mn_graph_node(c->f.parent, n)->layer;
        if (layer != MN_NONE && layer >= c->parent_layers)
            c->parent_layers = layer + 1;
    }
    c->layer_key = mn_calloc((size_t)c->parent_layers + 2, sizeof *c->layer_key);
    if (c->layer_key == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t n = 0; n < nodes; n++) {
        const mn_node *node = mn_graph_node(c->f.parent, n);
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

/* The norm that the branch `node` of a layer ends in, or MN_NONE. */
static uint32_t branch_norm(const mn_graph *graph, uint32_t node, bool *ret_clamped)
{
    const uint32_t layer = mn_graph_node(graph, node)->layer;
    *ret_clamped = false;
    for (;;) {
        const mn_node *n = mn_graph_node(graph, node);
        if (n->layer != layer)
            return MN_NONE;
        switch ((int)n->prim) {
        case MN_PRIM_BATCH_NORM:
            return node;
        case MN_PRIM_RELU:
        case MN_PRIM_RELU6:
            *ret_clamped = true;
            break;
        case MN_PRIM_MAX_POOL:
        case MN_PRIM_AVG_POOL:
            break;
        default:
            return MN_NONE;
        }
        node = n->inputs[0];
    }
}

static bool all_known(const mn__channels *c, uint32_t node)
{
    const uint32_t *keys = c->child_trace.keys + c->child_trace.first[node];
    for (uint32_t k = 0; k < mn_graph_node(c->f.child, node)->shape.c; k++)
        if (keys[k] == MN_NONE)
            return false;
    return true;
}

/* Which input of the child's add is the link, with the norm of the other side; 2 for none. */
static uint32_t find_link(const mn__channels *c, uint32_t n, uint32_t *ret_norm, bool *ret_clamped)
{
    const mn_node *node = mn_graph_node(c->f.child, n);
    if (node->prim != MN_PRIM_ADD || key_layer(c, node, true) != MN_NONE)
        return 2;
    for (uint32_t side = 0; side < 2; side++) {
        uint32_t other = node->inputs[1 - side];
        if (mn_graph_node(c->f.child, node->inputs[side])->prim != MN_PRIM_IDENTITY ||
            !all_known(c, node->inputs[side]) ||
            key_layer(c, mn_graph_node(c->f.child, other), true) != MN_NONE)
            continue;
        *ret_norm = branch_norm(c->f.child, other, ret_clamped);
        if (*ret_norm != MN_NONE)
            return side;
    }
    return 2;
}

uint32_t mn__channels_residual_norm(const mn__channels *channels, uint32_t node, bool *ret_clamped)
{
    uint32_t norm = MN_NONE;
    return find_link(channels, node, &norm, ret_clamped) == 2 ? MN_NONE : norm;
}

/* The keys of a value that passes others on; returns how many, 0 when it makes features. */
static uint32_t
pass_keys(const mn__channels *c, bool of_child, const trace *t, uint32_t n, uint32_t *to)
{
    const mn_graph *graph = of_child ? c->f.child : c->f.parent;
    const mn_node *node = mn_graph_node(graph, n);
    uint32_t norm = MN_NONE;
    uint32_t count = 0;
    bool clamped = false;
    uint32_t link = of_child ? find_link(c, n, &norm, &clamped) : 2;
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (node->prim != MN_PRIM_CONCAT && i != link)
            continue;
        uint32_t channels = mn_graph_node(graph, node->inputs[i])->shape.c;
        memcpy(to + count, t->keys + t->first[node->inputs[i]], channels * sizeof *to);
        count += channels;
    }
    uint32_t origin = of_child ? c->f.parent_node[n] : MN_NONE;
    if (origin == MN_NONE || mn_graph_node(c->f.parent, origin)->prim != MN_PRIM_IDENTITY)
        return count;
    for (; count < node->shape.c; count++)
        to[count] = count < mn_graph_node(c->f.parent, origin)->shape.c
                        ? c->parent_trace.keys[c->parent_trace.first[origin] + count]
                        : MN_NONE;
    return count;
}

static mn_status fill_trace(const mn__channels *c, bool of_child, trace *t, mn_error *err)
{
    const mn_graph *graph = of_child ? c->f.child : c->f.parent;
    size_t end = 0;
    mn_status status = allocate_trace(graph, t, err);
    for (uint32_t n = 0; status == MN_OK && n < mn_graph_node_count(graph); n++) {
        const mn_node *node = mn_graph_node(graph, n);
        if (keeps_channels(node)) {
            t->first[n] = t->first[node->inputs[0]];
            continue;
        }
        t->first[n] = end;
        uint32_t passed = pass_keys(c, of_child, t, n, t->keys + end);
        end += passed;
        if (passed > 0)
            continue;
        uint32_t layer = key_layer(c, node, of_child);
        for (uint32_t k = 0; k < node->shape.c; k++) {
            bool exists = layer != MN_NONE && k < c->layer_key[layer + 1] - c->layer_key[layer];
            t->keys[end++] = exists ? c->layer_key[layer] + k : MN_NONE;
        }
    }
    return status;
}

mn_status mn__channels_create(const mn__family *family, mn__channels **ret_channels, mn_error *err)
{
    mn__channels *c = mn_calloc(1, sizeof *c);
    if (c == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    c->f = *family;
    mn_status status = number_keys(c, err);
    if (status == MN_OK)
        status = fill_trace(c, false, &c->parent_trace, err);
    if (status == MN_OK)
        status = fill_trace(c, true, &c->child_trace, err);
    if (status == MN_OK) {
        uint32_t keys = c->layer_key[c->parent_layers + 1];
        c->head = mn_calloc(keys, sizeof *c->head);
        c->next = mn_calloc(widest(family->parent), sizeof *c->next);
        c->map = mn_calloc(widest(family->child), sizeof *c->map);
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
    uint32_t child_channels = mn_graph_node(c->f.child, a)->shape.c;
    uint32_t parent_channels = mn_graph_node(c->f.parent, b)->shape.c;
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

/*
 * Inheritance: a child network starts from its parent's numbers. Which layer continues which comes
 * from the move's layer map, never from names; which channel continues which is worked out through
 * the concats, so that a weight stays with the feature that it looked at.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "memnet/train.h"

typedef struct inheritance {
    const mn_graph *child, *parent;
    const uint32_t *layer_parents;
    uint32_t layer_count;
    uint32_t *parent_node; /* (child nodes) the node that each continues, or MN_NONE */
} inheritance;

/* Number of nodes of `layer` before `node`: its place within the layer. */
static uint32_t place_in_layer(const mn_graph *graph, uint32_t node)
{
    uint32_t layer = mn_graph_node(graph, node)->layer;
    uint32_t place = 0;
    for (uint32_t n = 0; n < node; n++)
        place += mn_graph_node(graph, n)->layer == layer;
    return place;
}

static uint32_t node_at(const mn_graph *graph, uint32_t layer, uint32_t place)
{
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++)
        if (mn_graph_node(graph, n)->layer == layer && place-- == 0)
            return n;
    return MN_NONE;
}

static uint32_t mapped_layer(const inheritance *in, uint32_t layer)
{
    return layer < in->layer_count ? in->layer_parents[layer] : MN_NONE;
}

/* Nodes of a mapped layer correspond by place when they are of one kind there. */
static void match_nodes(inheritance *in)
{
    for (uint32_t n = 0; n < mn_graph_node_count(in->child); n++) {
        const mn_node *node = mn_graph_node(in->child, n);
        uint32_t layer = mapped_layer(in, node->layer);
        in->parent_node[n] = MN_NONE;
        if (layer == MN_NONE)
            continue;
        uint32_t match = node_at(in->parent, layer, place_in_layer(in->child, n));
        if (match == MN_NONE)
            continue;
        const mn_node *other = mn_graph_node(in->parent, match);
        bool same_window = memcmp(&node->window, &other->window, sizeof node->window) == 0 ||
                           (node->window.kernel_h == other->window.kernel_h &&
                            node->window.kernel_w == other->window.kernel_w);
        if (other->prim == node->prim && same_window && (node->groups == 1) == (other->groups == 1))
            in->parent_node[n] = match;
    }
}

static bool continues(const inheritance *in, uint32_t child_node, uint32_t parent_node)
{
    uint32_t a = mn_graph_node(in->child, child_node)->layer;
    uint32_t b = mn_graph_node(in->parent, parent_node)->layer;
    if (mn_graph_node(in->child, child_node)->prim == MN_PRIM_INPUT)
        return mn_graph_node(in->parent, parent_node)->prim == MN_PRIM_INPUT;
    return mapped_layer(in, a) == b && b != MN_NONE;
}

/* Looks through what keeps channels in place: norms, activations, pools, identities. */
static uint32_t source_of(const mn_graph *graph, uint32_t node)
{
    const mn_node *n = mn_graph_node(graph, node);
    bool keeps = n->prim == MN_PRIM_BATCH_NORM || n->prim == MN_PRIM_RELU ||
                 n->prim == MN_PRIM_RELU6 || n->prim == MN_PRIM_MAX_POOL ||
                 n->prim == MN_PRIM_AVG_POOL || n->prim == MN_PRIM_GLOBAL_POOL ||
                 n->prim == MN_PRIM_IDENTITY || n->prim == MN_PRIM_FAKE_QUANT ||
                 (n->prim == MN_PRIM_CONV && n->groups > 1 && n->groups == n->shape.c);
    return keeps ? source_of(graph, n->inputs[0]) : node;
}

/* Channel `channel` of value `node` as (leaf, channel of the leaf), looking through concats. */
static void find_leaf(const mn_graph *graph,
                      uint32_t node,
                      uint32_t channel,
                      uint32_t *ret_leaf,
                      uint32_t *ret_channel)
{
    node = source_of(graph, node);
    const mn_node *n = mn_graph_node(graph, node);
    while (n->prim == MN_PRIM_CONCAT) {
        uint32_t i = 0;
        while (channel >= mn_graph_node(graph, n->inputs[i])->shape.c)
            channel -= mn_graph_node(graph, n->inputs[i++])->shape.c;
        node = source_of(graph, n->inputs[i]);
        n = mn_graph_node(graph, node);
    }
    *ret_leaf = node;
    *ret_channel = channel;
}

/* For each channel of child value `a`, the channel of parent value `b` that it continues. Takes
 * scratch for two numbers a channel of `b`. */
static void
match_channels(const inheritance *in, uint32_t a, uint32_t b, uint32_t *scratch, uint32_t *ret_map)
{
    uint32_t child_channels = mn_graph_node(in->child, a)->shape.c;
    uint32_t parent_channels = mn_graph_node(in->parent, b)->shape.c;
    uint32_t *leaves = scratch;
    uint32_t *leaf_channels = scratch + parent_channels;
    for (uint32_t p = 0; p < parent_channels; p++)
        find_leaf(in->parent, b, p, &leaves[p], &leaf_channels[p]);
    for (uint32_t c = 0; c < child_channels; c++) {
        uint32_t leaf = 0;
        uint32_t channel = 0;
        find_leaf(in->child, a, c, &leaf, &channel);
        ret_map[c] = MN_NONE;
        for (uint32_t p = 0; p < parent_channels && ret_map[c] == MN_NONE; p++)
            if (leaf_channels[p] == channel && continues(in, leaf, leaves[p]))
                ret_map[c] = p;
    }
}

/* Copies rows and columns that have a counterpart; the rest keeps its random start. */
static void copy_tensor(const mn_tensor_info *to_info,
                        const mn_tensor_info *from_info,
                        const uint32_t *row_map,
                        const uint32_t *column_map,
                        float *to,
                        const float *from)
{
    size_t taps = (size_t)to_info->dims[2] * to_info->dims[3];
    uint32_t columns = to_info->rank == 1 ? 1 : to_info->dims[1];
    uint32_t from_columns = from_info->rank == 1 ? 1 : from_info->dims[1];
    for (uint32_t r = 0; r < to_info->dims[0]; r++) {
        uint32_t row = row_map == NULL ? r : row_map[r];
        if (row >= from_info->dims[0])
            continue;
        for (uint32_t c = 0; c < columns; c++) {
            uint32_t column = column_map == NULL ? c : column_map[c];
            if (column >= from_columns)
                continue;
            memcpy(to + ((size_t)r * columns + c) * taps,
                   from + ((size_t)row * from_columns + column) * taps,
                   taps * sizeof(float));
        }
    }
}

/* A node's rows follow its input's channels where it works channel by channel, else they count
 * on; columns follow the input's channels of a dense layer. */
static mn_status
copy_node(const inheritance *in, uint32_t n, const mn_tensors *from, mn_tensors *to, mn_error *err)
{
    const mn_node *node = mn_graph_node(in->child, n);
    const mn_node *other = mn_graph_node(in->parent, in->parent_node[n]);
    if (node->input_count == 0)
        return MN_OK;
    uint32_t input = node->inputs[0];
    uint32_t channels = mn_graph_node(in->child, input)->shape.c;
    size_t parent_channels = mn_graph_node(in->parent, other->inputs[0])->shape.c;
    uint32_t *map = mn_calloc(channels + 2 * parent_channels, sizeof *map);
    if (map == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    match_channels(in, input, other->inputs[0], map + channels, map);
    bool channelwise = node->prim == MN_PRIM_BATCH_NORM || node->groups > 1;
    for (int role = 0; role < MN_ROLE_COUNT; role++) {
        uint32_t t = node->tensors[role];
        uint32_t p = other->tensors[role];
        if (t == MN_NONE || p == MN_NONE)
            continue;
        const mn_tensor_info *to_info = mn_graph_tensor(in->child, t);
        const mn_tensor_info *from_info = mn_graph_tensor(in->parent, p);
        if (to_info->dims[2] != from_info->dims[2] || to_info->dims[3] != from_info->dims[3])
            continue;
        bool dense_columns = role == MN_ROLE_WEIGHT && !channelwise;
        copy_tensor(to_info,
                    from_info,
                    channelwise ? map : NULL,
                    dense_columns ? map : NULL,
                    to->items[t].data,
                    from->items[p].data);
    }
    free(map);
    return MN_OK;
}

mn_status mn_tensors_inherit(const mn_graph *child,
                             const uint32_t *layer_parents,
                             uint32_t layer_count,
                             const mn_graph *parent,
                             const mn_tensors *parent_tensors,
                             uint64_t seed,
                             mn_tensors **ret_tensors,
                             mn_error *err)
{
    inheritance in = {.child = child,
                      .parent = parent,
                      .layer_parents = layer_parents,
                      .layer_count = layer_count};
    mn_tensors *tensors = NULL;
    mn_status status = mn_tensors_initialise(child, seed, &tensors, err);
    if (status != MN_OK)
        return status;
    in.parent_node = mn_calloc(mn_graph_node_count(child), sizeof *in.parent_node);
    if (in.parent_node == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    else
        match_nodes(&in);
    for (uint32_t n = 0; status == MN_OK && n < mn_graph_node_count(child); n++)
        if (in.parent_node[n] != MN_NONE)
            status = copy_node(&in, n, parent_tensors, tensors, err);
    if (status == MN_OK)
        *ret_tensors = tensors;
    else
        mn_tensors_free(tensors);
    free(in.parent_node);
    return status;
}

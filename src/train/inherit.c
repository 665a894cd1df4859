/*
 * Inheritance: a child network starts from its parent's numbers. Which layer continues which comes
 * from the move's layer map, never from names; which channel continues which is worked out through
 * the concats (channels.c), so that a weight stays with the feature that it looked at.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "memnet/train.h"
#include "train/channels.h"
#include "train/initialise.h"
#include "train/tensors_check.h"

typedef struct inheritance {
    const mn_graph *child, *parent;
    const mn_tensors *from; /* the parent's */
    mn_tensors *to;         /* the child's */
    uint64_t seed;
    uint32_t *parent_node; /* (child nodes) the node that each continues, or MN_NONE */
    mn__channels *channels;
} inheritance;

static bool same_kind(const mn_node *a, const mn_node *b)
{
    return a->prim == b->prim && a->window.kernel_h == b->window.kernel_h &&
           a->window.kernel_w == b->window.kernel_w && (a->groups == 1) == (b->groups == 1);
}

/* The first node of `graph` from `node` on that belongs to `layer`, or MN_NONE. */
static uint32_t next_of_layer(const mn_graph *graph, uint32_t layer, uint32_t node)
{
    for (; node < mn_graph_node_count(graph); node++)
        if (mn_graph_node(graph, node)->layer == layer)
            return node;
    return MN_NONE;
}

/* Nodes of a mapped layer correspond by place when they are of one kind there. `cursor`
 * (layer_count) holds where to look for the next counterpart of each of the child's layers. */
static void
match_nodes(inheritance *in, const uint32_t *layer_parents, uint32_t layer_count, uint32_t *cursor)
{
    for (uint32_t n = 0; n < mn_graph_node_count(in->child); n++) {
        const mn_node *node = mn_graph_node(in->child, n);
        in->parent_node[n] = MN_NONE;
        if (node->layer >= layer_count || layer_parents[node->layer] == MN_NONE ||
            cursor[node->layer] == MN_NONE)
            continue;
        uint32_t match = next_of_layer(in->parent, layer_parents[node->layer], cursor[node->layer]);
        cursor[node->layer] = match == MN_NONE ? MN_NONE : match + 1;
        if (match != MN_NONE && same_kind(node, mn_graph_node(in->parent, match)))
            in->parent_node[n] = match;
    }
}

/* Copies rows and columns that have a counterpart. */
static void copy_tensor(const mn_tensor_info *to_info,
                        const mn_tensor_info *from_info,
                        const uint32_t *row_map,
                        const uint32_t *column_map,
                        float *to,
                        const float *from)
{
    size_t taps = (size_t)to_info->dims[2] * to_info->dims[3];
    uint32_t columns = to_info->dims[1];
    uint32_t from_columns = from_info->dims[1];
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

/* True when each of `count` rows or columns has a counterpart below `from_count`. */
static bool covers(const uint32_t *map, uint32_t count, uint32_t from_count)
{
    if (map == NULL)
        return count <= from_count;
    for (uint32_t i = 0; i < count; i++)
        if (map[i] >= from_count)
            return false;
    return true;
}

static void draw(const inheritance *in, uint32_t tensor)
{
    mn__tensor_initialise(mn_graph_tensor(in->child, tensor),
                          in->seed,
                          in->to->items[tensor].data,
                          mn_graph_tensor_elements(in->child, tensor));
}

/* Fills a tensor of the child from the parent's. Random numbers are drawn only where some of them
 * stay: most tensors of a child are wholly its parent's, and drawing takes longest. */
static void fill_tensor(const inheritance *in,
                        uint32_t to,
                        uint32_t from,
                        const uint32_t *row_map,
                        const uint32_t *column_map)
{
    const mn_tensor_info *to_info = mn_graph_tensor(in->child, to);
    const mn_tensor_info *from_info = mn_graph_tensor(in->parent, from);
    if (to_info->dims[2] != from_info->dims[2] || to_info->dims[3] != from_info->dims[3]) {
        draw(in, to);
        return;
    }
    if (!covers(row_map, to_info->dims[0], from_info->dims[0]) ||
        !covers(column_map, to_info->dims[1], from_info->dims[1]))
        draw(in, to);
    copy_tensor(to_info,
                from_info,
                row_map,
                column_map,
                in->to->items[to].data,
                in->from->items[from].data);
}

/* A node's rows follow its input's channels where it works channel by channel, else they count
 * on; columns follow the input's channels of a dense layer. */
static void fill_node(const inheritance *in, uint32_t n)
{
    const mn_node *node = mn_graph_node(in->child, n);
    const mn_node *other =
        in->parent_node[n] == MN_NONE ? NULL : mn_graph_node(in->parent, in->parent_node[n]);
    const uint32_t *map = NULL;
    for (int role = 0; role < MN_ROLE_COUNT; role++) {
        uint32_t t = node->tensors[role];
        if (t == MN_NONE)
            continue;
        if (other == NULL || other->tensors[role] == MN_NONE) {
            draw(in, t);
            continue;
        }
        if (map == NULL)
            map = mn__channels_match(in->channels, node->inputs[0], other->inputs[0]);
        bool channelwise = node->prim == MN_PRIM_BATCH_NORM || mn__follows_channels(node);
        bool dense_columns = role == MN_ROLE_WEIGHT && !channelwise;
        fill_tensor(
            in, t, other->tensors[role], channelwise ? map : NULL, dense_columns ? map : NULL);
    }
}

static mn_status
prepare(inheritance *in, const uint32_t *layer_parents, uint32_t layer_count, mn_error *err)
{
    mn_status status = mn_tensors_create_for_graph(in->child, &in->to, err);
    if (status == MN_OK)
        status = mn__channels_create(
            in->child, layer_parents, layer_count, in->parent, &in->channels, err);
    if (status != MN_OK)
        return status;
    uint32_t *cursor = mn_calloc(layer_count, sizeof *cursor);
    in->parent_node = mn_calloc(mn_graph_node_count(in->child), sizeof *in->parent_node);
    if (cursor == NULL || in->parent_node == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    else
        match_nodes(in, layer_parents, layer_count, cursor);
    free(cursor);
    return status;
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
    inheritance in = {.child = child, .parent = parent, .from = parent_tensors, .seed = seed};
    mn_status status = mn__tensors_check(parent, parent_tensors, err);
    if (status != MN_OK)
        return mn_error_prefix(err, status, "parent");
    status = prepare(&in, layer_parents, layer_count, err);
    for (uint32_t n = 0; status == MN_OK && n < mn_graph_node_count(child); n++)
        fill_node(&in, n);
    if (status == MN_OK)
        *ret_tensors = in.to;
    else
        mn_tensors_free(in.to);
    free(in.parent_node);
    mn__channels_free(in.channels);
    return status;
}

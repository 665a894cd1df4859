/*
 * Inheritance: a child network starts from its parent's numbers. Which layer continues which comes
 * from the move's layer map, never from names; which channel continues which is worked out through
 * the concats (channels.c), so that a weight stays with the feature that it looked at.
 *
 * What is new disturbs nothing where that can be (Chen, Goodfellow and Shlens, Net2Net,
 * arXiv:1511.05641): a filter of the parent's weighs channels and pixels that are new by zero, a
 * new branch beside a link has a scale of zero (Goyal et al., arXiv:1706.02677), and a projection
 * in the place of a link is the identity. Invariant: a channel and the weights that read it never
 * both start at zero, for then neither would have a gradient.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "memnet/train.h"
#include "train/channels.h"
#include "train/initialise.h"
#include "train/tensors_check.h"

/* Above zero by less than any value of a network can tell. */
static const float hair = 1e-6f;

typedef struct inheritance {
    const mn_graph *child, *parent;
    const mn_tensors *from; /* the parent's */
    mn_tensors *to;         /* the child's */
    uint64_t seed;
    uint32_t *parent_node; /* (child nodes) the node that each continues, or MN_NONE */
    mn__channels *channels;
} inheritance;

/* Whether the child's node can start from the parent's. A dense convolution can from a link. */
static bool continues(const mn_node *node, const mn_node *parent)
{
    if (node->prim == MN_PRIM_CONV && parent->prim == MN_PRIM_IDENTITY)
        return node->groups == 1;
    return node->prim == parent->prim && (node->groups == 1) == (parent->groups == 1);
}

/* The first node of `graph` from `node` on that belongs to `layer`, or MN_NONE. */
static uint32_t next_of_layer(const mn_graph *graph, uint32_t layer, uint32_t node)
{
    for (; node < mn_graph_node_count(graph); node++)
        if (mn_graph_node(graph, node)->layer == layer)
            return node;
    return MN_NONE;
}

/* Nodes of a mapped layer correspond by place. `cursor` (layer_count) holds where to look for the
 * next counterpart of each of the child's layers. */
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
        if (match != MN_NONE && continues(node, mn_graph_node(in->parent, match)))
            in->parent_node[n] = match;
    }
}

/* ---- one tensor ------------------------------------------------------------------------------ */

/* A kernel along one axis. */
typedef struct axis {
    uint32_t size, dilation, pad;
} axis;

/* Whether tap `tap` of the child's kernel and tap `from` of the parent's look at one pixel. Kernels
 * of one size keep their taps, whatever their strides and dilations. */
static bool same_pixel(axis child, uint32_t tap, axis parent, uint32_t from)
{
    if (child.size == parent.size)
        return tap == from;
    if (child.dilation == 0) /* a fully connected layer: no window */
        return false;
    return (int64_t)tap * child.dilation - child.pad ==
           (int64_t)from * parent.dilation - parent.pad;
}

static uint32_t find_tap(axis child, axis parent, uint32_t from)
{
    for (uint32_t tap = 0; tap < child.size; tap++)
        if (same_pixel(child, tap, parent, from))
            return tap;
    return MN_NONE;
}

/* How a tensor continues another. */
typedef struct transfer {
    const mn_tensor_info *to_info, *from_info;
    const uint32_t *rows, *columns; /* counterparts; NULL: in order */
    axis to_axis[2], from_axis[2];  /* rows and columns of the kernel */
    float *to;
    const float *from;
} transfer;

static void set_axes(const mn_node *node, const mn_tensor_info *info, axis axes[2])
{
    const mn_window *w = &node->window;
    axes[0] = (axis){info->dims[2], w->dilation_h, w->pad_top};
    axes[1] = (axis){info->dims[3], w->dilation_w, w->pad_left};
}

/* True when every pixel that the parent's kernel looks at is one of the child's. */
static bool covers_kernel(const transfer *t)
{
    for (int a = 0; a < 2; a++)
        for (uint32_t from = 0; from < t->from_axis[a].size; from++)
            if (find_tap(t->to_axis[a], t->from_axis[a], from) == MN_NONE)
                return false;
    return true;
}

/* (KH,KW) of one row and column into zeros. */
static void copy_kernel(const transfer *t, float *to, const float *from)
{
    const axis *child = t->to_axis;
    const axis *parent = t->from_axis;
    if (child[0].size == parent[0].size && child[1].size == parent[1].size) {
        memcpy(to, from, (size_t)child[0].size * child[1].size * sizeof *to);
        return;
    }
    for (uint32_t y = 0; y < parent[0].size; y++) {
        uint32_t row = find_tap(child[0], parent[0], y);
        for (uint32_t x = 0; x < parent[1].size; x++)
            to[row * child[1].size + find_tap(child[1], parent[1], x)] =
                from[y * parent[1].size + x];
    }
}

static uint32_t counterpart(const uint32_t *map, uint32_t index)
{
    return map == NULL ? index : map[index];
}

/* How many of `count` rows or columns have a counterpart below `from_count`. */
static uint32_t count_known(const uint32_t *map, uint32_t count, uint32_t from_count)
{
    uint32_t known = 0;
    for (uint32_t i = 0; i < count; i++)
        known += counterpart(map, i) < from_count;
    return known;
}

/* Overwrites the rows that have a counterpart: zero in columns that have none. */
static void copy_rows(const transfer *t)
{
    const size_t taps = (size_t)t->to_axis[0].size * t->to_axis[1].size;
    const size_t from_taps = (size_t)t->from_axis[0].size * t->from_axis[1].size;
    const uint32_t columns = t->to_info->dims[1];
    const uint32_t from_columns = t->from_info->dims[1];
    for (uint32_t r = 0; r < t->to_info->dims[0]; r++) {
        uint32_t row = counterpart(t->rows, r);
        if (row >= t->from_info->dims[0])
            continue;
        for (uint32_t c = 0; c < columns; c++) {
            uint32_t column = counterpart(t->columns, c);
            float *to = t->to + ((size_t)r * columns + c) * taps;
            memset(to, 0, taps * sizeof *to);
            if (column < from_columns)
                copy_kernel(t, to, t->from + ((size_t)row * from_columns + column) * from_taps);
        }
    }
}

static void draw(const inheritance *in, uint32_t tensor)
{
    mn__tensor_initialise(mn_graph_tensor(in->child, tensor),
                          in->seed,
                          in->to->items[tensor].data,
                          mn_graph_tensor_elements(in->child, tensor));
}

/* Fills a tensor of the child from the parent's. Random numbers are drawn only where some of them
 * stay: most tensors of a child are wholly its parent's, and drawing takes longest. A reader of
 * which no column is known stays random: filters of zeros would have no variance to normalise. */
static void fill_tensor(const inheritance *in,
                        uint32_t to,
                        uint32_t from,
                        const uint32_t *rows,
                        const uint32_t *columns)
{
    transfer t = {.to_info = mn_graph_tensor(in->child, to),
                  .from_info = mn_graph_tensor(in->parent, from),
                  .rows = rows,
                  .columns = columns,
                  .to = in->to->items[to].data,
                  .from = in->from->items[from].data};
    const uint32_t known = count_known(columns, t.to_info->dims[1], t.from_info->dims[1]);
    set_axes(mn_graph_node(in->child, t.to_info->node), t.to_info, t.to_axis);
    set_axes(mn_graph_node(in->parent, t.from_info->node), t.from_info, t.from_axis);
    bool keeps = known > 0 && covers_kernel(&t);
    if (!keeps || count_known(rows, t.to_info->dims[0], t.from_info->dims[0]) < t.to_info->dims[0])
        draw(in, to);
    if (keeps)
        copy_rows(&t);
}

/* Fills the weight of a dense convolution (O,I,KH,KW) in place of a plain link: filter r passes on
 * what was the link's channel r, at the pixel where the window begins without padding. */
static void fill_link(const inheritance *in, const mn_node *node, const mn_node *link)
{
    const uint32_t *map = mn__channels_match(in->channels, node->inputs[0], link->inputs[0]);
    const uint32_t tensor = node->tensors[MN_ROLE_WEIGHT];
    const mn_tensor_info *info = mn_graph_tensor(in->child, tensor);
    const size_t taps = (size_t)info->dims[2] * info->dims[3];
    const size_t tap = (size_t)(node->window.pad_top / node->window.dilation_h) * info->dims[3] +
                       node->window.pad_left / node->window.dilation_w;
    float *weight = in->to->items[tensor].data;
    draw(in, tensor);
    for (uint32_t c = 0; c < info->dims[1]; c++) {
        if (map[c] >= info->dims[0])
            continue;
        float *filter = weight + (size_t)map[c] * info->dims[1] * taps;
        memset(filter, 0, info->dims[1] * taps * sizeof *filter);
        filter[c * taps + tap] = 1.0f;
    }
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void fill_channels(const inheritance *in, uint32_t tensor, float number)
{
    float *data = in->to->items[tensor].data;
    for (size_t i = 0; i < mn_graph_tensor_elements(in->child, tensor); i++)
        data[i] = number;
}

/* True for a convolution that stands where the parent has a plain link. */
static bool replaces_link(const inheritance *in, uint32_t n)
{
    return in->parent_node[n] != MN_NONE && mn_graph_node(in->child, n)->prim == MN_PRIM_CONV &&
           mn_graph_node(in->parent, in->parent_node[n])->prim == MN_PRIM_IDENTITY;
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
        if (other != NULL && role == MN_ROLE_WEIGHT && replaces_link(in, n)) {
            fill_link(in, node, other);
            continue;
        }
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

/* With a scale of zero a branch adds nothing, and its scale has a gradient all the same. Where a
 * relu follows it would have none at exactly zero; above it, by next to nothing, it has. */
static void silence(const inheritance *in, uint32_t norm, bool clamped)
{
    const mn_node *node = mn_graph_node(in->child, norm);
    fill_channels(in, node->tensors[MN_ROLE_GAMMA], 0.0f);
    fill_channels(in, node->tensors[MN_ROLE_BETA], clamped ? hair : 0.0f);
}

/* What the nodes around a new or changed one ask for, once all have their numbers. */
static void settle_node(const inheritance *in, uint32_t n)
{
    const mn_node *node = mn_graph_node(in->child, n);
    bool clamped = false;
    uint32_t norm = mn__channels_residual_norm(in->channels, n, &clamped);
    if (norm != MN_NONE)
        silence(in, norm, clamped);
    /* The norm of an identity is one too: epsilon is taken off the variance beforehand. */
    if (node->prim == MN_PRIM_BATCH_NORM && in->parent_node[n] == MN_NONE &&
        replaces_link(in, node->inputs[0]))
        fill_channels(in, node->tensors[MN_ROLE_VARIANCE], 1.0f - node->epsilon);
}

static mn_status
prepare(inheritance *in, const uint32_t *layer_parents, uint32_t layer_count, mn_error *err)
{
    mn_status status = mn_tensors_create_for_graph(in->child, &in->to, err);
    if (status != MN_OK)
        return status;
    uint32_t *cursor = mn_calloc(layer_count, sizeof *cursor);
    in->parent_node = mn_calloc(mn_graph_node_count(in->child), sizeof *in->parent_node);
    if (cursor == NULL || in->parent_node == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    } else {
        match_nodes(in, layer_parents, layer_count, cursor);
        mn__family family = {in->child, in->parent, layer_parents, layer_count, in->parent_node};
        status = mn__channels_create(&family, &in->channels, err);
    }
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
    for (uint32_t n = 0; status == MN_OK && n < mn_graph_node_count(child); n++)
        settle_node(&in, n);
    if (status == MN_OK)
        *ret_tensors = in.to;
    else
        mn_tensors_free(in.to);
    free(in.parent_node);
    mn__channels_free(in.channels);
    return status;
}

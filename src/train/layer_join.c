/*
 * Layers that join values: add and concat. And `plain`, which stores a view for a reader that
 * cannot take it as it is: a sum of one.
 */
#include "train/network.h"

/* ---- add, plain --------------------------------------------------------------------------------
 */

typedef struct join_state {
    mn__network *net;
    const mn__value *in[2];
    uint32_t in_count;
    const mn__value *out;
} join_state;

static void join_image(const void *context, const mn__worker *worker, uint32_t image)
{
    const join_state *s = context;
    mn__view views[2];
    mn__maps out = mn__maps_at(s->net, s->out->storage, s->out);
    (void)worker;
    for (uint32_t i = 0; i < s->in_count; i++)
        views[i] = mn__view_of(s->net, s->in[i]);
    s->net->opts.simd->join(views, s->in_count, &out, image);
}

/* The gradient of a sum is the gradient of each term: handed on, not copied. */
static mn_status
join_backward(mn__network *net, const mn__layer *layer, mn__gradient *out_gradient, mn_error *err)
{
    mn_status status = MN_OK;
    for (uint32_t i = 0; i < layer->input_count && status == MN_OK; i++)
        if (layer->inputs[i]->wants_gradient)
            status = mn__gradient_give(net, layer->inputs[i], out_gradient, err);
    return status;
}

static mn_status join_build(mn__network *net,
                            uint32_t n,
                            mn__value *const *inputs,
                            uint32_t count,
                            mn__value **ret,
                            mn_error *err)
{
    void *block = NULL;
    mn__value *out = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(join_state), &block, err);
    if (status == MN_OK)
        status = mn__value_create(
            net, inputs[0]->shape, inputs[0]->lanes, inputs[0]->channel_of, &out, err);
    if (status != MN_OK)
        return status;
    join_state *s = block;
    *s = (join_state){.net = net, .in_count = count, .out = out};
    for (uint32_t i = 0; i < count; i++) {
        s->in[i] = inputs[i];
        mn__uses_value(net, inputs[i]);
    }
    mn__uses_value(net, out);
    double elements = (double)mn__value_elements(out);
    mn__step step = {.node = n,
                     .image = join_image,
                     .context = s,
                     .work = {.kind = "add",
                              .flops = 4.0 * elements * count,
                              .bytes = (count + 1.0) * elements * net->opts.simd->element_bytes}};
    status = mn__program_add(net, &net->forward, &step, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, inputs, count, out, join_backward, s, err);
    *ret = out;
    return status;
}

mn_status
mn__plain_build(mn__network *net, uint32_t n, mn__value *value, mn__value **ret, mn_error *err)
{
    if (mn__value_plain(value)) {
        *ret = value;
        return MN_OK;
    }
    mn_status status = join_build(net, n, &value, 1, ret, err);
    if (status == MN_OK)
        (*ret)->wants_gradient = value->wants_gradient; /* the node's parameters are not here */
    return status;
}

static bool same_lanes(const mn__value *a, const mn__value *b)
{
    bool same = a->lanes == b->lanes;
    for (uint32_t lane = 0; lane < a->lanes && same; lane++)
        same = a->channel_of[lane] == b->channel_of[lane];
    return same;
}

mn_status mn__add_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn__value *inputs[2] = {net->value_of[node->inputs[0]], net->value_of[node->inputs[1]]};
    mn_status status = MN_OK;
    if (!same_lanes(inputs[0], inputs[1]))
        for (int i = 0; i < 2 && status == MN_OK; i++)
            status = mn__relayout_build(net, n, inputs[i], &inputs[i], err);
    if (status == MN_OK)
        status = join_build(net, n, inputs, 2, &net->value_of[n], err);
    return status;
}

/* ---- concat ------------------------------------------------------------------------------------
 */

typedef struct concat_state {
    mn__network *net;
    const mn__value *part; /* copied into the whole */
    mn__storage slice;
} concat_state;

static void copy_image(const void *context, const mn__worker *worker, uint32_t image)
{
    const concat_state *s = context;
    mn__view view = mn__view_of(s->net, s->part);
    mn__maps out = mn__maps_at(s->net, &s->slice, s->part);
    (void)worker;
    s->net->opts.simd->join(&view, 1, &out, image);
}

static mn_status
concat_backward(mn__network *net, const mn__layer *layer, mn__gradient *out_gradient, mn_error *err)
{
    size_t offset = 0;
    (void)out_gradient; /* replaced where it is a slope */
    mn_status status = mn__gradient_store(net, layer->output, err);
    if (status != MN_OK)
        return status;
    mn__gradient *whole = layer->output->gradient;
    whole->overlaps = whole->overlaps || whole->slices > 0; /* shared with another concat */
    for (uint32_t i = 0; i < layer->input_count && status == MN_OK; i++) {
        mn__gradient *slice = NULL;
        mn__value *part = layer->inputs[i];
        if (part->wants_gradient) {
            status = mn__slice_create(net, whole, offset, &slice, err);
            if (status == MN_OK)
                status = mn__gradient_give(net, part, slice, err);
            if (slice != NULL)
                mn__gradient_release(slice);
        }
        offset += mn__value_elements(part);
    }
    return status;
}

/* A stored part that has memory of its own is moved into the whole: whoever writes or reads it will
 * find it there. Anything else, and the image, is copied. */
static bool move_part(const mn__network *net, mn__value *part, const mn__storage *slice)
{
    mn__buffer *own = part->storage->buffer;
    mn__buffer *whole = mn__buffer_of(slice);
    if (!mn__value_plain(part) || part->storage->whole != NULL || part == net->input)
        return false;
    if (whole->first == MN_NONE || own->first < whole->first)
        whole->first = own->first;
    if (whole->last == MN_NONE || own->last > whole->last)
        whole->last = own->last;
    own->first = MN_NONE;
    *part->storage = *slice;
    return true;
}

static mn_status add_part(mn__network *net,
                          uint32_t n,
                          const mn__value *out,
                          mn__value *part,
                          size_t offset,
                          mn_error *err)
{
    void *block = NULL;
    const mn__storage slice = {.whole = out->storage, .offset = offset};
    if (move_part(net, part, &slice))
        return MN_OK;
    mn_status status = mn__network_alloc(net, 1, sizeof(concat_state), &block, err);
    if (status != MN_OK)
        return status;
    concat_state *s = block;
    *s = (concat_state){.net = net, .part = part, .slice = slice};
    mn__uses_value(net, part);
    mn__uses_buffer(net, mn__buffer_of(&slice));
    double elements = (double)mn__value_elements(part);
    mn__step step = {.node = n,
                     .image = copy_image,
                     .context = s,
                     .work = {.kind = "concat",
                              .flops = 2.0 * elements,
                              .bytes = 2.0 * elements * net->opts.simd->element_bytes}};
    return mn__program_add(net, &net->forward, &step, err);
}

static mn_status map_lanes(mn__network *net,
                           mn__value *const *parts,
                           uint32_t count,
                           uint32_t *ret_lanes,
                           const uint32_t **ret_channel_of,
                           mn_error *err)
{
    void *block = NULL;
    uint32_t lanes = 0;
    for (uint32_t i = 0; i < count; i++)
        lanes += parts[i]->lanes;
    mn_status status = mn__network_alloc(net, lanes, sizeof(uint32_t), &block, err);
    if (status != MN_OK)
        return status;
    uint32_t *channel_of = block;
    uint32_t *to = channel_of;
    uint32_t channels = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t lane = 0; lane < parts[i]->lanes; lane++) {
            uint32_t channel = parts[i]->channel_of[lane];
            *to++ = channel == MN_NONE ? MN_NONE : channels + channel;
        }
        channels += parts[i]->shape.c;
    }
    *ret_lanes = lanes;
    *ret_channel_of = channel_of;
    return MN_OK;
}

mn_status mn__concat_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    void *list = NULL;
    mn__value *out = NULL;
    const uint32_t *channel_of = NULL;
    uint32_t lanes = 0;
    size_t offset = 0;
    mn_status status = mn__network_alloc(net, node->input_count, sizeof(mn__value *), &list, err);
    if (status != MN_OK)
        return status;
    mn__value **parts = list;
    for (uint32_t i = 0; i < node->input_count; i++)
        parts[i] = net->value_of[node->inputs[i]];
    status = map_lanes(net, parts, node->input_count, &lanes, &channel_of, err);
    if (status == MN_OK)
        status = mn__value_create(net, node->shape, lanes, channel_of, &out, err);
    for (uint32_t i = 0; i < node->input_count && status == MN_OK; i++) {
        status = add_part(net, n, out, parts[i], offset, err);
        offset += mn__value_elements(parts[i]);
    }
    if (status == MN_OK)
        status = mn__layer_add(net, n, parts, node->input_count, out, concat_backward, NULL, err);
    net->value_of[n] = out;
    return status;
}

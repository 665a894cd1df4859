/*
 * Layers that only move numbers: the image into blocks, and relayout, which brings the channels of
 * two values into the same lanes where add needs it.
 */
#include <string.h>

#include "train/network.h"

/* ---- the image --------------------------------------------------------------------------------
 */

typedef struct input_state {
    mn__network *net;
    const mn__value *out;
} input_state;

/* (C,H,W) plain into (blocks,H,W,lanes). scratch: the same in floats. */
static void input_image(const void *context, const mn__worker *worker, uint32_t image)
{
    const input_state *s = context;
    const uint32_t lanes = s->net->lanes;
    const mn_shape shape = s->out->shape;
    const size_t pixels = (size_t)shape.h * shape.w;
    const float *plain = s->net->images + image * pixels * shape.c;
    float *floats = (float *)(void *)worker->scratch;
    mn__maps out = mn__maps_at(s->net, s->out->storage, s->out);
    memset(floats, 0, pixels * s->out->lanes * sizeof *floats);
    for (uint32_t c = 0; c < shape.c; c++) {
        float *to = floats + c / lanes * pixels * lanes + c % lanes;
        for (size_t i = 0; i < pixels; i++)
            to[i * lanes] = plain[c * pixels + i];
    }
    s->net->opts.simd->from_float(floats, NULL, &out, image);
}

mn_status mn__input_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    void *block = NULL;
    if (net->input != NULL)
        return mn_error_set(
            err, MN_ERR_UNSUPPORTED, "%s: a second input cannot be trained", node->name);
    mn_status status = mn__value_create(net, node->shape, 0, NULL, &net->input, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, 1, sizeof(input_state), &block, err);
    if (status != MN_OK)
        return status;
    input_state *s = block;
    *s = (input_state){.net = net, .out = net->input};
    net->value_of[n] = net->input;
    mn__uses_value(net, net->input);
    mn__wants_scratch(net, mn__value_elements(net->input) * sizeof(float));
    mn__step step = {.node = n, .image = input_image, .context = s, .work = {.kind = "image"}};
    return mn__program_add(net, &net->forward, &step, err);
}

/* ---- relayout: the same channels in dense lanes -----------------------------------------------
 */

typedef struct relayout_state {
    mn__network *net;
    const mn__value *in;
    mn__value *out;
    const uint32_t *from_lane; /* (out lanes) lane of `in`, or MN_NONE */
    mn__gradient *out_gradient;
    mn__target target;
} relayout_state;

/* Where pixel 0 of a lane is in a float image. */
static size_t lane_at(const mn__network *net, const mn__value *value, uint32_t lane)
{
    size_t pixels = (size_t)value->shape.h * value->shape.w;
    return lane / net->lanes * pixels * net->lanes + lane % net->lanes;
}

/* Copies every channel between the two float images. */
static void move_lanes(const relayout_state *s, float *in, float *out, bool backward)
{
    const uint32_t lanes = s->net->lanes;
    const size_t pixels = (size_t)s->in->shape.h * s->in->shape.w;
    float *target = backward ? in : out;
    memset(target, 0, mn__value_elements(backward ? s->in : s->out) * sizeof *target);
    for (uint32_t lane = 0; lane < s->out->lanes; lane++) {
        if (s->from_lane[lane] == MN_NONE)
            continue;
        float *a = in + lane_at(s->net, s->in, s->from_lane[lane]);
        float *b = out + lane_at(s->net, s->out, lane);
        for (size_t i = 0; i < pixels * lanes; i += lanes)
            if (backward)
                a[i] = b[i];
            else
                b[i] = a[i];
    }
}

static void relayout_image(const void *context, const mn__worker *worker, uint32_t image)
{
    const relayout_state *s = context;
    float *in = (float *)(void *)worker->scratch;
    float *out = in + mn__value_elements(s->in);
    mn__view view = mn__view_of(s->net, s->in);
    mn__maps maps = mn__maps_at(s->net, s->out->storage, s->out);
    s->net->opts.simd->to_float(&view, image, in);
    move_lanes(s, in, out, false);
    s->net->opts.simd->from_float(out, NULL, &maps, image);
}

static void relayout_image_backward(const void *context, const mn__worker *worker, uint32_t image)
{
    const relayout_state *s = context;
    const mn__simd *simd = s->net->opts.simd;
    float *in = (float *)(void *)worker->scratch;
    float *out = in + mn__value_elements(s->in);
    mn__slope slope = mn__slope_of(s->net, s->out_gradient, s->out);
    mn__maps to = mn__maps_at(s->net, &s->target.out->storage, s->in);
    mn__maps addend;
    bool adds = mn__addend_of(s->net, &s->target, s->in, &addend);
    mn__pad pad = {.blocks = s->out->lanes / s->net->lanes,
                   .rows = s->out->shape.h,
                   .columns = s->out->shape.w};
    simd->pad_slope_float(&pad, &slope, image, out);
    move_lanes(s, in, out, true);
    simd->from_float(in, adds ? &addend : NULL, &to, image);
}

static mn_status relayout_backward(mn__network *net,
                                   const mn__layer *layer,
                                   mn__gradient *out_gradient,
                                   mn_error *err)
{
    relayout_state *s = layer->state;
    if (!layer->inputs[0]->wants_gradient)
        return MN_OK;
    mn_status status = mn__gradient_target(net, layer->inputs[0], &s->target, err);
    if (status != MN_OK)
        return status;
    s->out_gradient = out_gradient;
    mn__uses_gradient(net, out_gradient);
    mn__step step = {.node = layer->node,
                     .image = relayout_image_backward,
                     .context = s,
                     .work = {.kind = "relayout"}};
    return mn__program_add(net, &net->backward, &step, err);
}

static bool dense(const mn__network *net, const mn__value *value)
{
    bool dense = value->lanes < value->shape.c + net->lanes;
    for (uint32_t lane = 0; lane < value->shape.c && dense; lane++)
        dense = value->channel_of[lane] == lane;
    return dense;
}

static mn_status
create_state(mn__network *net, mn__value *value, relayout_state **ret, mn_error *err)
{
    mn__value *out = NULL;
    void *block = NULL;
    void *lanes = NULL;
    mn_status status = mn__value_create(net, value->shape, 0, NULL, &out, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, 1, sizeof(relayout_state), &block, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, out->lanes, sizeof(uint32_t), &lanes, err);
    if (status != MN_OK)
        return status;
    uint32_t *from_lane = lanes;
    for (uint32_t lane = 0; lane < out->lanes; lane++)
        from_lane[lane] = MN_NONE;
    for (uint32_t lane = 0; lane < value->lanes; lane++)
        if (value->channel_of[lane] != MN_NONE)
            from_lane[value->channel_of[lane]] = lane;
    *ret = block;
    **ret = (relayout_state){.net = net, .in = value, .out = out, .from_lane = from_lane};
    return MN_OK;
}

mn_status
mn__relayout_build(mn__network *net, uint32_t n, mn__value *value, mn__value **ret, mn_error *err)
{
    relayout_state *s = NULL;
    if (dense(net, value)) {
        *ret = value;
        return MN_OK;
    }
    mn_status status = create_state(net, value, &s, err);
    if (status != MN_OK)
        return status;
    mn__value *out = s->out;
    mn__wants_scratch(net, (mn__value_elements(value) + mn__value_elements(out)) * sizeof(float));
    mn__uses_value(net, value);
    mn__uses_value(net, out);
    mn__step step = {
        .node = n, .image = relayout_image, .context = s, .work = {.kind = "relayout"}};
    status = mn__program_add(net, &net->forward, &step, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &value, 1, out, relayout_backward, s, err);
    out->wants_gradient = value->wants_gradient; /* the node's parameters are not here */
    *ret = out;
    return status;
}

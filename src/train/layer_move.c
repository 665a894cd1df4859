/*
 * Layers that only move numbers: subsample (every stride-th pixel), and relayout, which brings the
 * channels of two values into the same lanes where add needs it.
 */
#include <string.h>

#include "train/network.h"

/* ---- relayout: the same channels in dense lanes -----------------------------------------------
 */

typedef struct relayout_state {
    const mn__value *in, *out;
    const uint32_t *from_lane; /* (out lanes) lane of `in`, or MN_NONE */
    const float *out_gradient;
    float *in_gradient;
    uint32_t batch, width;
} relayout_state;

/* Offset of lane `lane` of image n, pixel 0. */
static size_t lane_offset(const mn__value *v, uint32_t width, size_t n, uint32_t lane)
{
    size_t pixels = (size_t)v->shape.h * v->shape.w;
    return (n * (v->lanes / width) + lane / width) * pixels * width + lane % width;
}

static void run_relayout(const void *context)
{
    const relayout_state *s = context;
    size_t pixels = (size_t)s->in->shape.h * s->in->shape.w;
    for (uint32_t n = 0; n < s->batch; n++)
        for (uint32_t lane = 0; lane < s->out->lanes; lane++) {
            if (s->from_lane[lane] == MN_NONE)
                continue;
            const float *from = s->in->data + lane_offset(s->in, s->width, n, s->from_lane[lane]);
            float *to = s->out->data + lane_offset(s->out, s->width, n, lane);
            for (size_t i = 0; i < pixels; i++)
                to[i * s->width] = from[i * s->width];
        }
}

static void run_relayout_backward(const void *context)
{
    const relayout_state *s = context;
    size_t pixels = (size_t)s->in->shape.h * s->in->shape.w;
    memset(s->in_gradient, 0, s->in->bytes);
    for (uint32_t n = 0; n < s->batch; n++)
        for (uint32_t lane = 0; lane < s->out->lanes; lane++) {
            if (s->from_lane[lane] == MN_NONE)
                continue;
            const float *from = s->out_gradient + lane_offset(s->out, s->width, n, lane);
            float *to = s->in_gradient + lane_offset(s->in, s->width, n, s->from_lane[lane]);
            for (size_t i = 0; i < pixels; i++)
                to[i * s->width] = from[i * s->width];
        }
}

static mn_status relayout_backward(mn__network *net,
                                   const mn__layer *layer,
                                   mn__gradient *out_gradient,
                                   mn_error *err)
{
    relayout_state *s = layer->state;
    mn__gradient *in_gradient = NULL;
    if (!layer->inputs[0]->wants_gradient)
        return MN_OK;
    mn_status status = mn__gradient_new(net, layer->inputs[0], &in_gradient, err);
    if (status != MN_OK)
        return status;
    s->out_gradient = out_gradient->data;
    s->in_gradient = in_gradient->data;
    return mn__program_function(&net->backward, run_relayout_backward, s, err);
}

mn_status
mn__relayout_build(mn__network *net, uint32_t n, mn__value *value, mn__value **ret, mn_error *err)
{
    mn__value *out = NULL;
    void *block = NULL;
    void *lanes = NULL;
    bool dense = true;
    for (uint32_t lane = 0; lane < value->shape.c; lane++)
        dense = dense && value->channel_of[lane] == lane;
    if (dense && value->lanes < value->shape.c + net->backend.simd->lanes) {
        *ret = value;
        return MN_OK;
    }
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
    relayout_state *s = block;
    *s = (relayout_state){.in = value,
                          .out = out,
                          .from_lane = from_lane,
                          .batch = net->batch,
                          .width = net->backend.simd->lanes};
    status = mn__program_function(&net->forward, run_relayout, s, err);
    if (status == MN_OK)
        status = mn__program_function(&net->evaluate, run_relayout, s, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &value, 1, out, relayout_backward, s, err);
    out->wants_gradient = value->wants_gradient; /* the node's parameters are not here */
    *ret = out;
    return status;
}

/* ---- subsample ---------------------------------------------------------------------------------
 */

typedef struct subsample_state {
    const mn__value *in, *out;
    const float *out_gradient;
    float *in_gradient;
    uint32_t stride, images, width; /* images: batch times blocks */
} subsample_state;

static void run_subsample(const void *context)
{
    const subsample_state *s = context;
    mn_shape in = s->in->shape;
    mn_shape out = s->out->shape;
    size_t bytes = s->width * sizeof(float);
#pragma omp parallel for schedule(static)
    for (uint32_t n = 0; n < s->images; n++)
        for (size_t y = 0; y < out.h; y++)
            for (size_t x = 0; x < out.w; x++)
                memcpy(s->out->data + (((size_t)n * out.h + y) * out.w + x) * s->width,
                       s->in->data +
                           (((size_t)n * in.h + y * s->stride) * in.w + x * s->stride) * s->width,
                       bytes);
}

static void run_subsample_backward(const void *context)
{
    const subsample_state *s = context;
    mn_shape in = s->in->shape;
    mn_shape out = s->out->shape;
    size_t bytes = s->width * sizeof(float);
    size_t image_floats = (size_t)in.h * in.w * s->width;
#pragma omp parallel for schedule(static)
    for (uint32_t n = 0; n < s->images; n++) {
        memset(s->in_gradient + n * image_floats, 0, image_floats * sizeof(float));
        for (size_t y = 0; y < out.h; y++)
            for (size_t x = 0; x < out.w; x++)
                memcpy(s->in_gradient +
                           (((size_t)n * in.h + y * s->stride) * in.w + x * s->stride) * s->width,
                       s->out_gradient + (((size_t)n * out.h + y) * out.w + x) * s->width,
                       bytes);
    }
}

static mn_status subsample_backward(mn__network *net,
                                    const mn__layer *layer,
                                    mn__gradient *out_gradient,
                                    mn_error *err)
{
    subsample_state *s = layer->state;
    mn__gradient *in_gradient = NULL;
    if (!layer->inputs[0]->wants_gradient)
        return MN_OK;
    mn_status status = mn__gradient_new(net, layer->inputs[0], &in_gradient, err);
    if (status != MN_OK)
        return status;
    s->out_gradient = out_gradient->data;
    s->in_gradient = in_gradient->data;
    return mn__program_function(&net->backward, run_subsample_backward, s, err);
}

mn_status mn__subsample_build(mn__network *net,
                              uint32_t n,
                              mn__value *from,
                              uint32_t stride,
                              mn__value **ret_value,
                              mn_error *err)
{
    mn__value *out = NULL;
    void *block = NULL;
    mn_shape shape = {(from->shape.h + stride - 1) / stride,
                      (from->shape.w + stride - 1) / stride,
                      from->shape.c};
    mn_status status = mn__value_create(net, shape, from->lanes, from->channel_of, &out, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, 1, sizeof(subsample_state), &block, err);
    if (status != MN_OK)
        return status;
    subsample_state *s = block;
    uint32_t width = net->backend.simd->lanes;
    *s = (subsample_state){.in = from,
                           .out = out,
                           .stride = stride,
                           .images = net->batch * (from->lanes / width),
                           .width = width};
    status = mn__program_function(&net->forward, run_subsample, s, err);
    if (status == MN_OK)
        status = mn__program_function(&net->evaluate, run_subsample, s, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &from, 1, out, subsample_backward, s, err);
    out->wants_gradient = from->wants_gradient; /* the node's parameters are not here */
    if (status == MN_OK)
        *ret_value = out;
    return status;
}

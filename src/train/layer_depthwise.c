/*
 * Depthwise convolution, block by block: floats in the padded copies, whatever the elements are.
 */
#include <string.h>

#include "train/ahead.h"
#include "train/network.h"
#include "train/window.h"

typedef struct depthwise_state {
    mn__network *net;
    const mn__value *in;
    mn__value *out;
    const mn__parameter *weight;
    mn__sliding *sliding;
    mn__gradient *out_gradient;
    mn__target target; /* out NULL: the input wants no gradient */
} depthwise_state;

static void begin(const void *context, bool train)
{
    const depthwise_state *s = context;
    if (train && s->out->statistics != NULL)
        mn__statistics_clear(s->out->statistics);
}

static size_t block_elements(const mn__maps *maps, uint32_t lanes)
{
    return (size_t)maps->h * maps->w * lanes;
}

/* scratch: sums (2,lanes), then one padded block. */
static void image_forward(const void *context, const mn__worker *worker, uint32_t image)
{
    const depthwise_state *s = context;
    const mn__simd *simd = s->net->opts.simd;
    bool counts = worker->train && s->out->statistics != NULL;
    float *sums = (float *)(void *)worker->scratch;
    float *padded = sums + (size_t)2 * s->out->lanes;
    mn__view view = mn__view_of(s->net, s->in);
    mn__maps out = mn__maps_at(s->net, s->out->storage, s->out);
    mn__depthwise_pass pass = mn__depthwise_pass_of(&s->sliding->forward);
    mn__pad pad = s->sliding->pad;
    pad.blocks = 1;
    memset(sums, 0, (size_t)2 * s->out->lanes * sizeof *sums);
    for (uint32_t b = 0; b < out.blocks; b++) {
        size_t at = image * out.image_stride + b * block_elements(&out, simd->lanes);
        mn__ahead ahead = {0};
        simd->pad_float(&pad, &view, image, padded);
        uint32_t next = mn__ahead_turn(&pad, out.blocks, image);
        mn__ahead_view(&ahead, s->net, &view, &pad, next);
        pass.ahead = &ahead;
        simd->depthwise(&pass,
                        padded,
                        s->weight->seen + (size_t)b * s->weight->taps * simd->lanes,
                        (char *)out.data + at * simd->element_bytes,
                        NULL,
                        counts ? sums + (size_t)b * simd->lanes : NULL,
                        s->out->lanes);
    }
    if (counts)
        mn__statistics_add(s->out->statistics, worker->slice, sums);
}

static void data_block(const depthwise_state *s,
                       uint32_t block,
                       uint32_t image,
                       const float *padded,
                       const mn__ahead *ahead)
{
    const mn__simd *simd = s->net->opts.simd;
    mn__maps to = mn__maps_at(s->net, &s->target.out->storage, s->in);
    mn__maps from = {0};
    bool adds = mn__addend_of(s->net, &s->target, s->in, &from);
    size_t first = block * block_elements(&to, simd->lanes);
    for (uint32_t i = 0; i < s->sliding->phase_count; i++) {
        mn__depthwise_pass pass = mn__depthwise_pass_of(&s->sliding->phases[i]);
        pass.ahead = i == 0 ? ahead : NULL;
        size_t at = first + s->sliding->phases[i].out_first;
        size_t to_at = image * to.image_stride + at;
        size_t from_at = image * from.image_stride + at;
        simd->depthwise(&pass,
                        padded,
                        s->weight->seen + (size_t)block * s->weight->taps * simd->lanes,
                        (char *)to.data + to_at * simd->element_bytes,
                        adds ? (const char *)from.data + from_at * simd->element_bytes : NULL,
                        NULL,
                        0);
    }
}

/* scratch: one padded block of the gradient, one of the input. */
static void image_backward(const void *context, const mn__worker *worker, uint32_t image)
{
    const depthwise_state *s = context;
    const mn__simd *simd = s->net->opts.simd;
    const mn__sliding *w = s->sliding;
    float *gradient = (float *)(void *)worker->scratch;
    float *input = gradient + w->gradient_plane;
    float *share = mn__parameter_share(s->weight, worker->slice);
    mn__view view = mn__view_of(s->net, s->in);
    mn__slope slope = mn__slope_of(s->net, s->out_gradient, s->out);
    mn__depthwise_pass pass = mn__depthwise_pass_of(&w->forward);
    mn__pad pad = w->pad;
    mn__pad gradient_pad = w->gradient_pad;
    pass.out_row = w->gradient_row;
    pad.blocks = gradient_pad.blocks = 1;
    for (uint32_t b = 0; b < view.maps.blocks; b++) {
        mn__ahead ahead = {0};
        simd->pad_slope_float(&gradient_pad, &slope, image, gradient);
        simd->pad_float(&pad, &view, image, input);
        simd->depthwise_weights(&pass,
                                input,
                                gradient + w->gradient_first,
                                share + (size_t)b * s->weight->taps * simd->lanes);
        uint32_t next = mn__ahead_turn(&pad, view.maps.blocks, image);
        gradient_pad.first_block = pad.first_block;
        mn__ahead_slope(&ahead, s->net, &slope, &gradient_pad, next);
        mn__ahead_view(&ahead, s->net, &view, &pad, next);
        if (s->target.out != NULL)
            data_block(s, b, image, gradient, &ahead);
    }
}

static void begin_backward(const void *context, bool train)
{
    const depthwise_state *s = context;
    (void)train;
    mn__parameter_begin(s->net, s->weight);
}

static void end_backward(const void *context, bool train)
{
    const depthwise_state *s = context;
    (void)train;
    mn__parameter_end(s->net, s->weight);
}

static mn__work work_of(const depthwise_state *s, const char *kind, double passes)
{
    double out = (double)s->out->shape.h * s->out->shape.w * s->out->lanes;
    double in = (double)s->in->shape.h * s->in->shape.w * s->in->lanes;
    return (mn__work){.kind = kind,
                      .flops = 2.0 * passes * out * s->weight->taps,
                      .bytes = passes * (in + out) * s->net->opts.simd->element_bytes};
}

static mn_status depthwise_backward(mn__network *net,
                                    const mn__layer *layer,
                                    mn__gradient *out_gradient,
                                    mn_error *err)
{
    depthwise_state *s = layer->state;
    mn_status status = MN_OK;
    if (layer->inputs[0]->wants_gradient)
        status = mn__gradient_target(net, layer->inputs[0], &s->target, err);
    if (status != MN_OK)
        return status;
    s->out_gradient = out_gradient;
    mn__uses_gradient(net, out_gradient);
    mn__uses_value(net, s->in);
    mn__step step = {.node = layer->node,
                     .begin = begin_backward,
                     .image = image_backward,
                     .end = end_backward,
                     .context = s,
                     .work = work_of(s, "depthwise backward", s->target.out != NULL ? 2.0 : 1.0)};
    return mn__program_add(net, &net->backward, &step, err);
}

static void map_weight(mn__parameter *weight, const mn_node *node, const depthwise_state *s)
{
    *weight = (mn__parameter){.kind = MN__DEPTHWISE,
                              .rows = s->out->lanes,
                              .columns = 1,
                              .taps = node->window.kernel_h * node->window.kernel_w,
                              .row_channel = s->out->channel_of,
                              .decays = true};
}

static mn_status build(mn__network *net, uint32_t n, depthwise_state *s, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn__value *in = net->value_of[node->inputs[0]];
    mn_status status = mn__value_create(net, node->shape, in->lanes, in->channel_of, &s->out, err);
    if (status != MN_OK)
        return status;
    s->net = net;
    s->in = in;
    s->weight = &net->parameters[node->tensors[MN_ROLE_WEIGHT]];
    s->out->makes_statistics = true;
    map_weight(&net->parameters[node->tensors[MN_ROLE_WEIGHT]], node, s);
    status = mn__parameter_init(net, node->tensors[MN_ROLE_WEIGHT], true, err);
    if (status == MN_OK)
        status = mn__sliding_create(
            net, &node->window, in->shape, node->shape, in->wants_gradient, &s->sliding, err);
    if (status != MN_OK)
        return status;
    mn__wants_scratch(net,
                      (s->sliding->plane + s->sliding->gradient_plane + (size_t)2 * in->lanes) *
                          sizeof(float));
    mn__uses_value(net, in);
    mn__uses_value(net, s->out);
    mn__step step = {.node = n,
                     .begin = begin,
                     .image = image_forward,
                     .context = s,
                     .work = work_of(s, "depthwise", 1.0)};
    status = mn__program_add(net, &net->forward, &step, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &in, 1, s->out, depthwise_backward, s, err);
    net->value_of[n] = s->out;
    return status;
}

mn_status mn__depthwise_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    void *block = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(depthwise_state), &block, err);
    if (status == MN_OK)
        status = build(net, n, block, err);
    if (status == MN_OK && node->tensors[MN_ROLE_BIAS] != MN_NONE)
        status = mn__bias_build(
            net, n, net->value_of[n], node->tensors[MN_ROLE_BIAS], &net->value_of[n], err);
    return status;
}

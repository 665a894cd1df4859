/*
 * Layers that join values: add and concat.
 */
#include <string.h>

#include "train/network.h"

/* ---- add ---------------------------------------------------------------------------------------
 */

typedef struct add_state {
    const mn__simd *simd;
    float *out;
    const float *a, *b;
    size_t count;
} add_state;

static void run_add(const void *context)
{
    const add_state *s = context;
    s->simd->add(s->out, s->a, s->b, s->count);
}

/* The gradient of a sum is the gradient of each term: handed on, not copied. */
static mn_status
add_backward(mn__network *net, const mn__layer *layer, mn__gradient *out_gradient, mn_error *err)
{
    (void)net;
    mn_status status = MN_OK;
    for (uint32_t i = 0; i < 2 && status == MN_OK; i++)
        if (layer->inputs[i]->wants_gradient)
            status = mn__gradient_share(layer->inputs[i], out_gradient, err);
    return status;
}

mn_status mn__add_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn__value *inputs[2] = {net->value_of[node->inputs[0]], net->value_of[node->inputs[1]]};
    mn__value *out = NULL;
    void *block = NULL;
    mn_status status = MN_OK;
    bool same_lanes =
        inputs[0]->lanes == inputs[1]->lanes &&
        memcmp(inputs[0]->channel_of, inputs[1]->channel_of, inputs[0]->lanes * sizeof(uint32_t)) ==
            0;
    for (uint32_t i = 0; i < 2 && !same_lanes && status == MN_OK; i++)
        status = mn__relayout_build(net, n, inputs[i], &inputs[i], err);
    if (status == MN_OK)
        status =
            mn__value_create(net, node->shape, inputs[0]->lanes, inputs[0]->channel_of, &out, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, 1, sizeof(add_state), &block, err);
    if (status != MN_OK)
        return status;
    add_state *s = block;
    *s = (add_state){.simd = net->backend.simd,
                     .out = out->data,
                     .a = inputs[0]->data,
                     .b = inputs[1]->data,
                     .count = out->bytes / sizeof(float)};
    status = mn__program_function(&net->forward, run_add, s, err);
    if (status == MN_OK)
        status = mn__program_function(&net->evaluate, run_add, s, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, inputs, 2, out, add_backward, s, err);
    net->value_of[n] = out;
    return status;
}

/* ---- concat ------------------------------------------------------------------------------------
 */

typedef struct concat_state {
    uint32_t part_count;
    const float **parts;    /* values */
    float **part_gradients; /* NULL entries: not wanted */
    size_t *part_floats;    /* of one image */
    float *whole;           /* value */
    const float *whole_gradient;
    size_t whole_floats;
    uint32_t batch;
} concat_state;

/* Blocks of a part follow each other in the whole, so each image moves in one piece a part. */
static void run_concat(const void *context)
{
    const concat_state *s = context;
#pragma omp parallel for schedule(static)
    for (uint32_t n = 0; n < s->batch; n++) {
        float *to = s->whole + s->whole_floats * n;
        for (uint32_t i = 0; i < s->part_count; i++) {
            memcpy(to, s->parts[i] + s->part_floats[i] * n, s->part_floats[i] * sizeof(float));
            to += s->part_floats[i];
        }
    }
}

static void run_concat_backward(const void *context)
{
    const concat_state *s = context;
#pragma omp parallel for schedule(static)
    for (uint32_t n = 0; n < s->batch; n++) {
        const float *from = s->whole_gradient + s->whole_floats * n;
        for (uint32_t i = 0; i < s->part_count; i++) {
            if (s->part_gradients[i] != NULL)
                memcpy(s->part_gradients[i] + s->part_floats[i] * n,
                       from,
                       s->part_floats[i] * sizeof(float));
            from += s->part_floats[i];
        }
    }
}

static mn_status
concat_backward(mn__network *net, const mn__layer *layer, mn__gradient *out_gradient, mn_error *err)
{
    concat_state *s = layer->state;
    mn_status status = MN_OK;
    for (uint32_t i = 0; i < layer->input_count && status == MN_OK; i++) {
        mn__gradient *gradient = NULL;
        if (!layer->inputs[i]->wants_gradient)
            continue;
        status = mn__gradient_new(net, layer->inputs[i], &gradient, err);
        if (status == MN_OK)
            s->part_gradients[i] = gradient->data;
    }
    s->whole_gradient = out_gradient->data;
    if (status == MN_OK)
        status = mn__program_function(&net->backward, run_concat_backward, s, err);
    return status;
}

/* Lanes of the whole: those of the parts one after another, channels counted on. */
static mn_status joined_lanes(mn__network *net,
                              mn__value *const *parts,
                              uint32_t part_count,
                              uint32_t *ret_lanes,
                              const uint32_t **ret_channel_of,
                              mn_error *err)
{
    uint32_t lanes = 0;
    for (uint32_t i = 0; i < part_count; i++)
        lanes += parts[i]->lanes;
    void *block = NULL;
    mn_status status = mn__network_alloc(net, lanes, sizeof(uint32_t), &block, err);
    if (status != MN_OK)
        return status;
    uint32_t *channel_of = block;
    uint32_t lane = 0;
    uint32_t channel = 0;
    for (uint32_t i = 0; i < part_count; i++) {
        for (uint32_t k = 0; k < parts[i]->lanes; k++) {
            uint32_t own = parts[i]->channel_of[k];
            channel_of[lane++] = own == MN_NONE ? MN_NONE : channel + own;
        }
        channel += parts[i]->shape.c;
    }
    *ret_lanes = lanes;
    *ret_channel_of = channel_of;
    return MN_OK;
}

static mn_status create_state(mn__network *net,
                              mn__value *const *parts,
                              uint32_t part_count,
                              const mn__value *whole,
                              concat_state **ret,
                              mn_error *err)
{
    void *block = NULL;
    void *values = NULL;
    void *gradients = NULL;
    void *floats = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(concat_state), &block, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, part_count, sizeof(float *), &values, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, part_count, sizeof(float *), &gradients, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, part_count, sizeof(size_t), &floats, err);
    if (status != MN_OK)
        return status;
    concat_state *s = block;
    *s = (concat_state){.part_count = part_count,
                        .parts = values,
                        .part_gradients = gradients,
                        .part_floats = floats,
                        .whole = whole->data,
                        .whole_floats = whole->bytes / sizeof(float) / net->batch,
                        .batch = net->batch};
    for (uint32_t i = 0; i < part_count; i++) {
        s->parts[i] = parts[i]->data;
        s->part_floats[i] = parts[i]->bytes / sizeof(float) / net->batch;
    }
    *ret = s;
    return MN_OK;
}

mn_status mn__concat_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn__value *out = NULL;
    concat_state *s = NULL;
    void *list = NULL;
    uint32_t lanes = 0;
    const uint32_t *channel_of = NULL;
    mn_status status = mn__network_alloc(net, node->input_count, sizeof(mn__value *), &list, err);
    if (status != MN_OK)
        return status;
    mn__value **parts = list;
    for (uint32_t i = 0; i < node->input_count; i++)
        parts[i] = net->value_of[node->inputs[i]];
    status = joined_lanes(net, parts, node->input_count, &lanes, &channel_of, err);
    if (status == MN_OK)
        status = mn__value_create(net, node->shape, lanes, channel_of, &out, err);
    if (status == MN_OK)
        status = create_state(net, parts, node->input_count, out, &s, err);
    if (status == MN_OK)
        status = mn__program_function(&net->forward, run_concat, s, err);
    if (status == MN_OK)
        status = mn__program_function(&net->evaluate, run_concat, s, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, parts, node->input_count, out, concat_backward, s, err);
    net->value_of[n] = out;
    return status;
}

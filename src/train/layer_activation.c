/*
 * Element-wise layers of their own: relu and relu6 that no batch norm computes, and fake-quant,
 * which rounds to a grid going forward and lets the gradient through inside the grid's range
 * (straight-through estimator).
 */
#include <math.h>

#include "train/network.h"

typedef struct relu_state {
    dnnl_primitive_t backward;
} relu_state;

static mn_status
relu_backward(mn__network *net, const mn__layer *layer, mn__gradient *out_gradient, mn_error *err)
{
    relu_state *s = layer->state;
    mn__value *in = layer->inputs[0];
    mn__gradient *in_gradient = NULL;
    if (!in->wants_gradient)
        return MN_OK;
    mn_status status = mn__gradient_new(net, in, &in_gradient, err);
    if (status != MN_OK)
        return status;
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, in->memory},
                              {DNNL_ARG_DIFF_DST, out_gradient->memory},
                              {DNNL_ARG_DIFF_SRC, in_gradient->memory}};
    return mn__program_primitive(&net->backward, s->backward, args, 3, err);
}

static mn_status build_relu(mn__network *net,
                            uint32_t n,
                            const mn__value *in,
                            const mn__value *out,
                            mn_act act,
                            relu_state *s,
                            mn_error *err)
{
    dnnl_alg_kind_t kind = act == MN_ACT_RELU6 ? dnnl_eltwise_bounded_relu : dnnl_eltwise_relu;
    float alpha = act == MN_ACT_RELU6 ? 6.0f : 0.0f;
    dnnl_eltwise_desc_t op;
    dnnl_primitive_desc_t forward = NULL;
    dnnl_primitive_desc_t backward = NULL;
    dnnl_primitive_t primitive = NULL;
    mn_status status = mn__dnnl(
        dnnl_eltwise_forward_desc_init(&op, dnnl_forward_training, kind, &in->desc, alpha, 0.0f),
        "relu",
        err);
    if (status == MN_OK)
        status = mn__primitive_create(net, n, "forward", &op, NULL, &forward, &primitive, err);
    if (status != MN_OK)
        return status;
    status = mn__dnnl(
        dnnl_eltwise_backward_desc_init(&op, kind, &in->desc, &in->desc, alpha, 0.0f), "relu", err);
    if (status == MN_OK)
        status = mn__primitive_create(
            net, n, "backward data", &op, forward, &backward, &s->backward, err);
    if (backward != NULL)
        (void)dnnl_primitive_desc_destroy(backward);
    (void)dnnl_primitive_desc_destroy(forward);
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, in->memory}, {DNNL_ARG_DST, out->memory}};
    if (status == MN_OK)
        status = mn__program_primitive(&net->forward, primitive, args, 2, err);
    if (status == MN_OK)
        status = mn__program_primitive(&net->evaluate, primitive, args, 2, err);
    return status;
}

mn_status mn__activation_build(
    mn__network *net, uint32_t n, mn__value *from, mn_act act, mn__value **ret_value, mn_error *err)
{
    mn__value *out = NULL;
    void *block = NULL;
    if (from->desc.ndims != 4)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "%s: an activation of logits cannot be trained",
                            mn_graph_node(net->graph, n)->name);
    mn_status status = mn__value_create(net, from->shape, from->lanes, from->channel_of, &out, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, 1, sizeof(relu_state), &block, err);
    if (status == MN_OK)
        status = build_relu(net, n, from, out, act, block, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &from, 1, out, relu_backward, block, err);
    if (status != MN_OK)
        return status;
    out->wants_gradient = from->wants_gradient; /* the node's parameters are not here */
    *ret_value = out;
    return MN_OK;
}

mn_status mn__relu_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn_act act = node->prim == MN_PRIM_RELU6 ? MN_ACT_RELU6 : MN_ACT_RELU;
    return mn__activation_build(
        net, n, net->value_of[node->inputs[0]], act, &net->value_of[n], err);
}

typedef struct fake_quant_state {
    mn_quant_grid grid;
    const float *in;
    float *out;
    const float *out_gradient;
    float *in_gradient;
    size_t count;
} fake_quant_state;

/* Zero is on the grid (checked when the graph was built), so empty lanes stay zero. Comparisons,
 * not fminf(): a value that is not a number must come out as such, for the loss to show it. */
static void run_fake_quant(const void *context)
{
    const fake_quant_state *s = context;
    float low = (float)s->grid.low;
    float high = (float)s->grid.high;
    float zero = (float)s->grid.zero_point;
    for (size_t i = 0; i < s->count; i++) {
        float q = nearbyintf(s->in[i] / s->grid.scale) + zero;
        q = q < low ? low : q;
        q = q > high ? high : q;
        s->out[i] = (q - zero) * s->grid.scale;
    }
}

static void run_fake_quant_backward(const void *context)
{
    const fake_quant_state *s = context;
    float low = ((float)s->grid.low - (float)s->grid.zero_point) * s->grid.scale;
    float high = ((float)s->grid.high - (float)s->grid.zero_point) * s->grid.scale;
    for (size_t i = 0; i < s->count; i++) {
        int inside = s->in[i] >= low && s->in[i] <= high;
        s->in_gradient[i] = inside ? s->out_gradient[i] : 0.0f;
    }
}

static mn_status fake_quant_backward(mn__network *net,
                                     const mn__layer *layer,
                                     mn__gradient *out_gradient,
                                     mn_error *err)
{
    fake_quant_state *s = layer->state;
    mn__gradient *in_gradient = NULL;
    if (!layer->inputs[0]->wants_gradient)
        return MN_OK;
    mn_status status = mn__gradient_new(net, layer->inputs[0], &in_gradient, err);
    if (status != MN_OK)
        return status;
    s->out_gradient = out_gradient->data;
    s->in_gradient = in_gradient->data;
    return mn__program_function(&net->backward, run_fake_quant_backward, s, err);
}

mn_status mn__fake_quant_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn__value *in = net->value_of[node->inputs[0]];
    mn__value *out = NULL;
    void *block = NULL;
    mn_status status = mn__value_create(net, node->shape, in->lanes, in->channel_of, &out, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, 1, sizeof(fake_quant_state), &block, err);
    if (status != MN_OK)
        return status;
    fake_quant_state *s = block;
    *s = (fake_quant_state){
        .grid = node->grid, .in = in->data, .out = out->data, .count = in->bytes / sizeof(float)};
    status = mn__program_function(&net->forward, run_fake_quant, s, err);
    if (status == MN_OK)
        status = mn__program_function(&net->evaluate, run_fake_quant, s, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &in, 1, out, fake_quant_backward, s, err);
    net->value_of[n] = out;
    return status;
}

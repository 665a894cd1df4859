/*
 * Fully connected layer: reads a blocked value, yields plain logits (N,O).
 */
#include "train/network.h"

typedef struct dense_state {
    dnnl_primitive_t backward_data, backward_weights;
    dnnl_memory_t backward_filter;
    uint32_t weight, bias; /* tensors; bias may be MN_NONE */
} dense_state;

typedef struct dense_shape {
    dnnl_memory_desc_t filter, filter_plain, bias;
    const dnnl_memory_desc_t *bias_or_null;
} dense_shape;

static mn_status
dense_backward(mn__network *net, const mn__layer *layer, mn__gradient *out_gradient, mn_error *err)
{
    dense_state *s = layer->state;
    mn__value *in = layer->inputs[0];
    dnnl_exec_arg_t weight_args[] = {
        {DNNL_ARG_SRC, in->memory},
        {DNNL_ARG_DIFF_DST, out_gradient->memory},
        {DNNL_ARG_DIFF_WEIGHTS, net->parameters[s->weight].gradient_memory},
        {DNNL_ARG_DIFF_BIAS, s->bias == MN_NONE ? NULL : net->parameters[s->bias].gradient_memory}};
    mn_status status = mn__program_primitive(
        &net->backward, s->backward_weights, weight_args, s->bias == MN_NONE ? 3 : 4, err);
    mn__gradient *in_gradient = NULL;
    if (status != MN_OK || !in->wants_gradient)
        return status;
    status = mn__gradient_new(net, in, &in_gradient, err);
    if (status != MN_OK)
        return status;
    dnnl_exec_arg_t data_args[] = {{DNNL_ARG_DIFF_DST, out_gradient->memory},
                                   {DNNL_ARG_WEIGHTS, s->backward_filter},
                                   {DNNL_ARG_DIFF_SRC, in_gradient->memory}};
    return mn__program_primitive(&net->backward, s->backward_data, data_args, 3, err);
}

/* Logits have no block: (N,O) plain, one lane a class. */
static mn_status create_logits(mn__network *net, uint32_t classes, mn__value **ret, mn_error *err)
{
    void *block = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(mn__value), &block, err);
    if (status != MN_OK)
        return status;
    mn__value *value = block;
    value->shape = (mn_shape){1, 1, classes};
    value->lanes = classes;
    dnnl_dims_t dims = {net->batch, classes};
    status = mn__dnnl(
        dnnl_memory_desc_init_by_tag(&value->desc, 2, dims, dnnl_f32, dnnl_ab), "logits", err);
    if (status == MN_OK)
        status = mn__memory_create(net, &value->desc, NULL, &value->memory, err);
    if (status != MN_OK)
        return status;
    value->data = mn__memory_data(value->memory);
    value->bytes = dnnl_memory_desc_get_size(&value->desc);
    *ret = value;
    return MN_OK;
}

static mn_status
init_shape(dense_shape *shape, const mn_node *node, const mn__value *in, mn_error *err)
{
    dnnl_dims_t filter = {node->shape.c, in->lanes, in->shape.h, in->shape.w};
    dnnl_dims_t bias = {node->shape.c};
    mn_status status = mn__dnnl(
        dnnl_memory_desc_init_by_tag(&shape->filter, 4, filter, dnnl_f32, dnnl_format_tag_any),
        "fully connected",
        err);
    if (status == MN_OK)
        status = mn__dnnl(
            dnnl_memory_desc_init_by_tag(&shape->filter_plain, 4, filter, dnnl_f32, dnnl_oihw),
            "fully connected",
            err);
    if (status == MN_OK)
        status = mn__dnnl(dnnl_memory_desc_init_by_tag(&shape->bias, 1, bias, dnnl_f32, dnnl_a),
                          "fully connected",
                          err);
    shape->bias_or_null = node->tensors[MN_ROLE_BIAS] == MN_NONE ? NULL : &shape->bias;
    return status;
}

static mn_status init_parameters(mn__network *net,
                                 const dense_state *s,
                                 const dense_shape *shape,
                                 const mn__value *in,
                                 const mn__value *out,
                                 const dnnl_memory_desc_t *stored,
                                 mn_error *err)
{
    mn__parameter *weight = &net->parameters[s->weight];
    weight->rows = out->lanes;
    weight->columns = in->lanes;
    weight->column_channel = in->channel_of;
    weight->taps = in->shape.h * in->shape.w;
    weight->decays = true;
    mn_status status = mn__parameter_init(net, s->weight, &shape->filter_plain, stored, true, err);
    if (status != MN_OK || s->bias == MN_NONE)
        return status;
    mn__parameter *bias = &net->parameters[s->bias];
    bias->rows = out->lanes;
    bias->columns = 1;
    bias->taps = 1;
    return mn__parameter_init(net, s->bias, &shape->bias, &shape->bias, true, err);
}

/* Builds both backward primitives; the stored layout is the weight gradient's. */
static mn_status build_backward(mn__network *net,
                                uint32_t n,
                                const dense_shape *shape,
                                const mn__value *in,
                                const mn__value *out,
                                dnnl_primitive_desc_t forward,
                                dense_state *s,
                                mn_error *err)
{
    dnnl_inner_product_desc_t op;
    dnnl_primitive_desc_t desc = NULL;
    mn_status status =
        mn__dnnl(dnnl_inner_product_backward_weights_desc_init(
                     &op, &in->desc, &shape->filter, shape->bias_or_null, &out->desc),
                 "fully connected backward weights",
                 err);
    if (status == MN_OK)
        status = mn__primitive_create(
            net, n, "backward weights", &op, forward, &desc, &s->backward_weights, err);
    if (status != MN_OK)
        return status;
    dnnl_memory_desc_t stored = mn__queried(desc, dnnl_query_diff_weights_md);
    (void)dnnl_primitive_desc_destroy(desc);
    desc = NULL;
    status = init_parameters(net, s, shape, in, out, &stored, err);
    if (status == MN_OK)
        status = mn__dnnl(
            dnnl_inner_product_backward_data_desc_init(&op, &in->desc, &shape->filter, &out->desc),
            "fully connected backward data",
            err);
    if (status == MN_OK)
        status = mn__primitive_create(
            net, n, "backward data", &op, forward, &desc, &s->backward_data, err);
    if (status != MN_OK)
        return status;
    dnnl_memory_desc_t wanted = mn__queried(desc, dnnl_query_weights_md);
    (void)dnnl_primitive_desc_destroy(desc);
    return mn__parameter_in_layout(net, s->weight, &wanted, &s->backward_filter, err);
}

static mn_status build_primitives(mn__network *net,
                                  uint32_t n,
                                  const dense_shape *shape,
                                  const mn__value *in,
                                  const mn__value *out,
                                  dense_state *s,
                                  mn_error *err)
{
    dnnl_inner_product_desc_t op;
    dnnl_primitive_desc_t forward = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t filter = NULL;
    mn_status status = mn__dnnl(
        dnnl_inner_product_forward_desc_init(
            &op, dnnl_forward_training, &in->desc, &shape->filter, shape->bias_or_null, &out->desc),
        "fully connected",
        err);
    if (status == MN_OK)
        status = mn__primitive_create(net, n, "forward", &op, NULL, &forward, &primitive, err);
    if (status != MN_OK)
        return status;
    dnnl_memory_desc_t wanted = mn__queried(forward, dnnl_query_weights_md);
    status = build_backward(net, n, shape, in, out, forward, s, err);
    (void)dnnl_primitive_desc_destroy(forward);
    if (status == MN_OK)
        status = mn__parameter_in_layout(net, s->weight, &wanted, &filter, err);
    if (status != MN_OK)
        return status;
    dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, in->memory},
        {DNNL_ARG_WEIGHTS, filter},
        {DNNL_ARG_DST, out->memory},
        {DNNL_ARG_BIAS, s->bias == MN_NONE ? NULL : net->parameters[s->bias].value_memory}};
    int count = s->bias == MN_NONE ? 3 : 4;
    status = mn__program_primitive(&net->forward, primitive, args, count, err);
    if (status == MN_OK)
        status = mn__program_primitive(&net->evaluate, primitive, args, count, err);
    return status;
}

mn_status mn__dense_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn__value *in = net->value_of[node->inputs[0]];
    mn__value *out = NULL;
    void *block = NULL;
    mn_status status = create_logits(net, node->shape.c, &out, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, 1, sizeof(dense_state), &block, err);
    if (status != MN_OK)
        return status;
    dense_state *s = block;
    s->weight = node->tensors[MN_ROLE_WEIGHT];
    s->bias = node->tensors[MN_ROLE_BIAS];
    dense_shape shape;
    status = init_shape(&shape, node, in, err);
    if (status == MN_OK)
        status = build_primitives(net, n, &shape, in, out, s, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &in, 1, out, dense_backward, s, err);
    net->value_of[n] = out;
    return status;
}

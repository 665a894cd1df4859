/*
 * Convolution: dense and depthwise, with or without bias. The forward and data-gradient passes are
 * oneDNN's; the weight gradient is in conv_gradient.c. A dilated convolution whose stride equals
 * its dilation, for which oneDNN 2.6 has slow paths only, becomes a dense one on every stride-th
 * pixel.
 */
#include "train/conv.h"

static bool is_depthwise(const mn_node *node, mn_shape input)
{
    return node->groups > 1 && node->groups == input.c && node->shape.c == input.c;
}

static bool becomes_dense(const mn_window *w)
{
    return w->dilation_h == w->stride_h && w->dilation_w == w->stride_w &&
           w->stride_h == w->stride_w && w->stride_h > 1 && w->pad_top % w->stride_h == 0 &&
           w->pad_left % w->stride_w == 0;
}

/* Images of few channels are read plainly where oneDNN has kernels for that: with AVX-512 up to
 * three channels, with AVX2 three and without dilation. Blocked, most of a block would be idle. */
bool mn__conv_reads_plain(const mn__network *net, uint32_t node)
{
    const mn_node *n = mn_graph_node(net->graph, node);
    if (n->prim != MN_PRIM_CONV || n->groups != 1 || becomes_dense(&n->window))
        return false;
    const mn_node *input = mn_graph_node(net->graph, n->inputs[0]);
    const mn_window *w = &n->window;
    bool wide = net->backend.simd->lanes == 16;
    bool has_kernel = wide ? input->shape.c <= 3
                           : input->shape.c == 3 && w->dilation_h == 1 && w->dilation_w == 1;
    return input->prim == MN_PRIM_INPUT && has_kernel && w->kernel_h * w->kernel_w > 1;
}

/* Padding after the image that yields exactly `out`; none where the last pixels are not reached. */
static dnnl_dim_t pad_after(
    uint32_t in, uint32_t out, uint32_t kernel, uint32_t stride, uint32_t dilation, uint32_t before)
{
    uint64_t covered = (uint64_t)(out - 1) * stride + (uint64_t)dilation * (kernel - 1) + 1;
    uint64_t present = (uint64_t)in + before;
    return covered > present ? (dnnl_dim_t)(covered - present) : 0;
}

void mn__conv_fill_window(const mn_window *w, mn_shape in, mn_shape out, mn__conv_shape *c)
{
    c->strides[0] = w->stride_h;
    c->strides[1] = w->stride_w;
    c->dilates[0] = w->dilation_h - 1;
    c->dilates[1] = w->dilation_w - 1;
    c->pad_before[0] = w->pad_top;
    c->pad_before[1] = w->pad_left;
    c->pad_after[0] = pad_after(in.h, out.h, w->kernel_h, w->stride_h, w->dilation_h, w->pad_top);
    c->pad_after[1] = pad_after(in.w, out.w, w->kernel_w, w->stride_w, w->dilation_w, w->pad_left);
}

static mn_status init_filter(
    mn__conv_shape *c, const mn__parameter *p, bool depthwise, const mn_window *w, mn_error *err)
{
    dnnl_dims_t dense = {p->rows, p->columns, w->kernel_h, w->kernel_w};
    dnnl_dims_t grouped = {p->rows, 1, 1, w->kernel_h, w->kernel_w};
    c->filter_rank = depthwise ? 5 : 4;
    for (int i = 0; i < c->filter_rank; i++)
        c->filter[i] = depthwise ? grouped[i] : dense[i];
    c->bias[0] = p->rows;
    mn_status status =
        mn__dnnl(dnnl_memory_desc_init_by_tag(
                     &c->filter_any, c->filter_rank, c->filter, dnnl_f32, dnnl_format_tag_any),
                 "filter layout",
                 err);
    if (status == MN_OK)
        status = mn__dnnl(
            dnnl_memory_desc_init_by_tag(&c->bias_desc, 1, c->bias, dnnl_f32, dnnl_a), "bias", err);
    return status;
}

static mn_status build_data_gradient(mn__network *net,
                                     uint32_t n,
                                     const mn__conv_shape *c,
                                     dnnl_primitive_desc_t forward,
                                     mn__conv *state,
                                     mn_error *err)
{
    dnnl_convolution_desc_t op;
    dnnl_primitive_desc_t desc = NULL;
    mn_status status =
        mn__dnnl(dnnl_dilated_convolution_backward_data_desc_init(&op,
                                                                  dnnl_convolution_direct,
                                                                  &c->source,
                                                                  &c->filter_any,
                                                                  &c->out,
                                                                  c->strides,
                                                                  c->dilates,
                                                                  c->pad_before,
                                                                  c->pad_after),
                 "convolution backward data",
                 err);
    if (status == MN_OK)
        status = mn__primitive_create(
            net, n, "backward data", &op, forward, &desc, &state->backward_data, err);
    if (status != MN_OK)
        return status;
    dnnl_memory_desc_t wanted = mn__queried(desc, dnnl_query_weights_md);
    (void)dnnl_primitive_desc_destroy(desc);
    return mn__parameter_in_layout(net, state->weight, &wanted, &state->backward_filter, err);
}

static mn_status
conv_backward(mn__network *net, const mn__layer *layer, mn__gradient *out_gradient, mn_error *err)
{
    mn__conv *state = layer->state;
    mn__value *in = layer->inputs[0];
    mn_status status = mn__conv_add_weight_gradient(net, state, out_gradient, err);
    if (status != MN_OK || state->backward_data == NULL)
        return status;
    mn__gradient *in_gradient = NULL;
    status = mn__gradient_new(net, in, &in_gradient, err);
    if (status != MN_OK)
        return status;
    dnnl_exec_arg_t args[] = {{DNNL_ARG_DIFF_DST, out_gradient->memory},
                              {DNNL_ARG_WEIGHTS, state->backward_filter},
                              {DNNL_ARG_DIFF_SRC, in_gradient->memory}};
    return mn__program_primitive(&net->backward, state->backward_data, args, 3, err);
}

static mn_status add_forward(mn__network *net,
                             dnnl_primitive_t primitive,
                             const mn__conv *state,
                             dnnl_memory_t filter,
                             const mn__value *out,
                             mn_error *err)
{
    dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, state->source},
        {DNNL_ARG_WEIGHTS, filter},
        {DNNL_ARG_DST, out->memory},
        {DNNL_ARG_BIAS, state->bias == MN_NONE ? NULL : net->parameters[state->bias].value_memory}};
    int count = state->bias == MN_NONE ? 3 : 4;
    mn_status status = mn__program_primitive(&net->forward, primitive, args, count, err);
    if (status == MN_OK)
        status = mn__program_primitive(&net->evaluate, primitive, args, count, err);
    return status;
}

/* Storage of filter and bias in the layouts that the gradient wants. */
static mn_status init_parameters(mn__network *net,
                                 const mn__conv_shape *c,
                                 const mn__conv *state,
                                 const dnnl_memory_desc_t *stored,
                                 mn_error *err)
{
    dnnl_memory_desc_t plain;
    dnnl_format_tag_t tag = c->filter_rank == 5 ? dnnl_goihw : dnnl_oihw;
    mn_status status =
        mn__dnnl(dnnl_memory_desc_init_by_tag(&plain, c->filter_rank, c->filter, dnnl_f32, tag),
                 "filter layout",
                 err);
    if (status == MN_OK)
        status = mn__parameter_init(net, state->weight, &plain, stored, true, err);
    if (status == MN_OK && state->bias != MN_NONE)
        status = mn__parameter_init(net, state->bias, &c->bias_desc, &c->bias_desc, true, err);
    return status;
}

mn_status
mn__conv_describe_forward(const mn__conv_shape *c, dnnl_convolution_desc_t *ret_op, mn_error *err)
{
    return mn__dnnl(dnnl_dilated_convolution_forward_desc_init(ret_op,
                                                               dnnl_forward_training,
                                                               dnnl_convolution_direct,
                                                               &c->source,
                                                               &c->filter_any,
                                                               c->bias_or_null,
                                                               &c->out,
                                                               c->strides,
                                                               c->dilates,
                                                               c->pad_before,
                                                               c->pad_after),
                    "convolution",
                    err);
}

static mn_status build_primitives(mn__network *net,
                                  uint32_t n,
                                  const mn_window *window,
                                  const mn__conv_shape *c,
                                  const mn__value *in,
                                  const mn__value *out,
                                  mn__conv *state,
                                  mn_error *err)
{
    dnnl_convolution_desc_t op;
    dnnl_primitive_desc_t forward = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_desc_t stored;
    dnnl_memory_t filter = NULL;
    mn_status status = mn__conv_describe_forward(c, &op, err);
    if (status == MN_OK)
        status = mn__primitive_create(net, n, "forward", &op, NULL, &forward, &primitive, err);
    if (status != MN_OK)
        return status;
    dnnl_memory_desc_t wanted = mn__queried(forward, dnnl_query_weights_md);
    status =
        mn__conv_build_weight_gradient(net, n, window, c, in, out, forward, state, &stored, err);
    if (status == MN_OK)
        status = init_parameters(net, c, state, &stored, err);
    if (status == MN_OK && in->wants_gradient)
        status = build_data_gradient(net, n, c, forward, state, err);
    if (status == MN_OK)
        status = mn__parameter_in_layout(net, state->weight, &wanted, &filter, err);
    if (status == MN_OK)
        status = add_forward(net, primitive, state, filter, out, err);
    (void)dnnl_primitive_desc_destroy(forward);
    return status;
}

/* Which physical rows and columns of the filter and bias are which channels. */
static void map_parameters(mn__network *net,
                           const mn_node *node,
                           const mn__value *in,
                           const mn__value *out,
                           bool depthwise,
                           bool plain_input)
{
    mn__parameter *weight = &net->parameters[node->tensors[MN_ROLE_WEIGHT]];
    weight->rows = out->lanes;
    weight->row_channel = out->channel_of;
    weight->columns = depthwise ? 1 : plain_input ? in->shape.c : in->lanes;
    weight->column_channel = depthwise || plain_input ? NULL : in->channel_of;
    weight->taps = node->window.kernel_h * node->window.kernel_w;
    weight->decays = true;
    if (node->tensors[MN_ROLE_BIAS] == MN_NONE)
        return;
    mn__parameter *bias = &net->parameters[node->tensors[MN_ROLE_BIAS]];
    bias->rows = out->lanes;
    bias->row_channel = out->channel_of;
    bias->columns = 1;
    bias->taps = 1;
}

/* The window of a dilated convolution after its input was thinned out by the stride. */
static mn_window thinned(mn_window w)
{
    w.pad_top /= w.stride_h;
    w.pad_left /= w.stride_w;
    w.stride_h = w.stride_w = w.dilation_h = w.dilation_w = 1;
    return w;
}

mn_status mn__conv_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn__value *in = net->value_of[node->inputs[0]];
    mn__value *out = NULL;
    void *block = NULL;
    mn_window window = node->window;
    bool depthwise = is_depthwise(node, in->shape);
    bool plain_input = mn__conv_reads_plain(net, n) && in == net->input;
    if (node->groups > 1 && !depthwise)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "%s: %u groups of %u channels: only dense and depthwise convolutions "
                            "can be trained",
                            node->name,
                            node->groups,
                            in->shape.c);
    mn_status status = MN_OK;
    if (!depthwise && becomes_dense(&window)) {
        status = mn__subsample_build(net, n, in, window.stride_h, &in, err);
        window = thinned(window);
    }
    if (status == MN_OK)
        status = mn__value_create(
            net, node->shape, in->lanes, depthwise ? in->channel_of : NULL, &out, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, 1, sizeof(mn__conv), &block, err);
    if (status != MN_OK)
        return status;
    mn__conv *state = block;
    *state = (mn__conv){.source = plain_input ? net->input_plain : in->memory,
                        .simd = net->backend.simd,
                        .weight = node->tensors[MN_ROLE_WEIGHT],
                        .bias = node->tensors[MN_ROLE_BIAS]};
    map_parameters(net, node, in, out, depthwise, plain_input);
    mn__conv_shape c = {.source = plain_input ? net->input_plain_desc : in->desc, .out = out->desc};
    c.bias_or_null = state->bias == MN_NONE ? NULL : &c.bias_desc;
    mn__conv_fill_window(&window, in->shape, out->shape, &c);
    status = init_filter(&c, &net->parameters[state->weight], depthwise, &window, err);
    if (status == MN_OK)
        status = build_primitives(net, n, &window, &c, in, out, state, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &in, 1, out, conv_backward, state, err);
    net->value_of[n] = out;
    return status;
}

/*
 * Convolution: dense and depthwise, with or without bias, forward and both backward passes.
 *
 * Two detours around slow paths of oneDNN 2.6: a depthwise weight gradient of 3x3 or 5x5 is ours
 * (5x5 falls to the reference there), and a dilated convolution whose stride equals its dilation
 * becomes a dense one on every stride-th pixel.
 */
#include "train/network.h"

typedef struct conv_state {
    dnnl_primitive_t backward_data;    /* NULL when the input wants no gradient */
    dnnl_primitive_t backward_weights; /* NULL: own_gradient */
    dnnl_memory_t backward_filter;     /* weights in the layout of backward_data */
    dnnl_memory_t source;
    mn__depthwise *own_gradient;
    const mn__simd *simd;
    uint32_t weight, bias; /* tensors; bias may be MN_NONE */
} conv_state;

/* What the three primitives of a convolution share. */
typedef struct conv_shape {
    dnnl_dims_t filter, bias, strides, dilates, pad_before, pad_after;
    int filter_rank;
    dnnl_memory_desc_t source, filter_any, bias_desc;
    const dnnl_memory_desc_t *bias_or_null;
} conv_shape;

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

bool mn__conv_reads_plain(const mn__network *net, uint32_t node)
{
    const mn_node *n = mn_graph_node(net->graph, node);
    if (n->prim != MN_PRIM_CONV || n->groups != 1 || becomes_dense(&n->window))
        return false;
    const mn_node *input = mn_graph_node(net->graph, n->inputs[0]);
    return input->prim == MN_PRIM_INPUT && input->shape.c <= 3 &&
           n->window.kernel_h * n->window.kernel_w > 1;
}

/* Padding after the image that yields exactly `out`; none where the last pixels are not reached. */
static dnnl_dim_t pad_after(
    uint32_t in, uint32_t out, uint32_t kernel, uint32_t stride, uint32_t dilation, uint32_t before)
{
    uint64_t covered = (uint64_t)(out - 1) * stride + (uint64_t)dilation * (kernel - 1) + 1;
    uint64_t present = (uint64_t)in + before;
    return covered > present ? (dnnl_dim_t)(covered - present) : 0;
}

static void fill_window(const mn_window *w, mn_shape in, mn_shape out, conv_shape *c)
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
    conv_shape *c, const mn__parameter *p, bool depthwise, const mn_window *w, mn_error *err)
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

/* Layout in which the filter and its gradient are stored, and the primitive for the gradient. */
static mn_status build_weight_gradient(mn__network *net,
                                       uint32_t n,
                                       const conv_shape *c,
                                       const mn__value *out,
                                       dnnl_primitive_desc_t forward,
                                       conv_state *state,
                                       dnnl_memory_desc_t *ret_desc,
                                       mn_error *err)
{
    if (state->own_gradient != NULL)
        return mn__dnnl(dnnl_memory_desc_init_by_tag(
                            ret_desc, 5, c->filter, dnnl_f32, net->backend.blocked_filters),
                        "filter layout",
                        err);
    dnnl_convolution_desc_t op;
    dnnl_primitive_desc_t desc = NULL;
    mn_status status =
        mn__dnnl(dnnl_dilated_convolution_backward_weights_desc_init(&op,
                                                                     dnnl_convolution_direct,
                                                                     &c->source,
                                                                     &c->filter_any,
                                                                     c->bias_or_null,
                                                                     &out->desc,
                                                                     c->strides,
                                                                     c->dilates,
                                                                     c->pad_before,
                                                                     c->pad_after),
                 "convolution backward weights",
                 err);
    if (status == MN_OK)
        status = mn__primitive_create(
            net, n, "backward weights", &op, forward, &desc, &state->backward_weights, err);
    if (status != MN_OK)
        return status;
    *ret_desc = mn__queried(desc, dnnl_query_diff_weights_md);
    (void)dnnl_primitive_desc_destroy(desc);
    return MN_OK;
}

static mn_status build_data_gradient(mn__network *net,
                                     uint32_t n,
                                     const conv_shape *c,
                                     const mn__value *out,
                                     dnnl_primitive_desc_t forward,
                                     conv_state *state,
                                     mn_error *err)
{
    dnnl_convolution_desc_t op;
    dnnl_primitive_desc_t desc = NULL;
    mn_status status =
        mn__dnnl(dnnl_dilated_convolution_backward_data_desc_init(&op,
                                                                  dnnl_convolution_direct,
                                                                  &c->source,
                                                                  &c->filter_any,
                                                                  &out->desc,
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

/* Our own weight gradient covers square 3x3 and 5x5 depthwise filters without dilation. */
static mn_status plan_own_gradient(mn__network *net,
                                   const mn_window *w,
                                   const mn__value *in,
                                   const mn__value *out,
                                   mn__depthwise **ret,
                                   mn_error *err)
{
    uint32_t kernel = w->kernel_h;
    if (kernel != w->kernel_w || (kernel != 3 && kernel != 5) || w->stride_h != w->stride_w ||
        w->dilation_h != 1 || w->dilation_w != 1 || w->pad_top >= kernel || w->pad_left >= kernel)
        return MN_OK;
    void *block = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(mn__depthwise), &block, err);
    if (status != MN_OK)
        return status;
    mn__depthwise *g = block;
    uint32_t lanes = net->backend.simd->lanes;
    *g = (mn__depthwise){.input = in->data,
                         .batch = net->batch,
                         .blocks = in->lanes / lanes,
                         .in_h = in->shape.h,
                         .in_w = in->shape.w,
                         .out_h = out->shape.h,
                         .out_w = out->shape.w,
                         .kernel = kernel,
                         .stride = w->stride_h,
                         .pad_top = w->pad_top,
                         .pad_left = w->pad_left,
                         .threads = net->threads};
    void *scratch = NULL;
    status = mn__network_alloc(
        net, mn__depthwise_scratch(g, lanes), net->threads * sizeof(float), &scratch, err);
    g->scratch = scratch;
    *ret = g;
    return status;
}

static void run_own_gradient(const void *context)
{
    const conv_state *state = context;
    state->simd->depthwise_weight_gradient(state->own_gradient);
}

/* Each run needs its own gradient address, which is known only now. */
static mn_status
conv_backward(mn__network *net, const mn__layer *layer, mn__gradient *out_gradient, mn_error *err)
{
    conv_state *state = layer->state;
    mn__value *in = layer->inputs[0];
    mn__parameter *weight = &net->parameters[state->weight];
    mn_status status = MN_OK;
    if (state->own_gradient != NULL) {
        state->own_gradient->out_gradient = out_gradient->data;
        state->own_gradient->weight_gradient = weight->gradient;
        status = mn__program_function(&net->backward, run_own_gradient, state, err);
    } else {
        dnnl_exec_arg_t args[] = {
            {DNNL_ARG_SRC, state->source},
            {DNNL_ARG_DIFF_DST, out_gradient->memory},
            {DNNL_ARG_DIFF_WEIGHTS, weight->gradient_memory},
            {DNNL_ARG_DIFF_BIAS,
             state->bias == MN_NONE ? NULL : net->parameters[state->bias].gradient_memory}};
        status = mn__program_primitive(
            &net->backward, state->backward_weights, args, state->bias == MN_NONE ? 3 : 4, err);
    }
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
                             const conv_state *state,
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
                                 const conv_shape *c,
                                 const conv_state *state,
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

static mn_status build_primitives(mn__network *net,
                                  uint32_t n,
                                  conv_shape *c,
                                  const mn__value *in,
                                  const mn__value *out,
                                  conv_state *state,
                                  mn_error *err)
{
    dnnl_convolution_desc_t op;
    dnnl_primitive_desc_t forward = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_desc_t stored;
    dnnl_memory_t filter = NULL;
    mn_status status = mn__dnnl(dnnl_dilated_convolution_forward_desc_init(&op,
                                                                           dnnl_forward_training,
                                                                           dnnl_convolution_direct,
                                                                           &c->source,
                                                                           &c->filter_any,
                                                                           c->bias_or_null,
                                                                           &out->desc,
                                                                           c->strides,
                                                                           c->dilates,
                                                                           c->pad_before,
                                                                           c->pad_after),
                                "convolution",
                                err);
    if (status == MN_OK)
        status = mn__primitive_create(net, n, "forward", &op, NULL, &forward, &primitive, err);
    if (status != MN_OK)
        return status;
    dnnl_memory_desc_t wanted = mn__queried(forward, dnnl_query_weights_md);
    status = build_weight_gradient(net, n, c, out, forward, state, &stored, err);
    if (status == MN_OK)
        status = init_parameters(net, c, state, &stored, err);
    if (status == MN_OK && in->wants_gradient)
        status = build_data_gradient(net, n, c, out, forward, state, err);
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
        status = mn__network_alloc(net, 1, sizeof(conv_state), &block, err);
    if (status != MN_OK)
        return status;
    conv_state *state = block;
    *state = (conv_state){.source = plain_input ? net->input_plain : in->memory,
                          .simd = net->backend.simd,
                          .weight = node->tensors[MN_ROLE_WEIGHT],
                          .bias = node->tensors[MN_ROLE_BIAS]};
    map_parameters(net, node, in, out, depthwise, plain_input);
    conv_shape c = {.source = plain_input ? net->input_plain_desc : in->desc};
    c.bias_or_null = state->bias == MN_NONE ? NULL : &c.bias_desc;
    fill_window(&window, in->shape, out->shape, &c);
    if (depthwise && state->bias == MN_NONE)
        status = plan_own_gradient(net, &window, in, out, &state->own_gradient, err);
    if (status == MN_OK)
        status = init_filter(&c, &net->parameters[state->weight], depthwise, &window, err);
    if (status == MN_OK)
        status = build_primitives(net, n, &c, in, out, state, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &in, 1, out, conv_backward, state, err);
    net->value_of[n] = out;
    return status;
}

/*
 * Max, average (padding excluded) and global average pooling.
 */
#include "train/network.h"

typedef struct pool_state {
    dnnl_primitive_t backward;
    dnnl_memory_t workspace; /* max pooling: where each maximum was */
} pool_state;

static mn_status
pool_backward(mn__network *net, const mn__layer *layer, mn__gradient *out_gradient, mn_error *err)
{
    pool_state *s = layer->state;
    mn__gradient *in_gradient = NULL;
    if (!layer->inputs[0]->wants_gradient)
        return MN_OK;
    mn_status status = mn__gradient_new(net, layer->inputs[0], &in_gradient, err);
    if (status != MN_OK)
        return status;
    dnnl_exec_arg_t args[] = {{DNNL_ARG_DIFF_DST, out_gradient->memory},
                              {DNNL_ARG_DIFF_SRC, in_gradient->memory},
                              {DNNL_ARG_WORKSPACE, s->workspace}};
    return mn__program_primitive(
        &net->backward, s->backward, args, s->workspace == NULL ? 2 : 3, err);
}

/* Kernel, stride and padding for oneDNN; a global pool is a window of the whole image. */
static void fill_window(const mn_node *node,
                        mn_shape in,
                        dnnl_dims_t kernel,
                        dnnl_dims_t strides,
                        dnnl_dims_t before,
                        dnnl_dims_t after)
{
    const mn_window *w = &node->window;
    bool global = node->prim == MN_PRIM_GLOBAL_POOL;
    kernel[0] = global ? in.h : w->kernel_h;
    kernel[1] = global ? in.w : w->kernel_w;
    strides[0] = global ? 1 : w->stride_h;
    strides[1] = global ? 1 : w->stride_w;
    before[0] = global ? 0 : w->pad_top;
    before[1] = global ? 0 : w->pad_left;
    after[0] = global ? 0 : w->pad_bottom;
    after[1] = global ? 0 : w->pad_right;
}

static mn_status build_primitives(mn__network *net,
                                  uint32_t n,
                                  const mn__value *in,
                                  const mn__value *out,
                                  pool_state *s,
                                  mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    bool max = node->prim == MN_PRIM_MAX_POOL;
    dnnl_alg_kind_t kind = max ? dnnl_pooling_max : dnnl_pooling_avg_exclude_padding;
    dnnl_dims_t kernel, strides, before, after;
    dnnl_pooling_desc_t op;
    dnnl_primitive_desc_t forward = NULL;
    dnnl_primitive_desc_t backward = NULL;
    dnnl_primitive_t primitive = NULL;
    fill_window(node, in->shape, kernel, strides, before, after);
    mn_status status = mn__dnnl(dnnl_pooling_forward_desc_init(&op,
                                                               dnnl_forward_training,
                                                               kind,
                                                               &in->desc,
                                                               &out->desc,
                                                               strides,
                                                               kernel,
                                                               before,
                                                               after),
                                "pooling",
                                err);
    if (status == MN_OK)
        status = mn__primitive_create(net, n, "forward", &op, NULL, &forward, &primitive, err);
    if (status != MN_OK)
        return status;
    if (max) {
        dnnl_memory_desc_t workspace = mn__queried(forward, dnnl_query_workspace_md);
        status = mn__memory_create(net, &workspace, NULL, &s->workspace, err);
    }
    if (status == MN_OK)
        status = mn__dnnl(dnnl_pooling_backward_desc_init(
                              &op, kind, &in->desc, &out->desc, strides, kernel, before, after),
                          "pooling backward",
                          err);
    if (status == MN_OK)
        status = mn__primitive_create(
            net, n, "backward data", &op, forward, &backward, &s->backward, err);
    if (backward != NULL)
        (void)dnnl_primitive_desc_destroy(backward);
    (void)dnnl_primitive_desc_destroy(forward);
    if (status != MN_OK)
        return status;
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, in->memory},
                              {DNNL_ARG_DST, out->memory},
                              {DNNL_ARG_WORKSPACE, s->workspace}};
    status = mn__program_primitive(&net->forward, primitive, args, max ? 3 : 2, err);
    if (status == MN_OK)
        status = mn__program_primitive(&net->evaluate, primitive, args, max ? 3 : 2, err);
    return status;
}

mn_status mn__pool_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn__value *in = net->value_of[node->inputs[0]];
    mn__value *out = NULL;
    void *block = NULL;
    mn_status status = mn__value_create(net, node->shape, in->lanes, in->channel_of, &out, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, 1, sizeof(pool_state), &block, err);
    if (status == MN_OK)
        status = build_primitives(net, n, in, out, block, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &in, 1, out, pool_backward, block, err);
    net->value_of[n] = out;
    return status;
}

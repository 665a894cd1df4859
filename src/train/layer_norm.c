/*
 * Batch norm, with the relu behind it where that is its only reader. Training uses the batch's
 * statistics and moves the running ones; evaluation uses the running ones.
 */
#include "train/network.h"

/* Share of the batch's statistics in the new running ones (the usual 0.1). */
static const float running_share = 0.1f;

typedef struct norm_state {
    dnnl_primitive_t backward;
    dnnl_memory_t mean, variance; /* of the last training batch, (lanes) */
    dnnl_memory_t workspace;      /* which outputs the relu passed; NULL without relu */
    uint32_t gamma, beta;         /* tensors */
    float *running_mean, *running_variance;
    const float *batch_mean, *batch_variance;
    uint32_t lanes;
} norm_state;

static void move_running_statistics(const void *context)
{
    const norm_state *s = context;
    for (uint32_t i = 0; i < s->lanes; i++) {
        s->running_mean[i] += running_share * (s->batch_mean[i] - s->running_mean[i]);
        s->running_variance[i] += running_share * (s->batch_variance[i] - s->running_variance[i]);
    }
}

static mn_status
norm_backward(mn__network *net, const mn__layer *layer, mn__gradient *out_gradient, mn_error *err)
{
    norm_state *s = layer->state;
    mn__value *in = layer->inputs[0];
    mn__gradient *in_gradient = NULL;
    dnnl_memory_t in_gradient_memory = NULL;
    mn_status status = MN_OK;
    if (in->wants_gradient) {
        status = mn__gradient_new(net, in, &in_gradient, err);
        if (status == MN_OK)
            in_gradient_memory = in_gradient->memory;
    } else {
        /* oneDNN computes it anyway. */
        status = mn__memory_create(net, &in->desc, NULL, &in_gradient_memory, err);
    }
    if (status != MN_OK)
        return status;
    const mn__parameter *gamma = &net->parameters[s->gamma];
    const mn__parameter *beta = &net->parameters[s->beta];
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, in->memory},
                              {DNNL_ARG_DIFF_DST, out_gradient->memory},
                              {DNNL_ARG_DIFF_SRC, in_gradient_memory},
                              {DNNL_ARG_SCALE, gamma->value_memory},
                              {DNNL_ARG_SHIFT, beta->value_memory},
                              {DNNL_ARG_MEAN, s->mean},
                              {DNNL_ARG_VARIANCE, s->variance},
                              {DNNL_ARG_DIFF_SCALE, gamma->gradient_memory},
                              {DNNL_ARG_DIFF_SHIFT, beta->gradient_memory},
                              {DNNL_ARG_WORKSPACE, s->workspace}};
    return mn__program_primitive(
        &net->backward, s->backward, args, s->workspace == NULL ? 9 : 10, err);
}

static mn_status init_vectors(mn__network *net,
                              const mn_node *node,
                              const mn__value *in,
                              const dnnl_memory_desc_t *vector,
                              mn_error *err)
{
    mn_status status = MN_OK;
    for (int role = MN_ROLE_GAMMA; role <= MN_ROLE_VARIANCE && status == MN_OK; role++) {
        mn__parameter *p = &net->parameters[node->tensors[role]];
        p->rows = in->lanes;
        p->columns = 1;
        p->taps = 1;
        p->row_channel = in->channel_of;
        bool trainable = role == MN_ROLE_GAMMA || role == MN_ROLE_BETA;
        status = mn__parameter_init(net, node->tensors[role], vector, vector, trainable, err);
    }
    return status;
}

/* The three primitives: training forward, evaluation forward, backward. */
static mn_status build_primitives(mn__network *net,
                                  uint32_t n,
                                  const mn__value *in,
                                  bool relu,
                                  norm_state *s,
                                  dnnl_primitive_t *ret_train,
                                  dnnl_primitive_t *ret_evaluate,
                                  mn_error *err)
{
    float epsilon = mn_graph_node(net->graph, n)->epsilon;
    unsigned flags = dnnl_use_scale | dnnl_use_shift | (relu ? (unsigned)dnnl_fuse_norm_relu : 0u);
    dnnl_batch_normalization_desc_t op;
    dnnl_primitive_desc_t train = NULL;
    dnnl_primitive_desc_t other = NULL;
    mn_status status = mn__dnnl(dnnl_batch_normalization_forward_desc_init(
                                    &op, dnnl_forward_training, &in->desc, epsilon, flags),
                                "batch norm",
                                err);
    if (status == MN_OK)
        status = mn__primitive_create(net, n, "forward", &op, NULL, &train, ret_train, err);
    if (status != MN_OK)
        return status;
    if (relu) {
        dnnl_memory_desc_t workspace = mn__queried(train, dnnl_query_workspace_md);
        status = mn__memory_create(net, &workspace, NULL, &s->workspace, err);
    }
    if (status == MN_OK)
        status = mn__dnnl(dnnl_batch_normalization_backward_desc_init(
                              &op, dnnl_backward, &in->desc, &in->desc, epsilon, flags),
                          "batch norm backward",
                          err);
    if (status == MN_OK)
        status = mn__primitive_create(net, n, "backward", &op, train, &other, &s->backward, err);
    if (other != NULL)
        (void)dnnl_primitive_desc_destroy(other);
    (void)dnnl_primitive_desc_destroy(train);
    other = NULL;
    if (status == MN_OK)
        status = mn__dnnl(
            dnnl_batch_normalization_forward_desc_init(
                &op, dnnl_forward_inference, &in->desc, epsilon, flags | dnnl_use_global_stats),
            "batch norm evaluation",
            err);
    if (status == MN_OK)
        status = mn__primitive_create(net, n, "evaluate", &op, NULL, &other, ret_evaluate, err);
    if (other != NULL)
        (void)dnnl_primitive_desc_destroy(other);
    return status;
}

static mn_status add_forward(mn__network *net,
                             const mn_node *node,
                             const mn__value *in,
                             const mn__value *out,
                             norm_state *s,
                             dnnl_primitive_t train,
                             dnnl_primitive_t evaluate,
                             mn_error *err)
{
    const mn__parameter *mean = &net->parameters[node->tensors[MN_ROLE_MEAN]];
    const mn__parameter *variance = &net->parameters[node->tensors[MN_ROLE_VARIANCE]];
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, in->memory},
                              {DNNL_ARG_DST, out->memory},
                              {DNNL_ARG_SCALE, net->parameters[s->gamma].value_memory},
                              {DNNL_ARG_SHIFT, net->parameters[s->beta].value_memory},
                              {DNNL_ARG_MEAN, s->mean},
                              {DNNL_ARG_VARIANCE, s->variance},
                              {DNNL_ARG_WORKSPACE, s->workspace}};
    mn_status status =
        mn__program_primitive(&net->forward, train, args, s->workspace == NULL ? 6 : 7, err);
    if (status == MN_OK)
        status = mn__program_function(&net->forward, move_running_statistics, s, err);
    args[4].memory = mean->value_memory;
    args[5].memory = variance->value_memory;
    if (status == MN_OK)
        status = mn__program_primitive(&net->evaluate, evaluate, args, 6, err);
    s->lanes = in->lanes;
    s->running_mean = mean->value;
    s->running_variance = variance->value;
    s->batch_mean = mn__memory_data(s->mean);
    s->batch_variance = mn__memory_data(s->variance);
    return status;
}

mn_status mn__norm_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn__value *in = net->value_of[node->inputs[0]];
    mn__value *out = NULL;
    void *block = NULL;
    bool relu = net->fused_relu[n] != MN_NONE;
    mn_status status = mn__value_create(net, node->shape, in->lanes, in->channel_of, &out, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, 1, sizeof(norm_state), &block, err);
    if (status != MN_OK)
        return status;
    norm_state *s = block;
    s->gamma = node->tensors[MN_ROLE_GAMMA];
    s->beta = node->tensors[MN_ROLE_BETA];
    dnnl_memory_desc_t vector;
    dnnl_dims_t dims = {in->lanes};
    dnnl_primitive_t train = NULL;
    dnnl_primitive_t evaluate = NULL;
    status = mn__dnnl(
        dnnl_memory_desc_init_by_tag(&vector, 1, dims, dnnl_f32, dnnl_a), "batch norm", err);
    if (status == MN_OK)
        status = init_vectors(net, node, in, &vector, err);
    if (status == MN_OK)
        status = mn__memory_create(net, &vector, NULL, &s->mean, err);
    if (status == MN_OK)
        status = mn__memory_create(net, &vector, NULL, &s->variance, err);
    if (status == MN_OK)
        status = build_primitives(net, n, in, relu, s, &train, &evaluate, err);
    if (status == MN_OK)
        status = add_forward(net, node, in, out, s, train, evaluate, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &in, 1, out, norm_backward, s, err);
    net->value_of[n] = out;
    return status;
}

/*
 * Fully connected layer: reads a blocked value, yields plain logits (N,classes). Floats always.
 */
#include "train/network.h"

typedef struct dense_state {
    mn__network *net;
    const mn__value *in;
    const mn__parameter *weight, *bias; /* bias may be NULL */
    size_t in_count;                    /* floats of one image */
    uint32_t classes;
    mn__target target;
} dense_state;

/* scratch: the image in floats. */
static void image_forward(const void *context, const mn__worker *worker, uint32_t image)
{
    const dense_state *s = context;
    const mn__simd *simd = s->net->opts.simd;
    float *floats = (float *)(void *)worker->scratch;
    float *logits = s->net->logits + (size_t)image * s->classes;
    mn__view view = mn__view_of(s->net, s->in);
    simd->to_float(&view, image, floats);
    for (uint32_t k = 0; k < s->classes; k++)
        logits[k] = simd->dot(s->weight->seen + k * s->in_count, floats, s->in_count) +
                    (s->bias == NULL ? 0.0f : s->bias->value[k]);
}

/* scratch: the image, its gradient. */
static void image_backward(const void *context, const mn__worker *worker, uint32_t image)
{
    const dense_state *s = context;
    const mn__simd *simd = s->net->opts.simd;
    const float *logits = s->net->logits_gradient + (size_t)image * s->classes;
    float *floats = (float *)(void *)worker->scratch;
    float *gradient = floats + s->in_count;
    float *share = mn__parameter_share(s->weight, worker->slice);
    mn__view view = mn__view_of(s->net, s->in);
    simd->to_float(&view, image, floats);
    for (size_t i = 0; i < s->in_count; i++)
        gradient[i] = 0.0f;
    for (uint32_t k = 0; k < s->classes; k++) {
        simd->add_scaled(share + k * s->in_count, logits[k], floats, s->in_count);
        simd->add_scaled(gradient, logits[k], s->weight->seen + k * s->in_count, s->in_count);
        if (s->bias != NULL)
            mn__parameter_share(s->bias, worker->slice)[k] += logits[k];
    }
    if (s->target.out == NULL)
        return;
    mn__maps to = mn__maps_at(s->net, &s->target.out->storage, s->in);
    mn__maps addend;
    bool adds = mn__addend_of(s->net, &s->target, s->in, &addend);
    simd->from_float(gradient, adds ? &addend : NULL, &to, image);
}

static void begin_backward(const void *context, bool train)
{
    const dense_state *s = context;
    (void)train;
    mn__parameter_begin(s->net, s->weight);
    if (s->bias != NULL)
        mn__parameter_begin(s->net, s->bias);
}

static void end_backward(const void *context, bool train)
{
    const dense_state *s = context;
    (void)train;
    mn__parameter_end(s->net, s->weight);
    if (s->bias != NULL)
        mn__parameter_end(s->net, s->bias);
}

static mn_status
dense_backward(mn__network *net, const mn__layer *layer, mn__gradient *out_gradient, mn_error *err)
{
    dense_state *s = layer->state;
    mn_status status = MN_OK;
    (void)out_gradient; /* that is net->logits_gradient */
    if (layer->inputs[0]->wants_gradient)
        status = mn__gradient_target(net, layer->inputs[0], &s->target, err);
    if (status != MN_OK)
        return status;
    mn__uses_value(net, s->in);
    mn__step step = {.node = layer->node,
                     .begin = begin_backward,
                     .image = image_backward,
                     .end = end_backward,
                     .context = s,
                     .work = {.kind = "fully connected backward",
                              .flops = 4.0 * (double)s->in_count * s->classes,
                              .bytes = 8.0 * (double)s->in_count * s->classes}};
    return mn__program_add(net, &net->backward, &step, err);
}

static mn_status
init_parameters(mn__network *net, const mn_node *node, dense_state *s, mn_error *err)
{
    const uint32_t bias = node->tensors[MN_ROLE_BIAS];
    mn__parameter *weight = &net->parameters[node->tensors[MN_ROLE_WEIGHT]];
    *weight = (mn__parameter){.kind = MN__MATRIX,
                              .rows = s->classes,
                              .columns = s->in->lanes,
                              .column_channel = s->in->channel_of,
                              .taps = s->in->shape.h * s->in->shape.w,
                              .decays = true};
    s->weight = weight;
    mn_status status = mn__parameter_init(net, node->tensors[MN_ROLE_WEIGHT], true, err);
    if (status != MN_OK || bias == MN_NONE)
        return status;
    net->parameters[bias] =
        (mn__parameter){.kind = MN__VECTOR, .rows = s->classes, .columns = 1, .taps = 1};
    s->bias = &net->parameters[bias];
    return mn__parameter_init(net, bias, true, err);
}

static mn_status create_logits(mn__network *net, uint32_t classes, mn_error *err)
{
    size_t count;
    void *blocks[2] = {NULL};
    if (!mn_size_mul(net->opts.batch, classes, &count))
        return mn_error_set(err, MN_ERR_NOMEM, "no memory for logits that many");
    mn_status status = mn__network_alloc(net, count, sizeof(float), &blocks[0], err);
    if (status == MN_OK)
        status = mn__network_alloc(net, count, sizeof(float), &blocks[1], err);
    net->logits = blocks[0];
    net->logits_gradient = blocks[1];
    net->classes = classes;
    return status;
}

mn_status mn__dense_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn__value *in = net->value_of[node->inputs[0]];
    mn__value *out = NULL;
    void *block = NULL;
    if (net->classes != 0)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "%s: a second fully connected layer cannot be trained",
                            node->name);
    mn_status status = mn__network_alloc(net, 1, sizeof(dense_state), &block, err);
    if (status == MN_OK)
        status = create_logits(net, node->shape.c, err);
    if (status == MN_OK) /* what stands for the logits in the list of layers is never stored */
        status = mn__value_view_create(net, in, &out, err);
    if (status != MN_OK)
        return status;
    dense_state *s = block;
    *s = (dense_state){.net = net,
                       .in = in,
                       .in_count = (size_t)in->shape.h * in->shape.w * in->lanes,
                       .classes = node->shape.c};
    status = init_parameters(net, node, s, err);
    if (status != MN_OK)
        return status;
    mn__wants_scratch(net, 2 * s->in_count * sizeof(float));
    mn__uses_value(net, in);
    mn__step step = {.node = n,
                     .image = image_forward,
                     .context = s,
                     .work = {.kind = "fully connected",
                              .flops = 2.0 * (double)s->in_count * s->classes,
                              .bytes = 4.0 * (double)s->in_count * s->classes}};
    status = mn__program_add(net, &net->forward, &step, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &in, 1, out, dense_backward, s, err);
    net->value_of[n] = out;
    return status;
}

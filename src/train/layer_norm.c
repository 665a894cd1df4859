/*
 * Batch norm, with the relu behind it where that is its only reader: a view of its input. Training
 * uses the batch's statistics, which the layer in front has collected, and moves the running ones;
 * evaluation uses the running ones. A bias is a view likewise, with a scale of one.
 *
 * Backward, with x' = (x - mean) / deviation and dz' the gradient behind the relu (Ioffe and
 * Szegedy, arXiv:1502.03167): dx = gamma / deviation * (dz' - mean(dz') - x' * mean(dz' * x')), a
 * slope whose three coefficients the end of one pass over dz' yields.
 */
#include <math.h>
#include <string.h>

#include "train/network.h"

/* Share of the batch's statistics in the new running ones (the usual 0.1). */
static const float running_share = 0.1f;

typedef struct norm_state {
    mn__network *net;
    const mn__value *in;
    mn__value *out;
    float epsilon;
    const mn__parameter *gamma, *beta; /* gamma NULL: a bias only */
    mn__parameter *running_mean, *running_variance;
    float *scale, *shift, *mean, *inverse; /* (lanes); inverse: 1 / deviation */
    float *a, *b, *c;                      /* (lanes) */
    mn__statistics *statistics, *gradient_sums;
    bool sums_here; /* the layer in front does not collect */
    mn__gradient *slope;
} norm_state;

static double pixels_of(const norm_state *s)
{
    return (double)s->net->opts.batch * s->in->shape.h * s->in->shape.w;
}

/* ---- forward ----------------------------------------------------------------------------------
 */

static void begin(const void *context, bool train)
{
    const norm_state *s = context;
    if (train && s->sums_here)
        mn__statistics_clear(s->statistics);
}

static void image_sums(const void *context, const mn__worker *worker, uint32_t image)
{
    const norm_state *s = context;
    float *sums = (float *)(void *)worker->scratch;
    mn__maps maps = mn__maps_at(s->net, s->in->storage, s->in);
    if (!worker->train)
        return;
    memset(sums, 0, (size_t)2 * s->in->lanes * sizeof *sums);
    s->net->opts.simd->sums(&maps, image, sums);
    mn__statistics_add(s->statistics, worker->slice, sums);
}

static void use_batch(const norm_state *s)
{
    double pixels = pixels_of(s);
    for (uint32_t i = 0; i < s->in->lanes; i++) {
        double sum, squares;
        mn__statistics_total(s->statistics, i, &sum, &squares);
        double mean = sum / pixels;
        double variance = squares / pixels - mean * mean;
        variance = variance < 0.0 ? 0.0 : variance; /* keeps what is not a number */
        s->mean[i] = (float)mean;
        s->inverse[i] = (float)(1.0 / sqrt(variance + (double)s->epsilon));
        float *moving_mean = &s->running_mean->value[i];
        float *moving_variance = &s->running_variance->value[i];
        *moving_mean += running_share * ((float)mean - *moving_mean);
        *moving_variance += running_share * ((float)variance - *moving_variance);
    }
}

static void use_running(const norm_state *s)
{
    for (uint32_t i = 0; i < s->in->lanes; i++) {
        s->mean[i] = s->running_mean->value[i];
        s->inverse[i] = 1.0f / sqrtf(s->running_variance->value[i] + s->epsilon);
    }
}

static void finish(const void *context, bool train)
{
    const norm_state *s = context;
    if (train)
        use_batch(s);
    else
        use_running(s);
    for (uint32_t i = 0; i < s->in->lanes; i++) {
        s->scale[i] = s->gamma->value[i] * s->inverse[i];
        s->shift[i] = s->beta->value[i] - s->mean[i] * s->scale[i];
    }
}

static void begin_bias(const void *context, bool train)
{
    const norm_state *s = context;
    (void)train;
    for (uint32_t i = 0; i < s->in->lanes; i++) {
        s->scale[i] = 1.0f;
        s->shift[i] = s->beta->value[i];
    }
}

/* ---- backward ---------------------------------------------------------------------------------
 */

static void begin_backward(const void *context, bool train)
{
    const norm_state *s = context;
    (void)train;
    mn__statistics_clear(s->gradient_sums);
}

static void image_backward(const void *context, const mn__worker *worker, uint32_t image)
{
    const norm_state *s = context;
    float *sums = (float *)(void *)worker->scratch;
    mn__slope slope = mn__slope_of(s->net, s->slope, s->in);
    memset(sums, 0, (size_t)2 * s->in->lanes * sizeof *sums);
    s->net->opts.simd->slope_sums(&slope, s->mean, image, sums);
    mn__statistics_add(s->gradient_sums, worker->slice, sums);
}

static void end_backward(const void *context, bool train)
{
    const norm_state *s = context;
    double pixels = pixels_of(s);
    (void)train;
    for (uint32_t i = 0; i < s->in->lanes; i++) {
        double sum, products;
        mn__statistics_total(s->gradient_sums, i, &sum, &products);
        s->beta->gradient[i] = (float)sum;
        if (s->gamma == NULL)
            continue;
        double inverse = (double)s->inverse[i];
        double normalised = products * inverse; /* sum of dz' * x' */
        double a = (double)s->gamma->value[i] * inverse;
        double b = -a * inverse * normalised / pixels;
        s->gamma->gradient[i] = (float)normalised;
        s->a[i] = (float)a;
        s->b[i] = (float)b;
        s->c[i] = (float)(-a * sum / pixels - b * (double)s->mean[i]);
    }
}

static mn_status
norm_backward(mn__network *net, const mn__layer *layer, mn__gradient *out_gradient, mn_error *err)
{
    norm_state *s = layer->state;
    (void)out_gradient; /* replaced where it is a slope itself */
    mn_status status = mn__slope_create(net, s->out, s->out, &s->slope, err);
    if (status != MN_OK)
        return status;
    mn__uses_gradient(net, s->slope);
    s->slope->ready = mn__next_step(net);
    double elements = (double)s->in->shape.h * s->in->shape.w * s->in->lanes;
    mn__step step = {.node = layer->node,
                     .begin = begin_backward,
                     .image = image_backward,
                     .end = end_backward,
                     .context = s,
                     .work = {.kind = "batch norm backward",
                              .flops = 5.0 * elements,
                              .bytes = 2.0 * elements * net->opts.simd->element_bytes}};
    status = mn__program_add(net, &net->backward, &step, err);
    if (status != MN_OK)
        return status;
    s->slope->a = s->a; /* NULL of a bias: dx = dz' */
    s->slope->b = s->b;
    s->slope->c = s->c;
    if (layer->inputs[0]->wants_gradient)
        status = mn__gradient_give(net, layer->inputs[0], s->slope, err);
    mn__gradient_release(s->slope);
    return status;
}

/* ---- building ---------------------------------------------------------------------------------
 */

static mn_status
init_vector(mn__network *net, const mn__value *in, uint32_t tensor, bool trainable, mn_error *err)
{
    net->parameters[tensor] = (mn__parameter){.kind = MN__VECTOR,
                                              .rows = in->lanes,
                                              .columns = 1,
                                              .taps = 1,
                                              .row_channel = in->channel_of};
    return mn__parameter_init(net, tensor, trainable, err);
}

static mn_status alloc_vectors(mn__network *net, norm_state *s, mn_error *err)
{
    float **vectors[] = {&s->scale, &s->shift, &s->mean, &s->inverse, &s->a, &s->b, &s->c};
    const int count = s->gamma == NULL ? 4 : 7;
    mn_status status = MN_OK;
    for (int i = 0; i < count && status == MN_OK; i++) {
        void *block = NULL;
        status = mn__network_alloc(net, s->in->lanes, sizeof(float), &block, err);
        *vectors[i] = block;
    }
    return status;
}

/* Batch statistics: from the layer that makes the value where it can, else from a pass here. */
static mn_status arrange_statistics(mn__network *net, norm_state *s, mn__value *in, mn_error *err)
{
    mn_status status = MN_OK;
    s->sums_here = !in->makes_statistics && in->statistics == NULL;
    if (in->statistics == NULL)
        status = mn__statistics_create(net, in->lanes, &in->statistics, err);
    s->statistics = in->statistics;
    return status;
}

/* The view, the step that computes it (at its end; a bias at once, so that readers need not wait
 * for all images), and the layer. */
static mn_status add_view(mn__network *net, uint32_t n, norm_state *s, mn__value *in, mn_error *err)
{
    mn_status status = mn__statistics_create(net, in->lanes, &s->gradient_sums, err);
    if (status == MN_OK)
        status = mn__value_view_create(net, in, &s->out, err);
    if (status != MN_OK)
        return status;
    s->out->scale = s->scale;
    s->out->shift = s->shift;
    s->out->ready = s->gamma == NULL ? MN_NONE : mn__next_step(net);
    mn__wants_scratch(net, (size_t)2 * in->lanes * sizeof(float));
    mn__uses_value(net, in);
    double elements = s->sums_here ? (double)in->shape.h * in->shape.w * in->lanes : 0.0;
    mn__step step = {.node = n,
                     .begin = s->gamma == NULL ? begin_bias : begin,
                     .image = s->sums_here ? image_sums : NULL,
                     .end = s->gamma == NULL ? NULL : finish,
                     .context = s,
                     .work = {.kind = "batch norm",
                              .flops = 3.0 * elements,
                              .bytes = elements * net->opts.simd->element_bytes}};
    status = mn__program_add(net, &net->forward, &step, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &in, 1, s->out, norm_backward, s, err);
    return status;
}

mn_status mn__norm_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn__value *in = NULL;
    void *block = NULL;
    mn_status status = mn__plain_build(net, n, net->value_of[node->inputs[0]], &in, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, 1, sizeof(norm_state), &block, err);
    for (int role = MN_ROLE_GAMMA; role <= MN_ROLE_VARIANCE && status == MN_OK; role++)
        status = init_vector(
            net, in, node->tensors[role], role == MN_ROLE_GAMMA || role == MN_ROLE_BETA, err);
    if (status != MN_OK)
        return status;
    norm_state *s = block;
    *s = (norm_state){
        .net = net,
        .in = in,
        .epsilon = node->epsilon,
        .gamma = &net->parameters[node->tensors[MN_ROLE_GAMMA]],
        .beta = &net->parameters[node->tensors[MN_ROLE_BETA]],
        .running_mean = &net->parameters[node->tensors[MN_ROLE_MEAN]],
        .running_variance = &net->parameters[node->tensors[MN_ROLE_VARIANCE]],
    };
    status = alloc_vectors(net, s, err);
    if (status == MN_OK)
        status = arrange_statistics(net, s, in, err);
    if (status == MN_OK)
        status = add_view(net, n, s, in, err);
    if (status != MN_OK)
        return status;
    if (net->fused_relu[n] != MN_NONE)
        s->out->low = 0.0f;
    net->value_of[n] = s->out;
    return MN_OK;
}

mn_status mn__bias_build(mn__network *net,
                         uint32_t n,
                         mn__value *from,
                         uint32_t tensor,
                         mn__value **ret_value,
                         mn_error *err)
{
    void *block = NULL;
    mn_status status = init_vector(net, from, tensor, true, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, 1, sizeof(norm_state), &block, err);
    if (status != MN_OK)
        return status;
    norm_state *s = block;
    *s = (norm_state){.net = net, .in = from, .beta = &net->parameters[tensor]};
    status = alloc_vectors(net, s, err);
    if (status == MN_OK)
        status = add_view(net, n, s, from, err);
    if (status == MN_OK)
        *ret_value = s->out;
    return status;
}

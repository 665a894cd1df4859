/*
 * Structure correlation: two recurrent layers and a head.
 */
#include "rank/scc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "rank/vector.h"

/* Where the parts of the weights begin, and what the head sees. */
typedef struct parts {
    size_t ranking, a, a0, b, b0, end;
    size_t z, m;
} parts;

static parts locate(const mn__scc *net)
{
    parts p;
    p.m = net->head;
    p.z = (net->company ? 2 : 1) * (size_t)net->encoder.units + net->globals;
    p.ranking = mn__gru_weights(&net->encoder);
    p.a = p.ranking + (net->company ? mn__gru_weights(&net->ranking) : 0);
    p.a0 = p.a + p.z * p.m;
    p.b = p.a0 + p.m;
    p.b0 = p.b + (p.m + p.z) * mn__rank_targets;
    p.end = p.b0 + mn__rank_targets;
    return p;
}

mn__scc
mn__scc_make(uint32_t features, uint32_t globals, uint32_t hidden, uint32_t head, bool company)
{
    return (mn__scc){.encoder = {.inputs = features, .units = hidden},
                     .ranking = {.inputs = hidden, .units = hidden},
                     .globals = globals,
                     .head = head,
                     .company = company};
}

size_t mn__scc_weights(const mn__scc *net)
{
    return locate(net).end;
}

void mn__scc_initialise(const mn__scc *net, float *weights, mn_random *random)
{
    parts p = locate(net);
    mn__gru_initialise(&net->encoder, weights, random);
    if (net->company)
        mn__gru_initialise(&net->ranking, weights + p.ranking, random);
    float bound = sqrtf(3.0f / (float)p.z);
    for (size_t i = p.a; i < p.a0; i++)
        weights[i] = bound * (2.0f * mn_random_uniform(random) - 1.0f);
    bound = sqrtf(3.0f / (float)(p.m + p.z));
    memset(weights + p.a0, 0, p.m * sizeof *weights);
    for (size_t i = p.b; i < p.b0; i++)
        weights[i] = bound * (2.0f * mn_random_uniform(random) - 1.0f);
    memset(weights + p.b0, 0, mn__rank_targets * sizeof *weights);
}

mn_status mn__scc_work_create(
    const mn__scc *net, uint32_t most, uint32_t steps, mn__scc_work *ret_work, mn_error *err)
{
    parts p = locate(net);
    size_t h = net->encoder.units;
    size_t trace = mn__gru_trace_floats(&net->encoder, steps);
    size_t each = 2 * mn__rank_targets + 2 * p.z + 2 * p.m + 3 * h + trace;
    size_t other = steps * h + 6 * h + mn__gru_trace_floats(&net->ranking, most);
    size_t count;
    mn__scc_work w = {.most = most, .steps = steps};
    if (!mn_size_mul(each, most, &count) || !mn_size_add(count, other, &count) ||
        (w.block = mn_calloc(count, sizeof *w.block)) == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "controller: no room for %u candidates", most);
    w.y = w.block;
    w.dy = w.y + most * mn__rank_targets;
    w.z = w.dy + most * mn__rank_targets;
    w.dz = w.z + most * p.z;
    w.a = w.dz + most * p.z;
    w.da = w.a + most * p.m;
    w.f = w.da + most * p.m;
    w.df = w.f + most * h;
    w.dr = w.df + most * h;
    w.dh = w.dr + most * h;
    w.workspace = w.dh + steps * h;
    w.traces = w.workspace + 6 * h;
    *ret_work = w;
    return MN_OK;
}

void mn__scc_work_free(mn__scc_work *work)
{
    free(work->block);
    *work = (mn__scc_work){0};
}

/* Candidate i's room among the traces. */
static mn__gru_trace
encoder_trace(const mn__scc *net, const mn__scc_work *work, size_t i, uint32_t t)
{
    size_t floats = mn__gru_trace_floats(&net->encoder, work->steps);
    return mn__gru_trace_make(&net->encoder, t, work->traces + i * floats);
}

static mn__gru_trace ranking_trace(const mn__scc *net, const mn__scc_work *work, uint32_t n)
{
    size_t floats = mn__gru_trace_floats(&net->encoder, work->steps);
    return mn__gru_trace_make(&net->ranking, n, work->traces + work->most * floats);
}

/* The head of candidate i, whose z is written. */
static void head_forward(const parts *p, const float *weights, size_t i, mn__scc_work *work)
{
    const float *z = work->z + i * p->z;
    float *a = work->a + i * p->m;
    float *y = work->y + i * mn__rank_targets;
    memcpy(a, weights + p->a0, p->m * sizeof *a);
    mn__rows_add(a, weights + p->a, z, p->z, p->m, p->m);
    mn__tanh(a, p->m);
    memcpy(y, weights + p->b0, mn__rank_targets * sizeof *y);
    const float *b = weights + p->b;
    mn__rows_add(y, b, a, p->m, mn__rank_targets, mn__rank_targets);
    mn__rows_add(y, b + p->m * mn__rank_targets, z, p->z, mn__rank_targets, mn__rank_targets);
}

void mn__scc_forward(const mn__scc *net,
                     const float *weights,
                     const mn__scc_input *inputs,
                     const uint32_t *order,
                     uint32_t n,
                     mn__scc_work *work)
{
    parts p = locate(net);
    size_t h = net->encoder.units;
    for (size_t i = 0; i < n; i++) {
        const mn__scc_input *input = &inputs[order != NULL ? order[i] : i];
        mn__gru_trace trace = encoder_trace(net, work, i, input->steps);
        mn__gru_forward(&net->encoder, weights, input->features, input->steps, &trace);
        memcpy(work->f + i * h, trace.h + input->steps * h, h * sizeof(float));
    }
    const float *r = NULL;
    if (net->company) {
        mn__gru_trace trace = ranking_trace(net, work, n);
        mn__gru_forward(&net->ranking, weights + p.ranking, work->f, n, &trace);
        r = trace.h + h;
    }
    for (size_t i = 0; i < n; i++) {
        float *z = work->z + i * p.z;
        if (r != NULL) {
            memcpy(z, r + i * h, h * sizeof *z);
            z += h;
        }
        memcpy(z, work->f + i * h, h * sizeof *z);
        if (net->globals > 0)
            memcpy(z + h, inputs[order != NULL ? order[i] : i].globals, net->globals * sizeof *z);
        head_forward(&p, weights, i, work);
    }
}

static void
head_backward(const parts *p, const float *weights, size_t i, mn__scc_work *work, float *dweights)
{
    enum { k = mn__rank_targets };
    const float *z = work->z + i * p->z;
    const float *a = work->a + i * p->m;
    const float *dy = work->dy + i * k;
    float *dz = work->dz + i * p->z;
    float *da = work->da + i * p->m;
    const float *b = weights + p->b;
    float *db = dweights + p->b;
    mn__axpy(dweights + p->b0, dy, 1.0f, k);
    for (size_t j = 0; j < p->m; j++) {
        mn__axpy(db + j * k, dy, a[j], k);
        da[j] = mn__dot(b + j * k, dy, k) * (1.0f - a[j] * a[j]);
    }
    mn__axpy(dweights + p->a0, da, 1.0f, p->m);
    for (size_t j = 0; j < p->z; j++) {
        size_t row = (p->m + j) * k;
        mn__axpy(db + row, dy, z[j], k);
        mn__axpy(dweights + p->a + j * p->m, da, z[j], p->m);
        dz[j] = mn__dot(b + row, dy, k) + mn__dot(weights + p->a + j * p->m, da, p->m);
    }
}

/* From dz through the ranking GRU to df. */
static void
company_backward(const mn__scc *net, const float *weights, size_t n, mn__scc_work *work, float *dw)
{
    parts p = locate(net);
    size_t h = net->encoder.units;
    for (size_t i = 0; i < n; i++)
        memcpy(work->dr + i * h, work->dz + i * p.z, h * sizeof(float));
    mn__gru_trace trace = ranking_trace(net, work, (uint32_t)n);
    mn__gru_backward pass = {.weights = weights + p.ranking,
                             .x = work->f,
                             .steps = (uint32_t)n,
                             .trace = &trace,
                             .dh = work->dr,
                             .dx = work->df,
                             .dweights = dw + p.ranking,
                             .workspace = work->workspace};
    mn__gru_backward_run(&net->ranking, &pass);
}

void mn__scc_backward(const mn__scc *net,
                      const float *weights,
                      const mn__scc_input *inputs,
                      const uint32_t *order,
                      uint32_t n,
                      mn__scc_work *work,
                      float *dweights)
{
    parts p = locate(net);
    size_t h = net->encoder.units;
    size_t f_at = net->company ? h : 0;
    for (size_t i = 0; i < n; i++)
        head_backward(&p, weights, i, work, dweights);
    memset(work->df, 0, n * h * sizeof *work->df);
    if (net->company)
        company_backward(net, weights, n, work, dweights);
    for (size_t i = 0; i < n; i++) {
        const mn__scc_input *input = &inputs[order != NULL ? order[i] : i];
        mn__gru_trace trace = encoder_trace(net, work, i, input->steps);
        float *df = work->df + i * h;
        mn__axpy(df, work->dz + i * p.z + f_at, 1.0f, h);
        memset(work->dh, 0, input->steps * h * sizeof *work->dh);
        if (input->steps == 0)
            continue;
        memcpy(work->dh + (input->steps - 1) * h, df, h * sizeof *df);
        mn__gru_backward pass = {.weights = weights,
                                 .x = input->features,
                                 .steps = input->steps,
                                 .trace = &trace,
                                 .dh = work->dh,
                                 .dweights = dweights,
                                 .workspace = work->workspace};
        mn__gru_backward_run(&net->encoder, &pass);
    }
}

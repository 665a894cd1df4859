/*
 * Gated recurrent units. Products go row by row of a weight matrix, so that the zeros of one-hot
 * inputs are skipped and the loops run along the gates.
 */
#include "rank/gru.h"

#include <math.h>
#include <string.h>

#include "rank/vector.h"

/* Where the parts of the weights begin. */
typedef struct parts {
    size_t u, b, c, end;
} parts;

static parts locate(const mn__gru *gru)
{
    size_t gates = 3 * (size_t)gru->units;
    parts p;
    p.u = gru->inputs * gates;
    p.b = p.u + gru->units * gates;
    p.c = p.b + gates;
    p.end = p.c + gru->units;
    return p;
}

size_t mn__gru_weights(const mn__gru *gru)
{
    return locate(gru).end;
}

size_t mn__gru_trace_floats(const mn__gru *gru, uint32_t steps)
{
    return (5 * (size_t)steps + 1) * gru->units;
}

mn__gru_trace mn__gru_trace_make(const mn__gru *gru, uint32_t steps, float *block)
{
    size_t state = gru->units;
    mn__gru_trace trace;
    trace.h = block;
    trace.gates = trace.h + (steps + (size_t)1) * state;
    trace.inner = trace.gates + 3 * steps * state;
    memset(trace.h, 0, state * sizeof *trace.h);
    return trace;
}

static void fill(float *weights, size_t count, uint32_t fan_in, mn_random *random)
{
    float bound = sqrtf(3.0f / (float)fan_in);
    for (size_t i = 0; i < count; i++)
        weights[i] = bound * (2.0f * mn_random_uniform(random) - 1.0f);
}

void mn__gru_initialise(const mn__gru *gru, float *weights, mn_random *random)
{
    parts p = locate(gru);
    fill(weights, p.u, gru->inputs, random);
    fill(weights + p.u, p.b - p.u, gru->units, random);
    memset(weights + p.b, 0, (p.end - p.b) * sizeof *weights);
    for (uint32_t k = 0; k < gru->units; k++)
        weights[p.b + k] = 1.0f;
}

void mn__gru_forward(const mn__gru *gru,
                     const float *weights,
                     const float *x,
                     uint32_t steps,
                     const mn__gru_trace *trace)
{
    parts p = locate(gru);
    size_t units = gru->units;
    for (size_t t = 0; t < steps; t++) {
        const float *h = trace->h + t * units;
        float *next = trace->h + (t + 1) * units;
        float *gates = trace->gates + t * 3 * units;
        float *inner = trace->inner + t * units;
        float *n = gates + 2 * units;
        memcpy(gates, weights + p.b, 3 * units * sizeof *gates);
        memcpy(inner, weights + p.c, units * sizeof *inner);
        mn__rows_add(gates, weights, x + t * gru->inputs, gru->inputs, 3 * units, 3 * units);
        mn__rows_add(gates, weights + p.u, h, units, 2 * units, 3 * units);
        mn__rows_add(inner, weights + p.u + 2 * units, h, units, units, 3 * units);
        mn__sigmoid(gates, 2 * units);
        for (size_t k = 0; k < units; k++)
            n[k] += gates[units + k] * inner[k];
        mn__tanh(n, units);
        for (size_t k = 0; k < units; k++)
            next[k] = n[k] + gates[k] * (h[k] - n[k]);
    }
}

/* Gradients of step t before its three functions: `outer` (3H) as W and b see them, `recurrent`
 * (3H) as U does: the same but for n, whose U stands behind r. Turns `dh` into what is passed on
 * to the state before, without U's part. */
static void
open_gates(size_t units, const mn__gru_trace *trace, size_t t, float *dh, float *outer, float *rec)
{
    const float *h = trace->h + t * units;
    const float *z = trace->gates + t * 3 * units;
    const float *r = z + units;
    const float *n = r + units;
    const float *inner = trace->inner + t * units;
    for (size_t k = 0; k < units; k++) {
        float dn = dh[k] * (1.0f - z[k]) * (1.0f - n[k] * n[k]);
        outer[k] = rec[k] = dh[k] * (h[k] - n[k]) * z[k] * (1.0f - z[k]);
        outer[units + k] = rec[units + k] = dn * inner[k] * r[k] * (1.0f - r[k]);
        outer[2 * units + k] = dn;
        rec[2 * units + k] = dn * r[k];
        dh[k] *= z[k];
    }
}

void mn__gru_backward_run(const mn__gru *gru, const mn__gru_backward *pass)
{
    parts p = locate(gru);
    size_t units = gru->units;
    size_t gates = 3 * units;
    float *outer = pass->workspace;
    float *rec = outer + gates;
    float *dw = pass->dweights;
    for (size_t t = pass->steps; t-- > 0;) {
        const float *h = pass->trace->h + t * units;
        const float *x = pass->x + t * gru->inputs;
        float *dh = pass->dh + t * units;
        open_gates(units, pass->trace, t, dh, outer, rec);
        for (size_t i = 0; i < gru->inputs; i++)
            if (x[i] != 0.0f)
                mn__axpy(dw + i * gates, outer, x[i], gates);
        mn__axpy(dw + p.b, outer, 1.0f, gates);
        mn__axpy(dw + p.c, rec + 2 * units, 1.0f, units);
        for (size_t i = 0; pass->dx != NULL && i < gru->inputs; i++)
            pass->dx[t * gru->inputs + i] = mn__dot(pass->weights + i * gates, outer, gates);
        if (t == 0)
            break; /* the first state is given: zero, and nobody's gradient */
        for (size_t j = 0; j < units; j++) {
            mn__axpy(dw + p.u + j * gates, rec, h[j], gates);
            dh[j] += mn__dot(pass->weights + p.u + j * gates, rec, gates);
        }
        mn__axpy(dh - units, dh, 1.0f, units);
    }
}

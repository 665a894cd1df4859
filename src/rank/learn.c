/*
 * Adam (Kingma and Ba 2015) with decoupled L2 and clipped gradients.
 */
#include "rank/learn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "rank/vector.h"

/* Gradients longer than this are cut: the first windows of a pairwise loss can be steep. */
static const double longest_gradient = 1.0;

static const double first_decay = 0.9;
static const double second_decay = 0.99; /* some hundred steps are all there are: short memory */

typedef struct pupil {
    const mn__scc *net;
    const mn__learn_opts *opts;
    float *weights; /* (count), the caller's */
    size_t count;
    float *gradient, *first, *second; /* (count): of this step, and Adam's averages */
    uint32_t *order;                  /* (lesson->count) */
    float *targets;                   /* (window,3) */
    mn__scc_work work;
    double first_left, second_left; /* decay^step: what the averages still lack */
} pupil;

static void pupil_free(pupil *p)
{
    mn__scc_work_free(&p->work);
    free(p->targets);
    free(p->order);
    free(p->gradient);
}

static mn_status pupil_make(pupil *p, const mn__lesson *lesson, mn_error *err)
{
    uint32_t window = p->opts->window < lesson->count ? p->opts->window : lesson->count;
    p->count = mn__scc_weights(p->net);
    p->first_left = p->second_left = 1.0;
    p->gradient = mn_calloc(p->count, 3 * sizeof *p->gradient);
    p->order = mn_calloc(lesson->count, sizeof *p->order);
    p->targets = mn_calloc(window, mn__rank_targets * sizeof *p->targets);
    if (p->gradient == NULL || p->order == NULL || p->targets == NULL)
        return mn_error_set(
            err, MN_ERR_NOMEM, "controller: no room to learn from %u candidates", lesson->count);
    p->first = p->gradient + p->count;
    p->second = p->first + p->count;
    memcpy(p->order, lesson->index, lesson->count * sizeof *p->order);
    return mn__scc_work_create(p->net, window, lesson->steps, &p->work, err);
}

static double length(const float *x, size_t count)
{
    return sqrt((double)mn__dot(x, x, count));
}

static void adam_step(pupil *p, double rate)
{
    double norm = length(p->gradient, p->count);
    float cut = norm > longest_gradient ? (float)(longest_gradient / norm) : 1.0f;
    p->first_left *= first_decay;
    p->second_left *= second_decay;
    float d1 = (float)first_decay;
    float d2 = (float)second_decay;
    float stride = (float)(rate / (1.0 - p->first_left));
    float unbias = (float)(1.0 / (1.0 - p->second_left));
    float shrink = (float)(1.0 - rate * p->opts->l2);
    for (size_t i = 0; i < p->count; i++) {
        float g = p->gradient[i] * cut;
        p->first[i] = d1 * p->first[i] + (1.0f - d1) * g;
        p->second[i] = d2 * p->second[i] + (1.0f - d2) * g * g;
        p->weights[i] =
            shrink * p->weights[i] - stride * p->first[i] / (sqrtf(p->second[i] * unbias) + 1e-6f);
    }
}

static void learn_window(pupil *p, const mn__lesson *lesson, uint32_t from, uint32_t n, double rate)
{
    const uint32_t *order = p->order + from;
    mn__scc_forward(p->net, p->weights, lesson->inputs, order, n, &p->work);
    for (size_t i = 0; i < n; i++)
        memcpy(p->targets + i * mn__rank_targets,
               lesson->targets + (size_t)order[i] * mn__rank_targets,
               mn__rank_targets * sizeof *p->targets);
    (void)mn__rank_loss_of(&p->opts->loss, p->work.y, p->targets, n, p->work.dy);
    memset(p->gradient, 0, p->count * sizeof *p->gradient);
    mn__scc_backward(p->net, p->weights, lesson->inputs, order, n, &p->work, p->gradient);
    adam_step(p, rate);
}

/* A share of the largest rate: up in the first tenth, then down along half a cosine. */
static double rate_at(double done)
{
    double rise = done < 0.1 ? done / 0.1 + 0.01 : 1.0;
    return rise * 0.5 * (1.0 + cos(M_PI * done));
}

mn_status mn__scc_learn(const mn__scc *net,
                        const mn__lesson *lesson,
                        const mn__learn_opts *opts,
                        mn_random random,
                        float *weights,
                        mn_error *err)
{
    pupil p = {.net = net, .opts = opts, .weights = weights};
    mn_status status = pupil_make(&p, lesson, err);
    if (status != MN_OK)
        goto done;
    mn__scc_initialise(net, weights, &random);
    uint64_t count = lesson->count;
    uint64_t windows = (count + opts->window - 1) / opts->window;
    double steps = (double)windows * opts->epochs;
    double step = 0.0;
    for (uint32_t epoch = 0; epoch < opts->epochs; epoch++) {
        mn_random_shuffle(&random, p.order, lesson->count);
        /* windows of equal size, give or take one: a window of one would know no pair */
        for (uint64_t w = 0; w < windows; w++) {
            uint32_t from = (uint32_t)(count * w / windows);
            uint32_t to = (uint32_t)(count * (w + 1) / windows);
            learn_window(&p, lesson, from, to - from, opts->rate * rate_at(step++ / steps));
        }
    }
done:
    pupil_free(&p);
    return status;
}

/*
 * An ensemble of networks that differ in their seeds, and the choice of what they are made of.
 */
#include "rank/controller.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "rank/choose.h"
#include "rank/kinds.h"
#include "rank/samples.h"

/* Streams of random numbers: members from 0, orders of prediction far above. */
enum { stream_orders = 1 << 16 };

/* One network of the ensemble. A loss on pairs leaves scale and origin open, so each member's
 * accuracies are put on the scale that they had on what was learnt from. */
typedef struct member {
    float *weights;
    double mean, gain;
} member;

struct mn__controller {
    mn__rank_opts opts;
    mn__rank_report report;
    mn__rank_scale scale;
    mn__scc net;
    member *members; /* (opts.members) */
    float *weights;  /* of all members */
};

mn__rank_opts mn__rank_opts_default(void)
{
    return (mn__rank_opts){.kind = MN__RANK_AUTO,
                           .hidden = 32,
                           .head = 32,
                           .members = 5,
                           .epochs = 100,
                           .window = 16,
                           .folds = 3,
                           .rate = 0.01,
                           .l2 = 1e-4,
                           .lambda = 0.8,
                           .seed = 1};
}

mn__rank_opts mn__rank_opts_paper(void)
{
    mn__rank_opts opts = mn__rank_opts_default();
    opts.kind = MN__RANK_JOINT;
    opts.hidden = 100;
    opts.lambda = 0.5;
    return opts;
}

static bool within(double x, double low, double high)
{
    return x >= low && x <= high; /* false for NaN */
}

static mn_status check_opts(const mn__rank_opts *o, mn_error *err)
{
    const struct {
        const char *name;
        double value, low, high;
    } rows[] = {
        {"kind", (double)o->kind, 0, MN__RANK_AUTO},
        {"hidden", o->hidden, 1, 1024},
        {"head", o->head, 1, 1024},
        {"members", o->members, 1, 64},
        {"epochs", o->epochs, 1, 100000},
        {"window", o->window, 2, 4096},
        {"folds", o->folds, 2, 20},
        {"rate", o->rate, 0, 1},
        {"l2", o->l2, 0, 1},
        {"lambda", o->lambda, 0, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!within(rows[i].value, rows[i].low, rows[i].high))
            return mn_error_set(err,
                                MN_ERR_ARG,
                                "controller: %s %g, expected %g to %g",
                                rows[i].name,
                                rows[i].value,
                                rows[i].low,
                                rows[i].high);
    return MN_OK;
}

/* ---- the ensemble ---------------------------------------------------------------------------- */

/* Puts the member on the scale of its own predictions `y` of what it learnt from. */
static void calibrate(member *m, const double *y, uint32_t count)
{
    double square = 0.0;
    m->mean = 0.0;
    for (uint32_t i = 0; i < count; i++)
        m->mean += y[i] / count;
    for (uint32_t i = 0; i < count; i++)
        square += (y[i] - m->mean) * (y[i] - m->mean) / count;
    m->gain = square > 1e-12 ? 1.0 / sqrt(square) : 1.0;
}

static mn_status teach_members(mn__controller *c, const mn__ready *ready, mn_error *err)
{
    size_t floats = mn__scc_weights(&c->net);
    mn__scc_work work = {0};
    double *y = mn_calloc(ready->count, sizeof *y);
    uint32_t *index = mn_calloc(ready->count, sizeof *index);
    mn_status status = MN_OK;
    c->members = mn_calloc(c->opts.members, sizeof *c->members);
    c->weights = mn_calloc(c->opts.members, floats * sizeof *c->weights);
    if (y == NULL || index == NULL || c->members == NULL || c->weights == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "controller: no room for its networks");
    else
        status = mn__scc_work_create(&c->net, c->opts.window, ready->steps, &work, err);
    for (uint32_t i = 0; status == MN_OK && i < ready->count; i++)
        index[i] = i;
    mn__learn_opts opts = mn__kind_learn_opts(&c->opts, c->report.kind);
    mn__lesson lesson = {.inputs = ready->inputs,
                         .targets = ready->targets,
                         .index = index,
                         .count = ready->count,
                         .steps = ready->steps};
    for (uint32_t m = 0; status == MN_OK && m < c->opts.members; m++) {
        float *weights = c->weights + m * floats;
        mn_random random = mn_random_make(c->opts.seed, m);
        c->members[m].weights = weights;
        status = mn__scc_learn(&c->net, &lesson, &opts, random, weights, err);
        if (status != MN_OK)
            break;
        mn__scc_predict(&c->net, weights, ready->inputs, index, ready->count, &work, y);
        calibrate(&c->members[m], y, ready->count);
    }
    mn__scc_work_free(&work);
    free(index);
    free(y);
    return status;
}

mn_status mn__controller_fit(const mn__rank_set *set,
                             const mn__rank_opts *opts,
                             mn__controller **ret_controller,
                             mn_error *err)
{
    mn__controller *c = NULL;
    mn__ready ready = {0};
    mn_status status = check_opts(opts, err);
    if (status == MN_OK)
        status = mn__rank_set_check(set, true, err);
    if (status != MN_OK)
        return status;
    c = mn_calloc(1, sizeof *c);
    if (c == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "controller: no room");
    c->opts = *opts;
    c->report.kind = opts->kind == MN__RANK_AUTO ? MN__RANK_JOINT : opts->kind;
    status = mn__rank_scale_make(set, &c->scale, err);
    if (status == MN_OK)
        status = mn__ready_make(set, &c->scale, true, &ready, err);
    if (status == MN_OK && opts->kind == MN__RANK_AUTO)
        status = mn__choose_kind(set, opts, &ready, &c->report, err);
    c->net = mn__kind_net(set, opts, c->report.kind);
    if (status == MN_OK)
        status = teach_members(c, &ready, err);
    if (status == MN_OK) {
        *ret_controller = c;
        c = NULL;
    }
    mn__ready_free(&ready);
    mn__controller_free(c);
    return status;
}

void mn__controller_free(mn__controller *controller)
{
    if (controller == NULL)
        return;
    free(controller->weights);
    free(controller->members);
    mn__rank_scale_free(&controller->scale);
    free(controller);
}

const mn__rank_report *mn__controller_report(const mn__controller *controller)
{
    return &controller->report;
}

/* ---- prediction ------------------------------------------------------------------------------ */

/* Room for one member's view of all samples. */
typedef struct view {
    uint32_t *order;
    double *y;      /* (count), in that order */
    double *square; /* (count), sums over the members, by sample */
    mn__scc_work work;
} view;

static void view_free(view *v)
{
    mn__scc_work_free(&v->work);
    free(v->y);
    free(v->order);
}

static mn_status view_make(const mn__controller *c, const mn__ready *ready, view *v, mn_error *err)
{
    v->order = mn_calloc(ready->count, sizeof *v->order);
    v->y = mn_calloc(ready->count, 2 * sizeof *v->y);
    if (v->order == NULL || v->y == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "controller: no room for %u samples", ready->count);
    v->square = v->y + ready->count;
    return mn__scc_work_create(&c->net, c->opts.window, ready->steps, &v->work, err);
}

/* Adds member m's accuracies and their squares. */
static void
add_member(const mn__controller *c, const mn__ready *ready, uint32_t m, view *v, double *sums)
{
    const member *who = &c->members[m];
    mn_random random = mn_random_make(c->opts.seed, stream_orders + (uint64_t)m);
    for (uint32_t i = 0; i < ready->count; i++)
        v->order[i] = i;
    mn_random_shuffle(&random, v->order, ready->count);
    mn__scc_predict(&c->net, who->weights, ready->inputs, v->order, ready->count, &v->work, v->y);
    for (uint32_t i = 0; i < ready->count; i++) {
        double y = (v->y[i] - who->mean) * who->gain;
        sums[v->order[i]] += y;
        v->square[v->order[i]] += y * y;
    }
}

mn_status mn__controller_predict(const mn__controller *c,
                                 const mn__rank_set *set,
                                 double *ret_scores,
                                 double *ret_spread,
                                 mn_error *err)
{
    mn__ready ready = {0};
    view v = {0};
    mn_status status = mn__rank_set_check(set, false, err);
    if (status == MN_OK && (set->features != c->scale.features || set->globals != c->scale.globals))
        status = mn_error_set(err,
                              MN_ERR_ARG,
                              "%u features and %u globals, the controller learnt from %u and %u",
                              set->features,
                              set->globals,
                              c->scale.features,
                              c->scale.globals);
    if (status == MN_OK)
        status = mn__ready_make(set, &c->scale, false, &ready, err);
    if (status == MN_OK)
        status = view_make(c, &ready, &v, err);
    if (status == MN_OK) {
        memset(ret_scores, 0, set->count * sizeof *ret_scores);
        for (uint32_t m = 0; m < c->opts.members; m++)
            add_member(c, &ready, m, &v, ret_scores);
    }
    for (uint32_t i = 0; status == MN_OK && i < set->count; i++) {
        double mean = ret_scores[i] / c->opts.members;
        double variance = v.square[i] / c->opts.members - mean * mean;
        ret_scores[i] = mean;
        if (ret_spread != NULL)
            ret_spread[i] = variance > 0.0 ? sqrt(variance) : 0.0;
    }
    view_free(&v);
    mn__ready_free(&ready);
    return status;
}

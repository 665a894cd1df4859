/*
 * Cross-validation over the kinds of network.
 */
#include "rank/choose.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "rank/kinds.h"
#include "rank/quality.h"

/* The stream of the folds; those of the members are far below. */
enum { stream_folds = 1 << 20 };

/* So many samples a fold, or cross-validation would measure chance. */
enum { least_of_fold = 4 };

/* What the folds share. `index` (count): the samples in random order, fold f is the part from
 * count * f / folds on; `rest` (count), `y`, `truth` (count): room. */
typedef struct trial {
    const mn__rank_set *set;
    const mn__rank_opts *opts;
    const mn__ready *ready;
    uint32_t *index, *rest;
    double *y, *truth;
    float *weights;
} trial;

static void trial_free(trial *t)
{
    free(t->weights);
    free(t->y);
    free(t->index);
}

static mn_status trial_make(trial *t, mn_error *err)
{
    uint32_t count = t->ready->count;
    mn__scc largest = mn__kind_net(t->set, t->opts, MN__RANK_JOINT);
    t->index = mn_calloc(count, 2 * sizeof *t->index);
    t->y = mn_calloc(count, 2 * sizeof *t->y);
    t->weights = mn_calloc(mn__scc_weights(&largest), sizeof *t->weights);
    if (t->index == NULL || t->y == NULL || t->weights == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "controller: no room for %u samples", count);
    t->rest = t->index + count;
    t->truth = t->y + count;
    for (uint32_t i = 0; i < count; i++)
        t->index[i] = i;
    mn_random random = mn_random_make(t->opts->seed, stream_folds);
    mn_random_shuffle(&random, t->index, count);
    return MN_OK;
}

/* Learns from all but fold f and ranks that one. */
static mn_status
try_fold(const trial *t, mn__rank_kind kind, uint32_t f, double *ret_tau, mn_error *err)
{
    uint64_t count = t->ready->count;
    uint32_t from = (uint32_t)(count * f / t->opts->folds);
    uint32_t held = (uint32_t)(count * (f + 1) / t->opts->folds) - from;
    mn__scc net = mn__kind_net(t->set, t->opts, kind);
    mn__learn_opts opts = mn__kind_learn_opts(t->opts, kind);
    mn__scc_work work = {0};
    memcpy(t->rest, t->index, from * sizeof *t->rest);
    memcpy(t->rest + from, t->index + from + held, (count - from - held) * sizeof *t->rest);
    mn__lesson lesson = {.inputs = t->ready->inputs,
                         .targets = t->ready->targets,
                         .index = t->rest,
                         .count = (uint32_t)count - held,
                         .steps = t->ready->steps};
    mn_random random = mn_random_make(t->opts->seed, stream_folds + 1 + f);
    mn_status status = mn__scc_learn(&net, &lesson, &opts, random, t->weights, err);
    if (status == MN_OK)
        status = mn__scc_work_create(&net, t->opts->window, t->ready->steps, &work, err);
    if (status == MN_OK) {
        mn__scc_predict(&net, t->weights, t->ready->inputs, t->index + from, held, &work, t->y);
        for (uint32_t i = 0; i < held; i++)
            t->truth[i] = t->set->samples[t->index[from + i]].targets[0];
        status = mn__kendall_tau(t->y, t->truth, held, ret_tau, err);
    }
    mn__scc_work_free(&work);
    return status;
}

mn_status mn__choose_kind(const mn__rank_set *set,
                          const mn__rank_opts *opts,
                          const mn__ready *ready,
                          mn__rank_report *report,
                          mn_error *err)
{
    report->kind = MN__RANK_JOINT;
    if (set->count / opts->folds < least_of_fold)
        return MN_OK;
    report->folds = opts->folds;
    trial t = {.set = set, .opts = opts, .ready = ready};
    mn_status status = trial_make(&t, err);
    for (uint32_t k = 0; status == MN_OK && k < MN__RANK_KINDS; k++) {
        double sum = 0.0;
        for (uint32_t f = 0; status == MN_OK && f < opts->folds; f++) {
            double tau = 0.0;
            status = try_fold(&t, (mn__rank_kind)k, f, &tau, err);
            sum += tau;
        }
        report->tau[k] = sum / opts->folds;
        if (report->tau[k] > report->tau[report->kind])
            report->kind = (mn__rank_kind)k;
    }
    trial_free(&t);
    return status;
}

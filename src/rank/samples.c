/*
 * Samples made ready for the network.
 */
#include "rank/samples.h"

#include <math.h>
#include <stdlib.h>

#include "base/size.h"
#include "rank/quality.h"

static const float farthest = 4.0f; /* standard deviations */

static mn_status
check_row(const float *row, size_t count, uint32_t sample, const char *what, mn_error *err)
{
    if (row == NULL && count > 0)
        return mn_error_set(err, MN_ERR_ARG, "sample %u: no %ss", sample, what);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(row[i]))
            return mn_error_set(
                err, MN_ERR_ARG, "sample %u: %s %zu is not finite", sample, what, i);
    return MN_OK;
}

static mn_status check_sample(const mn__rank_set *set, uint32_t i, bool taught, mn_error *err)
{
    const mn__rank_sample *s = &set->samples[i];
    if (s->steps < 1 || s->steps > MN__SCC_MAX_STEPS)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "sample %u: %u steps, expected 1 to %u",
                            i,
                            s->steps,
                            MN__SCC_MAX_STEPS);
    mn_status status = check_row(s->features, (size_t)s->steps * set->features, i, "feature", err);
    if (status == MN_OK)
        status = check_row(s->globals, set->globals, i, "global", err);
    for (uint32_t k = 0; status == MN_OK && taught && k < mn__rank_targets; k++)
        if (!isfinite(s->targets[k]))
            status = mn_error_set(err, MN_ERR_ARG, "sample %u: target %u is not finite", i, k);
    return status;
}

mn_status mn__rank_set_check(const mn__rank_set *set, bool taught, mn_error *err)
{
    if (set->features < 1 || set->features > MN__SCC_MAX_WIDTH || set->globals > MN__SCC_MAX_WIDTH)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "%u features and %u globals, expected 1 to %u and 0 to %u",
                            set->features,
                            set->globals,
                            MN__SCC_MAX_WIDTH,
                            MN__SCC_MAX_WIDTH);
    if (taught && set->count < MN__RANK_LEAST)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "%u samples to learn from, expected at least %u",
                            set->count,
                            MN__RANK_LEAST);
    mn_status status = MN_OK;
    for (uint32_t i = 0; status == MN_OK && i < set->count; i++)
        status = check_sample(set, i, taught, err);
    return status;
}

mn_status mn__rank_scale_make(const mn__rank_set *set, mn__rank_scale *ret_scale, mn_error *err)
{
    mn__rank_scale scale = {.features = set->features, .globals = set->globals};
    scale.mean = mn_calloc(set->globals, 2 * sizeof *scale.mean);
    if (scale.mean == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "controller: no room for %u globals", set->globals);
    scale.gain = scale.mean + set->globals;
    for (uint32_t j = 0; j < set->globals; j++) {
        double mean = 0.0;
        double square = 0.0;
        for (uint32_t i = 0; i < set->count; i++)
            mean += (double)set->samples[i].globals[j] / set->count;
        for (uint32_t i = 0; i < set->count; i++) {
            double off = (double)set->samples[i].globals[j] - mean;
            square += off * off / set->count;
        }
        double deviation = sqrt(square);
        scale.mean[j] = (float)mean;
        scale.gain[j] = deviation > 1e-6 * (1.0 + fabs(mean)) ? (float)(1.0 / deviation) : 0.0f;
    }
    *ret_scale = scale;
    return MN_OK;
}

void mn__rank_scale_free(mn__rank_scale *scale)
{
    free(scale->mean);
    *scale = (mn__rank_scale){0};
}

static float standardise(float x, float mean, float gain)
{
    float value = (x - mean) * gain;
    value = value > farthest ? farthest : value;
    return value < -farthest ? -farthest : value;
}

/* Normal scores of each of the three targets. */
static mn_status score_targets(const mn__rank_set *set, float *targets, mn_error *err)
{
    double *room = mn_calloc(set->count, 2 * sizeof *room);
    if (room == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "controller: no room for %u targets", set->count);
    double *scores = room + set->count;
    mn_status status = MN_OK;
    for (uint32_t k = 0; status == MN_OK && k < mn__rank_targets; k++) {
        for (uint32_t i = 0; i < set->count; i++)
            room[i] = set->samples[i].targets[k];
        status = mn__normal_scores(room, set->count, scores, err);
        for (size_t i = 0; status == MN_OK && i < set->count; i++)
            targets[i * mn__rank_targets + k] = (float)scores[i];
    }
    free(room);
    return status;
}

mn_status mn__ready_make(const mn__rank_set *set,
                         const mn__rank_scale *scale,
                         bool taught,
                         mn__ready *ret_ready,
                         mn_error *err)
{
    size_t g = set->globals;
    mn_status status = MN_OK;
    mn__ready ready = {.count = set->count, .steps = 1};
    ready.inputs = mn_calloc(set->count, sizeof *ready.inputs);
    ready.globals = mn_calloc(set->count, (g > 0 ? g : 1) * sizeof *ready.globals);
    if (taught)
        ready.targets = mn_calloc(set->count, mn__rank_targets * sizeof *ready.targets);
    if (ready.inputs == NULL || ready.globals == NULL || (taught && ready.targets == NULL)) {
        status = mn_error_set(err, MN_ERR_NOMEM, "controller: no room for %u samples", set->count);
        goto done;
    }
    for (size_t i = 0; i < set->count; i++) {
        const mn__rank_sample *s = &set->samples[i];
        float *row = ready.globals + i * g;
        for (size_t j = 0; j < g; j++)
            row[j] = standardise(s->globals[j], scale->mean[j], scale->gain[j]);
        ready.inputs[i] =
            (mn__scc_input){.steps = s->steps, .features = s->features, .globals = row};
        ready.steps = s->steps > ready.steps ? s->steps : ready.steps;
    }
    if (taught)
        status = score_targets(set, ready.targets, err);
    if (status == MN_OK) {
        *ret_ready = ready;
        ready = (mn__ready){0};
    }
done:
    mn__ready_free(&ready);
    return status;
}

void mn__ready_free(mn__ready *ready)
{
    free(ready->targets);
    free(ready->globals);
    free(ready->inputs);
    *ready = (mn__ready){0};
}

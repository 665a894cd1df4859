/*
 * Learning to rank. What is learnt is how a training compares with its parent's (paper,
 * "Memory-efficiency metric": y_acc): children inherit weights, so that accuracies of different
 * rounds say more about how long their ancestors trained than about the networks. And how that
 * compares with the rest of its round: candidates compete within one, and nearly all children gain
 * by training on, those of the first rounds the most.
 */
#include "search/ranker_learned.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/size.h"
#include "rank/encode.h"
#include "rank/quality.h"
#include "search/equal_time.h"

/* A training of the study. */
typedef struct example {
    char id[MN_STUDY_ID_BYTES];
    char parent_id[MN_STUDY_ID_BYTES];
    uint32_t round;
    double accuracy; /* percent */
    double gain;     /* share of the parent's errors that are gone at equal time, above the mean of
                        the round */
    mn__needs needs;
    mn_genotype genotype;
} example;

typedef struct examples {
    uint32_t count, capacity;
    example *items;
} examples;

/* Samples with the numbers that they point to. */
typedef struct encoded {
    mn__rank_set set;
    mn__rank_sample *samples;
    float *numbers;
} encoded;

static mn_status collect(void *context, const mn_trained_row *row, mn_error *err)
{
    examples *all = context;
    const mn_genotype_row *genotype = &row->genotype;
    if (row->key.seed != 0)
        return MN_OK;
    if (all->count == all->capacity) {
        uint32_t capacity = all->capacity == 0 ? 64 : 2 * all->capacity;
        example *items = mn_calloc(capacity, sizeof *items);
        if (items == NULL)
            return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        if (all->count > 0)
            memcpy(items, all->items, all->count * sizeof *items);
        free(all->items);
        all->items = items;
        all->capacity = capacity;
    }
    example *one = &all->items[all->count++];
    one->round = row->round;
    one->accuracy = row->val_accuracy;
    one->needs = (mn__needs){.weights_bytes = genotype->weights_bytes,
                             .arena_bytes = genotype->arena_bytes,
                             .total_bytes = genotype->total_bytes,
                             .macs = genotype->macs};
    memcpy(one->id, genotype->id, sizeof one->id);
    memcpy(one->parent_id, genotype->parent_id, sizeof one->parent_id);
    mn_status status =
        mn_genotype_parse(genotype->json, strlen(genotype->json), &one->genotype, err);
    return status == MN_OK ? mn__measure_effort(&one->genotype, &one->needs.effort, err) : status;
}

/* What a training is compared with: its parent, or without one the mean of its round. */
typedef struct reference {
    double accuracy;
    mn__needs needs;
} reference;

static reference mean_of_round(const examples *all, uint32_t round)
{
    double accuracy = 0.0;
    double effort = 0.0;
    double macs = 0.0;
    double weights = 0.0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < all->count; i++) {
        const example *one = &all->items[i];
        if (one->round != round)
            continue;
        accuracy += one->accuracy;
        effort += one->needs.effort;
        macs += (double)one->needs.macs;
        weights += (double)one->needs.weights_bytes;
        count++;
    }
    return (reference){.accuracy = accuracy / count,
                       .needs = {.weights_bytes = (uint64_t)(weights / count),
                                 .macs = (uint64_t)(macs / count),
                                 .effort = effort / count}};
}

static reference reference_of(const examples *all, const example *one)
{
    for (uint32_t i = 0; i < all->count; i++) {
        const example *other = &all->items[i];
        if (one->parent_id[0] != '\0' && strcmp(other->id, one->parent_id) == 0)
            return (reference){other->accuracy, other->needs};
    }
    return mean_of_round(all, one->round);
}

/* The examples stand in order of their rounds. */
static void find_gains(const mn__session *session, examples *all)
{
    for (uint32_t i = 0; i < all->count; i++) {
        example *one = &all->items[i];
        reference base = reference_of(all, one);
        double base_errors = base.accuracy < 99.9 ? 1.0 - base.accuracy / 100.0 : 0.001;
        double errors =
            mn__equal_time_errors(session, 1.0 - one->accuracy / 100.0, &one->needs, &base.needs);
        one->gain = (1.0 - base.accuracy / 100.0 - errors) / base_errors;
    }
    for (uint32_t first = 0, end = 0; first < all->count; first = end) {
        double sum = 0.0;
        for (end = first; end < all->count && all->items[end].round == all->items[first].round;
             end++)
            sum += all->items[end].gain;
        for (uint32_t i = first; i < end; i++)
            all->items[i].gain -= sum / (end - first);
    }
}

static void encoded_done(encoded *e)
{
    free(e->numbers);
    free(e->samples);
    *e = (encoded){0};
}

/* Encodes `count` networks into a zeroed `e`. */
static mn_status encode(const mn__rankable *networks, uint32_t count, encoded *e, mn_error *err)
{
    size_t floats = 0;
    size_t done = 0;
    mn_status status = MN_OK;
    for (uint32_t i = 0; i < count; i++)
        floats += (size_t)mn__encode_steps(networks[i].genotype) * mn__encode_features +
                  mn__encode_globals;
    e->samples = mn_calloc(count, sizeof *e->samples);
    e->numbers = mn_calloc(floats, sizeof *e->numbers);
    if (e->samples == NULL || e->numbers == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < count && status == MN_OK; i++) {
        const mn__needs *needs = &networks[i].needs;
        mn__encode_sizes sizes = {.weights_bytes = needs->weights_bytes,
                                  .arena_bytes = needs->arena_bytes,
                                  .macs = needs->macs};
        mn__rank_sample *sample = &e->samples[i];
        float *features = e->numbers + done;
        sample->steps = mn__encode_steps(networks[i].genotype);
        done += (size_t)sample->steps * mn__encode_features;
        float *globals = e->numbers + done;
        done += mn__encode_globals;
        sample->features = features;
        sample->globals = globals;
        status = mn__encode(networks[i].genotype, &sizes, features, globals, err);
    }
    e->set = (mn__rank_set){.features = mn__encode_features,
                            .globals = mn__encode_globals,
                            .count = count,
                            .samples = e->samples};
    return status;
}

/* Kendall's tau of the rule of size on the examples. */
static mn_status
size_tau(const mn__rankable *networks, const examples *all, double *ret_tau, mn_error *err)
{
    mn__ranker rule = mn__ranker_by_size();
    double *values = mn_calloc(all->count, sizeof *values);
    double *gains = mn_calloc(all->count, sizeof *gains);
    mn_status status = MN_OK;
    if (values == NULL || gains == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    if (status == MN_OK)
        status = rule.rank(rule.context, networks, all->count, values, err);
    for (uint32_t i = 0; i < all->count && status == MN_OK; i++)
        gains[i] = all->items[i].gain;
    if (status == MN_OK)
        status = mn__kendall_tau(values, gains, all->count, ret_tau, err);
    free(gains);
    free(values);
    return status;
}

/* Teaches a controller; keeps it when it ranks what it has not seen better than the rule does. */
static mn_status teach(const examples *all,
                       const mn__rankable *networks,
                       uint64_t seed,
                       mn__learned *learned,
                       mn_error *err)
{
    mn__ranking *ranking = &learned->ranking;
    mn__rank_opts opts = mn__rank_opts_default();
    encoded e = {0};
    mn__controller *controller = NULL;
    opts.seed = seed;
    mn_status status = encode(networks, all->count, &e, err);
    for (uint32_t i = 0; i < all->count && status == MN_OK; i++) {
        e.samples[i].targets[0] = all->items[i].gain;
        e.samples[i].targets[1] = -(double)all->items[i].needs.weights_bytes;
        e.samples[i].targets[2] = -(double)all->items[i].needs.arena_bytes;
    }
    if (status == MN_OK)
        status = size_tau(networks, all, &ranking->size_tau, err);
    if (status == MN_OK)
        status = mn__controller_fit(&e.set, &opts, &controller, err);
    if (status == MN_OK) {
        const mn__rank_report *report = mn__controller_report(controller);
        ranking->folds = report->folds;
        memcpy(ranking->tau, report->tau, sizeof ranking->tau);
        if (report->folds > 0 && report->tau[report->kind] > ranking->size_tau) {
            ranking->name = mn__rank_kind_name(report->kind);
            learned->controller = controller;
            controller = NULL;
        }
    }
    mn__controller_free(controller);
    encoded_done(&e);
    return status;
}

mn_status
mn__learned_make(mn__session *session, uint32_t round, mn__learned *ret_learned, mn_error *err)
{
    mn__learned learned = {.ranking = {.name = "size", .size_tau = (double)NAN}};
    examples all = {0};
    mn__rankable *networks = NULL;
    mn_status status = mn_study_visit_trained(session->study, 0, round, collect, &all, err);
    learned.ranking.samples = all.count;
    if (status != MN_OK || all.count < MN__RANK_LEAST)
        goto done;
    find_gains(session, &all);
    networks = mn_calloc(all.count, sizeof *networks);
    if (networks == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < all.count && status == MN_OK; i++)
        networks[i] =
            (mn__rankable){.genotype = &all.items[i].genotype, .needs = all.items[i].needs};
    if (status == MN_OK)
        status = teach(&all, networks, mn_random_mix(session->opts->seed, round), &learned, err);
done:
    free(networks);
    free(all.items);
    if (status == MN_OK)
        *ret_learned = learned;
    return status;
}

void mn__learned_done(mn__learned *learned)
{
    mn__controller_free(learned->controller);
    *learned = (mn__learned){0};
}

static mn_status rank(void *context,
                      const mn__rankable *candidates,
                      uint32_t count,
                      double *ret_values,
                      mn_error *err)
{
    const mn__learned *learned = context;
    mn__ranker rule = mn__ranker_by_size();
    encoded e = {0};
    if (learned->controller == NULL)
        return rule.rank(rule.context, candidates, count, ret_values, err);
    mn_status status = encode(candidates, count, &e, err);
    if (status == MN_OK)
        status = mn__controller_predict(learned->controller, &e.set, ret_values, NULL, err);
    encoded_done(&e);
    return status;
}

mn__ranker mn__ranker_learned(mn__learned *learned)
{
    return (mn__ranker){.name = learned->ranking.name, .rank = rank, .context = learned};
}

/*
 * Rungs of a round. Invariant: what goes on to the next rung follows from complete rungs alone.
 */
#include "search/rungs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "search/equal_time.h"
#include "search/options.h"
#include "search/score.h"
#include "space/layer_map.h"

/* One of `keep_one_of` goes on to the next rung, which costs each that many times as much: no rung
 * costs a round more than the one before. */
enum { keep_one_of = 3, image_factor = 3 };

/* A child has not inherited much when it is not even this far from guessing to its parent's
 * accuracy after most of its epochs. */
static const double hopeless_share = 0.5;

/* What trains at a rung. */
typedef struct climber {
    const mn__entry *entry;
    mn_layer_map same; /* identity, owned; from one rung to the next */
    mn__training training;
    double score; /* -INFINITY when the training failed */
} climber;

typedef struct climb {
    mn__session *session;
    uint32_t round, rung;
    uint32_t count;
    climber *climbers;
} climb;

void mn__rungs_done(mn__rungs_result *result)
{
    free(result->first_accuracy);
    *result = (mn__rungs_result){0};
}

uint32_t mn__rung_last(const mn__session *session)
{
    return session->opts->preset == MN_PRESET_PAPER ? 0 : session->opts->rungs - 1;
}

void mn__rung_size_from(const mn__session *session,
                        uint32_t first_images,
                        uint32_t rung,
                        uint32_t *ret_epochs,
                        uint32_t *ret_images)
{
    double all = (1.0 - mn__session_split_fraction()) * session->dataset->train.count;
    double images = first_images;
    double work = session->opts->rung_epochs;
    images = images > all ? all : images;
    for (uint32_t r = 0; r < rung; r++) {
        double more = images * image_factor > all ? all / images : image_factor;
        images *= more;
        work *= image_factor / more;
    }
    *ret_images = images >= all ? UINT32_MAX - 1 : (uint32_t)images; /* more than there are: all */
    if (rung == 0)
        *ret_images = first_images;
    *ret_epochs = (uint32_t)ceil(work - 1e-9);
}

void mn__rung_size(const mn__session *session,
                   uint32_t rung,
                   uint32_t *ret_epochs,
                   uint32_t *ret_images)
{
    mn__rung_size_from(session, session->rung_images, rung, ret_epochs, ret_images);
}

uint32_t mn__rung_keeps(uint32_t count)
{
    return count < keep_one_of ? 1 : count / keep_one_of;
}

mn_status mn__rungs_top(
    mn__session *session, uint32_t limit, mn_run_key *ret_keys, uint32_t *ret_count, mn_error *err)
{
    /* Of one bound nothing above it is ever trained; several are totals. */
    uint64_t total = mn__session_goal(session)->bound->total_bytes;
    uint32_t count = 0;
    mn_status status = MN_OK;
    for (uint32_t rung = mn__rung_last(session) + 1; rung > 0 && count == 0 && status == MN_OK;
         rung--)
        status = mn_study_top_runs(session->study,
                                   rung - 1,
                                   total == 0 ? UINT64_MAX : total,
                                   limit,
                                   ret_keys,
                                   &count,
                                   err);
    if (status == MN_OK)
        *ret_count = count;
    return status;
}

mn_status
mn__rungs_last_run(mn__session *session, const char *id, mn_run_key *ret_key, mn_error *err)
{
    mn_run_key key = {.seed = 0};
    memcpy(key.genotype_id, id, sizeof key.genotype_id);
    for (uint32_t rung = mn__rung_last(session) + 1; rung > 0; rung--) {
        mn_run_row row;
        bool found = false;
        key.rung = rung - 1;
        mn_status status = mn_study_get_run(session->study, &key, &row, &found, err);
        if (status != MN_OK)
            return status;
        if (found && !row.failed) {
            *ret_key = key;
            return MN_OK;
        }
    }
    return mn_error_set(err, MN_ERR_DB, "network %s: no run in the study", id);
}

/* Below it a child of `parent` (percent at the rung's end) is stopped. */
static double hopeless_below(const climb *c, double parent_accuracy)
{
    double guess = 100.0 / c->session->dataset->class_count;
    double gain = parent_accuracy - guess;
    return gain > 0.0 ? guess + hopeless_share * gain : 0.0;
}

/* Accuracy in percent of a base's network at this rung; at the run itself when it has none here: a
 * network that failed at its last rung is a base by the one before. */
static mn_status accuracy_at(const climb *c, const mn_run_key *run, double *ret, mn_error *err)
{
    mn_run_key key = *run;
    mn_run_row row;
    bool found = false;
    key.rung = c->rung;
    mn_status status = mn_study_get_run(c->session->study, &key, &row, &found, err);
    if (status == MN_OK && (!found || row.failed))
        status = mn_study_get_run(c->session->study, run, &row, &found, err);
    if (status == MN_OK)
        *ret = found && !row.failed ? row.val_accuracy : 0.0;
    return status;
}

static mn_status prepare(const climb *c, climber *one, mn_error *err)
{
    const mn__entry *entry = one->entry;
    mn__training *t = &one->training;
    mn_run_key former = t->key;
    *t = (mn__training){.key = {.seed = 0, .rung = c->rung},
                        .genotype = &entry->candidate->genotype,
                        .train = &c->session->rung};
    memcpy(t->key.genotype_id, entry->id, sizeof t->key.genotype_id);
    mn__rung_size(c->session, c->rung, &t->epochs, &t->images);
    if (c->rung > 0) {
        t->parent = t->genotype;
        t->map = &one->same;
        t->continued = former; /* train_rung() points to it */
        return one->same.parent == NULL
                   ? mn__layer_map_build(t->genotype, t->genotype, NULL, &one->same, err)
                   : MN_OK;
    }
    if (!entry->parent->exists)
        return MN_OK;
    double parent_accuracy = 0.0;
    mn_status status = accuracy_at(c, &entry->parent->run, &parent_accuracy, err);
    t->parent = &entry->parent->genotype;
    t->map = &entry->candidate->map;
    t->parent_run = &entry->parent->run;
    t->hopeless = hopeless_below(c, parent_accuracy);
    return status;
}

static mn__scored scored(double accuracy_percent, const mn__needs *needs)
{
    return (mn__scored){.accuracy = accuracy_percent / 100.0,
                        .weights = (double)needs->weights_bytes,
                        .arena = (double)needs->arena_bytes};
}

/* What candidates are compared with: the goal's base at this rung, or without one the mean of what
 * was trained. */
static mn_status reference(const climb *c, mn__scored *ret, mn__needs *ret_needs, mn_error *err)
{
    const mn__base *base = &mn__session_goal(c->session)->base;
    mn__scored mean = {0};
    double effort = 0.0;
    double macs = 0.0;
    uint32_t good = 0;
    if (base->exists) {
        double accuracy = 0.0;
        mn_status status = accuracy_at(c, &base->run, &accuracy, err);
        if (status == MN_OK)
            status = mn__measure(&base->genotype, c->session->opts->precision, ret_needs, err);
        if (status == MN_OK)
            *ret = scored(accuracy, ret_needs);
        return status;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        const climber *one = &c->climbers[i];
        if (one->training.row.failed)
            continue;
        mn__scored s = scored(one->training.row.val_accuracy, &one->entry->needs);
        mean.accuracy += s.accuracy;
        mean.weights += s.weights;
        mean.arena += s.arena;
        effort += one->entry->needs.effort;
        macs += (double)one->entry->needs.macs;
        good++;
    }
    if (good > 0) {
        *ret = (mn__scored){mean.accuracy / good, mean.weights / good, mean.arena / good};
        *ret_needs = (mn__needs){.weights_bytes = (uint64_t)(mean.weights / good),
                                 .arena_bytes = (uint64_t)(mean.arena / good),
                                 .macs = (uint64_t)(macs / good),
                                 .effort = effort / good};
    }
    return MN_OK;
}

static int better_first(const void *a, const void *b)
{
    const climber *x = a;
    const climber *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return strcmp(x->entry->id, y->entry->id);
}

/* Scores what the rung has trained and sorts it, best first. */
static mn_status score_rung(climb *c, mn_error *err)
{
    const mn_search_opts *opts = c->session->opts;
    double bound = (double)mn__session_goal(c->session)->bytes;
    mn__scored against = {0};
    mn__needs beside = {0};
    mn_status status = reference(c, &against, &beside, err);
    for (uint32_t i = 0; i < c->count && status == MN_OK; i++) {
        climber *one = &c->climbers[i];
        mn__scored s = scored(one->training.row.val_accuracy, &one->entry->needs);
        s.accuracy =
            1.0 - mn__equal_time_errors(c->session, 1.0 - s.accuracy, &one->entry->needs, &beside);
        one->score = one->training.row.failed ? -(double)INFINITY
                     : opts->preset == MN_PRESET_PAPER
                         ? mn__score_paper(&s, &against, opts->lambda)
                         : mn__score_bounded(&s, &against, opts->lambda, bound);
    }
    if (status == MN_OK)
        qsort(c->climbers, c->count, sizeof *c->climbers, better_first);
    return status;
}

static mn_status train_rung(climb *c, mn_error *err)
{
    mn__training *trainings = mn_calloc(c->count, sizeof *trainings);
    mn_status status = MN_OK;
    if (trainings == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < c->count && status == MN_OK; i++) {
        status = prepare(c, &c->climbers[i], err);
        trainings[i] = c->climbers[i].training;
        if (c->rung > 0)
            trainings[i].parent_run = &trainings[i].continued;
    }
    c->session->progress.rung = c->rung;
    c->session->progress.rung_count = mn__rung_last(c->session) + 1;
    if (status == MN_OK)
        status = mn__session_train(c->session, trainings, c->count, err);
    for (uint32_t i = 0; i < c->count && status == MN_OK; i++)
        c->climbers[i].training.row = trainings[i].row;
    free(trainings);
    return status == MN_OK ? score_rung(c, err) : status;
}

/* The rung's outcome is known: who may go on? One at least; failed ones may not. */
static void halve(climb *c)
{
    uint32_t keep = mn__rung_keeps(c->count);
    while (keep > 0 && c->climbers[keep - 1].training.row.failed)
        keep--;
    for (uint32_t i = keep; i < c->count; i++)
        mn_layer_map_done(&c->climbers[i].same);
    c->count = keep;
}

static mn__survivor survivor_of(const climber *one)
{
    return (mn__survivor){.entry = one->entry,
                          .run = one->training.key,
                          .accuracy = one->training.row.val_accuracy,
                          .score = one->score};
}

/* What only the first rung tells: how many networks can be trained, and what they reach at once. */
static mn_status
note_first(const climb *c, const mn__pool *pool, mn__rungs_result *result, mn_error *err)
{
    result->first_accuracy = mn_calloc(pool->count, sizeof *result->first_accuracy);
    if (result->first_accuracy == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < pool->count; i++)
        result->first_accuracy[i] = (double)NAN;
    for (uint32_t i = 0; i < c->count; i++) {
        const climber *one = &c->climbers[i];
        result->trained += !one->training.row.failed;
        result->failed += one->training.row.failed;
        result->first_accuracy[one->entry - pool->entries] = one->training.row.val_accuracy;
    }
    return MN_OK;
}

static mn_status run(climb *c, const mn__pool *pool, mn__rungs_result *result, mn_error *err)
{
    mn_status status = MN_OK;
    uint32_t last = mn__rung_last(c->session);
    for (c->rung = 0; c->rung <= last && c->count > 0 && status == MN_OK; c->rung++) {
        status = train_rung(c, err);
        if (status == MN_OK && c->rung == 0)
            status = note_first(c, pool, result, err);
        /* When all that climbed failed at this rung, the best of the last one stays. */
        if (status == MN_OK && !c->climbers[0].training.row.failed)
            result->best = survivor_of(&c->climbers[0]);
        if (status == MN_OK)
            halve(c);
    }
    return status;
}

mn_status mn__rungs_run(mn__session *session,
                        uint32_t round,
                        const mn__pool *pool,
                        mn__rungs_result *ret_result,
                        mn_error *err)
{
    climb c = {.session = session, .round = round};
    mn__rungs_result result = {0};
    mn_status status = MN_OK;
    c.climbers = mn_calloc(pool->count, sizeof *c.climbers);
    if (c.climbers == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < pool->count; i++)
        if (pool->entries[i].chosen)
            c.climbers[c.count++].entry = &pool->entries[i];
    status = run(&c, pool, &result, err);
    for (uint32_t i = 0; i < pool->count; i++)
        mn_layer_map_done(&c.climbers[i].same);
    free(c.climbers);
    if (status == MN_OK)
        *ret_result = result;
    else
        mn__rungs_done(&result);
    return status;
}

/*
 * Jobs and results as JSON lines. 64-bit seeds travel as decimal strings, since JSON readers may
 * keep only 53 bits.
 */
#include "search/job.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/size.h"
#include "space/layer_map.h"

static const size_t max_line_bytes = (size_t)4 << 20;

void mn__job_done(mn__job *job)
{
    free(job->weights);
    free(job->checkpoint);
    free(job->parent_weights);
    mn_layer_map_done(&job->map);
    *job = (mn__job){0};
}

void mn__result_done(mn__result *result)
{
    free(result->reason);
    free(result->curve_json);
    *result = (mn__result){0};
}

/* ---- printing ----------------------------------------------------------------------------------
 */

/* A genotype as a JSON value inside a larger one; NULL when out of memory. */
static json_t *genotype_value(const mn_genotype *genotype)
{
    char *text = NULL;
    if (mn_genotype_print(genotype, 0, &text, NULL) != MN_OK)
        return NULL;
    json_t *value = json_loads(text, 0, NULL);
    free(text);
    return value;
}

static json_t *map_value(const mn_layer_map *map)
{
    char *text = NULL;
    if (mn_layer_map_print(map, &text, NULL) != MN_OK)
        return NULL;
    json_t *value = json_loads(text, 0, NULL);
    free(text);
    return value;
}

static json_t *seed_value(uint64_t seed)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, seed);
    return json_string(text);
}

static json_t *train_value(const mn_train_opts *o)
{
    return json_pack(
        "{s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:b, s:b, s:i, s:i, s:i, s:i, s:f, s:o, s:i}",
        "epochs",
        (int)o->epochs,
        "batch",
        (int)o->batch,
        "learning_rate",
        (double)o->learning_rate,
        "momentum",
        (double)o->momentum,
        "weight_decay",
        (double)o->weight_decay,
        "label_smoothing",
        (double)o->label_smoothing,
        "beta_rate",
        (double)o->beta_rate,
        "average",
        (double)o->average,
        "dirac",
        (int)o->dirac,
        "whiten",
        (int)o->whiten,
        "schedule",
        (int)o->schedule,
        "crop_padding",
        (int)o->augmentation.crop_padding,
        "flip",
        (int)o->augmentation.flip,
        "cutout",
        (int)o->augmentation.cutout,
        "mixup",
        (double)o->augmentation.mixup,
        "seed",
        seed_value(o->seed),
        "threads",
        (int)o->threads);
}

static json_t *parent_value(const mn__job *job)
{
    if (!job->has_parent)
        return json_null();
    return json_pack("{s:o, s:s, s:o}",
                     "genotype",
                     genotype_value(&job->parent),
                     "weights",
                     job->parent_weights,
                     "map",
                     map_value(&job->map));
}

mn_status mn__job_print(const mn__job *job, char **ret_line, mn_error *err)
{
    json_t *object = NULL;
    if (job->kind == MN__JOB_TEST)
        object = json_pack("{s:s, s:o, s:s, s:s}",
                           "kind",
                           "test",
                           "genotype",
                           genotype_value(&job->genotype),
                           "weights",
                           job->weights,
                           "precision",
                           mn_precision_name(job->precision));
    else
        object = json_pack("{s:s, s:o, s:s, s:s, s:o, s:I, s:o, s:f, s:f, s:i, s:s, s:o}",
                           "kind",
                           job->kind == MN__JOB_KEEP ? "keep" : "train",
                           "genotype",
                           genotype_value(&job->genotype),
                           "weights",
                           job->weights,
                           "precision",
                           mn_precision_name(job->precision),
                           "train",
                           train_value(&job->train),
                           "images",
                           (json_int_t)job->images,
                           "split_seed",
                           seed_value(job->split_seed),
                           "split_fraction",
                           job->split_fraction,
                           "hopeless",
                           job->hopeless,
                           "qat_epochs",
                           (int)job->qat_epochs,
                           "checkpoint",
                           job->checkpoint,
                           "parent",
                           parent_value(job));
    char *line = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (line == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory, or a path that is not UTF-8");
    *ret_line = line;
    return MN_OK;
}

/* A reason may name a path, which need not be UTF-8 (or was cut off inside a character). */
static json_t *reason_value(const char *reason)
{
    const char *text = reason == NULL ? "" : reason;
    json_t *value = json_string(text);
    char *ascii = value == NULL ? strdup(text) : NULL;
    if (ascii == NULL)
        return value;
    for (char *p = ascii; *p != '\0'; p++)
        if ((unsigned char)*p > 0x7e)
            *p = '?';
    value = json_string(ascii);
    free(ascii);
    return value;
}

mn_status mn__result_print(const mn__result *result, char **ret_line, mn_error *err)
{
    bool unusable = result->failed || result->fatal; /* then the numbers may not be finite */
    json_t *object = json_pack("{s:b, s:b, s:o, s:f, s:f, s:s, s:I}",
                               "failed",
                               (int)result->failed,
                               "fatal",
                               (int)result->fatal,
                               "reason",
                               reason_value(result->reason),
                               "accuracy",
                               unusable ? 0.0 : result->accuracy,
                               "loss",
                               unusable ? 0.0 : result->loss,
                               "curve",
                               result->curve_json == NULL ? "[]" : result->curve_json,
                               "train_ms",
                               (json_int_t)result->train_ms);
    char *line = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (line == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    *ret_line = line;
    return MN_OK;
}

/* ---- parsing -----------------------------------------------------------------------------------
 */

static mn_status
get_count(const json_t *object, const char *where, const char *key, uint32_t *ret, mn_error *err)
{
    int64_t value = 0;
    mn_status status =
        mn_json_get_integer(object, where, key, 0, (int64_t)UINT32_MAX - 1, &value, err);
    if (status == MN_OK)
        *ret = (uint32_t)value;
    return status;
}

static mn_status
get_float(const json_t *object, const char *where, const char *key, float *ret, mn_error *err)
{
    double value = 0.0;
    mn_status status = mn_json_get_number(object, where, key, &value, err);
    if (status == MN_OK)
        *ret = (float)value;
    return status;
}

static mn_status
get_seed(const json_t *object, const char *where, const char *key, uint64_t *ret, mn_error *err)
{
    const char *text = NULL;
    char *rest = NULL;
    mn_status status = mn_json_get_string(object, where, key, &text, err);
    if (status != MN_OK)
        return status;
    errno = 0;
    uint64_t value = strtoull(text, &rest, 10);
    if (text[0] < '0' || text[0] > '9' || *rest != '\0' || errno != 0)
        return mn_error_set(err, MN_ERR_FORMAT, "%s: '%s': not a seed", where, key);
    *ret = value;
    return MN_OK;
}

static mn_status
get_copy(const json_t *object, const char *where, const char *key, char **ret, mn_error *err)
{
    const char *text = NULL;
    mn_status status = mn_json_get_string(object, where, key, &text, err);
    if (status != MN_OK)
        return status;
    *ret = strdup(text);
    return *ret == NULL ? mn_error_set(err, MN_ERR_NOMEM, "out of memory") : MN_OK;
}

static mn_status
get_genotype(const json_t *object, const char *where, mn_genotype *ret, mn_error *err)
{
    const json_t *value = json_object_get(object, "genotype");
    char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT);
    if (text == NULL)
        return mn_error_set(err, MN_ERR_FORMAT, "%s: no genotype", where);
    mn_status status = mn_genotype_parse(text, strlen(text), ret, err);
    free(text);
    return status;
}

static mn_status parse_train(const json_t *object, mn_train_opts *o, mn_error *err)
{
    const char *where = "job: train";
    uint32_t schedule = 0;
    uint32_t flip = 0;
    mn_status status = get_count(object, where, "epochs", &o->epochs, err);
    if (status == MN_OK)
        status = get_count(object, where, "batch", &o->batch, err);
    if (status == MN_OK)
        status = get_float(object, where, "learning_rate", &o->learning_rate, err);
    if (status == MN_OK)
        status = get_float(object, where, "momentum", &o->momentum, err);
    if (status == MN_OK)
        status = get_float(object, where, "weight_decay", &o->weight_decay, err);
    if (status == MN_OK)
        status = get_float(object, where, "label_smoothing", &o->label_smoothing, err);
    if (status == MN_OK)
        status = get_float(object, where, "beta_rate", &o->beta_rate, err);
    if (status == MN_OK)
        status = get_float(object, where, "average", &o->average, err);
    if (status == MN_OK)
        status = mn_json_get_boolean(object, where, "dirac", &o->dirac, err);
    if (status == MN_OK)
        status = mn_json_get_boolean(object, where, "whiten", &o->whiten, err);
    if (status == MN_OK)
        status = get_count(object, where, "schedule", &schedule, err);
    if (status == MN_OK)
        status = get_count(object, where, "crop_padding", &o->augmentation.crop_padding, err);
    if (status == MN_OK)
        status = get_count(object, where, "flip", &flip, err);
    if (status == MN_OK)
        status = get_count(object, where, "cutout", &o->augmentation.cutout, err);
    if (status == MN_OK)
        status = get_float(object, where, "mixup", &o->augmentation.mixup, err);
    if (status == MN_OK)
        status = get_seed(object, where, "seed", &o->seed, err);
    if (status == MN_OK)
        status = get_count(object, where, "threads", &o->threads, err);
    if (status == MN_OK && schedule > MN_SCHEDULE_ONE_CYCLE)
        status = mn_error_set(err, MN_ERR_FORMAT, "%s: no schedule %u", where, schedule);
    if (status == MN_OK && flip > MN_FLIP_ALTERNATING)
        status = mn_error_set(err, MN_ERR_FORMAT, "%s: no flip %u", where, flip);
    o->schedule = (mn_schedule)schedule;
    o->augmentation.flip = (mn_flip)flip;
    return status == MN_OK ? mn_train_opts_check(o, err) : status;
}

static mn_status parse_parent(const json_t *object, mn__job *job, mn_error *err)
{
    const char *where = "job: parent";
    mn_status status = get_genotype(object, where, &job->parent, err);
    if (status == MN_OK)
        status = get_copy(object, where, "weights", &job->parent_weights, err);
    const json_t *map = json_object_get(object, "map");
    char *text = map == NULL ? NULL : json_dumps(map, JSON_COMPACT);
    if (status == MN_OK && text == NULL)
        status = mn_error_set(err, MN_ERR_FORMAT, "%s: no map", where);
    if (status == MN_OK)
        status = mn_layer_map_parse(text, strlen(text), &job->map, err);
    free(text);
    uint32_t layers = mn_genotype_layer_count(&job->parent);
    for (uint32_t i = 0; status == MN_OK && i < job->map.count; i++)
        if (job->map.parent[i] != MN_NONE && job->map.parent[i] >= layers)
            status = mn_error_set(err,
                                  MN_ERR_FORMAT,
                                  "%s: layer %u out of range [0,%u)",
                                  where,
                                  job->map.parent[i],
                                  layers);
    job->has_parent = true;
    return status;
}

static mn_status parse_kind(const char *text, mn__job_kind *ret_kind, mn_error *err)
{
    static const char *const names[] = {
        [MN__JOB_TRAIN] = "train", [MN__JOB_KEEP] = "keep", [MN__JOB_TEST] = "test"};
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            *ret_kind = (mn__job_kind)i;
            return MN_OK;
        }
    return mn_error_set(err, MN_ERR_FORMAT, "job: kind '%s': no such kind", text);
}

static mn_status parse_object(const json_t *object, mn__job *job, mn_error *err)
{
    const char *where = "job";
    const char *kind = NULL;
    const char *precision = NULL;
    mn_status status = mn_json_get_string(object, where, "kind", &kind, err);
    if (status == MN_OK)
        status = get_genotype(object, where, &job->genotype, err);
    if (status == MN_OK)
        status = get_copy(object, where, "weights", &job->weights, err);
    if (status == MN_OK)
        status = mn_json_get_string(object, where, "precision", &precision, err);
    if (status == MN_OK)
        status = mn_precision_parse(precision, &job->precision, err);
    if (status != MN_OK)
        return status;
    status = parse_kind(kind, &job->kind, err);
    if (status != MN_OK || job->kind == MN__JOB_TEST)
        return status;
    status = parse_train(json_object_get(object, "train"), &job->train, err);
    if (status == MN_OK)
        status = get_count(object, where, "images", &job->images, err);
    if (status == MN_OK)
        status = get_seed(object, where, "split_seed", &job->split_seed, err);
    if (status == MN_OK)
        status = mn_json_get_number(object, where, "split_fraction", &job->split_fraction, err);
    if (status == MN_OK)
        status = mn_json_get_number(object, where, "hopeless", &job->hopeless, err);
    if (status == MN_OK)
        status = get_count(object, where, "qat_epochs", &job->qat_epochs, err);
    if (status == MN_OK && !(job->hopeless >= 0.0 && job->hopeless <= 100.0))
        status = mn_error_set(err, MN_ERR_FORMAT, "%s: hopeless %g", where, job->hopeless);
    if (status == MN_OK)
        status = get_copy(object, where, "checkpoint", &job->checkpoint, err);
    const json_t *parent = json_object_get(object, "parent");
    if (status == MN_OK && !json_is_null(parent))
        status = parse_parent(parent, job, err);
    if (status == MN_OK && job->kind == MN__JOB_KEEP && !job->has_parent)
        status = mn_error_set(err, MN_ERR_FORMAT, "%s: no parent whose weights to keep", where);
    return status;
}

mn_status mn__job_parse(const char *line, size_t count, mn__job *ret_job, mn_error *err)
{
    mn__job job = {0};
    json_t *object = NULL;
    mn_status status = mn_json_parse("job", line, count, max_line_bytes, &object, err);
    if (status == MN_OK)
        status = parse_object(object, &job, err);
    json_decref(object);
    if (status == MN_OK)
        *ret_job = job;
    else
        mn__job_done(&job);
    return status;
}

mn_status mn__result_parse(const char *line, size_t count, mn__result *ret_result, mn_error *err)
{
    const char *where = "result";
    mn__result result = {0};
    json_t *object = NULL;
    int64_t train_ms = 0;
    mn_status status = mn_json_parse(where, line, count, max_line_bytes, &object, err);
    if (status == MN_OK)
        status = mn_json_get_boolean(object, where, "failed", &result.failed, err);
    if (status == MN_OK)
        status = mn_json_get_boolean(object, where, "fatal", &result.fatal, err);
    if (status == MN_OK)
        status = get_copy(object, where, "reason", &result.reason, err);
    if (status == MN_OK)
        status = mn_json_get_number(object, where, "accuracy", &result.accuracy, err);
    if (status == MN_OK)
        status = mn_json_get_number(object, where, "loss", &result.loss, err);
    if (status == MN_OK)
        status = get_copy(object, where, "curve", &result.curve_json, err);
    if (status == MN_OK)
        status = mn_json_get_integer(object, where, "train_ms", 0, INT64_MAX, &train_ms, err);
    result.train_ms = train_ms;
    json_decref(object);
    if (status == MN_OK)
        *ret_result = result;
    else
        mn__result_done(&result);
    return status;
}

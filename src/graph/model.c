/*
 * Model files: a safetensors file whose metadata say what the tensors are for.
 *
 *   format_version  "1"
 *   architecture    genotype JSON
 *   preprocessing   {"mean": m, "scale": s}
 *   class_names     ["first", ..]
 *   split           {"seed": "decimal, since JSON numbers lose 64 bits", "fraction": f}
 *   data_hash       16 hex digits or ""
 *   precision       "int8" for quantised models; absent, or "float32", for others
 *
 * Other keys are left alone. Invariant: a model that was saved loads with every field equal, floats
 * to the bit; a model that breaks the contract is refused before a byte is written.
 */
#include "graph/model.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/size.h"
#include "base/utf8.h"
#include "graph/safetensors.h"

/* Digits that carry every float and every double through text and back. */
#define FLOAT_DIGITS 9
#define DOUBLE_DIGITS 17

#define SEED_TEXT_BYTES 21 /* 20 digits and the NUL */

void mn_model_free(mn_model *model)
{
    if (model == NULL)
        return;
    mn_tensors_free(model->tensors);
    for (uint32_t i = 0; model->class_names != NULL && i < model->class_count; i++)
        free(model->class_names[i]);
    free(model->class_names);
    free(model->architecture);
    free(model);
}

static bool hash_is_valid(const char *hash, size_t length)
{
    return length == 0 || (length == 16 && strspn(hash, "0123456789abcdef") == 16);
}

/* The rules of memnet/model.h for numbers; `status` is what a breach is called here. */
static mn_status check_numbers(const mn_model *model, mn_status status, mn_error *err)
{
    double mean = (double)model->preprocessing.mean;
    double scale = (double)model->preprocessing.scale;
    double fraction = model->split_fraction;
    if (!isfinite(mean))
        return mn_error_set(err, status, "preprocessing: mean %g, expected a finite number", mean);
    if (!isfinite(scale) || scale <= 0)
        return mn_error_set(
            err, status, "preprocessing: scale %g, expected a finite number above 0", scale);
    if (!(fraction >= 0 && fraction < 1))
        return mn_error_set(err, status, "split: fraction %g out of range [0, 1)", fraction);
    return MN_OK;
}

static mn_status check_model(const mn_model *model, mn_error *err)
{
    if (model->architecture == NULL || model->architecture[0] == '\0')
        return mn_error_set(err, MN_ERR_ARG, "architecture: empty, expected genotype JSON");
    if (model->tensors == NULL)
        return mn_error_set(err, MN_ERR_ARG, "tensors: none, expected a list");
    if (model->class_count == 0)
        return mn_error_set(err, MN_ERR_ARG, "class_names: empty, expected at least one");
    for (uint32_t i = 0; i < model->class_count; i++) {
        if (model->class_names[i] == NULL || !mn_text_is_utf8(model->class_names[i]))
            return mn_error_set(err, MN_ERR_ARG, "class_names: name %u is not UTF-8", i);
    }
    if (!hash_is_valid(model->data_hash, strnlen(model->data_hash, sizeof model->data_hash)))
        return mn_error_set(err, MN_ERR_ARG, "data_hash: expected 16 hex digits or nothing");
    return check_numbers(model, MN_ERR_ARG, err);
}

/* Adds `value`, which this function takes, as text; NULL is the failure of who made it. */
static mn_status
add_json(mn_metadata *metadata, const char *key, json_t *value, size_t digits, mn_error *err)
{
    char *text = NULL;
    if (value != NULL)
        text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(digits));
    mn_status status = text == NULL
                           ? mn_error_set(err, MN_ERR_NOMEM, "metadata '%s': out of memory", key)
                           : mn_metadata_add(metadata, key, text, err);
    free(text);
    json_decref(value);
    return status;
}

/* NULL when out of memory; the names are known to be UTF-8. */
static json_t *names_to_json(const mn_model *model)
{
    json_t *names = json_array();
    for (uint32_t i = 0; names != NULL && i < model->class_count; i++) {
        if (json_array_append_new(names, json_string(model->class_names[i])) != 0) {
            json_decref(names);
            names = NULL;
        }
    }
    return names;
}

mn_status mn_model_describe(const mn_model *model, mn_metadata *metadata, mn_error *err)
{
    char version[16];
    char seed[SEED_TEXT_BYTES];
    mn_status status = check_model(model, err);
    if (status != MN_OK)
        return status;
    snprintf(version, sizeof version, "%d", MN_MODEL_FORMAT);
    snprintf(seed, sizeof seed, "%" PRIu64, model->split_seed);
    status = mn_metadata_add(metadata, "format_version", version, err);
    if (status == MN_OK)
        status = mn_metadata_add(metadata, "architecture", model->architecture, err);
    if (status == MN_OK)
        status = add_json(metadata,
                          "preprocessing",
                          json_pack("{s:f, s:f}",
                                    "mean",
                                    (double)model->preprocessing.mean,
                                    "scale",
                                    (double)model->preprocessing.scale),
                          FLOAT_DIGITS,
                          err);
    if (status == MN_OK)
        status = add_json(metadata, "class_names", names_to_json(model), DOUBLE_DIGITS, err);
    if (status == MN_OK)
        status = add_json(metadata,
                          "split",
                          json_pack("{s:s, s:f}", "seed", seed, "fraction", model->split_fraction),
                          DOUBLE_DIGITS,
                          err);
    if (status == MN_OK)
        status = mn_metadata_add(metadata, "data_hash", model->data_hash, err);
    if (status == MN_OK && model->is_int8)
        status = mn_metadata_add(metadata, "precision", "int8", err);
    return status;
}

mn_status
mn_model_serialise(const mn_model *model, char **ret_bytes, size_t *ret_count, mn_error *err)
{
    mn_metadata metadata;
    mn_metadata_init(&metadata);
    mn_status status = mn_model_describe(model, &metadata, err);
    if (status == MN_OK)
        status = mn_safetensors_serialise(model->tensors, &metadata, ret_bytes, ret_count, err);
    mn_metadata_done(&metadata);
    return status;
}

mn_status mn_model_save(const mn_model *model, const char *path, mn_error *err)
{
    char *bytes = NULL;
    size_t count = 0;
    mn_status status = mn_model_serialise(model, &bytes, &count, err);
    if (status != MN_OK)
        return mn_error_prefix(err, status, "%s", path);
    status = mn_file_write(path, bytes, count, err);
    free(bytes);
    return status;
}

/* ---- reading ------------------------------------------------------------------------------- */

static mn_status
get_text(const mn_metadata *metadata, const char *key, const char **ret_text, mn_error *err)
{
    const char *text = mn_metadata_get(metadata, key);
    if (text == NULL)
        return mn_error_set(err, MN_ERR_FORMAT, "metadata '%s' is missing: no model file?", key);
    *ret_text = text;
    return MN_OK;
}

/* The JSON value of a metadata string; the caller json_decref()s it. */
static mn_status
get_json(const mn_metadata *metadata, const char *key, json_t **ret_value, mn_error *err)
{
    const char *text = NULL;
    mn_status status = get_text(metadata, key, &text, err);
    if (status != MN_OK)
        return status;
    return mn_json_parse(key, text, strlen(text), MN_SAFETENSORS_HEADER_MAX, ret_value, err);
}

static mn_status check_version(const mn_metadata *metadata, mn_error *err)
{
    const char *text = NULL;
    int64_t version = 0;
    mn_status status = get_text(metadata, "format_version", &text, err);
    if (status != MN_OK)
        return status;
    if (mn_integer_parse("format_version", text, 1, INT32_MAX, &version, NULL) != MN_OK)
        return mn_error_set(
            err, MN_ERR_FORMAT, "format_version '%.32s', expected %d", text, MN_MODEL_FORMAT);
    if (version != MN_MODEL_FORMAT)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "format_version %" PRId64 ", expected %d",
                            version,
                            MN_MODEL_FORMAT);
    return MN_OK;
}

static mn_status
read_preprocessing(const mn_metadata *metadata, mn_preprocessing *preprocessing, mn_error *err)
{
    static const char *const keys[] = {"mean", "scale", NULL};
    json_t *json = NULL;
    double mean = 0;
    double scale = 0;
    mn_status status = get_json(metadata, "preprocessing", &json, err);
    if (status == MN_OK)
        status = mn_json_check_keys(json, "preprocessing", keys, err);
    if (status == MN_OK)
        status = mn_json_get_number(json, "preprocessing", "mean", &mean, err);
    if (status == MN_OK)
        status = mn_json_get_number(json, "preprocessing", "scale", &scale, err);
    /* Too large for a float becomes infinite and is refused by check_numbers(). */
    preprocessing->mean = (float)mean;
    preprocessing->scale = (float)scale;
    json_decref(json);
    return status;
}

static mn_status read_seed(const char *text, uint64_t *ret_seed, mn_error *err)
{
    size_t length = strlen(text);
    errno = 0;
    /* strtoull() alone would take signs and spaces. */
    if (length > 0 && length < SEED_TEXT_BYTES && strspn(text, "0123456789") == length) {
        unsigned long long seed = strtoull(text, NULL, 10);
        if (errno == 0) {
            *ret_seed = seed;
            return MN_OK;
        }
    }
    return mn_error_set(
        err, MN_ERR_FORMAT, "split: seed '%.32s', expected a decimal number of 64 bits", text);
}

static mn_status read_split(const mn_metadata *metadata, mn_model *model, mn_error *err)
{
    static const char *const keys[] = {"seed", "fraction", NULL};
    json_t *json = NULL;
    const char *seed = NULL;
    mn_status status = get_json(metadata, "split", &json, err);
    if (status == MN_OK)
        status = mn_json_check_keys(json, "split", keys, err);
    if (status == MN_OK)
        status = mn_json_get_string(json, "split", "seed", &seed, err);
    if (status == MN_OK)
        status = read_seed(seed, &model->split_seed, err);
    if (status == MN_OK)
        status = mn_json_get_number(json, "split", "fraction", &model->split_fraction, err);
    json_decref(json);
    return status;
}

static mn_status read_class_names(const mn_metadata *metadata, mn_model *model, mn_error *err)
{
    json_t *names = NULL;
    mn_status status = get_json(metadata, "class_names", &names, err);
    if (status != MN_OK)
        goto done;
    size_t count = json_array_size(names);
    if (count == 0) {
        status = mn_error_set(
            err, MN_ERR_FORMAT, "class_names: expected an array of at least one string");
        goto done;
    }
    model->class_names = mn_calloc(count, sizeof *model->class_names);
    if (model->class_names == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "class_names: no memory for %zu", count);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name == NULL) {
            status = mn_error_set(err, MN_ERR_FORMAT, "class_names[%zu]: expected a string", i);
            goto done;
        }
        model->class_names[i] = strdup(name);
        if (model->class_names[i] == NULL) {
            status = mn_error_set(err, MN_ERR_NOMEM, "class_names[%zu]: out of memory", i);
            goto done;
        }
        model->class_count++;
    }
done:
    json_decref(names);
    return status;
}

static mn_status read_texts(const mn_metadata *metadata, mn_model *model, mn_error *err)
{
    const char *architecture = NULL;
    const char *hash = NULL;
    mn_status status = get_text(metadata, "architecture", &architecture, err);
    if (status == MN_OK)
        status = get_text(metadata, "data_hash", &hash, err);
    if (status != MN_OK)
        return status;
    if (architecture[0] == '\0')
        return mn_error_set(err, MN_ERR_FORMAT, "architecture: empty, expected genotype JSON");
    if (!hash_is_valid(hash, strlen(hash)))
        return mn_error_set(
            err, MN_ERR_FORMAT, "data_hash '%.32s', expected 16 hex digits or nothing", hash);
    snprintf(model->data_hash, sizeof model->data_hash, "%s", hash);
    model->architecture = strdup(architecture);
    if (model->architecture == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "architecture: out of memory");
    return MN_OK;
}

static mn_status read_precision(const mn_metadata *metadata, mn_model *model, mn_error *err)
{
    const char *text = mn_metadata_get(metadata, "precision");
    model->is_int8 = text != NULL && strcmp(text, "int8") == 0;
    if (text == NULL || model->is_int8 || strcmp(text, "float32") == 0)
        return MN_OK;
    return mn_error_set(
        err, MN_ERR_UNSUPPORTED, "precision '%.32s', expected float32 or int8", text);
}

static mn_status read_fields(const mn_metadata *metadata, mn_model *model, mn_error *err)
{
    mn_status status = check_version(metadata, err);
    if (status == MN_OK)
        status = read_texts(metadata, model, err);
    if (status == MN_OK)
        status = read_preprocessing(metadata, &model->preprocessing, err);
    if (status == MN_OK)
        status = read_class_names(metadata, model, err);
    if (status == MN_OK)
        status = read_split(metadata, model, err);
    if (status == MN_OK)
        status = read_precision(metadata, model, err);
    if (status == MN_OK)
        status = check_numbers(model, MN_ERR_FORMAT, err);
    return status;
}

mn_status mn_model_parse(
    const char *where, const void *bytes, size_t count, mn_model **ret_model, mn_error *err)
{
    mn_metadata metadata;
    mn_metadata_init(&metadata);
    mn_status status = MN_OK;
    mn_model *model = mn_calloc(1, sizeof *model);
    if (model == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", where);
        goto done;
    }
    status = mn_safetensors_parse(where, bytes, count, &model->tensors, &metadata, err);
    if (status != MN_OK)
        goto done;
    status = read_fields(&metadata, model, err);
    if (status != MN_OK) {
        status = mn_error_prefix(err, status, "%s", where);
        goto done;
    }
    *ret_model = model;
    model = NULL;
done:
    mn_model_free(model);
    mn_metadata_done(&metadata);
    return status;
}

mn_status mn_model_load(const char *path, mn_model **ret_model, mn_error *err)
{
    char *bytes = NULL;
    size_t count = 0;
    mn_status status = mn_file_read(path, MN_SAFETENSORS_FILE_MAX, &bytes, &count, err);
    if (status != MN_OK)
        return status;
    status = mn_model_parse(path, bytes, count, ret_model, err);
    free(bytes);
    return status;
}

/*
 * The setup of a study: store, load, compare. A search is only worth going on with when everything
 * that decides its results is as it was, so every difference is named, never overridden.
 */
#include "study/setup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/size.h"
#include "study/query.h"

#define OPTIONS_MAX_BYTES ((size_t)1 << 20)
#define BOUNDS_MAX 1024

mn_status mn__setup_check(const mn_study_setup *setup, mn_error *err)
{
    if (setup->options_json == NULL || setup->data_hash == NULL)
        return mn_error_set(err, MN_ERR_ARG, "study setup: no options or no data hash");
    if (setup->bounds_bytes == NULL || setup->bound_count < 1 || setup->bound_count > BOUNDS_MAX)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "study setup: %" PRIu32 " bounds, expected 1 to %d",
                            setup->bound_count,
                            BOUNDS_MAX);
    for (uint32_t i = 0; i < setup->bound_count; i++) {
        uint64_t bytes = setup->bounds_bytes[i];
        if (bytes == 0 || (i > 0 && bytes >= setup->bounds_bytes[i - 1]))
            return mn_error_set(err,
                                MN_ERR_ARG,
                                "study setup: bound %" PRIu32 ": %" PRIu64
                                " bytes, expected above 0 and below the bound before it",
                                i,
                                bytes);
    }
    json_t *options = NULL;
    mn_status status = mn_json_parse("study options",
                                     setup->options_json,
                                     strlen(setup->options_json),
                                     OPTIONS_MAX_BYTES,
                                     &options,
                                     err);
    if (status == MN_OK && !json_is_object(options))
        status = mn_error_set(err, MN_ERR_FORMAT, "study options: not a JSON object");
    json_decref(options);
    return status;
}

/* ---- database -------------------------------------------------------------------------------- */

static mn_status store_bound(mn_study *study, uint32_t position, uint64_t bytes, mn_error *err)
{
    mn__query query = mn__query_write(study, "INSERT INTO bounds (position, bytes) VALUES (?, ?)");
    mn__bind_unsigned(&query, position);
    mn__bind_unsigned(&query, bytes);
    return mn__query_finish(&query, err);
}

mn_status mn__setup_store(mn_study *study, const mn_study_setup *setup, mn_error *err)
{
    mn__query query = mn__query_write(
        study, "INSERT INTO studies (id, seed, data_hash, options_json) VALUES (1, ?, ?, ?)");
    mn__bind_unsigned(&query, setup->seed);
    mn__bind_text(&query, setup->data_hash);
    mn__bind_text(&query, setup->options_json);
    mn_status status = mn__query_finish(&query, err);
    for (uint32_t i = 0; status == MN_OK && i < setup->bound_count; i++)
        status = store_bound(study, i, setup->bounds_bytes[i], err);
    return status;
}

static mn_status load_row(mn_study *study, mn_error *err)
{
    mn__query query = mn__query_read(study,
                                     "SELECT seed, data_hash, options_json, active_ms,"
                                     "  (SELECT count(*) FROM bounds)"
                                     " FROM studies");
    bool found = mn__query_step(&query);
    if (found) {
        study->seed = mn__take_unsigned(&query);
        study->data_hash = mn__take_text(&query);
        study->options_json = mn__take_text(&query);
        study->active_ms = mn__take_signed(&query);
        study->bound_count = mn__take_u32(&query);
    }
    mn_status status = mn__query_end(&query, err);
    if (status == MN_OK && (!found || study->bound_count < 1 || study->bound_count > BOUNDS_MAX))
        status = mn_error_set(
            err, MN_ERR_DB, "%s: damaged database: no row in studies or no bounds", study->db_path);
    return status;
}

mn_status mn__setup_load(mn_study *study, mn_error *err)
{
    mn_status status = load_row(study, err);
    if (status != MN_OK)
        return status;
    study->bounds_bytes = mn_calloc(study->bound_count, sizeof *study->bounds_bytes);
    if (study->bounds_bytes == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", study->db_path);
    mn__query query = mn__query_read(study, "SELECT bytes FROM bounds ORDER BY position");
    for (uint32_t i = 0; i < study->bound_count && mn__query_step(&query); i++)
        study->bounds_bytes[i] = mn__take_unsigned(&query);
    return mn__query_end(&query, err);
}

void mn__setup_done(mn_study *study)
{
    free(study->bounds_bytes);
    free(study->options_json);
    free(study->data_hash);
}

/* ---- agreement ------------------------------------------------------------------------------- */

static mn_status
differs(const mn_study *study, const char *what, const char *was, const char *now, mn_error *err)
{
    return mn_error_set(err,
                        MN_ERR_MISMATCH,
                        "study %s: %s was %.100s in the study, now %.100s",
                        study->folder,
                        what,
                        was,
                        now);
}

static mn_status agree_seed(const mn_study *study, const mn_study_setup *setup, mn_error *err)
{
    if (study->seed == setup->seed)
        return MN_OK;
    return mn_error_set(err,
                        MN_ERR_MISMATCH,
                        "study %s: option 'seed' was %" PRIu64 " in the study, now %" PRIu64,
                        study->folder,
                        study->seed,
                        setup->seed);
}

static mn_status list_bounds(const uint64_t *bytes, uint32_t count, char **ret_text, mn_error *err)
{
    mn_buffer buffer;
    mn_buffer_init(&buffer);
    for (uint32_t i = 0; i < count; i++)
        mn_buffer_printf(&buffer, "%s%" PRIu64, i > 0 ? "," : "", bytes[i]);
    mn_status status = mn_buffer_take(&buffer, ret_text, err);
    mn_buffer_done(&buffer);
    return status;
}

static mn_status agree_bounds(const mn_study *study, const mn_study_setup *setup, mn_error *err)
{
    if (study->bound_count == setup->bound_count &&
        memcmp(study->bounds_bytes,
               setup->bounds_bytes,
               setup->bound_count * sizeof *setup->bounds_bytes) == 0)
        return MN_OK;
    char *was = NULL;
    char *now = NULL;
    mn_status status = list_bounds(study->bounds_bytes, study->bound_count, &was, err);
    if (status == MN_OK)
        status = list_bounds(setup->bounds_bytes, setup->bound_count, &now, err);
    if (status == MN_OK)
        status = differs(study, "the memory bound in bytes", was, now, err);
    free(now);
    free(was);
    return status;
}

/* 15 digits: 0.1 is then printed as a user types it. */
static char *print_option(const json_t *value)
{
    if (value == NULL)
        return strdup("not set");
    return json_dumps(value,
                      JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(15));
}

static mn_status agree_option(
    const mn_study *study, const char *key, const json_t *was, const json_t *now, mn_error *err)
{
    if (was != NULL && now != NULL && json_equal(was, now))
        return MN_OK;
    mn_status status = MN_OK;
    mn_buffer what;
    mn_buffer_init(&what);
    mn_buffer_printf(&what, "option '%.64s'", key);
    char *was_text = print_option(was);
    char *now_text = print_option(now);
    if (was_text == NULL || now_text == NULL || mn_buffer_check(&what, NULL) != MN_OK)
        status = mn_error_set(err, MN_ERR_NOMEM, "study %s: out of memory", study->folder);
    else
        status = differs(study, what.bytes, was_text, now_text, err);
    free(now_text);
    free(was_text);
    mn_buffer_done(&what);
    return status;
}

static mn_status agree_objects(const mn_study *study, json_t *stored, json_t *given, mn_error *err)
{
    mn_status status = MN_OK;
    const char *key;
    json_t *value;
    json_object_foreach(stored, key, value)
    {
        status = agree_option(study, key, value, json_object_get(given, key), err);
        if (status != MN_OK)
            return status;
    }
    json_object_foreach(given, key, value)
    {
        status = agree_option(study, key, json_object_get(stored, key), value, err);
        if (status != MN_OK)
            return status;
    }
    return MN_OK;
}

static mn_status agree_options(const mn_study *study, const char *options_json, mn_error *err)
{
    json_t *stored = NULL;
    json_t *given = NULL;
    mn_status status = mn_json_parse("options_json",
                                     study->options_json,
                                     strlen(study->options_json),
                                     OPTIONS_MAX_BYTES,
                                     &stored,
                                     err);
    if (status == MN_OK && !json_is_object(stored))
        status = mn_error_set(err, MN_ERR_FORMAT, "options_json: not a JSON object");
    if (status != MN_OK) {
        status = mn_error_prefix(err, MN_ERR_DB, "%s: damaged database", study->db_path);
        goto done;
    }
    status = mn_json_parse(
        "study options", options_json, strlen(options_json), OPTIONS_MAX_BYTES, &given, err);
    if (status == MN_OK)
        status = agree_objects(study, stored, given, err);
done:
    json_decref(given);
    json_decref(stored);
    return status;
}

mn_status mn__setup_agree(const mn_study *study, const mn_study_setup *setup, mn_error *err)
{
    mn_status status = agree_seed(study, setup, err);
    if (status == MN_OK)
        status = agree_bounds(study, setup, err);
    if (status == MN_OK && strcmp(study->data_hash, setup->data_hash) != 0)
        status = differs(study, "the data set's hash", study->data_hash, setup->data_hash, err);
    if (status == MN_OK)
        status = agree_options(study, setup->options_json, err);
    return status;
}

/*
 * JSON through jansson: bounded parsing, and getters whose errors name the place.
 */
#ifndef MN_BASE_JSON_H
#define MN_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memnet/status.h"

/* Parses one JSON value of at most `max_bytes`; nesting is bounded by jansson (2048), duplicate
 * keys are refused. `where` (a path or a noun) opens every message. The caller json_decref()s. */
mn_status mn_json_parse(const char *where,
                        const char *text,
                        size_t count,
                        size_t max_bytes,
                        json_t **ret_value,
                        mn_error *err);

/* Getters on an object; `where` opens the message. MN_ERR_FORMAT when the key is missing, of
 * another type, or (integers) outside [low, high]. Results are borrowed from `object`. */
mn_status mn_json_get_integer(const json_t *object,
                              const char *where,
                              const char *key,
                              int64_t low,
                              int64_t high,
                              int64_t *ret_value,
                              mn_error *err);
mn_status mn_json_get_number(
    const json_t *object, const char *where, const char *key, double *ret_value, mn_error *err);
mn_status mn_json_get_string(
    const json_t *object, const char *where, const char *key, const char **ret_text, mn_error *err);
mn_status mn_json_get_boolean(
    const json_t *object, const char *where, const char *key, bool *ret_value, mn_error *err);
/* An array whose size lies in [low, high]. */
mn_status mn_json_get_array(const json_t *object,
                            const char *where,
                            const char *key,
                            size_t low,
                            size_t high,
                            const json_t **ret_array,
                            mn_error *err);

/* MN_ERR_FORMAT when `object` is no object or has a key that is not in `keys` (NULL-ended). */
mn_status
mn_json_check_keys(const json_t *object, const char *where, const char *const *keys, mn_error *err);

#endif

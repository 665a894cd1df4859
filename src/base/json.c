/*
 * JSON getters. Invariant: no value leaves here unchecked for type and range.
 */
#include "base/json.h"

#include <math.h>
#include <string.h>

mn_status mn_json_parse(const char *where,
                        const char *text,
                        size_t count,
                        size_t max_bytes,
                        json_t **ret_value,
                        mn_error *err)
{
    if (count > max_bytes)
        return mn_error_set(err,
                            MN_ERR_LIMIT,
                            "%s: %zu bytes of JSON, expected at most %zu",
                            where,
                            count,
                            max_bytes);
    json_error_t reason;
    json_t *value = json_loadb(text, count, JSON_REJECT_DUPLICATES, &reason);
    if (value == NULL)
        return mn_error_set(
            err, MN_ERR_FORMAT, "%s:%d:%d: %s", where, reason.line, reason.column, reason.text);
    *ret_value = value;
    return MN_OK;
}

static const char *type_name(const json_t *value)
{
    if (value == NULL)
        return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a real number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    }
    return "something else";
}

static mn_status wrong_type(
    const char *where, const char *key, const char *expected, const json_t *actual, mn_error *err)
{
    return mn_error_set(err,
                        MN_ERR_FORMAT,
                        "%s: '%s': expected %s, found %s",
                        where,
                        key,
                        expected,
                        type_name(actual));
}

mn_status mn_json_get_integer(const json_t *object,
                              const char *where,
                              const char *key,
                              int64_t low,
                              int64_t high,
                              int64_t *ret_value,
                              mn_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        return wrong_type(where, key, "an integer", value, err);
    json_int_t number = json_integer_value(value);
    if (number < low || number > high)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: '%s': %lld out of range [%lld, %lld]",
                            where,
                            key,
                            (long long)number,
                            (long long)low,
                            (long long)high);
    *ret_value = number;
    return MN_OK;
}

mn_status mn_json_get_number(
    const json_t *object, const char *where, const char *key, double *ret_value, mn_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value) || !isfinite(json_number_value(value)))
        return wrong_type(where, key, "a number", value, err);
    *ret_value = json_number_value(value);
    return MN_OK;
}

mn_status mn_json_get_string(
    const json_t *object, const char *where, const char *key, const char **ret_text, mn_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return wrong_type(where, key, "a string", value, err);
    *ret_text = json_string_value(value);
    return MN_OK;
}

mn_status mn_json_get_boolean(
    const json_t *object, const char *where, const char *key, bool *ret_value, mn_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_boolean(value))
        return wrong_type(where, key, "true or false", value, err);
    *ret_value = json_is_true(value);
    return MN_OK;
}

mn_status mn_json_get_array(const json_t *object,
                            const char *where,
                            const char *key,
                            size_t low,
                            size_t high,
                            const json_t **ret_array,
                            mn_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_array(value))
        return wrong_type(where, key, "an array", value, err);
    size_t count = json_array_size(value);
    if (count < low || count > high)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: '%s': %zu elements, expected %zu to %zu",
                            where,
                            key,
                            count,
                            low,
                            high);
    *ret_array = value;
    return MN_OK;
}

mn_status
mn_json_check_keys(const json_t *object, const char *where, const char *const *keys, mn_error *err)
{
    if (!json_is_object(object))
        return mn_error_set(
            err, MN_ERR_FORMAT, "%s: expected an object, found %s", where, type_name(object));
    for (void *it = json_object_iter((json_t *)(uintptr_t)object); it != NULL;
         it = json_object_iter_next((json_t *)(uintptr_t)object, it)) {
        const char *key = json_object_iter_key(it);
        size_t k = 0;
        while (keys[k] != NULL && strcmp(keys[k], key) != 0)
            k++;
        if (keys[k] == NULL)
            return mn_error_set(err, MN_ERR_FORMAT, "%s: unknown key '%.64s'", where, key);
    }
    return MN_OK;
}

/*
 * Reading of safetensors. Nothing in the bytes is trusted.
 * Invariant: every size and offset is checked against the bytes at hand, and the data are known to
 * be free of holes and overlaps, before the first tensor is allocated; so memory is proportional
 * to the file and not to what its header claims.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/size.h"
#include "graph/safetensors.h"
#include "graph/tensors.h"

#define LABEL_BYTES 96 /* "tensor '<64 bytes>'" */

/* What the header says of a tensor; `name` is borrowed from the JSON. */
typedef struct entry {
    const char *name;
    uint32_t position; /* among the tensors of the header */
    mn_tensor_type type;
    size_t begin, end; /* bytes, from the start of the data */
} entry;

typedef struct span {
    const unsigned char *bytes;
    size_t count;
} span;

/* Cuts the block into header and data. */
static mn_status split_block(span block, span *ret_header, span *ret_data, mn_error *err)
{
    uint64_t header_bytes = 0;
    if (block.count < MN_SAFETENSORS_LENGTH_BYTES)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%zu bytes, expected at least %d for the header length",
                            block.count,
                            MN_SAFETENSORS_LENGTH_BYTES);
    for (size_t i = 0; i < MN_SAFETENSORS_LENGTH_BYTES; i++)
        header_bytes |= (uint64_t)block.bytes[i] << (8 * i);
    size_t rest = block.count - MN_SAFETENSORS_LENGTH_BYTES;
    if (header_bytes > MN_SAFETENSORS_HEADER_MAX)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "header of %llu bytes, expected at most %zu; no safetensors file?",
                            (unsigned long long)header_bytes,
                            MN_SAFETENSORS_HEADER_MAX);
    if (header_bytes > rest)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "header of %llu bytes, but only %zu follow its length",
                            (unsigned long long)header_bytes,
                            rest);
    *ret_header = (span){block.bytes + MN_SAFETENSORS_LENGTH_BYTES, (size_t)header_bytes};
    *ret_data = (span){ret_header->bytes + ret_header->count, rest - ret_header->count};
    if (ret_header->count == 0 || ret_header->bytes[0] != '{')
        return mn_error_set(err, MN_ERR_FORMAT, "header does not begin with '{'");
    return MN_OK;
}

/* Element `index` of the array under `key`; must be an integer in [0, high]. */
static mn_status read_element(const json_t *object,
                              const char *label,
                              const char *key,
                              size_t index,
                              uint64_t high,
                              uint64_t *ret_value,
                              mn_error *err)
{
    const json_t *value = json_array_get(json_object_get(object, key), index);
    if (!json_is_integer(value))
        return mn_error_set(
            err, MN_ERR_FORMAT, "%s: %s[%zu]: expected an integer", label, key, index);
    json_int_t number = json_integer_value(value);
    if (number < 0 || (uint64_t)number > high)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: %s[%zu]: %lld out of range [0, %llu]",
                            label,
                            key,
                            index,
                            (long long)number,
                            (unsigned long long)high);
    *ret_value = (uint64_t)number;
    return MN_OK;
}

static mn_status
read_type(const json_t *object, const char *label, mn_tensor_type *ret_type, mn_error *err)
{
    const char *dtype = NULL;
    const json_t *shape = NULL;
    mn_tensor_type type = {0};
    mn_status status = mn_json_get_string(object, label, "dtype", &dtype, err);
    if (status == MN_OK)
        status = mn_json_get_array(object, label, "shape", 0, SIZE_MAX, &shape, err);
    if (status != MN_OK)
        return status;
    if (!mn__dtype_find(dtype, &type.dtype))
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "%s: dtype '%.16s', expected F32, I32, I8 or U8",
                            label,
                            dtype);
    if (json_array_size(shape) > 4)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "%s: rank %zu, expected at most 4",
                            label,
                            json_array_size(shape));
    type.rank = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < type.rank; i++) {
        uint64_t dim = 0;
        status = read_element(object, label, "shape", i, UINT32_MAX, &dim, err);
        if (status != MN_OK)
            return status;
        type.dims[i] = (uint32_t)dim;
    }
    *ret_type = type;
    return MN_OK;
}

/* Fills all of `entry` but its position. */
static mn_status read_entry(
    const char *name, const json_t *object, size_t data_bytes, entry *ret_entry, mn_error *err)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets", NULL};
    char label[LABEL_BYTES];
    const json_t *offsets = NULL;
    mn_tensor_type type = {0};
    uint64_t begin = 0;
    uint64_t end = 0;
    size_t bytes = 0;
    snprintf(label, sizeof label, "tensor '%.64s'", name);
    if (name[0] == '\0')
        return mn_error_set(err, MN_ERR_FORMAT, "a tensor has no name");
    mn_status status = mn_json_check_keys(object, label, keys, err);
    if (status == MN_OK)
        status = read_type(object, label, &type, err);
    if (status == MN_OK)
        status = mn_json_get_array(object, label, "data_offsets", 2, 2, &offsets, err);
    if (status == MN_OK)
        status = read_element(object, label, "data_offsets", 0, data_bytes, &begin, err);
    if (status == MN_OK)
        status = read_element(object, label, "data_offsets", 1, data_bytes, &end, err);
    if (status != MN_OK)
        return status;
    if (begin > end || !mn__tensor_type_bytes(&type, &bytes) || bytes != end - begin)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: data_offsets [%llu, %llu] do not hold its dtype and shape",
                            label,
                            (unsigned long long)begin,
                            (unsigned long long)end);
    *ret_entry = (entry){.name = name, .type = type, .begin = (size_t)begin, .end = (size_t)end};
    return MN_OK;
}

static int by_place(const void *left, const void *right)
{
    const entry *a = left;
    const entry *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    if (a->end != b->end)
        return a->end < b->end ? -1 : 1;
    return a->position < b->position ? -1 : a->position > b->position;
}

static int by_position(const void *left, const void *right)
{
    const entry *a = left;
    const entry *b = right;
    return a->position < b->position ? -1 : a->position > b->position;
}

/* The data must be the tensors', one after the other, and nothing else. */
static mn_status check_places(entry *entries, uint32_t count, size_t data_bytes, mn_error *err)
{
    size_t end = 0;
    qsort(entries, count, sizeof *entries, by_place);
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i].begin != end)
            return mn_error_set(err,
                                MN_ERR_FORMAT,
                                "tensor '%.64s': data begin at %zu, expected %zu: %s",
                                entries[i].name,
                                entries[i].begin,
                                end,
                                entries[i].begin < end ? "an overlap" : "a hole");
        end = entries[i].end;
    }
    if (end != data_bytes)
        return mn_error_set(
            err, MN_ERR_FORMAT, "%zu bytes of data, but the tensors end at %zu", data_bytes, end);
    qsort(entries, count, sizeof *entries, by_position);
    return MN_OK;
}

static mn_status read_metadata(json_t *object, mn_metadata *metadata, mn_error *err)
{
    const char *key = NULL;
    json_t *value = NULL;
    if (!json_is_object(object))
        return mn_error_set(err, MN_ERR_FORMAT, "'__metadata__': expected an object of strings");
    json_object_foreach(object, key, value)
    {
        if (!json_is_string(value))
            return mn_error_set(err, MN_ERR_FORMAT, "metadata '%.64s': expected a string", key);
        /* The JSON parser has refused duplicate keys. */
        mn_status status = mn__metadata_append(metadata, key, json_string_value(value), err);
        if (status != MN_OK)
            return status;
    }
    return MN_OK;
}

/* Turns the header into checked entries in header order; the caller frees *ret_entries. */
static mn_status read_entries(
    json_t *header, size_t data_bytes, entry **ret_entries, uint32_t *ret_count, mn_error *err)
{
    const char *name = NULL;
    json_t *object = NULL;
    uint32_t count = 0;
    mn_status status = MN_OK;
    entry *entries = mn_calloc(json_object_size(header), sizeof *entries);
    if (entries == NULL)
        return mn_error_set(
            err, MN_ERR_NOMEM, "no memory for %zu entries", json_object_size(header));
    json_object_foreach(header, name, object)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        status = read_entry(name, object, data_bytes, &entries[count], err);
        if (status != MN_OK)
            goto done;
        entries[count].position = count;
        count++;
    }
    status = check_places(entries, count, data_bytes, err);
    if (status != MN_OK)
        goto done;
    *ret_entries = entries;
    *ret_count = count;
    entries = NULL;
done:
    free(entries);
    return status;
}

static mn_status
copy_tensors(const entry *entries, uint32_t count, span data, mn_tensors *tensors, mn_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        const entry *e = &entries[i];
        mn_tensor *made = NULL;
        mn_status status = mn__tensors_append(tensors, e->name, &e->type, &made, err);
        if (status != MN_OK)
            return status;
        memcpy(made->data, data.bytes + e->begin, e->end - e->begin);
    }
    return MN_OK;
}

mn_status mn_safetensors_parse(const char *where,
                               const void *bytes,
                               size_t count,
                               mn_tensors **ret_tensors,
                               mn_metadata *ret_metadata,
                               mn_error *err)
{
    json_t *json = NULL;
    entry *entries = NULL;
    uint32_t entry_count = 0;
    mn_tensors *tensors = NULL;
    mn_metadata metadata;
    mn_metadata_init(&metadata);
    span header = {0};
    span data = {0};
    mn_status status = split_block((span){bytes, count}, &header, &data, err);
    if (status == MN_OK)
        status = mn_json_parse("header",
                               (const char *)header.bytes,
                               header.count,
                               MN_SAFETENSORS_HEADER_MAX,
                               &json,
                               err);
    if (status == MN_OK)
        status = read_entries(json, data.count, &entries, &entry_count, err);
    if (status == MN_OK && json_object_get(json, "__metadata__") != NULL)
        status = read_metadata(json_object_get(json, "__metadata__"), &metadata, err);
    if (status == MN_OK)
        status = mn_tensors_create(&tensors, err);
    if (status == MN_OK)
        status = copy_tensors(entries, entry_count, data, tensors, err);
    if (status != MN_OK) {
        status = mn_error_prefix(err, status, "%s", where);
        goto done;
    }
    *ret_tensors = tensors;
    tensors = NULL;
    if (ret_metadata != NULL) {
        *ret_metadata = metadata;
        mn_metadata_init(&metadata);
    }
done:
    mn_tensors_free(tensors);
    mn_metadata_done(&metadata);
    free(entries);
    json_decref(json);
    return status;
}

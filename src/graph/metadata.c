/*
 * Metadata lists: a few strings, so that looking through them is the right way to find one.
 * Invariant: keys are unique.
 */
#include "graph/metadata.h"

#include <stdlib.h>
#include <string.h>

#include "graph/tensors.h"

void mn_metadata_init(mn_metadata *metadata)
{
    *metadata = (mn_metadata){0};
}

void mn_metadata_done(mn_metadata *metadata)
{
    for (uint32_t i = 0; i < metadata->count; i++) {
        free(metadata->values[i]);
        free(metadata->keys[i]);
    }
    free(metadata->values);
    free(metadata->keys);
    *metadata = (mn_metadata){0};
}

mn_status
mn__metadata_append(mn_metadata *metadata, const char *key, const char *value, mn_error *err)
{
    mn_status status = MN_OK;
    char *key_copy = strdup(key);
    char *value_copy = strdup(value);
    /* A list that has grown for nothing is sound: growing it again asks for the same size. */
    char **keys = mn__list_grow(metadata->keys, metadata->count, sizeof *keys);
    if (keys != NULL)
        metadata->keys = keys;
    char **values = mn__list_grow(metadata->values, metadata->count, sizeof *values);
    if (values != NULL)
        metadata->values = values;
    if (key_copy == NULL || value_copy == NULL || keys == NULL || values == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "metadata '%.64s': out of memory", key);
        goto done;
    }
    metadata->keys[metadata->count] = key_copy;
    metadata->values[metadata->count] = value_copy;
    metadata->count++;
    key_copy = NULL;
    value_copy = NULL;
done:
    free(value_copy);
    free(key_copy);
    return status;
}

mn_status mn_metadata_add(mn_metadata *metadata, const char *key, const char *value, mn_error *err)
{
    if (mn_metadata_get(metadata, key) != NULL)
        return mn_error_set(err, MN_ERR_ARG, "metadata '%.64s': the key exists already", key);
    return mn__metadata_append(metadata, key, value, err);
}

const char *mn_metadata_get(const mn_metadata *metadata, const char *key)
{
    for (uint32_t i = 0; i < metadata->count; i++) {
        if (strcmp(metadata->keys[i], key) == 0)
            return metadata->values[i];
    }
    return NULL;
}

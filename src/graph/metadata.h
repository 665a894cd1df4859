/*
 * Metadata: the strings that travel with the tensors of a safetensors file, as a list of keys and
 * values in the order of the file.
 */
#ifndef MN_GRAPH_METADATA_H
#define MN_GRAPH_METADATA_H

#include <stdint.h>

#include "memnet/status.h"

/* Read the lists freely; add through mn_metadata_add(). Keys are unique. */
typedef struct mn_metadata {
    uint32_t count;
    char **keys;   /* `count` owned strings */
    char **values; /* `count` owned strings */
} mn_metadata;

void mn_metadata_init(mn_metadata *metadata);
/* Frees what the list holds; it is empty and usable again. */
void mn_metadata_done(mn_metadata *metadata);

/* Copies both strings. MN_ERR_ARG for a key that exists. */
mn_status mn_metadata_add(mn_metadata *metadata, const char *key, const char *value, mn_error *err);

/* The value, borrowed from the list, or NULL when there is no such key. */
const char *mn_metadata_get(const mn_metadata *metadata, const char *key);

/* mn_metadata_add() for callers that know the key to be new: does not look through the list. */
mn_status
mn__metadata_append(mn_metadata *metadata, const char *key, const char *value, mn_error *err);

#endif

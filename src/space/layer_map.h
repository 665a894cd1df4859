/*
 * Layer maps: which layer of a child continues which layer of its parent. Moves build them, the
 * study stores them as JSON, inheritance of weights follows them.
 */
#ifndef MN_SPACE_LAYER_MAP_H
#define MN_SPACE_LAYER_MAP_H

#include <stddef.h>

#include "memnet/genotype.h"

/* The map of a child whose blocks have the parent's cells at the same places, maybe followed by new
 * ones. Layers of new cells map to MN_NONE. `blocks` says which of the parent's blocks each of the
 * child's continues, MN_NONE for a new one; NULL: the one at its own place. `ret_map` is freed by
 * mn_layer_map_done() and untouched on failure (MN_ERR_NOMEM). */
mn_status mn__layer_map_build(const mn_genotype *parent,
                              const mn_genotype *child,
                              const uint32_t *blocks,
                              mn_layer_map *ret_map,
                              mn_error *err);

/* JSON in one line: an array with the parent's layer, or null for a new one, of each layer of the
 * child: "[0,1,2,3,null,null,null,4,5]". The caller frees it. */
mn_status mn_layer_map_print(const mn_layer_map *map, char **ret_json, mn_error *err);

/* Reads what mn_layer_map_print() wrote; MN_ERR_FORMAT (MN_ERR_LIMIT when it is too long)
 * otherwise. `ret_map` as in mn__layer_map_build(). The numbers are below the largest possible
 * layer count; whether they fit a certain parent is the caller's to check. */
mn_status mn_layer_map_parse(const char *json, size_t count, mn_layer_map *ret_map, mn_error *err);

#endif

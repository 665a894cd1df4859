/*
 * Layer maps: built from a parent and its child, and to and from JSON.
 */
#include "space/layer_map.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/size.h"

/* Layers of the largest genotype: stem, full blocks with their outputs, head. */
#define MAX_LAYERS (1 + MN_MAX_BLOCKS * (3 * MN_MAX_CELLS + 1) + 1)

/* A number and its comma are at most 5 bytes; the rest is for spaces. */
#define MAX_JSON_BYTES (16 * MAX_LAYERS)

void mn_layer_map_done(mn_layer_map *map)
{
    free(map->parent);
    *map = (mn_layer_map){0};
}

/* The layers of block `b` of the child continue those of block `from` of the parent. */
static void map_block(
    const mn_genotype *parent, uint32_t from, const mn_genotype *child, uint32_t b, uint32_t *to)
{
    for (uint32_t k = 0; k < child->blocks[b].cell_count; k++) {
        bool is_new = from == MN_NONE || k >= parent->blocks[from].cell_count;
        for (uint32_t slot = 0; slot < 3; slot++)
            to[mn_genotype_layer_cell(child, b, k, slot)] =
                is_new ? MN_NONE : mn_genotype_layer_cell(parent, from, k, slot);
    }
    to[mn_genotype_layer_block_output(child, b)] =
        from == MN_NONE ? MN_NONE : mn_genotype_layer_block_output(parent, from);
}

mn_status mn__layer_map_build(const mn_genotype *parent,
                              const mn_genotype *child,
                              const uint32_t *blocks,
                              mn_layer_map *ret_map,
                              mn_error *err)
{
    uint32_t count = mn_genotype_layer_count(child);
    uint32_t *to = mn_calloc(count, sizeof *to);
    if (to == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "layer map: out of memory for %u layers", count);
    to[mn_genotype_layer_stem()] = mn_genotype_layer_stem();
    for (uint32_t b = 0; b < child->block_count; b++)
        map_block(parent, blocks == NULL ? b : blocks[b], child, b, to);
    to[mn_genotype_layer_head(child)] = mn_genotype_layer_head(parent);
    *ret_map = (mn_layer_map){.count = count, .parent = to};
    return MN_OK;
}

mn_status mn_layer_map_print(const mn_layer_map *map, char **ret_json, mn_error *err)
{
    mn_buffer text;
    mn_buffer_init(&text);
    mn_buffer_append(&text, "[", 1);
    for (uint32_t i = 0; i < map->count; i++) {
        const char *comma = i > 0 ? "," : "";
        if (map->parent[i] == MN_NONE)
            mn_buffer_printf(&text, "%snull", comma);
        else
            mn_buffer_printf(&text, "%s%u", comma, map->parent[i]);
    }
    mn_buffer_append(&text, "]", 1);
    mn_status status = mn_buffer_take(&text, ret_json, err);
    mn_buffer_done(&text);
    return status;
}

static mn_status read_layer(const json_t *value, size_t index, uint32_t *ret_layer, mn_error *err)
{
    if (json_is_null(value)) {
        *ret_layer = MN_NONE;
        return MN_OK;
    }
    if (!json_is_integer(value))
        return mn_error_set(
            err, MN_ERR_FORMAT, "layer map: element %zu: expected an integer or null", index);
    json_int_t layer = json_integer_value(value);
    if (layer < 0 || layer >= MAX_LAYERS)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "layer map: element %zu: layer %lld out of range [0,%d)",
                            index,
                            (long long)layer,
                            MAX_LAYERS);
    *ret_layer = (uint32_t)layer;
    return MN_OK;
}

mn_status mn_layer_map_parse(const char *json, size_t count, mn_layer_map *ret_map, mn_error *err)
{
    mn_layer_map map = {0};
    json_t *root = NULL;
    mn_status status = mn_json_parse("layer map", json, count, MAX_JSON_BYTES, &root, err);
    if (status != MN_OK)
        return status;
    size_t layers = json_array_size(root);
    if (!json_is_array(root) || layers > MAX_LAYERS) {
        status = mn_error_set(
            err, MN_ERR_FORMAT, "layer map: expected an array of at most %d layers", MAX_LAYERS);
        goto done;
    }
    map.parent = mn_calloc(layers, sizeof *map.parent);
    if (map.parent == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "layer map: out of memory for %zu layers", layers);
        goto done;
    }
    map.count = (uint32_t)layers;
    for (size_t i = 0; i < layers; i++) {
        status = read_layer(json_array_get(root, i), i, &map.parent[i], err);
        if (status != MN_OK)
            goto done;
    }
    *ret_map = map;
    map = (mn_layer_map){0};

done:
    mn_layer_map_done(&map);
    json_decref(root);
    return status;
}

/*
 * Collecting the children of a network: see children.h.
 */
#include "space/children.h"

#include <stdlib.h>

#include "base/size.h"
#include "space/layer_map.h"

void mn_candidates_free(mn_candidates *candidates)
{
    if (candidates == NULL)
        return;
    for (size_t i = 0; i < candidates->count; i++)
        mn_layer_map_done(&candidates->items[i].map);
    free(candidates->items);
    free(candidates);
}

mn_status mn__candidates_create(size_t capacity, mn_candidates **ret_list, mn_error *err)
{
    mn_candidates *list = mn_calloc(1, sizeof *list);
    if (list != NULL)
        list->items = mn_calloc(capacity, sizeof *list->items);
    if (list == NULL || list->items == NULL) {
        mn_candidates_free(list);
        return mn_error_set(err, MN_ERR_NOMEM, "moves: out of memory for %zu networks", capacity);
    }
    *ret_list = list;
    return MN_OK;
}

void mn__collect(mn__collector *to,
                 mn_move_kind kind,
                 const mn_genotype *child,
                 const uint32_t *blocks)
{
    size_t number = to->count++;
    bool kept = to->wanted == MN__ALL_CHILDREN || to->wanted == number;
    if (to->status != MN_OK || to->list == NULL || !kept)
        return;
    mn_candidate *item = &to->list->items[to->list->count];
    to->status = mn__layer_map_build(to->base, child, blocks, &item->map, to->err);
    if (to->status != MN_OK)
        return;
    item->kind = kind;
    item->genotype = *child;
    to->list->count++;
}

uint32_t mn__block_channels(const mn_block *block)
{
    uint32_t channels = 0;
    for (uint32_t k = 0; k < block->cell_count; k++) {
        const mn_cell *cell = &block->cells[k];
        if (cell->out)
            channels += block->width * (cell->combine == MN_COMBINE_CONCAT ? 2 : 1);
    }
    return channels;
}

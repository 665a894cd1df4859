/*
 * Moves of the augment-trim search. Every list is enumerated in a fixed order of nested loops and
 * may hold candidates of equal id: which of them is trained is the search's business.
 */
#include "memnet/moves.h"

#include <stdlib.h>

#include "base/size.h"
#include "space/genotype_check.h"
#include "space/layer_map.h"

#define OP_PAIRS (MN_PAPER_OP_COUNT * MN_PAPER_OP_COUNT)
#define COMBINES 2u

void mn_candidates_free(mn_candidates *candidates)
{
    if (candidates == NULL)
        return;
    for (size_t i = 0; i < candidates->count; i++)
        mn_layer_map_done(&candidates->items[i].map);
    free(candidates->items);
    free(candidates);
}

const char *mn_move_name(mn_move_kind kind)
{
    switch (kind) {
    case MN_MOVE_ROUND0:
        return "round0";
    case MN_MOVE_AUGMENT:
        return "augment";
    case MN_MOVE_TRIM_LAYER:
        return "trim-layer";
    case MN_MOVE_TRIM_EDGE:
        return "trim-edge";
    }
    return "unknown";
}

/* An empty list with room for `capacity` candidates. */
static mn_status create_list(size_t capacity, mn_candidates **ret_list, mn_error *err)
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

/* Appends a child within the list's capacity. */
static mn_status add_child(mn_candidates *list,
                           mn_move_kind kind,
                           const mn_genotype *parent,
                           const mn_genotype *child,
                           mn_error *err)
{
    mn_candidate *item = &list->items[list->count];
    mn_status status = mn__layer_map_build(parent, child, &item->map, err);
    if (status != MN_OK)
        return status;
    item->kind = kind;
    item->genotype = *child;
    list->count++;
    return MN_OK;
}

/* Cell number `index` of all cells with inputs below `inputs`: combine turns fastest, then op 2,
 * op 1, input 2, input 1. */
static mn_cell nth_cell(uint32_t inputs, size_t index)
{
    mn_cell cell = {.out = true};
    cell.combine = index % COMBINES == 0 ? MN_COMBINE_ADD : MN_COMBINE_CONCAT;
    index /= COMBINES;
    for (uint32_t slot = 2; slot-- > 0; index /= MN_PAPER_OP_COUNT)
        cell.op[slot] = (mn_cell_op)(index % MN_PAPER_OP_COUNT);
    for (uint32_t slot = 2; slot-- > 0; index /= inputs)
        cell.in[slot] = (uint32_t)(index % inputs);
    return cell;
}

/* Puts `cell` after the last cell of every block. */
static void append_cell(mn_genotype *genotype, mn_cell cell)
{
    for (uint32_t b = 0; b < genotype->block_count; b++) {
        mn_block *block = &genotype->blocks[b];
        block->cells[block->cell_count++] = cell;
    }
}

mn_status mn_moves_round0(const mn_genotype *frame, mn_candidates **ret_candidates, mn_error *err)
{
    mn_status status = mn__number_check(MN__BLOCK_COUNT, frame->block_count, "genotype", err);
    if (status != MN_OK)
        return status;
    mn_genotype empty = *frame;
    for (uint32_t b = 0; b < MN_MAX_BLOCKS; b++) {
        mn_block *block = &empty.blocks[b];
        *block = (mn_block){.stride = block->stride, .width = block->width};
    }
    mn_candidates *list = NULL;
    status = create_list(OP_PAIRS * COMBINES, &list, err);
    for (size_t i = 0; status == MN_OK && i < OP_PAIRS * COMBINES; i++) {
        mn_candidate *item = &list->items[i];
        item->kind = MN_MOVE_ROUND0;
        item->genotype = empty;
        append_cell(&item->genotype, nth_cell(1, i));
        status = mn_genotype_check(&item->genotype, err);
        list->count++;
    }
    if (status == MN_OK) {
        *ret_candidates = list;
        list = NULL;
    }
    mn_candidates_free(list);
    return status;
}

mn_status mn_moves_augment(const mn_genotype *base, mn_candidates **ret_candidates, mn_error *err)
{
    mn_status status = mn_genotype_check(base, err);
    if (status != MN_OK)
        return status;
    uint32_t least = MN_MAX_CELLS;
    uint32_t most = 0;
    for (uint32_t b = 0; b < base->block_count; b++) {
        uint32_t cells = base->blocks[b].cell_count;
        least = cells < least ? cells : least;
        most = cells > most ? cells : most;
    }
    uint32_t inputs = least + 1;
    size_t count = most == MN_MAX_CELLS ? 0 : (size_t)inputs * inputs * OP_PAIRS * COMBINES;
    mn_candidates *list = NULL;
    status = create_list(count, &list, err);
    for (size_t i = 0; status == MN_OK && i < count; i++) {
        mn_genotype child = *base;
        append_cell(&child, nth_cell(inputs, i));
        status = add_child(list, MN_MOVE_AUGMENT, base, &child, err);
    }
    if (status == MN_OK) {
        *ret_candidates = list;
        list = NULL;
    }
    mn_candidates_free(list);
    return status;
}

/* Adds what can be trimmed of one cell: op 0, op 1, the edge to the block's output. */
static mn_status
trim_cell(mn_candidates *list, const mn_genotype *base, uint32_t b, uint32_t k, mn_error *err)
{
    mn_status status = MN_OK;
    for (uint32_t slot = 0; status == MN_OK && slot < 2; slot++) {
        if (base->blocks[b].cells[k].op[slot] == MN_OP_IDENTITY)
            continue;
        mn_genotype child = *base;
        child.blocks[b].cells[k].op[slot] = MN_OP_IDENTITY;
        status = add_child(list, MN_MOVE_TRIM_LAYER, base, &child, err);
    }
    if (status != MN_OK || !base->blocks[b].cells[k].out)
        return status;
    mn_genotype child = *base;
    child.blocks[b].cells[k].out = false;
    /* The check refuses exactly the cells that no other cell reads. */
    if (mn_genotype_check(&child, NULL) != MN_OK)
        return MN_OK;
    return add_child(list, MN_MOVE_TRIM_EDGE, base, &child, err);
}

mn_status mn_moves_trim(const mn_genotype *base, mn_candidates **ret_candidates, mn_error *err)
{
    mn_status status = mn_genotype_check(base, err);
    if (status != MN_OK)
        return status;
    size_t capacity = 0;
    for (uint32_t b = 0; b < base->block_count; b++)
        capacity += 3 * (size_t)base->blocks[b].cell_count;
    mn_candidates *list = NULL;
    status = create_list(capacity, &list, err);
    for (uint32_t b = 0; status == MN_OK && b < base->block_count; b++) {
        for (uint32_t k = 0; status == MN_OK && k < base->blocks[b].cell_count; k++)
            status = trim_cell(list, base, b, k, err);
    }
    if (status == MN_OK) {
        *ret_candidates = list;
        list = NULL;
    }
    mn_candidates_free(list);
    return status;
}

/*
 * The moves of the paper: round 0, augment, trim. Every list is enumerated in a fixed order of
 * nested loops and may hold candidates of equal id: which of them is trained is the search's
 * business.
 */
#include "space/children.h"
#include "space/genotype_check.h"

#define OP_PAIRS (MN_PAPER_OP_COUNT * MN_PAPER_OP_COUNT)
#define COMBINES 2u

static const char *const move_names[MN_MOVE_COUNT] = {
#define MOVE_NAME(kind, text) [kind] = (text),
    MN_MOVE_LIST(MOVE_NAME)
#undef MOVE_NAME
};

const char *mn_move_name(mn_move_kind kind)
{
    return (unsigned)kind < MN_MOVE_COUNT ? move_names[kind] : "unknown";
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
    status = mn__candidates_create(OP_PAIRS * COMBINES, &list, err);
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

void mn__walk_augment(mn__collector *to, const mn_genotype *base)
{
    uint32_t least = MN_MAX_CELLS;
    uint32_t most = 0;
    for (uint32_t b = 0; b < base->block_count; b++) {
        uint32_t cells = base->blocks[b].cell_count;
        least = cells < least ? cells : least;
        most = cells > most ? cells : most;
    }
    uint32_t inputs = least + 1;
    size_t count = most == MN_MAX_CELLS ? 0 : (size_t)inputs * inputs * OP_PAIRS * COMBINES;
    for (size_t i = 0; i < count; i++) {
        mn_genotype child = *base;
        append_cell(&child, nth_cell(inputs, i));
        mn__collect(to, MN_MOVE_AUGMENT, &child, NULL);
    }
}

/* What can be trimmed of one cell: op 0, op 1, the edge to the block's output. */
static void
trim_cell(mn__collector *to, const mn_genotype *base, uint32_t b, uint32_t k, uint32_t kinds)
{
    for (uint32_t slot = 0; slot < 2 && (kinds & MN_MOVE_BIT(MN_MOVE_TRIM_LAYER)) != 0; slot++) {
        if (base->blocks[b].cells[k].op[slot] == MN_OP_IDENTITY)
            continue;
        mn_genotype child = *base;
        child.blocks[b].cells[k].op[slot] = MN_OP_IDENTITY;
        mn__collect(to, MN_MOVE_TRIM_LAYER, &child, NULL);
    }
    if (!base->blocks[b].cells[k].out || (kinds & MN_MOVE_BIT(MN_MOVE_TRIM_EDGE)) == 0)
        return;
    mn_genotype child = *base;
    child.blocks[b].cells[k].out = false;
    /* The check refuses exactly the cells that no other cell reads. */
    if (mn_genotype_check(&child, NULL) == MN_OK)
        mn__collect(to, MN_MOVE_TRIM_EDGE, &child, NULL);
}

void mn__walk_trims(mn__collector *to, const mn_genotype *base, uint32_t kinds)
{
    for (uint32_t b = 0; b < base->block_count; b++)
        for (uint32_t k = 0; k < base->blocks[b].cell_count; k++)
            trim_cell(to, base, b, k, kinds);
}

/* Walks twice: to learn how many there are, and to keep them. */
static mn_status
list_paper_moves(const mn_genotype *base, bool trims, mn_candidates **ret_candidates, mn_error *err)
{
    mn_status status = mn_genotype_check(base, err);
    mn__collector to = {.base = base, .wanted = MN__ALL_CHILDREN, .err = err};
    for (int pass = 0; status == MN_OK && pass < 2; pass++) {
        if (pass == 1)
            status = mn__candidates_create(to.count, &to.list, err);
        if (status != MN_OK)
            break;
        if (trims)
            mn__walk_trims(&to, base, MN_MOVES_PAPER);
        else
            mn__walk_augment(&to, base);
        status = to.status;
    }
    if (status == MN_OK) {
        *ret_candidates = to.list;
        to.list = NULL;
    }
    mn_candidates_free(to.list);
    return status;
}

mn_status mn_moves_augment(const mn_genotype *base, mn_candidates **ret_candidates, mn_error *err)
{
    return list_paper_moves(base, false, ret_candidates, err);
}

mn_status mn_moves_trim(const mn_genotype *base, mn_candidates **ret_candidates, mn_error *err)
{
    return list_paper_moves(base, true, ret_candidates, err);
}

/*
 * The moves of the larger space, one function a kind: each walks over its children in a fixed order
 * of nested loops. Invariant: what is collected passes mn_genotype_check().
 */
#include <string.h>

#include "space/children.h"
#include "space/space.h"

/* ---- cells ----------------------------------------------------------------------------------- */

/* Appends `cell` to block `b`. */
static void collect_with_cell(
    mn__collector *to, mn_move_kind kind, const mn_genotype *base, uint32_t b, const mn_cell *cell)
{
    mn_genotype child = *base;
    mn_block *block = &child.blocks[b];
    if (kind == MN_MOVE_DEEPEN)
        block->cells[block->cell_count - 1].out = false;
    block->cells[block->cell_count++] = *cell;
    mn__collect(to, kind, &child, NULL);
}

/* Every two (input, op) pairs out of {block input, last cell} x ops, in either order once. */
static void
augment_block(mn__collector *to, const mn_space *space, const mn_genotype *base, uint32_t b)
{
    mn_cell_op ops[2 * MN_OP_COUNT];
    const uint32_t op_count = mn__space_ops(space, ops);
    const uint32_t last = base->blocks[b].cell_count;
    memcpy(ops + op_count, ops, op_count * sizeof *ops);
    for (uint32_t i = 0; i < 2 * op_count; i++) {
        for (uint32_t j = i; j < 2 * op_count; j++) {
            mn_cell cell = {
                .in = {i < op_count ? 0 : last, j < op_count ? 0 : last},
                .op = {ops[i], ops[j]},
                .out = true,
            };
            cell.combine = MN_COMBINE_ADD;
            collect_with_cell(to, MN_MOVE_AUGMENT_BLOCK, base, b, &cell);
            cell.combine = MN_COMBINE_CONCAT;
            collect_with_cell(to, MN_MOVE_AUGMENT_BLOCK, base, b, &cell);
        }
    }
}

/* add(identity, op) of the last cell, which must be as wide as the block for the identity to be a
 * plain link, and marked for the new one to take its place. */
static void
deepen_block(mn__collector *to, const mn_space *space, const mn_genotype *base, uint32_t b)
{
    mn_cell_op ops[MN_OP_COUNT];
    const uint32_t op_count = mn__space_ops(space, ops);
    const uint32_t last = base->blocks[b].cell_count;
    const mn_cell *cell = &base->blocks[b].cells[last - 1];
    if (cell->combine != MN_COMBINE_ADD || !cell->out)
        return;
    for (uint32_t i = 0; i < op_count; i++) {
        if (ops[i] == MN_OP_IDENTITY)
            continue;
        mn_cell residual = {
            .in = {last, last},
            .op = {MN_OP_IDENTITY, ops[i]},
            .combine = MN_COMBINE_ADD,
            .out = true,
        };
        collect_with_cell(to, MN_MOVE_DEEPEN, base, b, &residual);
    }
}

static void
walk_new_cells(mn__collector *to, const mn_space *space, const mn_genotype *base, mn_move_kind kind)
{
    for (uint32_t b = 0; b < base->block_count; b++) {
        if (base->blocks[b].cell_count >= space->max_cells)
            continue;
        if (kind == MN_MOVE_DEEPEN)
            deepen_block(to, space, base, b);
        else
            augment_block(to, space, base, b);
    }
}

void mn__mark_unread(mn_block *block)
{
    for (uint32_t k = 0; k < block->cell_count; k++) {
        bool read = false;
        for (uint32_t later = k + 1; later < block->cell_count; later++)
            read = read || block->cells[later].in[0] == k + 1 || block->cells[later].in[1] == k + 1;
        if (!read)
            block->cells[k].out = true;
    }
}

static void walk_drop_cell(mn__collector *to, const mn_genotype *base)
{
    for (uint32_t b = 0; b < base->block_count; b++) {
        mn_genotype child = *base;
        mn_block *block = &child.blocks[b];
        if (block->cell_count < 2)
            continue;
        block->cells[--block->cell_count] = (mn_cell){0};
        mn__mark_unread(block);
        mn__collect(to, MN_MOVE_DROP_CELL, &child, NULL);
    }
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* A residual block of one cell and of each op, in front of block `place` of the base. */
static void add_block(mn__collector *to,
                      const mn_space *space,
                      const mn_genotype *base,
                      uint32_t place,
                      uint32_t width)
{
    mn_cell_op ops[MN_OP_COUNT];
    uint32_t blocks[MN_MAX_BLOCKS];
    const uint32_t op_count = mn__space_ops(space, ops);
    mn_genotype child = *base;
    child.block_count++;
    for (uint32_t b = 0; b < child.block_count; b++) {
        blocks[b] = b == place ? MN_NONE : b < place ? b : b - 1;
        if (b > place)
            child.blocks[b] = base->blocks[b - 1];
    }
    for (uint32_t i = 0; i < op_count; i++) {
        if (ops[i] == MN_OP_IDENTITY)
            continue;
        child.blocks[place] = (mn_block){.stride = 1, .width = width, .cell_count = 1};
        child.blocks[place].cells[0] = (mn_cell){
            .op = {MN_OP_IDENTITY, ops[i]},
            .combine = MN_COMBINE_ADD,
            .out = true,
        };
        mn__collect(to, MN_MOVE_ADD_BLOCK, &child, blocks);
    }
}

static void walk_add_block(mn__collector *to, const mn_space *space, const mn_genotype *base)
{
    if (base->block_count >= space->max_blocks)
        return;
    for (uint32_t place = base->stem.width == 0 ? 1 : 0; place <= base->block_count; place++) {
        const mn_block *front = place == 0 ? NULL : &base->blocks[place - 1];
        uint32_t channels = front == NULL ? base->stem.width : mn__block_channels(front);
        uint32_t width = front == NULL ? base->stem.width : front->width;
        if (channels <= space->max_width)
            add_block(to, space, base, place, channels);
        if (width != channels && width <= space->max_width)
            add_block(to, space, base, place, width);
    }
}

/* Strides are the space's to keep: a block that has one cannot go. */
static void walk_drop_block(mn__collector *to, const mn_genotype *base)
{
    for (uint32_t drop = 0; base->block_count > 1 && drop < base->block_count; drop++) {
        uint32_t blocks[MN_MAX_BLOCKS];
        mn_genotype child = *base;
        if (base->blocks[drop].stride != 1)
            continue;
        child.blocks[--child.block_count] = (mn_block){0};
        for (uint32_t b = 0; b < child.block_count; b++) {
            blocks[b] = b < drop ? b : b + 1;
            child.blocks[b] = base->blocks[blocks[b]];
        }
        mn__collect(to, MN_MOVE_DROP_BLOCK, &child, blocks);
    }
}

static void
walk_width(mn__collector *to, const mn_space *space, const mn_genotype *base, mn_move_kind kind)
{
    for (uint32_t b = 0; b < base->block_count; b++) {
        uint32_t width = mn__width_step(space, base->blocks[b].width, kind == MN_MOVE_WIDEN);
        if (width == 0)
            continue;
        mn_genotype child = *base;
        child.blocks[b].width = width;
        mn__collect(to, kind, &child, NULL);
    }
}

static void walk_stride(mn__collector *to, const mn_genotype *base)
{
    for (uint32_t b = 0; b + 1 < base->block_count; b++) {
        if (base->blocks[b].stride == base->blocks[b + 1].stride)
            continue;
        mn_genotype child = *base;
        child.blocks[b].stride = base->blocks[b + 1].stride;
        child.blocks[b + 1].stride = base->blocks[b].stride;
        mn__collect(to, MN_MOVE_STRIDE, &child, NULL);
    }
}

/* ---- slots ----------------------------------------------------------------------------------- */

static void replace_op(
    mn__collector *to, const mn_space *space, const mn_genotype *base, uint32_t b, uint32_t k)
{
    mn_cell_op ops[MN_OP_COUNT];
    const uint32_t op_count = mn__space_ops(space, ops);
    for (uint32_t slot = 0; slot < 2; slot++) {
        for (uint32_t i = 0; i < op_count; i++) {
            if (ops[i] == MN_OP_IDENTITY || ops[i] == base->blocks[b].cells[k].op[slot])
                continue;
            mn_genotype child = *base;
            child.blocks[b].cells[k].op[slot] = ops[i];
            mn__collect(to, MN_MOVE_REPLACE, &child, NULL);
        }
    }
}

static void rewire(mn__collector *to, const mn_genotype *base, uint32_t b, uint32_t k)
{
    for (uint32_t slot = 0; slot < 2; slot++) {
        for (uint32_t in = 0; in <= k; in++) {
            mn_genotype child = *base;
            child.blocks[b].cells[k].in[slot] = in;
            /* The check refuses those that leave a cell unread. */
            if (in != base->blocks[b].cells[k].in[slot] && mn_genotype_check(&child, NULL) == MN_OK)
                mn__collect(to, MN_MOVE_REWIRE, &child, NULL);
        }
    }
}

static void combine(mn__collector *to, const mn_genotype *base, uint32_t b, uint32_t k)
{
    mn_genotype child = *base;
    mn_cell *cell = &child.blocks[b].cells[k];
    cell->combine = cell->combine == MN_COMBINE_ADD ? MN_COMBINE_CONCAT : MN_COMBINE_ADD;
    mn__collect(to, MN_MOVE_COMBINE, &child, NULL);
}

static void
walk_cells(mn__collector *to, const mn_space *space, const mn_genotype *base, mn_move_kind kind)
{
    for (uint32_t b = 0; b < base->block_count; b++) {
        for (uint32_t k = 0; k < base->blocks[b].cell_count; k++) {
            if (kind == MN_MOVE_REPLACE)
                replace_op(to, space, base, b, k);
            else if (kind == MN_MOVE_REWIRE)
                rewire(to, base, b, k);
            else
                combine(to, base, b, k);
        }
    }
}

/* ---- the stem -------------------------------------------------------------------------------- */

static void
collect_with_stem(mn__collector *to, const mn_genotype *base, uint32_t width, uint32_t stride)
{
    mn_genotype child = *base;
    child.stem = (mn_stem){.width = width, .stride = stride};
    mn__collect(to, MN_MOVE_STEM, &child, NULL);
}

static void walk_stem(mn__collector *to, const mn_space *space, const mn_genotype *base)
{
    const mn_stem stem = base->stem;
    if (stem.width == 0) {
        for (uint32_t stride = 1; stride <= 2; stride++)
            collect_with_stem(to, base, base->blocks[0].width, stride);
        return;
    }
    collect_with_stem(to, base, 0, 0);
    for (int wider = 1; wider >= 0; wider--) {
        uint32_t width = mn__width_step(space, stem.width, wider == 1);
        if (width > 0)
            collect_with_stem(to, base, width, stem.stride);
    }
    for (uint32_t stride = 1; stride <= 2; stride++)
        if (stride != stem.stride)
            collect_with_stem(to, base, stem.width, stride);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static bool has_room(const mn_space *space, const mn_genotype *base)
{
    for (uint32_t b = 0; b < base->block_count; b++)
        if (base->blocks[b].cell_count >= space->max_cells)
            return false;
    return true;
}

void mn__walk_moves(mn__collector *to,
                    const mn_space *space,
                    const mn_genotype *base,
                    mn_move_kind kind)
{
    switch (kind) {
    case MN_MOVE_AUGMENT:
        if (has_room(space, base))
            mn__walk_augment(to, base);
        return;
    case MN_MOVE_TRIM_LAYER:
    case MN_MOVE_TRIM_EDGE:
        mn__walk_trims(to, base, MN_MOVE_BIT(kind));
        return;
    case MN_MOVE_AUGMENT_BLOCK:
    case MN_MOVE_DEEPEN:
        walk_new_cells(to, space, base, kind);
        return;
    case MN_MOVE_ADD_BLOCK:
        walk_add_block(to, space, base);
        return;
    case MN_MOVE_WIDEN:
    case MN_MOVE_NARROW:
        walk_width(to, space, base, kind);
        return;
    case MN_MOVE_DROP_CELL:
        walk_drop_cell(to, base);
        return;
    case MN_MOVE_DROP_BLOCK:
        walk_drop_block(to, base);
        return;
    case MN_MOVE_STRIDE:
        walk_stride(to, base);
        return;
    case MN_MOVE_REPLACE:
    case MN_MOVE_REWIRE:
    case MN_MOVE_COMBINE:
        walk_cells(to, space, base, kind);
        return;
    case MN_MOVE_STEM:
        walk_stem(to, space, base);
        return;
    case MN_MOVE_ROUND0:
    case MN_MOVE_RANDOM:
    case MN_MOVE_COUNT:
        return;
    }
}

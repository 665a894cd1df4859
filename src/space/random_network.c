/*
 * Random networks of the larger space: what a search by chance tries, and what evolution starts
 * from. The frame gives the scale, so that under a bound a fair share of them fits.
 */
#include "base/random.h"
#include "space/genotype_check.h"
#include "space/space.h"

/* `width` that many steps of the table wider (negative: narrower), within the space. */
static uint32_t stepped(const mn_space *space, uint32_t width, int steps)
{
    for (; steps != 0; steps += steps > 0 ? -1 : 1) {
        uint32_t next = mn__width_step(space, width, steps > 0);
        if (next == 0)
            break;
        width = next;
    }
    width = width < space->min_width ? space->min_width : width;
    return width > space->max_width ? space->max_width : width;
}

/* -low to high, both included. */
static int draw_steps(mn_random *random, uint32_t low, uint32_t high)
{
    return (int)mn_random_below(random, low + high + 1) - (int)low;
}

static void draw_cells(mn_random *random, const mn_space *space, mn_block *block)
{
    mn_cell_op ops[MN_OP_COUNT];
    const uint32_t op_count = mn__space_ops(space, ops);
    block->cell_count = 1;
    while (block->cell_count < space->max_cells && mn_random_below(random, 2) == 0)
        block->cell_count++;
    for (uint32_t k = 0; k < block->cell_count; k++) {
        mn_cell *cell = &block->cells[k];
        for (uint32_t slot = 0; slot < 2; slot++) {
            cell->in[slot] = mn_random_below(random, k + 1);
            cell->op[slot] = ops[mn_random_below(random, op_count)];
        }
        cell->combine = mn_random_below(random, 2) == 0 ? MN_COMBINE_ADD : MN_COMBINE_CONCAT;
        cell->out = mn_random_below(random, 4) != 0;
    }
    mn__mark_unread(block);
}

/* Strides above 1 keep their order and come to random blocks. */
static void draw_strides(mn_random *random, const mn_genotype *frame, mn_genotype *genotype)
{
    uint32_t left = genotype->block_count;
    uint32_t b = 0;
    uint32_t strided = 0;
    for (uint32_t f = 0; f < frame->block_count; f++)
        strided += frame->blocks[f].stride > 1;
    for (uint32_t f = 0; f < frame->block_count; f++) {
        if (frame->blocks[f].stride == 1)
            continue;
        /* Each choice of blocks is equally likely: a block is taken with chance strided / left. */
        for (; mn_random_below(random, left) >= strided; left--)
            genotype->blocks[b++].stride = 1;
        genotype->blocks[b++].stride = frame->blocks[f].stride;
        strided--;
        left--;
    }
    while (b < genotype->block_count)
        genotype->blocks[b++].stride = 1;
}

static mn_status check_frame(const mn_space *space,
                             const mn_genotype *frame,
                             uint32_t *ret_least_blocks,
                             mn_error *err)
{
    uint32_t strided = 0;
    mn_status status = mn_space_check(space, err);
    if (status == MN_OK)
        status = mn__number_check(MN__BLOCK_COUNT, frame->block_count, "genotype", err);
    for (uint32_t b = 0; status == MN_OK && b < frame->block_count; b++) {
        char where[MN__PLACE_BYTES];
        mn__place_block(b, where);
        status = mn__number_check(MN__STRIDE, frame->blocks[b].stride, where, err);
        if (status == MN_OK)
            status = mn__number_check(MN__WIDTH, frame->blocks[b].width, where, err);
        strided += frame->blocks[b].stride > 1;
    }
    if (status == MN_OK && strided > space->max_blocks)
        status = mn_error_set(err,
                              MN_ERR_ARG,
                              "space: max_blocks %u, the frame has %u blocks with a stride",
                              space->max_blocks,
                              strided);
    *ret_least_blocks = strided > 0 ? strided : 1;
    return status;
}

mn_status mn_moves_random(const mn_space *space,
                          const mn_genotype *frame,
                          uint64_t seed,
                          mn_genotype *ret_genotype,
                          mn_error *err)
{
    uint32_t least = 0;
    mn_status status = check_frame(space, frame, &least, err);
    if (status != MN_OK)
        return status;
    mn_random random = mn_random_make(seed, 0x6e6574776f726b); /* "network" */
    mn_genotype g = {.input = frame->input, .classes = frame->classes, .head = frame->head};
    g.block_count = least + mn_random_below(&random, space->max_blocks - least + 1);
    draw_strides(&random, frame, &g);
    const int scale = draw_steps(&random, 4, 2);
    for (uint32_t b = 0; b < g.block_count; b++) {
        uint32_t at = b * frame->block_count / g.block_count;
        g.blocks[b].width =
            stepped(space, frame->blocks[at].width, scale + draw_steps(&random, 1, 1));
        draw_cells(&random, space, &g.blocks[b]);
    }
    if (mn_random_below(&random, 2) == 0)
        g.stem = (mn_stem){
            .width = stepped(space, frame->blocks[0].width, scale + draw_steps(&random, 1, 1)),
            .stride = 1 + mn_random_below(&random, 2),
        };
    status = mn_genotype_check(&g, err);
    if (status == MN_OK)
        *ret_genotype = g;
    return status;
}

/* Genotypes for the tests of space/: fixed ones, and random ones that always pass the check. */
#ifndef MN_TEST_GENOTYPE_SAMPLES_H
#define MN_TEST_GENOTYPE_SAMPLES_H

#include "base/random.h"
#include "memnet/genotype.h"

/* Five blocks with strides 1, 2, 1, 2, 1 (the paper's frame), without cells. */
static inline mn_genotype sample_frame(void)
{
    static const uint32_t strides[5] = {1, 2, 1, 2, 1};
    static const uint32_t widths[5] = {4, 4, 8, 8, 16};
    mn_genotype frame = {.input = {28, 28, 1}, .classes = 10, .block_count = 5};
    frame.head = MN_HEAD_MAXPOOL2;
    for (uint32_t b = 0; b < 5; b++) {
        frame.blocks[b].stride = strides[b];
        frame.blocks[b].width = widths[b];
    }
    return frame;
}

/* Appends a marked cell to every block. */
static inline void sample_append(mn_genotype *genotype,
                                 uint32_t in0,
                                 mn_cell_op op0,
                                 uint32_t in1,
                                 mn_cell_op op1,
                                 mn_combine combine)
{
    for (uint32_t b = 0; b < genotype->block_count; b++) {
        mn_block *block = &genotype->blocks[b];
        block->cells[block->cell_count++] =
            (mn_cell){.in = {in0, in1}, .op = {op0, op1}, .combine = combine, .out = true};
    }
}

/* The frame with one cell a block; with a second one that reads the first when `cells` is 2. */
static inline mn_genotype sample_base(uint32_t cells)
{
    mn_genotype base = sample_frame();
    sample_append(&base, 0, MN_OP_CONV_3X3, 0, MN_OP_AVG_POOL, MN_COMBINE_ADD);
    if (cells == 2)
        sample_append(&base, 1, MN_OP_SEPARABLE_3X3, 0, MN_OP_DILATED_CONV, MN_COMBINE_CONCAT);
    return base;
}

/* The example block of the paper (section on essential intermediate representations). */
static inline mn_genotype sample_paper_block(uint32_t width)
{
    mn_genotype paper = {.input = {16, 16, 3}, .classes = 10, .block_count = 1};
    paper.blocks[0].stride = 1;
    paper.blocks[0].width = width;
    sample_append(&paper, 0, MN_OP_SEPARABLE_3X3, 0, MN_OP_FACTORISED_CONV, MN_COMBINE_ADD);
    sample_append(&paper, 1, MN_OP_AVG_POOL, 0, MN_OP_SEPARABLE_5X5, MN_COMBINE_CONCAT);
    sample_append(&paper, 1, MN_OP_MAX_POOL, 2, MN_OP_MAX_POOL, MN_COMBINE_ADD);
    return paper;
}

static inline uint32_t sample_between(mn_random *random, uint32_t low, uint32_t high)
{
    return low + mn_random_below(random, high - low + 1);
}

static inline void sample_random_cells(mn_random *random, mn_block *block)
{
    bool read[MN_MAX_CELLS + 1] = {false};
    for (uint32_t k = 0; k < block->cell_count; k++) {
        mn_cell *cell = &block->cells[k];
        for (uint32_t slot = 0; slot < 2; slot++) {
            cell->in[slot] = mn_random_below(random, k + 1);
            cell->op[slot] = (mn_cell_op)mn_random_below(random, MN_OP_COUNT);
            read[cell->in[slot]] = true;
        }
        cell->combine = mn_random_below(random, 2) == 0 ? MN_COMBINE_ADD : MN_COMBINE_CONCAT;
        cell->out = mn_random_below(random, 2) == 0;
    }
    for (uint32_t k = 0; k < block->cell_count; k++) {
        if (!read[k + 1])
            block->cells[k].out = true;
    }
}

/* Upper limits of what sample_random() draws; lower ones are 1. */
typedef struct sample_limits {
    uint32_t side, channels, classes, width, blocks, cells;
} sample_limits;

static inline mn_genotype sample_random(mn_random *random, const sample_limits *most)
{
    mn_genotype g = {0};
    g.input.h = sample_between(random, 1, most->side);
    g.input.w = sample_between(random, 1, most->side);
    g.input.c = sample_between(random, 1, most->channels);
    g.classes = sample_between(random, 1, most->classes);
    if (mn_random_below(random, 2) == 0) {
        g.stem.width = sample_between(random, 1, most->width);
        g.stem.stride = sample_between(random, 1, MN_MAX_STRIDE);
    }
    g.head = mn_random_below(random, 2) == 0 ? MN_HEAD_GAP : MN_HEAD_MAXPOOL2;
    g.block_count = sample_between(random, 1, most->blocks);
    for (uint32_t b = 0; b < g.block_count; b++) {
        g.blocks[b].stride = sample_between(random, 1, MN_MAX_STRIDE);
        g.blocks[b].width = sample_between(random, 1, most->width);
        g.blocks[b].cell_count = sample_between(random, 1, most->cells);
        sample_random_cells(random, &g.blocks[b]);
    }
    return g;
}

#endif

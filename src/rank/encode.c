/*
 * Genotypes as sequences of numbers.
 */
#include "rank/encode.h"

#include <math.h>
#include <string.h>

/* Ways from a block's input to a value, counted in ops that were not trimmed. */
typedef struct ways {
    uint32_t shortest, longest;
} ways;

static uint32_t op_length(mn_cell_op op)
{
    return op != MN_OP_IDENTITY;
}

/* The way to a cell's output; values[k] belongs to what its inputs call k. */
static ways ways_of_cell(const mn_cell *cell, const ways *values)
{
    ways w = {UINT32_MAX, 0};
    for (int side = 0; side < 2; side++) {
        ways in = values[cell->in[side]];
        uint32_t length = op_length(cell->op[side]);
        if (in.shortest + length < w.shortest)
            w.shortest = in.shortest + length;
        if (in.longest + length > w.longest)
            w.longest = in.longest + length;
    }
    return w;
}

static void encode_cell(const mn_cell *cell, float *row)
{
    for (uint32_t side = 0; side < 2; side++) {
        row[mn__encode_in + side * MN_MAX_CELLS + cell->in[side]] = 1.0f;
        if (cell->op[side] != MN_OP_IDENTITY)
            row[mn__encode_op + side * MN_OP_COUNT + (uint32_t)cell->op[side]] = 1.0f;
    }
    row[mn__encode_out] = cell->out ? 1.0f : 0.0f;
    row[mn__encode_combine + (uint32_t)cell->combine] = 1.0f;
}

/* Divided so that the numbers of usual networks lie between 0 and 1. */
static void encode_numbers(const mn_genotype *g, uint32_t b, uint32_t k, ways w, float *row)
{
    float *numbers = row + mn__encode_numbers;
    numbers[0] = log2f((float)g->blocks[b].width) / 8.0f;
    numbers[1] = log2f((float)g->blocks[b].stride);
    numbers[2] = ((float)b + 1.0f) / (float)g->block_count;
    numbers[3] = ((float)k + 1.0f) / (float)MN_MAX_CELLS;
    numbers[4] = (float)w.shortest / 4.0f;
    numbers[5] = (float)w.longest / 4.0f;
}

static void count_cell(const mn_cell *cell, float *globals)
{
    globals[3] += 1.0f;
    globals[4] += cell->out ? 1.0f : 0.0f;
    globals[5] += cell->combine == MN_COMBINE_CONCAT ? 1.0f : 0.0f;
    for (int side = 0; side < 2; side++)
        globals[mn__encode_ops + (int)cell->op[side]] += 1.0f;
}

/* Encodes the cells of a block into `rows`. */
static void encode_block(const mn_genotype *g, uint32_t b, float *rows, float *globals)
{
    const mn_block *block = &g->blocks[b];
    ways values[MN_MAX_CELLS + 1] = {{0, 0}};
    ways output = {UINT32_MAX, 0};
    for (uint32_t k = 0; k < block->cell_count; k++) {
        const mn_cell *cell = &block->cells[k];
        float *row = rows + (size_t)k * mn__encode_features;
        ways w = ways_of_cell(cell, values);
        values[k + 1] = w;
        encode_cell(cell, row);
        encode_numbers(g, b, k, w, row);
        count_cell(cell, globals);
        if (cell->out && w.shortest < output.shortest)
            output.shortest = w.shortest;
        if (cell->out && w.longest > output.longest)
            output.longest = w.longest;
    }
    float width = log2f((float)block->width);
    globals[6] += (float)output.longest;
    globals[7] += (float)output.shortest;
    globals[8] = width > globals[8] ? width : globals[8];
}

uint32_t mn__encode_steps(const mn_genotype *genotype)
{
    uint32_t steps = 0;
    for (uint32_t b = 0; b < genotype->block_count; b++)
        steps += genotype->blocks[b].cell_count;
    return steps;
}

mn_status mn__encode(const mn_genotype *genotype,
                     const mn__encode_sizes *sizes,
                     float *ret_features,
                     float *ret_globals,
                     mn_error *err)
{
    mn_status status = mn_genotype_check(genotype, err);
    if (status != MN_OK)
        return status;
    mn_genotype g;
    mn_genotype_canonical(genotype, &g);
    float *rows = ret_features;
    memset(rows, 0, (size_t)mn__encode_steps(&g) * mn__encode_features * sizeof *rows);
    memset(ret_globals, 0, mn__encode_globals * sizeof *ret_globals);
    ret_globals[0] = (float)log((double)sizes->weights_bytes + 1.0);
    ret_globals[1] = (float)log((double)sizes->arena_bytes + 1.0);
    ret_globals[2] = (float)log((double)sizes->macs + 1.0);
    for (uint32_t b = 0; b < g.block_count; b++) {
        encode_block(&g, b, rows, ret_globals);
        rows += (size_t)g.blocks[b].cell_count * mn__encode_features;
    }
    return MN_OK;
}

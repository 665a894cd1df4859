/*
 * Which genotypes are networks. Everything that reads a genotype's arrays relies on this check:
 * counts within the arrays, inputs that point backwards (so no cycle), no cell without a reader.
 */
#include "space/genotype_check.h"

#include <stdbool.h>
#include <stdio.h>

static const struct {
    const char *name;
    int64_t low, high;
} numbers[] = {
    [MN__INPUT_HEIGHT] = {"height", 1, MN_MAX_INPUT_SIDE},
    [MN__INPUT_WIDTH] = {"width", 1, MN_MAX_INPUT_SIDE},
    [MN__INPUT_CHANNELS] = {"channels", 1, MN_MAX_INPUT_CHANNELS},
    [MN__CLASSES] = {"classes", 1, MN_MAX_CLASSES},
    [MN__WIDTH] = {"width", 1, MN_MAX_WIDTH},
    [MN__STRIDE] = {"stride", 1, MN_MAX_STRIDE},
    [MN__BLOCK_COUNT] = {"block count", 1, MN_MAX_BLOCKS},
    [MN__CELL_COUNT] = {"cell count", 1, MN_MAX_CELLS},
};

const char *mn__number_name(mn__number number)
{
    return numbers[number].name;
}

mn_status mn__number_check(mn__number number, int64_t value, const char *where, mn_error *err)
{
    if (value >= numbers[number].low && value <= numbers[number].high)
        return MN_OK;
    return mn_error_set(err,
                        MN_ERR_ARG,
                        "%s: %s %lld out of range [%lld,%lld]",
                        where,
                        numbers[number].name,
                        (long long)value,
                        (long long)numbers[number].low,
                        (long long)numbers[number].high);
}

mn_status mn__cell_input_check(uint32_t cell, int64_t input, const char *where, mn_error *err)
{
    if (input >= 0 && input <= (int64_t)cell)
        return MN_OK;
    return mn_error_set(err,
                        MN_ERR_ARG,
                        "%s: input %lld out of range [0,%lld)",
                        where,
                        (long long)input,
                        (long long)cell + 1);
}

void mn__place_block(uint32_t block, char ret_place[MN__PLACE_BYTES])
{
    snprintf(ret_place, MN__PLACE_BYTES, "block %u", block);
}

void mn__place_cell(uint32_t block, uint32_t cell, char ret_place[MN__PLACE_BYTES])
{
    snprintf(ret_place, MN__PLACE_BYTES, "block %u cell %u", block, cell);
}

static bool is_read(const mn_block *block, uint32_t cell)
{
    for (uint32_t k = cell + 1; k < block->cell_count; k++) {
        if (block->cells[k].in[0] == cell + 1 || block->cells[k].in[1] == cell + 1)
            return true;
    }
    return false;
}

static mn_status check_cell(const mn_genotype *genotype, uint32_t b, uint32_t k, mn_error *err)
{
    const mn_block *block = &genotype->blocks[b];
    const mn_cell *cell = &block->cells[k];
    char where[MN__PLACE_BYTES];
    mn__place_cell(b, k, where);
    for (uint32_t slot = 0; slot < 2; slot++) {
        mn_status status = mn__cell_input_check(k, cell->in[slot], where, err);
        if (status != MN_OK)
            return status;
        if ((unsigned)cell->op[slot] >= MN_OP_COUNT)
            return mn_error_set(err,
                                MN_ERR_ARG,
                                "%s: op %u out of range [0,%u)",
                                where,
                                (unsigned)cell->op[slot],
                                (unsigned)MN_OP_COUNT);
    }
    if (cell->combine != MN_COMBINE_ADD && cell->combine != MN_COMBINE_CONCAT)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "%s: combine %u, expected 0 (add) or 1 (concat)",
                            where,
                            (unsigned)cell->combine);
    if (!cell->out && !is_read(block, k))
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "%s: its output is neither marked 'out' nor read by a later cell",
                            where);
    return MN_OK;
}

static mn_status check_block(const mn_genotype *genotype, uint32_t b, mn_error *err)
{
    const mn_block *block = &genotype->blocks[b];
    char where[MN__PLACE_BYTES];
    mn__place_block(b, where);
    mn_status status = mn__number_check(MN__STRIDE, block->stride, where, err);
    if (status == MN_OK)
        status = mn__number_check(MN__WIDTH, block->width, where, err);
    if (status == MN_OK)
        status = mn__number_check(MN__CELL_COUNT, block->cell_count, where, err);
    for (uint32_t k = 0; status == MN_OK && k < block->cell_count; k++)
        status = check_cell(genotype, b, k, err);
    return status;
}

/* Without a stem (width 0) its stride means nothing. */
static mn_status check_stem(const mn_stem *stem, mn_error *err)
{
    if (stem->width == 0)
        return MN_OK;
    mn_status status = mn__number_check(MN__WIDTH, stem->width, "stem", err);
    if (status == MN_OK)
        status = mn__number_check(MN__STRIDE, stem->stride, "stem", err);
    return status;
}

mn_status mn_genotype_check(const mn_genotype *genotype, mn_error *err)
{
    mn_status status = mn__number_check(MN__INPUT_HEIGHT, genotype->input.h, "input", err);
    if (status == MN_OK)
        status = mn__number_check(MN__INPUT_WIDTH, genotype->input.w, "input", err);
    if (status == MN_OK)
        status = mn__number_check(MN__INPUT_CHANNELS, genotype->input.c, "input", err);
    if (status == MN_OK)
        status = mn__number_check(MN__CLASSES, genotype->classes, "genotype", err);
    if (status == MN_OK)
        status = check_stem(&genotype->stem, err);
    if (status == MN_OK)
        status = mn__number_check(MN__BLOCK_COUNT, genotype->block_count, "genotype", err);
    for (uint32_t b = 0; status == MN_OK && b < genotype->block_count; b++)
        status = check_block(genotype, b, err);
    if (status == MN_OK && genotype->head != MN_HEAD_GAP && genotype->head != MN_HEAD_MAXPOOL2)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "genotype: head %u, expected 0 (gap) or 1 (maxpool2)",
                            (unsigned)genotype->head);
    return status;
}

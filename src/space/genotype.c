/*
 * Identity of genotypes (equality, canonical form, id) and the numbering of their layers.
 * All functions here expect a genotype that passes mn_genotype_check().
 */
#include "memnet/genotype.h"

#include "base/hash.h"

/* Layers of a cell: op 0, op 1, combine. */
#define CELL_LAYERS 3u

static bool cell_equal(const mn_cell *a, const mn_cell *b)
{
    return a->in[0] == b->in[0] && a->in[1] == b->in[1] && a->op[0] == b->op[0] &&
           a->op[1] == b->op[1] && a->combine == b->combine && a->out == b->out;
}

static bool block_equal(const mn_block *a, const mn_block *b)
{
    if (a->stride != b->stride || a->width != b->width || a->cell_count != b->cell_count)
        return false;
    for (uint32_t k = 0; k < a->cell_count; k++) {
        if (!cell_equal(&a->cells[k], &b->cells[k]))
            return false;
    }
    return true;
}

bool mn_genotype_equal(const mn_genotype *a, const mn_genotype *b)
{
    bool same_stem =
        a->stem.width == b->stem.width && (a->stem.width == 0 || a->stem.stride == b->stem.stride);
    if (!mn_shape_equal(a->input, b->input) || a->classes != b->classes || !same_stem ||
        a->block_count != b->block_count || a->head != b->head)
        return false;
    for (uint32_t i = 0; i < a->block_count; i++) {
        if (!block_equal(&a->blocks[i], &b->blocks[i]))
            return false;
    }
    return true;
}

static mn_cell canonical_cell(const mn_cell *cell)
{
    bool swap = cell->in[0] != cell->in[1] ? cell->in[0] > cell->in[1] : cell->op[0] > cell->op[1];
    if (!swap)
        return *cell;
    return (mn_cell){
        .in = {cell->in[1], cell->in[0]},
        .op = {cell->op[1], cell->op[0]},
        .combine = cell->combine,
        .out = cell->out,
    };
}

void mn_genotype_canonical(const mn_genotype *genotype, mn_genotype *ret_canonical)
{
    mn_genotype canonical = *genotype;
    if (canonical.stem.width == 0)
        canonical.stem.stride = 0;
    for (uint32_t b = 0; b < canonical.block_count; b++) {
        mn_block *block = &canonical.blocks[b];
        for (uint32_t k = 0; k < block->cell_count; k++)
            block->cells[k] = canonical_cell(&block->cells[k]);
    }
    *ret_canonical = canonical;
}

/* A number of its own width and byte order, so that ids do not depend on struct layout. */
static void hash_number(uint64_t *hash, uint32_t number)
{
    unsigned char bytes[4];
    for (unsigned k = 0; k < 4; k++)
        bytes[k] = (unsigned char)(number >> (8 * k));
    *hash = mn_hash_bytes(*hash, bytes, sizeof bytes);
}

static void hash_block(uint64_t *hash, const mn_block *block)
{
    hash_number(hash, block->stride);
    hash_number(hash, block->width);
    hash_number(hash, block->cell_count);
    for (uint32_t k = 0; k < block->cell_count; k++) {
        const mn_cell *cell = &block->cells[k];
        for (uint32_t slot = 0; slot < 2; slot++) {
            hash_number(hash, cell->in[slot]);
            hash_number(hash, (uint32_t)cell->op[slot]);
        }
        hash_number(hash, (uint32_t)cell->combine);
        hash_number(hash, cell->out ? 1 : 0);
    }
}

void mn_genotype_id(const mn_genotype *genotype, char ret_id[MN_ID_BYTES])
{
    mn_genotype canonical;
    mn_genotype_canonical(genotype, &canonical);
    uint64_t hash = MN_HASH_START;
    hash_number(&hash, MN_GENOTYPE_FORMAT);
    hash_number(&hash, canonical.input.h);
    hash_number(&hash, canonical.input.w);
    hash_number(&hash, canonical.input.c);
    hash_number(&hash, canonical.classes);
    hash_number(&hash, canonical.stem.width);
    hash_number(&hash, canonical.stem.stride);
    hash_number(&hash, (uint32_t)canonical.head);
    hash_number(&hash, canonical.block_count);
    for (uint32_t b = 0; b < canonical.block_count; b++)
        hash_block(&hash, &canonical.blocks[b]);
    mn_hash_hex(hash, ret_id);
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* Number of the first layer of block `block`; of one past the last block, the head's. */
static uint32_t first_layer(const mn_genotype *genotype, uint32_t block)
{
    uint32_t layer = 1; /* the stem */
    for (uint32_t b = 0; b < block; b++)
        layer += CELL_LAYERS * genotype->blocks[b].cell_count + 1;
    return layer;
}

uint32_t mn_genotype_layer_count(const mn_genotype *genotype)
{
    return mn_genotype_layer_head(genotype) + 1;
}

uint32_t mn_genotype_layer_stem(void)
{
    return 0;
}

uint32_t
mn_genotype_layer_cell(const mn_genotype *genotype, uint32_t block, uint32_t cell, uint32_t slot)
{
    return first_layer(genotype, block) + CELL_LAYERS * cell + slot;
}

uint32_t mn_genotype_layer_block_output(const mn_genotype *genotype, uint32_t block)
{
    return first_layer(genotype, block + 1) - 1;
}

uint32_t mn_genotype_layer_head(const mn_genotype *genotype)
{
    return first_layer(genotype, genotype->block_count);
}

/*
 * Ranges of the numbers in a genotype: one table for the parser, which sees any integer, and for
 * mn_genotype_check(), so that both refuse the same values in the same words.
 */
#ifndef MN_SPACE_GENOTYPE_CHECK_H
#define MN_SPACE_GENOTYPE_CHECK_H

#include <stdint.h>

#include "memnet/genotype.h"

typedef enum mn__number {
    MN__INPUT_HEIGHT,
    MN__INPUT_WIDTH,
    MN__INPUT_CHANNELS,
    MN__CLASSES,
    MN__WIDTH,
    MN__STRIDE,
    MN__BLOCK_COUNT,
    MN__CELL_COUNT
} mn__number;

/* The number's name in messages; of those that JSON stores by name, also its key. */
const char *mn__number_name(mn__number number);

/* MN_OK, or MN_ERR_ARG "<where>: <name> <value> out of range [low,high]". */
mn_status mn__number_check(mn__number number, int64_t value, const char *where, mn_error *err);

/* Whether cell `cell` may read `input`: the block's input or an earlier cell. */
mn_status mn__cell_input_check(uint32_t cell, int64_t input, const char *where, mn_error *err);

/* Room for "block 15 cell 14" with any uint32_t in place of the numbers. */
#define MN__PLACE_BYTES 40

/* Writes "block B", the place that opens a message. */
void mn__place_block(uint32_t block, char ret_place[MN__PLACE_BYTES]);
/* Writes "block B cell C". */
void mn__place_cell(uint32_t block, uint32_t cell, char ret_place[MN__PLACE_BYTES]);

#endif

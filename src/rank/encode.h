/*
 * How the controller sees a genotype: one vector of features per cell, block after block (the
 * paper's encoding), and a few numbers of the network as a whole. Place: between space/, whose
 * genotypes it reads, and controller.h, whose samples it fills.
 *
 * Invariant: genotypes of one id (the two sides of a cell exchanged) give the same numbers.
 */
#ifndef MN_RANK_ENCODE_H
#define MN_RANK_ENCODE_H

#include "memnet/genotype.h"

/* Parts of a cell's vector, in order: which value each side reads, whether the cell is marked,
 * each side's op (all zeros where it was trimmed), how the sides are combined, numbers. */
enum {
    mn__encode_in = 0,
    mn__encode_out = mn__encode_in + 2 * MN_MAX_CELLS,
    mn__encode_op = mn__encode_out + 1,
    mn__encode_combine = mn__encode_op + 2 * MN_OP_COUNT,
    mn__encode_numbers = mn__encode_combine + 2,
    mn__encode_number_count = 6,
    mn__encode_features = mn__encode_numbers + mn__encode_number_count,
    mn__encode_ops = 9, /* of the globals, where the counts of each op begin */
    mn__encode_globals = mn__encode_ops + MN_OP_COUNT
};

/* The numbers of a cell: log2 of the block's width and of its stride, where the block stands among
 * the blocks, where the cell stands, the shortest and the longest way from the block's input to the
 * cell's output in ops that were not trimmed. The globals: logarithms of weight bytes, arena bytes
 * and multiply-adds, cells, marked cells, concats, the longest and the shortest way through all
 * blocks, log2 of the largest width, then how often each op occurs. */

/* What the plan of the network says; the caller has measured it. */
typedef struct mn__encode_sizes {
    uint64_t weights_bytes, arena_bytes, macs;
} mn__encode_sizes;

/* Steps of the sequence: the cells of all blocks; at most MN_MAX_BLOCKS * MN_MAX_CELLS. */
uint32_t mn__encode_steps(const mn_genotype *genotype);

/*
 * Writes the sequence (steps, mn__encode_features) and the numbers (mn__encode_globals).
 * MN_ERR_ARG when the genotype does not pass mn_genotype_check(); nothing is written then.
 */
mn_status mn__encode(const mn_genotype *genotype,
                     const mn__encode_sizes *sizes,
                     float *ret_features,
                     float *ret_globals,
                     mn_error *err);

#endif

/**
 * Moves: how augment-trim search goes from one network to its neighbours (paper, "Loop").
 */
#ifndef MEMNET_MOVES_H
#define MEMNET_MOVES_H

#include "memnet/genotype.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mn_move_kind {
    MN_MOVE_ROUND0,
    MN_MOVE_AUGMENT,
    MN_MOVE_TRIM_LAYER,
    MN_MOVE_TRIM_EDGE
} mn_move_kind;

/** One candidate: the child and where its layers came from. */
typedef struct mn_candidate {
    mn_move_kind kind;
    mn_genotype genotype;
    mn_layer_map map; /**< count 0 for round 0, which has no parent. */
} mn_candidate;

/** A list in a fixed order that depends on the arguments only. */
typedef struct mn_candidates {
    size_t count;
    mn_candidate *items;
} mn_candidates;

/** NULL is fine. */
MN_API void mn_candidates_free(mn_candidates *candidates);

/** "round0", "augment", "trim-layer", "trim-edge". */
MN_API const char *mn_move_name(mn_move_kind kind);

/**
 * All one-cell networks on `frame` (its blocks' cells are ignored): both inputs the block's input,
 * every (op 1, op 2, combine), the same cell in every block: 7 x 7 x 2 = 98.
 */
MN_API mn_status mn_moves_round0(const mn_genotype *frame,
                                 mn_candidates **ret_candidates,
                                 mn_error *err);

/**
 * All networks that add one and the same new cell, marked `out`, to every block of `base`: every
 * (input 1, input 2, op 1, op 2, combine). With n cells a block: (n+1)^2 x 49 x 2. Blocks with
 * unequal cell counts offer the inputs that exist in all of them. An empty list when a block is
 * full (MN_MAX_CELLS).
 */
MN_API mn_status mn_moves_augment(const mn_genotype *base,
                                  mn_candidates **ret_candidates,
                                  mn_error *err);

/**
 * All networks that trim one layer (an op becomes `identity`) or one edge (the `out` mark of a
 * cell that another cell of its block reads is cleared) of one block.
 */
MN_API mn_status mn_moves_trim(const mn_genotype *base,
                               mn_candidates **ret_candidates,
                               mn_error *err);

#ifdef __cplusplus
}
#endif
#endif

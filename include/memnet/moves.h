/**
 * Moves: how a search goes from one network to its neighbours. Augment and trim are the paper's
 * ("Loop"); the others, with random networks and mutations, are the larger space of the fast
 * preset, which augment-trim, random search and evolution share.
 *
 * Which children compute what their parent computes when mn_tensors_inherit() starts them:
 * docs/search.md, "Moves".
 */
#ifndef MEMNET_MOVES_H
#define MEMNET_MOVES_H

#include "memnet/genotype.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of moves and their names. Stored in studies by name. */
#define MN_MOVE_LIST(X)                                                                            \
    X(MN_MOVE_ROUND0, "round0")               /* no parent */                                      \
    X(MN_MOVE_AUGMENT, "augment")             /* one and the same new cell in every block */       \
    X(MN_MOVE_TRIM_LAYER, "trim-layer")       /* an op becomes `identity` */                       \
    X(MN_MOVE_TRIM_EDGE, "trim-edge")         /* a cell leaves the block's output */               \
    X(MN_MOVE_AUGMENT_BLOCK, "augment-block") /* a new cell in one block */                        \
    X(MN_MOVE_DEEPEN, "deepen")               /* a residual cell in place of a block's last one */ \
    X(MN_MOVE_ADD_BLOCK, "add-block")         /* a residual block of one cell */                   \
    X(MN_MOVE_WIDEN, "widen")                 /* a block, by one step of the width table */        \
    X(MN_MOVE_NARROW, "narrow")               /* likewise */                                       \
    X(MN_MOVE_DROP_CELL, "drop-cell")         /* a block's last */                                 \
    X(MN_MOVE_DROP_BLOCK, "drop-block")       /* one of stride 1 */                                \
    X(MN_MOVE_STRIDE, "move-stride")          /* neighbouring blocks exchange their strides */     \
    X(MN_MOVE_REPLACE, "replace")             /* another op in a slot */                           \
    X(MN_MOVE_REWIRE, "rewire")               /* another input in a slot */                        \
    X(MN_MOVE_COMBINE, "combine")             /* add and concat exchanged in a cell */             \
    X(MN_MOVE_STEM, "stem")                   /* added, removed, width or stride changed */        \
    X(MN_MOVE_RANDOM, "random")               /* no parent */

typedef enum mn_move_kind {
#define MN__MOVE_ENUM(name, text) name,
    MN_MOVE_LIST(MN__MOVE_ENUM)
#undef MN__MOVE_ENUM
        MN_MOVE_COUNT
} mn_move_kind;

/* Sets of kinds. */
#define MN_MOVE_BIT(kind) (UINT32_C(1) << (kind))
#define MN_MOVES_PAPER                                                                             \
    (MN_MOVE_BIT(MN_MOVE_AUGMENT) | MN_MOVE_BIT(MN_MOVE_TRIM_LAYER) |                              \
     MN_MOVE_BIT(MN_MOVE_TRIM_EDGE))
/** Every kind that makes a child from a parent. */
#define MN_MOVES_ALL                                                                               \
    ((MN_MOVE_BIT(MN_MOVE_COUNT) - 1) & ~MN_MOVE_BIT(MN_MOVE_ROUND0) & ~MN_MOVE_BIT(MN_MOVE_RANDOM))

/** One candidate: the child and where its layers came from. */
typedef struct mn_candidate {
    mn_move_kind kind;
    mn_genotype genotype;
    mn_layer_map map; /**< count 0 when there is no parent. */
} mn_candidate;

/** A list in a fixed order that depends on the arguments only. */
typedef struct mn_candidates {
    size_t count;
    mn_candidate *items;
} mn_candidates;

/** NULL is fine. */
MN_API void mn_candidates_free(mn_candidates *candidates);

/** As in the list above; "unknown" for other values. */
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

/* ---- the larger space ------------------------------------------------------------------------ */

/** How far moves and random networks go. A base may lie outside: then nothing grows there. */
typedef struct mn_space {
    uint32_t ops; /**< Bits 1 << mn_cell_op: what may be put into a slot. Default: every op. */
    uint32_t max_blocks; /**< 1 to MN_MAX_BLOCKS, default 8. */
    uint32_t max_cells;  /**< Of a block, 1 to MN_MAX_CELLS, default 13. */
    uint32_t min_width;  /**< Of blocks and stem, 1 to max_width, default 4. */
    uint32_t max_width;  /**< At most MN_MAX_WIDTH, default 1024. */
} mn_space;

MN_API mn_space mn_space_default(void);

/** MN_ERR_ARG names the first limit that is out of range. `ops` needs one beside `identity`. */
MN_API mn_status mn_space_check(const mn_space *space, mn_error *err);

/**
 * All children of `base` by the moves in `kinds`, kind by kind in the order of the list above.
 * Every one passes mn_genotype_check(); some may have equal ids, or the id of `base`. With S the
 * ops of the space, s those of them that are not `identity`, and n the cells of a block:
 *
 * - augment, trim-layer, trim-edge: as the functions above; augment is empty once a block has
 *   max_cells.
 * - augment-block: block by block a cell of two (input, op) pairs out of {the block's input, the
 *   last cell} x S and both combines; each two pairs once: |S| (2 |S| + 1) x 2.
 * - deepen: where a block's last cell adds and is marked: add(identity, op), both of that cell,
 * takes its mark over: |s| a block.
 * - add-block: behind every block, and behind the stem, a block add(identity, op) of stride 1: |s|
 *   as wide as what it reads, so that the identity is a plain link, and, where that is not the
 * width of the block in front, |s| of that width.
 * - widen, narrow: one step of {4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768,
 *   1024, 1536, 2048, 3072, 4096}.
 * - drop-cell: a block's last; what only that cell read becomes marked.
 * - move-stride: every two neighbouring blocks of unequal strides.
 * - replace: every other op of s in every slot.
 * - rewire: every other input of every slot that leaves no cell unread.
 * - stem: absent: the first block's width, strides 1 and 2; present: none, one step wider, one
 *   narrower, strides 1 and 2.
 *
 * @param kinds  MN_MOVE_BIT()s; those of moves without a parent are ignored.
 * @retval MN_ERR_ARG  `base` or `space` does not pass its check.
 */
MN_API mn_status mn_moves_neighbours(const mn_space *space,
                                     const mn_genotype *base,
                                     uint32_t kinds,
                                     mn_candidates **ret_candidates,
                                     mn_error *err);

/**
 * One random child: each kind of `kinds` that has children is equally likely, then each of its
 * children. Equal arguments, equal child.
 *
 * @param ret_child  On MN_OK: freed by mn_layer_map_done(&ret_child->map). Else untouched.
 * @retval MN_ERR_ARG    As for mn_moves_neighbours().
 * @retval MN_ERR_LIMIT  No move of these kinds leads anywhere.
 */
MN_API mn_status mn_moves_mutate(const mn_space *space,
                                 const mn_genotype *parent,
                                 uint32_t kinds,
                                 uint64_t seed,
                                 mn_candidate *ret_child,
                                 mn_error *err);

/**
 * A random network of the space with the frame's input, classes, head and strides (those above 1 at
 * random places; the frame's cells are ignored). Blocks: up to max_blocks, each number equally
 * likely; cells: one, and each further one half as likely; widths: the frame's at that depth, all
 * of them up to four steps narrower or two wider, each one step more or less; every fourth mark
 * that may go is gone; a stem in every second network. Equal arguments, equal network.
 *
 * @retval MN_ERR_ARG  `space` does not pass its check, the frame's blocks or its head do not, or
 *                     more blocks have a stride than max_blocks.
 */
MN_API mn_status mn_moves_random(const mn_space *space,
                                 const mn_genotype *frame,
                                 uint64_t seed,
                                 mn_genotype *ret_genotype,
                                 mn_error *err);

#ifdef __cplusplus
}
#endif
#endif

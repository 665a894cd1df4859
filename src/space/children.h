/*
 * Where moves put their children. A move is a walk over all its children in a fixed order; the
 * collector counts them, keeps them all or keeps the one of a certain number, so that a random
 * child is drawn without a list of thousands.
 */
#ifndef MN_SPACE_CHILDREN_H
#define MN_SPACE_CHILDREN_H

#include "memnet/moves.h"

#define MN__ALL_CHILDREN SIZE_MAX

typedef struct mn__collector {
    const mn_genotype *base; /* borrowed */
    size_t count;            /* children that went by */
    size_t wanted;           /* number of the child to keep, or MN__ALL_CHILDREN */
    mn_candidates *list;     /* borrowed, with room for what is kept; NULL: only counts */
    mn_status status;        /* The first error sticks. */
    mn_error *err;           /* borrowed, may be NULL */
} mn__collector;

/* `blocks` as in mn__layer_map_build(). */
void mn__collect(mn__collector *to,
                 mn_move_kind kind,
                 const mn_genotype *child,
                 const uint32_t *blocks);

/* An empty list with room for `capacity` candidates. */
mn_status mn__candidates_create(size_t capacity, mn_candidates **ret_list, mn_error *err);

/* Put every child of `base`, which passes the check, into `to`; trims: of the kinds in `kinds`. */
void mn__walk_trims(mn__collector *to, const mn_genotype *base, uint32_t kinds);
void mn__walk_augment(mn__collector *to, const mn_genotype *base);
/* Any kind of MN_MOVES_ALL. */
void mn__walk_moves(mn__collector *to,
                    const mn_space *space,
                    const mn_genotype *base,
                    mn_move_kind kind);

/* Channels of a block's output. */
uint32_t mn__block_channels(const mn_block *block);

#endif

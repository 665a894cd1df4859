/*
 * The hard core of a placement: the buffers that may not fit, and the steps at which they meet.
 * Comes between the greedy and the exact search for offsets.
 */
#ifndef MN_PLAN_OFFSETS_CORE_H
#define MN_PLAN_OFFSETS_CORE_H

#include "memnet/plan.h"

/* A buffer, alive from column `first` to column `last`, both included. */
typedef struct mn__piece {
    size_t bytes;
    size_t offset; /* when placed */
    size_t floor;  /* it cannot lie lower, if not placed */
    uint64_t key;  /* larger ones are tried first */
    uint32_t first;
    uint32_t last;
    uint32_t buffer;
    bool placed;
} mn__piece;

/*
 * Columns are the steps at which the set of live buffers is no subset of another step's: two
 * buffers are alive together exactly when they share a column.
 */
typedef struct mn__core {
    uint32_t piece_count;
    mn__piece *pieces; /* by rising first column */
    uint32_t column_count;
    uint32_t *starts;  /* (columns + 1) index of the first piece of each column */
    uint32_t *lists;   /* (columns + 1) where each column's list of live pieces starts */
    uint32_t *members; /* the lists: indices of pieces */
    uint32_t left_out_count;
    uint32_t
        *left_out; /* buffers, in the order of leaving: go back in reverse, at the lowest gap */
} mn__core;

/*
 * Leaves out every buffer that finds a gap in an arena of `arena_bytes`, and so in any larger one,
 * wherever the buffers that are left in it lie.
 *
 * @param core  Zeroed; to be emptied with mn__core_done() whatever the outcome.
 * @return      False when out of memory.
 */
bool mn__core_find(const mn_plan_buffer *buffers,
                   uint32_t count,
                   size_t arena_bytes,
                   mn__core *core);
void mn__core_done(mn__core *core);

#endif

/*
 * Limits of the search space, and the table of widths that its moves step through.
 */
#ifndef MN_SPACE_SPACE_H
#define MN_SPACE_SPACE_H

#include <stdbool.h>

#include "memnet/moves.h"

/* The ops of the space in the order of their numbers; returns how many. */
uint32_t mn__space_ops(const mn_space *space, mn_cell_op ret_ops[MN_OP_COUNT]);

/* The next width of the table above or below `width`, or 0 when that is none of the space. */
uint32_t mn__width_step(const mn_space *space, uint32_t width, bool wider);

/* Marks the cells of a block that no later cell reads. */
void mn__mark_unread(mn_block *block);

#endif

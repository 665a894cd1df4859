/*
 * The board of one segment in few bytes, so that a search can keep many and tell equal ones.
 */
#ifndef MN_PLAN_BOARD_STATE_H
#define MN_PLAN_BOARD_STATE_H

#include "plan/board.h"

/* Which nodes have run, then which host each value that has a choice lies in. */
typedef struct mn__state_form {
    const mn__reach *reach;
    size_t set_bytes;
    uint32_t choice_count;
    uint32_t *choices; /* (choice_count) values with hosts */
    size_t state_bytes;
} mn__state_form;

mn_status mn__state_form_find(const mn__reach *reach, mn__state_form *form, mn_error *err);
void mn__state_form_done(mn__state_form *form);

/* Boards that differ only in what no longer matters are written alike. */
void mn__board_save(const mn__board *board, const mn__state_form *form, uint8_t *ret_state);

/* Marks from before are void. board->moves tells only how many there were. */
void mn__board_load(mn__board *board, const mn__state_form *form, const uint8_t *state);

#endif

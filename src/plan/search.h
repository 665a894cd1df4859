/*
 * The search within one segment: best-first over boards, by the bytes that were or must come to be
 * alive.
 */
#ifndef MN_PLAN_SEARCH_H
#define MN_PLAN_SEARCH_H

#include "plan/ahead.h"
#include "plan/board_state.h"
#include "plan/order.h"

/* A segment and the best way through it so far. */
typedef struct mn__search {
    mn__reach reach;
    mn__ahead ahead;
    mn__state_form form;
    size_t peak_bytes;        /* of the best way */
    size_t lower_bound_bytes; /* of all ways */
    uint32_t move_count;
    mn__move *moves;   /* (reach.count) the best way */
    uint32_t *lies_in; /* (reach.count) where its values lie, as on the board */
    uint32_t states;
    bool is_cut; /* some ways were left out: the lower bound must not rise by searching */
} mn__search;

/* Finds a lower bound and, unless that is all, a way through. `search` is zeroed; emptied by
 * mn__search_done(). (greedy.c) */
mn_status mn__search_start(
    mn__search *search, mn__board *board, mn__segment segment, mn__effort effort, mn_error *err);

/*
 * Looks for a better way until none is, or the best one needs no more than `enough_bytes`, or
 * `max_states` boards have been looked at.
 */
mn_status mn__search_run(
    mn__search *search, mn__board *board, size_t enough_bytes, uint32_t max_states, mn_error *err);
void mn__search_done(mn__search *search);

/* Takes the moves on the board, which is finished, for the best way so far. (greedy.c) */
void mn__search_record(mn__search *search, const mn__board *board, size_t peak);
/* Puts the board at the start of the segment; `zeros` (form.state_bytes) is overwritten. */
void mn__search_reset(mn__search *search, mn__board *board, uint8_t *zeros);

/* What looking ahead from a board told about the steps to come, when `limit` bytes are too many. */
typedef struct mn__watch {
    const mn__ahead *ahead;
    mn__brink brink;
    uint32_t shut[MN__MOST_TOPS]; /* concats that the next step must not give a place; MN_NONE */
    size_t limit;
} mn__watch;

typedef enum mn__turn {
    MN__TURN_DONE, /* the moves were made */
    MN__TURN_SKIP, /* this way is never better than others: nothing, or not all of it, was done */
    MN__TURN_NONE  /* there is no way of this number, nor of a higher one */
} mn__turn;

/* The ways to go on by running node n, numbered from 0. Writes the most that is alive meanwhile.
 * `watch` may be NULL; it only skips ways. (macro.c) */
mn__turn mn__macro_run(mn__board *board,
                       uint32_t n,
                       uint32_t macro,
                       const mn__watch *watch,
                       size_t *ret_during,
                       bool *ret_cut);

/* Makes all moves that can be made without loss when `level` bytes may be alive. Returns the most
 * that was alive meanwhile. (settle.c) */
size_t mn__settle(mn__board *board, size_t level);

#endif

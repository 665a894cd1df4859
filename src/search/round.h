/*
 * One round: generate, check against the bound, rank, train, score, decide.
 */
#ifndef MN_SEARCH_ROUND_H
#define MN_SEARCH_ROUND_H

#include "search/session.h"

typedef enum mn__round_end {
    MN__ROUND_DECIDED,  /* the base may have changed */
    MN__ROUND_RECALLED, /* the same, out of the study */
    MN__ROUND_EMPTY,    /* nothing new fits the bound: the search for this goal is over */
    MN__ROUND_LATE      /* it would end behind the rounds' share of the time: not begun */
} mn__round_end;

/* Runs round `round` for the session's goal, or recalls it when the study has decided it. Unless it
 * was empty or late the goal's base is that of its next round, and the round is in the study. A
 * round whose trainings all fail leaves the base as it is; a goal's first: MN_ERR_WORKER. */
mn_status
mn__round_run(mn__session *session, uint32_t round, mn__round_end *ret_end, mn_error *err);

#endif

/*
 * The ranker that learns: the structure correlation controller (rank/controller.h) on what the
 * study has trained, unless the rule of size ranks that better.
 */
#ifndef MN_SEARCH_RANKER_LEARNED_H
#define MN_SEARCH_RANKER_LEARNED_H

#include "rank/controller.h"
#include "search/ranker.h"
#include "search/session.h"

/* How a round was ranked, for the study. */
typedef struct mn__ranking {
    const char *name;           /* of what ranked: "size", or a kind of controller */
    uint32_t samples;           /* trainings that were learnt from */
    uint32_t folds;             /* 0: too few to learn from */
    double tau[MN__RANK_KINDS]; /* of each kind, on what it had not seen */
    double size_tau;            /* of the rule of size, on the same */
} mn__ranking;

/* What a learning ranker works with; freed by mn__learned_done(). */
typedef struct mn__learned {
    mn__controller *controller; /* NULL: the rule of size ranks */
    mn__ranking ranking;
} mn__learned;

/* Learns from the trainings of rung 0 of all rounds before `round`, whatever their bound. */
mn_status
mn__learned_make(mn__session *session, uint32_t round, mn__learned *ret_learned, mn_error *err);
void mn__learned_done(mn__learned *learned);

/* Borrows `learned`. */
mn__ranker mn__ranker_learned(mn__learned *learned);

#endif

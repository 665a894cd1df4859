/*
 * Proposals: where the candidates of a round come from, one function for each strategy. A function
 * of options, frame and earlier rounds; nothing here knows the bound.
 */
#ifndef MN_SEARCH_PROPOSE_H
#define MN_SEARCH_PROPOSE_H

#include "base/random.h"
#include "memnet/moves.h"
#include "search/session.h"

/* Networks of one parent. */
typedef struct mn__family {
    mn__base parent;         /* exists = false: none */
    mn_candidates *children; /* owned; NULL: none */
} mn__family;

typedef struct mn__families {
    uint32_t count;
    mn__family *items; /* owned */
    uint32_t enough;   /* how many that fit are wanted, in order; UINT32_MAX: all */
} mn__families;

/* Fills zeroed families, which are freed by mn__families_done() whatever the outcome. */
mn_status mn__propose(mn__session *session, uint32_t round, mn__families *families, mn_error *err);
void mn__families_done(mn__families *families);

/* For the strategies: room for `count` families, zeroed. */
mn_status mn__families_make(mn__families *families, uint32_t count, mn_error *err);

mn_status mn__propose_augment_trim(mn__session *session,
                                   uint32_t round,
                                   mn__families *families,
                                   mn_error *err);
mn_status mn__propose_paper(mn__session *session, mn__families *families, mn_error *err);
mn_status
mn__propose_random(mn__session *session, uint32_t round, mn__families *families, mn_error *err);
mn_status
mn__propose_evolution(mn__session *session, uint32_t round, mn__families *families, mn_error *err);

/* Room for `count` candidates, zeroed; freed by mn_candidates_free(). */
mn_status mn__candidates_make(uint32_t count, mn_candidates **ret_candidates, mn_error *err);

/* Of random networks and mutations many are not new or do not fit: how many are made for each that
 * is wanted. */
enum { mn__propose_attempts = 16 };

/* The space of all strategies. */
mn_space mn__propose_space(const mn__session *session);

/* The random stream of a round's proposals. */
mn_random mn__propose_stream(const mn__session *session, uint32_t round);

#endif

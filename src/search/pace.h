/*
 * How long rounds take, and whether another one fits the search's share of --time. A round's time
 * is taken to be in proportion to the effort of what it trains (effort.h).
 */
#ifndef MN_SEARCH_PACE_H
#define MN_SEARCH_PACE_H

#include "search/candidates.h"

/* Of --time: what rounds get, the finals included in the rest. */
int64_t mn__pace_search_ms(const mn__session *session);

/* Takes the mean of the rounds that the study has decided for the pace. finals_ms: the --time under
 * which its last finals were planned; 0: none were. */
mn_status mn__pace_resume(mn__session *session, int64_t finals_ms, mn_error *err);

/* Work of a round: the effort of all networks that are chosen, and of those among them that the
 * study has no training of yet. */
typedef struct mn__work_left {
    double all, left;
} mn__work_left;

mn_status
mn__pace_work(mn__session *session, const mn__pool *pool, mn__work_left *ret_work, mn_error *err);

/* True when what is left of a round is expected to end behind the rounds' share. Never of a goal's
 * first round, nor under --rounds. */
bool mn__pace_late(const mn__session *session, uint32_t round, mn__work_left work);

/* A round of that work took so long. */
void mn__pace_note(mn__session *session, mn__work_left work, int64_t ms);

#endif

/*
 * Who becomes a finalist: those networks of all rounds that are expected to end with the fewest
 * errors.
 */
#ifndef MN_SEARCH_FINALISTS_H
#define MN_SEARCH_FINALISTS_H

#include "search/session.h"

/* Their runs at the last rung, best first, equals in order of accuracy, then id: room for
 * opts->finalists keys. None when no network was trained. */
mn_status mn__finalists_choose(mn__session *session,
                               mn_run_key *ret_keys,
                               uint32_t *ret_count,
                               mn_error *err);

#endif

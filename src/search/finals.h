/*
 * Finals: the most accurate networks are trained from scratch, the mean on the validation split
 * chooses, and the test set is read once.
 */
#ifndef MN_SEARCH_FINALS_H
#define MN_SEARCH_FINALS_H

#include "search/session.h"

/* Number of finals that the study has planned; the last one's time budget (0: by rounds) when
 * there is one. */
mn_status
mn__finals_planned(mn__session *session, uint32_t *ret_count, int64_t *ret_time_ms, mn_error *err);

/* Plans finals number `number` unless the study has (finalists, epochs), trains what is missing,
 * publishes the winner with its test accuracy. */
mn_status mn__finals_run(mn__session *session, uint32_t number, mn_error *err);

#endif

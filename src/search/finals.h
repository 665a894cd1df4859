/*
 * Finals: the most accurate networks are trained from scratch, the mean on the validation split
 * chooses, and the test set is read once.
 */
#ifndef MN_SEARCH_FINALS_H
#define MN_SEARCH_FINALS_H

#include "search/session.h"

/* Number of stages of finals that the study has planned, for some goal at least; the last one's
 * time budget (0: by rounds) when there is one. */
mn_status
mn__finals_planned(mn__session *session, uint32_t *ret_stages, int64_t *ret_time_ms, mn_error *err);

/* Plans the finals of a stage for the session's goal unless the study has (finalists, epochs),
 * trains what is missing, publishes the winner with its test accuracy. Of what is left of the time
 * each goal from this one on gets an equal part. */
mn_status mn__finals_run(mn__session *session, uint32_t stage, mn_error *err);

#endif

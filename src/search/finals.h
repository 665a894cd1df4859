/*
 * Finals: the most accurate networks are trained from scratch, the mean on the validation split
 * chooses, and the test set is read once.
 */
#ifndef MN_SEARCH_FINALS_H
#define MN_SEARCH_FINALS_H

#include "search/session.h"

/* Runs the finals of a stage for the session's goal, planned now unless the study has a plan
 * (finals_plan.h): trains what is missing, publishes the winner with its test accuracy. */
mn_status mn__finals_run(mn__session *session, uint32_t stage, mn_error *err);

#endif

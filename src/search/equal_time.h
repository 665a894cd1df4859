/*
 * Networks compared as finals of a given time will: one that trains twice as long an epoch has half
 * of the epochs.
 */
#ifndef MN_SEARCH_EQUAL_TIME_H
#define MN_SEARCH_EQUAL_TIME_H

#include "search/session.h"

/* Errors (a share) of a network of that effort (effort.h), as they are to be compared with those of
 * a network of effort `beside`, both seen after equal epochs. As they are under --rounds, where
 * finals have equal epochs, too, and under --preset paper. */
double
mn__equal_time_errors(const mn__session *session, double errors, double effort, double beside);

#endif

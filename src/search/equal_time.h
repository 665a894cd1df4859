/*
 * Networks compared as finals of a given time will: one that trains twice as long an epoch has half
 * of the epochs, and one that computes more with more weights gains more by training on.
 */
#ifndef MN_SEARCH_EQUAL_TIME_H
#define MN_SEARCH_EQUAL_TIME_H

#include "search/measure.h"
#include "search/session.h"

/* Errors (a share) of a network, as they are to be compared with those of the network `beside`,
 * both seen after equal epochs of a rung. As they are under --rounds, where finals have equal
 * epochs, too, and under --preset paper. */
double mn__equal_time_errors(const mn__session *session,
                             double errors,
                             const mn__needs *network,
                             const mn__needs *beside);

#endif

/*
 * Another base for a goal of which nothing is new: with several bounds its first networks, or its
 * base's children, may all have been seen for another bound.
 */
#ifndef MN_SEARCH_REBASE_H
#define MN_SEARCH_REBASE_H

#include "search/session.h"

/* The most accurate network of the study that keeps the bound of the session's goal, or, where the
 * study remembers it, the one that it was when the round began: later trainings may be better.
 * *ret_found is false, and *ret_base as it was, when that is the goal's base already, or none. */
mn_status mn__rebase_find(
    mn__session *session, uint32_t round, mn__base *ret_base, bool *ret_found, mn_error *err);

/* The round starts from this base: written before anything of it is trained. */
mn_status
mn__rebase_note(mn__session *session, uint32_t round, const mn__base *base, mn_error *err);

#endif

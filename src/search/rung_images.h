/*
 * How many images rung 0 trains on. Under --time as many as leave time for several rounds: the
 * clock decides, but only once, before the first training; then it is an event of the study.
 */
#ifndef MN_SEARCH_RUNG_IMAGES_H
#define MN_SEARCH_RUNG_IMAGES_H

#include "search/candidates.h"

/* Sets session->rung_images to what the options say, or under --time to what the study has decided:
 * 0 when it has not yet. Likewise session->effort_ms, which is 0 under --rounds. */
mn_status mn__rung_images_recall(mn__session *session, mn_error *err);

/* Decides, where that has not been done, for a first round that trains what is chosen in a pool:
 * trains one of it a little to see how fast this machine is. */
mn_status mn__rung_images_decide(mn__session *session, const mn__pool *pool, mn_error *err);

#endif

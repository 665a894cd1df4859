/*
 * The best network so far: the study's row, and the folder `best` that is always complete.
 */
#ifndef MN_SEARCH_BEST_H
#define MN_SEARCH_BEST_H

#include "search/session.h"

/* After a round: the most accurate candidate of all rounds becomes the best, unless finals have
 * chosen one before. Keeps the progress's best up to date. */
mn_status mn__best_of_round(mn__session *session, mn_error *err);

/* Writes `best.N` with the run's model file and architecture, lets `best` point to it, stores the
 * row, and removes the former folder. */
mn_status mn__best_publish(mn__session *session, const mn_best_row *row, mn_error *err);

#endif

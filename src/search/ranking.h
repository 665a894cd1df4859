/*
 * How well a round was ranked: what the ranker said beside what the trainings showed.
 */
#ifndef MN_SEARCH_RANKING_H
#define MN_SEARCH_RANKING_H

#include "search/candidates.h"
#include "search/ranker_learned.h"

/*
 * One line of JSON, freed by the caller: the ranker's name, what it learnt from, the tau-b of each
 * kind, and, over the candidates that were trained, Kendall's tau-b, AP@K and nDCG@K of the rank
 * values beside the accuracies at rung 0 (`first_accuracy`: (pool's entries) percent or NaN); K is
 * a third of them. Numbers that do not exist are null.
 */
mn_status mn__ranking_print(const mn__ranking *ranking,
                            const mn__pool *pool,
                            const double *first_accuracy,
                            char **ret_json,
                            mn_error *err);

#endif

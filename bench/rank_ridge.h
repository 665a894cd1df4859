/*
 * The linear peer of the controller.
 */
#ifndef MN_BENCH_RANK_RIDGE_H
#define MN_BENCH_RANK_RIDGE_H

#include "rankers.h"

/*
 * Ridge regression of normal scores of the accuracy on the one-hot operations of the edges, their
 * pairwise products, log params and log multiply-adds, all standardised. The penalty is the power
 * of ten with the least leave-one-out error. Writes the scores that the call asks for.
 */
mn_status rank_ridge(const ranker_call *call, double *ret_scores, mn_error *err);

#endif

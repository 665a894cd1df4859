/*
 * How good a ranking is: scores that were predicted beside the truth, larger is better in both.
 * Equal scores count in the order of their positions wherever an order is needed, so that a result
 * never depends on a sort.
 */
#ifndef MN_RANK_QUALITY_H
#define MN_RANK_QUALITY_H

#include <stddef.h>
#include <stdint.h>

#include "memnet/status.h"

/* All of them: MN_ERR_ARG for a NaN ("value 7 is not a number") or fewer than two values. */

/* Kendall's tau-b (1945), ties on either side accounted for, by Knight's method (1966): O(n log n).
 * In [-1,1]; 0 when all values of one side are equal. */
mn_status
mn__kendall_tau(const double *a, const double *b, uint32_t count, double *ret_tau, mn_error *err);

/* Spearman's rho: the correlation of the mid-ranks. 0 when all values of one side are equal. */
mn_status
mn__spearman(const double *a, const double *b, uint32_t count, double *ret_rho, mn_error *err);

/* Average precision of the first k by score, where the k truly best are what is sought: the mean,
 * over the k places, of the share of hits up to that place where it holds a hit. In [0,1]; k is
 * cut to `count`, k > 0. */
mn_status mn__average_precision(const double *scores,
                                const double *truth,
                                uint32_t count,
                                uint32_t k,
                                double *ret_value,
                                mn_error *err);

/* Normalised discounted cumulative gain (Jaervelin and Kekaelaeinen 2002) of the first k by score.
 * The candidate in true place p (from 0) is worth (k - p) / k among the k best, else nothing; place
 * i discounts by log2(i + 2). In [0,1]. */
mn_status mn__ndcg(const double *scores,
                   const double *truth,
                   uint32_t count,
                   uint32_t k,
                   double *ret_value,
                   mn_error *err);

/* Mid-ranks from 1 (smallest) to count: equal values share the mean of their places. */
mn_status mn__mid_ranks(const double *values, uint32_t count, double *ret_ranks, mn_error *err);

/* Blom-like normal scores, the quantile of (rank - 1/2) / count of a standard normal: any monotone
 * change of the values gives the same. */
mn_status
mn__normal_scores(const double *values, uint32_t count, double *ret_scores, mn_error *err);

/* The positions by value, largest first, equal values by position. */
mn_status
mn__order_descending(const double *values, uint32_t count, uint32_t *ret_order, mn_error *err);

#endif

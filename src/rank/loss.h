/*
 * What the network is trained to do: losses over a window of candidates.
 */
#ifndef MN_RANK_LOSS_H
#define MN_RANK_LOSS_H

#include <stdbool.h>
#include <stdint.h>

/* Joint loss of the paper: lambda L(y_acc) + (1 - lambda) (L(y_par) + L(y_int)), where L is the
 * mean square of the errors; or, `pairwise`, for y_acc the mean of log(1 + exp(-(y_i - y_j))) over
 * the pairs of the window with t_i > t_j (RankNet, Burges et al. 2005). */
typedef struct mn__rank_loss {
    double lambda;
    bool pairwise;
} mn__rank_loss;

/* Returns the loss of predictions y (n,3) beside targets t (n,3), y_acc first; writes its gradient
 * to dy (n,3). A window without a pair costs no accuracy. */
double
mn__rank_loss_of(const mn__rank_loss *loss, const float *y, const float *t, uint32_t n, float *dy);

#endif

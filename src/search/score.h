/*
 * The memory-efficiency metric: how a trained candidate compares with the base of its round.
 */
#ifndef MN_SEARCH_SCORE_H
#define MN_SEARCH_SCORE_H

#include <stdint.h>

typedef struct mn__scored {
    double accuracy;       /* share, 0 to 1 */
    double weights, arena; /* bytes */
} mn__scored;

/*
 * Paper, "Memory-efficiency metric": lambda * y_acc + (1 - lambda) * (alpha * y_par + (1 - alpha)
 * * y_int), every y relative to the base, alpha 0.3.
 */
double mn__score_paper(const mn__scored *candidate, const mn__scored *base, double lambda);

/*
 * The same form under a hard bound: accuracy counts by the share of the base's errors that are
 * gone, memory by the share of the bound that is freed. Relative to the base, as in the paper, a
 * network that doubles a tiny base would never win, however far below the bound both are.
 */
double mn__score_bounded(const mn__scored *candidate,
                         const mn__scored *base,
                         double lambda,
                         double bound_bytes);

#endif

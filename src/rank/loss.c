/*
 * Losses over a window.
 */
#include "rank/loss.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { targets = 3 };

/* Adds weight * mean square error of one target. */
static double
squared(const float *y, const float *t, uint32_t n, double weight, uint32_t which, float *dy)
{
    double sum = 0.0;
    for (size_t i = which; i < (size_t)n * targets; i += targets) {
        double error = (double)y[i] - (double)t[i];
        sum += error * error;
        dy[i] = (float)(2.0 * weight * error / n);
    }
    return weight * sum / n;
}

static uint32_t count_pairs(const float *t, uint32_t n)
{
    uint32_t pairs = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            pairs += t[i * targets] > t[j * targets];
    return pairs;
}

static double ordered(const float *y, const float *t, uint32_t n, double weight, float *dy)
{
    double sum = 0.0;
    uint32_t pairs = count_pairs(t, n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            if (t[i * targets] <= t[j * targets])
                continue;
            double lead = (double)y[i * targets] - (double)y[j * targets];
            double share = weight / pairs;
            double slope = share / (1.0 + exp(lead));
            sum += share * (lead < 0.0 ? log1p(exp(lead)) - lead : log1p(exp(-lead)));
            dy[i * targets] -= (float)slope;
            dy[j * targets] += (float)slope;
        }
    return sum;
}

double
mn__rank_loss_of(const mn__rank_loss *loss, const float *y, const float *t, uint32_t n, float *dy)
{
    memset(dy, 0, (size_t)n * targets * sizeof *dy);
    double sum =
        loss->pairwise ? ordered(y, t, n, loss->lambda, dy) : squared(y, t, n, loss->lambda, 0, dy);
    sum += squared(y, t, n, 1.0 - loss->lambda, 1, dy);
    return sum + squared(y, t, n, 1.0 - loss->lambda, 2, dy);
}

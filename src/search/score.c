/*
 * Scores. Pure functions.
 */
#include "search/score.h"

/* Weight of parameters against intermediates, from the authors' repository. */
static const double alpha = 0.3;

/* A base without errors counts as one with this share of them: what it would lose must weigh. */
static const double least_errors = 0.001;

/* No relative change is defined against nothing. */
static double relative(double change, double base)
{
    return base > 0.0 ? change / base : 0.0;
}

double mn__score_paper(const mn__scored *candidate, const mn__scored *base, double lambda)
{
    double y_acc = relative(candidate->accuracy - base->accuracy, base->accuracy);
    double y_par = relative(base->weights - candidate->weights, base->weights);
    double y_int = relative(base->arena - candidate->arena, base->arena);
    return lambda * y_acc + (1.0 - lambda) * (alpha * y_par + (1.0 - alpha) * y_int);
}

double mn__score_bounded(const mn__scored *candidate,
                         const mn__scored *base,
                         double lambda,
                         double bound_bytes)
{
    double errors = 1.0 - base->accuracy;
    double y_acc = relative(candidate->accuracy - base->accuracy,
                            errors > least_errors ? errors : least_errors);
    double y_par = relative(base->weights - candidate->weights, bound_bytes);
    double y_int = relative(base->arena - candidate->arena, bound_bytes);
    return lambda * y_acc + (1.0 - lambda) * (alpha * y_par + (1.0 - alpha) * y_int);
}

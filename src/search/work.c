/*
 * What a training costs. See work.h.
 */
#include "search/work.h"

#include "search/validation.h"

/* What evaluating an image costs beside training on it: a forward pass instead of three. */
static const double evaluation_cost = 1.0 / 3.0;

double mn__training_work(const mn__session *session, uint32_t images, uint32_t epochs)
{
    uint32_t all = session->dataset->train.count;
    uint32_t validation = (uint32_t)(mn__session_split_fraction() * all);
    uint32_t training = images < all - validation ? images : all - validation;
    double between = mn__validation_between(training, validation);
    return (double)epochs * training + evaluation_cost * ((epochs - 1) * between + validation);
}

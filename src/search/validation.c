/*
 * Images that judge a training on its way. See validation.h.
 */
#include "search/validation.h"

/* Judging takes a third of the time of training: with a thirtieth it is 1 % of an epoch. Fewer than
 * the least say nothing: with 500 the standard error is 2 points. */
enum { judged_part = 30, least_judged = 500 };

uint32_t mn__validation_between(uint32_t training, uint32_t validation)
{
    uint32_t count = training / judged_part;
    if (count < least_judged)
        count = least_judged;
    return count < validation ? count : validation;
}

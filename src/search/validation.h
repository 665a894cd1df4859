/*
 * How many images judge a training on its way. What it ends with is judged on the whole validation
 * split, which can be more than a short epoch trains on.
 */
#ifndef MN_SEARCH_VALIDATION_H
#define MN_SEARCH_VALIDATION_H

#include <stdint.h>

/* Of `validation` images, those that judge epochs before the last one of a training on `training`
 * images. */
uint32_t mn__validation_between(uint32_t training, uint32_t validation);

#endif

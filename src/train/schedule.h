/*
 * Learning rate over a training.
 */
#ifndef MN_TRAIN_SCHEDULE_H
#define MN_TRAIN_SCHEDULE_H

#include "memnet/train.h"

/* Rate for step `step` of `steps`; positive at every step, near zero at the last. */
float mn__schedule_rate(mn_schedule schedule, float peak, uint64_t step, uint64_t steps);

#endif

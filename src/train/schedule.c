/*
 * Learning-rate schedules: pure functions of the step, so a resumed training needs no state.
 */
#include "train/schedule.h"

#include <math.h>

/* Linear from near 0 to 1 over `rise` (a share of the training), then `fall` over the rest. */
static double progress(uint64_t step, uint64_t steps, double rise, double *ret_fall)
{
    double at = ((double)step + 0.5) / (double)steps;
    *ret_fall = at < rise ? 0.0 : (at - rise) / (1.0 - rise);
    return at < rise ? at / rise : 1.0;
}

float mn__schedule_rate(mn_schedule schedule, float peak, uint64_t step, uint64_t steps)
{
    double fall = 0.0;
    double rise = 1.0;
    switch (schedule) {
    case MN_SCHEDULE_COSINE:
        rise = progress(step, steps, 0.05, &fall);
        return (float)((double)peak * rise * 0.5 * (1.0 + cos(3.14159265358979323846 * fall)));
    case MN_SCHEDULE_ONE_CYCLE:
        rise = progress(step, steps, 0.25, &fall);
        return (float)((double)peak * rise * (1.0 - fall));
    }
    return peak;
}

/*
 * What one processor can do at most: measured, for the profile to be set against.
 */
#ifndef MN_BENCH_PEAK_H
#define MN_BENCH_PEAK_H

#include <stdbool.h>

typedef struct mn_bench_peak {
    double flops; /* a second: multiply-adds count twice */
    double bytes; /* a second: of a copy that no cache holds, read and written */
} mn_bench_peak;

/* Of one thread, with the instructions that the trainer's kernels use. Takes about a second. */
mn_bench_peak mn_bench_peak_measure(bool bf16);

#endif

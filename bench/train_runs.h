/*
 * What one measurement of training speed is, whoever is measured: us (train_workers.h) or a peer
 * (train_peers.h); and the clock and the median that all of them share.
 */
#ifndef MN_BENCH_TRAIN_RUNS_H
#define MN_BENCH_TRAIN_RUNS_H

#include <stdbool.h>
#include <stdint.h>

/* `processes` trainings of the same network at the same time, each on `threads` threads. */
typedef struct mn_bench_run {
    char net[2]; /* a name of nets.h */
    uint32_t width, batch;
    uint32_t steps; /* that are timed, in each process */
    bool bf16;      /* false: float32 */
    uint32_t processes, threads;
} mn_bench_run;

typedef struct mn_bench_speed {
    double rate;         /* images/s, all processes together */
    uint64_t parameters; /* of the network */
} mn_bench_speed;

/* Seconds of the one clock that all processes of this machine read alike. */
double mn_bench_now(void);

/* Sorts `values`; the mean of the middle two when the count is even. count > 0. */
double mn_bench_median(double *values, uint32_t count);

#endif

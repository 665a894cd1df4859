/*
 * Our own training speed in processes that this program starts from itself: one training on all
 * threads, or several side by side. Invariant: what is counted was computed while all of the
 * processes were computing.
 */
#ifndef MN_BENCH_TRAIN_WORKERS_H
#define MN_BENCH_TRAIN_WORKERS_H

#include "memnet/status.h"
#include "train_runs.h"

/* Starts run->processes workers, has them train over the same stretch of time, about run->steps
 * steps long but not under half a second, and adds up their images/s. MN_ERR_UNSUPPORTED: the
 * compute type is not to be had here. */
mn_status mn_bench_workers_run(const mn_bench_run *run, mn_bench_speed *ret_speed, mn_error *err);

/* What a worker does: the other end of mn_bench_workers_run(), over its standard input and output.
 * Returns the exit status. */
int mn_bench_worker_main(const mn_bench_run *run);

#endif

/*
 * Training speed beside the peers': every way to train a network, in turn and round by round, so
 * that a machine whose speed drifts is equally unkind to all; then a table for each network.
 */
#ifndef MN_BENCH_TRAIN_COMPARE_H
#define MN_BENCH_TRAIN_COMPARE_H

#include "memnet/status.h"
#include "train_runs.h"

enum { mn_bench_max_rounds = 99, mn_bench_max_widths = 8 };

typedef struct mn_bench_plan {
    const char *nets; /* one letter each, names of nets.h */
    uint32_t widths[mn_bench_max_widths];
    uint32_t width_count;
    uint32_t batch;
    uint32_t threads; /* of the machine: one training on so many, or so many on one each */
    uint32_t steps, rounds;
    const char *peers; /* the folder of train_peers.h */
} mn_bench_plan;

/* Measures and prints. Peers that are missing or fail are lines that say so. After all is
 * printed, MN_ERR_MISMATCH: somebody's network has other parameters than ours, so there is nothing
 * to compare; MN_ERR_WORKER: we failed ourselves. That bf16 is not to be had here is no failure. */
mn_status mn_bench_compare(const mn_bench_plan *plan, mn_error *err);

#endif

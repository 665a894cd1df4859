/*
 * Memory as the MemNet paper counts it (arXiv 1907.09569, section on essential intermediate
 * representations): beside the exact plan, for comparison with published figures.
 */
#ifndef MN_PLAN_PAPER_METRIC_H
#define MN_PLAN_PAPER_METRIC_H

#include "memnet/graph.h"

/* What is alive at each time; index 0 is the paper's t1. */
typedef struct mn__paper_times {
    uint32_t count;
    uint32_t *representations; /* (count) */
    uint64_t *elements;        /* (count) */
} mn__paper_times;

/* `times` is zeroed and to be emptied with mn__paper_times_done() whatever the outcome. */
mn_status mn__paper_times_find(const mn_graph *graph, mn__paper_times *times, mn_error *err);
void mn__paper_times_done(mn__paper_times *times);

/* float32 bytes: the most that is alive at a time, and that plus all parameters. */
mn_status mn__paper_metric(const mn_graph *graph,
                           size_t *ret_intermediate_bytes,
                           size_t *ret_total_bytes,
                           mn_error *err);

#endif

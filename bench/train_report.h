/*
 * The ways to train one network that are compared, what each of them reached, and how that is
 * printed. Filled by train_compare.c.
 */
#ifndef MN_BENCH_TRAIN_REPORT_H
#define MN_BENCH_TRAIN_REPORT_H

#include <stdbool.h>

#include "train_compare.h"

typedef enum mn_bench_side {
    MN_BENCH_MEMNET,
    MN_BENCH_TORCH,   /* tuned */
    MN_BENCH_SHIPPED, /* PyTorch as it comes */
    MN_BENCH_PROTOTYPE
} mn_bench_side;

typedef enum mn_bench_shape {
    MN_BENCH_ONE,  /* one training on all threads */
    MN_BENCH_MANY, /* as many as threads, one thread each, at the same time */
    MN_BENCH_ALONE /* one training on one thread, the rest of the machine idle */
} mn_bench_shape;

typedef struct mn_bench_way {
    mn_bench_side side;
    bool bf16; /* false: float32 */
    mn_bench_shape shape;
} mn_bench_way;

enum { mn_bench_way_count = 16 };

/* In the order in which they take their turns. */
extern const mn_bench_way mn_bench_ways[mn_bench_way_count];

typedef struct mn_bench_score {
    double rates[mn_bench_max_rounds]; /* images/s; in order of size once `median` is set */
    uint32_t count;                    /* of rounds that went well */
    double median;                     /* 0 when there was none */
    uint64_t parameters;               /* 0: not known */
    bool over;                         /* not tried any more; `why` says why */
    mn_error why;
} mn_bench_score;

typedef struct mn_bench_report {
    char net[2];
    uint32_t width;
    mn_bench_score scores[mn_bench_way_count]; /* of mn_bench_ways */
} mn_bench_report;

/* Sets the medians, and prints every way with its spread, ours with their scaling, and the
 * parameters side by side. */
void mn_bench_report_details(const mn_bench_plan *plan, mn_bench_report *report);

/* Prints the best of each side and the ratios. After mn_bench_report_details(). */
void mn_bench_report_table(const mn_bench_plan *plan, const mn_bench_report *report);

/* Whether all who told their parameters have the same number. */
bool mn_bench_report_agrees(const mn_bench_report *report);

#endif

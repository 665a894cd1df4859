/*
 * A network of ours with one random batch, ready to train: what train_step and its worker
 * processes (train_workers.c) put through training steps.
 */
#ifndef MN_BENCH_TRAIN_SUBJECT_H
#define MN_BENCH_TRAIN_SUBJECT_H

#include "train/trainer.h"
#include "train_runs.h"

typedef struct mn_bench_subject {
    mn_graph *graph;
    mn_trainer *trainer;
    mn_batch batch;
    float *images;    /* (N,H,W,C) */
    uint16_t *labels; /* (N) */
    double build_ms;
} mn_bench_subject;

/* run->net at run->width or, when `architecture` is not NULL, the network of that file.
 * run->processes and run->steps are not looked at. *subject is filled also on failure: done() frees
 * it. MN_ERR_UNSUPPORTED: the compute type of `run` is not to be had here. */
mn_status mn_bench_subject_init(mn_bench_subject *subject,
                                const mn_bench_run *run,
                                const char *architecture,
                                mn_error *err);
void mn_bench_subject_done(mn_bench_subject *subject);

/* One training step (forward, loss, backward, update) and, unless NULL, the seconds it took. */
mn_status mn_bench_subject_step(mn_bench_subject *subject, double *ret_seconds, mn_error *err);

#endif

/*
 * The peers of the training benchmark, from a folder of the user's: `torch_step.py`, a PyTorch
 * script that runs under Debian's Python, and `onednn_step.c`, a prototype straight on oneDNN.
 * Both print one line that has "N img/s" and "params=N" in it. What they write to their standard
 * error is dropped.
 */
#ifndef MN_BENCH_TRAIN_PEERS_H
#define MN_BENCH_TRAIN_PEERS_H

#include <stdbool.h>

#include "memnet/status.h"
#include "train_runs.h"

typedef struct mn_bench_peers {
    char *torch;                     /* path of the script; NULL: not here */
    char *scratch;                   /* folder of our own; NULL: none */
    char *prototype;                 /* path of the program, in `scratch`; NULL: not here */
    mn_error no_torch, no_prototype; /* why, where they are not here */
} mn_bench_peers;

/* Looks for python3-torch and builds the prototype; that a peer is not here is no failure. *peers
 * is filled also on failure: done() frees it and removes what was built. */
mn_status mn_bench_peers_init(mn_bench_peers *peers, const char *folder, mn_error *err);
void mn_bench_peers_done(mn_bench_peers *peers);

/* Both answer MN_ERR_UNSUPPORTED when the peer is not here.
 *
 * `tuned`: channels-last with an allocator that keeps its memory; otherwise as PyTorch comes. */
mn_status mn_bench_torch_run(const mn_bench_peers *peers,
                             const mn_bench_run *run,
                             bool tuned,
                             mn_bench_speed *ret_speed,
                             mn_error *err);

/* The processes start at the same time; their images/s are added. */
mn_status mn_bench_prototype_run(const mn_bench_peers *peers,
                                 const mn_bench_run *run,
                                 mn_bench_speed *ret_speed,
                                 mn_error *err);

/* Reads "N img/s" (the last) and "params=N" (the first) from what a peer printed. */
mn_status mn_bench_peer_parse(const char *text, mn_bench_speed *ret_speed, mn_error *err);

#endif

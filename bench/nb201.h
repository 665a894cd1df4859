/*
 * NAS-Bench-201 (Dong and Yang 2020) for rankers: all cells with their accuracies, and how the
 * controller sees them. A code is six operations, of the edges 0>1, 0>2, 1>2, 0>3, 1>3, 2>3.
 * What a ranker sees is made of the code, and of parameters and multiply-adds, which follow from
 * it.
 */
#ifndef MN_BENCH_NB201_H
#define MN_BENCH_NB201_H

#include <stdint.h>

#include "rank/controller.h"

enum {
    nb201_count = 15625,
    nb201_edges = 6,
    nb201_ops = 5, /* none, skip, conv 1x1, conv 3x3, average pool */
    nb201_features = nb201_edges + nb201_ops - 1,
    nb201_globals = 18
};

typedef struct nb201_sequence {
    float rows[nb201_edges][nb201_features];
} nb201_sequence;

typedef struct nb201 {
    uint8_t codes[nb201_count][nb201_edges];
    uint8_t live[nb201_count][nb201_edges]; /* the function: see nb201_prune() */
    double accuracy[nb201_count];           /* CIFAR-10, test, percent */
    double params[nb201_count], macs[nb201_count];
    double best; /* of the accuracies */
    nb201_sequence code_rows[nb201_count], live_rows[nb201_count];
    float globals[nb201_count][nb201_globals];
    mn__rank_sample plain[nb201_count];   /* codes alone: no pruning, no globals */
    mn__rank_sample samples[nb201_count]; /* functions and globals */
} nb201;

/* Reads nb201.csv (idx, code, iso, c10_test, c100_test, in16_test, params, macs); the caller frees
 * with free(). MN_ERR_FORMAT names the line. */
mn_status nb201_read(const char *path, nb201 **ret_table, mn_error *err);

/* Removes edges that carry nothing: from a node that the input does not reach, or to one that does
 * not reach the output. Nodes 1 and 2 change places when no edge links them and their edges are in
 * the wrong order. Codes of one function mostly, not always, become equal. */
void nb201_prune(const uint8_t code[nb201_edges], uint8_t ret_live[nb201_edges]);

#endif

/*
 * What `memnet train` can be told: the fields that the table of its options fills.
 */
#ifndef MN_CLI_TRAIN_OPTIONS_H
#define MN_CLI_TRAIN_OPTIONS_H

#include "cli/options.h"
#include "memnet/train.h"

typedef struct mn__train_request {
    const char *architecture;
    const char *data;
    const char *out;
    const char *checkpoint; /* NULL: none */
    mn_train_opts opts;
    double validation;
    uint64_t split_seed;
    int schedule, flip, compute; /* of opts, by number */
    bool verbose;
} mn__train_request;

extern const mn__usage mn__train_usage;

#endif

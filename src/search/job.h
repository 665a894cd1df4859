/*
 * Jobs and results: what travels between the search and its workers, one JSON line each. A job
 * holds everything that decides its result, so any worker, local or remote, gives the same one.
 */
#ifndef MN_SEARCH_JOB_H
#define MN_SEARCH_JOB_H

#include "memnet/genotype.h"
#include "memnet/search.h"
#include "memnet/train.h"

typedef enum mn__job_kind {
    MN__JOB_TRAIN, /* train, save the weights, report the validation accuracy */
    MN__JOB_KEEP,  /* the same with the parent's weights as they are, in place of training */
    MN__JOB_TEST   /* evaluate saved weights on the test set */
} mn__job_kind;

/* Strings are owned; mn__job_done() frees them. */
typedef struct mn__job {
    mn__job_kind kind;
    mn_genotype genotype;
    char *weights;          /* path: written by train, read by test */
    mn_precision precision; /* of the network that is judged: int8 is quantised after training, and
                               its weights are those of the int8 network */
    /* train and keep */
    mn_train_opts train;
    uint32_t images; /* how many of the training split's images; more than there are: all */
    uint64_t split_seed;
    double split_fraction;
    double hopeless; /* percent: a training that two thirds of its epochs (at least two) have not
                        brought past this validation accuracy ends there; 0: none does */
    uint32_t qat_epochs; /* int8: of fine-tuning */
    char *checkpoint;    /* path, "" for none: saved after each epoch and continued from */
    bool has_parent;
    mn_genotype parent;
    char *parent_weights; /* path */
    mn_layer_map map;
} mn__job;

void mn__job_done(mn__job *job);

/* The line has no newline; the caller frees it. */
mn_status mn__job_print(const mn__job *job, char **ret_line, mn_error *err);
/* Checks what it reads like any input: a worker trusts nobody. */
mn_status mn__job_parse(const char *line, size_t count, mn__job *ret_job, mn_error *err);

/* curve_json and reason are owned; mn__result_done() frees them. */
typedef struct mn__result {
    bool failed;     /* this network cannot be trained; a fact about it */
    bool fatal;      /* the machine is at fault (full disk, no memory): nothing was learnt */
    char *reason;    /* "" unless failed or fatal */
    double accuracy; /* percent: validation (train) or test */
    double loss;
    char *curve_json; /* [[epoch, training loss, validation accuracy], ...]; "[]" for test */
    int64_t train_ms;
} mn__result;

void mn__result_done(mn__result *result);
mn_status mn__result_print(const mn__result *result, char **ret_line, mn_error *err);
mn_status mn__result_parse(const char *line, size_t count, mn__result *ret_result, mn_error *err);

#endif

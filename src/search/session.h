/*
 * What the rooms of the search share while it runs: the study, the workers, the clock. Everything
 * that decides results is in `opts` or in the study; the session itself can be lost at any time.
 */
#ifndef MN_SEARCH_SESSION_H
#define MN_SEARCH_SESSION_H

#include "memnet/search.h"
#include "memnet/study.h"
#include "search/executor.h"

/* Where a round starts, and what it hands to the next of its goal. */
typedef struct mn__base {
    bool exists; /* false before a goal's first round */
    mn_genotype genotype;
    mn_run_key run; /* its training at the last rung, whose weights children inherit */
} mn__base;

/* A bound, and how far the search for it is. */
typedef struct mn__goal {
    const mn_bound *bound;
    uint64_t bytes;    /* that the bound is known by */
    mn_genotype frame; /* input, classes, blocks with widths and strides, head; no cells */
    mn__base base;
    bool exhausted;        /* nothing new fits */
    double shown_accuracy; /* of its best network so far; NaN before there is one */
    uint64_t shown_bytes;
} mn__goal;

typedef struct mn__session {
    const mn_search_opts *opts;
    const mn_dataset *dataset;
    mn_study *study;
    int data_fd;
    mn__executor *executor;
    mn__goal goals[MN_MAX_BOUNDS]; /* opts->bound_count; round r works for goal r modulo that */
    uint32_t goal;                 /* that is worked for now */
    uint32_t rung_images;          /* of rung 0; 0: to be decided (rung_images.h) */
    double effort_ms;     /* of training on an image, per effort; 0: not known, or --rounds */
    mn_train_opts rung;   /* how candidates are trained, seed and epochs apart */
    mn_train_opts finals; /* how finalists are, likewise */
    int64_t clock_start_ms, active_start_ms;
    int64_t round_ms;                     /* that a round took; 0: not known */
    double round_work;                    /* effort of what it trained; 0: not known */
    int64_t clock_saved_ms;               /* when the active time was last stored */
    mn_progress progress;                 /* what was last told to the caller */
    char failure[MN_ERROR_MESSAGE_BYTES]; /* why the last training that failed did; "": none has */
} mn__session;

/* The goal that is worked for. */
mn__goal *mn__session_goal(mn__session *session);
/* Turns to a goal, and tells the progress so. */
void mn__session_turn(mn__session *session, uint32_t goal);

/* Active time of the study, this run included. */
int64_t mn__session_elapsed_ms(const mn__session *session);

/* Stores the active time; called whenever something was learnt. */
mn_status mn__session_save_clock(mn__session *session, mn_error *err);

/* For long work between results: tells the progress, and stores the active time every few seconds.
 */
void mn__session_tick(mn__session *session);

/* Removes from weights/ what a killed worker has left half-written; with `all` also checkpoints,
 * once no training can need them. The study is this process's alone. */
mn_status mn__session_sweep(const mn__session *session, bool all, mn_error *err);

/* Fills in the times and tells the caller how far the search is. */
void mn__session_tell(mn__session *session, bool landed);

/* Validation split of every training of a study: a share of the training images by the study's
 * seed. */
double mn__session_split_fraction(void);

/* Seed of one training: its own random stream for (study seed, genotype, seed, rung). */
uint64_t mn__session_run_seed(const mn__session *session, const mn_run_key *key);

/* Reads the genotype of a row of the study. */
mn_status mn__session_genotype(const mn__session *session,
                               const char *id,
                               mn_genotype *ret_genotype,
                               mn_error *err);

/* "FOLDER/relative" in fresh memory; NULL when out of memory. */
char *mn__session_path(const mn__session *session, const char *relative);

/* A training that may have been done before. */
typedef struct mn__training {
    mn_run_key key;
    const mn_genotype *genotype;
    const mn_train_opts *train; /* the session's rung or finals */
    uint32_t epochs;
    uint32_t images;
    mn_precision precision;    /* of the network that is judged and stored */
    uint32_t qat_epochs;       /* int8: of fine-tuning */
    bool checkpoints;          /* long: continue after an interruption */
    double hopeless;           /* percent: stops when two thirds of the epochs have not passed it */
    bool keeps;                /* the parent's weights as they are, in place of training */
    const mn_genotype *parent; /* NULL: from scratch */
    const mn_layer_map *map;
    const mn_run_key *parent_run;
    mn_run_key continued; /* room for a parent_run that is the network's own */
    mn_run_row row;       /* filled by mn__session_train(): numbers only, strings are NULL */
} mn__training;

/* Trains what the study does not have yet, puts every result into the study as it arrives, and
 * fills all rows. Tells progress. */
mn_status
mn__session_train(mn__session *session, mn__training *trainings, uint32_t count, mn_error *err);

/* Milliseconds that a training takes, whose result is not kept; INT64_MAX when it failed. */
mn_status mn__session_probe(mn__session *session,
                            const mn__training *training,
                            int64_t *ret_ms,
                            mn_error *err);

/* Accuracy in percent of a run's weights on the test set. */
mn_status mn__session_test(mn__session *session,
                           const mn_genotype *genotype,
                           const mn_run_key *key,
                           mn_precision precision,
                           double *ret_accuracy,
                           mn_error *err);

#endif

/*
 * How long finals train: what the time that is left allows, and how much of it is fine-tuning.
 */
#ifndef MN_SEARCH_FINALS_TIME_H
#define MN_SEARCH_FINALS_TIME_H

#include "memnet/search.h"

/* Where epochs and seeds are planned by the clock, they are at least and at most so many. */
enum { MN__FINALS_LEAST_EPOCHS = 2, MN__FINALS_MOST_EPOCHS = 300, MN__FINALS_MOST_SEEDS = 3 };

/* Epochs of fine-tuning on int8 grids behind so many of training: opts->qat_epochs, of short
 * trainings less; 0 in float32. */
uint32_t mn__finals_tuning(const mn_search_opts *opts, uint32_t epochs);

/* What finals are planned by. */
typedef struct mn__finals_known {
    uint32_t finalists;
    const double *epoch_ms; /* (finalists) of an epoch on all training images; all 0: not known */
    double rounds_epochs;   /* such epochs that weights of the rounds have had, ancestors' included,
                               at most */
} mn__finals_known;

/* Epochs of fine-tuning for weights of the rounds that compete with finals of so many epochs.
 * Finals that train no longer than the rounds did may well end below them, and finals_ms counts it;
 * longer ones hardly do, and then it is one epoch, for which the time is not planned. */
uint32_t mn__finals_tuning_again(const mn_search_opts *opts, uint32_t epochs, double rounds_epochs);

/* Trainings of finals that a worker does one after the other. */
uint32_t mn__finals_turns(const mn_search_opts *opts, uint32_t finalists, uint32_t seeds);

/* Milliseconds that finals take: of each finalist `seeds` trainings, finalist by finalist, by
 * whichever of opts->jobs workers is free; `epochs` each, and fine-tuning. */
double mn__finals_ms(const mn_search_opts *opts,
                     const mn__finals_known *known,
                     uint32_t seeds,
                     uint32_t epochs);

/* Seeds (opts->finalist_seeds; more where workers would be idle without, or epochs are plenty) and
 * epochs that take no more than left_ms, or MN__FINALS_LEAST_EPOCHS: so where no epoch_ms is known.
 */
void mn__finals_afford(const mn_search_opts *opts,
                       const mn__finals_known *known,
                       double left_ms,
                       uint32_t *ret_seeds,
                       uint32_t *ret_epochs);

#endif

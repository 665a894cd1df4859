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

/* Epochs of fine-tuning for weights of the rounds that compete with finals of so many epochs. Short
 * finals may well end below the rounds, and finals_ms counts it; long ones hardly do, and then it
 * is one epoch, for which the time is not planned. */
uint32_t mn__finals_tuning_again(const mn_search_opts *opts, uint32_t epochs);

/* Trainings of finals that a worker does one after the other. */
uint32_t mn__finals_turns(const mn_search_opts *opts, uint32_t finalists, uint32_t seeds);

/* Milliseconds that finals take: of each finalist `seeds` trainings, finalist by finalist, by
 * whichever of opts->jobs workers is free; `epochs` of epoch_ms (finalists) each, and fine-tuning.
 */
double mn__finals_ms(const mn_search_opts *opts,
                     const double *epoch_ms,
                     uint32_t finalists,
                     uint32_t seeds,
                     uint32_t epochs);

/* Seeds (opts->finalist_seeds; more where workers would be idle without, or epochs are plenty) and
 * epochs that take no more than left_ms, or MN__FINALS_LEAST_EPOCHS. epoch_ms: (finalists), all 0
 * where nothing is known of them, and then the epochs are the least. */
void mn__finals_afford(const mn_search_opts *opts,
                       const double *epoch_ms,
                       uint32_t finalists,
                       double left_ms,
                       uint32_t *ret_seeds,
                       uint32_t *ret_epochs);

#endif

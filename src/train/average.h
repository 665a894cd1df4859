/*
 * Averages of the weights over the steps of a training: they classify better than the last weights
 * (Polyak and Juditsky 1992; as an exponential average in Tarvainen and Valpola,
 * arXiv:1703.01780). Training itself never sees them.
 */
#ifndef MN_TRAIN_AVERAGE_H
#define MN_TRAIN_AVERAGE_H

#include "train/network.h"

/* Zeroed = off: then nothing below does anything. */
typedef struct mn__average {
    float decay;
    float **shadow; /* (tensors of the graph) each in the layout of its parameter's value; running
                     * statistics too. In the network's arena; NULL when off */
} mn__average;

/* Starts as a copy of the network's numbers; `decay` 0 gives one that is off. */
mn_status mn__average_init(mn__network *net, float decay, mn__average *ret_average, mn_error *err);

/* Takes in the network's numbers as they are after step `step` of the training, from 0. */
void mn__average_step(const mn__average *average, const mn__network *net, uint64_t step);

/* Exchanges the network's numbers and their averages, and refreshes the copies in other layouts. A
 * second call brings back every bit. */
void mn__average_swap(const mn__average *average, mn__network *net);

#endif

/*
 * The optimiser: what a step does to the weights, once their gradients are known.
 */
#ifndef MN_TRAIN_OPTIMISER_H
#define MN_TRAIN_OPTIMISER_H

#include "memnet/train.h"
#include "train/network.h"

/* One step of Nesterov momentum at learning rate `rate` for every parameter with a gradient but
 * tensor `frozen` (MN_NONE: all), whose value and velocity stay. The copies in other layouts are
 * left behind: run net->refresh before the next forward pass. */
void mn__optimiser_step(mn__network *net, const mn_train_opts *opts, float rate, uint32_t frozen);

#endif

/*
 * Groups of steps that run together, one image after the other.
 */
#ifndef MN_TRAIN_PROGRAM_H
#define MN_TRAIN_PROGRAM_H

#include "train/network.h"

/* Yields the group of every step, counted over forward and backward; the caller frees. */
mn_status mn__groups_find(const mn__network *net,
                          uint32_t **ret_group_of,
                          uint32_t *ret_groups,
                          mn_error *err);

/* Runs a program; `first` is the number of its first step. */
void mn__program_run(mn__network *net, mn__program *program, uint32_t first, bool train);

#endif

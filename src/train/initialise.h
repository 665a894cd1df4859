/*
 * Random initial numbers of one tensor.
 */
#ifndef MN_TRAIN_INITIALISE_H
#define MN_TRAIN_INITIALISE_H

#include <stddef.h>
#include <stdint.h>

#include "memnet/graph.h"

/* Writes what mn_tensors_initialise() gives this tensor; `data` (count) holds zeros. */
void mn__tensor_initialise(const mn_tensor_info *info, uint64_t seed, float *data, size_t count);

#endif

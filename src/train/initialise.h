/*
 * Initial numbers: of one tensor, at random; of convolutions, so that they pass the image on.
 */
#ifndef MN_TRAIN_INITIALISE_H
#define MN_TRAIN_INITIALISE_H

#include <stddef.h>
#include <stdint.h>

#include "memnet/graph.h"
#include "memnet/tensors.h"

/* Writes what mn_tensors_initialise() gives this tensor; `data` (count) holds zeros. */
void mn__tensor_initialise(const mn_tensor_info *info, uint64_t seed, float *data, size_t count);

/* Lets the first filters of every dense convolution pass a channel on: filter i is one at the
 * kernel's centre of input channel i, and zero elsewhere, for i < min(O,I). All other numbers of
 * `tensors`, which are the graph's, stay. (Zagoruyko and Komodakis, DiracNets, arXiv:1706.00388) */
void mn__tensors_make_dirac(const mn_graph *graph, mn_tensors *tensors);

#endif

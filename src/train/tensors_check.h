/*
 * Tensors that come from outside: what is read by index must be of the graph that it is read for.
 */
#ifndef MN_TRAIN_TENSORS_CHECK_H
#define MN_TRAIN_TENSORS_CHECK_H

#include "memnet/graph.h"
#include "memnet/tensors.h"

/* MN_OK when `tensors` are those of `graph`, in its order, of its shapes and float32;
 * MN_ERR_MISMATCH names the first that is not. */
mn_status mn__tensors_check(const mn_graph *graph, const mn_tensors *tensors, mn_error *err);

#endif

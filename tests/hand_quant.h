/*
 * Int8 tables made by hand, so that tests of what reads them need nothing of quant/: ranges of a
 * few images, a grid of its own for every value, weights by their largest number. And what such a
 * network computes, in double: every value rounded to its grid.
 */
#ifndef MN_TESTS_HAND_QUANT_H
#define MN_TESTS_HAND_QUANT_H

#include "memnet/graph.h"
#include "memnet/quant.h"
#include "memnet/tensors.h"

/* `images` are `count` of (H,W,C), preprocessed. The caller frees with hand_quant_free(). */
mn_quant *hand_quant_make(const mn_graph *graph,
                          const mn_tensors *tensors,
                          const double *images,
                          uint32_t count);
void hand_quant_free(mn_quant *quant);

/* Logits of one image; `quant` NULL: in float, straight from the definitions. */
void hand_quant_run(const mn_graph *graph,
                    const mn_tensors *tensors,
                    const mn_quant *quant,
                    const double *image,
                    double *ret_logits);

#endif

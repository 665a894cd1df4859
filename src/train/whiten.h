/*
 * Whitening: the first convolution turns patches of the image into numbers that are uncorrelated
 * and of equal size, and stays as it is while the rest learns (Jordan, arXiv:2404.00498, after
 * Page 2018).
 */
#ifndef MN_TRAIN_WHITEN_H
#define MN_TRAIN_WHITEN_H

#include "memnet/train.h"

/* Numbers in a patch, at most: 9x9 of three channels. */
#define MN__PATCH_MAX 256u

/* The weight that whitening sets: of the first dense convolution, in graph order, that reads the
 * image, has more than one tap, at most MN__PATCH_MAX numbers a patch, and a kernel that fits into
 * the image. MN_NONE when there is none. */
uint32_t mn__whiten_tensor(const mn_graph *graph);

/*
 * Sets that weight (O,C,KH,KW) in `tensors`, which are the graph's: filters 2i and 2i+1 are plus
 * and minus eigenvector i, largest eigenvalue first, over sqrt(eigenvalue + 5e-4), of the
 * covariance of all patches that lie inside of up to 2000 training images, preprocessed and not
 * augmented, which the seed chooses. Filters past twice the numbers of a patch stay.
 *
 * The setup has a data set, indices in range, and a tensor to set.
 */
mn_status mn__whiten(const mn_trainer_setup *setup, mn_tensors *tensors, mn_error *err);

#endif

/*
 * What a step will read next, for the kernels that ask for it early.
 */
#ifndef MN_TRAIN_AHEAD_H
#define MN_TRAIN_AHEAD_H

#include "train/network.h"

/* Adds what simd->pad and pad_slope will read of `image`; of an image behind the batch, nothing.
 * What exceeds mn__most_spans blocks is left to the processor. */
void mn__ahead_view(mn__ahead *ahead,
                    const mn__network *net,
                    const mn__view *view,
                    const mn__pad *pad,
                    uint32_t image);
void mn__ahead_slope(mn__ahead *ahead,
                     const mn__network *net,
                     const mn__slope *slope,
                     const mn__pad *pad,
                     uint32_t image);

/* Of `blocks` blocks that are computed one by one: turns to the one after pad->first_block, and
 * yields its image. */
uint32_t mn__ahead_turn(mn__pad *pad, uint32_t blocks, uint32_t image);

#endif

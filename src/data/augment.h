/*
 * Augmentation of one image: drawn first, applied then, so that what was drawn can be looked at and
 * applying it is a pure function.
 */
#ifndef MN_DATA_AUGMENT_H
#define MN_DATA_AUGMENT_H

#include "base/random.h"
#include "memnet/batches.h"

/* What happens to one image, in this order: shift, flip, cutout. Zeroed = nothing. */
typedef struct mn__change {
    int32_t shift_y, shift_x;     /* row y shows row y + shift_y of the image */
    bool flip;                    /* column x shows column W-1-x */
    uint32_t cut_top, cut_bottom; /* rows [top, bottom) and ... */
    uint32_t cut_left, cut_right; /* ... columns [left, right) of the result show the mean */
} mn__change;

/*
 * Draws a change; sides of `shape` are at most MN__SIDE_MAX. A side of n pixels shifts by at most
 * n - 1, so that something of the image stays in sight (data with H = 1 is shifted along W only).
 * The cutout's centre is uniform over the pixels, as in DeVries and Taylor (arXiv:1708.04552), so
 * it may reach over the border. Alternating flip is not drawn: see mn__flip_alternates().
 */
#define MN__SIDE_MAX ((uint32_t)INT32_MAX / 4)
mn__change mn__change_draw(const mn_augmentation *augmentation, mn_shape shape, mn_random *random);

/* Whether alternating flip (Jordan, arXiv:2404.00498) mirrors image `image` in an epoch. */
bool mn__flip_alternates(uint64_t seed, uint64_t epoch, uint32_t image);

/* MN_ERR_ARG names the first option that is out of range. */
mn_status mn__augmentation_check(const mn_augmentation *augmentation, mn_error *err);

/* An image and how the network sees it. */
typedef struct mn__picture {
    mn_shape shape;
    mn_pixel_type type;
    mn_preprocessing preprocessing;
    const void *pixels; /* (H,W,C) of `type` */
} mn__picture;

/* Writes the changed, normalised image as (C,H,W). Pixels out of sight are 0, which is the mean. */
void mn__change_apply(const mn__change *change, const mn__picture *picture, float *ret_plain);

/* Mixes two images of `elements` numbers, each lambda of itself and 1 - lambda of the other (mixup,
 * Zhang et al., arXiv:1710.09412). */
void mn__mix(float lambda, size_t elements, float *restrict a, float *restrict b);

#endif

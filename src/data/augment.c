/*
 * Augmentation. Called by the helper thread of batches.c for every image, so its loops run over
 * rows, with all tests outside of them.
 */
#include "data/augment.h"

#include <string.h>

static const uint64_t flip_stream = 0x666c6970; /* "flip" */

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static int32_t draw_shift(uint32_t padding, uint32_t side, mn_random *random)
{
    uint32_t most = smaller(padding, side - 1);
    return (int32_t)mn_random_below(random, 2 * most + 1) - (int32_t)most;
}

/* A range of at most `cut` pixels around a pixel of [0, side). */
static void
draw_cut(uint32_t cut, uint32_t side, mn_random *random, uint32_t *ret_low, uint32_t *ret_high)
{
    uint32_t width = smaller(cut, 2 * side); /* more covers everything anyway */
    uint32_t centre = mn_random_below(random, side);
    uint32_t before = width / 2;
    *ret_low = centre > before ? centre - before : 0;
    *ret_high = smaller(centre + width - before, side);
}

mn__change mn__change_draw(const mn_augmentation *augmentation, mn_shape shape, mn_random *random)
{
    mn__change change = {0};
    if (augmentation->crop_padding > 0) {
        change.shift_y = draw_shift(augmentation->crop_padding, shape.h, random);
        change.shift_x = draw_shift(augmentation->crop_padding, shape.w, random);
    }
    if (augmentation->flip == MN_FLIP_RANDOM)
        change.flip = mn_random_below(random, 2) == 1;
    if (augmentation->cutout > 0) {
        draw_cut(augmentation->cutout, shape.h, random, &change.cut_top, &change.cut_bottom);
        draw_cut(augmentation->cutout, shape.w, random, &change.cut_left, &change.cut_right);
    }
    return change;
}

bool mn__flip_alternates(uint64_t seed, uint64_t epoch, uint32_t image)
{
    uint64_t side = mn_random_mix(mn_random_mix(seed, flip_stream), image);
    return ((side ^ epoch) & 1) != 0;
}

mn_status mn__augmentation_check(const mn_augmentation *augmentation, mn_error *err)
{
    if (augmentation->flip != MN_FLIP_NONE && augmentation->flip != MN_FLIP_RANDOM &&
        augmentation->flip != MN_FLIP_ALTERNATING)
        return mn_error_set(err, MN_ERR_ARG, "flip: no number %d", (int)augmentation->flip);
    if (!(augmentation->mixup >= 0.0f && augmentation->mixup <= 4.0f))
        return mn_error_set(
            err, MN_ERR_ARG, "mixup: %g out of range [0,4]", (double)augmentation->mixup);
    return MN_OK;
}

/* The part [low, high) of [0, side) whose source pixel, `shift` further on, exists. */
static void visible(int32_t shift, uint32_t side, uint32_t *ret_low, uint32_t *ret_high)
{
    uint32_t distance = smaller((uint32_t)(shift < 0 ? -shift : shift), side);
    *ret_low = shift < 0 ? distance : 0;
    *ret_high = shift > 0 ? side - distance : side;
}

/* Writes `count` pixels of one row and channel; `step` is -1 when the row is flipped. */
static void write_row(const mn__picture *picture,
                      size_t source, /* element of the first pixel */
                      float *target,
                      ptrdiff_t step,
                      uint32_t count)
{
    const float mean = picture->preprocessing.mean;
    const float scale = picture->preprocessing.scale;
    const size_t channels = picture->shape.c;
    if (picture->type == MN_PIXEL_F32) {
        const float *from = (const float *)picture->pixels + source;
        for (uint32_t i = 0; i < count; i++, target += step)
            *target = (from[i * channels] - mean) * scale;
    } else {
        const uint8_t *from = (const uint8_t *)picture->pixels + source;
        for (uint32_t i = 0; i < count; i++, target += step)
            *target = ((float)from[i * channels] - mean) * scale;
    }
}

static void cut_out(const mn__change *change, mn_shape shape, float *plain)
{
    size_t bytes = (change->cut_right - change->cut_left) * sizeof *plain;
    for (uint32_t c = 0; c < shape.c; c++) {
        for (uint32_t y = change->cut_top; y < change->cut_bottom; y++)
            memset(plain + ((size_t)c * shape.h + y) * shape.w + change->cut_left, 0, bytes);
    }
}

void mn__change_apply(const mn__change *change, const mn__picture *picture, float *ret_plain)
{
    const mn_shape shape = picture->shape;
    const size_t elements = (size_t)shape.h * shape.w * shape.c;
    uint32_t top, bottom, left, right;
    visible(change->shift_y, shape.h, &top, &bottom);
    visible(change->shift_x, shape.w, &left, &right);
    if (change->shift_y != 0 || change->shift_x != 0)
        memset(ret_plain, 0, elements * sizeof *ret_plain);
    const ptrdiff_t step = change->flip ? -1 : 1;
    const uint32_t first = change->flip ? shape.w - 1 - left : left;
    const uint32_t source_x = (uint32_t)((int64_t)left + change->shift_x);
    for (uint32_t c = 0; c < shape.c && left < right; c++) {
        for (uint32_t y = top; y < bottom; y++) {
            size_t source_y = (size_t)((int64_t)y + change->shift_y);
            write_row(picture,
                      (source_y * shape.w + source_x) * shape.c + c,
                      ret_plain + ((size_t)c * shape.h + y) * shape.w + first,
                      step,
                      right - left);
        }
    }
    cut_out(change, shape, ret_plain);
}

void mn__mix(float lambda, size_t elements, float *restrict a, float *restrict b)
{
    const float rest = 1.0f - lambda;
    for (size_t i = 0; i < elements; i++) {
        float kept = a[i];
        a[i] = lambda * kept + rest * b[i];
        b[i] = lambda * b[i] + rest * kept;
    }
}

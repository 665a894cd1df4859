/* Int8 values for tests, and what they become: plain loops in 64 bits, written from the words of
 * src/kernels/mn_s8.h, for random shapes, grids and factors. Blocks are allocated to the element,
 * so that the sanitizers see every access outside. */
#ifndef MN_S8_REFERENCE_H
#define MN_S8_REFERENCE_H

#include "test.h"

#include "base/random.h"
#include "kernels/mn_s8.h"

static inline int32_t between(mn_random *random, int32_t low, int32_t high)
{
    return low + (int32_t)mn_random_below(random, (uint32_t)(high - low + 1));
}

/* Any of [-128,127]: the ends often. */
static inline int32_t random_zero(mn_random *random)
{
    switch (between(random, 0, 5)) {
    case 0:
        return -128;
    case 1:
        return 127;
    case 2:
        return 0;
    default:
        return between(random, -128, 127);
    }
}

/* `count` numbers down to `low` and up to 127: random, or all of one end. */
static inline int8_t *random_bytes(mn_random *random, size_t count, int32_t low)
{
    int8_t *data = malloc(count > 0 ? count : 1);
    assert_non_null(data);
    int32_t kind = between(random, 0, 9);
    for (size_t i = 0; i < count; i++)
        data[i] = (int8_t)(kind == 0 ? low : kind == 1 ? 127 : between(random, low, 127));
    return data;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* A value: (pixels, channels) at a pixel stride, allocated to its last element. */
typedef struct value {
    int8_t *data;
    size_t count;
    int32_t pixels, channels, stride;
} value;

static inline value
random_value(mn_random *random, int32_t pixels, int32_t channels, int32_t stride)
{
    value v = {.pixels = pixels, .channels = channels, .stride = stride};
    v.count = (size_t)((pixels - 1) * stride + channels);
    v.data = random_bytes(random, v.count, -128);
    return v;
}

static inline value copy_value(const value *from)
{
    value v = *from;
    v.data = malloc(v.count);
    assert_non_null(v.data);
    memcpy(v.data, from->data, v.count);
    return v;
}

static inline int32_t at(const value *v, int32_t pixel, int32_t channel)
{
    return v->data[pixel * v->stride + channel];
}

static inline void put(value *v, int32_t pixel, int32_t channel, int32_t number)
{
    v->data[pixel * v->stride + channel] = (int8_t)number;
}

/* Every byte, those between the pixels too: they were equal before. */
static inline void
check_value(const value *actual, const value *expected, const char *what, int round)
{
    for (size_t i = 0; i < actual->count; i++)
        if (actual->data[i] != expected->data[i])
            fail_msg("%s round %d: pixel %zu element %zu is %d, expected %d",
                     what,
                     round,
                     i / (size_t)actual->stride,
                     i % (size_t)actual->stride,
                     (int)actual->data[i],
                     (int)expected->data[i]);
}

/* ---- factors --------------------------------------------------------------------------------- */

/* Factors that spread sums of up to `most` over the grid, and extreme ones. */
static inline void
random_factor(mn_random *random, int64_t most, int32_t *ret_multiplier, int32_t *ret_shift)
{
    int32_t bits = 0;
    *ret_multiplier = 1073741824 + (int32_t)mn_random_below(random, 1073741824u);
    while (most >> bits > 127)
        bits++;
    *ret_shift = 31 + bits - between(random, 0, 3);
    switch (between(random, 0, 11)) {
    case 0:
        *ret_shift = between(random, 1, 62);
        break;
    case 1:
        *ret_shift = between(random, 31, 34);
        break;
    case 2:
        *ret_multiplier = between(random, 0, 1) ? INT32_MAX : 1073741824;
        break;
    case 3:
        *ret_multiplier = 0;
        break;
    default:
        break;
    }
}

static inline int32_t clamp64(int64_t x, int32_t low, int32_t high)
{
    return x < low ? low : x > high ? high : (int32_t)x;
}

/* floor(a / b) for b > 0. */
static inline int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static inline int64_t rescale(int64_t sum, int32_t multiplier, int32_t shift)
{
    int64_t half = (int64_t)1 << (shift - 1);
    return floor_div(sum * multiplier + half, (int64_t)1 << shift);
}

/* ---- filters --------------------------------------------------------------------------------- */

typedef struct filter {
    mn_s8_filter tables;
    int8_t *weights;
    int32_t *bias, *multiplier;
    int8_t *shift;
} filter;

static inline filter random_filter(mn_random *random, int32_t outputs, int32_t size)
{
    filter f = {0};
    size_t count = (size_t)outputs;
    f.weights = random_bytes(random, count * (size_t)size, -127);
    f.bias = malloc(count * sizeof *f.bias);
    f.multiplier = malloc(count * sizeof *f.multiplier);
    f.shift = malloc(count);
    assert_true(f.bias != NULL && f.multiplier != NULL && f.shift != NULL);
    int32_t reach = between(random, 0, 9) == 0 ? 1073741823 : 8000;
    for (size_t o = 0; o < count; o++) {
        int32_t shift = 0;
        f.bias[o] = between(random, -reach, reach);
        random_factor(random, 4000 + (int64_t)size * 1000, &f.multiplier[o], &shift);
        f.shift[o] = (int8_t)shift;
    }
    f.tables = (mn_s8_filter){f.weights, f.bias, f.multiplier, f.shift};
    return f;
}

static inline void free_filter(filter *f)
{
    free(f->weights);
    free(f->bias);
    free(f->multiplier);
    free(f->shift);
}

static inline int32_t
filtered(const filter *f, int32_t o, int64_t sum, int32_t zero, int32_t low, int32_t high)
{
    return clamp64(zero + rescale(sum + f->bias[o], f->multiplier[o], f->shift[o]), low, high);
}

/* ---- windows --------------------------------------------------------------------------------- */

static inline void random_clamp(mn_random *random, int32_t *ret_low, int32_t *ret_high)
{
    *ret_low = -128;
    *ret_high = 127;
    if (between(random, 0, 1)) {
        *ret_low = between(random, -128, 127);
        *ret_high = between(random, *ret_low, 127);
    }
}

/* Any window whose output has at least one pixel; channels are the caller's. */
static inline mn_s8_window random_window(mn_random *random, int32_t sides, int32_t kernels)
{
    mn_s8_window w = {.groups = 1};
    int32_t extent_h, extent_w;
    do {
        w.in_h = between(random, 1, sides);
        w.in_w = between(random, 1, sides);
        w.kernel_h = between(random, 1, kernels);
        w.kernel_w = between(random, 1, kernels);
        w.stride_h = between(random, 1, 3);
        w.stride_w = between(random, 1, 3);
        w.dilation_h = between(random, 0, 1) ? 1 : between(random, 1, 3);
        w.dilation_w = between(random, 0, 1) ? 1 : between(random, 1, 3);
        w.pad_top = between(random, 0, 4);
        w.pad_left = between(random, 0, 4);
        extent_h = w.in_h + w.pad_top + between(random, 0, 4) - (w.kernel_h - 1) * w.dilation_h - 1;
        extent_w =
            w.in_w + w.pad_left + between(random, 0, 4) - (w.kernel_w - 1) * w.dilation_w - 1;
    } while (extent_h < 0 || extent_w < 0);
    w.out_h = extent_h / w.stride_h + 1;
    w.out_w = extent_w / w.stride_w + 1;
    w.in_zero = random_zero(random);
    w.out_zero = random_zero(random);
    random_clamp(random, &w.low, &w.high);
    return w;
}

static inline void set_channels(mn_random *random, mn_s8_window *w, int32_t in_c, int32_t out_c)
{
    w->in_c = in_c;
    w->out_c = out_c;
    w->in_stride = in_c + (between(random, 0, 1) ? between(random, 1, 7) : 0);
    w->out_stride = out_c + (between(random, 0, 1) ? between(random, 1, 7) : 0);
}

/* The input pixel under tap (ky,kx) of output pixel p, or -1 in the padding. */
static inline int32_t tap(const mn_s8_window *w, int32_t p, int32_t ky, int32_t kx)
{
    int32_t y = p / w->out_w * w->stride_h - w->pad_top + ky * w->dilation_h;
    int32_t x = p % w->out_w * w->stride_w - w->pad_left + kx * w->dilation_w;
    return y < 0 || y >= w->in_h || x < 0 || x >= w->in_w ? -1 : y * w->in_w + x;
}

/* Sum of one output of a convolution. step: from one input channel's weight to the next, and
 * tap_step from one tap's; weights stand at the output's first. */
static inline int64_t conv_sum(const mn_s8_window *w,
                               const value *in,
                               const int8_t *weights,
                               int32_t p,
                               int32_t first,
                               int32_t inputs,
                               int32_t tap_step)
{
    int64_t sum = 0;
    for (int32_t k = 0; k < w->kernel_h * w->kernel_w; k++) {
        int32_t pixel = tap(w, p, k / w->kernel_w, k % w->kernel_w);
        for (int32_t i = 0; pixel >= 0 && i < inputs; i++)
            sum += (int64_t)(at(in, pixel, first + i) - w->in_zero) * weights[k * tap_step + i];
    }
    return sum;
}

#endif

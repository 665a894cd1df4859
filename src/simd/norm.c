/*
 * Passes over one image of stored maps: sums of views, rounding to a grid, statistics, gradients
 * through batch norm and clamp where a kernel cannot take them on the way. All limited by memory.
 */
#include <math.h>

#include "simd/kernels.h"

static size_t plane_of(const mn__maps *maps)
{
    return (size_t)maps->h * maps->w * MN_LANES;
}

static const element *block_of(const mn__maps *maps, size_t image, uint32_t block)
{
    return (const element *)maps->data + image * maps->image_stride + block * plane_of(maps);
}

static element *block_to(const mn__maps *maps, size_t image, uint32_t block)
{
    return (element *)maps->data + image * maps->image_stride + block * plane_of(maps);
}

static vec lane_vector(const float *values, uint32_t block, float otherwise)
{
    return values == NULL ? vec_all(otherwise) : vec_load(values + (size_t)block * MN_LANES);
}

/* addend NULL: just v. */
MN_INLINE void store_sum(element *to, const element *addend, size_t i, vec v)
{
    element_store(to + i, addend == NULL ? v : v + element_load(addend + i));
}

/* A block of one image seen through a view. */
typedef struct reader {
    const element *x;
    vec scale, shift, low, high;
} reader;

static reader open_view(const mn__view *v, size_t image, uint32_t block)
{
    return (reader){.x = block_of(&v->maps, image, block),
                    .scale = lane_vector(v->scale, block, 1.0f),
                    .shift = lane_vector(v->shift, block, 0.0f),
                    .low = vec_all(v->low),
                    .high = vec_all(v->high)};
}

MN_INLINE vec read_view(const reader *r, size_t i)
{
    return vec_clamp(r->scale * element_load(r->x + i) + r->shift, r->low, r->high);
}

void MN_NAME(mn__join)(const mn__view *views,
                       uint32_t view_count,
                       const mn__maps *out,
                       size_t image)
{
    const size_t plane = plane_of(out);
    for (uint32_t b = 0; b < out->blocks; b++) {
        element *to = block_to(out, image, b);
        reader first = open_view(&views[0], image, b);
        reader second = open_view(&views[view_count - 1], image, b);
        if (view_count == 1) {
            for (size_t i = 0; i < plane; i += MN_LANES)
                element_store(to + i, read_view(&first, i));
        } else {
            for (size_t i = 0; i < plane; i += MN_LANES)
                element_store(to + i, read_view(&first, i) + read_view(&second, i));
        }
    }
}

/* A division, not a product with the inverse: no compiler can contract it with the sum behind it,
 * so that every table rounds alike. */
void MN_NAME(mn__fake_quant)(const mn__view *view,
                             const mn__grid *grid,
                             const mn__maps *out,
                             size_t image)
{
    const size_t plane = plane_of(out);
    const vec scale = vec_all(grid->scale);
    const vec low = vec_all(grid->low);
    const vec high = vec_all(grid->high);
    const vec half = vec_all(0.5f);
    for (uint32_t b = 0; b < out->blocks; b++) {
        element *to = block_to(out, image, b);
        reader r = open_view(view, image, b);
        for (size_t i = 0; i < plane; i += MN_LANES) {
            vec steps = vec_clamp(read_view(&r, i) / scale, low, high);
            element_store(to + i, vec_floor(steps + half) * scale);
        }
    }
}

/* dz' of a slope that goes through a view, with the x under it. */
MN_INLINE vec read_slope(const reader *r, const element *dz, size_t i, vec *ret_x)
{
    vec x = element_load(r->x + i);
    *ret_x = x;
    return vec_inside(element_load(dz + i), r->scale * x + r->shift, r->low, r->high);
}

static void
store_through(const mn__slope *s, size_t image, uint32_t block, const element *addend, element *to)
{
    const size_t plane = plane_of(&s->dz);
    const element *dz = block_of(&s->dz, image, block);
    reader r = open_view(&s->view, image, block);
    vec a = lane_vector(s->a, block, 1.0f);
    vec b = lane_vector(s->b, block, 0.0f);
    vec c = lane_vector(s->c, block, 0.0f);
    for (size_t i = 0; i < plane; i += MN_LANES) {
        vec x;
        vec d = read_slope(&r, dz, i, &x);
        vec sum = a * d + b * x + c;
        store_sum(to, addend, i, sum);
    }
}

void MN_NAME(mn__store_slope)(const mn__slope *s,
                              const mn__maps *addend,
                              const mn__maps *out,
                              size_t image)
{
    const size_t plane = plane_of(out);
    for (uint32_t b = 0; b < out->blocks; b++) {
        const element *more = addend == NULL ? NULL : block_of(addend, image, b);
        element *to = block_to(out, image, b);
        if (s->through) {
            store_through(s, image, b, more, to);
            continue;
        }
        const element *dz = block_of(&s->dz, image, b);
        for (size_t i = 0; i < plane; i += MN_LANES)
            store_sum(to, more, i, element_load(dz + i));
    }
}

static void add_sums(float *sums, size_t stride, vec first, vec second)
{
    vec_store(sums, vec_load(sums) + first);
    vec_store(sums + stride, vec_load(sums + stride) + second);
}

void MN_NAME(mn__sums)(const mn__maps *maps, size_t image, float *sums)
{
    const size_t plane = plane_of(maps);
    const size_t stride = (size_t)maps->blocks * MN_LANES;
    for (uint32_t b = 0; b < maps->blocks; b++) {
        const element *x = block_of(maps, image, b);
        vec sum = vec_all(0.0f);
        vec squares = vec_all(0.0f);
        for (size_t i = 0; i < plane; i += MN_LANES) {
            vec v = element_load(x + i);
            sum += v;
            squares += v * v;
        }
        add_sums(sums + (size_t)b * MN_LANES, stride, sum, squares);
    }
}

void MN_NAME(mn__slope_sums)(const mn__slope *s, const float *mean, size_t image, float *sums)
{
    const size_t plane = plane_of(&s->dz);
    const size_t stride = (size_t)s->dz.blocks * MN_LANES;
    for (uint32_t b = 0; b < s->dz.blocks; b++) {
        const element *dz = block_of(&s->dz, image, b);
        reader r = open_view(&s->view, image, b);
        vec middle = vec_load(mean + (size_t)b * MN_LANES);
        vec sum = vec_all(0.0f);
        vec products = vec_all(0.0f);
        for (size_t i = 0; i < plane; i += MN_LANES) {
            vec x;
            vec d = read_slope(&r, dz, i, &x);
            sum += d;
            products += d * (x - middle);
        }
        add_sums(sums + (size_t)b * MN_LANES, stride, sum, products);
    }
}

void MN_NAME(mn__to_float)(const mn__view *view, size_t image, float *out)
{
    const size_t plane = plane_of(&view->maps);
    for (uint32_t b = 0; b < view->maps.blocks; b++) {
        reader r = open_view(view, image, b);
        for (size_t i = 0; i < plane; i += MN_LANES)
            vec_store(out + i, read_view(&r, i));
        out += plane;
    }
}

void MN_NAME(mn__from_float)(const float *in,
                             const mn__maps *addend,
                             const mn__maps *out,
                             size_t image)
{
    const size_t plane = plane_of(out);
    for (uint32_t b = 0; b < out->blocks; b++) {
        const element *more = addend == NULL ? NULL : block_of(addend, image, b);
        element *to = block_to(out, image, b);
        for (size_t i = 0; i < plane; i += MN_LANES)
            store_sum(to, more, i, vec_load(in + i));
        in += plane;
    }
}

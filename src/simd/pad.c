/*
 * Copies of one image with a border, so that the kernels which slide windows over it need no tests:
 * values through their view, gradients through their slope. This is where batch norm and relu
 * happen, forward and backward, without a pass of their own.
 */
#include <math.h>

#include "simd/kernels.h"

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* A row of a block: reads `count` pixels and writes them behind the border. */
typedef struct row {
    const element *from;    /* values, or the dz of a slope */
    const element *through; /* slope: the values under the view */
    size_t count;           /* floats */
    vec scale, shift, low, high;
    vec a, b, c;
} row;

/* Where to: floats or elements, FLOATS being a constant where this is inlined. */
MN_INLINE void put(const bool FLOATS, void *out, size_t i, vec v)
{
    if (FLOATS)
        vec_store((float *)out + i, v);
    else
        element_store((element *)out + i, v);
}

MN_INLINE void *skip(const bool FLOATS, void *out, size_t count)
{
    return FLOATS ? (void *)((float *)out + count) : (void *)((element *)out + count);
}

MN_INLINE void copy_row(const bool FLOATS, const row *r, void *out)
{
    for (size_t i = 0; i < r->count; i += MN_LANES)
        put(FLOATS, out, i, element_load(r->from + i));
}

MN_INLINE void view_row(const bool FLOATS, const row *r, void *out)
{
    for (size_t i = 0; i < r->count; i += MN_LANES) {
        vec z = r->scale * element_load(r->from + i) + r->shift;
        put(FLOATS, out, i, vec_clamp(z, r->low, r->high));
    }
}

MN_INLINE void slope_row(const bool FLOATS, const row *r, void *out)
{
    for (size_t i = 0; i < r->count; i += MN_LANES) {
        vec x = element_load(r->through + i);
        vec z = r->scale * x + r->shift;
        vec d = vec_inside(element_load(r->from + i), z, r->low, r->high);
        put(FLOATS, out, i, r->a * d + r->b * x + r->c);
    }
}

typedef void (*row_fn)(const bool FLOATS, const row *r, void *out);

/* Fills one block; `paint` writes the pixels inside. */
MN_INLINE void fill_block(
    const bool FLOATS, const mn__pad *pad, const mn__maps *maps, row r, row_fn paint, void *out)
{
    const element *from = r.from;
    const element *through = r.through;
    const size_t width = (size_t)pad->columns * MN_LANES;
    const size_t left = (size_t)pad->left * MN_LANES;
    const size_t inside = smaller((size_t)maps->w * MN_LANES, width - left);
    const vec fill = vec_all(pad->fill);
    r.count = inside;
    for (uint32_t y = 0; y < pad->rows; y++, out = skip(FLOATS, out, width)) {
        int64_t source = (int64_t)pad->first_row + y;
        bool visible = source >= 0 && source < maps->h;
        size_t before = visible ? left : width;
        for (size_t i = 0; i < before; i += MN_LANES)
            put(FLOATS, out, i, fill);
        if (!visible)
            continue;
        size_t offset = (size_t)source * maps->w * MN_LANES;
        r.from = from + offset;
        r.through = through + offset;
        paint(FLOATS, &r, skip(FLOATS, out, left));
        for (size_t i = left + inside; i < width; i += MN_LANES)
            put(FLOATS, out, i, fill);
    }
}

static const element *block_of(const mn__maps *maps, size_t image, uint32_t block)
{
    size_t plane = (size_t)maps->h * maps->w * MN_LANES;
    return (const element *)maps->data + image * maps->image_stride + block * plane;
}

static vec lane_vector(const float *values, uint32_t block, float otherwise)
{
    return values == NULL ? vec_all(otherwise) : vec_load(values + (size_t)block * MN_LANES);
}

MN_INLINE void
pad_view(const bool FLOATS, const mn__pad *pad, const mn__view *v, size_t image, void *out)
{
    const bool plain = v->scale == NULL && v->low == -INFINITY && v->high == INFINITY;
    const size_t size = (size_t)pad->rows * pad->columns * MN_LANES;
    for (uint32_t b = 0; b < pad->blocks; b++, out = skip(FLOATS, out, size)) {
        uint32_t block = pad->first_block + b;
        row r = {.from = block_of(&v->maps, image, block),
                 .scale = lane_vector(v->scale, block, 1.0f),
                 .shift = lane_vector(v->shift, block, 0.0f),
                 .low = vec_all(v->low),
                 .high = vec_all(v->high)};
        r.through = r.from; /* not looked at */
        if (plain)
            fill_block(FLOATS, pad, &v->maps, r, copy_row, out);
        else
            fill_block(FLOATS, pad, &v->maps, r, view_row, out);
    }
}

MN_INLINE void
pad_any_slope(const bool FLOATS, const mn__pad *pad, const mn__slope *s, size_t image, void *out)
{
    const size_t size = (size_t)pad->rows * pad->columns * MN_LANES;
    for (uint32_t b = 0; b < pad->blocks; b++, out = skip(FLOATS, out, size)) {
        uint32_t block = pad->first_block + b;
        row r = {.from = block_of(&s->dz, image, block)};
        r.through = r.from; /* not looked at, unless replaced here */
        if (!s->through) {
            fill_block(FLOATS, pad, &s->dz, r, copy_row, out);
            continue;
        }
        r.through = block_of(&s->view.maps, image, block);
        r.scale = lane_vector(s->view.scale, block, 1.0f);
        r.shift = lane_vector(s->view.shift, block, 0.0f);
        r.low = vec_all(s->view.low);
        r.high = vec_all(s->view.high);
        r.a = lane_vector(s->a, block, 1.0f);
        r.b = lane_vector(s->b, block, 0.0f);
        r.c = lane_vector(s->c, block, 0.0f);
        fill_block(FLOATS, pad, &s->dz, r, slope_row, out);
    }
}

void MN_NAME(mn__pad)(const mn__pad *pad, const mn__view *view, size_t image, void *out)
{
    pad_view(false, pad, view, image, out);
}

void MN_NAME(mn__pad_float)(const mn__pad *pad, const mn__view *view, size_t image, float *out)
{
    pad_view(true, pad, view, image, out);
}

void MN_NAME(mn__pad_slope)(const mn__pad *pad, const mn__slope *slope, size_t image, void *out)
{
    pad_any_slope(false, pad, slope, image, out);
}

void MN_NAME(mn__pad_slope_float)(const mn__pad *pad,
                                  const mn__slope *slope,
                                  size_t image,
                                  float *out)
{
    pad_any_slope(true, pad, slope, image, out);
}

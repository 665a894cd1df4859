/* Random feature maps of several images, seen through views and slopes, with what must be seen at
 * every place: for the tests of the passes and of the padded copies. */
#ifndef MN_TEST_SIMD_MAPS_H
#define MN_TEST_SIMD_MAPS_H

#include "simd_fixture.h"

enum { seen_images = 3, seen_most_blocks = 4 };

/* A place in the maps. */
typedef struct maps_site {
    uint32_t image, block, y, x, lane;
} maps_site;

/* Maps with memory of their own, and a view of them: coefficients or a clamp, both, or none. */
typedef struct seen_maps {
    bool whole;
    area data, scale, shift;
    size_t count; /* elements from the first to the last */
    mn__view view;
} seen_maps;

static inline size_t maps_elements(const mn__simd *simd, const mn__maps *maps)
{
    return (size_t)maps->blocks * maps->h * maps->w * simd->lanes;
}

static inline size_t maps_at(const mn__simd *simd, const mn__maps *maps, const maps_site *at)
{
    size_t pixel = ((size_t)at->block * maps->h + at->y) * maps->w + at->x;
    return at->image * maps->image_stride + pixel * simd->lanes + at->lane;
}

/* Images that are a slice of a concat lie further apart; what is between them is no number. */
static inline size_t maps_spread(const mn__simd *simd, mn_random *random, mn__maps *maps)
{
    size_t elements = maps_elements(simd, maps);
    maps->image_stride = elements + (coin(random) ? 0 : (size_t)simd->lanes * 3);
    return (seen_images - 1) * maps->image_stride + elements;
}

/* `filled`: with numbers. */
static inline area
maps_make(const mn__simd *simd, mn_random *random, mn__maps *maps, bool filled, bool whole)
{
    size_t count = maps_spread(simd, random, maps);
    area a = area_make(random, count, simd->element_bytes);
    maps->data = a.data;
    for (size_t i = 0; i < count && filled; i++)
        if (i % maps->image_stride < maps_elements(simd, maps))
            element_put(simd, a.data, i, number(random, whole));
    return a;
}

static inline seen_maps
seen_maps_like(const mn__simd *simd, mn_random *random, const mn__maps *like, bool whole)
{
    seen_maps m = {.whole = whole, .view = {.maps = *like, .low = -INFINITY, .high = INFINITY}};
    size_t lanes = (size_t)like->blocks * simd->lanes;
    m.data = maps_make(simd, random, &m.view.maps, true, whole);
    m.scale = area_numbers(random, lanes, whole);
    m.shift = area_numbers(random, lanes, whole);
    if (coin(random)) {
        m.view.scale = m.scale.data;
        m.view.shift = m.shift.data;
    }
    if (coin(random))
        m.view.low = whole ? 0.0f : -0.3f;
    if (coin(random))
        m.view.high = whole ? 1.0f : 0.7f;
    return m;
}

static inline seen_maps seen_maps_make(const mn__simd *simd, mn_random *random)
{
    mn__maps like = {.blocks = between(random, 1, seen_most_blocks),
                     .h = between(random, 1, 7),
                     .w = between(random, 1, 17)};
    return seen_maps_like(simd, random, &like, coin(random));
}

static inline void seen_maps_done(seen_maps *m)
{
    area_done(&m->data);
    area_done(&m->scale);
    area_done(&m->shift);
}

static inline double coefficient(const float *values, uint32_t lane, double otherwise)
{
    return values == NULL ? otherwise : (double)values[lane];
}

/* What the view shows before it is clamped. */
static inline expected unclamped_at(const mn__simd *simd, const mn__view *v, const maps_site *at)
{
    uint32_t lane = at->block * simd->lanes + at->lane;
    expected e = {0};
    double x = (double)element_get(simd, v->maps.data, maps_at(simd, &v->maps, at));
    expect_term(&e, coefficient(v->scale, lane, 1.0) * x);
    expect_term(&e, coefficient(v->shift, lane, 0.0));
    return e;
}

static inline expected view_at(const mn__simd *simd, const seen_maps *m, const maps_site *at)
{
    expected e = unclamped_at(simd, &m->view, at);
    if (e.value < (double)m->view.low)
        e.value = (double)m->view.low;
    if (e.value > (double)m->view.high)
        e.value = (double)m->view.high;
    return e;
}

/* A slope through the view of other maps, or just a gradient. */
typedef struct seen_slope {
    bool whole;
    area dz, a, b, c;
    mn__slope slope;
} seen_slope;

/* Whether z is so close to where it is clamped that rounding could move it across. */
static inline bool at_the_brink(const mn__view *v, const expected *z)
{
    double error = expected_error(z);
    return fabs(z->value - (double)v->low) <= error || fabs(z->value - (double)v->high) <= error;
}

/* Normal numbers stay away from the clamp; whole ones may lie right on it. */
static inline void leave_the_brink(const mn__simd *simd, seen_maps *m)
{
    const mn__maps *maps = &m->view.maps;
    size_t elements = maps_elements(simd, maps);
    for (size_t i = 0; i < seen_images * elements && !m->whole; i++) {
        size_t at = i % elements;
        size_t pixel = at / simd->lanes;
        maps_site site = {.image = (uint32_t)(i / elements),
                          .block = (uint32_t)(pixel / maps->w / maps->h),
                          .y = (uint32_t)(pixel / maps->w % maps->h),
                          .x = (uint32_t)(pixel % maps->w),
                          .lane = (uint32_t)(at % simd->lanes)};
        expected z = unclamped_at(simd, &m->view, &site);
        if (at_the_brink(&m->view, &z))
            element_put(simd, maps->data, maps_at(simd, maps, &site), 0.125f);
    }
}

static inline seen_slope seen_slope_make(const mn__simd *simd, mn_random *random, seen_maps *m)
{
    seen_slope s = {.whole = m->whole, .slope = {.dz = m->view.maps}};
    size_t lanes = (size_t)m->view.maps.blocks * simd->lanes;
    leave_the_brink(simd, m);
    s.dz = maps_make(simd, random, &s.slope.dz, true, m->whole);
    s.a = area_numbers(random, lanes, m->whole);
    s.b = area_numbers(random, lanes, m->whole);
    s.c = area_numbers(random, lanes, m->whole);
    s.slope.through = mn_random_below(random, 4) != 0;
    if (s.slope.through)
        s.slope.view = m->view;
    if (s.slope.through && coin(random)) {
        s.slope.a = s.a.data;
        s.slope.b = s.b.data;
        s.slope.c = s.c.data;
    }
    return s;
}

static inline void seen_slope_done(seen_slope *s)
{
    area *areas[] = {&s->dz, &s->a, &s->b, &s->c};
    for (size_t i = 0; i < sizeof areas / sizeof areas[0]; i++)
        area_done(areas[i]);
}

/* dz'. */
static inline double open_at(const mn__simd *simd, const mn__slope *s, const maps_site *at)
{
    double dz = (double)element_get(simd, s->dz.data, maps_at(simd, &s->dz, at));
    double z = unclamped_at(simd, &s->view, at).value;
    return z > (double)s->view.low && z < (double)s->view.high ? dz : 0.0;
}

static inline expected slope_at(const mn__simd *simd, const seen_slope *seen, const maps_site *at)
{
    const mn__slope *s = &seen->slope;
    const uint32_t lane = at->block * simd->lanes + at->lane;
    expected e = {0};
    if (!s->through) {
        expect_term(&e, (double)element_get(simd, s->dz.data, maps_at(simd, &s->dz, at)));
        return e;
    }
    double x = (double)element_get(simd, s->view.maps.data, maps_at(simd, &s->view.maps, at));
    expect_term(&e, coefficient(s->a, lane, 1.0) * open_at(simd, s, at));
    expect_term(&e, coefficient(s->b, lane, 0.0) * x);
    expect_term(&e, coefficient(s->c, lane, 0.0));
    return e;
}

#endif

/*
 * Passes over stored maps and over plain vectors of floats, against plain loops: odd sizes and
 * large ones, every set of instructions. And which table is chosen.
 */
#include "simd_fixture.h"

#include "simd_maps.h"

/* Pixel and lane number i of an image. */
static maps_site site_of(const mn__simd *simd, const mn__maps *maps, uint32_t image, size_t i)
{
    size_t pixel = i / simd->lanes;
    return (maps_site){.image = image,
                       .block = (uint32_t)(pixel / maps->w / maps->h),
                       .y = (uint32_t)(pixel / maps->w % maps->h),
                       .x = (uint32_t)(pixel % maps->w),
                       .lane = (uint32_t)(i % simd->lanes)};
}

/* Whether element `at` of maps lies in image `image`; ret_i: its number there. */
static bool
in_image(const mn__simd *simd, const mn__maps *maps, uint32_t image, size_t at, size_t *ret_i)
{
    size_t first = image * maps->image_stride;
    *ret_i = at - first;
    return at >= first && at - first < maps_elements(simd, maps);
}

/* Where a pass writes maps: into memory of their own, or over the addend. */
typedef struct written_maps {
    mn__maps maps, addend_maps;
    area out, addend;
    bool adds, in_place;
} written_maps;

static written_maps
written_make(const mn__simd *simd, mn_random *random, const mn__maps *like, bool whole)
{
    written_maps w = {.maps = *like, .addend_maps = *like, .adds = coin(random)};
    w.in_place = w.adds && coin(random);
    w.out = maps_make(simd, random, &w.maps, false, whole);
    w.addend = maps_make(simd, random, &w.addend_maps, true, whole);
    if (w.in_place) { /* the same layout, so that one copy does */
        area_done(&w.out);
        w.out = area_make(random, w.addend.bytes / simd->element_bytes, simd->element_bytes);
        memcpy(w.out.data, w.addend.data, w.addend.bytes);
        w.maps = w.addend_maps;
        w.maps.data = w.out.data;
    }
    return w;
}

static const mn__maps *written_addend(const written_maps *w)
{
    if (w->in_place)
        return &w->maps;
    return w->adds ? &w->addend_maps : NULL;
}

/* The whole of the memory: image `image` holds what `result` says + the addend, the rest what it
 * held before. */
static void written_check(const mn__simd *simd,
                          const written_maps *w,
                          uint32_t image,
                          bool whole,
                          expected (*result)(const mn__simd *, const void *, const maps_site *),
                          const void *context)
{
    for (size_t at = 0; at < w->out.bytes / simd->element_bytes; at++) {
        size_t i;
        float actual = element_get(simd, w->out.data, at);
        if (!in_image(simd, &w->maps, image, at, &i)) {
            if (w->in_place)
                assert_memory_equal((char *)w->out.data + at * simd->element_bytes,
                                    (char *)w->addend.data + at * simd->element_bytes,
                                    simd->element_bytes);
            else
                assert_true(area_untouched(&w->out, at, simd->element_bytes));
            continue;
        }
        maps_site site = site_of(simd, &w->maps, image, i);
        expected e = result(simd, context, &site);
        if (w->adds)
            expect_term(
                &e,
                (double)element_get(simd, w->addend.data, maps_at(simd, &w->addend_maps, &site)));
        assert_expected(element_as_expected(simd, &e, whole, actual), simd, &e, actual);
    }
}

static void written_done(written_maps *w)
{
    area_done(&w->out);
    area_done(&w->addend);
}

/* ---- join ------------------------------------------------------------------------------------ */

typedef struct joined {
    uint32_t count;
    seen_maps parts[2];
} joined;

static expected joined_at(const mn__simd *simd, const void *context, const maps_site *at)
{
    const joined *j = context;
    expected e = view_at(simd, &j->parts[0], at);
    if (j->count == 2) {
        expected other = view_at(simd, &j->parts[1], at);
        e.value += other.value;
        e.magnitude += other.magnitude;
        e.terms += other.terms;
    }
    return e;
}

static void join_case(const mn__simd *simd, mn_random *random)
{
    joined j = {.count = between(random, 1, 2)};
    const uint32_t image = mn_random_below(random, seen_images);
    j.parts[0] = seen_maps_make(simd, random);
    j.parts[1] = seen_maps_like(simd, random, &j.parts[0].view.maps, j.parts[0].whole);
    const mn__view views[2] = {j.parts[0].view, j.parts[1].view};
    written_maps w = written_make(simd, random, &views[0].maps, j.parts[0].whole);
    w.adds = false; /* a join has no addend: what was there is overwritten */
    simd->join(views, j.count, &w.maps, image);
    written_check(simd, &w, image, j.parts[0].whole, joined_at, &j);
    written_done(&w);
    seen_maps_done(&j.parts[0]);
    seen_maps_done(&j.parts[1]);
}

static void test_join(void **state)
{
    (void)state;
    simd_for_all(join_case, 150, 21);
}

/* ---- store_slope, from_float, to_float ------------------------------------------------------- */

static expected stored_at(const mn__simd *simd, const void *context, const maps_site *at)
{
    return slope_at(simd, context, at);
}

static void store_slope_case(const mn__simd *simd, mn_random *random)
{
    seen_maps m = seen_maps_make(simd, random);
    seen_slope s = seen_slope_make(simd, random, &m);
    const uint32_t image = mn_random_below(random, seen_images);
    written_maps w = written_make(simd, random, &m.view.maps, m.whole);
    simd->store_slope(&s.slope, written_addend(&w), &w.maps, image);
    written_check(simd, &w, image, m.whole, stored_at, &s);
    written_done(&w);
    seen_slope_done(&s);
    seen_maps_done(&m);
}

static void test_store_slope(void **state)
{
    (void)state;
    simd_for_all(store_slope_case, 150, 22);
}

/* Floats of one image, (blocks,h,w,lanes). */
typedef struct float_image {
    const mn__maps *like;
    const area *floats;
} float_image;

static expected float_at(const mn__simd *simd, const void *context, const maps_site *at)
{
    const float_image *f = context;
    maps_site first = *at;
    expected e = {0};
    first.image = 0;
    expect_term(&e, (double)area_floats(f->floats)[maps_at(simd, f->like, &first)]);
    return e;
}

static void from_float_case(const mn__simd *simd, mn_random *random)
{
    seen_maps m = seen_maps_make(simd, random);
    area floats = area_numbers(random, maps_elements(simd, &m.view.maps), m.whole);
    const float_image f = {.like = &m.view.maps, .floats = &floats};
    const uint32_t image = mn_random_below(random, seen_images);
    written_maps w = written_make(simd, random, &m.view.maps, m.whole);
    simd->from_float(floats.data, written_addend(&w), &w.maps, image);
    written_check(simd, &w, image, m.whole, float_at, &f);
    written_done(&w);
    area_done(&floats);
    seen_maps_done(&m);
}

static void to_float_case(const mn__simd *simd, mn_random *random)
{
    seen_maps m = seen_maps_make(simd, random);
    const uint32_t image = mn_random_below(random, seen_images);
    size_t count = maps_elements(simd, &m.view.maps);
    area out = area_make(random, count, sizeof(float));
    simd->to_float(&m.view, image, out.data);
    for (size_t i = 0; i < count; i++) {
        maps_site site = site_of(simd, &m.view.maps, image, i);
        expected e = view_at(simd, &m, &site);
        float actual = area_floats(&out)[i];
        assert_expected(float_as_expected(&e, m.whole, actual), simd, &e, actual);
    }
    area_done(&out);
    seen_maps_done(&m);
}

static void test_floats(void **state)
{
    (void)state;
    simd_for_all(from_float_case, 150, 23);
    simd_for_all(to_float_case, 150, 24);
}

/* A view keeps what is no number, and so does the gradient of a slope without a clamp. */
static void nan_case(const mn__simd *simd, mn_random *random)
{
    seen_maps m = seen_maps_make(simd, random);
    const size_t count = maps_elements(simd, &m.view.maps);
    const size_t hole = mn_random_below(random, (uint32_t)count);
    mn__maps to = m.view.maps;
    area out = maps_make(simd, random, &to, false, false);
    area floats = area_make(random, count, sizeof(float));
    element_put(simd, m.data.data, hole, NAN);
    simd->join(&m.view, 1, &to, 0);
    simd->to_float(&m.view, 0, floats.data);
    for (size_t i = 0; i < count; i++) {
        assert_true(isnan(element_get(simd, out.data, i)) == (i == hole));
        assert_true(isnan(area_floats(&floats)[i]) == (i == hole));
    }
    const mn__slope plain = {.dz = m.view.maps};
    simd->store_slope(&plain, NULL, &to, 0);
    for (size_t i = 0; i < count; i++)
        assert_true(isnan(element_get(simd, out.data, i)) == (i == hole));
    area_done(&out);
    area_done(&floats);
    seen_maps_done(&m);
}

static void test_not_a_number(void **state)
{
    (void)state;
    simd_for_all(nan_case, 50, 25);
}

/* ---- fake_quant ------------------------------------------------------------------------------ */

static float on_grid(const mn__grid *grid, float z)
{
    float steps = z / grid->scale;
    steps = steps < grid->low ? grid->low : steps;
    steps = steps > grid->high ? grid->high : steps;
    return floorf(steps + 0.5f) * grid->scale;
}

/* Views with coefficients are rounded before the grid sees them, and how is a table's own affair;
 * one without shows what is stored, so that every bit is known. */
static void fake_quant_case(const mn__simd *simd, mn_random *random)
{
    static const mn__grid grids[] = {{0.25f, -128.0f, 127.0f},
                                     {0.5f, -3.0f, 2.0f},
                                     {0.037f, -128.0f, 127.0f},
                                     {1e-30f, -255.0f, 0.0f},
                                     {1e30f, 0.0f, 255.0f},
                                     {0.3f, -1.0f, 16777216.0f}};
    const mn__grid *grid = &grids[mn_random_below(random, sizeof grids / sizeof grids[0])];
    seen_maps m = seen_maps_make(simd, random);
    mn__maps to = m.view.maps;
    const uint32_t image = mn_random_below(random, seen_images);
    area out = maps_make(simd, random, &to, false, false);
    m.view.scale = m.view.shift = NULL;
    for (size_t i = 0; i < maps_elements(simd, &to); i++) { /* halves, and what is next to them */
        float x = ((float)mn_random_below(random, 12) - 5.5f) * grid->scale;
        x = coin(random) ? x : nextafterf(x, coin(random) ? -INFINITY : INFINITY);
        if (coin(random))
            element_put(simd, m.view.maps.data, image * m.view.maps.image_stride + i, x);
    }
    element_put(simd, m.view.maps.data, image * m.view.maps.image_stride, NAN);
    simd->fake_quant(&m.view, grid, &to, image);
    for (size_t at = 0; at < out.bytes / simd->element_bytes; at++) {
        size_t i;
        if (!in_image(simd, &to, image, at, &i)) {
            assert_true(area_untouched(&out, at, simd->element_bytes));
            continue;
        }
        float x = element_get(simd, m.view.maps.data, image * m.view.maps.image_stride + i);
        float actual = element_get(simd, out.data, at);
        float z = x < m.view.low ? m.view.low : x;
        float q = simd_round(simd, on_grid(grid, z > m.view.high ? m.view.high : z));
        if (i == 0 ? !isnan(actual) : actual != q)
            fail_msg("%s: %.9g on a grid of %g: %.9g, expected %.9g",
                     simd->name,
                     (double)x,
                     (double)grid->scale,
                     (double)actual,
                     (double)q);
    }
    area_done(&out);
    seen_maps_done(&m);
}

static void fake_quant_view_case(const mn__simd *simd, mn_random *random)
{
    const mn__grid grid = {0.5f, -2.0f, 3.0f};
    seen_maps m = seen_maps_make(simd, random);
    mn__maps to = m.view.maps;
    area out = maps_make(simd, random, &to, false, false);
    simd->fake_quant(&m.view, &grid, &to, 1);
    for (size_t i = 0; i < maps_elements(simd, &to); i++) {
        maps_site site = site_of(simd, &to, 1, i);
        float z = (float)view_at(simd, &m, &site).value;
        float actual = element_get(simd, out.data, to.image_stride + i);
        if (m.whole)
            assert_true(actual == on_grid(&grid, z));
        else
            assert_true(fabsf(actual - fminf(fmaxf(z, -1.0f), 1.5f)) < 0.2501f);
    }
    area_done(&out);
    seen_maps_done(&m);
}

static void test_fake_quant(void **state)
{
    (void)state;
    simd_for_all(fake_quant_case, 200, 31);
    simd_for_all(fake_quant_view_case, 100, 32);
}

/* ---- sums ------------------------------------------------------------------------------------ */

/* sums (2,blocks,lanes) that began with 1 in the first and 2 in the second half. */
static area sums_make(mn_random *random, size_t lanes)
{
    area sums = area_make(random, 2 * lanes, sizeof(float));
    for (size_t i = 0; i < 2 * lanes; i++)
        area_floats(&sums)[i] = i < lanes ? 1.0f : 2.0f;
    return sums;
}

static void check_sum(const mn__simd *simd, const expected *e, bool whole, float actual)
{
    assert_expected(float_as_expected(e, whole, actual), simd, e, actual);
}

static void sums_case(const mn__simd *simd, mn_random *random)
{
    seen_maps m = seen_maps_make(simd, random);
    const mn__maps *maps = &m.view.maps;
    const uint32_t image = mn_random_below(random, seen_images);
    const size_t lanes = (size_t)maps->blocks * simd->lanes;
    area sums = sums_make(random, lanes);
    simd->sums(maps, image, sums.data);
    for (size_t lane = 0; lane < lanes; lane++) {
        expected sum = {.value = 1.0, .magnitude = 1.0};
        expected squares = {.value = 2.0, .magnitude = 2.0};
        for (size_t i = 0; i < maps_elements(simd, maps); i++) {
            maps_site site = site_of(simd, maps, image, i);
            double x = (double)element_get(simd, maps->data, maps_at(simd, maps, &site));
            if (site.block * simd->lanes + site.lane != lane)
                continue;
            expect_term(&sum, x);
            expect_term(&squares, x * x);
        }
        check_sum(simd, &sum, m.whole, area_floats(&sums)[lane]);
        check_sum(simd, &squares, m.whole, area_floats(&sums)[lanes + lane]);
    }
    area_done(&sums);
    seen_maps_done(&m);
}

static void slope_sums_case(const mn__simd *simd, mn_random *random)
{
    seen_maps m = seen_maps_make(simd, random);
    seen_slope s = seen_slope_make(simd, random, &m);
    const mn__maps *maps = &m.view.maps;
    const uint32_t image = mn_random_below(random, seen_images);
    const size_t lanes = (size_t)maps->blocks * simd->lanes;
    area sums = sums_make(random, lanes);
    area mean = area_numbers(random, lanes, m.whole);
    s.slope.through = true;
    s.slope.view = m.view;
    simd->slope_sums(&s.slope, mean.data, image, sums.data);
    for (size_t lane = 0; lane < lanes; lane++) {
        expected sum = {.value = 1.0, .magnitude = 1.0};
        expected products = {.value = 2.0, .magnitude = 2.0};
        for (size_t i = 0; i < maps_elements(simd, maps); i++) {
            maps_site site = site_of(simd, maps, image, i);
            if (site.block * simd->lanes + site.lane != lane)
                continue;
            double d = open_at(simd, &s.slope, &site);
            double x = (double)element_get(simd, maps->data, maps_at(simd, maps, &site));
            double middle = (double)area_floats(&mean)[lane];
            expect_term(&sum, d);
            expect_term(&products, d * (x - middle));
            products.magnitude += fabs(d) * (fabs(x) + fabs(middle)); /* x - mean is rounded too */
        }
        check_sum(simd, &sum, m.whole, area_floats(&sums)[lane]);
        check_sum(simd, &products, m.whole, area_floats(&sums)[lanes + lane]);
    }
    area_done(&mean);
    area_done(&sums);
    seen_slope_done(&s);
    seen_maps_done(&m);
}

static void test_sums(void **state)
{
    (void)state;
    simd_for_all(sums_case, 150, 26);
    simd_for_all(slope_sums_case, 150, 27);
}

/* ---- plain vectors --------------------------------------------------------------------------- */

/* 0 to 17, what is around a few registers, and large ones. */
static size_t draw_count(mn_random *random)
{
    switch (mn_random_below(random, 4)) {
    case 0:
        return between(random, 55, 70);
    case 1:
        return between(random, 1000, 5000);
    default:
        return between(random, 0, 17);
    }
}

static void dot_case(const mn__simd *simd, mn_random *random)
{
    const bool whole = coin(random);
    const size_t count = draw_count(random);
    area a = area_numbers(random, count, whole);
    area b = area_numbers(random, count, whole);
    expected e = {0};
    for (size_t i = 0; i < count; i++)
        expect_term(&e, (double)area_floats(&a)[i] * (double)area_floats(&b)[i]);
    float actual = simd->dot(a.data, b.data, count);
    assert_expected(float_as_expected(&e, whole, actual), simd, &e, actual);
    area_done(&a);
    area_done(&b);
}

static void add_case(const mn__simd *simd, mn_random *random)
{
    const bool whole = coin(random);
    const bool scales = coin(random);
    const size_t count = draw_count(random);
    const float factor = scales ? number(random, whole) : 1.0f;
    area sum = area_numbers(random, count, whole);
    area a = area_numbers(random, count, whole);
    float *before = calloc(count + 1, sizeof *before);
    assert_non_null(before);
    memcpy(before, sum.data, sum.bytes);
    if (scales)
        simd->add_scaled(sum.data, factor, a.data, count);
    else
        simd->add(sum.data, a.data, count);
    for (size_t i = 0; i < count; i++) {
        expected e = {0};
        expect_term(&e, (double)before[i]);
        expect_term(&e, (double)factor * (double)area_floats(&a)[i]);
        float actual = area_floats(&sum)[i];
        assert_expected(float_as_expected(&e, whole, actual), simd, &e, actual);
    }
    free(before);
    area_done(&sum);
    area_done(&a);
}

/* Whole numbers, and a step whose factors are powers of two: exact. */
static void sgd_case(const mn__simd *simd, mn_random *random)
{
    const bool whole = coin(random);
    const size_t count = draw_count(random);
    const mn__sgd steps[] = {{.rate = 0.25f, .momentum = 0.5f, .decay = 0.125f},
                             {.rate = 0.03f, .momentum = 0.9f, .decay = 0.0005f}};
    const mn__sgd *step = &steps[whole ? 0 : 1];
    area weight = area_numbers(random, count, whole);
    area velocity = area_numbers(random, count, whole);
    area gradient = area_numbers(random, count, whole);
    float *before = calloc(2 * count + 1, sizeof *before);
    assert_non_null(before);
    memcpy(before, weight.data, weight.bytes);
    memcpy(before + count, velocity.data, velocity.bytes);
    simd->sgd(step, weight.data, gradient.data, velocity.data, count);
    for (size_t i = 0; i < count; i++) {
        double rate = (double)step->rate, momentum = (double)step->momentum;
        expected v = {0};
        expect_term(&v, momentum * (double)before[count + i]);
        expect_term(&v, (double)area_floats(&gradient)[i]);
        expect_term(&v, (double)step->decay * (double)before[i]);
        double g = v.value - momentum * (double)before[count + i];
        expected w = {0};
        expect_term(&w, (double)before[i]);
        expect_term(&w, -rate * g);
        expect_term(&w, -rate * momentum * v.value);
        w.magnitude += rate * v.magnitude * (1.0 + momentum);
        float actual = area_floats(&velocity)[i];
        assert_expected(float_as_expected(&v, whole, actual), simd, &v, actual);
        actual = area_floats(&weight)[i];
        assert_expected(float_as_expected(&w, whole, actual), simd, &w, actual);
    }
    free(before);
    area_done(&weight);
    area_done(&velocity);
    area_done(&gradient);
}

/* Every bit is known. Some channels are zeros, some hold one number that is not. */
static void weights_case(const mn__simd *simd, mn_random *random)
{
    const bool joint = coin(random);
    const uint32_t channels = joint ? 1 : simd->lanes * between(random, 1, 3);
    const size_t step = joint ? simd->lanes : channels;
    const size_t count = step * between(random, 1, 40);
    area weights = area_numbers(random, count, false);
    area out = area_make(random, count, sizeof(float));
    float *w = weights.data;
    for (size_t i = 0; i < count; i++)
        w[i] *= mn_random_below(random, 7) == 0 || i % channels == 3 ? 0.0f : 0.1f;
    if (mn_random_below(random, 10) == 0)
        w[count - 1] = NAN;
    simd->quantise_weights(w, channels, count, out.data);
    for (uint32_t c = 0; c < channels; c++) {
        float most = 0.0f;
        for (size_t i = c; i < count; i += channels)
            most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
        float scale = most == 0.0f ? 1.0f : most / 127.0f;
        for (size_t i = c; i < count; i += channels) {
            float q = floorf(w[i] / scale + 0.5f);
            float actual = area_floats(&out)[i];
            if (isnan(w[i]) ? !isnan(actual) : fabsf(q) > 127.0f || actual != q * scale)
                fail_msg("%s: weight %.9g: %.9g", simd->name, (double)w[i], (double)actual);
        }
    }
    area_done(&weights);
    area_done(&out);
}

static void test_quantise_weights(void **state)
{
    (void)state;
    simd_for_all(weights_case, 300, 33);
}

static void test_vectors(void **state)
{
    (void)state;
    simd_for_all(dot_case, 200, 28);
    simd_for_all(add_case, 200, 29);
    simd_for_all(sgd_case, 200, 30);
}

/* ---- the choice ------------------------------------------------------------------------------ */

/* MEMNET_ISA names the most that may be used; bf16 is there with AVX-512 only. */
static void test_choice(void **state)
{
    (void)state;
    const mn__simd *tables[simd_most_tables];
    const uint32_t count = simd_tables(tables);
    const char *kept = getenv("MEMNET_ISA");
    char *copy = kept == NULL ? NULL : strdup(kept);
    assert_int_equal(setenv("MEMNET_ISA", "portable", 1), 0);
    assert_ptr_equal(mn__simd_choose(false), &mn__simd_portable);
    assert_null(mn__simd_choose(true));
    assert_int_equal(setenv("MEMNET_ISA", "avx2", 1), 0);
    assert_ptr_equal(mn__simd_choose(false), tables[count > 1 ? 1 : 0]);
    assert_null(mn__simd_choose(true));
    assert_int_equal(setenv("MEMNET_ISA", "avx512", 1), 0);
    assert_ptr_equal(mn__simd_choose(false), tables[count > 2 ? 2 : count - 1]);
    assert_null(mn__simd_choose(true));
    assert_int_equal(unsetenv("MEMNET_ISA"), 0);
    assert_ptr_equal(mn__simd_choose(false), tables[count > 2 ? 2 : count - 1]);
    assert_ptr_equal(mn__simd_choose(true), count > 3 ? tables[3] : NULL);
    for (uint32_t t = 0; t < count; t++) {
        assert_int_equal(tables[t]->lanes, t < 2 ? 8 : 16);
        assert_int_equal(tables[t]->element_bytes, t < 3 ? 4 : 2);
    }
    if (copy != NULL)
        assert_int_equal(setenv("MEMNET_ISA", copy, 1), 0);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_store_slope),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_fake_quant),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_quantise_weights),
        cmocka_unit_test(test_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

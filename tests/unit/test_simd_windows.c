/*
 * Kernels around windows of one channel against plain loops: padded copies of views and slopes,
 * depthwise convolution with its weight gradient, and max pooling with its gradient. Random
 * geometries, every set of instructions.
 */
#include "simd_fixture.h"

#include "simd_maps.h"

enum { most_taps = 49 };

/* ---- padded copies --------------------------------------------------------------------------- */

static mn__pad draw_pad(const mn__maps *maps, mn_random *random)
{
    mn__pad pad = {.first_block = mn_random_below(random, maps->blocks)};
    pad.blocks = between(random, 1, maps->blocks - pad.first_block);
    pad.first_row = (int32_t)between(random, 0, maps->h + 6) - 4;
    pad.rows = between(random, 1, maps->h + 4);
    pad.left = between(random, 0, 4);
    pad.columns = pad.left + between(random, 0, maps->w + 4);
    if (pad.columns == 0)
        pad.columns = 1;
    pad.fill = coin(random) ? -INFINITY : 0.0f;
    return pad;
}

/* Element of the image that lands in row y, column x; false in the border. */
static bool
source_of(const mn__pad *pad, const mn__maps *maps, uint32_t y, uint32_t x, maps_site *ret_site)
{
    int64_t row = (int64_t)pad->first_row + y;
    int64_t column = (int64_t)x - pad->left;
    ret_site->y = (uint32_t)row;
    ret_site->x = (uint32_t)column;
    return row >= 0 && row < maps->h && column >= 0 && column < maps->w;
}

/* One of the four kernels on a random image; `slope` NULL: of a view. */
static void check_pad(const mn__simd *simd,
                      mn_random *random,
                      const seen_maps *m,
                      const seen_slope *slope,
                      bool floats)
{
    const mn__pad pad = draw_pad(&m->view.maps, random);
    const uint32_t image = mn_random_below(random, seen_images);
    const uint32_t bytes = floats ? 4 : simd->element_bytes;
    size_t count = (size_t)pad.blocks * pad.rows * pad.columns * simd->lanes;
    area out = area_make(random, count, bytes);
    if (slope != NULL && floats)
        simd->pad_slope_float(&pad, &slope->slope, image, out.data);
    else if (slope != NULL)
        simd->pad_slope(&pad, &slope->slope, image, out.data);
    else if (floats)
        simd->pad_float(&pad, &m->view, image, out.data);
    else
        simd->pad(&pad, &m->view, image, out.data);
    for (size_t i = 0; i < count; i++) {
        uint32_t pixel = (uint32_t)(i / simd->lanes);
        maps_site site = {.image = image, .lane = (uint32_t)(i % simd->lanes)};
        expected e = {.value = (double)pad.fill};
        bool inside = source_of(
            &pad, &m->view.maps, pixel / pad.columns % pad.rows, pixel % pad.columns, &site);
        site.block = pad.first_block + pixel / pad.columns / pad.rows;
        if (inside)
            e = slope != NULL ? slope_at(simd, slope, &site) : view_at(simd, m, &site);
        float actual = floats ? area_floats(&out)[i] : element_get(simd, out.data, i);
        bool ok = floats ? float_as_expected(&e, m->whole, actual)
                         : element_as_expected(simd, &e, m->whole, actual);
        assert_expected(
            ok || actual == (float)e.value || (isnan(actual) && isnan(e.value)), simd, &e, actual);
    }
    area_done(&out);
}

static void pad_case(const mn__simd *simd, mn_random *random)
{
    seen_maps m = seen_maps_make(simd, random);
    seen_slope s = seen_slope_make(simd, random, &m);
    for (int floats = 0; floats < 2; floats++) {
        check_pad(simd, random, &m, NULL, floats == 1);
        check_pad(simd, random, &m, &s, floats == 1);
    }
    seen_slope_done(&s);
    seen_maps_done(&m);
}

static void test_pads(void **state)
{
    (void)state;
    simd_for_all(pad_case, 200, 11);
}

/* What is no number must come through every view as such, or a lost training would go unseen. */
static void nan_case(const mn__simd *simd, mn_random *random)
{
    seen_maps m = seen_maps_make(simd, random);
    const mn__maps *maps = &m.view.maps;
    mn__pad pad = {.blocks = maps->blocks, .rows = maps->h, .columns = maps->w};
    size_t count = (size_t)maps->blocks * maps->h * maps->w * simd->lanes;
    size_t hole = mn_random_below(random, (uint32_t)count);
    area out = area_make(random, count, sizeof(float));
    element_put(simd, maps->data, hole, NAN);
    simd->pad_float(&pad, &m.view, 0, out.data);
    for (size_t i = 0; i < count; i++)
        assert_true(isnan(area_floats(&out)[i]) == (i == hole));
    area_done(&out);
    seen_maps_done(&m);
}

static void test_not_a_number(void **state)
{
    (void)state;
    simd_for_all(nan_case, 50, 12);
}

/* ---- windows over one padded block of floats ------------------------------------------------- */

typedef struct window_case {
    bool whole;
    uint32_t kernel_h, kernel_w;
    size_t columns, rows; /* of the padded block */
    size_t offset[most_taps];
    uint32_t index[most_taps];
    mn__depthwise_pass pass;
    area in, filter, out, addend;
    size_t out_count;
    bool adds, in_place;
} window_case;

/* Half of the windows are those that have loops of their own: squares of adjacent taps. */
static void draw_window(window_case *c, const mn__simd *simd, mn_random *random)
{
    const bool square = coin(random);
    const uint32_t side = coin(random) ? 3 : 5;
    const uint32_t lanes = simd->lanes;
    c->whole = coin(random);
    c->kernel_h = square ? side : between(random, 1, 7);
    c->kernel_w = square ? side : between(random, 1, 7);
    const uint32_t stride_h = between(random, 1, 3);
    const uint32_t stride_w = square && coin(random) ? 1 : between(random, 1, 3);
    const uint32_t dilation_h = between(random, 1, 3);
    const uint32_t dilation_w = square ? 1 : between(random, 1, 3);
    const uint32_t rows = between(random, 1, 17);
    const uint32_t columns = between(random, 1, 19);
    c->rows = (rows - 1) * stride_h + (c->kernel_h - 1) * dilation_h + 1;
    c->columns = (columns - 1) * stride_w + (c->kernel_w - 1) * dilation_w + 1;
    c->pass = (mn__depthwise_pass){.in_row = stride_h * c->columns * lanes,
                                   .in_step = (size_t)stride_w * lanes,
                                   .rows = rows,
                                   .columns = columns};
    c->pass.taps.count = c->kernel_h * c->kernel_w;
    for (uint32_t t = 0; t < c->pass.taps.count; t++)
        c->index[t] = t;
    if (coin(random)) { /* as backward: some, in any order */
        mn_random_shuffle(random, c->index, c->pass.taps.count);
        c->pass.taps.count = square ? c->pass.taps.count : between(random, 1, c->pass.taps.count);
    }
    for (uint32_t t = 0; t < c->pass.taps.count; t++)
        c->offset[t] = (c->index[t] / c->kernel_w * dilation_h * c->columns +
                        c->index[t] % c->kernel_w * dilation_w) *
                       lanes;
    c->pass.taps.offset = c->offset;
    c->pass.taps.index = c->index;
}

/* What the window reads and writes. Weights where a tap is not used are no numbers. */
static void draw_memory(window_case *c, const mn__simd *simd, mn_random *random)
{
    const uint32_t lanes = simd->lanes;
    mn__depthwise_pass *p = &c->pass;
    p->out_step = (size_t)between(random, 1, 3) * lanes;
    p->out_row = p->columns * p->out_step + (size_t)between(random, 0, 2) * lanes;
    c->out_count = (p->rows - 1) * p->out_row + (p->columns - 1) * p->out_step + lanes;
    c->adds = coin(random);
    c->in_place = c->adds && coin(random);
    c->in = area_numbers(random, c->rows * c->columns * lanes, c->whole);
    c->filter = area_make(random, (size_t)c->kernel_h * c->kernel_w * lanes, sizeof(float));
    for (uint32_t t = 0; t < p->taps.count; t++)
        for (uint32_t i = 0; i < lanes; i++)
            area_floats(&c->filter)[c->index[t] * lanes + i] = number(random, c->whole);
    c->addend = area_elements(simd, random, c->out_count, c->whole);
    c->out = area_make(random, c->out_count, simd->element_bytes);
    if (c->in_place)
        memcpy(c->out.data, c->addend.data, c->out.bytes);
}

static void window_make(window_case *c, const mn__simd *simd, mn_random *random)
{
    *c = (window_case){0};
    draw_window(c, simd, random);
    draw_memory(c, simd, random);
}

static void window_done(window_case *c)
{
    area *areas[] = {&c->in, &c->filter, &c->out, &c->addend};
    for (size_t i = 0; i < sizeof areas / sizeof areas[0]; i++)
        area_done(areas[i]);
}

static const void *addend_of(const window_case *c)
{
    if (c->in_place)
        return c->out.data;
    return c->adds ? c->addend.data : NULL;
}

static size_t window_out_at(const window_case *c, uint32_t y, uint32_t x, uint32_t lane)
{
    return y * c->pass.out_row + x * c->pass.out_step + lane;
}

static double window_seen(const window_case *c, uint32_t y, uint32_t x, uint32_t t, uint32_t lane)
{
    size_t at = y * c->pass.in_row + x * c->pass.in_step + c->offset[t] + lane;
    return (double)area_floats(&c->in)[at];
}

/* Elements between the pixels of the output keep what they held. */
static void check_gaps(const window_case *c, const mn__simd *simd)
{
    for (size_t i = 0; i < c->out_count; i++) {
        size_t y = i / c->pass.out_row;
        size_t x = i % c->pass.out_row / c->pass.out_step;
        bool pixel = y < c->pass.rows && x < c->pass.columns &&
                     i % c->pass.out_row % c->pass.out_step < simd->lanes;
        if (!pixel && !c->in_place)
            assert_true(area_untouched(&c->out, i, simd->element_bytes));
        else if (!pixel)
            assert_true(element_get(simd, c->out.data, i) == element_get(simd, c->addend.data, i));
    }
}

/* ---- depthwise -------------------------------------------------------------------------------
 */

static expected
depthwise_at(const window_case *c, const mn__simd *simd, uint32_t y, uint32_t x, uint32_t lane)
{
    expected e = {0};
    double factor = 1.0;
    if (c->pass.factor != NULL)
        factor = (double)c->pass.factor[(size_t)y * c->pass.columns + x];
    for (uint32_t t = 0; t < c->pass.taps.count; t++)
        expect_term(&e,
                    factor * window_seen(c, y, x, t, lane) *
                        (double)area_floats(&c->filter)[c->index[t] * simd->lanes + lane]);
    if (c->adds)
        expect_term(&e, (double)element_get(simd, c->addend.data, window_out_at(c, y, x, lane)));
    return e;
}

static void
check_depthwise_lane(const window_case *c,
                     const mn__simd *simd,
                     uint32_t lane,
                     const float *sums, /* [2] of this lane, begun with 1 and 2; or NULL */
                     size_t stride)
{
    expected totals[2] = {{0}};
    double slack = 0.0;
    expect_term(&totals[0], 1.0);
    expect_term(&totals[1], 2.0);
    for (uint32_t y = 0; y < c->pass.rows; y++)
        for (uint32_t x = 0; x < c->pass.columns; x++) {
            float actual = element_get(simd, c->out.data, window_out_at(c, y, x, lane));
            expected e = depthwise_at(c, simd, y, x, lane);
            assert_expected(element_as_expected(simd, &e, c->whole, actual), simd, &e, actual);
            expect_term(&totals[0], e.value);
            expect_term(&totals[1], e.value * e.value);
            slack += expected_error(&e) * (1.0 + 2.0 * fabs(e.value));
        }
    for (size_t k = 0; k < 2 && sums != NULL; k++) {
        float actual = sums[k * stride + lane];
        bool ok = expected_exact(&totals[k], c->whole) ? (double)actual == totals[k].value
                                                       : fabs((double)actual - totals[k].value) <=
                                                             expected_error(&totals[k]) + slack;
        assert_expected(ok, simd, &totals[k], actual);
    }
}

static void depthwise_case(const mn__simd *simd, mn_random *random)
{
    window_case c;
    window_make(&c, simd, random);
    const bool counts = coin(random);
    const size_t stride = (size_t)between(random, 1, 3) * simd->lanes;
    area sums = area_make(random, stride + simd->lanes, sizeof(float));
    area factor = area_numbers(random, (size_t)c.pass.rows * c.pass.columns, c.whole);
    if (coin(random))
        c.pass.factor = factor.data;
    for (uint32_t i = 0; i < simd->lanes; i++) {
        area_floats(&sums)[i] = 1.0f;
        area_floats(&sums)[stride + i] = 2.0f;
    }
    const mn__ahead ahead = ahead_draw(random);
    c.pass.ahead = coin(random) ? &ahead : NULL; /* no result may depend on it */
    simd->depthwise(&c.pass,
                    c.in.data,
                    c.filter.data,
                    c.out.data,
                    addend_of(&c),
                    counts ? sums.data : NULL,
                    stride);
    for (uint32_t lane = 0; lane < simd->lanes; lane++)
        check_depthwise_lane(&c, simd, lane, counts ? sums.data : NULL, stride);
    for (size_t i = simd->lanes; i < stride; i++)
        assert_true(area_untouched(&sums, i, sizeof(float)));
    check_gaps(&c, simd);
    area_done(&sums);
    area_done(&factor);
    window_done(&c);
}

static void test_depthwise(void **state)
{
    (void)state;
    simd_for_all(depthwise_case, 200, 13);
}

static void depthwise_weights_case(const mn__simd *simd, mn_random *random)
{
    const uint32_t lanes = simd->lanes;
    window_case c;
    window_make(&c, simd, random);
    c.pass.out_step = lanes; /* pixels of a padded gradient are adjacent */
    c.pass.out_row = (c.pass.columns + between(random, 0, 2)) * lanes;
    size_t count = (c.pass.rows - 1) * c.pass.out_row + (size_t)c.pass.columns * lanes;
    area d = area_make(random, count, sizeof(float));
    for (uint32_t y = 0; y < c.pass.rows; y++)
        for (size_t i = 0; i < (size_t)c.pass.columns * lanes; i++)
            area_floats(&d)[y * c.pass.out_row + i] = number(random, c.whole);
    area gradient = area_make(random, (size_t)c.pass.taps.count * lanes, sizeof(float));
    for (size_t i = 0; i < (size_t)c.pass.taps.count * lanes; i++)
        area_floats(&gradient)[i] = 3.0f;
    simd->depthwise_weights(&c.pass, c.in.data, d.data, gradient.data);
    for (uint32_t t = 0; t < c.pass.taps.count; t++)
        for (uint32_t lane = 0; lane < lanes; lane++) {
            expected e = {0};
            expect_term(&e, 3.0);
            for (uint32_t y = 0; y < c.pass.rows; y++)
                for (uint32_t x = 0; x < c.pass.columns; x++)
                    expect_term(&e,
                                window_seen(&c, y, x, t, lane) *
                                    (double)area_floats(&d)[window_out_at(&c, y, x, lane)]);
            float actual = area_floats(&gradient)[(size_t)t * lanes + lane];
            assert_expected(float_as_expected(&e, c.whole, actual), simd, &e, actual);
        }
    area_done(&d);
    area_done(&gradient);
    window_done(&c);
}

static void test_depthwise_weights(void **state)
{
    (void)state;
    simd_for_all(depthwise_weights_case, 150, 14);
}

/* ---- max pooling -----------------------------------------------------------------------------
 */

/* Of equal values, which whole numbers often are, the first tap wins. Some are -INFINITY, as in a
 * border. */
static void max_pool_case(const mn__simd *simd, mn_random *random)
{
    const uint32_t lanes = simd->lanes;
    window_case c;
    window_make(&c, simd, random);
    size_t pixels = (size_t)c.pass.rows * c.pass.columns;
    area which = area_make(random, pixels * lanes, 1);
    for (size_t i = 0; i < c.rows * c.columns * lanes; i++)
        if (mn_random_below(random, 4) == 0)
            area_floats(&c.in)[i] = -INFINITY;
    c.in_place = false;
    memset(c.out.data, area_fill, c.out.bytes);
    simd->max_pool(&c.pass, c.in.data, c.out.data, which.data);
    for (uint32_t y = 0; y < c.pass.rows; y++)
        for (uint32_t x = 0; x < c.pass.columns; x++)
            for (uint32_t lane = 0; lane < lanes; lane++) {
                uint32_t won = 0;
                for (uint32_t t = 1; t < c.pass.taps.count; t++)
                    if (window_seen(&c, y, x, t, lane) > window_seen(&c, y, x, won, lane))
                        won = t;
                float best = simd_round(simd, (float)window_seen(&c, y, x, won, lane));
                size_t at = ((size_t)y * c.pass.columns + x) * lanes + lane;
                assert_int_equal(((const uint8_t *)which.data)[at], c.index[won]);
                assert_true(element_get(simd, c.out.data, window_out_at(&c, y, x, lane)) == best);
            }
    check_gaps(&c, simd);
    area_done(&which);
    window_done(&c);
}

static void test_max_pool(void **state)
{
    (void)state;
    simd_for_all(max_pool_case, 150, 15);
}

/* Taps that won are drawn, 255 (none) among them. */
static void max_pool_gradient_case(const mn__simd *simd, mn_random *random)
{
    const uint32_t lanes = simd->lanes;
    window_case c;
    window_make(&c, simd, random);
    size_t count = c.rows * c.columns * lanes;
    area which = area_make(random, count, 1);
    uint8_t *won = which.data;
    for (size_t i = 0; i < count; i++)
        won[i] =
            coin(random) ? UINT8_MAX : (uint8_t)mn_random_below(random, c.kernel_h * c.kernel_w);
    simd->max_pool_gradient(&c.pass, c.in.data, won, c.out.data, addend_of(&c));
    for (uint32_t y = 0; y < c.pass.rows; y++)
        for (uint32_t x = 0; x < c.pass.columns; x++)
            for (uint32_t lane = 0; lane < lanes; lane++) {
                size_t to = window_out_at(&c, y, x, lane);
                expected e = {0};
                if (c.adds)
                    expect_term(&e, (double)element_get(simd, c.addend.data, to));
                for (uint32_t t = 0; t < c.pass.taps.count; t++) {
                    size_t at = y * c.pass.in_row + x * c.pass.in_step + c.offset[t] + lane;
                    if (won[at] == c.index[t])
                        expect_term(&e, (double)area_floats(&c.in)[at]);
                }
                float actual = element_get(simd, c.out.data, to);
                assert_expected(element_as_expected(simd, &e, c.whole, actual), simd, &e, actual);
            }
    check_gaps(&c, simd);
    area_done(&which);
    window_done(&c);
}

static void test_max_pool_gradient(void **state)
{
    (void)state;
    simd_for_all(max_pool_gradient_case, 150, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pads),
        cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_depthwise),
        cmocka_unit_test(test_depthwise_weights),
        cmocka_unit_test(test_max_pool),
        cmocka_unit_test(test_max_pool_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

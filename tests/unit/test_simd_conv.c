/*
 * Dense convolution kernels against plain loops over the definition, for random geometries and
 * every set of instructions: forward with any taps, addend, sums and strides of the output; the
 * weight gradient; the layout of filters.
 */
#include "simd_fixture.h"

enum { most_blocks = 5, most_taps = 49 };

/* A convolution over an image with a border of zeros. Taps are some of the filter's, in any order,
 * as a phase of a backward sweep has them. */
typedef struct geometry {
    const mn__simd *simd;
    bool whole; /* the numbers */
    uint32_t in_blocks, out_blocks;
    uint8_t in_lanes[most_blocks];
    uint32_t h, w, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, top, left;
    uint32_t rows, columns; /* of the output */
    uint32_t padded_rows, padded_columns;
    size_t in_plane;
    uint32_t tap_count;
    size_t offset[most_taps];
    uint32_t index[most_taps];
} geometry;

/* Of one direction: the kernel's reach must fit the padded image. */
static uint32_t
output_side(uint32_t in, uint32_t before, uint32_t after, uint32_t reach, uint32_t s)
{
    return in + before + after < reach ? 0 : (in + before + after - reach) / s + 1;
}

static bool draw_sides(geometry *g, mn_random *random)
{
    static const uint32_t shapes[][2] = {{1, 7}, {7, 1}, {1, 1}, {3, 3}, {5, 5}};
    uint32_t shape = mn_random_below(random, 8);
    g->kernel_h = shape < 5 ? shapes[shape][0] : between(random, 1, 7);
    g->kernel_w = shape < 5 ? shapes[shape][1] : between(random, 1, 7);
    g->stride_h = between(random, 1, 3);
    g->stride_w = between(random, 1, 3);
    g->dilation_h = between(random, 1, 3);
    g->dilation_w = between(random, 1, 3);
    g->h = between(random, 1, 17);
    g->w = mn_random_below(random, 16) == 0 ? between(random, 129, 150) : between(random, 1, 17);
    g->top = between(random, 0, 4);
    g->left = between(random, 0, 4);
    uint32_t reach_h = (g->kernel_h - 1) * g->dilation_h + 1;
    uint32_t reach_w = (g->kernel_w - 1) * g->dilation_w + 1;
    g->rows = output_side(g->h, g->top, between(random, 0, 4), reach_h, g->stride_h);
    g->columns = output_side(g->w, g->left, between(random, 0, 4), reach_w, g->stride_w);
    g->padded_rows = g->rows == 0 ? 0 : (g->rows - 1) * g->stride_h + reach_h;
    g->padded_columns = g->columns == 0 ? 0 : (g->columns - 1) * g->stride_w + reach_w;
    return g->rows > 0 && g->columns > 0;
}

static geometry draw_geometry(const mn__simd *simd, mn_random *random)
{
    geometry g = {.simd = simd, .whole = coin(random)};
    while (!draw_sides(&g, random))
        ;
    bool wide = g.w > 17;
    g.in_blocks = between(random, 1, wide ? 2 : most_blocks);
    g.out_blocks = between(random, 1, wide ? 2 : most_blocks);
    for (uint32_t i = 0; i < g.in_blocks; i++)
        g.in_lanes[i] = (uint8_t)between(random, 1, simd->lanes);
    g.in_plane = ((size_t)g.padded_rows * g.padded_columns + between(random, 0, 2)) * simd->lanes;
    uint32_t taps = g.kernel_h * g.kernel_w;
    for (uint32_t t = 0; t < taps; t++)
        g.index[t] = t;
    g.tap_count = taps;
    if (coin(random)) {
        mn_random_shuffle(random, g.index, taps);
        g.tap_count = between(random, 0, taps);
    }
    for (uint32_t t = 0; t < g.tap_count; t++) {
        uint32_t y = g.index[t] / g.kernel_w * g.dilation_h;
        uint32_t x = g.index[t] % g.kernel_w * g.dilation_w;
        g.offset[t] = ((size_t)y * g.padded_columns + x) * simd->lanes;
    }
    return g;
}

static mn__taps taps_of(const geometry *g)
{
    return (mn__taps){.count = g->tap_count, .offset = g->offset, .index = g->index};
}

static uint32_t all_taps(const geometry *g)
{
    return g->kernel_h * g->kernel_w;
}

/* The padded image: nothing that could be taken for a number lies between two blocks. */
static area padded_image(const geometry *g, mn_random *random)
{
    const uint32_t lanes = g->simd->lanes;
    size_t image = (size_t)g->padded_rows * g->padded_columns * lanes;
    size_t all = (g->in_blocks - 1) * g->in_plane + image;
    area in = area_make(random, all, g->simd->element_bytes);
    for (uint32_t b = 0; b < g->in_blocks; b++)
        for (size_t i = 0; i < image; i++) {
            int64_t y = (int64_t)(i / lanes / g->padded_columns) - g->top;
            int64_t x = (int64_t)(i / lanes % g->padded_columns) - g->left;
            bool inside = y >= 0 && y < g->h && x >= 0 && x < g->w;
            bool used = i % lanes < g->in_lanes[b];
            float value = inside && used ? number(random, g->whole) : 0.0f;
            element_put(g->simd, in.data, b * g->in_plane + i, value);
        }
    return in;
}

/* Pixel (y,x) of the image without its border; 0 outside. */
static double
image_at(const geometry *g, const area *in, uint32_t block, uint32_t lane, int64_t y, int64_t x)
{
    if (y < 0 || y >= g->h || x < 0 || x >= g->w)
        return 0.0;
    size_t pixel = (size_t)(y + g->top) * g->padded_columns + (size_t)(x + g->left);
    size_t at = block * g->in_plane + pixel * g->simd->lanes + lane;
    return (double)element_get(g->simd, in->data, at);
}

/* What tap `tap` sees when output (y,x) is computed. */
static double
seen(const geometry *g, const area *in, uint32_t in_lane, uint32_t tap, uint32_t y, uint32_t x)
{
    int64_t row = (int64_t)y * g->stride_h + tap / g->kernel_w * g->dilation_h - g->top;
    int64_t column = (int64_t)x * g->stride_w + tap % g->kernel_w * g->dilation_w - g->left;
    return image_at(g, in, in_lane / g->simd->lanes, in_lane % g->simd->lanes, row, column);
}

static bool used_lane(const geometry *g, uint32_t in_lane)
{
    return in_lane % g->simd->lanes < g->in_lanes[in_lane / g->simd->lanes];
}

static size_t filter_at(const geometry *g, uint32_t out_lane, uint32_t in_lane, uint32_t tap)
{
    const uint32_t lanes = g->simd->lanes;
    return mn__filter_at(
        lanes, g->in_blocks * lanes, g->out_blocks * lanes, all_taps(g), out_lane, in_lane, tap);
}

static size_t filter_count(const geometry *g)
{
    const uint32_t lanes = g->simd->lanes;
    return (size_t)g->in_blocks * g->out_blocks * lanes * lanes * all_taps(g);
}

/* Floats that elements can hold; zero in lanes that no input has. */
static area draw_filter(const geometry *g, mn_random *random)
{
    const uint32_t lanes = g->simd->lanes;
    area filter = area_make(random, filter_count(g), sizeof(float));
    for (uint32_t o = 0; o < g->out_blocks * lanes; o++)
        for (uint32_t i = 0; i < g->in_blocks * lanes; i++)
            for (uint32_t t = 0; t < all_taps(g); t++) {
                float value = simd_round(g->simd, number(random, g->whole));
                area_floats(&filter)[filter_at(g, o, i, t)] = used_lane(g, i) ? value : 0.0f;
            }
    return filter;
}

/* As elements, a group of output blocks at a time. */
static area converted(const geometry *g, const area *filter, mn_random *random)
{
    const mn__simd *simd = g->simd;
    area out = area_make(random, filter_count(g), simd->element_bytes);
    size_t block = (size_t)g->in_blocks * simd->lanes * simd->lanes * all_taps(g);
    for (uint32_t b = 0; b < g->out_blocks; b += 2) {
        uint32_t blocks = g->out_blocks - b < 2 ? 1 : 2;
        simd->convert_filter(area_floats(filter) + b * block,
                             blocks,
                             blocks * block,
                             (char *)out.data + b * block * simd->element_bytes);
    }
    return out;
}

/* ---- forward --------------------------------------------------------------------------------- */

/* What goes out: where, and the results that must be found there. */
typedef struct output {
    mn__conv_pass pass;
    size_t count; /* elements from the first to the last that is written */
    area out, addend, sums;
    bool in_place, adds, sums_up;
} output;

static output draw_output(const geometry *g, mn_random *random)
{
    const uint32_t lanes = g->simd->lanes;
    size_t step = (size_t)between(random, 1, 2) * lanes;
    size_t row = g->columns * step + (size_t)between(random, 0, 1) * 3 * lanes;
    size_t plane = g->rows * row + (size_t)between(random, 0, 1) * 2 * lanes;
    size_t count = (g->out_blocks - 1) * plane + (g->rows - 1) * row + (g->columns - 1) * step;
    output o = {.count = count + lanes, .adds = coin(random), .sums_up = coin(random)};
    o.in_place = o.adds && coin(random);
    o.pass = (mn__conv_pass){.in_blocks = g->in_blocks,
                             .in_lanes = g->in_lanes,
                             .in_plane = g->in_plane,
                             .in_row = (size_t)g->stride_h * g->padded_columns * lanes,
                             .in_step = (size_t)g->stride_w * lanes,
                             .taps = taps_of(g),
                             .filter_taps = all_taps(g),
                             .out_blocks = g->out_blocks,
                             .rows = g->rows,
                             .columns = g->columns,
                             .out_plane = plane,
                             .out_row = row,
                             .out_step = step};
    o.out = area_make(random, o.count, g->simd->element_bytes);
    o.sums = area_numbers(random, (size_t)2 * g->out_blocks * lanes, true);
    o.addend = area_elements(g->simd, random, o.count, g->whole);
    return o;
}

/* Element of the output that lane `lane` of pixel (y,x) is. */
static size_t output_at(const geometry *g, const output *o, uint32_t lane, uint32_t y, uint32_t x)
{
    return lane / g->simd->lanes * o->pass.out_plane + y * o->pass.out_row + x * o->pass.out_step +
           lane % g->simd->lanes;
}

static expected result_at(const geometry *g,
                          const output *o,
                          const area *in,
                          const area *filter,
                          uint32_t lane,
                          uint32_t y,
                          uint32_t x)
{
    expected e = {0};
    if (o->adds)
        expect_term(&e, (double)element_get(g->simd, o->addend.data, output_at(g, o, lane, y, x)));
    for (uint32_t i = 0; i < g->in_blocks * g->simd->lanes; i++)
        for (uint32_t t = 0; t < g->tap_count && used_lane(g, i); t++) {
            float w = area_floats(filter)[filter_at(g, lane, i, g->index[t])];
            expect_term(&e, (double)w * seen(g, in, i, g->index[t], y, x));
        }
    return e;
}

/* Every result, and the sums over them; `at_first` is what the sums began with. */
static void check_lane(const geometry *g,
                       const output *o,
                       const area *in,
                       const area *filter,
                       uint32_t lane,
                       const float *at_first,
                       uint8_t *written)
{
    const size_t stride = (size_t)g->out_blocks * g->simd->lanes;
    expected sum = {0};
    expected squares = {0};
    double slack = 0.0;
    expect_term(&sum, (double)at_first[lane]);
    expect_term(&squares, (double)at_first[stride + lane]);
    for (uint32_t y = 0; y < g->rows; y++)
        for (uint32_t x = 0; x < g->columns; x++) {
            size_t at = output_at(g, o, lane, y, x);
            float actual = element_get(g->simd, o->out.data, at);
            expected e = result_at(g, o, in, filter, lane, y, x);
            assert_expected(
                element_as_expected(g->simd, &e, g->whole, actual), g->simd, &e, actual);
            written[at] = 1;
            expect_term(&sum, e.value);
            expect_term(&squares, e.value * e.value);
            slack += expected_error(&e) * (1.0 + 2.0 * fabs(e.value));
        }
    for (int k = 0; k < 2; k++) {
        expected *e = k == 0 ? &sum : &squares;
        float actual = area_floats(&o->sums)[k * stride + lane];
        if (o->sums_up && expected_exact(e, g->whole))
            assert_expected((double)actual == e->value, g->simd, e, actual);
        else if (o->sums_up)
            assert_expected(
                fabs((double)actual - e->value) <= expected_error(e) + slack, g->simd, e, actual);
        else
            assert_true(actual == at_first[k * stride + lane]);
    }
}

static void forward_case(const mn__simd *simd, mn_random *random)
{
    geometry g = draw_geometry(simd, random);
    area in = padded_image(&g, random);
    area filter = draw_filter(&g, random);
    area elements = converted(&g, &filter, random);
    output o = draw_output(&g, random);
    const size_t sum_count = (size_t)2 * g.out_blocks * simd->lanes;
    float *at_first = calloc(sum_count, sizeof *at_first);
    uint8_t *written = calloc(o.count, 1);
    assert_true(at_first != NULL && written != NULL);
    memcpy(at_first, o.sums.data, sum_count * sizeof *at_first);
    if (o.in_place)
        memcpy(o.out.data, o.addend.data, o.out.bytes);
    const mn__ahead ahead = ahead_draw(random);
    o.pass.ahead = coin(random) ? &ahead : NULL; /* no result may depend on it */
    simd->conv(&o.pass,
               in.data,
               elements.data,
               o.out.data,
               o.in_place ? o.out.data
               : o.adds   ? o.addend.data
                          : NULL,
               o.sums_up ? o.sums.data : NULL);
    for (uint32_t lane = 0; lane < g.out_blocks * simd->lanes; lane++)
        check_lane(&g, &o, &in, &filter, lane, at_first, written);
    for (size_t i = 0; i < o.count; i++)
        if (!written[i] && o.in_place)
            assert_true(element_get(simd, o.out.data, i) == element_get(simd, o.addend.data, i));
        else if (!written[i])
            assert_true(area_untouched(&o.out, i, simd->element_bytes));
    free(at_first);
    free(written);
    area *areas[] = {&in, &filter, &elements, &o.out, &o.addend, &o.sums};
    for (size_t i = 0; i < sizeof areas / sizeof areas[0]; i++)
        area_done(areas[i]);
}

static void test_forward(void **state)
{
    (void)state;
    simd_for_all(forward_case, 100, 1);
}

/* ---- weight gradient -------------------------------------------------------------------------
 */

/* The gradient of the output in an image that is wider and higher, with nothing that could be
 * taken for a number around it. */
static area padded_gradient(const geometry *g, mn_random *random, mn__conv_weights_pass *pass)
{
    const uint32_t lanes = g->simd->lanes;
    pass->out_row = (size_t)(g->columns + between(random, 0, 2)) * lanes;
    pass->out_plane = (g->rows + between(random, 0, 1)) * pass->out_row;
    size_t count = (g->out_blocks - 1) * pass->out_plane + (g->rows - 1) * pass->out_row;
    area d = area_make(random, count + (size_t)g->columns * lanes, g->simd->element_bytes);
    for (uint32_t b = 0; b < g->out_blocks; b++)
        for (uint32_t y = 0; y < g->rows; y++)
            for (size_t i = 0; i < (size_t)g->columns * lanes; i++)
                element_put(g->simd,
                            d.data,
                            b * pass->out_plane + y * pass->out_row + i,
                            number(random, g->whole));
    return d;
}

static void check_weight(const geometry *g,
                         const mn__conv_weights_pass *pass,
                         const area *in,
                         const area *d,
                         const float *at_first,
                         const float *actual,
                         const uint32_t at[3])
{
    const uint32_t lanes = g->simd->lanes;
    size_t index = filter_at(g, at[0], at[1], at[2]);
    size_t first = at[0] / lanes * pass->out_plane + at[0] % lanes;
    expected e = {0};
    expect_term(&e, (double)at_first[index]);
    for (uint32_t y = 0; y < g->rows && used_lane(g, at[1]); y++)
        for (uint32_t x = 0; x < g->columns; x++) {
            size_t pixel = first + y * pass->out_row + (size_t)x * lanes;
            expect_term(
                &e, (double)element_get(g->simd, d->data, pixel) * seen(g, in, at[1], at[2], y, x));
        }
    assert_expected(float_as_expected(&e, g->whole, actual[index]), g->simd, &e, actual[index]);
}

static void weights_case(const mn__simd *simd, mn_random *random)
{
    geometry g = draw_geometry(simd, random);
    g.tap_count = all_taps(&g); /* the weight gradient has them all, in order */
    for (uint32_t t = 0; t < g.tap_count; t++) {
        uint32_t y = t / g.kernel_w * g.dilation_h;
        g.index[t] = t;
        g.offset[t] = ((size_t)y * g.padded_columns + t % g.kernel_w * g.dilation_w) * simd->lanes;
    }
    mn__conv_weights_pass pass = {.in_blocks = g.in_blocks,
                                  .in_lanes = g.in_lanes,
                                  .in_plane = g.in_plane,
                                  .in_row = (size_t)g.stride_h * g.padded_columns * simd->lanes,
                                  .in_step = (size_t)g.stride_w * simd->lanes,
                                  .in_rows = g.padded_rows,
                                  .in_columns = g.padded_columns,
                                  .taps = taps_of(&g),
                                  .out_blocks = g.out_blocks,
                                  .rows = g.rows,
                                  .columns = g.columns};
    area in = padded_image(&g, random);
    area d = padded_gradient(&g, random, &pass);
    area gradient = area_numbers(random, filter_count(&g), true);
    size_t scratch_count = mn__conv_weights_scratch(simd, &pass) / simd->element_bytes;
    area scratch = area_make(random, scratch_count, simd->element_bytes);
    float *at_first = malloc(gradient.bytes);
    assert_non_null(at_first);
    memcpy(at_first, gradient.data, gradient.bytes);
    simd->conv_weights(&pass, in.data, d.data, gradient.data, scratch.data);
    for (uint32_t o = 0; o < g.out_blocks * simd->lanes; o++)
        for (uint32_t i = 0; i < g.in_blocks * simd->lanes; i++)
            for (uint32_t t = 0; t < g.tap_count; t++)
                check_weight(
                    &g, &pass, &in, &d, at_first, gradient.data, (const uint32_t[3]){o, i, t});
    free(at_first);
    area *areas[] = {&in, &d, &gradient, &scratch};
    for (size_t i = 0; i < sizeof areas / sizeof areas[0]; i++)
        area_done(areas[i]);
}

static void test_weights(void **state)
{
    (void)state;
    simd_for_all(weights_case, 80, 2);
}

/* ---- filters --------------------------------------------------------------------------------- */

/* Counts through the layout as simd.h tells it. */
static void test_layout(void **state)
{
    (void)state;
    static const uint32_t sizes[][4] = {
        {8, 1, 1, 9}, {8, 3, 2, 4}, {16, 2, 5, 3}, {16, 1, 4, 1}, {8, 5, 3, 25}};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        const uint32_t lanes = sizes[k][0], in = sizes[k][1], out = sizes[k][2], taps = sizes[k][3];
        size_t next = 0;
        for (uint32_t group = 0; group < out; group += 2)
            for (uint32_t row = 0; row < in * taps * lanes; row++)
                for (uint32_t b = group; b < group + 2 && b < out; b++)
                    for (uint32_t lane = 0; lane < lanes; lane++) {
                        uint32_t in_lane = row / (taps * lanes) * lanes + row % lanes;
                        size_t at = mn__filter_at(lanes,
                                                  in * lanes,
                                                  out * lanes,
                                                  taps,
                                                  b * lanes + lane,
                                                  in_lane,
                                                  row / lanes % taps);
                        assert_int_equal(at, next++);
                    }
    }
}

/* Floats stay where they are; of bf16, two input lanes lie side by side. */
static void convert_case(const mn__simd *simd, mn_random *random)
{
    const uint32_t lanes = simd->lanes;
    const uint32_t blocks = between(random, 1, 2);
    const size_t width = (size_t)blocks * lanes;
    const size_t rows = (size_t)between(random, 1, 9) * lanes;
    area from = area_numbers(random, rows * width, false);
    area to = area_make(random, rows * width, simd->element_bytes);
    simd->convert_filter(from.data, blocks, rows * width, to.data);
    for (size_t row = 0; row < rows; row++)
        for (size_t column = 0; column < width; column++) {
            size_t at = row * width + column;
            if (simd->element_bytes == 2)
                at = (row / 2 * width + column) * 2 + row % 2;
            float expected_value = simd_round(simd, area_floats(&from)[row * width + column]);
            assert_true(element_get(simd, to.data, at) == expected_value);
        }
    area_done(&from);
    area_done(&to);
}

static void test_convert(void **state)
{
    (void)state;
    simd_for_all(convert_case, 20, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_convert),
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

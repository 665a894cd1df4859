/*
 * What a step will read next: exactly the lines of the rows inside of the image, block by block.
 */
#include "test.h"

#include "train/ahead.h"

enum { lanes = 16, h = 5, w = 3, blocks = 3, batch = 2 };

static const size_t row_bytes = (size_t)w * lanes * sizeof(float);

static mn__network network(void)
{
    static const mn__simd simd = {.lanes = lanes, .element_bytes = sizeof(float)};
    return (mn__network){.lanes = lanes, .opts = {.simd = &simd, .batch = batch}};
}

static mn__maps maps_of(float *data)
{
    return (mn__maps){.data = data,
                      .image_stride = (size_t)blocks * h * w * lanes,
                      .blocks = blocks,
                      .h = h,
                      .w = w};
}

static void test_rows_outside_of_the_image_are_left_out(void **state)
{
    (void)state;
    static float data[batch * blocks * h * w * lanes];
    const mn__network net = network();
    const mn__view view = {.maps = maps_of(data)};
    const mn__pad pad = {
        .first_block = 1, .blocks = 2, .first_row = -1, .rows = 3, .columns = w + 2};
    mn__ahead ahead = {0};
    mn__ahead_view(&ahead, &net, &view, &pad, 1);
    assert_int_equal(ahead.count, 2);
    for (size_t b = 0; b < 2; b++) {
        const float *block = data + ((blocks + 1 + b) * h * w) * lanes;
        assert_ptr_equal(ahead.spans[b].at, block);
        assert_int_equal(ahead.spans[b].lines, 2 * row_bytes / mn__line_bytes);
    }
    const mn__pad low = {.blocks = 1, .first_row = 3, .rows = 9};
    ahead.count = 0;
    mn__ahead_view(&ahead, &net, &view, &low, 0);
    assert_int_equal(ahead.count, 1);
    assert_ptr_equal(ahead.spans[0].at, data + (size_t)3 * w * lanes);
    assert_int_equal(ahead.spans[0].lines, 2 * row_bytes / mn__line_bytes);
}

static void test_nothing_lies_behind_the_batch_or_the_image(void **state)
{
    (void)state;
    static float data[batch * blocks * h * w * lanes];
    const mn__network net = network();
    const mn__view view = {.maps = maps_of(data)};
    const mn__pad pad = {.blocks = 1, .rows = h};
    const mn__pad below = {.blocks = 1, .first_row = h, .rows = 2};
    const mn__pad above = {.blocks = 1, .first_row = -2, .rows = 2};
    mn__ahead ahead = {0};
    mn__ahead_view(&ahead, &net, &view, &pad, batch);
    mn__ahead_view(&ahead, &net, &view, &below, 0);
    mn__ahead_view(&ahead, &net, &view, &above, 0);
    assert_int_equal(ahead.count, 0);
}

static void test_a_slope_reads_what_it_passes_through(void **state)
{
    (void)state;
    static float gradient[batch * blocks * h * w * lanes];
    static float value[batch * blocks * h * w * lanes];
    const mn__network net = network();
    const mn__pad pad = {.blocks = blocks, .rows = h};
    mn__slope slope = {.dz = maps_of(gradient), .view = {.maps = maps_of(value)}};
    mn__ahead ahead = {0};
    mn__ahead_slope(&ahead, &net, &slope, &pad, 0);
    assert_int_equal(ahead.count, blocks);
    slope.through = true;
    for (int i = 0; i < 8; i++)
        mn__ahead_slope(&ahead, &net, &slope, &pad, 0);
    assert_int_equal(ahead.count, mn__most_spans);
    assert_ptr_equal(ahead.spans[0].at, gradient);
    assert_ptr_equal(ahead.spans[(size_t)2 * blocks].at, value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_outside_of_the_image_are_left_out),
        cmocka_unit_test(test_nothing_lies_behind_the_batch_or_the_image),
        cmocka_unit_test(test_a_slope_reads_what_it_passes_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

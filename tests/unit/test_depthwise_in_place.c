/* Depthwise convolution written over its input, against the kernel that writes elsewhere: the same
 * bits on random geometries, and scratch of exactly the bytes that the kernel asks for. Blocks are
 * allocated to the element, so that the sanitizers see every access outside. */
#include "test.h"

#include <math.h>
#include <stdbool.h>

#include "base/random.h"
#include "kernels/mn_f32.h"

enum { GEOMETRIES = 3000, FENCE = 64 };

static const float fence = -12345.0f;

static int32_t between(mn_random *random, int32_t low, int32_t high)
{
    return low + (int32_t)mn_random_below(random, (uint32_t)(high - low + 1));
}

static float *random_floats(mn_random *random, size_t count)
{
    float *data = malloc(count * sizeof *data);
    assert_non_null(data);
    for (size_t i = 0; i < count; i++)
        data[i] = 2.0f * mn_random_normal(random);
    return data;
}

/* ---- geometries ------------------------------------------------------------------------------ */

/* None, all, half or any of `reach`: what precedes the image; the rest follows it. */
static int32_t random_pad(mn_random *random, int32_t reach)
{
    switch (between(random, 0, 4)) {
    case 0:
        return 0;
    case 1:
        return reach;
    case 2:
        return between(random, 0, reach);
    default:
        return reach / 2;
    }
}

static mn_f32_window random_window(mn_random *random)
{
    static const int32_t kernels[] = {1, 3, 5, 7, 1, 3, 5, 7, 2, 4};
    int32_t channels = between(random, 1, 20);
    int32_t stride = channels + between(random, 0, 1) * between(random, 1, 7);
    mn_f32_window w = {
        .in_h = between(random, 1, 12),
        .in_w = between(random, 1, 12),
        .in_c = channels,
        .in_stride = stride,
        .out_c = channels,
        .out_stride = stride,
        .kernel_h = kernels[mn_random_below(random, 10)],
        .kernel_w = kernels[mn_random_below(random, 10)],
        .stride_h = 1,
        .stride_w = 1,
        .dilation_h = between(random, 1, 3),
        .dilation_w = between(random, 1, 3),
        .groups = channels,
        .act = between(random, 0, 2),
    };
    w.out_h = w.in_h;
    w.out_w = w.in_w;
    w.pad_top = random_pad(random, (w.kernel_h - 1) * w.dilation_h);
    w.pad_left = random_pad(random, (w.kernel_w - 1) * w.dilation_w);
    return w;
}

/* Rows that scratch keeps, as the header tells it. */
static int32_t kept_rows(const mn_f32_window *w)
{
    if (w->pad_top == 0 && w->pad_left == 0)
        return 0;
    return w->pad_top + 1 < w->in_h ? w->pad_top + 1 : w->in_h;
}

/* ---- the same bits --------------------------------------------------------------------------- */

/* `count` floats that are no numbers, between two fences. */
static float *fenced_scratch(size_t count)
{
    float *block = malloc((count + 2 * FENCE) * sizeof *block);
    assert_non_null(block);
    for (size_t i = 0; i < count + 2 * FENCE; i++)
        block[i] = i < FENCE || i >= FENCE + count ? fence : NAN;
    return block;
}

/* The fences stand, and no float between them is left that the kernel had no use for. */
static void check_scratch(const float *block, size_t count, int round)
{
    for (size_t i = 0; i < count + 2 * FENCE; i++) {
        bool outside = i < FENCE || i >= FENCE + count;
        if (outside && block[i] != fence)
            fail_msg("round %d: float %td of %zu of scratch was written",
                     round,
                     (ptrdiff_t)i - FENCE,
                     count);
        if (!outside && isnan(block[i]))
            fail_msg("round %d: float %zu of %zu of scratch is idle", round, i - FENCE, count);
    }
}

static uint32_t bits(float x)
{
    uint32_t pattern = 0;
    memcpy(&pattern, &x, sizeof x);
    return pattern;
}

static void check_window(mn_random *random, const mn_f32_window *w, int round)
{
    size_t count = (size_t)((w->in_h * w->in_w - 1) * w->in_stride + w->in_c);
    float *weights = random_floats(random, (size_t)(w->kernel_h * w->kernel_w * w->in_c));
    float *bias = between(random, 0, 3) ? random_floats(random, (size_t)w->in_c) : NULL;
    float *data = random_floats(random, count);
    float *expected = malloc(count * sizeof *expected);
    int32_t bytes = mn_f32_depthwise_in_place_scratch_bytes(w);
    size_t scratch_count = (size_t)(kept_rows(w) * w->in_w * w->in_c);
    float *block = fenced_scratch(scratch_count);
    assert_non_null(expected);
    assert_int_equal(bytes, scratch_count * sizeof(float));
    memcpy(expected, data, count * sizeof *data); /* what lies between the pixels stays */
    mn_f32_depthwise(data, expected, weights, bias, w);
    mn_f32_depthwise_in_place(data, weights, bias, bytes == 0 ? NULL : block + FENCE, w);
    for (size_t i = 0; i < count; i++)
        if (bits(data[i]) != bits(expected[i]))
            fail_msg("round %d: element %zu of %zu is %a, expected %a",
                     round,
                     i,
                     count,
                     (double)data[i],
                     (double)expected[i]);
    check_scratch(block, scratch_count, round);
    free(block);
    free(expected);
    free(data);
    free(bias);
    free(weights);
}

static void test_same_bits(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 6);
    int none = 0, ring = 0, whole = 0;
    for (int round = 0; round < GEOMETRIES; round++) {
        mn_f32_window w = random_window(&random);
        check_window(&random, &w, round);
        none += kept_rows(&w) == 0;
        ring += kept_rows(&w) > 1 && kept_rows(&w) < w.in_h;
        whole += kept_rows(&w) == w.in_h;
    }
    assert_true(none > 100 && ring > 500 && whole > 100); /* each way to keep rows came up */
}

/* ---- scratch --------------------------------------------------------------------------------- */

/* 3x3 over (8,5,6), which keeps two rows. */
static const mn_f32_window plain = {
    .in_h = 8,
    .in_w = 5,
    .in_c = 6,
    .in_stride = 6,
    .out_h = 8,
    .out_w = 5,
    .out_c = 6,
    .out_stride = 6,
    .kernel_h = 3,
    .kernel_w = 3,
    .stride_h = 1,
    .stride_w = 1,
    .dilation_h = 1,
    .dilation_w = 1,
    .pad_top = 1,
    .pad_left = 1,
    .groups = 6,
};

static void test_scratch_follows_from_shapes(void **state)
{
    (void)state;
    mn_f32_window w = plain;
    assert_int_equal(mn_f32_depthwise_in_place_scratch_bytes(&w), 2 * 5 * 6 * 4);
    w.in_stride = 11;
    w.out_stride = 90;
    assert_int_equal(mn_f32_depthwise_in_place_scratch_bytes(&w), 2 * 5 * 6 * 4);

    w = plain; /* one row for what lies to the left */
    w.pad_top = 0;
    assert_int_equal(mn_f32_depthwise_in_place_scratch_bytes(&w), 1 * 5 * 6 * 4);
    w.pad_left = 0;
    assert_int_equal(mn_f32_depthwise_in_place_scratch_bytes(&w), 0);

    w = plain;
    w.dilation_h = 3;
    w.pad_top = 6;
    assert_int_equal(mn_f32_depthwise_in_place_scratch_bytes(&w), 7 * 5 * 6 * 4);
    w.dilation_h = INT32_MAX; /* the image has no more rows than 8 */
    w.pad_top = INT32_MAX;
    assert_int_equal(mn_f32_depthwise_in_place_scratch_bytes(&w), 8 * 5 * 6 * 4);

    w = plain; /* 1x1 */
    w.kernel_h = w.kernel_w = 1;
    w.pad_top = w.pad_left = 0;
    assert_int_equal(mn_f32_depthwise_in_place_scratch_bytes(&w), 0);
}

static void test_not_in_place(void **state)
{
    (void)state;
    mn_f32_window bad[9];
    for (size_t i = 0; i < 9; i++)
        bad[i] = plain;
    bad[0].stride_h = 2;
    bad[1].stride_w = 2;
    bad[2].out_h = 7;
    bad[3].out_w = 6;
    bad[4].out_c = 12;
    bad[5].pad_top = 3;
    bad[6].pad_left = 3;
    bad[7].pad_top = -1;
    bad[8].pad_left = -1;
    for (size_t i = 0; i < 9; i++)
        if (mn_f32_depthwise_in_place_scratch_bytes(&bad[i]) != -1)
            fail_msg("window %zu can run in place", i);
}

/* 233 * 1103 * 2089 floats are the most that an int32_t counts in bytes. */
static void test_scratch_overflow(void **state)
{
    (void)state;
    mn_f32_window w = plain;
    w.in_h = w.out_h = 1000;
    w.kernel_h = 465;
    w.pad_top = 232;
    w.in_w = w.out_w = 1103;
    w.in_c = w.out_c = w.in_stride = w.out_stride = w.groups = 2089;
    assert_int_equal(mn_f32_depthwise_in_place_scratch_bytes(&w), INT32_MAX - 3);
    w.pad_top = 233;
    assert_int_equal(mn_f32_depthwise_in_place_scratch_bytes(&w), -1);
    w.pad_top = 232;
    w.in_w = w.out_w = 1104;
    assert_int_equal(mn_f32_depthwise_in_place_scratch_bytes(&w), -1);
    w.in_c = w.out_c = INT32_MAX;
    assert_int_equal(mn_f32_depthwise_in_place_scratch_bytes(&w), -1);
    w.pad_top = w.pad_left = 0; /* needs nothing, however large */
    assert_int_equal(mn_f32_depthwise_in_place_scratch_bytes(&w), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_scratch_follows_from_shapes),
        cmocka_unit_test(test_not_in_place),
        cmocka_unit_test(test_scratch_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

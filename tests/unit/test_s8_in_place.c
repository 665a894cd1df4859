/* Int8 depthwise convolution written over its input, against the kernel that writes elsewhere: the
 * same bytes on random geometries with every set of instructions, and scratch of exactly the bytes
 * that the kernel asks for. */
#include "s8_reference.h"

#include "kernels/table.h"

enum { GEOMETRIES = 2000 };

/* None, all, any or half of `reach`: what precedes the image; the rest follows it. */
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

static mn_s8_window window_in_place(mn_random *random)
{
    mn_s8_window w = random_window(random, 12, 7);
    int32_t channels = between(random, 1, 20);
    set_channels(random, &w, channels, channels);
    w.out_stride = w.in_stride;
    w.out_h = w.in_h;
    w.out_w = w.in_w;
    w.stride_h = w.stride_w = 1;
    w.pad_top = random_pad(random, (w.kernel_h - 1) * w.dilation_h);
    w.pad_left = random_pad(random, (w.kernel_w - 1) * w.dilation_w);
    return w;
}

/* Rows that scratch keeps: pad_top + 1, at most the image. */
static int32_t kept_rows(const mn_s8_window *w)
{
    if (w->pad_top == 0 && w->pad_left == 0)
        return 0;
    return w->pad_top + 1 < w->in_h ? w->pad_top + 1 : w->in_h;
}

static void check_window(mn_random *random, const mn_s8_window *w, int round)
{
    int32_t bytes = mn_s8_depthwise_in_place_scratch_bytes(w);
    value in = random_value(random, w->in_h * w->in_w, w->in_c, w->in_stride);
    value expected = copy_value(&in); /* what lies between the pixels stays */
    filter f = random_filter(random, w->in_c, w->kernel_h * w->kernel_w);
    assert_int_equal(bytes, kept_rows(w) * w->in_w * w->in_c);
    for (int32_t p = 0; p < in.pixels; p++)
        for (int32_t c = 0; c < w->in_c; c++) {
            int64_t sum = conv_sum(w, &in, f.weights + c, p, c, 1, w->in_c);
            put(&expected, p, c, filtered(&f, c, sum, w->out_zero, w->low, w->high));
        }
    for (int32_t s = 0; mn__s8_set(s) != NULL; s++) {
        value data = copy_value(&in);
        void *scratch = bytes > 0 ? malloc((size_t)bytes) : NULL;
        assert_true(bytes == 0 || scratch != NULL);
        mn__s8_set(s)->depthwise_in_place(data.data, &f.tables, scratch, w);
        check_value(&data, &expected, mn__s8_set(s)->name, round);
        free(scratch);
        free(data.data);
    }
    free_filter(&f);
    free(expected.data);
    free(in.data);
}

static void test_same_bytes(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 10);
    int none = 0, ring = 0, whole = 0;
    for (int round = 0; round < GEOMETRIES; round++) {
        mn_s8_window w = window_in_place(&random);
        check_window(&random, &w, round);
        none += kept_rows(&w) == 0;
        ring += kept_rows(&w) > 1 && kept_rows(&w) < w.in_h;
        whole += kept_rows(&w) == w.in_h;
    }
    assert_true(none > 100 && ring > 300 && whole > 100); /* each way to keep rows came up */
}

/* ---- scratch --------------------------------------------------------------------------------- */

/* 3x3 over (8,5,6), which keeps two rows. */
static const mn_s8_window plain = {
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
    .groups = 1,
};

static void test_scratch_follows_from_shapes(void **state)
{
    (void)state;
    mn_s8_window w = plain;
    assert_int_equal(mn_s8_depthwise_in_place_scratch_bytes(&w), 2 * 5 * 6);
    w.in_stride = 11;
    w.out_stride = 90;
    assert_int_equal(mn_s8_depthwise_in_place_scratch_bytes(&w), 2 * 5 * 6);
    w.pad_top = w.pad_left = 0;
    assert_int_equal(mn_s8_depthwise_in_place_scratch_bytes(&w), 0);

    w = plain;
    w.dilation_h = INT32_MAX; /* the image has no more rows than 8 */
    w.pad_top = INT32_MAX;
    assert_int_equal(mn_s8_depthwise_in_place_scratch_bytes(&w), 8 * 5 * 6);
}

/* Two columns of whole fours at two bytes an element, up to 1152 bytes. */
static void test_scratch_of_conv(void **state)
{
    (void)state;
    mn_s8_window w = plain;
    assert_int_equal(mn_s8_conv_scratch_bytes(&w), 4 * 56);
    w.in_stride = 90;
    assert_int_equal(mn_s8_conv_scratch_bytes(&w), 4 * 56);
    w.in_c = 32;
    assert_int_equal(mn_s8_conv_scratch_bytes(&w), 1152);
    w.in_c = 33;
    assert_int_equal(mn_s8_conv_scratch_bytes(&w), 0);
    w.in_c = INT32_MAX;
    assert_int_equal(mn_s8_conv_scratch_bytes(&w), 0);
    w.kernel_h = w.kernel_w = INT32_MAX;
    assert_int_equal(mn_s8_conv_scratch_bytes(&w), 0);

    w = plain; /* too few outputs to share a column */
    w.groups = 3;
    assert_int_equal(mn_s8_conv_scratch_bytes(&w), 0);
    assert_int_equal(mn_s8_depthwise_scratch_bytes(&w), 0);
}

static void test_not_in_place(void **state)
{
    (void)state;
    mn_s8_window bad[9];
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
        if (mn_s8_depthwise_in_place_scratch_bytes(&bad[i]) != -1)
            fail_msg("window %zu can run in place", i);
}

/* 233 * 4412 * 2089 bytes are the most of these rows that an int32_t counts. */
static void test_scratch_overflow(void **state)
{
    (void)state;
    mn_s8_window w = plain;
    w.in_h = w.out_h = 1000;
    w.kernel_h = 465;
    w.pad_top = 232;
    w.in_w = w.out_w = 4412;
    w.in_c = w.out_c = w.in_stride = w.out_stride = 2089;
    assert_int_equal(mn_s8_depthwise_in_place_scratch_bytes(&w), 233 * 4412 * 2089);
    w.pad_top = 233;
    assert_int_equal(mn_s8_depthwise_in_place_scratch_bytes(&w), -1);
    w.pad_top = w.pad_left = 0; /* needs nothing, however large */
    assert_int_equal(mn_s8_depthwise_in_place_scratch_bytes(&w), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_scratch_follows_from_shapes),
        cmocka_unit_test(test_scratch_of_conv),
        cmocka_unit_test(test_not_in_place),
        cmocka_unit_test(test_scratch_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

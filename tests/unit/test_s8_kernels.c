/* Int8 kernels of every set that this processor can run, against plain loops in 64 bits, byte for
 * byte: odd sizes, strides, dilation, asymmetric padding, groups, pixel strides wider than the
 * channels, zero points and numbers at both ends, extreme factors. */
#include "s8_reference.h"

#include "kernels/table.h"

enum { GEOMETRIES = 600 };

/* ---- scratch --------------------------------------------------------------------------------- */

/* Scratch of exactly `bytes`, or NULL. */
static void *make_scratch(int32_t bytes)
{
    assert_true(bytes >= 0);
    void *scratch = bytes > 0 ? malloc((size_t)bytes) : NULL;
    assert_true(bytes == 0 || scratch != NULL);
    if (scratch != NULL)
        memset(scratch, 0x5a, (size_t)bytes);
    return scratch;
}

/* ---- convolutions ---------------------------------------------------------------------------- */

static void check_conv(mn_random *random, const mn_s8_window *w, int round)
{
    int32_t inputs = w->in_c / w->groups, outputs = w->out_c / w->groups;
    int32_t size = w->kernel_h * w->kernel_w * inputs;
    value in = random_value(random, w->in_h * w->in_w, w->in_c, w->in_stride);
    value start = random_value(random, w->out_h * w->out_w, w->out_c, w->out_stride);
    value expected = copy_value(&start);
    filter f = random_filter(random, w->out_c, size);
    for (int32_t p = 0; p < start.pixels; p++)
        for (int32_t o = 0; o < w->out_c; o++) {
            int32_t first = o / outputs * inputs;
            int64_t sum = conv_sum(w, &in, f.weights + o * size, p, first, inputs, inputs);
            put(&expected, p, o, filtered(&f, o, sum, w->out_zero, w->low, w->high));
        }
    for (int32_t s = 0; mn__s8_set(s) != NULL; s++) {
        value out = copy_value(&start);
        void *scratch = make_scratch(mn_s8_conv_scratch_bytes(w));
        mn__s8_set(s)->conv(in.data, out.data, &f.tables, scratch, w);
        check_value(&out, &expected, mn__s8_set(s)->name, round);
        free(scratch);
        free(out.data);
    }
    free_filter(&f);
    free(expected.data);
    free(start.data);
    free(in.data);
}

static void test_conv(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 1);
    int columns = 0, direct = 0;
    for (int round = 0; round < GEOMETRIES; round++) {
        mn_s8_window w = random_window(&random, round % 4 == 0 ? 17 : 7, 5);
        int32_t most = round % 5 == 0 ? 40 : 17;
        w.groups = round % 3 == 0 ? between(&random, 2, 3) : 1;
        set_channels(&random,
                     &w,
                     w.groups * between(&random, 1, most),
                     w.groups * between(&random, 1, most));
        check_conv(&random, &w, round);
        columns += mn_s8_conv_scratch_bytes(&w) > 0;
        direct += mn_s8_conv_scratch_bytes(&w) == 0;
    }
    if (columns < 100 || direct < 50)
        fail_msg("%d through columns, %d direct", columns, direct);
}

/* One tap, also more inputs than columns hold, and those of a long row. */
static void test_one_by_one(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 2);
    for (int round = 0; round < GEOMETRIES; round++) {
        mn_s8_window w = random_window(&random, 6, 1);
        int32_t most = round % 10 == 0 ? 700 : 70;
        set_channels(&random, &w, between(&random, 1, most), between(&random, 1, 40));
        check_conv(&random, &w, round);
    }
}

/* More weights than any path keeps at a time. */
static void test_large_conv(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 3);
    for (int round = 0; round < 6; round++) {
        mn_s8_window w = random_window(&random, 4, 3);
        w.kernel_h = w.kernel_w = 3;
        w.dilation_h = w.dilation_w = 1;
        w.pad_top = w.pad_left = 1;
        w.out_h = (w.in_h + 1) / w.stride_h;
        w.out_w = (w.in_w + 1) / w.stride_w;
        w.out_h += w.out_h == 0;
        w.out_w += w.out_w == 0;
        set_channels(&random, &w, between(&random, 100, 700), between(&random, 60, 90));
        check_conv(&random, &w, round);
    }
}

/* Images of several bands, then rows of which no band fits the stack (mn_s8_x86.h). */
static void test_large_images(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 8);
    for (int round = 0; round < 16; round++) {
        mn_s8_window w;
        do
            w = random_window(&random, 48, 5);
        while (w.out_h < 12 || w.out_w < 12);
        set_channels(&random, &w, between(&random, 30, 70), between(&random, 3, 9));
        check_conv(&random, &w, round);
    }
    for (int round = 0; round < 4; round++) {
        mn_s8_window w = random_window(&random, 3, 2);
        int32_t more = between(&random, 300, 500);
        w.in_w += more * w.stride_w;
        w.out_w += more;
        set_channels(&random, &w, between(&random, 170, 200), between(&random, 3, 5));
        check_conv(&random, &w, round);
    }
}

/* Every product at its largest, in windows as large as the header allows. */
static void test_largest_sums(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 4);
    for (int round = 0; round < 8; round++) {
        mn_s8_window w = {.in_h = 1, .in_w = 1, .out_h = 1, .out_w = 1, .groups = 1};
        w.in_c = w.in_stride = MN_S8_TERMS;
        w.out_c = w.out_stride = 3;
        w.kernel_h = w.kernel_w = w.stride_h = w.stride_w = w.dilation_h = w.dilation_w = 1;
        w.in_zero = round & 1 ? -128 : 127;
        w.low = -128;
        w.high = 127;
        value in = random_value(&random, 1, w.in_c, w.in_stride);
        filter f = random_filter(&random, 3, w.in_c);
        int8_t weight = round & 2 ? -127 : 127;
        memset(in.data, round & 1 ? 127 : -128, in.count);
        memset(f.weights, weight, (size_t)(3 * w.in_c));
        int64_t sum = (int64_t)w.in_c * weight * (round & 1 ? 255 : -255);
        int8_t expected[3];
        for (int32_t o = 0; o < 3; o++) {
            f.bias[o] = sum < 0 ? -MN_S8_BIAS : MN_S8_BIAS;
            f.multiplier[o] = 1431655765;
            f.shift[o] = (int8_t)(53 + o);
            expected[o] = (int8_t)filtered(&f, o, sum, 0, -128, 127);
        }
        mn_s8_span span = {.pixels = 1, .channels = w.in_c, .in_stride = w.in_c};
        span.in_zero = w.in_zero;
        span.low = -128;
        span.high = 127;
        for (int32_t s = 0; mn__s8_set(s) != NULL; s++) {
            int8_t out[3] = {0};
            mn__s8_set(s)->conv(in.data, out, &f.tables, NULL, &w);
            assert_memory_equal(out, expected, 3);
            memset(out, 0, 3);
            mn__s8_set(s)->fully_connected(in.data, out, &f.tables, 3, &span);
            assert_memory_equal(out, expected, 3);
        }
        free_filter(&f);
        free(in.data);
    }
}

/* Weights (KH,KW,C). */
static void test_depthwise(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 5);
    for (int round = 0; round < GEOMETRIES; round++) {
        mn_s8_window w = random_window(&random, round % 4 == 0 ? 17 : 7, 5);
        int32_t channels = between(&random, 1, 40);
        set_channels(&random, &w, channels, channels);
        value in = random_value(&random, w.in_h * w.in_w, channels, w.in_stride);
        value start = random_value(&random, w.out_h * w.out_w, channels, w.out_stride);
        value expected = copy_value(&start);
        filter f = random_filter(&random, channels, w.kernel_h * w.kernel_w);
        for (int32_t p = 0; p < start.pixels; p++)
            for (int32_t c = 0; c < channels; c++) {
                int64_t sum = conv_sum(&w, &in, f.weights + c, p, c, 1, channels);
                put(&expected, p, c, filtered(&f, c, sum, w.out_zero, w.low, w.high));
            }
        for (int32_t s = 0; mn__s8_set(s) != NULL; s++) {
            value out = copy_value(&start);
            void *scratch = make_scratch(mn_s8_depthwise_scratch_bytes(&w));
            mn__s8_set(s)->depthwise(in.data, out.data, &f.tables, scratch, &w);
            check_value(&out, &expected, mn__s8_set(s)->name, round);
            free(scratch);
            free(out.data);
        }
        free_filter(&f);
        free(expected.data);
        free(start.data);
        free(in.data);
    }
}

/* ---- pools ----------------------------------------------------------------------------------- */

static void test_pools(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 6);
    for (int round = 0; round < GEOMETRIES; round++) {
        mn_s8_window w = random_window(&random, round % 4 == 0 ? 17 : 7, 5);
        int32_t channels = between(&random, 1, 40);
        set_channels(&random, &w, channels, channels);
        w.out_zero = w.in_zero;
        value in = random_value(&random, w.in_h * w.in_w, channels, w.in_stride);
        value start = random_value(&random, w.out_h * w.out_w, channels, w.out_stride);
        value most = copy_value(&start), mean = copy_value(&start);
        for (int32_t i = 0; i < start.pixels * channels; i++) {
            int32_t p = i / channels, c = i % channels;
            int32_t best = -129, inside = 0;
            int64_t sum = 0;
            for (int32_t k = 0; k < w.kernel_h * w.kernel_w; k++) {
                int32_t pixel = tap(&w, p, k / w.kernel_w, k % w.kernel_w);
                if (pixel < 0)
                    continue;
                inside++;
                sum += at(&in, pixel, c);
                best = at(&in, pixel, c) > best ? at(&in, pixel, c) : best;
            }
            int64_t average = inside > 0 ? floor_div(2 * sum + inside, 2 * inside) : w.in_zero;
            put(&most, p, c, clamp64(inside > 0 ? best : w.in_zero, w.low, w.high));
            put(&mean, p, c, clamp64(average, w.low, w.high));
        }
        for (int32_t s = 0; mn__s8_set(s) != NULL; s++) {
            value out = copy_value(&start);
            mn__s8_set(s)->max_pool(in.data, out.data, &w);
            check_value(&out, &most, mn__s8_set(s)->name, round);
            mn__s8_set(s)->avg_pool(in.data, out.data, &w);
            check_value(&out, &mean, mn__s8_set(s)->name, round);
            free(out.data);
        }
        free(mean.data);
        free(most.data);
        free(start.data);
        free(in.data);
    }
}

/* ---- without a window ------------------------------------------------------------------------ */

static mn_s8_span random_span(mn_random *random)
{
    int32_t channels = between(random, 1, 40);
    mn_s8_span s = {
        .pixels = between(random, 1, 30),
        .channels = channels,
        .in_stride = channels + between(random, 0, 1) * between(random, 1, 5),
        .in2_stride = channels + between(random, 0, 1) * between(random, 1, 5),
        .out_stride = channels + between(random, 0, 1) * between(random, 1, 5),
        .in_zero = random_zero(random),
        .in2_zero = random_zero(random),
        .out_zero = random_zero(random),
    };
    random_clamp(random, &s.low, &s.high);
    return s;
}

static mn_s8_add_factors random_add(mn_random *random)
{
    mn_s8_add_factors f = {.a = between(random, 2097152, 4194304),
                           .b = between(random, 0, 4194304),
                           .shift = between(random, 20, 24)};
    if (between(random, 0, 3) == 0)
        f.shift = between(random, 1, 31);
    if (between(random, 0, 9) == 0)
        f.a = f.b = 4194304;
    if (between(random, 0, 19) == 0)
        f.a = f.b = 0;
    if (between(random, 0, 1)) {
        int32_t a = f.a;
        f.a = f.b;
        f.b = a;
    }
    return f;
}

static void test_add(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 7);
    for (int round = 0; round < GEOMETRIES; round++) {
        mn_s8_span s = random_span(&random);
        mn_s8_add_factors f = random_add(&random);
        value a = random_value(&random, s.pixels, s.channels, s.in_stride);
        value b = random_value(&random, s.pixels, s.channels, s.in2_stride);
        value start = random_value(&random, s.pixels, s.channels, s.out_stride);
        value sum = copy_value(&start), over_a = copy_value(&a), over_b = copy_value(&b);
        for (int32_t i = 0; i < s.pixels * s.channels; i++) {
            int32_t p = i / s.channels, c = i % s.channels;
            int64_t x = (int64_t)(at(&a, p, c) - s.in_zero) * f.a;
            int64_t y = (int64_t)(at(&b, p, c) - s.in2_zero) * f.b;
            int64_t z = floor_div(x + y + ((int64_t)1 << (f.shift - 1)), (int64_t)1 << f.shift);
            int32_t q = clamp64(s.out_zero + z, s.low, s.high);
            put(&sum, p, c, q);
            put(&over_a, p, c, q);
            put(&over_b, p, c, q);
        }
        for (int32_t i = 0; mn__s8_set(i) != NULL; i++) {
            const char *name = mn__s8_set(i)->name;
            mn_s8_span in_place = s;
            value out = copy_value(&start), x = copy_value(&a), y = copy_value(&b);
            mn__s8_set(i)->add(a.data, b.data, out.data, &f, &s);
            check_value(&out, &sum, name, round);
            in_place.out_stride = s.in_stride;
            mn__s8_set(i)->add(x.data, b.data, x.data, &f, &in_place);
            check_value(&x, &over_a, name, round);
            in_place.out_stride = s.in2_stride;
            mn__s8_set(i)->add(a.data, y.data, y.data, &f, &in_place);
            check_value(&y, &over_b, name, round);
            free(y.data);
            free(x.data);
            free(out.data);
        }
        free(over_b.data);
        free(over_a.data);
        free(sum.data);
        free(start.data);
        free(b.data);
        free(a.data);
    }
}

static void test_copy(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 8);
    for (int round = 0; round < GEOMETRIES; round++) {
        mn_s8_span s = random_span(&random);
        mn_s8_factor factor = {0};
        const mn_s8_factor *or_null = between(&random, 0, 2) ? &factor : NULL;
        random_factor(&random, 200, &factor.multiplier, &factor.shift);
        value in = random_value(&random, s.pixels, s.channels, s.in_stride);
        value start = random_value(&random, s.pixels, s.channels, s.out_stride);
        value expected = copy_value(&start), over = copy_value(&in);
        for (int32_t i = 0; i < s.pixels * s.channels; i++) {
            int32_t p = i / s.channels, c = i % s.channels;
            int32_t x = at(&in, p, c);
            int64_t q = s.out_zero + rescale(x - s.in_zero, factor.multiplier, factor.shift);
            put(&expected, p, c, clamp64(or_null != NULL ? q : x, s.low, s.high));
            put(&over, p, c, at(&expected, p, c));
        }
        for (int32_t i = 0; mn__s8_set(i) != NULL; i++) {
            mn_s8_span in_place = s;
            value out = copy_value(&start), x = copy_value(&in);
            mn__s8_set(i)->copy(in.data, out.data, or_null, &s);
            check_value(&out, &expected, mn__s8_set(i)->name, round);
            in_place.out_stride = s.in_stride;
            mn__s8_set(i)->copy(x.data, x.data, or_null, &in_place);
            check_value(&x, &over, mn__s8_set(i)->name, round);
            free(x.data);
            free(out.data);
        }
        free(over.data);
        free(expected.data);
        free(start.data);
        free(in.data);
    }
}

static void test_global_pool_and_fully_connected(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 9);
    for (int round = 0; round < GEOMETRIES; round++) {
        mn_s8_span s = random_span(&random);
        mn_s8_factor factor = {0};
        int32_t outputs = between(&random, 1, 17), inputs = s.pixels * s.channels;
        random_factor(&random, s.pixels * 100, &factor.multiplier, &factor.shift);
        value in = random_value(&random, s.pixels, s.channels, s.in_stride);
        value start = random_value(&random, 1, outputs + s.channels, outputs + s.channels);
        value mean = copy_value(&start), dense = copy_value(&start);
        filter f = random_filter(&random, outputs, inputs);
        for (int32_t c = 0; c < s.channels; c++) {
            int64_t sum = 0;
            for (int32_t p = 0; p < s.pixels; p++)
                sum += at(&in, p, c) - s.in_zero;
            int64_t q = s.out_zero + rescale(sum, factor.multiplier, factor.shift);
            put(&mean, 0, c, clamp64(q, s.low, s.high));
        }
        for (int32_t o = 0; o < outputs; o++) {
            int64_t sum = 0;
            for (int32_t i = 0; i < inputs; i++)
                sum += (int64_t)(at(&in, i / s.channels, i % s.channels) - s.in_zero) *
                       f.weights[o * inputs + i];
            put(&dense, 0, o, filtered(&f, o, sum, s.out_zero, s.low, s.high));
        }
        for (int32_t i = 0; mn__s8_set(i) != NULL; i++) {
            value x = copy_value(&start), y = copy_value(&start);
            mn__s8_set(i)->global_pool(in.data, x.data, &factor, &s);
            check_value(&x, &mean, mn__s8_set(i)->name, round);
            mn__s8_set(i)->fully_connected(in.data, y.data, &f.tables, outputs, &s);
            check_value(&y, &dense, mn__s8_set(i)->name, round);
            free(y.data);
            free(x.data);
        }
        free_filter(&f);
        free(dense.data);
        free(mean.data);
        free(start.data);
        free(in.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),
        cmocka_unit_test(test_one_by_one),
        cmocka_unit_test(test_large_conv),
        cmocka_unit_test(test_large_images),
        cmocka_unit_test(test_largest_sums),
        cmocka_unit_test(test_depthwise),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_global_pool_and_fully_connected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Float kernels against plain double-precision loops, on random geometries: odd sizes, strides,
 * dilation, asymmetric padding, groups, pixel strides wider than the channels, activations. Blocks
 * are allocated to the element, so that the sanitizers see every access outside. */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "kernels/mn_f32.h"

enum { GEOMETRIES = 500 };

static const float guard = -12345.0f;

/* A value: (pixels, channels) at a pixel stride, allocated to its last element. */
typedef struct value {
    float *data;
    size_t count;
    int32_t pixels, channels, stride;
} value;

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

static value make_value(mn_random *random, int32_t pixels, int32_t channels, int32_t stride)
{
    value v = {.pixels = pixels, .channels = channels, .stride = stride};
    v.count = (size_t)((pixels - 1) * stride + channels);
    v.data = random_floats(random, v.count);
    return v;
}

static value make_output(int32_t pixels, int32_t channels, int32_t stride)
{
    value v = {.pixels = pixels, .channels = channels, .stride = stride};
    v.count = (size_t)((pixels - 1) * stride + channels);
    v.data = malloc(v.count * sizeof *v.data);
    assert_non_null(v.data);
    for (size_t i = 0; i < v.count; i++)
        v.data[i] = guard;
    return v;
}

static double activate(double x, int32_t act)
{
    if (act != MN_F32_LINEAR && x < 0.0)
        return 0.0;
    return act == MN_F32_RELU6 && x > 6.0 ? 6.0 : x;
}

/* Each element of `out` against `expected` (pixels,channels) dense; gaps must be untouched. */
static void check_output(const value *out, const double *expected, const char *what, int round)
{
    for (size_t i = 0; i < out->count; i++) {
        int32_t pixel = (int32_t)i / out->stride;
        int32_t channel = (int32_t)i % out->stride;
        double actual = (double)out->data[i];
        if (channel >= out->channels) {
            if (out->data[i] != guard)
                fail_msg("%s round %d: gap element %zu was written", what, round, i);
            continue;
        }
        double want = expected[pixel * out->channels + channel];
        if (!(fabs(actual - want) <= 1e-4 * (1.0 + fabs(want))))
            fail_msg("%s round %d: pixel %d channel %d is %g, expected %g",
                     what,
                     round,
                     (int)pixel,
                     (int)channel,
                     actual,
                     want);
    }
}

/* Any window whose output has at least one pixel; channels are the caller's. */
static mn_f32_window random_window(mn_random *random, int32_t dilations)
{
    mn_f32_window w = {.groups = 1, .act = between(random, 0, 2)};
    int32_t extent_h, extent_w, pad_bottom, pad_right;
    do {
        w.in_h = between(random, 1, 9);
        w.in_w = between(random, 1, 9);
        w.kernel_h = between(random, 1, 5);
        w.kernel_w = between(random, 1, 5);
        w.stride_h = between(random, 1, 3);
        w.stride_w = between(random, 1, 3);
        w.dilation_h = between(random, 1, dilations);
        w.dilation_w = between(random, 1, dilations);
        w.pad_top = between(random, 0, 4);
        w.pad_left = between(random, 0, 4);
        pad_bottom = between(random, 0, 4);
        pad_right = between(random, 0, 4);
        extent_h = w.in_h + w.pad_top + pad_bottom - (w.kernel_h - 1) * w.dilation_h - 1;
        extent_w = w.in_w + w.pad_left + pad_right - (w.kernel_w - 1) * w.dilation_w - 1;
    } while (extent_h < 0 || extent_w < 0);
    w.out_h = extent_h / w.stride_h + 1;
    w.out_w = extent_w / w.stride_w + 1;
    return w;
}

static void set_channels(mn_random *random, mn_f32_window *w, int32_t in_c, int32_t out_c)
{
    w->in_c = in_c;
    w->out_c = out_c;
    w->in_stride = in_c + (between(random, 0, 1) ? between(random, 1, 7) : 0);
    w->out_stride = out_c + (between(random, 0, 1) ? between(random, 1, 7) : 0);
}

/* The input element under tap (ky,kx) of output pixel (y,x), or NULL in the padding. */
static const float *tap(const mn_f32_window *w,
                        const float *in,
                        int32_t y,
                        int32_t x,
                        int32_t ky,
                        int32_t kx,
                        int32_t channel)
{
    int32_t in_y = y * w->stride_h - w->pad_top + ky * w->dilation_h;
    int32_t in_x = x * w->stride_w - w->pad_left + kx * w->dilation_w;
    if (in_y < 0 || in_y >= w->in_h || in_x < 0 || in_x >= w->in_w)
        return NULL;
    return &in[(in_y * w->in_w + in_x) * w->in_stride + channel];
}

/* One output of a convolution; weights (O,KH,KW,I/groups). */
static double conv_one(
    const mn_f32_window *w, const float *in, const float *weights, int32_t y, int32_t x, int32_t o)
{
    int32_t inputs = w->in_c / w->groups;
    int32_t first = o / (w->out_c / w->groups) * inputs;
    double sum = 0.0;
    for (int32_t ky = 0; ky < w->kernel_h; ky++)
        for (int32_t kx = 0; kx < w->kernel_w; kx++)
            for (int32_t i = 0; i < inputs; i++) {
                const float *at = tap(w, in, y, x, ky, kx, first + i);
                int32_t k = ((o * w->kernel_h + ky) * w->kernel_w + kx) * inputs + i;
                if (at != NULL)
                    sum += (double)*at * (double)weights[k];
            }
    return sum;
}

static void test_conv(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 1);
    for (int round = 0; round < GEOMETRIES; round++) {
        mn_f32_window w = random_window(&random, 3);
        w.groups = round % 3 == 0 ? between(&random, 2, 3) : 1;
        set_channels(
            &random, &w, w.groups * between(&random, 1, 9), w.groups * between(&random, 1, 9));
        size_t weight_count = (size_t)(w.out_c * w.kernel_h * w.kernel_w * (w.in_c / w.groups));
        value in = make_value(&random, w.in_h * w.in_w, w.in_c, w.in_stride);
        value out = make_output(w.out_h * w.out_w, w.out_c, w.out_stride);
        float *weights = random_floats(&random, weight_count);
        float *bias = between(&random, 0, 3) ? random_floats(&random, (size_t)w.out_c) : NULL;
        double *expected = malloc((size_t)(out.pixels * w.out_c) * sizeof *expected);
        assert_non_null(expected);
        for (int32_t p = 0; p < out.pixels; p++)
            for (int32_t o = 0; o < w.out_c; o++) {
                double sum = conv_one(&w, in.data, weights, p / w.out_w, p % w.out_w, o);
                sum += bias != NULL ? (double)bias[o] : 0.0;
                expected[p * w.out_c + o] = activate(sum, w.act);
            }
        mn_f32_conv(in.data, out.data, weights, bias, &w);
        check_output(&out, expected, "conv", round);
        assert_int_equal(mn_f32_conv_scratch_bytes(&w), 0);
        free(expected);
        free(bias);
        free(weights);
        free(out.data);
        free(in.data);
    }
}

/* Weights (KH,KW,C); also the same numbers through mn_f32_conv with groups = C. */
static void test_depthwise(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 2);
    for (int round = 0; round < GEOMETRIES; round++) {
        mn_f32_window w = random_window(&random, 3);
        int32_t channels = between(&random, 1, 20);
        set_channels(&random, &w, channels, channels);
        w.groups = channels;
        int32_t taps = w.kernel_h * w.kernel_w;
        value in = make_value(&random, w.in_h * w.in_w, channels, w.in_stride);
        value out = make_output(w.out_h * w.out_w, channels, w.out_stride);
        float *oihw = random_floats(&random, (size_t)(channels * taps));
        float *weights = malloc((size_t)(channels * taps) * sizeof *weights);
        float *bias = between(&random, 0, 3) ? random_floats(&random, (size_t)channels) : NULL;
        double *expected = malloc((size_t)(out.pixels * channels) * sizeof *expected);
        assert_non_null(weights);
        assert_non_null(expected);
        for (int32_t c = 0; c < channels; c++)
            for (int32_t k = 0; k < taps; k++)
                weights[k * channels + c] = oihw[c * taps + k];
        for (int32_t p = 0; p < out.pixels; p++)
            for (int32_t c = 0; c < channels; c++) {
                double sum = conv_one(&w, in.data, oihw, p / w.out_w, p % w.out_w, c);
                sum += bias != NULL ? (double)bias[c] : 0.0;
                expected[p * channels + c] = activate(sum, w.act);
            }
        mn_f32_depthwise(in.data, out.data, weights, bias, &w);
        check_output(&out, expected, "depthwise", round);
        mn_f32_conv(in.data, out.data, oihw, bias, &w);
        check_output(&out, expected, "conv as depthwise", round);
        assert_int_equal(mn_f32_depthwise_scratch_bytes(&w), 0);
        free(expected);
        free(bias);
        free(weights);
        free(oihw);
        free(out.data);
        free(in.data);
    }
}

static void test_pools(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 3);
    for (int round = 0; round < GEOMETRIES; round++) {
        mn_f32_window w = random_window(&random, 1);
        int32_t channels = between(&random, 1, 20);
        set_channels(&random, &w, channels, channels);
        value in = make_value(&random, w.in_h * w.in_w, channels, w.in_stride);
        value out = make_output(w.out_h * w.out_w, channels, w.out_stride);
        size_t count = (size_t)(out.pixels * channels);
        double *most = malloc(count * sizeof *most);
        double *mean = malloc(count * sizeof *mean);
        assert_non_null(most);
        assert_non_null(mean);
        for (int32_t i = 0; i < out.pixels * channels; i++) {
            int32_t p = i / channels;
            double sum = 0.0, best = -1e30;
            int inside = 0;
            for (int32_t k = 0; k < w.kernel_h * w.kernel_w; k++) {
                const float *at = tap(&w,
                                      in.data,
                                      p / w.out_w,
                                      p % w.out_w,
                                      k / w.kernel_w,
                                      k % w.kernel_w,
                                      i % channels);
                if (at == NULL)
                    continue;
                inside++;
                sum += (double)*at;
                best = fmax(best, (double)*at);
            }
            most[i] = activate(inside > 0 ? best : 0.0, w.act);
            mean[i] = activate(inside > 0 ? sum / inside : 0.0, w.act);
        }
        mn_f32_max_pool(in.data, out.data, &w);
        check_output(&out, most, "max_pool", round);
        mn_f32_avg_pool(in.data, out.data, &w);
        check_output(&out, mean, "avg_pool", round);
        free(mean);
        free(most);
        free(out.data);
        free(in.data);
    }
}

static mn_f32_span random_span(mn_random *random)
{
    int32_t channels = between(random, 1, 20);
    return (mn_f32_span){
        .pixels = between(random, 1, 30),
        .channels = channels,
        .in_stride = channels + between(random, 0, 1) * between(random, 1, 5),
        .in2_stride = channels + between(random, 0, 1) * between(random, 1, 5),
        .out_stride = channels + between(random, 0, 1) * between(random, 1, 5),
        .act = between(random, 0, 2),
    };
}

static void test_add_and_copy(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 4);
    for (int round = 0; round < GEOMETRIES; round++) {
        mn_f32_span s = random_span(&random);
        value a = make_value(&random, s.pixels, s.channels, s.in_stride);
        value b = make_value(&random, s.pixels, s.channels, s.in2_stride);
        value out = make_output(s.pixels, s.channels, s.out_stride);
        size_t count = (size_t)(s.pixels * s.channels);
        double *sum = malloc(count * sizeof *sum);
        double *same = malloc(count * sizeof *same);
        assert_non_null(sum);
        assert_non_null(same);
        for (int32_t i = 0; i < s.pixels * s.channels; i++) {
            double x = (double)a.data[i / s.channels * s.in_stride + i % s.channels];
            double y = (double)b.data[i / s.channels * s.in2_stride + i % s.channels];
            sum[i] = activate(x + y, s.act);
            same[i] = activate(x, s.act);
        }
        mn_f32_add(a.data, b.data, out.data, &s);
        check_output(&out, sum, "add", round);
        mn_f32_copy(a.data, out.data, &s);
        check_output(&out, same, "copy", round);

        /* In place: every element once; gaps of a and b keep their numbers. */
        float *before = malloc(b.count * sizeof *before);
        assert_non_null(before);
        memcpy(before, b.data, b.count * sizeof *before);
        s.out_stride = s.in2_stride;
        mn_f32_add(a.data, b.data, b.data, &s);
        for (size_t i = 0; i < b.count; i++) {
            int32_t p = (int32_t)i / b.stride, c = (int32_t)i % b.stride;
            double want = c < s.channels ? sum[p * s.channels + c] : (double)before[i];
            assert_true(fabs((double)b.data[i] - want) <= 1e-5 * (1.0 + fabs(want)));
        }
        s.out_stride = s.in_stride;
        mn_f32_copy(a.data, a.data, &s);
        for (int32_t i = 0; i < s.pixels * s.channels; i++)
            assert_true((double)a.data[i / s.channels * a.stride + i % s.channels] == same[i]);
        free(before);
        free(same);
        free(sum);
        free(out.data);
        free(b.data);
        free(a.data);
    }
}

static void test_global_pool_and_fully_connected(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 5);
    for (int round = 0; round < GEOMETRIES; round++) {
        mn_f32_span s = random_span(&random);
        int32_t outputs = between(&random, 1, 13);
        int32_t inputs = s.pixels * s.channels;
        value in = make_value(&random, s.pixels, s.channels, s.in_stride);
        value mean = make_output(1, s.channels, s.channels);
        value out = make_output(1, outputs, outputs);
        float *weights = random_floats(&random, (size_t)(outputs * inputs));
        float *bias = between(&random, 0, 3) ? random_floats(&random, (size_t)outputs) : NULL;
        double *expected = calloc((size_t)(outputs + s.channels), sizeof *expected);
        assert_non_null(expected);
        double *means = expected + outputs;
        for (int32_t i = 0; i < inputs; i++) {
            double x = (double)in.data[i / s.channels * s.in_stride + i % s.channels];
            means[i % s.channels] += x / s.pixels;
            for (int32_t o = 0; o < outputs; o++)
                expected[o] += x * (double)weights[o * inputs + i];
        }
        for (int32_t o = 0; o < outputs; o++)
            expected[o] = activate(expected[o] + (bias != NULL ? (double)bias[o] : 0.0), s.act);
        for (int32_t c = 0; c < s.channels; c++)
            means[c] = activate(means[c], s.act);
        mn_f32_global_pool(in.data, mean.data, &s);
        check_output(&mean, means, "global_pool", round);
        mn_f32_fully_connected(in.data, out.data, weights, bias, outputs, &s);
        check_output(&out, expected, "fully_connected", round);
        free(expected);
        free(bias);
        free(weights);
        free(out.data);
        free(mean.data);
        free(in.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),
        cmocka_unit_test(test_depthwise),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_add_and_copy),
        cmocka_unit_test(test_global_pool_and_fully_connected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

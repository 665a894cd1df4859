/* The vector loops of every table that this processor has, against plain loops in double: adding,
 * the optimiser step and the depthwise weight gradient. */
#include "test.h"

#include <math.h>
#include <stdbool.h>

#include "base/random.h"
#include "train/simd.h"

typedef struct table {
    const char *name;
    const mn__simd *simd;
    bool here; /* this processor runs it */
} table;

enum { most_tables = 3, guard = 16 };

static table tables[most_tables];
static size_t table_count;

static void add_table(const char *name, const mn__simd *simd, bool here)
{
    tables[table_count++] = (table){.name = name, .simd = simd, .here = here};
}

static int find_tables(void **state)
{
    (void)state;
    add_table("portable", &mn__simd_portable, true);
#if defined(__x86_64__)
    add_table("avx2",
              &mn__simd_avx2,
              __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0);
    add_table("avx512",
              &mn__simd_avx512,
              __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
                  __builtin_cpu_supports("fma") != 0);
#endif
    for (size_t i = 0; i < table_count; i++)
        if (!tables[i].here)
            print_message("%s: not on this processor, skipped\n", tables[i].name);
    return 0;
}

/* `count` random floats on a 64-byte boundary, and a guard behind them that must stay. */
static float *make(size_t count, mn_random *random)
{
    float *block = aligned_alloc(64, ((count + guard) * sizeof(float) + 63) / 64 * 64);
    assert_non_null(block);
    for (size_t i = 0; i < count; i++)
        block[i] = mn_random_normal(random);
    for (size_t i = count; i < count + guard; i++)
        block[i] = 12345.0f;
    return block;
}

static void assert_guard(const float *block, size_t count)
{
    for (size_t i = count; i < count + guard; i++)
        assert_true(block[i] == 12345.0f);
}

/* Within a few roundings of numbers of size `scale`. */
static void assert_near(const char *what, double expected, float actual, double scale)
{
    if (!(fabs(expected - (double)actual) <= 1e-6 * scale))
        fail_msg("%s: %.9g, expected %.9g", what, (double)actual, expected);
}

static const size_t counts[] = {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 100, 1001, 4099};
enum { count_count = sizeof counts / sizeof counts[0] };

static void test_add(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 1);
    for (size_t t = 0; t < table_count; t++)
        for (size_t c = 0; tables[t].here && c < count_count; c++) {
            size_t n = counts[c];
            float *a = make(n, &random);
            float *b = make(n, &random);
            float *out = make(n, &random);
            tables[t].simd->add(out, a, b, n);
            for (size_t i = 0; i < n; i++)
                assert_true(out[i] == a[i] + b[i]);
            /* A value added to itself: both terms are one. */
            tables[t].simd->add(out, a, a, n);
            for (size_t i = 0; i < n; i++)
                assert_true(out[i] == 2.0f * a[i]);
            assert_guard(out, n);
            free(a);
            free(b);
            free(out);
        }
}

static void check_accumulate(const table *t, uint32_t term_count, size_t n, mn_random *random)
{
    float *terms[7];
    float *sum = make(n, random);
    double *expected = calloc(n + 1, sizeof *expected);
    for (size_t i = 0; i < n; i++)
        expected[i] = (double)sum[i];
    for (uint32_t k = 0; k < term_count; k++) {
        terms[k] = make(n, random);
        for (size_t i = 0; i < n; i++)
            expected[i] += (double)terms[k][i];
    }
    t->simd->accumulate(sum, (const float *const *)terms, term_count, n);
    for (size_t i = 0; i < n; i++)
        assert_near(t->name, expected[i], sum[i], 20.0);
    assert_guard(sum, n);
    for (uint32_t k = 0; k < term_count; k++)
        free(terms[k]);
    free(expected);
    free(sum);
}

static void test_accumulate(void **state)
{
    (void)state;
    mn_random random = mn_random_make(2, 1);
    for (size_t t = 0; t < table_count; t++)
        for (uint32_t terms = 1; tables[t].here && terms <= 7; terms++)
            for (size_t c = 0; c < count_count; c++)
                check_accumulate(&tables[t], terms, counts[c], &random);
}

/* Three steps in a row, so that the velocity takes part. */
static void check_sgd(const table *t, const mn__sgd *step, size_t n, mn_random *random)
{
    float *weight = make(n, random);
    float *gradient = make(n, random);
    float *velocity = make(n, random);
    double *w = calloc(n + 1, sizeof *w);
    double *v = calloc(n + 1, sizeof *v);
    for (size_t i = 0; i < n; i++) {
        w[i] = (double)weight[i];
        v[i] = (double)velocity[i];
    }
    for (int round = 0; round < 3; round++) {
        t->simd->sgd(step, weight, gradient, velocity, n);
        for (size_t i = 0; i < n; i++) {
            double g = (double)gradient[i] + (double)step->decay * w[i];
            v[i] = (double)step->momentum * v[i] + g;
            w[i] -= (double)step->rate * (g + (double)step->momentum * v[i]);
            assert_near(t->name, v[i], velocity[i], 20.0);
            assert_near(t->name, w[i], weight[i], 20.0);
        }
    }
    assert_guard(weight, n);
    assert_guard(velocity, n);
    free(v);
    free(w);
    free(velocity);
    free(gradient);
    free(weight);
}

static void test_sgd(void **state)
{
    (void)state;
    static const mn__sgd steps[] = {
        {0.1f, 0.9f, 5e-4f}, {0.05f, 0.0f, 0.0f}, {0.0f, 0.5f, 0.1f}, {1.0f, 0.9f, 0.0f}};
    mn_random random = mn_random_make(3, 1);
    for (size_t t = 0; t < table_count; t++)
        for (size_t s = 0; tables[t].here && s < 4; s++)
            for (size_t c = 0; c < count_count; c++)
                check_sgd(&tables[t], &steps[s], counts[c], &random);
}

/* Zeros stay zeros: lanes without a channel must not wake up. */
static void test_sgd_keeps_zeros(void **state)
{
    (void)state;
    const mn__sgd step = {0.1f, 0.9f, 5e-4f};
    for (size_t t = 0; t < table_count; t++) {
        float weight[19] = {0}, gradient[19] = {0}, velocity[19] = {0};
        if (!tables[t].here)
            continue;
        for (int round = 0; round < 3; round++)
            tables[t].simd->sgd(&step, weight, gradient, velocity, 19);
        for (int i = 0; i < 19; i++)
            assert_true(weight[i] == 0.0f && velocity[i] == 0.0f);
    }
}

/* ---- the depthwise weight gradient ---------------------------------------------------------- */

/* Straight from the definition; *ret_scale is the sum of the sizes of the terms. */
static double plain_gradient(const mn__depthwise *g,
                             size_t lanes,
                             uint32_t block,
                             size_t tap,
                             size_t lane,
                             double *ret_scale)
{
    int64_t i = (int64_t)(tap / g->kernel);
    int64_t j = (int64_t)(tap % g->kernel);
    double sum = 0.0;
    *ret_scale = 1.0;
    for (uint32_t n = 0; n < g->batch; n++)
        for (uint32_t y = 0; y < g->out_h; y++)
            for (uint32_t x = 0; x < g->out_w; x++) {
                int64_t in_y = (int64_t)y * g->stride + i - g->pad_top;
                int64_t in_x = (int64_t)x * g->stride + j - g->pad_left;
                if (in_y < 0 || in_y >= g->in_h || in_x < 0 || in_x >= g->in_w)
                    continue;
                size_t image = (size_t)n * g->blocks + block;
                size_t from = (image * g->in_h + (size_t)in_y) * g->in_w + (size_t)in_x;
                size_t to = (image * g->out_h + y) * g->out_w + x;
                double term = (double)g->input[from * lanes + lane] *
                              (double)g->out_gradient[to * lanes + lane];
                sum += term;
                *ret_scale += fabs(term);
            }
    return sum;
}

static void check_depthwise(const table *t, mn__depthwise g, mn_random *random)
{
    size_t lanes = t->simd->lanes;
    size_t images = (size_t)g.batch * g.blocks;
    size_t taps = (size_t)g.kernel * g.kernel;
    size_t count = g.blocks * taps * lanes;
    size_t scratch_count = mn__depthwise_scratch(&g, (uint32_t)lanes) * g.threads;
    float *input = make(images * g.in_h * g.in_w * lanes, random);
    float *out_gradient = make(images * g.out_h * g.out_w * lanes, random);
    float *gradient = make(count, random); /* neither it nor the scratch is zero before */
    float *scratch = make(scratch_count, random);
    float *again = make(count, random);
    g.input = input;
    g.out_gradient = out_gradient;
    g.weight_gradient = gradient;
    g.scratch = scratch;
    t->simd->depthwise_weight_gradient(&g);
    for (size_t e = 0; e < count; e++) {
        double scale = 0.0;
        uint32_t block = (uint32_t)(e / lanes / taps);
        double expected = plain_gradient(&g, lanes, block, e / lanes % taps, e % lanes, &scale);
        assert_near(t->name, expected, gradient[e], scale);
    }
    assert_guard(gradient, count);
    assert_guard(scratch, scratch_count);
    /* The scratch of the last run must not show. */
    g.weight_gradient = again;
    t->simd->depthwise_weight_gradient(&g);
    assert_memory_equal(gradient, again, count * sizeof(float));
    free(again);
    free(scratch);
    free(gradient);
    free(out_gradient);
    free(input);
}

/* A geometry for an image of (h,w), with padding `pad` in front and as many outputs as a kernel
 * that starts inside the image gives. */
static mn__depthwise
geometry(uint32_t h, uint32_t w, uint32_t kernel, uint32_t stride, uint32_t pad, uint32_t threads)
{
    return (mn__depthwise){.batch = 1 + (h + w) % 3,
                           .blocks = 1 + h % 3,
                           .in_h = h,
                           .in_w = w,
                           .out_h = (h + stride - 1) / stride,
                           .out_w = (w + stride - 1) / stride,
                           .kernel = kernel,
                           .stride = stride,
                           .pad_top = pad,
                           .pad_left = pad,
                           .threads = threads};
}

static void test_depthwise(void **state)
{
    (void)state;
    mn_random random = mn_random_make(4, 1);
    for (size_t t = 0; t < table_count; t++)
        for (uint32_t side = 1; tables[t].here && side <= 17; side++)
            for (uint32_t stride = 1; stride <= 3; stride++)
                for (uint32_t kernel = 3; kernel <= 5; kernel += 2) {
                    /* "Same" padding; the other side differs, so that rows and columns cannot be
                     * mixed up; one or two threads in turn, both for the odd sides. */
                    uint32_t other = 1 + (side * 7 + stride + kernel) % 17;
                    uint32_t threads = 1 + (side + stride) % 2;
                    mn__depthwise g = geometry(side, other, kernel, stride, kernel / 2, threads);
                    check_depthwise(&tables[t], g, &random);
                }
}

/* No padding, all the padding that there can be, padding after the image, and last pixels that no
 * kernel reaches. */
static void test_depthwise_paddings(void **state)
{
    (void)state;
    mn_random random = mn_random_make(5, 1);
    for (size_t t = 0; t < table_count; t++)
        for (uint32_t kernel = 3; tables[t].here && kernel <= 5; kernel += 2)
            for (uint32_t stride = 1; stride <= 3; stride++)
                for (uint32_t threads = 1; threads <= 2; threads++) {
                    mn__depthwise g = geometry(9, 6, kernel, stride, 0, threads);
                    g.out_h = (9 - kernel) / stride + 1;
                    g.out_w = (6 - kernel) / stride + 1;
                    check_depthwise(&tables[t], g, &random);
                    g = geometry(9, 6, kernel, stride, kernel - 1, threads);
                    check_depthwise(&tables[t], g, &random);
                    g.pad_left = 0;
                    g.out_h = 2;
                    g.out_w = 5;
                    check_depthwise(&tables[t], g, &random);
                    g.batch = 1;
                    g.blocks = 1; /* less work than threads */
                    check_depthwise(&tables[t], g, &random);
                }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_accumulate),
        cmocka_unit_test(test_sgd),
        cmocka_unit_test(test_sgd_keeps_zeros),
        cmocka_unit_test(test_depthwise),
        cmocka_unit_test(test_depthwise_paddings),
    };
    return cmocka_run_group_tests(tests, find_tables, NULL);
}

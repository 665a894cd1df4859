/* The loss against its definition in long double, its gradient against central differences, and
 * numbers at the ends of the range. */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "train/loss.h"

enum { most_rows = 6, most_classes = 37 };

/* -sum over k of target_k log softmax_k, straight from the definition, for one label. */
static long double
plain_loss(const float *row, uint16_t label, uint32_t classes, float smoothing, long double *ret_p)
{
    long double sum = 0.0L;
    long double loss = 0.0L;
    for (uint32_t k = 0; k < classes; k++)
        sum += expl((long double)row[k]);
    for (uint32_t k = 0; k < classes; k++) {
        ret_p[k] = expl((long double)row[k]) / sum;
        long double target = (long double)smoothing / classes;
        target += k == label ? 1.0L - (long double)smoothing : 0.0L;
        loss -= target * logl(ret_p[k]);
        ret_p[k] -= target;
    }
    return loss;
}

static void test_against_definition(void **state)
{
    (void)state;
    static const float smoothings[] = {0.0f, 0.1f, 0.99f};
    mn_random random = mn_random_make(1, 2);
    for (int round = 0; round < 300; round++) {
        uint32_t classes = 1 + mn_random_below(&random, most_classes);
        uint32_t rows = 1 + mn_random_below(&random, most_rows);
        uint32_t count = 1 + mn_random_below(&random, rows);
        float smoothing = smoothings[round % 3];
        float logits[most_rows * most_classes], gradient[most_rows * most_classes];
        long double delta[most_classes];
        uint16_t labels[most_rows];
        long double expected = 0.0L;
        for (uint32_t i = 0; i < rows * classes; i++) {
            logits[i] = 5.0f * mn_random_normal(&random);
            gradient[i] = NAN;
        }
        for (uint32_t n = 0; n < count; n++)
            labels[n] = (uint16_t)mn_random_below(&random, classes);
        const mn__targets targets = {.labels = labels, .smoothing = smoothing};
        double loss = mn__loss(logits, &targets, rows, count, classes, gradient);
        for (uint32_t n = 0; n < count; n++) {
            expected += plain_loss(logits + n * classes, labels[n], classes, smoothing, delta);
            for (uint32_t k = 0; k < classes; k++)
                assert_true(fabsl(delta[k] / count - (long double)gradient[n * classes + k]) <
                            1e-7L);
        }
        for (uint32_t i = count * classes; i < rows * classes; i++)
            assert_true(gradient[i] == 0.0f);
        assert_true(fabsl(expected / count - (long double)loss) < 1e-10L);
    }
}

/* Loss and gradient are linear in the target: mixed labels give the mix of the two labels' own. */
static void test_mixed_labels(void **state)
{
    (void)state;
    static const float lambdas[] = {0.0f, 0.25f, 0.7f, 1.0f};
    enum { rows = 4, classes = 5 };
    const uint16_t labels[rows] = {0, 4, 2, 3};
    const uint16_t others[rows] = {3, 2, 2, 0};
    mn_random random = mn_random_make(8, 9);
    float logits[rows * classes], gradient[rows * classes];
    for (int i = 0; i < rows * classes; i++)
        logits[i] = 3.0f * mn_random_normal(&random);
    for (int i = 0; i < 4; i++) {
        const mn__targets targets = {
            .labels = labels, .other_labels = others, .lambda = lambdas[i], .smoothing = 0.1f};
        long double share = (long double)lambdas[i];
        long double expected = 0.0L;
        double loss = mn__loss(logits, &targets, rows, rows, classes, gradient);
        for (uint32_t n = 0; n < rows; n++) {
            const float *row = logits + (size_t)n * classes;
            long double a[classes], b[classes];
            expected += share * plain_loss(row, labels[n], classes, 0.1f, a);
            expected += (1.0L - share) * plain_loss(row, others[n], classes, 0.1f, b);
            for (uint32_t k = 0; k < classes; k++) {
                long double slope = (share * a[k] + (1.0L - share) * b[k]) / rows;
                assert_true(fabsl(slope - (long double)gradient[n * classes + k]) < 1e-7L);
            }
        }
        assert_true(fabsl(expected / rows - (long double)loss) < 1e-10L);
    }
}

static void test_gradient_is_the_slope(void **state)
{
    (void)state;
    mn_random random = mn_random_make(3, 4);
    float logits[3 * 5], gradient[3 * 5], unused[3 * 5];
    const uint16_t labels[3] = {4, 0, 2};
    const uint16_t others[3] = {2, 0, 4};
    for (int i = 0; i < 15; i++)
        logits[i] = 2.0f * mn_random_normal(&random);
    const mn__targets targets = {
        .labels = labels, .other_labels = others, .lambda = 0.7f, .smoothing = 0.1f};
    (void)mn__loss(logits, &targets, 3, 3, 5, gradient);
    for (int i = 0; i < 15; i++) {
        float kept = logits[i];
        logits[i] = kept + 0.0078125f;
        double up = mn__loss(logits, &targets, 3, 3, 5, unused);
        double step = (double)logits[i];
        logits[i] = kept - 0.0078125f;
        double down = mn__loss(logits, &targets, 3, 3, 5, unused);
        step -= (double)logits[i];
        logits[i] = kept;
        assert_true(fabs((up - down) / step - (double)gradient[i]) < 1e-5);
    }
}

static void test_ends_of_the_range(void **state)
{
    (void)state;
    float gradient[3];
    uint32_t best = 9;
    const uint16_t first = 0;
    const mn__targets plain = {.labels = &first};
    const mn__targets smooth = {.labels = &first, .smoothing = 0.1f};
    const mn__targets second = {.labels = &(uint16_t){1}, .smoothing = 0.1f};
    const float huge[3] = {3e38f, -3e38f, 0.0f};
    assert_true(mn__loss(huge, &plain, 1, 1, 3, gradient) == 0.0);
    assert_true(mn__classify(huge, 3, 0, &best) == 0.0);
    assert_int_equal(best, 0);
    /* Far out: the differences overflow float, and the loss is as large as it should be. */
    double far = mn__classify(huge, 3, 1, &best);
    assert_true(isfinite(far) && far > 5.9e38);
    far = mn__loss(huge, &second, 1, 1, 3, gradient);
    assert_true(isfinite(far) && far > 5e38);
    assert_true(gradient[0] > 0.9f && gradient[1] < -0.9f);
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++)
        for (int at = 0; at < 3; at++) {
            float row[3] = {1.0f, 2.0f, 3.0f};
            row[at] = bad[i];
            assert_false(isfinite(mn__loss(row, &smooth, 1, 1, 3, gradient)));
            if (i < 2 || at == 0)
                assert_false(isfinite(mn__classify(row, 3, 0, &best)));
            assert_true(best < 3);
        }
}

static void test_classify(void **state)
{
    (void)state;
    uint32_t best = 9;
    const float ties[4] = {1.0f, 2.0f, 2.0f, -1.0f};
    long double delta[4];
    for (uint16_t label = 0; label < 4; label++) {
        long double expected = plain_loss(ties, label, 4, 0.0f, delta);
        assert_true(fabsl(expected - (long double)mn__classify(ties, 4, label, &best)) < 1e-12L);
        assert_int_equal(best, 1);
    }
    assert_true(mn__classify(ties, 1, 0, &best) == 0.0);
    assert_int_equal(best, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_definition),
        cmocka_unit_test(test_mixed_labels),
        cmocka_unit_test(test_gradient_is_the_slope),
        cmocka_unit_test(test_ends_of_the_range),
        cmocka_unit_test(test_classify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

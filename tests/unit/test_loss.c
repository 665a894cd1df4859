/* The loss against its definition in long double, its gradient against central differences, and
 * numbers at the ends of the range. */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "train/loss.h"

enum { most_rows = 6, most_classes = 37 };

/* -sum over k of target_k log softmax_k, straight from the definition. */
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
        double loss = mn__loss(logits, labels, rows, count, classes, smoothing, gradient);
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

static void test_gradient_is_the_slope(void **state)
{
    (void)state;
    mn_random random = mn_random_make(3, 4);
    float logits[3 * 5], gradient[3 * 5], unused[3 * 5];
    const uint16_t labels[3] = {4, 0, 2};
    for (int i = 0; i < 15; i++)
        logits[i] = 2.0f * mn_random_normal(&random);
    (void)mn__loss(logits, labels, 3, 3, 5, 0.1f, gradient);
    for (int i = 0; i < 15; i++) {
        float kept = logits[i];
        logits[i] = kept + 0.0078125f;
        double up = mn__loss(logits, labels, 3, 3, 5, 0.1f, unused);
        double step = (double)logits[i];
        logits[i] = kept - 0.0078125f;
        double down = mn__loss(logits, labels, 3, 3, 5, 0.1f, unused);
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
    const float huge[3] = {3e38f, -3e38f, 0.0f};
    assert_true(mn__loss(huge, &first, 1, 1, 3, 0.0f, gradient) == 0.0);
    assert_true(mn__classify(huge, 3, 0, &best) == 0.0);
    assert_int_equal(best, 0);
    /* Far out: the differences overflow float, and the loss is as large as it should be. */
    double far = mn__classify(huge, 3, 1, &best);
    assert_true(isfinite(far) && far > 5.9e38);
    far = mn__loss(huge, &(uint16_t){1}, 1, 1, 3, 0.1f, gradient);
    assert_true(isfinite(far) && far > 5e38);
    assert_true(gradient[0] > 0.9f && gradient[1] < -0.9f);
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++)
        for (int at = 0; at < 3; at++) {
            float row[3] = {1.0f, 2.0f, 3.0f};
            row[at] = bad[i];
            assert_false(isfinite(mn__loss(row, &first, 1, 1, 3, 0.1f, gradient)));
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
        cmocka_unit_test(test_gradient_is_the_slope),
        cmocka_unit_test(test_ends_of_the_range),
        cmocka_unit_test(test_classify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

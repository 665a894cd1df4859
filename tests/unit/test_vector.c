/* The controller's loops against plain ones in double. */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "rank/vector.h"

enum { most = 37 };

static void fill(mn_random *random, float *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        x[i] = mn_random_normal(random);
}

/* All lengths around the lanes. */
static void test_sums(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 0);
    for (size_t count = 0; count <= most; count++) {
        float a[most + 1], b[most + 1], y[most + 1];
        double expected = 0.0;
        fill(&random, a, most + 1);
        fill(&random, b, most + 1);
        memcpy(y, b, sizeof y);
        for (size_t i = 0; i < count; i++)
            expected += (double)a[i] * (double)b[i];
        assert_true(fabs((double)mn__dot(a, b, count) - expected) < 1e-5);
        mn__axpy(y, a, 0.5f, count);
        for (size_t i = 0; i <= most; i++) {
            double sum = (double)b[i] + (i < count ? 0.5 * (double)a[i] : 0.0);
            assert_true(fabs((double)y[i] - sum) < 1e-6);
        }
    }
}

static void test_rows(void **state)
{
    (void)state;
    enum { rows = 14, columns = 3, stride = 7 };
    float w[rows * stride];
    /* rows one by one, four at once, three at the end */
    const float x[rows] = {0, 1, -2, 0, 0.25f, 3, 1, 2, -1, 0, 0, 1, 2, 3};
    float y[columns] = {1.0f, 2.0f, 3.0f};
    mn_random random = mn_random_make(2, 0);
    fill(&random, w, rows * stride);
    mn__rows_add(y, w, x, rows, columns, stride);
    for (size_t c = 0; c < columns; c++) {
        double expected = (double)c + 1.0;
        for (size_t r = 0; r < rows; r++)
            expected += (double)x[r] * (double)w[r * stride + c];
        assert_true(fabs((double)y[c] - expected) < 1e-5);
    }
}

static void test_functions(void **state)
{
    (void)state;
    for (int i = -9000; i <= 9000; i++) {
        float s = 0.0137f * (float)i;
        float t = s;
        double exact = (double)s;
        mn__sigmoid(&s, 1);
        mn__tanh(&t, 1);
        assert_true(fabs((double)s - 1.0 / (1.0 + exp(-exact))) < 3e-7);
        assert_true(fabs((double)t - tanh(exact)) < 3e-7);
    }
    float values[] = {INFINITY, -INFINITY, NAN, NAN};
    mn__sigmoid(values, 3);
    mn__tanh(values + 3, 1);
    assert_true(values[0] == 1.0f && values[1] < 1e-30f);
    assert_true(isfinite(values[2]) && isfinite(values[3]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

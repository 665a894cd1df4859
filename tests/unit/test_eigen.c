/* Eigenvalues of symmetric matrices: A v = lambda v, orthonormal vectors, sorted values, for random
 * matrices and for those that trip simple methods. */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "train/eigen.h"

enum { most = 75 };

static double matrix[most * most], used[most * most], vectors[most * most], values[most];

static double dot(const double *a, const double *b, uint32_t n)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Solves `matrix` (n,n), whose numbers are about `size`, and checks all that is promised. */
static void check(uint32_t n, double size)
{
    memcpy(used, matrix, sizeof used);
    memset(vectors, 0xff, sizeof vectors);
    memset(values, 0xff, sizeof values);
    mn__eigen_symmetric(n, used, values, vectors);
    for (uint32_t k = 0; k < n; k++) {
        const double *v = vectors + k * n;
        for (uint32_t i = 0; i < n; i++)
            assert_true(fabs(dot(matrix + i * n, v, n) - values[k] * v[i]) < 1e-12 * n * size);
        for (uint32_t j = 0; j < n; j++)
            assert_true(fabs(dot(v, vectors + j * n, n) - (j == k ? 1.0 : 0.0)) < 1e-12);
        assert_true(k == 0 || values[k] <= values[k - 1]);
    }
}

static void test_random(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 9, 27, 75};
    mn_random random = mn_random_make(2, 7);
    for (int round = 0; round < 12; round++) {
        uint32_t n = sizes[round % 6];
        double size = round < 6 ? 1.0 : 1e-6;
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t j = i; j < n; j++)
                matrix[i * n + j] = matrix[j * n + i] = size * (double)mn_random_normal(&random);
        check(n, size);
    }
}

/* x x^T of few vectors: many eigenvalues are zero. */
static void test_low_rank(void **state)
{
    (void)state;
    const uint32_t n = 27;
    mn_random random = mn_random_make(3, 7);
    memset(matrix, 0, sizeof matrix);
    for (int rank = 0; rank < 4; rank++) {
        double x[27];
        for (uint32_t i = 0; i < n; i++)
            x[i] = (double)mn_random_normal(&random);
        for (uint32_t i = 0; i < n * n; i++)
            matrix[i] += x[i / n] * x[i % n];
    }
    check(n, 10.0);
    assert_true(values[3] > 1.0 && fabs(values[4]) < 1e-12);
}

/* Values that are known: equal ones, none at all, negative ones, a pair that mixes at 45 degrees,
 * sizes far apart. */
static void test_known(void **state)
{
    (void)state;
    memset(matrix, 0, sizeof matrix);
    check(5, 1.0);
    assert_true(values[0] == 0.0 && values[4] == 0.0);
    for (uint32_t i = 0; i < 5; i++)
        matrix[i * 5 + i] = i == 1 ? -3.0 : 2.0;
    check(5, 1.0);
    assert_true(values[0] == 2.0 && values[3] == 2.0 && values[4] == -3.0);
    static const double pair[] = {1.0, 0.5, 0.5, 1.0};
    memcpy(matrix, pair, sizeof pair);
    check(2, 1.0);
    assert_true(fabs(values[0] - 1.5) < 1e-15 && fabs(values[1] - 0.5) < 1e-15);
    static const double apart[] = {1e12, 1.0, 1.0, 1e-12};
    memcpy(matrix, apart, sizeof apart);
    check(2, 1e12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_low_rank),
        cmocka_unit_test(test_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

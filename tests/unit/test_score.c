/* Scores against the paper's formula written out, and what an order of networks must obey. */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "search/score.h"

static const mn__scored typical = {.accuracy = 0.8, .weights = 1000, .arena = 4000};

static double uniform(mn_random *random, double low, double high)
{
    return low + (high - low) * (double)mn_random_uniform(random);
}

static mn__scored any(mn_random *random)
{
    return (mn__scored){.accuracy = uniform(random, 0.0, 1.0),
                        .weights = uniform(random, 1.0, 1e6),
                        .arena = uniform(random, 1.0, 1e6)};
}

static void test_paper_formula(void **state)
{
    (void)state;
    mn_random random = mn_random_make(3, 0);
    for (int i = 0; i < 1000; i++) {
        mn__scored c = any(&random);
        mn__scored b = any(&random);
        b.accuracy += 0.01;
        double lambda = uniform(&random, 0.0, 1.0);
        double expected = lambda * (c.accuracy / b.accuracy - 1.0) +
                          (1.0 - lambda) * (0.3 * (1.0 - c.weights / b.weights) +
                                            0.7 * (1.0 - c.arena / b.arena));
        double actual = mn__score_paper(&c, &b, lambda);
        assert_true(fabs(actual - expected) <= 1e-9 * (1.0 + fabs(expected)));
    }
}

static void test_bounded_formula(void **state)
{
    (void)state;
    mn_random random = mn_random_make(4, 0);
    for (int i = 0; i < 1000; i++) {
        mn__scored c = any(&random);
        mn__scored b = any(&random);
        b.accuracy *= 0.99;
        double lambda = uniform(&random, 0.0, 1.0);
        double bound = uniform(&random, 1e6, 1e7);
        double expected = lambda * (c.accuracy - b.accuracy) / (1.0 - b.accuracy) +
                          (1.0 - lambda) * (0.3 * (b.weights - c.weights) / bound +
                                            0.7 * (b.arena - c.arena) / bound);
        double actual = mn__score_bounded(&c, &b, lambda, bound);
        assert_true(fabs(actual - expected) <= 1e-9 * (1.0 + fabs(expected)));
    }
}

static void test_base_scores_zero(void **state)
{
    (void)state;
    assert_true(mn__score_paper(&typical, &typical, 0.5) == 0.0);
    assert_true(mn__score_bounded(&typical, &typical, 0.5, 65536) == 0.0);
}

static void test_better_is_higher(void **state)
{
    (void)state;
    mn__scored accurate = typical;
    mn__scored small = typical;
    mn__scored lean = typical;
    accurate.accuracy += 0.05;
    small.weights -= 100;
    lean.arena -= 100;
    const mn__scored *const better[] = {&accurate, &small, &lean};
    for (int i = 0; i < 3; i++) {
        assert_true(mn__score_paper(better[i], &typical, 0.5) > 0.0);
        assert_true(mn__score_bounded(better[i], &typical, 0.5, 65536) > 0.0);
    }
    assert_true(mn__score_bounded(&accurate, &typical, 0.0, 65536) == 0.0);
    assert_true(mn__score_bounded(&small, &typical, 1.0, 65536) == 0.0);
}

/* Every result can be compared: finite also where a base has no accuracy, errors or bytes. */
static void test_edges_are_finite(void **state)
{
    (void)state;
    static const double shares[] = {0.0, 0.5, 1.0};
    static const double sizes[] = {0.0, 1.0, 1e15};
    for (int i = 0; i < 81; i++) {
        mn__scored c = {shares[i % 3], sizes[i / 3 % 3], sizes[i / 9 % 3]};
        for (int k = 0; k < 27; k++) {
            mn__scored b = {shares[k % 3], sizes[k / 3 % 3], sizes[k / 9]};
            assert_true(isfinite(mn__score_paper(&c, &b, 0.5)));
            assert_true(isfinite(mn__score_bounded(&c, &b, 0.5, 65536)));
        }
    }
}

/* A base that makes no error on the validation split must not be beaten by any smaller network,
 * however bad. */
static void test_perfect_base_stays(void **state)
{
    (void)state;
    mn__scored perfect = {.accuracy = 1.0, .weights = 30000, .arena = 30000};
    mn__scored tiny = {.accuracy = 0.5, .weights = 100, .arena = 100};
    assert_true(mn__score_bounded(&tiny, &perfect, 0.5, 65536) < 0.0);
    tiny.accuracy = 1.0;
    assert_true(mn__score_bounded(&tiny, &perfect, 0.5, 65536) > 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paper_formula),
        cmocka_unit_test(test_bounded_formula),
        cmocka_unit_test(test_base_scores_zero),
        cmocka_unit_test(test_better_is_higher),
        cmocka_unit_test(test_edges_are_finite),
        cmocka_unit_test(test_perfect_base_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Measures of rankings against their definitions, pair by pair and place by place. */
#include "test.h"

#include <math.h>
#include <stdbool.h>

#include "base/random.h"
#include "rank/quality.h"

enum { most = 60, rounds = 400 };

/* Values with many ties or few. */
static void fill(mn_random *random, double *x, uint32_t count)
{
    uint32_t levels = 1 + mn_random_below(random, mn_random_below(random, 2) == 0 ? 5 : 1000);
    for (uint32_t i = 0; i < count; i++)
        x[i] = (double)mn_random_below(random, levels) - 2.0;
}

static int sign(double x)
{
    return (x > 0.0) - (x < 0.0);
}

static double plain_tau(const double *a, const double *b, uint32_t count)
{
    double sum = 0.0, untied_a = 0.0, untied_b = 0.0;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < i; j++) {
            int x = sign(a[i] - a[j]);
            int y = sign(b[i] - b[j]);
            sum += x * y;
            untied_a += x * x;
            untied_b += y * y;
        }
    return untied_a * untied_b > 0.0 ? sum / sqrt(untied_a * untied_b) : 0.0;
}

static double plain_rank(const double *x, uint32_t count, uint32_t i)
{
    double rank = 0.5;
    for (uint32_t j = 0; j < count; j++)
        rank += x[j] < x[i] ? 1.0 : x[j] == x[i] ? 0.5 : 0.0;
    return rank;
}

/* How many come before i: larger ones, and equal ones in front of it. */
static uint32_t plain_place(const double *x, uint32_t count, uint32_t i)
{
    uint32_t place = 0;
    for (uint32_t j = 0; j < count; j++)
        place += x[j] > x[i] || (x[j] == x[i] && j < i);
    return place;
}

static void test_tau(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 0);
    for (int round = 0; round < rounds; round++) {
        double a[most], b[most], tau = 9.0;
        mn_error err;
        uint32_t count = 2 + mn_random_below(&random, most - 1);
        fill(&random, a, count);
        fill(&random, b, count);
        assert_ok(mn__kendall_tau(a, b, count, &tau, &err), &err);
        assert_true(fabs(tau - plain_tau(a, b, count)) < 1e-12);
    }
}

/* scipy.stats.kendalltau([12, 2, 1, 12, 2], [1, 4, 7, 1, 0]) is -0.4714. */
static void test_tau_of_known(void **state)
{
    (void)state;
    const double a[] = {12, 2, 1, 12, 2};
    const double b[] = {1, 4, 7, 1, 0};
    const double rising[] = {1, 2, 3, 4, 5};
    const double falling[] = {5, 4, 3, 2, 1};
    const double equal[] = {2, 2, 2, 2, 2};
    double tau = 9.0;
    mn_error err;
    assert_ok(mn__kendall_tau(a, b, 5, &tau, &err), &err);
    assert_true(fabs(tau + 0.47140452079103173) < 1e-12);
    assert_ok(mn__kendall_tau(rising, falling, 5, &tau, &err), &err);
    assert_true(tau == -1.0);
    assert_ok(mn__kendall_tau(rising, equal, 5, &tau, &err), &err);
    assert_true(tau == 0.0);
}

static void test_ranks(void **state)
{
    (void)state;
    mn_random random = mn_random_make(2, 0);
    for (int round = 0; round < rounds; round++) {
        double a[most], b[most], ranks[most], scores[most], rho = 9.0;
        double ab = 0.0, aa = 0.0, bb = 0.0;
        uint32_t order[most];
        mn_error err;
        uint32_t count = 2 + mn_random_below(&random, most - 1);
        fill(&random, a, count);
        fill(&random, b, count);
        assert_ok(mn__mid_ranks(a, count, ranks, &err), &err);
        assert_ok(mn__normal_scores(a, count, scores, &err), &err);
        assert_ok(mn__order_descending(a, count, order, &err), &err);
        for (uint32_t i = 0; i < count; i++) {
            double x = plain_rank(a, count, i) - 0.5 * (count + 1.0);
            double y = plain_rank(b, count, i) - 0.5 * (count + 1.0);
            ab += x * y;
            aa += x * x;
            bb += y * y;
            assert_true(ranks[i] == plain_rank(a, count, i));
            double share = 0.5 * erfc(-scores[i] / sqrt(2.0));
            assert_true(fabs(share - (ranks[i] - 0.5) / count) < 1e-12);
            assert_int_equal(order[plain_place(a, count, i)], i);
        }
        assert_ok(mn__spearman(a, b, count, &rho, &err), &err);
        assert_true(fabs(rho - (aa * bb > 0.0 ? ab / sqrt(aa * bb) : 0.0)) < 1e-12);
    }
}

static void test_first_places(void **state)
{
    (void)state;
    mn_random random = mn_random_make(3, 0);
    for (int round = 0; round < rounds; round++) {
        double scores[most], truth[most], ap = 9.0, gain = 9.0;
        mn_error err;
        uint32_t count = 2 + mn_random_below(&random, most - 1);
        uint32_t asked = 1 + mn_random_below(&random, most);
        uint32_t k = asked < count ? asked : count;
        double precision = 0.0, gained = 0.0, ideal = 0.0;
        fill(&random, scores, count);
        fill(&random, truth, count);
        for (uint32_t place = 0; place < k; place++) {
            uint32_t hits = 0, here = count;
            for (uint32_t i = 0; i < count; i++) {
                bool hit = plain_place(truth, count, i) < k;
                hits += hit && plain_place(scores, count, i) <= place;
                here = plain_place(scores, count, i) == place ? i : here;
            }
            uint32_t true_place = plain_place(truth, count, here);
            if (true_place < k) {
                precision += hits / (place + 1.0) / k;
                gained += (double)(k - true_place) / k / log2(place + 2.0);
            }
            ideal += (double)(k - place) / k / log2(place + 2.0);
        }
        assert_ok(mn__average_precision(scores, truth, count, asked, &ap, &err), &err);
        assert_ok(mn__ndcg(scores, truth, count, asked, &gain, &err), &err);
        assert_true(fabs(ap - precision) < 1e-12);
        assert_true(fabs(gain - gained / ideal) < 1e-12);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    const double good[] = {1, 2, 3};
    const double bad[] = {1, NAN, 3};
    double value = 7.0;
    mn_error err;
    assert_error(
        mn__kendall_tau(good, bad, 3, &value, &err), MN_ERR_ARG, &err, "value 1 is not a number");
    assert_error(mn__kendall_tau(bad, good, 3, &value, &err), MN_ERR_ARG, &err, "value 1");
    assert_error(mn__spearman(good, bad, 3, &value, &err), MN_ERR_ARG, &err, "value 1");
    assert_error(mn__ndcg(good, bad, 3, 2, &value, &err), MN_ERR_ARG, &err, "value 1");
    assert_error(mn__average_precision(bad, good, 3, 2, &value, &err), MN_ERR_ARG, &err, "value 1");
    assert_error(
        mn__average_precision(good, good, 3, 0, &value, &err), MN_ERR_ARG, &err, "first 0");
    assert_error(mn__kendall_tau(good, good, 1, &value, &err), MN_ERR_ARG, &err, "2 or more");
    assert_true(value == 7.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tau),
        cmocka_unit_test(test_tau_of_known),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_first_places),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

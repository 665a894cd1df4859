/* The controller and the measures when allocations fail, one after another. */
#include "test.h"

#include "alloc_failure.h"
#include "rank/controller.h"
#include "rank/quality.h"
#include "rank_fixture.h"

static toy t;

static void test_fit(void **state)
{
    (void)state;
    mn__rank_set set = toy_set(&t, 0, 12);
    mn__rank_opts opts = toy_opts(MN__RANK_AUTO);
    opts.epochs = 1;
    size_t n = 0;
    for (bool failed = true; failed;) {
        mn__controller *controller = NULL;
        mn_error err;
        alloc_fail_at(++n);
        mn_status status = mn__controller_fit(&set, &opts, &controller, &err);
        failed = alloc_has_failed();
        assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
        assert_true((controller == NULL) == failed);
        mn__controller_free(controller);
    }
    assert_true(n > 30);
}

static void test_predict(void **state)
{
    (void)state;
    mn__rank_set set = toy_set(&t, 0, 12);
    mn__rank_opts opts = toy_opts(MN__RANK_JOINT);
    mn__controller *controller = NULL;
    mn_error err;
    opts.epochs = 1;
    assert_ok(mn__controller_fit(&set, &opts, &controller, &err), &err);
    size_t n = 0;
    for (bool failed = true; failed;) {
        double scores[12];
        alloc_fail_at(++n);
        mn_status status = mn__controller_predict(controller, &set, scores, NULL, &err);
        failed = alloc_has_failed();
        assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
    }
    assert_true(n > 4);
    mn__controller_free(controller);
}

static mn_status measure(int which, const double *a, const double *b, mn_error *err)
{
    double value;
    if (which == 0)
        return mn__kendall_tau(a, b, 5, &value, err);
    if (which == 1)
        return mn__spearman(a, b, 5, &value, err);
    return which == 2 ? mn__ndcg(a, b, 5, 3, &value, err)
                      : mn__average_precision(a, b, 5, 3, &value, err);
}

static void test_measures(void **state)
{
    (void)state;
    const double a[] = {1, 5, 2, 2, 0};
    const double b[] = {1, 4, 3, 9, 9};
    for (int which = 0; which < 4; which++) {
        size_t n = 0;
        for (bool failed = true; failed;) {
            mn_error err;
            alloc_fail_at(++n);
            mn_status status = measure(which, a, b, &err);
            failed = alloc_has_failed();
            assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
        }
        assert_true(n > 2);
    }
}

static int set_up(void **state)
{
    toy_make(&t, 1);
    return alloc_failure_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_predict),
        cmocka_unit_test(test_measures),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

/* The controller: that it learns, that it is reproducible, what it refuses. */
#include "test.h"

#include "rank/controller.h"
#include "rank/quality.h"
#include "rank_fixture.h"

enum { taught = 60, others = toy_most - taught };

static mn__controller *fit(const mn__rank_set *set, const mn__rank_opts *opts)
{
    mn__controller *controller = NULL;
    mn_error err;
    assert_ok(mn__controller_fit(set, opts, &controller, &err), &err);
    return controller;
}

/* Scores of those that were not taught. */
static void rank(const toy *t, const mn__rank_opts *opts, double *ret_scores, double *ret_spread)
{
    mn_error err;
    mn__rank_set known = toy_set(t, 0, taught);
    mn__rank_set unknown = toy_set(t, taught, others);
    mn__controller *controller = fit(&known, opts);
    assert_ok(mn__controller_predict(controller, &unknown, ret_scores, ret_spread, &err), &err);
    mn__controller_free(controller);
}

static double tau_of(const toy *t, const double *scores)
{
    double truth[others], tau = 0.0;
    mn_error err;
    for (uint32_t i = 0; i < others; i++)
        truth[i] = t->samples[taught + i].targets[0];
    assert_ok(mn__kendall_tau(scores, truth, others, &tau, &err), &err);
    return tau;
}

static void test_learns(void **state)
{
    (void)state;
    static toy t;
    toy_make(&t, 1);
    for (int kind = 0; kind <= MN__RANK_AUTO; kind++) {
        double scores[others], spread[others];
        mn__rank_opts opts = toy_opts((mn__rank_kind)kind);
        rank(&t, &opts, scores, spread);
        if (!(tau_of(&t, scores) > 0.8))
            fail_msg("%s: tau %g", mn__rank_kind_name((mn__rank_kind)kind), tau_of(&t, scores));
        for (uint32_t i = 0; i < others; i++)
            assert_true(spread[i] > 0.0 && spread[i] < 2.0);
    }
}

/* Only the order of the targets counts, neither their scale nor that of the globals. */
static void test_scales(void **state)
{
    (void)state;
    static toy t;
    double a[others], b[others];
    mn__rank_opts opts = toy_opts(MN__RANK_JOINT);
    toy_make(&t, 2);
    rank(&t, &opts, a, NULL);
    for (uint32_t i = 0; i < toy_most; i++) {
        t.samples[i].targets[0] = -exp(-0.1 * t.samples[i].targets[0]);
        t.samples[i].targets[2] *= 1e9;
        t.globals[i][0] = 0.5f * (t.globals[i][0] - 1e6f);
    }
    rank(&t, &opts, b, NULL);
    for (uint32_t i = 0; i < others; i++)
        assert_true(fabs(a[i] - b[i]) < 1e-2);
}

static void test_reproducible(void **state)
{
    (void)state;
    static toy t;
    double a[others], b[others];
    mn__rank_opts opts = toy_opts(MN__RANK_AUTO);
    toy_make(&t, 3);
    rank(&t, &opts, a, NULL);
    rank(&t, &opts, b, NULL);
    assert_memory_equal(a, b, sizeof a);
    opts.seed++;
    rank(&t, &opts, b, NULL);
    assert_true(a[0] != b[0]);
}

static void test_report(void **state)
{
    (void)state;
    static toy t;
    toy_make(&t, 4);
    mn__rank_set set = toy_set(&t, 0, taught);
    mn__rank_opts opts = toy_opts(MN__RANK_AUTO);
    mn__controller *controller = fit(&set, &opts);
    const mn__rank_report *report = mn__controller_report(controller);
    assert_int_equal(report->folds, opts.folds);
    assert_true(report->kind < MN__RANK_KINDS);
    for (int k = 0; k < MN__RANK_KINDS; k++) {
        assert_true(report->tau[k] > 0.5 && report->tau[k] <= report->tau[report->kind]);
        assert_true(report->tau[k] < 1.0);
    }
    mn__controller_free(controller);

    set = toy_set(&t, 0, 4 * opts.folds - 1); /* too few to choose by */
    controller = fit(&set, &opts);
    report = mn__controller_report(controller);
    assert_true(report->kind == MN__RANK_JOINT && report->folds == 0);
    mn__controller_free(controller);
    opts.kind = MN__RANK_REGRESSOR;
    controller = fit(&set, &opts);
    report = mn__controller_report(controller);
    assert_true(report->kind == MN__RANK_REGRESSOR && report->folds == 0);
    mn__controller_free(controller);
    assert_string_equal(mn__rank_kind_name(MN__RANK_JOINT), "scc");
    assert_string_equal(mn__rank_kind_name(MN__RANK_AUTO), "auto");
}

/* Sequences that tell nothing, globals that tell all. */
static void test_globals(void **state)
{
    (void)state;
    static toy t;
    double scores[others];
    mn__rank_opts opts = toy_opts(MN__RANK_JOINT);
    toy_make(&t, 7);
    for (uint32_t i = 0; i < toy_most; i++) {
        t.globals[i][0] = 1e6f + (float)t.samples[i].targets[0];
        t.samples[i].features = t.features[0];
        t.samples[i].steps = 1;
    }
    rank(&t, &opts, scores, NULL);
    assert_true(tau_of(&t, scores) > 0.9);
}

/* The choice is by what was not seen. Targets without any order in them can be learnt by heart, but
 * not be ranked. */
static void test_folds_are_held_out(void **state)
{
    (void)state;
    static toy t;
    toy_make(&t, 6);
    mn_random random = mn_random_make(1, 1);
    for (uint32_t i = 0; i < toy_most; i++) {
        t.samples[i].targets[0] = (double)mn_random_uniform(&random);
        for (uint32_t j = 0; j < toy_steps * toy_features; j++)
            t.features[i][j] = mn_random_normal(&random);
    }
    mn__rank_set set = toy_set(&t, 0, 90);
    mn__rank_opts opts = toy_opts(MN__RANK_AUTO);
    opts.hidden = 24;
    opts.epochs = 200;
    mn__controller *controller = fit(&set, &opts);
    const mn__rank_report *report = mn__controller_report(controller);
    for (int k = 0; k < MN__RANK_KINDS; k++)
        assert_true(fabs(report->tau[k]) < 0.25);
    mn__controller_free(controller);
}

/* The least there can be: two samples, no globals, one candidate or none. */
static void test_smallest(void **state)
{
    (void)state;
    static toy t;
    double score = NAN, spread = NAN;
    mn_error err;
    toy_make(&t, 5);
    for (int kind = 0; kind <= MN__RANK_AUTO; kind++) {
        mn__rank_opts opts = toy_opts((mn__rank_kind)kind);
        mn__rank_set set = toy_set(&t, 0, MN__RANK_LEAST);
        set.globals = 0;
        mn__controller *controller = fit(&set, &opts);
        set.count = 1;
        assert_ok(mn__controller_predict(controller, &set, &score, &spread, &err), &err);
        assert_true(isfinite(score) && isfinite(spread));
        set.count = 0;
        assert_ok(mn__controller_predict(controller, &set, &score, &spread, &err), &err);
        mn__controller_free(controller);
    }
    mn__controller_free(NULL);
}

static void refuse(const mn__rank_set *set, const mn__rank_opts *opts, const char *text)
{
    mn__controller *controller = NULL;
    mn_error err;
    assert_error(mn__controller_fit(set, opts, &controller, &err), MN_ERR_ARG, &err, text);
    assert_null(controller);
}

static void test_refused_samples(void **state)
{
    (void)state;
    static toy t;
    toy_make(&t, 1);
    mn__rank_set set = toy_set(&t, 0, 10);
    mn__rank_opts opts = toy_opts(MN__RANK_JOINT);
    t.samples[3].targets[0] = NAN;
    refuse(&set, &opts, "sample 3: target 0 is not finite");
    t.samples[3].targets[0] = 1.0;
    t.samples[4].targets[2] = INFINITY;
    refuse(&set, &opts, "sample 4: target 2 is not finite");
    t.samples[4].targets[2] = 1.0;
    t.features[5][2] = NAN;
    refuse(&set, &opts, "sample 5: feature 2 is not finite");
    t.features[5][2] = 0.0f;
    t.globals[6][1] = INFINITY;
    refuse(&set, &opts, "sample 6: global 1 is not finite");
    t.globals[6][1] = 0.0f;
    t.samples[7].globals = NULL;
    refuse(&set, &opts, "sample 7: no globals");
    t.samples[7].globals = t.globals[7];
    t.samples[8].steps = 0;
    refuse(&set, &opts, "sample 8: 0 steps");
    t.samples[8].steps = 1;
    set.count = 1;
    refuse(&set, &opts, "1 samples to learn from, expected at least 2");
    set.count = 10;
    set.features = 0;
    refuse(&set, &opts, "0 features");
}

static void test_refused_options(void **state)
{
    (void)state;
    static toy t;
    toy_make(&t, 1);
    mn__rank_set set = toy_set(&t, 0, 10);
    const mn__rank_opts good = toy_opts(MN__RANK_JOINT);
    mn__rank_opts opts = good;
    opts.hidden = 0;
    refuse(&set, &opts, "hidden 0, expected 1 to 1024");
    opts = good;
    opts.window = 1;
    refuse(&set, &opts, "window 1, expected 2");
    opts = good;
    opts.lambda = NAN;
    refuse(&set, &opts, "lambda nan");
    opts = good;
    opts.rate = -0.1;
    refuse(&set, &opts, "rate -0.1");
    opts = good;
    opts.kind = (mn__rank_kind)(MN__RANK_AUTO + 1);
    refuse(&set, &opts, "kind 4");
}

static void test_refused_candidates(void **state)
{
    (void)state;
    static toy t;
    double scores[10];
    mn_error err;
    toy_make(&t, 1);
    mn__rank_set set = toy_set(&t, 0, 10);
    mn__rank_opts opts = toy_opts(MN__RANK_JOINT);
    opts.epochs = 1;
    mn__controller *controller = fit(&set, &opts);
    t.samples[2].targets[0] = NAN; /* is not read */
    assert_ok(mn__controller_predict(controller, &set, scores, NULL, &err), &err);
    set.globals = 1;
    assert_error(mn__controller_predict(controller, &set, scores, NULL, &err),
                 MN_ERR_ARG,
                 &err,
                 "5 features and 1 globals, the controller learnt from 5 and 2");
    set.globals = toy_globals;
    t.features[9][0] = NAN;
    assert_error(mn__controller_predict(controller, &set, scores, NULL, &err),
                 MN_ERR_ARG,
                 &err,
                 "sample 9: feature 0");
    mn__controller_free(controller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_scales),
        cmocka_unit_test(test_reproducible),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_globals),
        cmocka_unit_test(test_folds_are_held_out),
        cmocka_unit_test(test_smallest),
        cmocka_unit_test(test_refused_samples),
        cmocka_unit_test(test_refused_options),
        cmocka_unit_test(test_refused_candidates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

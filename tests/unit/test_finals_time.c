/* How long finals train: what is planned fits, one epoch more would not, and seeds come last. */
#include "test.h"

#include "search/finals_time.h"

/* Milliseconds of an epoch. What is planned with them has rounds that hardly trained. */
static const double ten[] = {10.0, 10.0, 10.0};
static const double seventeen[] = {17.0, 17.0, 17.0};
static const double unknown[] = {0.0, 0.0, 0.0};

static const mn__finals_known two_of_ten = {.finalists = 2, .epoch_ms = ten};
static const mn__finals_known three_of_ten = {.finalists = 3, .epoch_ms = ten};
static const mn__finals_known two_unknown = {.finalists = 2, .epoch_ms = unknown};

static mn_search_opts options(mn_precision precision, uint32_t jobs)
{
    mn_search_opts opts = mn_search_opts_default();
    opts.precision = precision;
    opts.jobs = jobs;
    return opts;
}

static void test_tuning(void **state)
{
    (void)state;
    static const uint32_t epochs[] = {1, 2, 7, 8, 11, 12, 13, 300};
    static const uint32_t expected[] = {1, 1, 1, 2, 2, 3, 3, 3};
    mn_search_opts opts = options(MN_PRECISION_INT8, 2);
    for (size_t i = 0; i < sizeof epochs / sizeof epochs[0]; i++)
        assert_int_equal(mn__finals_tuning(&opts, epochs[i]), expected[i]);
    opts.qat_epochs = 0;
    assert_int_equal(mn__finals_tuning(&opts, 300), 0);
    opts = options(MN_PRECISION_FLOAT32, 2);
    assert_int_equal(mn__finals_tuning(&opts, 300), 0);
}

static void test_tuning_again(void **state)
{
    (void)state;
    mn_search_opts opts = options(MN_PRECISION_INT8, 2);
    mn__finals_known field = two_of_ten;
    uint32_t seeds = 0;
    uint32_t epochs = 0;
    assert_int_equal(mn__finals_tuning_again(&opts, 13, 13.0), 3);
    assert_int_equal(mn__finals_tuning_again(&opts, 13, 12.9), 1);
    assert_int_equal(mn__finals_tuning_again(&opts, 2, 1.0), 1);
    assert_int_equal(mn__finals_tuning_again(&opts, 2, 3.0), 1);
    /* Only finals that train no longer than the rounds have time for it. */
    field.rounds_epochs = 12.5;
    assert_true(mn__finals_ms(&opts, &field, 1, 12) == 10.0 * (12 + 6 + 6));
    assert_true(mn__finals_ms(&opts, &field, 1, 13) == 10.0 * (13 + 6));
    /* Of two lengths that fit, the longer one: thirteen epochs cost less than twelve. */
    mn__finals_afford(&opts, &field, 195.0, &seeds, &epochs);
    assert_int_equal(epochs, 13);
    mn__finals_afford(&opts, &field, 185.0, &seeds, &epochs);
    assert_int_equal(epochs, 10); /* and two of fine-tuning, twice */
    opts.qat_epochs = 0;
    assert_int_equal(mn__finals_tuning_again(&opts, 300, 1e9), 0);
}

/* Two float32 finalists at 10 ms an epoch: on two workers at once, on one in turn. */
static void test_turns(void **state)
{
    (void)state;
    uint32_t seeds = 0;
    uint32_t epochs = 0;
    mn_search_opts two = options(MN_PRECISION_FLOAT32, 2);
    mn_search_opts one = options(MN_PRECISION_FLOAT32, 1);
    mn__finals_afford(&two, &two_of_ten, 1000.0, &seeds, &epochs);
    assert_int_equal(seeds, 1);
    assert_int_equal(epochs, 100);
    mn__finals_afford(&one, &two_of_ten, 1000.0, &seeds, &epochs);
    assert_int_equal(epochs, 50);
    mn__finals_afford(&two, &three_of_ten, 1000.0, &seeds, &epochs);
    assert_int_equal(epochs, 50);
    /* Fine-tuning takes three epochs of twice the time. */
    mn_search_opts int8 = options(MN_PRECISION_INT8, 2);
    mn__finals_afford(&int8, &two_of_ten, 1060.0, &seeds, &epochs);
    assert_int_equal(epochs, 100);
    mn__finals_afford(&int8, &two_of_ten, 1059.0, &seeds, &epochs);
    assert_int_equal(epochs, 99);
}

/* Each finalist takes its own time: on one worker their times add up, on two the slower one counts.
 */
static void test_unequal(void **state)
{
    (void)state;
    static const double epoch_ms[] = {10.0, 30.0, 20.0};
    const mn__finals_known of_two = {.finalists = 2, .epoch_ms = epoch_ms};
    const mn__finals_known of_three = {.finalists = 3, .epoch_ms = epoch_ms};
    uint32_t seeds = 0;
    uint32_t epochs = 0;
    mn_search_opts one = options(MN_PRECISION_FLOAT32, 1);
    mn_search_opts two = options(MN_PRECISION_FLOAT32, 2);
    mn__finals_afford(&one, &of_two, 400.0, &seeds, &epochs);
    assert_int_equal(seeds, 1);
    assert_int_equal(epochs, 10);
    mn__finals_afford(&two, &of_two, 300.0, &seeds, &epochs);
    assert_int_equal(epochs, 10);
    mn__finals_afford(&two, &of_three, 300.0, &seeds, &epochs); /* 10 and 20 by the same one */
    assert_int_equal(epochs, 10);
    assert_true(mn__finals_ms(&two, &of_two, 2, 1) == 40.0); /* 10 and 30 each */
    assert_true(mn__finals_ms(&one, &of_three, 2, 1) == 120.0);
}

static void test_seeds(void **state)
{
    (void)state;
    uint32_t seeds = 0;
    uint32_t epochs = 0;
    mn_search_opts opts = options(MN_PRECISION_FLOAT32, 2);
    mn__finals_afford(&opts, &two_of_ten, 2999.0, &seeds, &epochs);
    assert_int_equal(seeds, 1);
    assert_int_equal(epochs, 299);
    mn__finals_afford(&opts, &two_of_ten, 3000.0, &seeds, &epochs);
    assert_int_equal(seeds, 2);
    assert_int_equal(epochs, 150);
    mn__finals_afford(&opts, &two_of_ten, 4500.0, &seeds, &epochs);
    assert_int_equal(seeds, 3);
    assert_int_equal(epochs, 150);
    mn__finals_afford(&opts, &two_of_ten, 1e9, &seeds, &epochs);
    assert_int_equal(seeds, 3);
    assert_int_equal(epochs, 300);
    opts.finalist_seeds = 5; /* as asked for, however short the time */
    mn__finals_afford(&opts, &two_of_ten, 1000.0, &seeds, &epochs);
    assert_int_equal(seeds, 5);
    assert_int_equal(epochs, 20);
}

static void test_least(void **state)
{
    (void)state;
    static const double left[] = {1.0, 0.0, -5000.0};
    uint32_t seeds = 0;
    uint32_t epochs = 0;
    mn_search_opts opts = options(MN_PRECISION_INT8, 2);
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        mn__finals_afford(&opts, &two_of_ten, left[i], &seeds, &epochs);
        assert_int_equal(seeds, 1);
        assert_int_equal(epochs, 2);
    }
    mn__finals_afford(&opts, &two_unknown, 1e9, &seeds, &epochs); /* nothing known of their speed */
    assert_int_equal(seeds, 1);
    assert_int_equal(epochs, 2);
}

/* Seeds that idle workers train cost nothing. */
static void test_idle(void **state)
{
    uint32_t seeds = 0;
    uint32_t epochs = 0;
    (void)state;
    for (uint32_t jobs = 2; jobs <= 8; jobs++) {
        mn_search_opts opts = options(MN_PRECISION_INT8, jobs);
        mn__finals_afford(&opts, &two_of_ten, 600.0, &seeds, &epochs);
        assert_int_equal(seeds, jobs < 4 ? 1 : jobs < 6 ? 2 : 3);
        assert_int_equal(epochs, 54); /* and three of fine-tuning, which take twice as long */
    }
}

/* Over times, finalists and workers: what is planned fits, and an epoch more would not. */
static void test_fits(void **state)
{
    (void)state;
    for (uint32_t jobs = 1; jobs <= 4; jobs++)
        for (uint32_t finalists = 1; finalists <= 3; finalists++)
            for (int ms = 500; ms < 20000; ms += 1 + ms / 40) {
                const double left = ms;
                const mn__finals_known all = {.finalists = finalists, .epoch_ms = seventeen};
                uint32_t seeds = 0;
                uint32_t epochs = 0;
                mn_search_opts opts = options(MN_PRECISION_INT8, jobs);
                mn__finals_afford(&opts, &all, left, &seeds, &epochs);
                if (epochs > MN__FINALS_LEAST_EPOCHS)
                    assert_true(mn__finals_ms(&opts, &all, seeds, epochs) <= left);
                if (epochs < MN__FINALS_MOST_EPOCHS)
                    assert_true(mn__finals_ms(&opts, &all, seeds, epochs + 1) > left);
                bool idle = (finalists * seeds + jobs - 1) / jobs == (finalists + jobs - 1) / jobs;
                assert_true(seeds == 1 || idle || epochs >= 150);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tuning),
        cmocka_unit_test(test_tuning_again),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_unequal),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_least),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Learning rates: shape, ends, peak, and the degenerate lengths. */
#include "test.h"

#include <math.h>

#include "train/schedule.h"

static const mn_schedule all[] = {MN_SCHEDULE_COSINE, MN_SCHEDULE_ONE_CYCLE};
static const double rises[] = {0.05, 0.25}; /* share of the training that warms up */

static void test_shape(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {1, 2, 3, 7, 20, 100, 1001, 40000};
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            uint64_t steps = lengths[i];
            float before = 0.0f;
            for (uint64_t step = 0; step < steps; step++) {
                float rate = mn__schedule_rate(all[s], 0.4f, step, steps);
                double at = ((double)step + 0.5) / (double)steps;
                assert_true(rate > 0.0f && rate <= 0.4f);
                if (step > 0 && at < rises[s])
                    assert_true(rate > before);
                if (step > 0 && at - 1.0 / (double)steps >= rises[s])
                    assert_true(rate <= before); /* the top of a cosine is flat */
                before = rate;
            }
            /* The last step lies half a step from the end, and no slope of either schedule is above
             * pi/2 * peak / (1 - rise) a training. */
            double most = 1.5708 * 0.4 * 0.5 / (double)steps / (1.0 - rises[s]);
            assert_true((double)before <= most);
        }
}

static void test_known_values(void **state)
{
    (void)state;
    /* Step 9 of 20 stands at 0.475. */
    double cosine = 0.5 * (1.0 + cos(acos(-1.0) * (0.475 - 0.05) / 0.95));
    assert_true(fabs((double)mn__schedule_rate(MN_SCHEDULE_COSINE, 2.0f, 9, 20) - 2.0 * cosine) <
                1e-6);
    assert_true(fabs((double)mn__schedule_rate(MN_SCHEDULE_ONE_CYCLE, 2.0f, 9, 20) -
                     2.0 * 0.525 / 0.75) < 1e-6);
    /* Warm-up: step 0 of 100 stands at 0.005. */
    assert_true(fabs((double)mn__schedule_rate(MN_SCHEDULE_COSINE, 1.0f, 0, 100) - 0.1) < 1e-7);
    assert_true(fabs((double)mn__schedule_rate(MN_SCHEDULE_ONE_CYCLE, 1.0f, 0, 100) - 0.02) < 1e-7);
    /* The peak is reached. */
    for (int s = 0; s < 2; s++) {
        float most = 0.0f;
        for (uint64_t step = 0; step < 1000; step++)
            most = fmaxf(most, mn__schedule_rate(all[s], 1.0f, step, 1000));
        assert_true(most > 0.995f);
    }
}

static void test_scale(void **state)
{
    (void)state;
    for (int s = 0; s < 2; s++) {
        assert_true(mn__schedule_rate(all[s], 0.0f, 3, 10) == 0.0f);
        float one = mn__schedule_rate(all[s], 1.0f, 3, 10);
        assert_true(mn__schedule_rate(all[s], 4.0f, 3, 10) == 4.0f * one);
        /* Long trainings keep their precision. */
        float late = mn__schedule_rate(all[s], 1.0f, UINT64_C(4000000000), UINT64_C(8000000000));
        float same = mn__schedule_rate(all[s], 1.0f, 4000, 8000);
        assert_true(fabsf(late - same) < 1e-3f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

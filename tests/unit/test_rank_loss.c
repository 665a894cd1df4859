/* Losses of the controller: by hand, and gradients by central differences. */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "rank/loss.h"

enum { n = 6, targets = 3 };

static void test_joint_by_hand(void **state)
{
    (void)state;
    const float y[2 * targets] = {1, 0, 2, 3, 1, 1};
    const float t[2 * targets] = {0, 0, 0, 1, 2, 1};
    float dy[2 * targets];
    mn__rank_loss loss = {.lambda = 0.75, .pairwise = false};
    /* squares: accuracy 1 and 4, parameters 0 and 1, intermediate 4 and 0 */
    double expected = 0.75 * 2.5 + 0.25 * 0.5 + 0.25 * 2.0;
    assert_true(fabs(mn__rank_loss_of(&loss, y, t, 2, dy) - expected) < 1e-9);
}

static void test_pairs_by_hand(void **state)
{
    (void)state;
    const float y[3 * targets] = {1, 0, 0, 3, 0, 0, 3, 0, 0};
    const float t[3 * targets] = {5, 0, 0, 1, 0, 0, 1, 0, 0};
    float dy[3 * targets];
    mn__rank_loss loss = {.lambda = 1.0, .pairwise = true};
    /* two pairs, both wrong by two; the equal ones are none */
    assert_true(fabs(mn__rank_loss_of(&loss, y, t, 3, dy) - log1p(exp(2.0))) < 1e-9);
    const float far[2 * targets] = {-1e4f, 0, 0, 1e4f, 0, 0};
    assert_true(fabs(mn__rank_loss_of(&loss, far, t, 2, dy) - 2e4) < 1e-6);
    assert_true(mn__rank_loss_of(&loss, far, t + targets, 2, dy) == 0.0); /* no pair */
    for (int i = 0; i < 2 * targets; i++)
        assert_true(dy[i] == 0.0f);
}

static void test_gradients(void **state)
{
    (void)state;
    mn_random random = mn_random_make(5, 0);
    for (int pairwise = 0; pairwise < 2; pairwise++) {
        mn__rank_loss loss = {.lambda = 0.3, .pairwise = pairwise};
        float y[n * targets], t[n * targets], dy[n * targets], unused[n * targets];
        for (int i = 0; i < n * targets; i++) {
            y[i] = mn_random_normal(&random);
            t[i] = (float)mn_random_below(&random, 3);
        }
        (void)mn__rank_loss_of(&loss, y, t, n, dy);
        for (int i = 0; i < n * targets; i++) {
            const float step = 1e-2f;
            float kept = y[i];
            y[i] = kept + step;
            float upper = y[i];
            double up = mn__rank_loss_of(&loss, y, t, n, unused);
            y[i] = kept - step;
            double down = mn__rank_loss_of(&loss, y, t, n, unused);
            double numeric = (up - down) / ((double)upper - (double)y[i]);
            y[i] = kept;
            assert_true(fabs(numeric - (double)dy[i]) < 1e-4);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joint_by_hand),
        cmocka_unit_test(test_pairs_by_hand),
        cmocka_unit_test(test_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

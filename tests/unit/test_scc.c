/* The network of the controller: gradients through encoder, ranking GRU and head against central
 * differences, and who sees whom. */
#include "test.h"

#include <math.h>

#include "rank/loss.h"
#include "rank/scc.h"

enum { features = 4, globals = 3, hidden = 5, head = 4, candidates = 4, most_steps = 5 };

typedef struct fixture {
    mn__scc net;
    mn__rank_loss loss;
    float *weights;
    float x[candidates * most_steps * features];
    float g[candidates * globals];
    float t[candidates * mn__rank_targets];
    mn__scc_input inputs[candidates];
    mn__scc_work work;
} fixture;

static const uint32_t order[candidates] = {2, 0, 3, 1};

static void set_up(fixture *f, bool company, bool pairwise)
{
    mn_error err;
    mn_random random = mn_random_make(7, company);
    *f = (fixture){.loss = {.lambda = 0.6, .pairwise = pairwise}};
    f->net = mn__scc_make(features, globals, hidden, head, company);
    size_t count = mn__scc_weights(&f->net);
    f->weights = calloc(count, sizeof *f->weights);
    assert_non_null(f->weights);
    mn__scc_initialise(&f->net, f->weights, &random);
    for (size_t i = 0; i < sizeof f->x / sizeof f->x[0]; i++)
        f->x[i] = mn_random_normal(&random);
    for (size_t i = 0; i < sizeof f->g / sizeof f->g[0]; i++)
        f->g[i] = mn_random_normal(&random);
    for (size_t i = 0; i < sizeof f->t / sizeof f->t[0]; i++)
        f->t[i] = mn_random_normal(&random);
    for (uint32_t i = 0; i < candidates; i++)
        f->inputs[i] = (mn__scc_input){.steps = i + 2, /* of unequal length */
                                       .features = f->x + i * most_steps * features,
                                       .globals = f->g + i * globals};
    assert_ok(mn__scc_work_create(&f->net, candidates, most_steps, &f->work, &err), &err);
}

static void tear_down(fixture *f)
{
    mn__scc_work_free(&f->work);
    free(f->weights);
}

static double loss_now(fixture *f)
{
    mn__scc_forward(&f->net, f->weights, f->inputs, order, candidates, &f->work);
    return mn__rank_loss_of(&f->loss, f->work.y, f->t, candidates, f->work.dy);
}

static void check_gradient(bool company, bool pairwise)
{
    fixture f;
    const float step = 1e-2f;
    set_up(&f, company, pairwise);
    size_t count = mn__scc_weights(&f.net);
    float *gradient = calloc(count, sizeof *gradient);
    assert_non_null(gradient);
    (void)loss_now(&f);
    mn__scc_backward(&f.net, f.weights, f.inputs, order, candidates, &f.work, gradient);
    for (size_t i = 0; i < count; i++) {
        float kept = f.weights[i];
        f.weights[i] = kept + step;
        double up = loss_now(&f);
        f.weights[i] = kept - step;
        double down = loss_now(&f);
        f.weights[i] = kept;
        double numeric = (up - down) / (2.0 * (double)step);
        if (!(fabs(numeric - (double)gradient[i]) <= 5e-4 + 2e-3 * fabs(numeric)))
            fail_msg("weight %zu: %g, expected %g", i, (double)gradient[i], numeric);
    }
    free(gradient);
    tear_down(&f);
}

static void test_gradients(void **state)
{
    (void)state;
    for (int company = 0; company < 2; company++)
        for (int pairwise = 0; pairwise < 2; pairwise++)
            check_gradient(company, pairwise);
}

/* Changes the features of the candidate at place `changed` and tells whose predictions move. */
static uint32_t moved(bool company, uint32_t changed)
{
    fixture f;
    float before[candidates * mn__rank_targets];
    uint32_t who = 0;
    set_up(&f, company, false);
    (void)loss_now(&f);
    memcpy(before, f.work.y, sizeof before);
    f.x[order[changed] * most_steps * features] += 1.0f;
    (void)loss_now(&f);
    for (uint32_t i = 0; i < candidates * mn__rank_targets; i++)
        if (before[i] != f.work.y[i])
            who |= 1u << (i / mn__rank_targets);
    tear_down(&f);
    return who;
}

/* With a ranking GRU a candidate is seen by those after it, else by nobody. */
static void test_company(void **state)
{
    (void)state;
    assert_int_equal(moved(true, 0), 0xf);
    assert_int_equal(moved(true, 2), 0xc);
    assert_int_equal(moved(false, 0), 0x1);
    assert_int_equal(moved(false, 2), 0x4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_company),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

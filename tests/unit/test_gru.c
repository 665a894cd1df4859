/* The recurrent layer: forward against the formulas in double, backward against central
 * differences. */
#include "test.h"

#include <math.h>

#include "rank/gru.h"

enum { inputs = 5, units = 4, steps = 6, weight_count = 3 * units * (inputs + units + 1) + units };

static const mn__gru layer = {inputs, units};

typedef struct fixture {
    float weights[weight_count];
    float x[steps * inputs];
    float pull[steps * units]; /* the loss: sum of pull * state */
    float block[(5 * steps + 1) * units];
} fixture;

static fixture make(uint64_t seed)
{
    fixture f;
    mn_random random = mn_random_make(seed, 0);
    mn__gru_initialise(&layer, f.weights, &random);
    for (size_t i = 3 * units * (inputs + units); i < weight_count; i++)
        f.weights[i] = 0.5f * mn_random_normal(&random);
    for (size_t i = 0; i < steps * inputs; i++)
        f.x[i] = mn_random_below(&random, 3) == 0 ? 0.0f : mn_random_normal(&random);
    for (size_t i = 0; i < steps * units; i++)
        f.pull[i] = mn_random_normal(&random);
    return f;
}

static double loss(fixture *f)
{
    mn__gru_trace trace = mn__gru_trace_make(&layer, steps, f->block);
    mn__gru_forward(&layer, f->weights, f->x, steps, &trace);
    double sum = 0.0;
    for (size_t i = 0; i < steps * units; i++)
        sum += (double)f->pull[i] * (double)trace.h[units + i];
    return sum;
}

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

/* One gate before its function: W x + b, or U h. */
static double product(const float *w, const double *x, size_t count, size_t gate, size_t unit)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += (double)w[i * 3 * units + gate * units + unit] * x[i];
    return sum;
}

static void test_sizes(void **state)
{
    (void)state;
    assert_int_equal(mn__gru_weights(&layer), weight_count);
    assert_int_equal(mn__gru_trace_floats(&layer, steps), (5 * steps + 1) * units);
}

static void test_forward(void **state)
{
    (void)state;
    fixture f = make(3);
    const float *u = f.weights + 3 * units * inputs;
    const float *b = u + 3 * units * units;
    const float *c = b + 3 * units;
    double h[units] = {0};
    mn__gru_trace trace = mn__gru_trace_make(&layer, steps, f.block);
    mn__gru_forward(&layer, f.weights, f.x, steps, &trace);
    for (size_t t = 0; t < steps; t++) {
        double x[inputs], next[units];
        for (size_t i = 0; i < inputs; i++)
            x[i] = (double)f.x[t * inputs + i];
        for (size_t k = 0; k < units; k++) {
            double z = sigmoid(product(f.weights, x, inputs, 0, k) + product(u, h, units, 0, k) +
                               (double)b[k]);
            double r = sigmoid(product(f.weights, x, inputs, 1, k) + product(u, h, units, 1, k) +
                               (double)b[units + k]);
            double n = tanh(product(f.weights, x, inputs, 2, k) + (double)b[2 * units + k] +
                            r * (product(u, h, units, 2, k) + (double)c[k]));
            next[k] = (1.0 - z) * n + z * h[k];
            assert_true(fabs(next[k] - (double)trace.h[(t + 1) * units + k]) < 2e-6);
        }
        memcpy(h, next, sizeof h);
    }
}

static void assert_slope(fixture *f, float *element, float analytic)
{
    const float step = 1e-2f;
    float kept = *element;
    *element = kept + step;
    double up = loss(f);
    *element = kept - step;
    double down = loss(f);
    *element = kept;
    double numeric = (up - down) / (2.0 * (double)step);
    if (!(fabs(numeric - (double)analytic) <= 1e-3 + 1e-3 * fabs(numeric)))
        fail_msg("slope %g, expected %g", (double)analytic, numeric);
}

static void test_backward(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        fixture f = make(seed);
        float dh[steps * units], dx[steps * inputs], dweights[weight_count], workspace[6 * units];
        (void)loss(&f);
        memcpy(dh, f.pull, sizeof dh);
        for (size_t i = 0; i < weight_count; i++)
            dweights[i] = 1.0f; /* gradients are added */
        mn__gru_trace trace = mn__gru_trace_make(&layer, steps, f.block);
        mn__gru_backward pass = {.weights = f.weights,
                                 .x = f.x,
                                 .steps = steps,
                                 .trace = &trace,
                                 .dh = dh,
                                 .dx = dx,
                                 .dweights = dweights,
                                 .workspace = workspace};
        mn__gru_backward_run(&layer, &pass);
        for (size_t i = 0; i < weight_count; i++)
            assert_slope(&f, &f.weights[i], dweights[i] - 1.0f);
        for (size_t i = 0; i < steps * inputs; i++)
            assert_slope(&f, &f.x[i], dx[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_backward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

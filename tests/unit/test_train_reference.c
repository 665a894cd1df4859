/*
 * Logits and gradients of whole networks against a run in double from the definitions: random
 * graphs, and convolutions whose images are so large that they are computed band by band.
 *
 * Tests of gradients by differences look at one op at a time; here gradients are summed, handed on
 * and overwritten in place as in a real network.
 */
#include "test.h"

#include <math.h>

#include "memnet/deploy.h"
#include "train_graphs.h"
#include "train_reference.h"
#include "train_run.h"

/* Distance of a tensor's gradient from the reference, and the reference's length. */
static double
distance(const float *actual, const double *expected, size_t count, double *ret_length)
{
    double apart = 0.0, length = 0.0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)actual[i] - expected[i];
        apart += d * d;
        length += expected[i] * expected[i];
    }
    *ret_length = sqrt(length);
    return sqrt(apart);
}

/* Float has an error of some 1e-7 an operation; the worst of these graphs shows 2e-5, where a batch
 * norm divides by a small deviation. Gradients that should be nothing (of a bias in front of a
 * norm) are what rounding leaves of terms of about 0.1. */
static void
check_tensor(const char *what, uint32_t number, const char *name, double apart, double length)
{
    if (!(apart <= 1e-3 * (length + 0.1)))
        fail_msg("%s %u: %s differs by %g of %g", what, number, name, apart, length);
}

static void check(mn_graph *graph, uint32_t slices, const char *what, uint32_t number)
{
    train_run run = run_create(graph, mn__simd_choose(false), slices, false);
    train_reference reference = reference_run(graph, run.tensors, run.images, run_batch);
    const uint32_t last = mn_graph_node_count(graph) - 1;
    double length;
    run_once(&run);
    reference_backward(&reference, run.logits_gradient);
    double apart = distance(
        run.net->logits, reference.value[last], reference_count(&reference, last), &length);
    check_tensor(what, number, "logits", apart, length);
    for (uint32_t t = 0; t < run.gradients->count; t++) {
        const mn_tensor_info *info = mn_graph_tensor(graph, t);
        if (!run_learns(graph, t))
            continue;
        apart = distance(run.gradients->items[t].data,
                         reference.tensor_gradient[t],
                         mn_graph_tensor_elements(graph, t),
                         &length);
        check_tensor(what, number, info->name, apart, length);
    }
    reference_done(&reference);
    run_done(&run);
    mn_graph_free(graph);
}

static void test_hard_graphs(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < sketch_hard_count; i++)
        check(sketch_hard(i), 1, "hard graph", i);
}

static void test_random_graphs(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 250; seed++)
        check(sketch_random(seed), seed % 3 + 1, "random graph", seed);
}

/* What is trained to be quantised: biases and activations in every node that takes them. */
static void test_deployed_graphs(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < sketch_hard_count + 100; i++) {
        mn_error err;
        mn_graph *deployed = NULL;
        mn_graph *graph =
            i < sketch_hard_count ? sketch_hard(i) : sketch_random(2000 + i - sketch_hard_count);
        assert_ok(mn_deploy(graph, NULL, &deployed, NULL, &err), &err);
        mn_graph_free(graph);
        check(deployed, i % 3 + 1, "deployed graph", i);
    }
}

/* Rows of these images are so long that no band of them fits the cache. */
static void test_bands(void **state)
{
    (void)state;
    static const struct {
        uint32_t h, w, channels, out;
        mn_window window;
        bool norm; /* the input is a view */
    } cases[] = {
        {17, 24, 64, 5, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, false},
        {17, 24, 64, 5, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, true},
        {21, 24, 64, 5, {3, 3, 1, 1, 1, 1, 0, 0, 0, 0}, false},
        {41, 16, 64, 5, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, true},
        {41, 17, 64, 5, {3, 3, 2, 2, 1, 1, 0, 0, 0, 0}, false},
        {18, 24, 64, 5, {2, 2, 2, 2, 1, 1, 0, 0, 0, 0}, false},
        {18, 24, 64, 5, {2, 2, 2, 2, 1, 1, 0, 0, 0, 0}, true},
        {21, 24, 64, 5, {3, 3, 3, 3, 1, 1, 0, 0, 0, 0}, false},
        {13, 24, 64, 20, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, false},
        {13, 24, 64, 20, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, true},
        {13, 24, 64, 5, {1, 1, 2, 2, 1, 1, 0, 0, 0, 0}, false},
        {13, 24, 64, 5, {1, 1, 2, 2, 1, 1, 0, 0, 0, 0}, true},
        {13, 25, 64, 5, {1, 1, 2, 2, 1, 1, 0, 0, 0, 0}, false},
        {13, 25, 64, 5, {1, 1, 2, 2, 1, 1, 0, 0, 0, 0}, true},
        {13, 25, 64, 5, {1, 1, 3, 3, 1, 1, 0, 0, 0, 0}, false},
        {28, 28, 64, 5, {1, 1, 3, 3, 1, 1, 0, 0, 0, 0}, true},
        {40, 24, 32, 5, {3, 3, 1, 1, 2, 2, 2, 2, 2, 2}, true},
        {14, 40, 40, 5, {1, 7, 1, 1, 1, 1, 0, 3, 0, 3}, false},
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sketch s;
        uint32_t x = sketch_start(&s, 1, (mn_shape){cases[i].h, cases[i].w, 2});
        x = sketch_conv(&s, x, cases[i].channels, 1, 1, false);
        if (cases[i].norm)
            x = sketch_norm_relu(&s, x);
        const mn_node_spec spec = {
            .prim = MN_PRIM_CONV, .channels = cases[i].out, .window = cases[i].window};
        check(sketch_finish(&s, sketch_node(&s, spec, &x, 1)), 1, "bands", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bands),
        cmocka_unit_test(test_hard_graphs),
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_deployed_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

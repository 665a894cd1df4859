/*
 * Gradients of every trainable op, and of whole networks, against central differences.
 *
 * A float32 loss is only so smooth: a kink of relu or max pooling inside the step spoils a central
 * difference, so an element passes when the central or a one-sided difference of one of several
 * step sizes agrees.
 */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "memnet/genotype.h"
#include "memnet/train.h"
#include "train/loss.h"
#include "train/network.h"
#include "train_fixture.h"

enum { batch = 3, classes = 4, checks_per_tensor = 10 };

typedef struct fixture {
    mn_graph_builder *builder;
    uint32_t last;
    uint32_t counter;
} fixture;

static uint32_t add_node(fixture *f, mn_node_spec spec, const uint32_t *inputs, uint32_t count)
{
    char name[32];
    snprintf(name, sizeof name, "n%u", f->counter++);
    spec.name = name;
    spec.layer = MN_NONE;
    spec.inputs = inputs;
    spec.input_count = count;
    f->last = mn_graph_add(f->builder, &spec);
    return f->last;
}

static uint32_t add_one(fixture *f, mn_node_spec spec, uint32_t input)
{
    return add_node(f, spec, &input, 1);
}

static uint32_t
conv(fixture *f, uint32_t in, uint32_t channels, mn_window w, uint32_t groups, bool bias)
{
    mn_node_spec spec = {
        .prim = MN_PRIM_CONV, .channels = channels, .window = w, .groups = groups, .bias = bias};
    return add_one(f, spec, in);
}

static mn_window
same(const fixture *f, uint32_t in, uint32_t kh, uint32_t kw, uint32_t s, uint32_t d)
{
    return mn_window_same(mn_graph_builder_shape(f->builder, in), kh, kw, s, d);
}

static uint32_t simple(fixture *f, mn_prim prim, uint32_t in)
{
    return add_one(f, (mn_node_spec){.prim = prim}, in);
}

/* Input (7,6,3) and a 1x1 convolution with bias to `channels`, so that the op under test has an
 * input that wants a gradient. */
static uint32_t start(fixture *f, uint32_t channels)
{
    mn_error err;
    *f = (fixture){0};
    assert_ok(mn_graph_builder_create(&f->builder, &err), &err);
    uint32_t in = add_node(f, (mn_node_spec){.prim = MN_PRIM_INPUT, .shape = {7, 6, 3}}, NULL, 0);
    return channels == 0 ? in : conv(f, in, channels, same(f, in, 1, 1, 1, 1), 1, true);
}

static mn_graph *finish(fixture *f)
{
    mn_error err;
    mn_graph *graph = NULL;
    mn_node_spec spec = {.prim = MN_PRIM_FULLY_CONNECTED, .channels = classes, .bias = true};
    uint32_t out = add_one(f, spec, f->last);
    assert_ok(mn_graph_builder_finish(f->builder, &out, 1, &graph, &err), &err);
    mn_graph_builder_free(f->builder);
    return graph;
}

typedef struct probe {
    mn__network *net;
    mn_tensors *tensors;
    float *images;
    uint16_t labels[batch];
} probe;

static double loss_now(probe *p, uint32_t changed)
{
    const mn__targets targets = {.labels = p->labels, .smoothing = 0.1f};
    mn__parameter_import(p->net, changed, p->tensors);
    mn__network_forward(p->net, p->images, true);
    return mn__loss(p->net->logits, &targets, batch, batch, classes, p->net->logits_gradient);
}

static bool near(double numeric, float analytic)
{
    return fabs(numeric - (double)analytic) <= 1e-3 + 2e-2 * fabs(numeric);
}

static bool element_agrees(probe *p, uint32_t tensor, float *element, float analytic)
{
    static const float steps[] = {1e-2f, 2e-3f, 5e-4f};
    float kept = *element;
    bool agrees = false;
    double here = loss_now(p, tensor);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && !agrees; i++) {
        double h = (double)steps[i];
        *element = kept + steps[i];
        double up = loss_now(p, tensor);
        *element = kept - steps[i];
        double down = loss_now(p, tensor);
        agrees = near((up - down) / (2.0 * h), analytic) || near((up - here) / h, analytic) ||
                 near((here - down) / h, analytic);
    }
    *element = kept;
    (void)loss_now(p, tensor);
    return agrees;
}

static void randomise(const mn_graph *graph, mn_tensors *tensors, mn_random *random)
{
    for (uint32_t t = 0; t < tensors->count; t++) {
        mn_tensor_role role = mn_graph_tensor(graph, t)->role;
        float *data = tensors->items[t].data;
        for (size_t i = 0; i < mn_graph_tensor_elements(graph, t); i++)
            if (role == MN_ROLE_BIAS || role == MN_ROLE_BETA)
                data[i] = 0.3f * mn_random_normal(random);
            else if (role == MN_ROLE_GAMMA)
                data[i] = 0.7f + 0.6f * mn_random_uniform(random);
    }
}

/* A network with random numbers on random images, and its gradients. */
static mn_tensors *
probe_init(probe *p, const mn_graph *graph, mn_arena *arena, uint32_t threads, bool separate)
{
    mn_error err;
    mn_tensors *gradients = NULL;
    mn_random random = mn_random_make(11, 7);
    size_t pixels = batch * mn_shape_elements(mn_graph_node(graph, 0)->shape);
    *p = (probe){0};
    const mn__network_opts opts = {
        .batch = batch, .slices = threads, .simd = mn__simd_choose(false), .separate = separate};
    assert_ok(mn__network_create(graph, &opts, arena, &p->net, &err), &err);
    assert_ok(mn_tensors_initialise(graph, 5, &p->tensors, &err), &err);
    randomise(graph, p->tensors, &random);
    p->images = aligned_alloc(64, (pixels * sizeof(float) + 63) / 64 * 64);
    for (size_t i = 0; i < pixels; i++)
        p->images[i] = mn_random_normal(&random);
    for (uint32_t i = 0; i < batch; i++)
        p->labels[i] = (uint16_t)mn_random_below(&random, classes);
    assert_ok(mn_tensors_create_for_graph(graph, &gradients, &err), &err);
    mn__parameters_import(p->net, MN__PART_VALUE, p->tensors);
    (void)loss_now(p, 0);
    mn__network_backward(p->net);
    mn__parameters_export(p->net, MN__PART_GRADIENT, gradients);
    return gradients;
}

static void probe_done(probe *p)
{
    free(p->images);
    mn_tensors_free(p->tensors);
    mn__network_free(p->net);
}

/* Of two hundred elements one may sit on a kink that no step avoids; in a small network none does.
 */
static void check_elements(probe *p, const mn_tensors *gradients, const char *what)
{
    mn_random random = mn_random_make(12, 7);
    uint32_t bad = 0;
    uint32_t checked = 0;
    for (uint32_t t = 0; t < p->tensors->count; t++) {
        const mn_tensor_info *info = mn_graph_tensor(p->net->graph, t);
        if (info->role == MN_ROLE_MEAN || info->role == MN_ROLE_VARIANCE)
            continue;
        uint32_t count = (uint32_t)mn_graph_tensor_elements(p->net->graph, t);
        bool all = count <= checks_per_tensor;
        float *values = p->tensors->items[t].data;
        const float *analytic = gradients->items[t].data;
        for (uint32_t k = 0; k < (all ? count : checks_per_tensor); k++) {
            uint32_t i = all ? k : mn_random_below(&random, count);
            checked++;
            if (element_agrees(p, t, &values[i], analytic[i]))
                continue;
            bad++;
            print_message("%s: %s[%u]: analytic %g\n", what, info->name, i, (double)analytic[i]);
        }
    }
    assert_true(bad * 200 <= checked);
}

static void check_graph(mn_graph *graph, const char *what)
{
    mn_error err;
    mn_arena *arena = NULL;
    probe p;
    assert_ok(mn_arena_create(&arena, &err), &err);
    mn_tensors *gradients = probe_init(&p, graph, arena, 1, false);
    check_elements(&p, gradients, what);
    mn_tensors_free(gradients);
    probe_done(&p);
    mn_arena_free(arena);
    mn_graph_free(graph);
}

/* Two threads give what one gives, up to rounding. */
static void check_threads(const mn_graph *graph)
{
    mn_error err;
    mn_arena *arenas[2] = {NULL};
    mn_tensors *gradients[2];
    probe p[2];
    for (uint32_t i = 0; i < 2; i++) {
        assert_ok(mn_arena_create(&arenas[i], &err), &err);
        gradients[i] = probe_init(&p[i], graph, arenas[i], i + 1, false);
    }
    for (uint32_t t = 0; t < gradients[0]->count; t++)
        for (size_t i = 0; i < mn_graph_tensor_elements(graph, t); i++) {
            float one = ((float *)gradients[0]->items[t].data)[i];
            float two = ((float *)gradients[1]->items[t].data)[i];
            if (!(fabsf(one - two) <= 1e-4f * (1.0f + fabsf(one))))
                fail_msg("%s[%zu]: %g and %g",
                         mn_graph_tensor(graph, t)->name,
                         i,
                         (double)one,
                         (double)two);
        }
    for (int i = 0; i < 2; i++) {
        mn_tensors_free(gradients[i]);
        probe_done(&p[i]);
        mn_arena_free(arenas[i]);
    }
}

static void test_dense_convolutions(void **state)
{
    (void)state;
    static const struct {
        uint32_t in, out, kh, kw, stride, dilation;
        bool bias;
    } cases[] = {
        {5, 7, 3, 3, 1, 1, true},
        {16, 16, 3, 3, 2, 1, false},
        {5, 7, 3, 3, 1, 2, false},
        {20, 6, 3, 3, 2, 2, true},
        {5, 7, 1, 7, 1, 1, false},
        {5, 7, 7, 1, 1, 1, true},
        {5, 18, 1, 1, 1, 1, false},
        {17, 9, 1, 1, 2, 1, true},
        {33, 5, 5, 5, 1, 1, false},
        {0, 7, 3, 3, 1, 1, false},
        {0, 7, 3, 3, 2, 1, true},
        {0, 7, 1, 1, 1, 1, true},
        {0, 7, 3, 3, 2, 2, false},
        {17, 9, 3, 3, 1, 2, true},
        {5, 7, 3, 3, 1, 3, true},
        {0, 7, 3, 3, 1, 2, false},
        {5, 7, 1, 3, 1, 2, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f;
        char what[32];
        uint32_t x = start(&f, cases[i].in);
        mn_window w = same(&f, x, cases[i].kh, cases[i].kw, cases[i].stride, cases[i].dilation);
        conv(&f, x, cases[i].out, w, 1, cases[i].bias);
        snprintf(what, sizeof what, "dense conv %zu", i);
        check_graph(finish(&f), what);
    }
}

static void test_asymmetric_padding(void **state)
{
    (void)state;
    fixture f;
    uint32_t x = start(&f, 5);
    conv(&f, x, 6, (mn_window){3, 3, 2, 1, 1, 1, 0, 2, 1, 0}, 1, true);
    check_graph(finish(&f), "asymmetric padding");
}

static void test_depthwise_convolutions(void **state)
{
    (void)state;
    for (uint32_t kernel = 3; kernel <= 7; kernel += 2)
        for (uint32_t stride = 1; stride <= 3; stride++)
            for (uint32_t bias = 0; bias <= 1; bias++) {
                fixture f;
                char what[48];
                uint32_t channels = 4 + 7 * stride + 3 * bias;
                uint32_t x = start(&f, channels);
                conv(&f, x, channels, same(&f, x, kernel, kernel, stride, 1), channels, bias == 1);
                snprintf(what, sizeof what, "depthwise %u stride %u", kernel, stride);
                check_graph(finish(&f), what);
            }
    fixture f;
    uint32_t x = start(&f, 0);
    conv(&f, x, 3, same(&f, x, 5, 5, 1, 1), 3, false);
    check_graph(finish(&f), "depthwise on the image");
}

static void test_norms_and_activations(void **state)
{
    (void)state;
    fixture f;
    uint32_t x = start(&f, 9);
    simple(&f, MN_PRIM_BATCH_NORM, x);
    check_graph(finish(&f), "batch norm");
    x = start(&f, 21);
    simple(&f, MN_PRIM_RELU, simple(&f, MN_PRIM_BATCH_NORM, x));
    check_graph(finish(&f), "batch norm + relu");
    x = start(&f, 9);
    uint32_t normed = simple(&f, MN_PRIM_BATCH_NORM, x);
    uint32_t both[2] = {normed, simple(&f, MN_PRIM_RELU, normed)};
    add_node(&f, (mn_node_spec){.prim = MN_PRIM_CONCAT}, both, 2);
    check_graph(finish(&f), "relu beside another reader");
    x = start(&f, 9);
    simple(&f, MN_PRIM_RELU, x);
    check_graph(finish(&f), "relu");
    x = start(&f, 9);
    simple(&f, MN_PRIM_RELU6, x);
    check_graph(finish(&f), "relu6");
    x = start(&f, 9);
    mn_node_spec fused = {.prim = MN_PRIM_CONV,
                          .channels = 8,
                          .window = same(&f, x, 3, 3, 1, 1),
                          .bias = true,
                          .act = MN_ACT_RELU};
    add_one(&f, fused, x);
    check_graph(finish(&f), "conv with bias and fused relu");
}

static void test_pools(void **state)
{
    (void)state;
    static const mn_prim prims[] = {MN_PRIM_MAX_POOL, MN_PRIM_AVG_POOL};
    for (int i = 0; i < 2; i++)
        for (uint32_t stride = 1; stride <= 2; stride++) {
            fixture f;
            uint32_t x = start(&f, 10);
            mn_node_spec spec = {.prim = prims[i], .window = same(&f, x, 3, 3, stride, 1)};
            add_one(&f, spec, x);
            check_graph(finish(&f), "pool");
        }
    fixture f;
    uint32_t x = start(&f, 19);
    simple(&f, MN_PRIM_GLOBAL_POOL, x);
    check_graph(finish(&f), "global pool");
    x = start(&f, 6);
    add_one(
        &f, (mn_node_spec){.prim = MN_PRIM_MAX_POOL, .window = {2, 2, 2, 2, 1, 1, 0, 0, 0, 0}}, x);
    check_graph(finish(&f), "2x2 max pool, odd height");
}

static void test_joins(void **state)
{
    (void)state;
    fixture f;
    uint32_t x = start(&f, 9);
    uint32_t y = conv(&f, x, 9, same(&f, x, 3, 3, 1, 1), 1, true);
    uint32_t pair[2] = {x, y};
    uint32_t sum = add_node(&f, (mn_node_spec){.prim = MN_PRIM_ADD}, pair, 2);
    uint32_t twice[2] = {sum, sum};
    sum = add_node(&f, (mn_node_spec){.prim = MN_PRIM_ADD}, twice, 2);
    uint32_t again[2] = {sum, x};
    add_node(&f, (mn_node_spec){.prim = MN_PRIM_ADD}, again, 2);
    check_graph(finish(&f), "adds that share gradients");

    x = start(&f, 9);
    y = conv(&f, x, 5, same(&f, x, 3, 3, 1, 1), 1, true);
    uint32_t parts[3] = {x, y, x};
    uint32_t whole = add_node(&f, (mn_node_spec){.prim = MN_PRIM_CONCAT}, parts, 3);
    uint32_t nested[2] = {y, whole};
    whole = add_node(&f, (mn_node_spec){.prim = MN_PRIM_CONCAT}, nested, 2);
    whole = conv(&f, whole, 28, same(&f, whole, 3, 3, 1, 1), 28, false);
    conv(&f, whole, 6, same(&f, whole, 1, 1, 1, 1), 1, false);
    check_graph(finish(&f), "nested concat of odd widths, depthwise, 1x1");

    x = start(&f, 9);
    y = conv(&f, x, 5, same(&f, x, 3, 3, 1, 1), 1, true);
    uint32_t gaps[2] = {x, y};
    whole = add_node(&f, (mn_node_spec){.prim = MN_PRIM_CONCAT}, gaps, 2);
    uint32_t dense = conv(&f, x, 14, same(&f, x, 1, 1, 1, 1), 1, true);
    uint32_t mixed[2] = {whole, dense};
    add_node(&f, (mn_node_spec){.prim = MN_PRIM_ADD}, mixed, 2);
    check_graph(finish(&f), "add of values with different lanes");
}

static void test_whole_networks(void **state)
{
    (void)state;
    for (int which = 0; which < every_op_count; which++) {
        mn_error err;
        mn_graph *graph = NULL;
        mn_genotype g = tiny_every_op(which);
        assert_ok(mn_genotype_lower(&g, &graph, &err), &err);
        check_threads(graph);
        check_graph(graph, "whole network");
    }
}

/* Input, convolution to five channels, fake-quant on `grid` (none when NULL), convolution. */
static mn_graph *quantised(const mn_quant_grid *grid, uint32_t *ret_before, uint32_t *ret_after)
{
    fixture f;
    *ret_before = start(&f, 5);
    *ret_after = *ret_before;
    if (grid == NULL)
        f.counter++; /* names, and with them the random numbers, as with a grid */
    else
        *ret_after =
            add_one(&f, (mn_node_spec){.prim = MN_PRIM_FAKE_QUANT, .grid = *grid}, *ret_before);
    conv(&f, *ret_after, 4, same(&f, *ret_after, 3, 3, 1, 1), 1, true);
    return finish(&f);
}

/* A value of the network as it is seen, all images, in floats; for the caller to free. */
static float *stored(const probe *p, uint32_t node)
{
    const mn__value *value = p->net->value_of[node];
    size_t elements = (size_t)value->shape.h * value->shape.w * value->lanes;
    float *floats = mn_calloc(batch * elements, sizeof *floats);
    mn__view view = mn__view_of(p->net, value);
    assert_non_null(floats);
    for (uint32_t image = 0; image < batch; image++)
        p->net->opts.simd->to_float(&view, image, floats + image * elements);
    return floats;
}

/* The gradient of the first convolution's weight (5,3) with that grid; checks what the grid does
 * going forward and counts the elements inside and outside its range. */
static void
run_quantised(const mn_quant_grid *grid, float *ret_gradient, uint32_t *inside, uint32_t *outside)
{
    mn_error err;
    mn_arena *arena = NULL;
    uint32_t before = 0, after = 0;
    mn_graph *graph = quantised(grid, &before, &after);
    probe p;
    assert_ok(mn_arena_create(&arena, &err), &err);
    mn_tensors *gradients = probe_init(&p, graph, arena, 1, true);
    float *x = stored(&p, before);
    float *q = stored(&p, after);
    size_t count = batch * mn__value_elements(p.net->value_of[after]);
    for (size_t i = 0; grid != NULL && i < count; i++) {
        float low = (float)(grid->low - grid->zero_point) * grid->scale;
        float high = (float)(grid->high - grid->zero_point) * grid->scale;
        float steps = roundf(q[i] / grid->scale);
        assert_true(fabsf(q[i] - grid->scale * steps) < 1e-6f);
        assert_true(q[i] >= low - 1e-6f && q[i] <= high + 1e-6f);
        bool in_range = x[i] > low && x[i] < high;
        if (in_range)
            assert_true(fabsf(x[i] - q[i]) <= 0.5f * grid->scale + 1e-6f);
        *(in_range ? inside : outside) += 1;
    }
    free(x);
    free(q);
    memcpy(ret_gradient, gradients->items[0].data, 15 * sizeof(float));
    mn_tensors_free(gradients);
    probe_done(&p);
    mn_arena_free(arena);
    mn_graph_free(graph);
}

/* Straight-through: inside the range gradients pass unchanged, outside nothing does. */
static void test_fake_quant(void **state)
{
    (void)state;
    float plain[15], fine[15], coarse[15], narrow[15];
    uint32_t inside = 0;
    uint32_t outside = 0;
    run_quantised(NULL, plain, &inside, &outside);
    const mn_quant_grid all = {.scale = 1e-4f, .zero_point = 7, .low = -200000, .high = 200000};
    run_quantised(&all, fine, &inside, &outside);
    assert_true(inside > 100 && outside == 0);
    for (int i = 0; i < 15; i++)
        assert_true(fabsf(plain[i] - fine[i]) < 1e-3f);
    inside = 0;
    const mn_quant_grid some = {.scale = 0.05f, .zero_point = -10, .low = -30, .high = 20};
    run_quantised(&some, coarse, &inside, &outside);
    assert_true(inside > 100 && outside > 10);
    assert_memory_not_equal(plain, coarse, sizeof plain);
    /* Only what rounds to nothing is inside: next to no gradient passes. */
    const mn_quant_grid none = {.scale = 1e-7f, .zero_point = 0, .low = -1, .high = 1};
    run_quantised(&none, narrow, &inside, &outside);
    for (int i = 0; i < 15; i++)
        assert_true(narrow[i] == 0.0f);
}

/* What is not a number goes through fake-quant as such, or a lost training would go unseen. */
static void test_fake_quant_keeps_nan(void **state)
{
    (void)state;
    mn_error err;
    mn_arena *arena = NULL;
    uint32_t before = 0, after = 0;
    const mn_quant_grid grid = {.scale = 0.05f, .zero_point = 0, .low = -8, .high = 7};
    mn_graph *graph = quantised(&grid, &before, &after);
    probe p;
    assert_ok(mn_arena_create(&arena, &err), &err);
    mn_tensors *gradients = probe_init(&p, graph, arena, 1, false);
    p.images[0] = NAN;
    assert_false(isfinite(loss_now(&p, 0)));
    mn_tensors_free(gradients);
    probe_done(&p);
    mn_arena_free(arena);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dense_convolutions),
        cmocka_unit_test(test_asymmetric_padding),
        cmocka_unit_test(test_depthwise_convolutions),
        cmocka_unit_test(test_norms_and_activations),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_joins),
        cmocka_unit_test(test_whole_networks),
        cmocka_unit_test(test_fake_quant),
        cmocka_unit_test(test_fake_quant_keeps_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

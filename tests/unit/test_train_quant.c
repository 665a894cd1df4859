/*
 * Training on int8 grids: values of fake_quant nodes against scalar code, bit by bit; which
 * gradients they pass; weights as int8 holds them; places in memory; what a trainer refuses, and
 * that a quantised network learns.
 */
#include "train_fixture.h"

#include <math.h>

#include "memnet/deploy.h"
#include "memnet/qat.h"
#include "train/loss.h"
#include "train_graphs.h"
#include "train_run.h"

/* ---- networks --------------------------------------------------------------------------------
 */

/* Grids as calibration could find them: zero anywhere, and narrow enough that some numbers are cut.
 * One in four is that of the node's first input. */
static mn_quant_value *random_grids(const mn_graph *deployed, uint64_t seed)
{
    mn_random random = mn_random_make(seed, 47);
    mn_quant_value *values = calloc(mn_graph_node_count(deployed), sizeof *values);
    assert_non_null(values);
    for (uint32_t n = 0; n < mn_graph_node_count(deployed); n++) {
        const mn_node *node = mn_graph_node(deployed, n);
        values[n] = (mn_quant_value){.scale = 0.004f + 0.03f * mn_random_uniform(&random),
                                     .zero_point = (int32_t)mn_random_below(&random, 256) - 128};
        if (node->input_count > 0 && mn_random_below(&random, 4) == 0)
            values[n] = values[node->inputs[0]];
    }
    return values;
}

static mn_graph *prepare_random(mn_graph *graph, uint64_t seed)
{
    mn_error err;
    mn_graph *deployed = NULL;
    mn_graph *prepared = NULL;
    assert_ok(mn_deploy(graph, NULL, &deployed, NULL, &err), &err);
    mn_quant_value *values = random_grids(deployed, seed);
    assert_ok(mn_qat_prepare(deployed, values, &prepared, &err), &err);
    free(values);
    mn_graph_free(deployed);
    mn_graph_free(graph);
    return prepared;
}

/* Before the deploy pass: what is rounded is known when the batch's statistics are. */
static mn_graph *behind_norms(void)
{
    sketch s;
    const mn_node_spec grid = {.prim = MN_PRIM_FAKE_QUANT,
                               .grid = {.scale = 0.02f, .low = -128, .high = 127}};
    uint32_t x = sketch_start(&s, 1, (mn_shape){7, 6, 3});
    for (int i = 0; i < 3; i++) {
        x = sketch_norm_relu(&s, sketch_conv(&s, x, 9, 3, 1, false));
        x = sketch_node(&s, grid, &x, 1);
    }
    return sketch_finish(&s, x);
}

enum { random_graphs = 60, all_graphs = random_graphs + sketch_hard_count + 3 };

static mn_graph *quantised_graph(uint32_t i)
{
    if (i < sketch_hard_count)
        return prepare_random(sketch_hard(i), i);
    if (i == all_graphs - 1)
        return behind_norms();
    if (i < sketch_hard_count + 2) {
        mn_genotype g = tiny_genotype(i % 2 == 0 ? MN_HEAD_GAP : MN_HEAD_MAXPOOL2);
        return prepare_random(tiny_lower(&g), i);
    }
    return prepare_random(sketch_random(3000 + i), i);
}

static void for_all_graphs(void (*check)(const mn_graph *graph, const char *what))
{
    char what[48];
    for (uint32_t i = 0; i < all_graphs; i++) {
        mn_graph *graph = quantised_graph(i);
        snprintf(what, sizeof what, "graph %u", i);
        check(graph, what);
        mn_graph_free(graph);
    }
}

static void check_same(const train_run *a, const train_run *b, const char *what)
{
    const mn_graph *graph = a->net->graph;
    size_t logits = (size_t)run_batch * a->net->classes * sizeof(float);
    if (memcmp(a->net->logits, b->net->logits, logits) != 0)
        fail_msg("%s: the logits differ", what);
    for (uint32_t t = 0; t < a->gradients->count; t++) {
        size_t bytes = mn_graph_tensor_elements(graph, t) * sizeof(float);
        if (memcmp(a->gradients->items[t].data, b->gradients->items[t].data, bytes) != 0)
            fail_msg("%s: the gradient of %s differs", what, mn_graph_tensor(graph, t)->name);
        for (size_t i = 0; i < bytes / sizeof(float); i++)
            assert_true(isfinite(((const float *)a->gradients->items[t].data)[i]));
    }
}

/* ---- values ----------------------------------------------------------------------------------
 */

static float on_grid(const mn_quant_grid *grid, float x)
{
    float steps = x / grid->scale;
    float low = (float)(grid->low - grid->zero_point);
    float high = (float)(grid->high - grid->zero_point);
    steps = steps < low ? low : steps > high ? high : steps;
    return floorf(steps + 0.5f) * grid->scale;
}

/* A value of the network as it is seen, all images, in floats; for the caller to free. */
static float *seen_value(const train_run *r, uint32_t node)
{
    const mn__value *value = r->net->value_of[node];
    size_t elements = mn__value_elements(value);
    float *floats = calloc(run_batch * elements, sizeof *floats);
    mn__view view = mn__view_of(r->net, value);
    assert_non_null(floats);
    for (uint32_t image = 0; image < run_batch; image++)
        r->net->opts.simd->to_float(&view, image, floats + image * elements);
    return floats;
}

/* Logits are rounded in place: only that they are on the grid can be seen. */
static void check_node(const train_run *r, uint32_t n, const char *what)
{
    const mn_node *node = mn_graph_node(r->net->graph, n);
    if (node->prim != MN_PRIM_FAKE_QUANT)
        return;
    if (mn_graph_node(r->net->graph, node->inputs[0])->prim == MN_PRIM_FULLY_CONNECTED) {
        for (uint32_t i = 0; i < run_batch * r->net->classes; i++)
            assert_true(r->net->logits[i] == on_grid(&node->grid, r->net->logits[i]));
        return;
    }
    float *x = seen_value(r, node->inputs[0]);
    float *q = seen_value(r, n);
    for (size_t i = 0; i < run_batch * mn__value_elements(r->net->value_of[n]); i++)
        if (q[i] != on_grid(&node->grid, x[i]))
            fail_msg("%s: %s: %.9g became %.9g", what, node->name, (double)x[i], (double)q[i]);
    free(x);
    free(q);
}

static void check_values(const mn_graph *graph, const char *what)
{
    train_run r = run_create(graph, mn__simd_choose(false), 2, true);
    for (int train = 0; train < 2; train++) {
        run_spoil(&r);
        mn__network_forward(r.net, r.images, train == 1);
        for (uint32_t n = 0; n < mn_graph_node_count(graph); n++)
            check_node(&r, n, what);
    }
    run_done(&r);
}

static void test_values(void **state)
{
    (void)state;
    for_all_graphs(check_values);
}

/* Shared memory, memory apart, one thread or three: the same bits. */
static void check_places(const mn_graph *graph, const char *what)
{
    for (uint32_t slices = 1; slices <= 3; slices += 2) {
        mn__network_opts opts = {.batch = run_batch,
                                 .slices = slices,
                                 .simd = mn__simd_choose(false),
                                 .int8_weights = true,
                                 .separate = true};
        train_run apart = run_create_with(graph, &opts);
        opts.separate = false;
        train_run planned = run_create_with(graph, &opts);
        run_once(&apart);
        run_once(&planned);
        check_same(&apart, &planned, what);
        run_once(&planned);
        check_same(&apart, &planned, what);
        run_done(&apart);
        run_done(&planned);
    }
}

static void test_places(void **state)
{
    (void)state;
    for_all_graphs(check_places);
}

/* ---- weights ---------------------------------------------------------------------------------
 */

/* Tensor (O,...): each of the O filters on its own grid. */
static void round_weights(const mn_graph *graph, mn_tensors *tensors)
{
    for (uint32_t t = 0; t < tensors->count; t++) {
        const mn_tensor_info *info = mn_graph_tensor(graph, t);
        const size_t filter = mn_graph_tensor_elements(graph, t) / info->dims[0];
        float *w = tensors->items[t].data;
        for (uint32_t o = 0; o < info->dims[0] && info->role == MN_ROLE_WEIGHT; o++, w += filter) {
            float most = 0.0f;
            for (size_t i = 0; i < filter; i++)
                most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
            float scale = most / 127.0f;
            for (size_t i = 0; i < filter && most > 0.0f; i++)
                w[i] = floorf(w[i] / scale + 0.5f) * scale;
        }
    }
}

/* A network that sees its weights rounded computes as one whose weights are, and keeps the exact
 * ones. */
static void check_weights(const mn_graph *graph, const char *what)
{
    mn_error err;
    mn_tensors *kept = NULL;
    mn__network_opts opts = {
        .batch = run_batch, .slices = 1, .simd = mn__simd_choose(false), .int8_weights = true};
    train_run exact = run_create_with(graph, &opts);
    opts.int8_weights = false;
    train_run rounded = run_create_with(graph, &opts);
    round_weights(graph, rounded.tensors);
    mn__parameters_import(rounded.net, MN__PART_VALUE, rounded.tensors);
    run_once(&exact);
    run_once(&rounded);
    check_same(&exact, &rounded, what);
    assert_ok(mn_tensors_create_for_graph(graph, &kept, &err), &err);
    mn__parameters_export(exact.net, MN__PART_VALUE, kept);
    for (uint32_t t = 0; t < kept->count; t++)
        if (run_learns(graph, t))
            assert_memory_equal(kept->items[t].data,
                                exact.tensors->items[t].data,
                                mn_graph_tensor_elements(graph, t) * sizeof(float));
    mn_tensors_free(kept);
    run_done(&exact);
    run_done(&rounded);
}

static void test_weights(void **state)
{
    (void)state;
    for_all_graphs(check_weights);
    for (uint32_t i = 0; i < sketch_hard_count; i++) { /* batch norms may be there too */
        mn_graph *graph = sketch_hard(i);
        check_weights(graph, "hard graph");
        mn_graph_free(graph);
    }
}

/* ---- gradients -------------------------------------------------------------------------------
 */

enum { mask_channels = 21 };

/* One pixel, a channel a case: what the image says plus a bias, an activation, a grid, logits. The
 * gradient of a channel's bias is that of the logits times the classifier's weights, or nothing. */
static mn_graph *mask_graph(mn_act act, const mn_quant_grid *grid)
{
    sketch s;
    const mn_node_spec conv = {.prim = MN_PRIM_CONV,
                               .channels = mask_channels,
                               .groups = mask_channels,
                               .window = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
                               .bias = true,
                               .act = act};
    uint32_t x = sketch_start(&s, 1, (mn_shape){1, 1, mask_channels});
    x = sketch_node(&s, conv, &x, 1);
    if (grid != NULL)
        x = sketch_node(&s, (mn_node_spec){.prim = MN_PRIM_FAKE_QUANT, .grid = *grid}, &x, 1);
    return sketch_finish(&s, x);
}

/* The gradient of the bias (mask_channels), of images that are all the numbers mask_number(). */
static float mask_number(uint32_t channel)
{
    return 0.75f * (float)channel - 5.0f;
}

static void mask_gradient(mn_graph *graph, float *ret_gradient)
{
    train_run r = run_create(graph, mn__simd_choose(false), 1, false);
    float *weight = r.tensors->items[0].data;
    float *bias = r.tensors->items[1].data;
    assert_int_equal(mn_graph_tensor(graph, 1)->role, MN_ROLE_BIAS);
    for (uint32_t c = 0; c < mask_channels; c++) {
        weight[c] = 1.0f;
        bias[c] = 0.25f * (float)c;
        for (uint32_t image = 0; image < run_batch; image++)
            r.images[image * mask_channels + c] = mask_number(c) - bias[c];
    }
    float *classifier = r.tensors->items[2].data; /* (sketch_classes,mask_channels) */
    for (uint32_t i = 0; i < sketch_classes * mask_channels; i++)
        classifier[i] = 0.5f - (float)(i * 7 % 11) / 11.0f;
    mn__parameters_import(r.net, MN__PART_VALUE, r.tensors);
    run_once(&r);
    memcpy(ret_gradient, r.gradients->items[1].data, mask_channels * sizeof *ret_gradient);
    run_done(&r);
    mn_graph_free(graph);
}

static void check_mask(mn_act act, const mn_quant_grid *grid)
{
    float all[mask_channels], some[mask_channels];
    const float low = (float)(grid->low - grid->zero_point) * grid->scale;
    const float high = (float)(grid->high - grid->zero_point) * grid->scale;
    uint32_t passed = 0;
    mask_gradient(mask_graph(MN_ACT_NONE, NULL), all);
    mask_gradient(mask_graph(act, grid), some);
    for (uint32_t c = 0; c < mask_channels; c++) {
        float x = mask_number(c);
        float z = act != MN_ACT_NONE && x < 0.0f ? 0.0f : x;
        bool open = act == MN_ACT_NONE || (x > 0.0f && (act == MN_ACT_RELU || x < 6.0f));
        bool passes = open && z >= low && z <= high;
        assert_true(all[c] != 0.0f);
        assert_true(some[c] == (passes ? all[c] : 0.0f));
        passed += passes;
    }
    assert_true(passed > 0 && passed < mask_channels);
}

/* Inside the range, its ends included, gradients pass unchanged; outside nothing does. */
static void test_masks(void **state)
{
    (void)state;
    const mn_quant_grid grids[] = {
        {.scale = 0.25f, .zero_point = 0, .low = -8, .high = 7}, /* -2 to 1.75 */
        {.scale = 0.125f, .zero_point = -3, .low = -8, .high = 7},
        {.scale = 0.5f, .zero_point = -8, .low = -8, .high = -1}, /* 0 to 3.5 */
        {.scale = 0.0625f, .zero_point = 0, .low = -128, .high = 127},
    };
    for (size_t i = 0; i < sizeof grids / sizeof grids[0]; i++)
        for (int act = MN_ACT_NONE; act <= MN_ACT_RELU6; act++)
            check_mask((mn_act)act, &grids[i]);
}

/* Logits that are cut hand no gradient on: the classifier's bias has that of the others. */
static void test_logits(void **state)
{
    (void)state;
    sketch s;
    mn_error err;
    mn_graph *graph = NULL;
    uint32_t x = sketch_start(&s, 1, (mn_shape){3, 3, 2});
    const mn_node_spec logits = {
        .prim = MN_PRIM_FULLY_CONNECTED, .channels = sketch_classes, .bias = true};
    const mn_node_spec grid = {.prim = MN_PRIM_FAKE_QUANT,
                               .grid = {.scale = 0.25f, .low = -4, .high = 4}};
    x = sketch_node(&s, logits, &x, 1);
    x = sketch_node(&s, grid, &x, 1);
    assert_ok(mn_graph_builder_finish(s.builder, &x, 1, &graph, &err), &err);
    mn_graph_builder_free(s.builder);
    train_run r = run_create(graph, mn__simd_choose(false), 2, false);
    run_once(&r);
    uint32_t cut = 0;
    for (uint32_t k = 0; k < sketch_classes; k++) {
        double sum = 0.0;
        for (uint32_t image = 0; image < run_batch; image++) {
            float logit = r.net->logits[image * sketch_classes + k];
            bool at_end = fabsf(logit) == 1.0f; /* nothing is exactly there before it is cut */
            assert_true(floorf(logit * 4.0f) == logit * 4.0f && fabsf(logit) <= 1.0f);
            sum += at_end && fabsf(r.net->logits_gradient[image * sketch_classes + k]) == 0.0f
                       ? 0.0
                       : (double)r.logits_gradient[image * sketch_classes + k];
            cut += r.net->logits_gradient[image * sketch_classes + k] == 0.0f;
            assert_true(at_end || r.net->logits_gradient[image * sketch_classes + k] ==
                                      r.logits_gradient[image * sketch_classes + k]);
        }
        assert_true(fabs(sum - (double)((float *)r.gradients->items[1].data)[k]) < 1e-6);
    }
    assert_true(cut > 0 && cut < run_batch * sketch_classes);
    run_done(&r);
    mn_graph_free(graph);
}

/* What is not a number stays so: the loss must show it. */
static void test_not_a_number(void **state)
{
    (void)state;
    mn_graph *graph = quantised_graph(0);
    train_run r = run_create(graph, mn__simd_choose(false), 1, false);
    r.images[0] = NAN;
    mn__network_forward(r.net, r.images, false);
    assert_true(isnan(r.net->logits[0]));
    run_done(&r);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_logits),
        cmocka_unit_test(test_not_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

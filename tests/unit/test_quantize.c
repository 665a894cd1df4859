/* Quantisation after training: what calibration measures, what conversion guards against, and the
 * evaluation of images. */
#define PLAN_TOOLS_REAL_KERNELS
#include "plan_tools.h"

#include "alloc_failure.h"

#include <math.h>

#include "memnet/quantize.h"
#include "quant/float_run.h"

enum { IMAGES = 40, SIDE = 6, PIXELS = SIDE * SIDE };

/* A data set of random bytes or floats in two classes, by which half of the image is brighter. */
typedef struct images {
    mn_dataset dataset;
    uint8_t bytes[IMAGES * PIXELS];
    float floats[IMAGES * PIXELS];
    uint16_t labels[IMAGES];
} images;

static const mn_preprocessing preprocessing = {.mean = 100, .scale = 0.02f};

static void images_init(images *s, mn_pixel_type type)
{
    mn_random random = mn_random_make(5, 1);
    for (uint32_t i = 0; i < IMAGES; i++) {
        s->labels[i] = (uint16_t)(i % 2);
        for (uint32_t p = 0; p < PIXELS; p++) {
            bool bright = p % SIDE < SIDE / 2 ? i % 2 == 0 : i % 2 == 1;
            uint32_t pixel = mn_random_below(&random, 100) + (bright ? 120 : 10);
            s->bytes[i * PIXELS + p] = (uint8_t)pixel;
            s->floats[i * PIXELS + p] = (float)pixel;
        }
    }
    s->dataset = (mn_dataset){.shape = {SIDE, SIDE, 1}, .pixel_type = type, .class_count = 2};
    s->dataset.train = (mn_images){.count = IMAGES,
                                   .pixels = type == MN_PIXEL_U8 ? (const void *)s->bytes
                                                                 : (const void *)s->floats,
                                   .labels = s->labels};
    s->dataset.test = s->dataset.train;
}

/* conv, depthwise, pool, logits; numbers of a seed. */
typedef struct sample {
    mn_graph *graph;
    mn_tensors *tensors;
} sample;

enum { X, CONV, DEPTHWISE, POOL, DENSE };

static sample sample_make(void)
{
    mn_random random = mn_random_make(9, 1);
    mn_error err;
    sample s = {0};
    tool t = tool_start();
    uint32_t x = tool_conv(&t, tool_input(&t, SIDE, SIDE, 1), 6);
    x = tool_window(&t, MN_PRIM_MAX_POOL, tool_depthwise(&t, x), 0, 2, 2);
    s.graph = tool_finish_one(&t, tool_dense(&t, x, 2));
    assert_ok(mn_tensors_create_for_graph(s.graph, &s.tensors, &err), &err);
    for (uint32_t i = 0; i < s.tensors->count; i++)
        for (size_t k = 0; k < mn_tensor_elements(&s.tensors->items[i]); k++)
            ((float *)s.tensors->items[i].data)[k] = 0.3f * mn_random_normal(&random);
    return s;
}

static void sample_done(sample *s)
{
    mn_tensors_free(s->tensors);
    mn_graph_free(s->graph);
}

static float *numbers_of(const sample *s, uint32_t node, mn_tensor_role role)
{
    return s->tensors->items[mn_graph_node(s->graph, node)->tensors[role]].data;
}

static mn_quantize_input input_of(const sample *s, const images *from)
{
    return (mn_quantize_input){.graph = s->graph,
                               .tensors = s->tensors,
                               .preprocessing = preprocessing,
                               .dataset = &from->dataset};
}

static mn_quant *quantised(const sample *s, const images *from, const mn_quantize_opts *opts)
{
    mn_quantize_input input = input_of(s, from);
    mn_quant *quant = NULL;
    mn_error err;
    assert_ok(mn_quantize(&input, opts, &quant, &err), &err);
    return quant;
}

/* ---- grids ----------------------------------------------------------------------------------- */

static void test_grids(void **state)
{
    (void)state;
    mn_quant_value v = mn_quant_grid_over(-1, 1.55);
    assert_true(fabsf(v.scale - 0.01f) < 1e-7f);
    assert_int_equal(v.zero_point, -28);
    v = mn_quant_grid_over(2, 5.1); /* zero is always on the grid */
    assert_true(fabsf(v.scale - 0.02f) < 1e-7f);
    assert_int_equal(v.zero_point, -128);
    v = mn_quant_grid_over(-5.1, -2);
    assert_int_equal(v.zero_point, 127);
    v = mn_quant_grid_over(0, 0);
    assert_true(v.scale > 0.007f && v.scale < 0.008f);
    v = mn_quant_grid_over(-1e-44, 0);
    assert_true(v.scale > 0.007f);
}

static void test_input_grid(void **state)
{
    (void)state;
    mn_quant_value v;
    mn_error err;
    const float good[] = {0, 1, 128, 255};
    for (size_t i = 0; i < 4; i++) {
        assert_ok(mn_quant_input_grid((mn_preprocessing){.mean = good[i], .scale = 3}, &v, &err),
                  &err);
        assert_int_equal(v.zero_point, (int)good[i] - 128);
        assert_true(v.scale == 3.0f);
    }
    const float bad[] = {-1, 256, 127.5f, NAN, INFINITY};
    for (size_t i = 0; i < 5; i++)
        assert_error(mn_quant_input_grid((mn_preprocessing){.mean = bad[i], .scale = 3}, &v, &err),
                     MN_ERR_UNSUPPORTED,
                     &err,
                     "pixel - 128");
}

/* ---- calibration ----------------------------------------------------------------------------- */

/* One 1x1 convolution that doubles: its range is twice that of the images. */
static void test_ranges(void **state)
{
    (void)state;
    images from;
    tool t = tool_start();
    uint32_t x = tool_input(&t, SIDE, SIDE, 1);
    sample s = {.graph = tool_finish_one(&t, tool_window(&t, MN_PRIM_CONV, x, 1, 1, 1))};
    mn_error err;
    mn_quantize_opts opts = mn_quantize_opts_default();
    assert_ok(mn_tensors_create_for_graph(s.graph, &s.tensors, &err), &err);
    numbers_of(&s, 1, MN_ROLE_WEIGHT)[0] = 2;
    images_init(&from, MN_PIXEL_U8);
    for (uint32_t i = 0; i < IMAGES * PIXELS; i++)
        from.bytes[i] = (uint8_t)(50 + i % 101); /* 50 to 150 */
    from.bytes[7] = 255;
    mn_quant *quant = quantised(&s, &from, NULL);
    assert_int_equal(quant->values[0].zero_point, -28);
    assert_true(quant->values[0].scale == preprocessing.scale);
    assert_true(fabsf(quant->values[1].scale * 255 - 2 * 0.02f * 205) < 1e-4f);
    assert_true(quant->nodes[1].weights[0] == 127);
    mn_quant_free(quant);
    opts.percentile = 99; /* the logits keep all */
    quant = quantised(&s, &from, &opts);
    assert_true(fabsf(quant->values[1].scale * 255 - 2 * 0.02f * 205) < 1e-4f);
    mn_quant_free(quant);
    sample_done(&s);
}

/* The same in front of another layer: an outlier goes. */
static void test_percentile(void **state)
{
    (void)state;
    images from;
    tool t = tool_start();
    uint32_t x = tool_window(&t, MN_PRIM_CONV, tool_input(&t, SIDE, SIDE, 1), 1, 1, 1);
    sample s = {.graph = tool_finish_one(&t, tool_dense(&t, x, 2))};
    mn_error err;
    mn_quantize_opts opts = mn_quantize_opts_default();
    assert_ok(mn_tensors_create_for_graph(s.graph, &s.tensors, &err), &err);
    numbers_of(&s, 1, MN_ROLE_WEIGHT)[0] = 2;
    images_init(&from, MN_PIXEL_U8);
    for (uint32_t i = 0; i < IMAGES * PIXELS; i++)
        from.bytes[i] = (uint8_t)(50 + i % 101);
    from.bytes[7] = 255;
    mn_quant *quant = quantised(&s, &from, &opts);
    assert_true(fabsf(quant->values[1].scale * 255 - 2 * 0.02f * 205) < 1e-4f);
    mn_quant_free(quant);
    opts.percentile = 99.9;
    quant = quantised(&s, &from, &opts);
    assert_true(fabsf(quant->values[1].scale * 255 - 2 * 0.02f * 100) < 0.02f);
    mn_quant_free(quant);
    opts.images = 1; /* the first, which has the outlier, though not the whole range */
    opts.percentile = 100;
    quant = quantised(&s, &from, &opts);
    assert_true(quant->values[1].scale * 255 > 2 * 0.02f * 180);
    mn_quant_free(quant);
    from.bytes[7] = 100;
    from.bytes[IMAGES / 2 * PIXELS] = 255; /* two images: the first and that in the middle */
    opts.images = 2;
    quant = quantised(&s, &from, &opts);
    assert_true(quant->values[1].scale * 255 > 2 * 0.02f * 180);
    mn_quant_free(quant);
    mn_quantize_input input = input_of(&s, &from);
    input.indices = (uint32_t[]){5, 9};
    input.index_count = 2;
    opts.images = 512;
    assert_ok(mn_quantize(&input, &opts, &quant, &err), &err);
    assert_true(quant->values[1].scale * 255 < 2 * 0.02f * 101);
    mn_quant_free(quant);
    sample_done(&s);
}

static void assert_equal_networks(const mn_graph *graph, const mn_quant *a, const mn_quant *b)
{
    assert_memory_equal(a->values, b->values, a->node_count * sizeof *a->values);
    for (uint32_t n = 0; n < a->node_count; n++) {
        mn_quant_sizes sizes = mn_quant_sizes_of(graph, n);
        if (sizes.outputs == 0)
            continue;
        assert_memory_equal(a->nodes[n].weights, b->nodes[n].weights, sizes.outputs * sizes.filter);
        assert_memory_equal(
            a->nodes[n].bias, b->nodes[n].bias, sizes.outputs * sizeof *a->nodes[n].bias);
    }
}

static void test_threads(void **state)
{
    (void)state;
    images from;
    sample s = sample_make();
    mn_quantize_opts opts = mn_quantize_opts_default();
    opts.percentile = 99;
    images_init(&from, MN_PIXEL_U8);
    mn_quant *one = quantised(&s, &from, &opts);
    opts.threads = 3;
    mn_quant *three = quantised(&s, &from, &opts);
    assert_equal_networks(s.graph, one, three);
    mn_quant_free(one);
    mn_quant_free(three);
    sample_done(&s);
}

/* ---- what comes out -------------------------------------------------------------------------- */

typedef struct logits {
    const mn_graph *graph;
    float values[2];
} logits;

static void keep(void *context, uint32_t n, const float *values, uint32_t pixel_stride)
{
    logits *l = context;
    (void)pixel_stride;
    if (n == mn_graph_output(l->graph, 0))
        memcpy(l->values, values, sizeof l->values);
}

/* The mean of int8 logits less float32 logits, in units of the logits' range, and the worst. */
static double compare_logits(const sample *s, const images *from, mn_quant *quant, double *ret_mean)
{
    mn__float_network plain = {0};
    mn_int8_network *network = NULL;
    mn_error err;
    double worst = 0;
    double sum = 0;
    assert_ok(mn__float_network_init(&plain, s->graph, s->tensors, &err), &err);
    assert_ok(mn_int8_network_create(s->graph, quant, &network, &err), &err);
    float *floats = calloc(plain.plan->arena_bytes, 1);
    int8_t *arena = calloc(mn_int8_network_arena_bytes(network), 1);
    assert_true(floats != NULL && arena != NULL);
    mn_quant_value grid = quant->values[DENSE];
    for (uint32_t i = 0; i < IMAGES; i++) {
        int8_t input[PIXELS];
        int8_t output[2];
        logits l = {.graph = s->graph};
        for (uint32_t p = 0; p < PIXELS; p++)
            mn__float_input(&plain, floats)[p] =
                (from->floats[i * PIXELS + p] - preprocessing.mean) * preprocessing.scale;
        mn__float_run(&plain, floats, keep, &l);
        mn_int8_network_image(
            network, preprocessing, &from->dataset, &from->dataset.train, i, input);
        mn_int8_network_run(network, arena, input, output, NULL);
        for (uint32_t k = 0; k < 2; k++) {
            double real = (double)grid.scale * (output[k] - grid.zero_point);
            double error = (real - (double)l.values[k]) / (255 * (double)grid.scale);
            worst = fmax(worst, fabs(error));
            sum += error;
        }
    }
    *ret_mean = sum / (2 * IMAGES);
    free(arena);
    free(floats);
    mn_int8_network_free(network);
    mn__float_network_done(&plain);
    return worst;
}

static void test_accuracy(void **state)
{
    (void)state;
    images from;
    sample s = sample_make();
    for (int type = MN_PIXEL_U8; type <= MN_PIXEL_F32; type++) {
        double mean = 0;
        images_init(&from, (mn_pixel_type)type);
        mn_quant *quant = quantised(&s, &from, NULL);
        assert_true(compare_logits(&s, &from, quant, &mean) < 0.03);
        mn_quant_free(quant);
    }
    sample_done(&s);
}

/* Weights that all round the same way, on inputs whose mean is far from zero. */
static void test_bias_correction(void **state)
{
    (void)state;
    images from;
    sample s = sample_make();
    mn_quantize_opts opts = mn_quantize_opts_default();
    double with = 0;
    double without = 0;
    images_init(&from, MN_PIXEL_U8);
    float *weight = numbers_of(&s, CONV, MN_ROLE_WEIGHT);
    for (uint32_t k = 0; k < 54; k++)
        weight[k] = k % 9 == 0 ? 1.27f : 0.0249f; /* 2.49 steps, all but the first */
    float *dense = numbers_of(&s, DENSE, MN_ROLE_WEIGHT);
    for (uint32_t k = 0; k < 54; k++)
        dense[k] = 0.1f;
    mn_quant *quant = quantised(&s, &from, &opts);
    (void)compare_logits(&s, &from, quant, &with);
    mn_quant_free(quant);
    opts.correct_bias = false;
    quant = quantised(&s, &from, &opts);
    (void)compare_logits(&s, &from, quant, &without);
    mn_quant_free(quant);
    assert_true(fabs(with) < fabs(without));
    sample_done(&s);
}

/* ---- guards ---------------------------------------------------------------------------------- */

/* Channels without weights, with tiny ones, and with a bias that dwarfs them. */
static void test_odd_channels(void **state)
{
    (void)state;
    images from;
    sample s = sample_make();
    double mean = 0;
    images_init(&from, MN_PIXEL_U8);
    float *weight = numbers_of(&s, CONV, MN_ROLE_WEIGHT); /* (6,1,3,3) */
    float *bias = numbers_of(&s, CONV, MN_ROLE_BIAS);
    for (uint32_t k = 0; k < 9; k++) {
        weight[k] = 0;
        weight[9 + k] = 0;
        weight[18 + k] = 1e-30f;
        weight[27 + k] = 1e-12f;
    }
    bias[0] = 0;
    bias[1] = 0.5f;
    bias[2] = 1e-30f;
    bias[3] = -0.75f;
    mn_quant *quant = quantised(&s, &from, NULL);
    assert_true(compare_logits(&s, &from, quant, &mean) < 0.03);
    for (uint32_t k = 0; k < 9; k++)
        assert_int_equal(quant->nodes[CONV].weights[k], 0);
    assert_int_equal(quant->nodes[CONV].bias[0], 0);
    mn_quant_free(quant);
    /* A network of zeros alone. */
    for (uint32_t t = 0; t < s.tensors->count; t++)
        memset(s.tensors->items[t].data, 0, 4 * mn_tensor_elements(&s.tensors->items[t]));
    quant = quantised(&s, &from, NULL);
    assert_true(compare_logits(&s, &from, quant, &mean) == 0.0);
    mn_quant_free(quant);
    sample_done(&s);
}

static void assert_refused(const mn_quantize_input *input,
                           const mn_quantize_opts *opts,
                           mn_status status,
                           const char *text)
{
    mn_quant *quant = NULL;
    mn_error err;
    assert_error(mn_quantize(input, opts, &quant, &err), status, &err, text);
    assert_null(quant);
}

static void test_refusals(void **state)
{
    (void)state;
    images from;
    sample s = sample_make();
    images_init(&from, MN_PIXEL_U8);
    mn_quantize_input input = input_of(&s, &from);
    mn_quantize_opts opts = mn_quantize_opts_default();
    opts.images = 0;
    assert_refused(&input, &opts, MN_ERR_ARG, "no images");
    opts = mn_quantize_opts_default();
    opts.threads = 0;
    assert_refused(&input, &opts, MN_ERR_ARG, "threads");
    const double percentiles[] = {50, 100.1, NAN, -1};
    for (size_t i = 0; i < 4; i++) {
        opts = mn_quantize_opts_default();
        opts.percentile = percentiles[i];
        assert_refused(&input, &opts, MN_ERR_ARG, "percentile");
    }
    input.preprocessing.mean = 99.5f;
    assert_refused(&input, NULL, MN_ERR_UNSUPPORTED, "mean 99.5");
    input = input_of(&s, &from);
    input.indices = (uint32_t[]){0};
    input.index_count = 0;
    assert_refused(&input, NULL, MN_ERR_ARG, "no images");
    input = input_of(&s, &from);
    from.dataset.shape.c = 3;
    assert_refused(&input, NULL, MN_ERR_MISMATCH, "the network reads (6,6,1)");
    from.dataset.shape.c = 1;
    s.tensors->items[0].dims[0]++;
    assert_refused(&input, NULL, MN_ERR_MISMATCH, "tensor '");
    s.tensors->items[0].dims[0]--;
    s.tensors->count--;
    assert_refused(&input, NULL, MN_ERR_MISMATCH, "tensors, expected");
    s.tensors->count++;
    float *weight = numbers_of(&s, CONV, MN_ROLE_WEIGHT);
    weight[3] = INFINITY;
    assert_refused(&input, NULL, MN_ERR_UNSUPPORTED, "not finite");
    weight[3] = 3e38f; /* products leave float32 */
    assert_refused(&input, NULL, MN_ERR_UNSUPPORTED, "not finite");
    sample_done(&s);
}

/* Grids from elsewhere that no factor can bridge. */
static void test_conversion_refusals(void **state)
{
    (void)state;
    sample s = sample_make();
    mn_quant_value values[DENSE + 1];
    mn_quant *quant = NULL;
    mn_error err;
    for (uint32_t n = 0; n <= DENSE; n++)
        values[n] = (mn_quant_value){.scale = 0.01f};
    assert_ok(mn_quant_convert(s.graph, s.tensors, values, &quant, &err), &err);
    mn_quant_free(quant);
    quant = NULL;
    values[DENSE].scale = 1e-20f;
    assert_error(mn_quant_convert(s.graph, s.tensors, values, &quant, &err),
                 MN_ERR_LIMIT,
                 &err,
                 "'n4': output 0: a factor");
    values[DENSE].scale = NAN;
    assert_error(
        mn_quant_convert(s.graph, s.tensors, values, &quant, &err), MN_ERR_ARG, &err, "'n4'");
    values[DENSE].scale = 0.01f;
    values[POOL].scale = 0.02f;
    assert_error(mn_quant_convert(s.graph, s.tensors, values, &quant, &err),
                 MN_ERR_MISMATCH,
                 &err,
                 "'n3': grid");
    values[POOL].scale = 0.01f;
    values[X].scale = 1e-37f;
    values[CONV].scale = 1e37f;
    assert_error(mn_quant_convert(s.graph, s.tensors, values, &quant, &err),
                 MN_ERR_LIMIT,
                 &err,
                 "'n1': output 0: no float32 scale");
    assert_null(quant);
    sample_done(&s);
}

/* Clamps of fused and lone activations, on grids of steps of 0.1 and 0.01. */
static void test_clamps(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_conv(&t, tool_input(&t, 2, 2, 1), 1);
    uint32_t pooled = tool_one(&t, MN_PRIM_GLOBAL_POOL, tool_one(&t, MN_PRIM_RELU6, x));
    mn_graph *graph = tool_finish_one(&t, tool_one(&t, MN_PRIM_RELU, pooled));
    mn_tensors *tensors = NULL;
    mn_quant *quant = NULL;
    mn_error err;
    mn_quant_value values[5] = {{1, 0}, {0.1f, -20}, {0.1f, -20}, {0.01f, 7}, {0.01f, 7}};
    assert_ok(mn_tensors_create_for_graph(graph, &tensors, &err), &err);
    assert_ok(mn_quant_convert(graph, tensors, values, &quant, &err), &err);
    const int32_t clamps[4][2] = {{-128, 127}, {-20, 40}, {-128, 127}, {7, 127}};
    for (uint32_t n = 1; n <= 4; n++) {
        assert_int_equal(quant->nodes[n].low, clamps[n - 1][0]);
        assert_int_equal(quant->nodes[n].high, clamps[n - 1][1]);
    }
    /* 4 pixels, steps ten times as coarse: 10 / 4. */
    assert_true(fabs(ldexp(quant->nodes[3].factor, -quant->nodes[3].factor_shift) - 2.5) < 1e-6);
    mn_quant_free(quant);
    values[1].scale = values[2].scale = 0.01f; /* 6 lies beyond the grid */
    assert_ok(mn_quant_convert(graph, tensors, values, &quant, &err), &err);
    assert_int_equal(quant->nodes[2].high, 127);
    mn_quant_free(quant);
    mn_tensors_free(tensors);
    mn_graph_free(graph);
}

/* Sums of scales far apart: the coarse output takes nothing of its inputs. */
static void test_add_factors(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 2, 2, 1);
    uint32_t a = tool_conv(&t, x, 1);
    uint32_t b = tool_conv(&t, x, 1);
    mn_graph *graph = tool_finish_one(&t, tool_pair(&t, MN_PRIM_ADD, a, b));
    mn_tensors *tensors = NULL;
    mn_quant *quant = NULL;
    mn_error err;
    mn_quant_value values[4] = {{1, 0}, {1, 0}, {0.25f, 0}, {1, 0}};
    assert_ok(mn_tensors_create_for_graph(graph, &tensors, &err), &err);
    assert_ok(mn_quant_convert(graph, tensors, values, &quant, &err), &err);
    assert_int_equal(quant->nodes[3].add_shift, 21);
    assert_int_equal(quant->nodes[3].add_a, 1 << 21);
    assert_int_equal(quant->nodes[3].add_b, 1 << 19);
    mn_quant_free(quant);
    values[3].scale = 0x1p11f;
    assert_ok(mn_quant_convert(graph, tensors, values, &quant, &err), &err);
    assert_int_equal(quant->nodes[3].add_a, 0);
    assert_int_equal(quant->nodes[3].add_b, 0);
    mn_quant_free(quant);
    values[3].scale = 0x1p-21f;
    assert_error(
        mn_quant_convert(graph, tensors, values, &quant, &err), MN_ERR_LIMIT, &err, "'n3'");
    mn_tensors_free(tensors);
    mn_graph_free(graph);
}

/* ---- evaluation ------------------------------------------------------------------------------ */

/* A network that tells left from right: two averages over halves. */
static sample halves(void)
{
    sample s = {0};
    mn_error err;
    tool t = tool_start();
    s.graph = tool_finish_one(&t, tool_dense(&t, tool_input(&t, SIDE, SIDE, 1), 2));
    assert_ok(mn_tensors_create_for_graph(s.graph, &s.tensors, &err), &err);
    for (uint32_t o = 0; o < 2; o++)
        for (uint32_t p = 0; p < PIXELS; p++)
            numbers_of(&s, 1, MN_ROLE_WEIGHT)[o * PIXELS + p] =
                (p % SIDE < SIDE / 2) == (o == 0) ? 0.05f : -0.05f;
    return s;
}

static void test_evaluate(void **state)
{
    (void)state;
    images from;
    sample s = halves();
    for (int type = MN_PIXEL_U8; type <= MN_PIXEL_F32; type++) {
        mn_int8_network *network = NULL;
        mn_eval_result result = {0};
        uint16_t predictions[IMAGES];
        mn_error err;
        images_init(&from, (mn_pixel_type)type);
        mn_quant *quant = quantised(&s, &from, NULL);
        assert_ok(mn_int8_network_create(s.graph, quant, &network, &err), &err);
        mn_int8_task task = {.preprocessing = preprocessing,
                             .dataset = &from.dataset,
                             .images = &from.dataset.test,
                             .count = IMAGES,
                             .threads = 3};
        if (type == MN_PIXEL_U8) { /* pixel - 128 */
            int8_t pixels[PIXELS];
            mn_int8_network_image(
                network, preprocessing, &from.dataset, &from.dataset.test, 3, pixels);
            for (uint32_t p = 0; p < PIXELS; p++)
                assert_int_equal(pixels[p], from.bytes[3 * PIXELS + p] - 128);
        }
        from.labels[4] = 1; /* wrong */
        assert_ok(mn_int8_network_evaluate(network, &task, &result, predictions, &err), &err);
        assert_int_equal(result.count, IMAGES);
        assert_int_equal(result.correct, IMAGES - 1);
        for (uint32_t i = 0; i < IMAGES; i++)
            assert_int_equal(predictions[i], i % 2);
        double loss = result.loss;
        task.threads = 1;
        assert_ok(mn_int8_network_evaluate(network, &task, &result, NULL, &err), &err);
        assert_true(result.loss == loss);
        task.indices = (uint32_t[]){4, 6};
        task.count = 2;
        assert_ok(mn_int8_network_evaluate(network, &task, &result, NULL, &err), &err);
        assert_int_equal(result.correct, 1);
        task.count = 0;
        assert_error(
            mn_int8_network_evaluate(network, &task, &result, NULL, &err), MN_ERR_ARG, &err, "no");
        task.count = 2;
        task.preprocessing.mean = 101;
        if (type == MN_PIXEL_U8)
            assert_error(mn_int8_network_evaluate(network, &task, &result, NULL, &err),
                         MN_ERR_MISMATCH,
                         &err,
                         "grid");
        task.preprocessing.mean = 100;
        from.dataset.class_count = 3;
        assert_error(mn_int8_network_evaluate(network, &task, &result, NULL, &err),
                     MN_ERR_MISMATCH,
                     &err,
                     "2 classes");
        mn_int8_network_free(network);
        mn_quant_free(quant);
    }
    sample_done(&s);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void test_memory(void **state)
{
    (void)state;
    images from;
    sample s = sample_make();
    mn_quantize_opts opts = mn_quantize_opts_default();
    opts.percentile = 99;
    opts.images = 2;
    images_init(&from, MN_PIXEL_U8);
    mn_quantize_input input = input_of(&s, &from);
    size_t n = 0;
    mn_quant *quant = NULL;
    mn_error err;
    for (bool failed = true; failed;) {
        alloc_fail_at(++n);
        mn_status status = mn_quantize(&input, &opts, &quant, &err);
        failed = alloc_has_failed();
        assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
        assert_true((quant == NULL) == failed);
    }
    assert_true(n > 150);
    mn_int8_network *network = NULL;
    n = 0;
    for (bool failed = true; failed;) {
        alloc_fail_at(++n);
        mn_status status = mn_int8_network_create(s.graph, quant, &network, &err);
        failed = alloc_has_failed();
        assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
        assert_true((network == NULL) == failed);
    }
    assert_true(n > 20);
    const mn_int8_task task = {.preprocessing = preprocessing,
                               .dataset = &from.dataset,
                               .images = &from.dataset.test,
                               .count = 2,
                               .threads = 2};
    n = 0;
    for (bool failed = true; failed;) {
        mn_eval_result result = {0};
        alloc_fail_at(++n);
        mn_status status = mn_int8_network_evaluate(network, &task, &result, NULL, &err);
        failed = alloc_has_failed();
        assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
        assert_int_equal(result.count, failed ? 0 : 2);
    }
    assert_int_equal(n, 9);
    mn_int8_network_free(network);
    mn_quant_free(quant);
    sample_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grids),
        cmocka_unit_test(test_input_grid),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_percentile),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_bias_correction),
        cmocka_unit_test(test_odd_channels),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_conversion_refusals),
        cmocka_unit_test(test_clamps),
        cmocka_unit_test(test_add_factors),
        cmocka_unit_test(test_evaluate),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, alloc_failure_setup, NULL);
}

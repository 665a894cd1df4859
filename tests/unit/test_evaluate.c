/* Evaluation against a plain evaluation in double, and against the deployed graph on the kernels
 * that are exported; numbers that go into a trainer and come out again. */
#include "graph_reference.h"
#include "train_fixture.h"

#include "kernels/mn_f32.h"
#include "memnet/deploy.h"
#include "tensors_check.h"
#include "train/trainer.h"

static tiny_data data;

static int set_up(void **state)
{
    (void)state;
    tiny_data_init(&data);
    return 0;
}

/* A trainer with a batch that holds all test images, so that one run has all logits. */
static mn_trainer *create(const mn_graph *graph, const mn_tensors *initial)
{
    mn_trainer_setup setup = {.graph = graph,
                              .preprocessing = data.preprocessing,
                              .initial = initial,
                              .opts = mn_train_opts_default()};
    setup.opts.batch = tiny_test;
    setup.opts.compute = MN_COMPUTE_FLOAT32;
    return tiny_trainer(&setup);
}

/* The logits of the last evaluation; (tiny_test,classes). */
static const float *evaluate(mn_trainer *trainer, uint16_t *predictions, mn_eval_result *ret_result)
{
    mn_error err;
    assert_ok(
        mn_trainer_evaluate(
            trainer, &data.dataset, &data.dataset.test, NULL, 0, ret_result, predictions, &err),
        &err);
    return trainer->net->logits;
}

static void normalised(uint32_t image, double *ret_values)
{
    const uint8_t *pixels = (const uint8_t *)data.dataset.test.pixels + image * tiny_pixels;
    for (uint32_t k = 0; k < tiny_pixels; k++)
        ret_values[k] = ((double)pixels[k] - (double)data.preprocessing.mean) *
                        (double)data.preprocessing.scale;
}

/* Every image's logits, class and loss. */
static void check_against_reference(const mn_graph *graph, const mn_tensors *tensors)
{
    mn_trainer *trainer = create(graph, tensors);
    uint16_t predictions[tiny_test];
    mn_eval_result result;
    const float *logits = evaluate(trainer, predictions, &result);
    double loss = 0.0;
    uint32_t correct = 0;
    for (uint32_t i = 0; i < tiny_test; i++) {
        double image[tiny_pixels], expected[tiny_classes];
        double sum = 0.0;
        uint32_t best = 0;
        normalised(i, image);
        reference_run(graph, tensors, image, expected);
        for (uint32_t k = 0; k < tiny_classes; k++) {
            double actual = (double)logits[i * tiny_classes + k];
            if (!(fabs(actual - expected[k]) <= 1e-4 * (1.0 + fabs(expected[k]))))
                fail_msg("image %u class %u: %g, expected %g", i, k, actual, expected[k]);
            sum += exp(expected[k]);
            best = expected[k] > expected[best] ? k : best;
        }
        loss += log(sum) - expected[data.dataset.test.labels[i]];
        assert_int_equal(predictions[i], best);
        correct += best == data.dataset.test.labels[i];
    }
    assert_int_equal(result.count, tiny_test);
    assert_int_equal(result.correct, correct);
    assert_true(fabs(result.loss - loss / tiny_test) < 1e-4 * (1.0 + result.loss));
    mn_trainer_free(trainer);
}

static void test_every_op(void **state)
{
    (void)state;
    for (int which = 0; which < every_op_count; which++) {
        mn_genotype g = tiny_every_op(which);
        mn_graph *graph = tiny_lower(&g);
        mn_tensors *tensors = tiny_random_tensors(graph, 7);
        check_against_reference(graph, tensors);
        mn_tensors_free(tensors);
        mn_graph_free(graph);
    }
}

/* What no genotype has: relu6, activations fused into nodes (an identity too), a norm on the image,
 * a relu that is not its norm's only reader, asymmetric padding. */
static void test_other_nodes(void **state)
{
    (void)state;
    mn_error err;
    mn_graph *graph = NULL;
    mn_graph_builder *b = NULL;
    assert_ok(mn_graph_builder_create(&b, &err), &err);
    uint32_t n[12];
    n[0] = mn_graph_add(b,
                        &(mn_node_spec){.prim = MN_PRIM_INPUT,
                                        .name = "in",
                                        .shape = {tiny_h, tiny_w, tiny_c},
                                        .layer = MN_NONE});
    const mn_node_spec specs[] = {
        {.prim = MN_PRIM_BATCH_NORM, .name = "norm"},
        {.prim = MN_PRIM_IDENTITY, .name = "same", .act = MN_ACT_RELU},
        {.prim = MN_PRIM_CONV,
         .name = "conv",
         .channels = 7,
         .window = {3, 3, 2, 1, 1, 1, 0, 2, 1, 0},
         .bias = true,
         .act = MN_ACT_RELU6},
        {.prim = MN_PRIM_BATCH_NORM, .name = "norm2"},
        {.prim = MN_PRIM_RELU, .name = "relu", .act = MN_ACT_RELU6},
        {.prim = MN_PRIM_RELU6, .name = "relu6"},
    };
    for (uint32_t i = 0; i < 6; i++) {
        mn_node_spec spec = specs[i];
        spec.inputs = &n[i];
        spec.input_count = 1;
        spec.layer = MN_NONE;
        n[i + 1] = mn_graph_add(b, &spec);
    }
    uint32_t pair[2] = {n[4], n[6]};
    n[7] = mn_graph_add(b,
                        &(mn_node_spec){.prim = MN_PRIM_CONCAT,
                                        .name = "concat",
                                        .inputs = pair,
                                        .input_count = 2,
                                        .layer = MN_NONE});
    n[8] = mn_graph_add(b,
                        &(mn_node_spec){.prim = MN_PRIM_FULLY_CONNECTED,
                                        .name = "fc",
                                        .inputs = &n[7],
                                        .input_count = 1,
                                        .channels = tiny_classes,
                                        .layer = MN_NONE});
    assert_ok(mn_graph_builder_finish(b, &n[8], 1, &graph, &err), &err);
    mn_graph_builder_free(b);
    mn_tensors *tensors = tiny_random_tensors(graph, 8);
    check_against_reference(graph, tensors);
    mn_tensors_free(tensors);
    mn_graph_free(graph);
}

/* After training: the running statistics are what evaluation uses. */
static void test_after_training(void **state)
{
    (void)state;
    mn_genotype g = tiny_genotype(MN_HEAD_GAP);
    mn_graph *graph = tiny_lower(&g);
    mn_trainer_setup setup = tiny_setup(graph, &data);
    mn_trainer *trainer = tiny_trainer(&setup);
    mn_epoch_result epoch;
    mn_error err;
    for (int i = 0; i < 2; i++)
        assert_ok(mn_trainer_epoch(trainer, &epoch, &err), &err);
    mn_tensors *tensors = tiny_tensors(trainer);
    mn_trainer_free(trainer);
    check_against_reference(graph, tensors);
    mn_tensors_free(tensors);
    mn_graph_free(graph);
}

/* ---- the deployed graph on the exported kernels ---------------------------------------------- */

static int32_t act_of(const mn_node *node)
{
    return node->act == MN_ACT_RELU ? MN_F32_RELU : node->act == MN_ACT_RELU6 ? MN_F32_RELU6 : 0;
}

/* (O,C,H,W) into the kernels' (O,H,W,C); depthwise (O,1,H,W) into (H,W,O). The caller frees. */
static float *kernel_weights(const mn_tensor *t, bool depthwise)
{
    size_t outs = t->dims[0], ins = t->dims[1], taps = (size_t)t->dims[2] * t->dims[3];
    float *to = malloc(outs * ins * taps * sizeof *to);
    const float *from = t->data;
    assert_non_null(to);
    for (size_t o = 0; o < outs; o++)
        for (size_t i = 0; i < ins; i++)
            for (size_t k = 0; k < taps; k++)
                to[depthwise ? k * outs + o : (o * taps + k) * ins + i] =
                    from[(o * ins + i) * taps + k];
    return to;
}

static void run_window(const mn_graph *graph, const mn_tensors *tensors, uint32_t n, float **values)
{
    const mn_node *node = mn_graph_node(graph, n);
    const mn_window *w = &node->window;
    mn_shape in = mn_graph_node(graph, node->inputs[0])->shape;
    const float *source = values[node->inputs[0]];
    mn_f32_window window = {
        .in_h = (int32_t)in.h,
        .in_w = (int32_t)in.w,
        .in_c = (int32_t)in.c,
        .in_stride = (int32_t)in.c,
        .out_h = (int32_t)node->shape.h,
        .out_w = (int32_t)node->shape.w,
        .out_c = (int32_t)node->shape.c,
        .out_stride = (int32_t)node->shape.c,
        .kernel_h = (int32_t)w->kernel_h,
        .kernel_w = (int32_t)w->kernel_w,
        .stride_h = (int32_t)w->stride_h,
        .stride_w = (int32_t)w->stride_w,
        .dilation_h = (int32_t)w->dilation_h,
        .dilation_w = (int32_t)w->dilation_w,
        .pad_top = (int32_t)w->pad_top,
        .pad_left = (int32_t)w->pad_left,
        .groups = node->prim == MN_PRIM_CONV ? (int32_t)node->groups : 1,
        .act = act_of(node),
    };
    if (node->prim == MN_PRIM_MAX_POOL) {
        mn_f32_max_pool(source, values[n], &window);
        return;
    }
    if (node->prim == MN_PRIM_AVG_POOL) {
        mn_f32_avg_pool(source, values[n], &window);
        return;
    }
    bool depthwise = node->groups > 1;
    float *weights = kernel_weights(&tensors->items[node->tensors[MN_ROLE_WEIGHT]], depthwise);
    const float *bias = tensors->items[node->tensors[MN_ROLE_BIAS]].data;
    (depthwise ? mn_f32_depthwise : mn_f32_conv)(source, values[n], weights, bias, &window);
    free(weights);
}

static void run_concat(const mn_graph *graph, const mn_node *node, float **values, float *out)
{
    uint32_t channel = 0;
    for (uint32_t i = 0; i < node->input_count; i++) {
        mn_shape part = mn_graph_node(graph, node->inputs[i])->shape;
        mn_f32_span span = {.pixels = (int32_t)(part.h * part.w),
                            .channels = (int32_t)part.c,
                            .in_stride = (int32_t)part.c,
                            .out_stride = (int32_t)node->shape.c};
        mn_f32_copy(values[node->inputs[i]], out + channel, &span);
        channel += part.c;
    }
}

static void run_node(const mn_graph *graph, const mn_tensors *tensors, uint32_t n, float **values)
{
    const mn_node *node = mn_graph_node(graph, n);
    mn_shape in = mn_graph_node(graph, node->inputs[0])->shape;
    const float *source = values[node->inputs[0]];
    mn_f32_span span = {.pixels = (int32_t)(in.h * in.w),
                        .channels = (int32_t)in.c,
                        .in_stride = (int32_t)in.c,
                        .in2_stride = (int32_t)in.c,
                        .out_stride = (int32_t)in.c,
                        .act = act_of(node)};
    float *weights = NULL;
    switch ((int)node->prim) {
    case MN_PRIM_ADD:
        mn_f32_add(source, values[node->inputs[1]], values[n], &span);
        break;
    case MN_PRIM_CONCAT:
        run_concat(graph, node, values, values[n]);
        break;
    case MN_PRIM_GLOBAL_POOL:
        mn_f32_global_pool(source, values[n], &span);
        break;
    case MN_PRIM_FULLY_CONNECTED:
        weights = kernel_weights(&tensors->items[node->tensors[MN_ROLE_WEIGHT]], false);
        mn_f32_fully_connected(source,
                               values[n],
                               weights,
                               tensors->items[node->tensors[MN_ROLE_BIAS]].data,
                               (int32_t)node->shape.c,
                               &span);
        free(weights);
        break;
    case MN_PRIM_RELU:
    case MN_PRIM_RELU6:
        span.act = node->prim == MN_PRIM_RELU ? MN_F32_RELU : MN_F32_RELU6;
        mn_f32_copy(source, values[n], &span);
        break;
    default:
        run_window(graph, tensors, n, values);
        break;
    }
}

static void run_kernels(const mn_graph *graph,
                        const mn_tensors *tensors,
                        const double *image,
                        float *ret_logits)
{
    uint32_t nodes = mn_graph_node_count(graph);
    float **values = calloc(nodes, sizeof *values);
    for (uint32_t n = 0; n < nodes; n++) {
        const mn_node *node = mn_graph_node(graph, n);
        values[n] = calloc(mn_shape_elements(node->shape), sizeof **values);
        for (uint32_t k = 0; node->prim == MN_PRIM_INPUT && k < tiny_pixels; k++)
            values[n][k] = (float)image[k];
        if (node->prim != MN_PRIM_INPUT)
            run_node(graph, tensors, n, values);
    }
    memcpy(ret_logits, values[mn_graph_output(graph, 0)], tiny_classes * sizeof(float));
    for (uint32_t n = 0; n < nodes; n++)
        free(values[n]);
    free(values);
}

/* What the trainer measures is what the exported code computes. */
static void test_deployed(void **state)
{
    (void)state;
    for (int which = 0; which < every_op_count; which++) {
        mn_genotype g = tiny_every_op(which);
        mn_graph *graph = tiny_lower(&g);
        mn_graph *deployed = NULL;
        mn_tensors *folded = NULL;
        mn_tensors *tensors = tiny_random_tensors(graph, 9);
        mn_trainer *trainer = create(graph, tensors);
        mn_eval_result result;
        mn_error err;
        const float *logits = evaluate(trainer, NULL, &result);
        assert_ok(mn_deploy(graph, tensors, &deployed, &folded, &err), &err);
        for (uint32_t i = 0; i < tiny_test; i++) {
            double image[tiny_pixels];
            float actual[tiny_classes];
            normalised(i, image);
            run_kernels(deployed, folded, image, actual);
            for (uint32_t k = 0; k < tiny_classes; k++) {
                float expected = logits[i * tiny_classes + k];
                if (!(fabsf(actual[k] - expected) <= 1e-4f * (1.0f + fabsf(expected))))
                    fail_msg("image %u class %u: %g, expected %g",
                             i,
                             k,
                             (double)actual[k],
                             (double)expected);
            }
        }
        mn_trainer_free(trainer);
        mn_tensors_free(tensors);
        mn_tensors_free(folded);
        mn_graph_free(deployed);
        mn_graph_free(graph);
    }
}

/* ---- numbers in and out ---------------------------------------------------------------------- */

static void test_export_is_import(void **state)
{
    (void)state;
    mn_genotype g = tiny_genotype(MN_HEAD_MAXPOOL2);
    mn_graph *graph = tiny_lower(&g);
    mn_tensors *tensors = tiny_random_tensors(graph, 10);
    mn_trainer *trainer = create(graph, tensors);
    mn_tensors *out = tiny_tensors(trainer);
    assert_tensors_equal(tensors, out);
    mn_tensors_free(out);
    mn_trainer_free(trainer);
    mn_tensors_free(tensors);
    mn_graph_free(graph);
}

static void test_foreign_initial(void **state)
{
    (void)state;
    mn_genotype g = tiny_small_genotype();
    mn_graph *graph = tiny_lower(&g);
    g.blocks[0].width++;
    mn_graph *other = tiny_lower(&g);
    mn_tensors *foreign = tiny_random_tensors(other, 1);
    mn_trainer_setup setup = {.graph = graph, .initial = foreign, .opts = mn_train_opts_default()};
    mn_trainer *trainer = NULL;
    mn_error err;
    assert_error(mn_trainer_create(&setup, &trainer, &err),
                 MN_ERR_MISMATCH,
                 &err,
                 "tensor 'block0.cell0.op0.conv.weight': expected float32 (9,3,3,3)");
    assert_null(trainer);
    mn_tensors_free(foreign);
    mn_graph_free(other);
    mn_graph_free(graph);
}

/* Any cut into batches, any order, indices that come twice: the same classes and the same loss. */
static void test_batches_of_evaluation(void **state)
{
    (void)state;
    mn_genotype g = tiny_small_genotype();
    mn_graph *graph = tiny_lower(&g);
    mn_tensors *tensors = tiny_random_tensors(graph, 11);
    mn_trainer *whole = create(graph, tensors);
    uint16_t expected[tiny_test];
    mn_eval_result all;
    mn_error err;
    (void)evaluate(whole, expected, &all);
    mn_trainer_free(whole);
    static const uint32_t batches[] = {1, 2, 16, 36, 38, 64};
    for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
        mn_trainer_setup setup = {.graph = graph,
                                  .preprocessing = data.preprocessing,
                                  .initial = tensors,
                                  .opts = mn_train_opts_default()};
        setup.opts.batch = batches[b];
        setup.opts.compute = MN_COMPUTE_FLOAT32;
        mn_trainer *trainer = tiny_trainer(&setup);
        uint16_t predictions[tiny_test];
        mn_eval_result result;
        (void)evaluate(trainer, predictions, &result);
        assert_int_equal(result.count, tiny_test);
        assert_int_equal(result.correct, all.correct);
        assert_true(fabs(result.loss - all.loss) < 1e-6);
        assert_memory_equal(predictions, expected, sizeof expected);
        const uint32_t some[] = {36, 0, 5, 5, 12};
        assert_ok(
            mn_trainer_evaluate(
                trainer, &data.dataset, &data.dataset.test, some, 5, &result, predictions, &err),
            &err);
        assert_int_equal(result.count, 5);
        for (int i = 0; i < 5; i++)
            assert_int_equal(predictions[i], expected[some[i]]);
        mn_trainer_free(trainer);
    }
    mn_tensors_free(tensors);
    mn_graph_free(graph);
}

static void test_evaluation_errors(void **state)
{
    (void)state;
    mn_genotype g = tiny_small_genotype();
    mn_graph *graph = tiny_lower(&g);
    mn_tensors *tensors = tiny_random_tensors(graph, 12);
    mn_trainer *trainer = create(graph, tensors);
    mn_eval_result result = {.count = 99};
    mn_error err;
    mn_dataset other = data.dataset;
    other.class_count = 3;
    assert_error(mn_trainer_evaluate(trainer, &other, &other.test, NULL, 0, &result, NULL, &err),
                 MN_ERR_MISMATCH,
                 &err,
                 "the network reads (9,8,3) and has 4 classes, the data set has (9,8,3) and 3");
    other = data.dataset;
    other.shape.h = 8;
    assert_error(mn_trainer_evaluate(trainer, &other, &other.test, NULL, 0, &result, NULL, &err),
                 MN_ERR_MISMATCH,
                 &err,
                 "the data set has (8,8,3)");
    const uint32_t outside[] = {1, tiny_test};
    assert_error(mn_trainer_evaluate(
                     trainer, &data.dataset, &data.dataset.test, outside, 2, &result, NULL, &err),
                 MN_ERR_ARG,
                 &err,
                 "index 1 is 37, out of range [0,37)");
    assert_int_equal(result.count, 99);
    /* No images at all are no error. */
    assert_ok(mn_trainer_evaluate(
                  trainer, &data.dataset, &data.dataset.test, outside, 0, &result, NULL, &err),
              &err);
    assert_int_equal(result.count, 0);
    assert_true(result.loss == 0.0);
    mn_trainer_free(trainer);
    ((float *)tensors->items[tensors->count - 1].data)[2] = NAN;
    trainer = create(graph, tensors);
    assert_error(mn_trainer_evaluate(
                     trainer, &data.dataset, &data.dataset.test, NULL, 0, &result, NULL, &err),
                 MN_ERR_LIMIT,
                 &err,
                 "the evaluation loss is not finite");
    mn_trainer_free(trainer);
    mn_tensors_free(tensors);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_op),
        cmocka_unit_test(test_other_nodes),
        cmocka_unit_test(test_after_training),
        cmocka_unit_test(test_deployed),
        cmocka_unit_test(test_export_is_import),
        cmocka_unit_test(test_foreign_initial),
        cmocka_unit_test(test_batches_of_evaluation),
        cmocka_unit_test(test_evaluation_errors),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

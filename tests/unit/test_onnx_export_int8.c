/* Export as ONNX of int8 networks: QuantizeLinear and DequantizeLinear where they belong, integers
 * in ONNX's order, clamps only where they are needed, tables that are refused. */
#include "test.h"

#include <math.h>

#include "alloc_failure.h"
#include "hand_quant.h"
#include "onnx_exported.h"

static mn_quant *quantise(fixture *f)
{
    double image[NET_H * NET_W * NET_C];
    for (uint32_t i = 0; i < NET_H * NET_W * NET_C; i++)
        image[i] = (double)(i * 37 % 256) / 128.0 - 1.0;
    return hand_quant_make(f->net.graph, &f->net.tensors, image, 1);
}

static uint32_t index_of(const fixture *f, const char *name)
{
    uint32_t n = 0;
    while (strcmp(mn_graph_node(f->net.graph, n)->name, name) != 0)
        n++;
    return n;
}

static float float_of(const fixture *f, const char *name, uint32_t index)
{
    float value = 0.0f;
    memcpy(&value, tensor_of(f, name)->raw_data.data + index * sizeof value, sizeof value);
    return value;
}

static void test_int8(void **state)
{
    (void)state;
    fixture f = {0};
    network_init(&f.net);
    mn_quant *quant = quantise(&f);
    mn_onnx_export_input input = input_of(&f);
    input.quant = quant;
    input.tensors = NULL;
    unpack(&f, &input);
    check_names(&f);
    check_dims(f.graph->input[0], "input", "1,3,7,6");
    check_dims(f.graph->output[0], "logits", "1,4");
    assert_string_equal(metadata_of(&f, "memnet.precision"), "int8");
    assert_int_equal(count_ops(&f, "QuantizeLinear"), quant->node_count);
    assert_int_equal(count_ops(&f, "Relu"), 0); /* every relu's grid begins at 0 */
    check_line(
        &f, "input:int8", "QuantizeLinear(input, input:scale, input:zero_point) -> input:int8\n");
    check_line(&f,
               "input:quantised",
               "DequantizeLinear(input:int8, input:scale, input:zero_point) -> input:quantised\n");
    check_line(&f,
               "point:raw",
               "Conv(stem */ \\ int #1, point:weight, point:bias) -> point:raw kernel_shape=1,1 "
               "strides=1,1 pads=0,0,0,0 dilations=1,1 group=1\n");
    check_line(&f,
               "point:int8",
               "QuantizeLinear(point:raw, point:scale, point:zero_point) -> point:int8\n");
    check_line(&f,
               "point:weight",
               "DequantizeLinear(point:weight_int8, point:weight_scale, point:weight_zero_point) "
               "-> point:weight axis=0\n");
    check_line(&f,
               "point:bias",
               "DequantizeLinear(point:bias_int32, point:bias_scale) -> point:bias axis=0\n");
    check_line(
        &f, "logits", "DequantizeLinear(logits:int8, logits:scale, logits:zero_point) -> logits\n");
    uint32_t point = index_of(&f, "point");
    uint32_t stem = index_of(&f, "stem */ \\ int #1");
    for (uint32_t o = 0; o < 4; o++)
        assert_true(float_of(&f, "point:bias_scale", o) ==
                    quant->values[stem].scale * quant->nodes[point].weight_scale[o]);
    assert_true(float_of(&f, "point:scale", 0) == quant->values[point].scale);
    assert_int_equal((int8_t)tensor_of(&f, "point:zero_point")->raw_data.data[0],
                     quant->values[point].zero_point);
    unpacked_done(&f);
    hand_quant_free(quant);
    network_done(&f.net);
}

/* Integers in the kernels' order come out in ONNX's. */
static void test_int8_order(void **state)
{
    (void)state;
    static const char *const names[] = {"wide", "over", "grouped", "dense"};
    fixture f = {0};
    network_init(&f.net);
    mn_quant *quant = quantise(&f);
    mn_onnx_export_input input = input_of(&f);
    input.quant = quant;
    unpack(&f, &input);
    for (uint32_t i = 0; i < 4; i++) {
        char name[64];
        const mn_node *node = mn_graph_node(f.net.graph, index_of(&f, names[i]));
        uint32_t t = node->tensors[MN_ROLE_WEIGHT];
        const float *real = f.net.tensors.items[t].data;
        size_t count = mn_graph_tensor_elements(f.net.graph, t);
        snprintf(name, sizeof name, "%s:weight_int8", names[i]);
        const Onnx__TensorProto *tensor = tensor_of(&f, name);
        const float *scale = quant->nodes[index_of(&f, names[i])].weight_scale;
        assert_int_equal(tensor->data_type, ONNX__TENSOR_PROTO__DATA_TYPE__INT8);
        assert_int_equal(tensor->n_dims, node->prim == MN_PRIM_CONV ? 4 : 2);
        assert_int_equal(tensor->raw_data.len, count);
        for (size_t k = 0; k < count; k++) {
            float of = scale[k / (count / node->shape.c)];
            assert_true(fabsf(of * (int8_t)tensor->raw_data.data[k] - real[k]) <= 0.51f * of);
        }
    }
    unpacked_done(&f);
    hand_quant_free(quant);
    network_done(&f.net);
}

/* An op clamps only where the ends of the grid do not. */
static void test_int8_clamps(void **state)
{
    (void)state;
    fixture f = {0};
    network_init(&f.net);
    mn_quant *quant = quantise(&f);
    mn_onnx_export_input input = input_of(&f);
    input.quant = quant;
    uint32_t stem = index_of(&f, "stem */ \\ int #1");
    uint32_t sum = index_of(&f, "sum");
    uint32_t relu6 = index_of(&f, "relu6");
    quant->values[stem].zero_point = quant->nodes[stem].low = -100;
    quant->values[sum].zero_point = -128;
    quant->nodes[sum].high = 100;
    quant->values[relu6].zero_point = 10;
    quant->nodes[relu6].low = 9;
    quant->nodes[relu6].high = 90;
    unpack(&f, &input);
    check_names(&f);
    check_line(&f,
               "stem */ \\ int #1:clamped",
               "Relu(stem */ \\ int #1:raw) -> stem */ \\ int #1:clamped\n");
    check_line(&f, "sum:clamped", "Clip(sum:raw, , sum:max) -> sum:clamped\n");
    check_line(&f, "relu6:clamped", "Clip(head2, relu6:min, relu6:max) -> relu6:clamped\n");
    check_line(&f,
               "relu6:int8",
               "QuantizeLinear(relu6:clamped, relu6:scale, relu6:zero_point) -> relu6:int8\n");
    assert_true(float_of(&f, "sum:max", 0) == quant->values[sum].scale * 228.0f);
    assert_true(float_of(&f, "relu6:min", 0) == -quant->values[relu6].scale);
    assert_true(float_of(&f, "relu6:max", 0) == quant->values[relu6].scale * 80.0f);
    assert_false(has_value(&f, "relu:clamped"));
    check_line(
        &f, "relu:int8", "QuantizeLinear(point, relu:scale, relu:zero_point) -> relu:int8\n");
    unpacked_done(&f);
    hand_quant_free(quant);
    network_done(&f.net);
}

static void test_int8_refused(void **state)
{
    (void)state;
    fixture f = {0};
    mn_error err;
    char *bytes = NULL;
    size_t count = 0;
    network_init(&f.net);
    mn_quant *quant = quantise(&f);
    mn_onnx_export_input input = input_of(&f);
    input.quant = quant;
    mn_quant_value *grid = &quant->values[2];
    mn_quant_node *tables = &quant->nodes[1];
    mn_quant_value good_grid = *grid;
    mn_quant_node good = *tables;
    float scale = tables->weight_scale[1];
#define REFUSED(status, says)                                                                      \
    assert_error(mn_onnx_serialise(&input, &bytes, &count, &err), status, &err, says)
    quant->node_count--;
    REFUSED(MN_ERR_MISMATCH, "nodes");
    quant->node_count++;
    grid->scale = 0.0f;
    REFUSED(MN_ERR_FORMAT, "a grid of scale 0");
    grid->scale = INFINITY;
    REFUSED(MN_ERR_FORMAT, "a grid of scale inf");
    *grid = good_grid;
    grid->zero_point = 128;
    REFUSED(MN_ERR_FORMAT, "zero point 128");
    *grid = good_grid;
    tables->low = -129;
    REFUSED(MN_ERR_FORMAT, "clamped to [-129,");
    tables->low = 5;
    tables->high = 4;
    REFUSED(MN_ERR_FORMAT, "clamped to [5,4]");
    *tables = good;
    tables->bias = NULL;
    REFUSED(MN_ERR_MISMATCH, "tables");
    *tables = good;
    tables->weight_scale[1] = -1.0f;
    REFUSED(MN_ERR_FORMAT, "output 1: weights of scale -1");
    tables->weight_scale[1] = 1e-38f;
    quant->values[0].scale = 1e-38f;
    REFUSED(MN_ERR_FORMAT, "a bias of scale 0");
#undef REFUSED
    tables->weight_scale[1] = scale;
    assert_null(bytes);
    hand_quant_free(quant);
    network_done(&f.net);
}

/* Whichever allocation fails, the error says so and nothing leaks. */
static void test_allocation_failures(void **state)
{
    (void)state;
    fixture f = {0};
    mn_error err;
    size_t n = 0;
    network_init(&f.net);
    mn_quant *quant = quantise(&f);
    mn_onnx_export_input input = input_of(&f);
    input.quant = quant;
    for (bool failed = true; failed; n++) {
        alloc_fail_at(n + 1);
        mn_status status = mn_onnx_serialise(&input, &f.bytes, &f.count, &err);
        failed = alloc_has_failed();
        if (!failed)
            assert_int_equal(status, MN_OK);
        else if (status != MN_ERR_NOMEM)
            fail_msg("allocation %zu: status %d: %s", n + 1, (int)status, err.message);
        else
            assert_null(f.bytes);
    }
    assert_true(n > 200);
    free(f.bytes);
    hand_quant_free(quant);
    network_done(&f.net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int8),
        cmocka_unit_test(test_int8_order),
        cmocka_unit_test(test_int8_clamps),
        cmocka_unit_test(test_int8_refused),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, alloc_failure_setup, NULL);
}

/* Quantised networks as tensors: back bit by bit, and every way in which a tensor can be wrong. */
#include "test.h"

#include "alloc_failure.h"

#include <math.h>

#include "base/random.h"
#include "memnet/quant.h"

enum { X, CONV, DEPTHWISE, SUM, DENSE, NODES };

static uint32_t add(mn_graph_builder *b,
                    mn_node_spec spec,
                    const char *name,
                    uint32_t count,
                    const uint32_t *inputs)
{
    spec.name = name;
    spec.inputs = inputs;
    spec.input_count = count;
    spec.layer = MN_NONE;
    return mn_graph_add(b, &spec);
}

static mn_graph *sample(void)
{
    mn_graph_builder *b = NULL;
    mn_graph *graph = NULL;
    mn_error err;
    mn_shape shape = {4, 4, 3};
    mn_node_spec conv = {
        .prim = MN_PRIM_CONV, .channels = 3, .window = mn_window_same(shape, 3, 2, 1, 1)};
    assert_ok(mn_graph_builder_create(&b, &err), &err);
    add(b, (mn_node_spec){.prim = MN_PRIM_INPUT, .shape = shape}, "x", 0, NULL);
    add(b, conv, "conv", 1, (uint32_t[]){X});
    conv.groups = 3;
    add(b, conv, "depthwise", 1, (uint32_t[]){CONV});
    add(b, (mn_node_spec){.prim = MN_PRIM_ADD}, "sum", 2, (uint32_t[]){CONV, DEPTHWISE});
    add(b,
        (mn_node_spec){.prim = MN_PRIM_FULLY_CONNECTED, .channels = 2},
        "dense",
        1,
        (uint32_t[]){SUM});
    assert_ok(mn_graph_builder_finish(b, (uint32_t[]){DENSE}, 1, &graph, &err), &err);
    mn_graph_builder_free(b);
    return graph;
}

/* Random numbers that pass the check. */
static mn_quant *random_quant(const mn_graph *graph)
{
    mn_random random = mn_random_make(4, 1);
    mn_quant *quant = NULL;
    mn_error err;
    assert_ok(mn_quant_create(graph, &quant, &err), &err);
    for (uint32_t n = 0; n < NODES; n++) {
        mn_quant_node *q = &quant->nodes[n];
        mn_quant_sizes sizes = mn_quant_sizes_of(graph, n);
        quant->values[n] = (mn_quant_value){.scale = 0.1f + mn_random_uniform(&random),
                                            .zero_point = -(int32_t)mn_random_below(&random, 129)};
        q->low = -(int32_t)mn_random_below(&random, 129);
        q->high = (int32_t)mn_random_below(&random, 128);
        if (n == SUM) {
            q->add_a = (1 << 21) + 5;
            q->add_b = 77;
            q->add_shift = 19;
        }
        for (size_t i = 0; i < sizes.outputs * sizes.filter; i++)
            q->weights[i] = (int8_t)((int32_t)mn_random_below(&random, 255) - 127);
        for (uint32_t o = 0; o < sizes.outputs; o++) {
            q->bias[o] = (int32_t)mn_random_below(&random, 1 << 20) - (1 << 19);
            q->multiplier[o] = (int32_t)(mn_random_below(&random, 1u << 30) + (1u << 30));
            q->shift[o] = (int8_t)(1 + mn_random_below(&random, 62));
            q->weight_scale[o] = 0.001f + mn_random_uniform(&random);
        }
    }
    assert_ok(mn_quant_check(graph, quant, &err), &err);
    return quant;
}

static void assert_equal(const mn_graph *graph, const mn_quant *a, const mn_quant *b)
{
    assert_int_equal(a->node_count, b->node_count);
    assert_memory_equal(a->values, b->values, a->node_count * sizeof *a->values);
    for (uint32_t n = 0; n < a->node_count; n++) {
        const mn_quant_node *x = &a->nodes[n];
        const mn_quant_node *y = &b->nodes[n];
        mn_quant_sizes sizes = mn_quant_sizes_of(graph, n);
        uint32_t o = sizes.outputs;
        assert_int_equal(x->factor, y->factor);
        assert_int_equal(x->factor_shift, y->factor_shift);
        assert_int_equal(x->add_a, y->add_a);
        assert_int_equal(x->add_b, y->add_b);
        assert_int_equal(x->add_shift, y->add_shift);
        assert_int_equal(x->low, y->low);
        assert_int_equal(x->high, y->high);
        if (o == 0)
            continue;
        assert_memory_equal(x->weights, y->weights, o * sizes.filter);
        assert_memory_equal(x->bias, y->bias, o * sizeof *x->bias);
        assert_memory_equal(x->multiplier, y->multiplier, o * sizeof *x->multiplier);
        assert_memory_equal(x->shift, y->shift, o);
        assert_memory_equal(x->weight_scale, y->weight_scale, o * sizeof *x->weight_scale);
    }
}

static mn_tensors *tensors_of(const mn_graph *graph, const mn_quant *quant)
{
    mn_tensors *tensors = NULL;
    mn_error err;
    assert_ok(mn_quant_to_tensors(graph, quant, &tensors, &err), &err);
    return tensors;
}

static void test_round_trip(void **state)
{
    (void)state;
    mn_graph *graph = sample();
    mn_quant *quant = random_quant(graph);
    mn_tensors *tensors = tensors_of(graph, quant);
    mn_quant *back = NULL;
    mn_error err;
    assert_int_equal(tensors->count, 3 * 5 + 3);
    const mn_tensor *weight = &tensors->items[mn_tensors_find(tensors, "conv.weight")];
    assert_int_equal(weight->dtype, MN_I8);
    assert_int_equal(weight->rank, 4);
    assert_memory_equal(weight->dims, ((uint32_t[]){3, 3, 2, 3}), sizeof weight->dims);
    weight = &tensors->items[mn_tensors_find(tensors, "depthwise.weight")];
    assert_int_equal(weight->rank, 3);
    assert_memory_equal(weight->dims, ((uint32_t[]){3, 2, 3, 1}), sizeof weight->dims);
    assert_ok(mn_quant_from_tensors(graph, tensors, &back, &err), &err);
    assert_equal(graph, quant, back);
    mn_quant_free(back);
    mn_tensors_free(tensors);
    mn_quant_free(quant);
    mn_graph_free(graph);
}

static void
assert_refused(const mn_graph *graph, const mn_tensors *tensors, mn_status status, const char *text)
{
    mn_quant *quant = NULL;
    mn_error err;
    assert_error(mn_quant_from_tensors(graph, tensors, &quant, &err), status, &err, text);
    assert_null(quant);
}

/* Each tensor in turn: another name, another type, another shape. */
static void test_wrong_tensors(void **state)
{
    (void)state;
    mn_graph *graph = sample();
    mn_quant *quant = random_quant(graph);
    mn_tensors *tensors = tensors_of(graph, quant);
    for (uint32_t t = 0; t < tensors->count; t++) {
        mn_tensor *tensor = &tensors->items[t];
        char first = tensor->name[0];
        mn_dtype dtype = tensor->dtype;
        tensor->name[0] = '?';
        assert_refused(graph, tensors, MN_ERR_MISMATCH, "missing");
        tensor->name[0] = first;
        tensor->dtype = MN_U8;
        assert_refused(graph, tensors, MN_ERR_MISMATCH, tensor->name);
        tensor->dtype = dtype;
        for (uint32_t k = 0; k < tensor->rank; k++) {
            tensor->dims[k]--;
            assert_refused(graph, tensors, MN_ERR_MISMATCH, tensor->name);
            tensor->dims[k]++;
        }
        tensor->rank--;
        assert_refused(graph, tensors, MN_ERR_MISMATCH, tensor->name);
        tensor->rank++;
    }
    float *scale = tensors->items[mn_tensors_find(tensors, "quant.scale")].data;
    scale[CONV] = NAN;
    assert_refused(graph, tensors, MN_ERR_FORMAT, "'conv': scale nan");
    mn_tensors_free(tensors);
    mn_quant_free(quant);
    mn_graph_free(graph);
}

/* Random bytes in a random tensor: refused with a line, or what is read has passed the check. */
static void test_random_damage(void **state)
{
    (void)state;
    mn_graph *graph = sample();
    mn_quant *quant = random_quant(graph);
    mn_random random = mn_random_make(8, 1);
    uint32_t refused = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        mn_tensors *tensors = tensors_of(graph, quant);
        mn_tensor *tensor = &tensors->items[mn_random_below(&random, tensors->count)];
        size_t bytes = mn_tensor_elements(tensor) * mn_dtype_bytes(tensor->dtype);
        mn_quant *back = NULL;
        mn_error err = {.status = MN_OK};
        ((uint8_t *)tensor->data)[mn_random_below(&random, (uint32_t)bytes)] =
            (uint8_t)mn_random_below(&random, 256);
        if (mn_quant_from_tensors(graph, tensors, &back, &err) == MN_OK)
            assert_ok(mn_quant_check(graph, back, &err), &err);
        else
            refused++;
        mn_quant_free(back);
        mn_tensors_free(tensors);
    }
    assert_true(refused > 100);
    mn_quant_free(quant);
    mn_graph_free(graph);
}

static void test_memory(void **state)
{
    (void)state;
    mn_graph *graph = sample();
    mn_quant *quant = random_quant(graph);
    mn_tensors *tensors = NULL;
    mn_quant *back = NULL;
    mn_error err;
    size_t n = 0;
    for (bool failed = true; failed;) {
        alloc_fail_at(++n);
        mn_status status = mn_quant_to_tensors(graph, quant, &tensors, &err);
        failed = alloc_has_failed();
        assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
        assert_true((tensors == NULL) == failed);
    }
    assert_true(n > 40);
    n = 0;
    for (bool failed = true; failed;) {
        alloc_fail_at(++n);
        mn_status status = mn_quant_from_tensors(graph, tensors, &back, &err);
        failed = alloc_has_failed();
        assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
        assert_true((back == NULL) == failed);
    }
    assert_true(n > 30);
    mn_quant_free(back);
    mn_tensors_free(tensors);
    mn_quant_free(quant);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_wrong_tensors),
        cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, alloc_failure_setup, NULL);
}

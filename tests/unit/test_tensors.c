/* Tensor lists: adding, finding, copying, and the order and checks that a graph asks for. */
#include "test.h"

#include <math.h>

#include "alloc_failure.h"
#include "base/random.h"
#include "graph/tensors.h"
#include "tensors_check.h"

static mn_tensors *new_list(void)
{
    mn_tensors *tensors = NULL;
    assert_int_equal(mn_tensors_create(&tensors, NULL), MN_OK);
    return tensors;
}

/* conv with bias -> batch norm -> fully connected: 8 tensors of every role and both ranks. */
static mn_graph *new_graph(void)
{
    mn_graph_builder *builder = NULL;
    mn_graph *graph = NULL;
    mn_error err;
    assert_ok(mn_graph_builder_create(&builder, &err), &err);
    mn_shape image = {6, 5, 2};
    uint32_t node = mn_graph_add(
        builder,
        &(mn_node_spec){.prim = MN_PRIM_INPUT, .name = "in", .shape = image, .layer = MN_NONE});
    node = mn_graph_add(builder,
                        &(mn_node_spec){.prim = MN_PRIM_CONV,
                                        .name = "conv",
                                        .inputs = &node,
                                        .input_count = 1,
                                        .channels = 3,
                                        .bias = true,
                                        .window = mn_window_same(image, 3, 3, 1, 1),
                                        .layer = MN_NONE});
    node = mn_graph_add(builder,
                        &(mn_node_spec){.prim = MN_PRIM_BATCH_NORM,
                                        .name = "norm",
                                        .inputs = &node,
                                        .input_count = 1,
                                        .layer = MN_NONE});
    node = mn_graph_add(builder,
                        &(mn_node_spec){.prim = MN_PRIM_FULLY_CONNECTED,
                                        .name = "fc",
                                        .inputs = &node,
                                        .input_count = 1,
                                        .channels = 4,
                                        .bias = true,
                                        .layer = MN_NONE});
    assert_ok(mn_graph_builder_finish(builder, &node, 1, &graph, &err), &err);
    mn_graph_builder_free(builder);
    return graph;
}

/* Every tensor of the graph, numbered through, from the last to the first, with an extra one. */
static mn_tensors *new_reversed(const mn_graph *graph)
{
    mn_tensors *tensors = new_list();
    for (uint32_t i = mn_graph_tensor_count(graph); i-- > 0;) {
        const mn_tensor_info *info = mn_graph_tensor(graph, i);
        mn_tensor *made = NULL;
        assert_int_equal(
            mn_tensors_add(tensors, info->name, MN_F32, info->rank, info->dims, &made, NULL),
            MN_OK);
        float *numbers = made->data;
        for (size_t k = 0; k < mn_tensor_elements(made); k++)
            numbers[k] = (float)i + (float)k / 1024;
    }
    assert_int_equal(mn_tensors_add(tensors, "extra", MN_I8, 0, NULL, NULL, NULL), MN_OK);
    return tensors;
}

static void test_dtypes(void **state)
{
    (void)state;
    assert_int_equal(mn_dtype_bytes(MN_F32), sizeof(float));
    assert_int_equal(mn_dtype_bytes(MN_I32), sizeof(int32_t));
    assert_int_equal(mn_dtype_bytes(MN_I8), 1);
    assert_int_equal(mn_dtype_bytes(MN_U8), 1);
    assert_int_equal(mn_dtype_bytes((mn_dtype)77), 0);
    assert_string_equal(mn__dtype_name((mn_dtype)77), "unknown");
    for (mn_dtype dtype = MN_F32; dtype <= MN_U8; dtype++) {
        mn_dtype found = (mn_dtype)77;
        assert_true(mn__dtype_find(mn__dtype_name(dtype), &found));
        assert_int_equal(found, dtype);
    }
    mn_dtype kept = MN_I8;
    assert_false(mn__dtype_find("F16", &kept));
    assert_int_equal(kept, MN_I8);
}

static void test_add_many(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 0);
    mn_tensors *tensors = new_list();
    mn_error err;
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t dims[4];
        size_t elements = 1;
        char name[16];
        mn_tensor *made = NULL;
        mn_dtype dtype = (mn_dtype)mn_random_below(&random, 4);
        uint32_t rank = mn_random_below(&random, 5);
        for (uint32_t k = 0; k < rank; k++) {
            dims[k] = mn_random_below(&random, 6);
            elements *= dims[k];
        }
        snprintf(name, sizeof name, "t%u", i);
        assert_int_equal(mn_tensors_find(tensors, name), MN_NONE);
        assert_ok(mn_tensors_add(tensors, name, dtype, rank, dims, &made, &err), &err);
        assert_int_equal(tensors->count, i + 1);
        assert_ptr_equal(made, &tensors->items[i]);
        assert_int_equal(made->dtype, dtype);
        assert_int_equal(made->rank, rank);
        for (uint32_t k = 0; k < 4; k++)
            assert_int_equal(made->dims[k], k < rank ? dims[k] : 1);
        assert_int_equal(mn_tensor_elements(made), elements);
        unsigned char *bytes = made->data;
        assert_non_null(bytes);
        for (size_t k = 0; k < elements * mn_dtype_bytes(dtype); k++) {
            assert_int_equal(bytes[k], 0);
            bytes[k] = (unsigned char)i;
        }
    }
    for (uint32_t i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%u", i);
        assert_int_equal(mn_tensors_find(tensors, name), i);
    }
    mn_tensors_free(tensors);
    mn_tensors_free(NULL);
}

static void test_add_refuses(void **state)
{
    (void)state;
    mn_tensors *tensors = new_list();
    mn_error err;
    mn_tensor *made = NULL;
    const uint32_t dims[] = {2, 3, 1, 1, 1};
    const uint32_t huge[] = {65536, 65536, 65536, 65536};
    const uint32_t half[] = {UINT32_MAX, UINT32_MAX, 1, 1}; /* fits as I8, not as F32 */
    assert_ok(mn_tensors_add(tensors, "a", MN_F32, 2, dims, NULL, &err), &err);
    assert_error(mn_tensors_add(tensors, NULL, MN_F32, 2, dims, &made, &err),
                 MN_ERR_ARG,
                 &err,
                 "tensor 1: has no name");
    assert_error(mn_tensors_add(tensors, "", MN_F32, 2, dims, &made, &err),
                 MN_ERR_ARG,
                 &err,
                 "tensor 1: has no name");
    assert_error(mn_tensors_add(tensors, "a", MN_I8, 1, dims, &made, &err),
                 MN_ERR_ARG,
                 &err,
                 "tensor 'a': the name exists already");
    assert_error(mn_tensors_add(tensors, "b", MN_F32, 5, dims, &made, &err),
                 MN_ERR_ARG,
                 &err,
                 "tensor 'b': rank 5, expected at most 4");
    assert_error(mn_tensors_add(tensors, "b", (mn_dtype)4, 1, dims, &made, &err),
                 MN_ERR_ARG,
                 &err,
                 "tensor 'b': unknown dtype 4");
    assert_error(mn_tensors_add(tensors, "b", MN_U8, 4, huge, &made, &err),
                 MN_ERR_LIMIT,
                 &err,
                 "tensor 'b'");
    assert_error(mn_tensors_add(tensors, "b", MN_F32, 4, half, &made, &err),
                 MN_ERR_LIMIT,
                 &err,
                 "tensor 'b'");
    assert_null(made);
    assert_int_equal(tensors->count, 1);
    assert_string_equal(tensors->items[0].name, "a");
    mn_tensors_free(tensors);
}

static void test_clone(void **state)
{
    (void)state;
    mn_graph *graph = new_graph();
    mn_tensors *from = new_reversed(graph);
    mn_tensors *copy = NULL;
    mn_error err;
    assert_ok(mn_tensors_clone(from, &copy, &err), &err);
    assert_tensors_equal(from, copy);
    ((float *)copy->items[0].data)[0] += 1;
    assert_memory_not_equal(copy->items[0].data, from->items[0].data, sizeof(float));
    mn_tensors_free(copy);
    mn_tensors_free(from);
    mn_graph_free(graph);
}

static void test_create_for_graph(void **state)
{
    (void)state;
    mn_graph *graph = new_graph();
    mn_tensors *tensors = NULL;
    mn_error err;
    assert_ok(mn_tensors_create_for_graph(graph, &tensors, &err), &err);
    assert_int_equal(tensors->count, 8);
    for (uint32_t i = 0; i < tensors->count; i++) {
        const mn_tensor_info *info = mn_graph_tensor(graph, i);
        const mn_tensor *tensor = &tensors->items[i];
        assert_string_equal(tensor->name, info->name);
        assert_int_equal(tensor->dtype, MN_F32);
        assert_int_equal(tensor->rank, info->rank);
        assert_memory_equal(tensor->dims, info->dims, sizeof tensor->dims);
        assert_int_equal(mn_tensor_elements(tensor), mn_graph_tensor_elements(graph, i));
        for (size_t k = 0; k < mn_tensor_elements(tensor); k++)
            assert_true(((const float *)tensor->data)[k] == 0.0f);
    }
    mn_tensors_free(tensors);
    mn_graph_free(graph);
}

static void test_arrange(void **state)
{
    (void)state;
    mn_graph *graph = new_graph();
    mn_tensors *from = new_reversed(graph);
    mn_tensors *arranged = NULL;
    mn_error err;
    assert_ok(mn_tensors_arrange(graph, from, &arranged, &err), &err);
    assert_int_equal(arranged->count, mn_graph_tensor_count(graph));
    for (uint32_t i = 0; i < arranged->count; i++) {
        const mn_tensor *tensor = &arranged->items[i];
        assert_string_equal(tensor->name, mn_graph_tensor(graph, i)->name);
        for (size_t k = 0; k < mn_tensor_elements(tensor); k++)
            assert_true(((const float *)tensor->data)[k] == (float)i + (float)k / 1024);
    }
    mn_tensors_free(arranged);
    mn_tensors_free(from);
    mn_graph_free(graph);
}

/* Arranges the list after `damage` to the tensor `name` and expects the message. */
static void expect_mismatch(const char *name, void (*damage)(mn_tensor *), const char *message)
{
    mn_graph *graph = new_graph();
    mn_tensors *from = new_reversed(graph);
    mn_tensors *arranged = NULL;
    mn_error err;
    uint32_t found = mn_tensors_find(from, name);
    assert_int_not_equal(found, MN_NONE);
    damage(&from->items[found]);
    assert_error(mn_tensors_arrange(graph, from, &arranged, &err), MN_ERR_MISMATCH, &err, message);
    assert_null(arranged);
    mn_tensors_free(from);
    mn_graph_free(graph);
}

static void damage_name(mn_tensor *tensor)
{
    tensor->name[0] = '#';
}

static void damage_dtype(mn_tensor *tensor)
{
    tensor->dtype = MN_I32;
}

static void damage_rank(mn_tensor *tensor)
{
    tensor->rank = 2;
}

static void damage_shape(mn_tensor *tensor)
{
    uint32_t rows = tensor->dims[1];
    tensor->dims[1] = tensor->dims[2];
    tensor->dims[2] = rows;
}

static void damage_nan(mn_tensor *tensor)
{
    ((float *)tensor->data)[2] = NAN;
}

static void damage_infinity(mn_tensor *tensor)
{
    ((float *)tensor->data)[mn_tensor_elements(tensor) - 1] = -INFINITY;
}

static void test_arrange_refuses(void **state)
{
    (void)state;
    expect_mismatch("norm.gamma", damage_name, "tensor 'norm.gamma': missing");
    expect_mismatch("fc.bias", damage_dtype, "tensor 'fc.bias': dtype I32, expected F32");
    expect_mismatch("fc.bias", damage_rank, "tensor 'fc.bias': shape [4,1], expected [4]");
    expect_mismatch(
        "conv.weight", damage_shape, "tensor 'conv.weight': shape [3,3,2,3], expected [3,2,3,3]");
    expect_mismatch("norm.variance", damage_nan, "tensor 'norm.variance': element 2 is");
    expect_mismatch("conv.weight", damage_infinity, "element 53 is -inf, expected a finite");
}

static void test_arrange_names_the_first(void **state)
{
    (void)state;
    mn_graph *graph = new_graph();
    mn_tensors *empty = new_list();
    mn_tensors *arranged = NULL;
    mn_error err;
    assert_error(mn_tensors_arrange(graph, empty, &arranged, &err),
                 MN_ERR_MISMATCH,
                 &err,
                 "tensor 'conv.weight': missing");
    mn_tensors_free(empty);
    mn_graph_free(graph);
}

/* Every allocation fails once; nothing leaks (the sanitizers see it) and nothing is given out. */
static void test_out_of_memory(void **state)
{
    (void)state;
    mn_graph *graph = new_graph();
    mn_tensors *from = new_reversed(graph);
    mn_tensors *made = NULL;
    size_t failures = 0;
    for (int which = 0; which < 3; which++) {
        bool failed = true;
        for (size_t n = 1; failed; n++) {
            alloc_fail_at(n);
            mn_status status = which == 0   ? mn_tensors_clone(from, &made, NULL)
                               : which == 1 ? mn_tensors_create_for_graph(graph, &made, NULL)
                                            : mn_tensors_arrange(graph, from, &made, NULL);
            failed = alloc_has_failed();
            assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
            if (failed)
                assert_null(made);
            failures += failed;
        }
        assert_non_null(made);
        mn_tensors_free(made);
        made = NULL;
    }
    assert_true(failures > 3 * 2 * 8);
    mn_tensors_free(from);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_add_many),
        cmocka_unit_test(test_add_refuses),
        cmocka_unit_test(test_clone),
        cmocka_unit_test(test_create_for_graph),
        cmocka_unit_test(test_arrange),
        cmocka_unit_test(test_arrange_refuses),
        cmocka_unit_test(test_arrange_names_the_first),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, alloc_failure_setup, NULL);
}

/* Export as ONNX: every primitive, read back by protobuf-c and by the importer; what is refused;
 * files. That runtimes compute the right numbers is e2e/test_onnxruntime.py. */
#include "test.h"

#include <math.h>
#include <unistd.h>

#include "alloc_failure.h"
#include "base/file.h"
#include "memnet/deploy.h"
#include "onnx_exported.h"

static char root[64];

static int set_up(void **state)
{
    alloc_failure_setup(state);
    snprintf(root, sizeof root, "/tmp/memnet-onnx-XXXXXX");
    return mkdtemp(root) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    return mn_folder_remove(root, NULL) != MN_OK;
}

/* ---- float32 ------------------------------------------------------------------------------- */

static void test_model(void **state)
{
    (void)state;
    fixture f = {0};
    network_init(&f.net);
    mn_onnx_export_input input = input_of(&f);
    unpack(&f, &input);
    assert_int_equal(f.model->ir_version, 7);
    assert_string_equal(f.model->producer_name, "memnet");
    assert_int_equal(f.model->n_opset_import, 1);
    assert_int_equal(f.model->opset_import[0]->version, 13);
    assert_int_equal(f.graph->n_input, 1);
    assert_int_equal(f.graph->n_output, 1);
    check_dims(f.graph->input[0], "input", "1,3,7,6");
    check_dims(f.graph->output[0], "logits", "1,4");
    check_names(&f);
    assert_int_equal(f.model->n_metadata_props, 5);
    assert_string_equal(metadata_of(&f, "memnet.architecture"), ARCHITECTURE);
    assert_string_equal(metadata_of(&f, "memnet.preprocessing"),
                        "{\"mean\":128.0,\"scale\":0.0123456791}");
    assert_string_equal(metadata_of(&f, "memnet.class_names"),
                        "[\"T-shirt/top\",\"say_\\\"what\\\"?\?/\",\"caf\xc3\xa9\",\"*/\"]");
    assert_string_equal(metadata_of(&f, "memnet.data_hash"), DATA_HASH);
    assert_string_equal(metadata_of(&f, "memnet.precision"), "float32");
    unpacked_done(&f);
    network_done(&f.net);
}

static const char golden[] =
    "Conv(input, stem */ \\ int #1:weight, stem */ \\ int #1:bias) -> stem */ \\ int #1:raw "
    "kernel_shape=3,3 strides=2,2 pads=0,1,2,0 dilations=1,1 group=1\n"
    "Relu(stem */ \\ int #1:raw) -> stem */ \\ int #1\n"
    "Conv(stem */ \\ int #1, block0.cell0.op0.depthwise:weight) -> block0.cell0.op0.depthwise:raw "
    "kernel_shape=3,3 strides=1,1 pads=2,2,2,2 dilations=2,2 group=5\n"
    "Clip(block0.cell0.op0.depthwise:raw, block0.cell0.op0.depthwise:min, "
    "block0.cell0.op0.depthwise:max) -> block0.cell0.op0.depthwise\n"
    "Conv(stem */ \\ int #1, point:weight, point:bias) -> point kernel_shape=1,1 strides=1,1 "
    "pads=0,0,0,0 dilations=1,1 group=1\n"
    "Concat(block0.cell0.op0.depthwise, point) -> joined axis=1\n"
    "MaxPool(joined) -> most kernel_shape=3,3 strides=1,1 pads=1,1,1,1\n"
    "AveragePool(joined) -> mean kernel_shape=3,3 strides=1,1 pads=1,1,1,1 count_include_pad=0\n"
    "Add(mean, most) -> sum:raw\n"
    "Clip(sum:raw, sum:min, sum:max) -> sum\n"
    "Relu(point) -> relu\n"
    "Concat(sum, relu) -> both axis=1\n"
    "Conv(both, wide:weight, wide:bias) -> wide kernel_shape=3,3 strides=1,1 pads=2,2,2,2 "
    "dilations=2,2 group=1\n"
    "Conv(wide, over:weight, over:bias) -> over:raw kernel_shape=3,2 strides=1,1 pads=2,0,0,1 "
    "dilations=1,1 group=6\n"
    "Relu(over:raw) -> over\n"
    "Conv(over, scale:weight) -> scale kernel_shape=1,1 strides=1,1 pads=0,0,0,0 dilations=1,1 "
    "group=6\n"
    "Conv(scale, grouped:weight, grouped:bias) -> grouped kernel_shape=3,3 strides=1,1 "
    "pads=1,1,1,1 dilations=1,1 group=3\n"
    "GlobalAveragePool(grouped) -> pooled\n"
    "Transpose(grouped) -> flat:rows_in perm=0,2,3,1\n"
    "Reshape(flat:rows_in, flat:shape) -> flat\n"
    "Flatten(sum) -> sum:vector axis=1\n"
    "Gemm(sum:vector, dense:weight) -> dense:raw transB=1\n"
    "Relu(dense:raw) -> dense\n"
    "Gemm(flat, flat.dense:weight, flat.dense:bias) -> flat.dense transB=1\n"
    "Reshape(dense, dense:image_shape) -> dense:image\n"
    "Concat(pooled, dense:image) -> head axis=1\n"
    "Reshape(flat.dense, flat.dense:image_shape) -> flat.dense:image\n"
    "Concat(head, flat.dense:image) -> head2 axis=1\n"
    "Clip(head2, relu6:min, relu6:max) -> relu6\n"
    "Flatten(relu6) -> relu6:vector axis=1\n"
    "Gemm(relu6:vector, logits:weight, logits:bias) -> logits transB=1\n";

/* Every primitive, as its op with its attributes, in the order of the graph. */
static void test_every_primitive(void **state)
{
    (void)state;
    fixture f = {0};
    mn_buffer text = {0};
    network_init(&f.net);
    mn_onnx_export_input input = input_of(&f);
    unpack(&f, &input);
    for (size_t n = 0; n < f.graph->n_node; n++)
        describe_node(f.graph->node[n], &text);
    assert_string_equal(text.bytes, golden);
    mn_buffer_done(&text);
    unpacked_done(&f);
    network_done(&f.net);
}

/* Weights and biases are the tensors' floats to the bit, with the dims of ONNX. */
static void test_weights(void **state)
{
    (void)state;
    fixture f = {0};
    network_init(&f.net);
    mn_onnx_export_input input = input_of(&f);
    unpack(&f, &input);
    for (uint32_t t = 0; t < mn_graph_tensor_count(f.net.graph); t++) {
        const mn_tensor_info *info = mn_graph_tensor(f.net.graph, t);
        const mn_node *node = mn_graph_node(f.net.graph, info->node);
        bool is_matrix = node->prim == MN_PRIM_FULLY_CONNECTED && info->rank == 4;
        char name[256];
        snprintf(name, sizeof name, "%s:%s", node->name, mn_tensor_role_name(info->role));
        const Onnx__TensorProto *tensor = tensor_of(&f, name);
        assert_int_equal(tensor->data_type, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
        assert_int_equal(tensor->n_dims, is_matrix ? 2 : info->rank);
        assert_int_equal(tensor->dims[0], info->dims[0]);
        for (uint32_t d = 1; d < info->rank && !is_matrix; d++)
            assert_int_equal(tensor->dims[d], info->dims[d]);
        if (is_matrix)
            assert_int_equal(tensor->dims[1], info->dims[1] * info->dims[2] * info->dims[3]);
        size_t bytes = mn_graph_tensor_elements(f.net.graph, t) * sizeof(float);
        assert_int_equal(tensor->raw_data.len, bytes);
        assert_memory_equal(tensor->raw_data.data, f.net.tensors.items[t].data, bytes);
    }
    const Onnx__TensorProto *most = tensor_of(&f, "relu6:max");
    float six = 6.0f;
    assert_int_equal(most->n_dims, 0);
    assert_memory_equal(most->raw_data.data, &six, sizeof six);
    unpacked_done(&f);
    network_done(&f.net);
}

/* The importer finds the same network: primitives, multiply-adds, tensors. */
static void test_own_importer(void **state)
{
    (void)state;
    fixture f = {0};
    mn_error err;
    mn_graph *imported = NULL;
    mn_graph *deployed = NULL;
    uint32_t counts[2][MN_PRIM_COUNT] = {{0}};
    size_t elements[2] = {0};
    network_init(&f.net);
    mn_onnx_export_input input = input_of(&f);
    unpack(&f, &input);
    assert_ok(mn_onnx_parse(f.bytes, f.count, &imported, &err), &err);
    assert_ok(mn_deploy(imported, NULL, &deployed, NULL, &err), &err);
    const mn_graph *graphs[2] = {f.net.graph, deployed};
    for (uint32_t g = 0; g < 2; g++) {
        for (uint32_t n = 0; n < mn_graph_node_count(graphs[g]); n++)
            counts[g][mn_graph_node(graphs[g], n)->prim]++;
        for (uint32_t t = 0; t < mn_graph_tensor_count(graphs[g]); t++)
            elements[g] += mn_graph_tensor_elements(graphs[g], t);
    }
    /* The one turn to (H,W,C), and a reshape for each change between image and vector. */
    assert_int_equal(counts[1][MN_PRIM_OPAQUE], 1);
    counts[1][MN_PRIM_OPAQUE] = counts[0][MN_PRIM_OPAQUE];
    counts[1][MN_PRIM_RESHAPE] = counts[0][MN_PRIM_RESHAPE];
    assert_memory_equal(counts[0], counts[1], sizeof counts[0]);
    assert_int_equal(mn_graph_macs(graphs[0]), mn_graph_macs(graphs[1]));
    assert_int_equal(elements[0], elements[1]);
    mn_graph_free(deployed);
    mn_graph_free(imported);
    unpacked_done(&f);
    network_done(&f.net);
}

static void test_deterministic(void **state)
{
    (void)state;
    fixture f[2] = {{.count = 0}, {.count = 0}};
    for (uint32_t i = 0; i < 2; i++) {
        network_init(&f[i].net);
        mn_onnx_export_input input = input_of(&f[i]);
        unpack(&f[i], &input);
    }
    assert_int_equal(f[0].count, f[1].count);
    assert_memory_equal(f[0].bytes, f[1].bytes, f[0].count);
    for (uint32_t i = 0; i < 2; i++) {
        unpacked_done(&f[i]);
        network_done(&f[i].net);
    }
}

/* ---- small graphs by hand ------------------------------------------------------------------- */

/* Specs of which each reads the node before, and a join the one before that as well. */
static void build(fixture *f, const mn_node_spec *specs, uint32_t count)
{
    mn_error err;
    mn_graph_builder *b = NULL;
    mn_tensors *tensors = NULL;
    static char name[] = "class";
    uint32_t last = 0;
    assert_ok(mn_graph_builder_create(&b, &err), &err);
    for (uint32_t i = 0; i < count; i++) {
        mn_node_spec spec = specs[i];
        uint32_t inputs[2] = {last, i < 2 ? last : last - 1};
        spec.layer = MN_NONE;
        spec.inputs = inputs;
        spec.input_count = spec.prim == MN_PRIM_INPUT                                ? 0
                           : spec.prim == MN_PRIM_ADD || spec.prim == MN_PRIM_CONCAT ? 2
                                                                                     : 1;
        last = mn_graph_add(b, &spec);
    }
    assert_ok(mn_graph_builder_finish(b, &last, 1, &f->net.graph, &err), &err);
    mn_graph_builder_free(b);
    assert_ok(mn_tensors_create_for_graph(f->net.graph, &tensors, &err), &err);
    f->net.model.class_count =
        (uint32_t)mn_shape_elements(mn_graph_node(f->net.graph, last)->shape);
    f->net.model.preprocessing.scale = 1.0f;
    f->net.class_names[0] = f->net.class_names[1] = name;
    f->net.model.class_names = f->net.class_names;
    f->net.tensors = *tensors;
    free(tensors);
}

static void built_done(fixture *f)
{
    for (uint32_t t = 0; t < f->net.tensors.count; t++)
        free(f->net.tensors.items[t].name);
    network_done(&f->net);
}

/* Nodes that are called like the graph's own values, and an output that an image's op makes. */
static void test_names(void **state)
{
    (void)state;
    fixture f = {0};
    const mn_node_spec specs[] = {
        {.prim = MN_PRIM_INPUT, .name = "pixels", .shape = {4, 3, 2}},
        {.prim = MN_PRIM_RELU, .name = "logits"},
        {.prim = MN_PRIM_ADD, .name = "input"},
        {.prim = MN_PRIM_GLOBAL_POOL, .name = "last"},
    };
    build(&f, specs, 4);
    mn_onnx_export_input input = input_of(&f);
    unpack(&f, &input);
    check_names(&f);
    check_line(&f, "logits:value", "Relu(input) -> logits:value\n");
    check_line(&f, "input:value", "Add(logits:value, input) -> input:value\n");
    check_line(&f, "last", "GlobalAveragePool(input:value) -> last\n");
    check_line(&f, "logits", "Flatten(last) -> logits axis=1\n");
    unpacked_done(&f);
    built_done(&f);
}

/* A form that two nodes ask for is written once. */
static void test_forms(void **state)
{
    (void)state;
    fixture f = {0};
    const mn_node_spec specs[] = {
        {.prim = MN_PRIM_INPUT, .name = "pixels", .shape = {4, 3, 2}},
        {.prim = MN_PRIM_FULLY_CONNECTED, .name = "dense", .channels = 2},
        {.prim = MN_PRIM_GLOBAL_POOL, .name = "pool"},
        {.prim = MN_PRIM_ADD, .name = "both"},
    };
    build(&f, specs, 4);
    mn_onnx_export_input input = input_of(&f);
    unpack(&f, &input);
    check_names(&f);
    assert_int_equal(f.graph->n_node, 6);
    check_line(&f, "pixels:vector", "Flatten(input) -> pixels:vector axis=1\n");
    check_line(&f, "pool", "GlobalAveragePool(dense:image) -> pool\n");
    check_line(&f, "both", "Add(pool, dense:image) -> both\n");
    unpacked_done(&f);
    built_done(&f);
}

/* A reshape between images that have both pixels and channels turns them to (H,W,C) and back. */
static void test_reshape(void **state)
{
    (void)state;
    fixture f = {0};
    const mn_node_spec specs[] = {
        {.prim = MN_PRIM_INPUT, .name = "pixels", .shape = {4, 3, 2}},
        {.prim = MN_PRIM_RESHAPE, .name = "other", .shape = {2, 2, 6}},
        {.prim = MN_PRIM_RESHAPE, .name = "plane", .shape = {12, 2, 1}},
        {.prim = MN_PRIM_RESHAPE, .name = "list", .shape = {1, 1, 24}},
        {.prim = MN_PRIM_FULLY_CONNECTED, .name = "two", .channels = 2},
        {.prim = MN_PRIM_RESHAPE, .name = "same", .shape = {1, 1, 2}},
    };
    build(&f, specs, 6);
    mn_onnx_export_input input = input_of(&f);
    unpack(&f, &input);
    check_names(&f);
    check_line(&f, "other:rows_in", "Transpose(input) -> other:rows_in perm=0,2,3,1\n");
    check_line(&f, "other:rows_out", "Reshape(other:rows_in, other:shape) -> other:rows_out\n");
    check_line(&f, "other", "Transpose(other:rows_out) -> other perm=0,3,1,2\n");
    check_line(&f, "plane", "Reshape(plane:rows_in, plane:shape) -> plane\n");
    check_line(&f, "list", "Reshape(plane, list:shape) -> list\n");
    check_line(&f, "two", "Gemm(list, two:weight) -> two transB=1\n");
    const int64_t rows[] = {1, 2, 2, 6};
    const int64_t plane[] = {1, 1, 12, 2};
    const int64_t list[] = {1, 24};
    assert_memory_equal(tensor_of(&f, "other:shape")->raw_data.data, rows, sizeof rows);
    assert_memory_equal(tensor_of(&f, "plane:shape")->raw_data.data, plane, sizeof plane);
    assert_memory_equal(tensor_of(&f, "list:shape")->raw_data.data, list, sizeof list);
    unpacked_done(&f);
    built_done(&f);
}

/* ---- what is refused ------------------------------------------------------------------------ */

static void check_refused(fixture *f, mn_status status, const char *says)
{
    mn_error err;
    char *bytes = NULL;
    size_t count = 7;
    mn_onnx_export_input input = input_of(f);
    assert_error(mn_onnx_serialise(&input, &bytes, &count, &err), status, &err, says);
    assert_null(strchr(err.message, '\n'));
    assert_null(bytes);
    assert_int_equal(count, 7);
    assert_int_equal(mn_onnx_serialise(&input, &bytes, &count, NULL), status);
}

static void test_unsupported(void **state)
{
    (void)state;
    const mn_node_spec odd[] = {
        {.prim = MN_PRIM_BATCH_NORM, .name = "odd"},
        {.prim = MN_PRIM_IDENTITY, .name = "odd"},
        {.prim = MN_PRIM_FAKE_QUANT, .name = "odd", .grid = {1.0f, 0, -128, 127}},
        {.prim = MN_PRIM_OPAQUE, .name = "odd", .shape = {1, 1, 2}},
        {.prim = MN_PRIM_RELU, .name = "odd:one"},
        {.prim = MN_PRIM_INPUT, .name = "second", .shape = {1, 1, 2}},
    };
    const char *const says[] = {"'odd': batch_norm",
                                "'odd': identity",
                                "'odd': fake_quant",
                                "'odd': opaque",
                                "':'",
                                "inputs"};
    for (uint32_t i = 0; i < 6; i++) {
        fixture f = {0};
        const mn_node_spec specs[] = {{.prim = MN_PRIM_INPUT, .name = "pixels", .shape = {1, 1, 2}},
                                      odd[i]};
        build(&f, specs, 2);
        check_refused(&f, MN_ERR_UNSUPPORTED, says[i]);
        built_done(&f);
    }
    char name[MN_ERROR_MESSAGE_BYTES] = "";
    memset(name, 'n', 201);
    fixture f = {0};
    const mn_node_spec specs[] = {{.prim = MN_PRIM_INPUT, .name = name, .shape = {1, 1, 2}}};
    build(&f, specs, 1);
    check_refused(&f, MN_ERR_UNSUPPORTED, "200 bytes");
    built_done(&f);
}

static void test_wrong_numbers(void **state)
{
    (void)state;
    fixture f = {0};
    network_init(&f.net);
    mn_tensor *last = &f.net.tensors.items[f.net.tensors.count - 1];
    float *numbers = last->data;
    float number = numbers[1];
    numbers[1] = NAN;
    check_refused(&f, MN_ERR_UNSUPPORTED, "'logits.bias': element 1 is not finite");
    numbers[1] = number;
    last->dims[0]++;
    check_refused(&f, MN_ERR_MISMATCH, "expected float32 (4,");
    last->dims[0]--;
    last->dtype = MN_I32;
    check_refused(&f, MN_ERR_MISMATCH, "expected float32");
    last->dtype = MN_F32;
    f.net.tensors.count--;
    check_refused(&f, MN_ERR_MISMATCH, "tensors");
    f.net.tensors.count++;
    f.net.model.class_count--;
    check_refused(&f, MN_ERR_MISMATCH, "names 3 classes");
    f.net.model.class_count++;
    f.net.model.preprocessing.scale = 0.0f;
    check_refused(&f, MN_ERR_ARG, "scale");
    f.net.model.preprocessing.scale = NET_SCALE;
    mn_onnx_export_input input = input_of(&f);
    unpack(&f, &input); /* all of that was the reason */
    unpacked_done(&f);
    network_done(&f.net);
}

/* ---- files ---------------------------------------------------------------------------------- */

static void test_file(void **state)
{
    (void)state;
    fixture f = {0};
    mn_error err;
    char path[128];
    char *read = NULL;
    size_t count = 0;
    network_init(&f.net);
    mn_onnx_export_input input = input_of(&f);
    unpack(&f, &input);
    snprintf(path, sizeof path, "%s/nowhere/m.onnx", root);
    assert_error(mn_onnx_export(&input, path, &err), MN_ERR_IO, &err, path);
    snprintf(path, sizeof path, "%s/m.onnx", root);
    assert_ok(mn_file_write(path, "old", 3, &err), &err);
    assert_error(mn_onnx_export(&input, path, &err), MN_ERR_IO, &err, "exists");
    assert_ok(mn_file_read(path, 100, &read, &count, &err), &err);
    assert_string_equal(read, "old");
    free(read);
    input.force = true;
    f.net.model.class_count--;
    assert_error(mn_onnx_export(&input, path, &err), MN_ERR_MISMATCH, &err, path);
    f.net.model.class_count++;
    assert_ok(mn_onnx_export(&input, path, &err), &err);
    assert_ok(mn_file_read(path, f.count, &read, &count, &err), &err);
    assert_int_equal(count, f.count);
    assert_memory_equal(read, f.bytes, count);
    free(read);
    assert_int_equal(unlink(path), 0);
    unpacked_done(&f);
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
    mn_onnx_export_input input = input_of(&f);
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
    network_done(&f.net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_every_primitive),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_own_importer),
        cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_reshape),
        cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_wrong_numbers),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

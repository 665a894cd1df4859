/* Every model of Debian's libonnx-testdata: it imports, with the shapes that the outputs stored
 * beside it have, or it is refused in one line. Models of the ops that the graph has primitives for
 * must import. */
#include "test.h"

#include <dirent.h>
#include <sys/stat.h>

#include "base/file.h"
#include "memnet/deploy.h"
#include "memnet/onnx.h"
#include "onnx.pb-c.h"

#define DATA "/usr/share/libonnx-testdata/data"
#define MAX_BYTES ((size_t)1 << 26)

/* What came of the models of one folder. */
typedef struct tally {
    uint32_t models;
    uint32_t imported;
    uint32_t with_opaque; /* of those imported: at least one opaque node */
    uint32_t compared;    /* outputs whose stored dimensions were compared */
    uint32_t refused;
    uint32_t refused_opset; /* of an opset below 9; read again as opset 9 when it is 6 to 8 */
    uint32_t primitives;    /* models that must import: see must_import() */
    uint32_t as_opaque;     /* of those: dilated, counted padding, indices, a broadcast */
    uint32_t mixed;         /* of those: a flatten that mixes the batch, refused */
} tally;

/* ---- the model itself ---------------------------------------------------------------------- */

static bool is_constant(const Onnx__GraphProto *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (strcmp(graph->initializer[i]->name, name) == 0)
            return true;
    for (size_t n = 0; n < graph->n_node; n++)
        if (graph->node[n]->n_output > 0 && strcmp(graph->node[n]->output[0], name) == 0)
            return strcmp(graph->node[n]->op_type, "Constant") == 0;
    return false;
}

/* Dimensions that an input of the graph declares; NULL when it is no input or no tensor. */
static const Onnx__TensorShapeProto *shape_of(const Onnx__GraphProto *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_input; i++) {
        const Onnx__ValueInfoProto *info = graph->input[i];
        if (strcmp(info->name, name) == 0 && info->type != NULL &&
            info->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
            return info->type->tensor_type->shape;
    }
    return NULL;
}

/* The leading dimension that all inputs of two or more dimensions share, else 1. */
static int64_t batch_of(const Onnx__GraphProto *graph)
{
    int64_t batch = 0;
    for (size_t i = 0; i < graph->n_input; i++) {
        const Onnx__TensorShapeProto *shape = shape_of(graph, graph->input[i]->name);
        if (shape == NULL || shape->n_dim < 2 || is_constant(graph, graph->input[i]->name))
            continue;
        if (batch != 0 && batch != shape->dim[0]->dim_value)
            return 1;
        batch = shape->dim[0]->dim_value;
    }
    return batch > 0 ? batch : 1;
}

/* One node (and constants), of an op that the graph has, over activations of four dimensions, with
 * constant parameters. */
static bool must_import(const Onnx__GraphProto *graph)
{
    static const char *const ops[] = {
        "Conv",
        "BatchNormalization",
        "Relu",
        "Clip",
        "Add",
        "Concat",
        "MaxPool",
        "AveragePool",
        "Gemm",
        "MatMul",
        "Reshape",
        "Flatten",
        "Identity",
        "GlobalAveragePool",
        NULL,
    };
    const Onnx__NodeProto *node = NULL;
    for (size_t n = 0; n < graph->n_node; n++) {
        if (strcmp(graph->node[n]->op_type, "Constant") == 0)
            continue;
        if (node != NULL)
            return false;
        node = graph->node[n];
    }
    bool is_listed = false;
    for (uint32_t i = 0; node != NULL && ops[i] != NULL; i++)
        is_listed = is_listed || strcmp(ops[i], node->op_type) == 0;
    for (size_t i = 0; is_listed && i < node->n_input; i++) {
        const Onnx__TensorShapeProto *shape = shape_of(graph, node->input[i]);
        if (node->input[i][0] == '\0' || (i > 0 && is_constant(graph, node->input[i])))
            continue;
        bool joins = strcmp(node->op_type, "Add") == 0 || strcmp(node->op_type, "Concat") == 0;
        is_listed = shape != NULL && shape->n_dim == 4 && (i == 0 || joins);
    }
    return is_listed;
}

/* ---- comparing ----------------------------------------------------------------------------- */

/* "folder/test_data_set_0/output_<index>.pb"; NULL when there is none or it is no tensor. */
static Onnx__TensorProto *stored_output(const char *folder, uint32_t index)
{
    char path[2048];
    char *bytes = NULL;
    size_t count = 0;
    snprintf(path, sizeof path, "%s/test_data_set_0/output_%u.pb", folder, index);
    if (mn_file_read(path, MAX_BYTES, &bytes, &count, NULL) != MN_OK)
        return NULL;
    Onnx__TensorProto *tensor = onnx__tensor_proto__unpack(NULL, count, (uint8_t *)bytes);
    free(bytes);
    return tensor;
}

static void
compare_outputs(const Onnx__GraphProto *model, const mn_graph *graph, const char *folder, tally *t)
{
    int64_t batch = batch_of(model);
    if (mn_graph_output_count(graph) != model->n_output)
        return;
    for (uint32_t o = 0; o < mn_graph_output_count(graph); o++) {
        mn_shape shape = mn_graph_node(graph, mn_graph_output(graph, o))->shape;
        Onnx__TensorProto *expected = stored_output(folder, o);
        if (expected == NULL)
            continue;
        int64_t elements = 1;
        for (size_t d = 0; d < expected->n_dims; d++)
            elements *= expected->dims[d];
        /* A leading zero is read as a batch of one. */
        if (elements > 0 && (int64_t)mn_shape_elements(shape) * batch != elements)
            fail_msg("%s: output %u has %zu elements an image, expected %jd of %jd images",
                     folder,
                     o,
                     mn_shape_elements(shape),
                     (intmax_t)elements,
                     (intmax_t)batch);
        if (expected->n_dims == 4 && expected->dims[0] == batch) {
            assert_int_equal(shape.c, expected->dims[1]);
            assert_int_equal(shape.h, expected->dims[2]);
            assert_int_equal(shape.w, expected->dims[3]);
        }
        t->compared++;
        onnx__tensor_proto__free_unpacked(expected, NULL);
    }
}

static void check_graph(const mn_graph *graph, const char *folder, bool must, tally *t)
{
    mn_graph *deployed = NULL;
    mn_error err;
    bool has_opaque = false;
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++) {
        const mn_node *node = mn_graph_node(graph, n);
        if (node->element_bytes == 0)
            fail_msg("%s: node '%s' does not state the size of its elements", folder, node->name);
        has_opaque = has_opaque || node->prim == MN_PRIM_OPAQUE;
    }
    assert_ok(mn_deploy(graph, NULL, &deployed, NULL, &err), &err);
    mn_graph_free(deployed);
    t->with_opaque += has_opaque;
    t->as_opaque += must && has_opaque;
}

/* ---- one model ----------------------------------------------------------------------------- */

static void try_bytes(
    const Onnx__GraphProto *model, const void *bytes, size_t count, const char *folder, tally *t)
{
    mn_graph *graph = NULL;
    mn_error err = {MN_OK, ""};
    mn_status status = mn_onnx_parse(bytes, count, &graph, &err);
    bool must = must_import(model);
    t->primitives += must;
    if (status == MN_OK) {
        t->imported++;
        check_graph(graph, folder, must, t);
        compare_outputs(model, graph, folder, t);
        mn_graph_free(graph);
        return;
    }
    t->refused++;
    assert_int_equal(status, err.status);
    assert_true(err.message[0] != '\0' && strchr(err.message, '\n') == NULL);
    bool is_mixed = must && strstr(err.message, "op Flatten: the batch of") != NULL;
    t->mixed += is_mixed;
    if (must && !is_mixed)
        fail_msg("%s: %s", folder, err.message);
}

/* A model of opset 6 to 8 again, as one of opset 9: most ops have not changed in between. */
static void try_as_opset_9(Onnx__ModelProto *model, const char *folder, tally *t)
{
    for (size_t i = 0; i < model->n_opset_import; i++)
        model->opset_import[i]->version = 9;
    size_t count = onnx__model_proto__get_packed_size(model);
    uint8_t *bytes = malloc(count);
    assert_non_null(bytes);
    onnx__model_proto__pack(model, bytes);
    try_bytes(model->graph, bytes, count, folder, t);
    free(bytes);
}

static void try_model(const char *folder, tally *t)
{
    char path[2048];
    char *bytes = NULL;
    size_t count = 0;
    mn_error err;
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    if (!mn_path_exists(path))
        return;
    t->models++;
    assert_ok(mn_file_read(path, MAX_BYTES, &bytes, &count, &err), &err);
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, count, (uint8_t *)bytes);
    assert_non_null(model);
    int64_t opset = -1;
    for (size_t i = 0; i < model->n_opset_import; i++)
        if (model->opset_import[i]->domain == NULL || model->opset_import[i]->domain[0] == '\0')
            opset = model->opset_import[i]->version;
    if (opset > 0 && opset < 9) {
        char expected[64];
        mn_graph *graph = NULL;
        snprintf(expected, sizeof expected, "opset %d: expected version 9 to 17", (int)opset);
        assert_error(mn_onnx_import(path, &graph, &err), MN_ERR_UNSUPPORTED, &err, expected);
        assert_true(strncmp(err.message, path, strlen(path)) == 0);
        t->refused_opset++;
        if (opset >= 6)
            try_as_opset_9(model, folder, t);
    } else {
        try_bytes(model->graph, bytes, count, folder, t);
    }
    onnx__model_proto__free_unpacked(model, NULL);
    free(bytes);
}

/* ---- the folders --------------------------------------------------------------------------- */

static tally try_folder(const char *name)
{
    char path[512];
    tally t = {0};
    snprintf(path, sizeof path, "%s/%s", DATA, name);
    DIR *stream = opendir(path);
    assert_non_null(stream);
    for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        char folder[1024];
        snprintf(folder, sizeof folder, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            try_model(folder, &t);
    }
    closedir(stream);
    print_message(
        "%s: %u models, %u below opset 9; %u imported (%u with opaque nodes), %u refused; "
        "%u outputs compared; %u of ops with a primitive, of which %u are opaque and %u "
        "mix the batch\n",
        name,
        t.models,
        t.refused_opset,
        t.imported,
        t.with_opaque,
        t.refused,
        t.compared,
        t.primitives,
        t.as_opaque,
        t.mixed);
    return t;
}

static void skip_without_data(void)
{
    if (mn_path_exists(DATA))
        return;
    print_message("### NO %s (package libonnx-testdata): TEST SKIPPED ###\n", DATA);
    skip();
}

static void test_node(void **state)
{
    (void)state;
    skip_without_data();
    tally t = try_folder("node");
    assert_true(t.models >= 900);
    assert_true(t.imported >= 681);
    assert_true(t.imported - t.with_opaque >= 55);
    assert_true(t.compared >= 760);
    assert_true(t.primitives >= 34);
    assert_int_equal(t.mixed, 6);
    assert_true(t.as_opaque <= 5);
}

static void test_pytorch_converted(void **state)
{
    (void)state;
    skip_without_data();
    tally t = try_folder("pytorch-converted");
    assert_true(t.imported >= 80);
    assert_true(t.imported - t.with_opaque >= 32);
    assert_true(t.compared >= 80);
    assert_true(t.primitives >= 18);
    assert_int_equal(t.refused + t.mixed, 0);
    assert_true(t.as_opaque <= 1);
}

static void test_pytorch_operator(void **state)
{
    (void)state;
    skip_without_data();
    tally t = try_folder("pytorch-operator");
    assert_true(t.imported >= 33);
    assert_true(t.compared >= 33);
    assert_true(t.primitives >= 2);
    assert_int_equal(t.mixed, 0);
}

static void test_simple(void **state)
{
    (void)state;
    skip_without_data();
    tally t = try_folder("simple");
    assert_true(t.imported >= 9);
    assert_true(t.compared >= 9);
}

/* The networks themselves are not in the package, only where to get them. */
static void test_real(void **state)
{
    (void)state;
    skip_without_data();
    tally t = try_folder("real");
    assert_int_equal(t.imported + t.refused, t.models);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_node),
        cmocka_unit_test(test_pytorch_converted),
        cmocka_unit_test(test_pytorch_operator),
        cmocka_unit_test(test_simple),
        cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

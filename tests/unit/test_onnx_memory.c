/* ONNX import: files that are damaged, hostile or too large for their size. Every allocation is
 * counted, and may fail. */
#include "test.h"

#include "base/file.h"
#include "base/random.h"
#include "onnx_models.h"
#include "temporary.h"

/* ---- counting (linked with --wrap, see tests/meson.build) ---------------------------------- */

void *__real_malloc(size_t bytes);
void __real_free(void *block);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *block, size_t bytes);
char *__wrap_strdup(const char *text);
void __wrap_free(void *block);

/* In front of every block: what was asked for. */
typedef union head {
    size_t bytes;
    max_align_t align;
} head;

static struct {
    size_t until_failure; /* 0 = never; 1 = the next allocation fails */
    size_t live, peak;    /* bytes, since the last reset */
    bool failed;
} memory;

void *__wrap_malloc(size_t bytes)
{
    if (memory.until_failure > 0 && --memory.until_failure == 0) {
        memory.failed = true;
        return NULL;
    }
    head *block = __real_malloc(sizeof *block + bytes);
    if (block == NULL)
        return NULL;
    block->bytes = bytes;
    memory.live += bytes;
    memory.peak = memory.live > memory.peak ? memory.live : memory.peak;
    return block + 1;
}

void __wrap_free(void *block)
{
    if (block == NULL)
        return;
    head *whole = (head *)block - 1;
    memory.live -= whole->bytes;
    __real_free(whole);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    void *block = __wrap_malloc(count * bytes);
    return block == NULL ? NULL : memset(block, 0, count * bytes);
}

/* Old and new live side by side, as they may in the real one. */
void *__wrap_realloc(void *block, size_t bytes)
{
    void *grown = __wrap_malloc(bytes);
    if (grown == NULL || block == NULL)
        return grown;
    size_t old = ((head *)block - 1)->bytes;
    memcpy(grown, block, old < bytes ? old : bytes);
    __wrap_free(block);
    return grown;
}

char *__wrap_strdup(const char *text)
{
    char *copy = __wrap_malloc(strlen(text) + 1);
    return copy == NULL ? NULL : strcpy(copy, text);
}

/* Parses from a block of just these bytes, within the cap, and lets go of everything. */
static mn_status parse_capped(const void *bytes, size_t count, mn_error *err)
{
    mn_graph *graph = NULL;
    char *exact = malloc(count == 0 ? 1 : count);
    assert_non_null(exact);
    memcpy(exact, bytes, count);
    err->message[0] = '\0';
    size_t before = memory.live;
    memory.peak = before;
    mn_status status = mn_onnx_parse(exact, count, &graph, err);
    size_t peak = memory.peak - before;
    mn_graph_free(graph);
    free(exact);
    if (peak > 20 * count + (1 << 20))
        fail_msg("a file of %zu bytes took %zu", count, peak);
    if (status != MN_OK) {
        assert_int_equal(status, err->status);
        assert_true(err->message[0] != '\0' && strchr(err->message, '\n') == NULL);
        assert_null(graph);
    }
    return status;
}

/* ---- models -------------------------------------------------------------------------------- */

/* A bit of everything. */
static onnx_file sample(void)
{
    onnx_file file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "N,3,8,8");
    onnx_constant(&file, "w", FLOAT, "4,3,3,3", NULL);
    onnx_constant(&file, "s", FLOAT, "4", NULL);
    onnx_constant(&file, "m", FLOAT, "4,10", NULL);
    onnx_numbers(&file, "half", 2, (int64_t[]){2, 2});
    onnx_numbers(&file, "zero", 1, (int64_t[]){0});
    onnx_numbers(&file, "rest", 1, (int64_t[]){-1});
    onnx_named_node(&file, "conv", "Conv", "x,w", "a", "pads=[1,1,1,1] group=1");
    onnx_node(&file, "BatchNormalization", "a,s,s,s,s", "b", "epsilon=0.001");
    onnx_named_node(&file, "conv", "Relu", "b", "c", "");
    onnx_node(&file, "Split", "c,half", "d,e", "axis=1");
    onnx_node(&file, "Concat", "e,d", "f", "axis=1");
    onnx_node(&file, "Add", "f,c", "g", "");
    onnx_node(&file, "QuantizeLinear", "g,zero", "q", "");
    onnx_node(&file, "DequantizeLinear", "q,zero", "h", "");
    onnx_node(&file, "GlobalAveragePool", "h", "i", "");
    onnx_node(&file, "Shape", "x", "dims", "");
    onnx_node(&file, "Gather", "dims,zero", "n", "");
    onnx_node(&file, "Concat", "n,rest", "shape", "axis=0");
    onnx_node(&file, "Reshape", "i,shape", "j", "");
    onnx_node(&file, "MatMul", "j,m", "k", "");
    onnx_node(&file, "Softmax", "k", "y", "");
    onnx_value_info(&file, 13, "k", FLOAT, "N,10");
    onnx_output(&file, "y");
    return file;
}

/* Every cut, and every byte changed in every bit: one line or a graph, within the cap. */
static void test_every_cut_and_bit(void **state)
{
    (void)state;
    onnx_file file = sample();
    size_t count = 0;
    size_t good = 0;
    char *bytes = onnx_finish(&file, &count);
    mn_error err;
    assert_ok(parse_capped(bytes, count, &err), &err);
    for (size_t cut = 0; cut < count; cut++) {
        mn_status status = parse_capped(bytes, cut, &err);
        if (status == MN_OK || (status != MN_ERR_FORMAT && status != MN_ERR_UNSUPPORTED))
            fail_msg("cut at %zu of %zu: status %d", cut, count, (int)status);
    }
    for (size_t bit = 0; bit < 8 * count; bit++) {
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
        good += parse_capped(bytes, count, &err) == MN_OK;
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
    }
    assert_true(good > count); /* most bits are those of weights */
    free(bytes);
}

/* Every allocation fails once; nothing leaks and nothing is given out. */
static void test_out_of_memory(void **state)
{
    (void)state;
    onnx_file file = sample();
    size_t count = 0;
    char *bytes = onnx_finish(&file, &count);
    mn_graph *graph = NULL;
    mn_error err;
    mn_status status = MN_ERR_NOMEM;
    size_t n = 0;
    size_t before = memory.live;
    while (status == MN_ERR_NOMEM) {
        assert_null(graph);
        assert_int_equal(memory.live, before);
        memory.failed = false;
        memory.until_failure = ++n;
        status = mn_onnx_parse(bytes, count, &graph, &err);
        memory.until_failure = 0;
        assert_int_equal(status == MN_ERR_NOMEM, memory.failed);
    }
    assert_int_equal(status, MN_OK);
    assert_true(n > 200);
    mn_graph_free(graph);
    assert_int_equal(memory.live, before);
    free(bytes);
}

/* ---- files that ask for more than they are ------------------------------------------------- */

static void many_empty(mn_buffer *graph, size_t count, uint32_t field)
{
    for (size_t i = 0; i < count; i++)
        put_bytes(graph, field, "", 0);
}

/* A chain of relus with names as short as can be. */
static void relu_chain(onnx_file *file, uint32_t count)
{
    char from[16] = "x";
    char to[16];
    onnx_input(file, "x", FLOAT, "1,1");
    for (uint32_t i = 0; i < count; i++) {
        mn_buffer node = {0};
        snprintf(to, sizeof to, "%x", i);
        put_text(&node, 1, from);
        put_text(&node, 2, to);
        put_text(&node, 4, "Relu");
        put_message(&file->graph, 1, &node);
        memcpy(from, to, sizeof from);
    }
    onnx_output(file, to);
}

static void test_cap(void **state)
{
    (void)state;
    mn_error err;
    for (int kind = 0; kind < 8; kind++) {
        onnx_file file = onnx_new(13);
        mn_buffer part = {0};
        bool refused = true;
        switch (kind) {
        case 0: /* nodes of nothing: 104 bytes each, by two */
            many_empty(&file.graph, 200000, 1);
            break;
        case 1: /* attributes of nothing */
            many_empty(&part, 200000, 5);
            put_message(&file.graph, 1, &part);
            break;
        case 2: /* constants of nothing */
            many_empty(&file.graph, 200000, 5);
            break;
        case 3: /* empty names of inputs */
            many_empty(&part, 200000, 1);
            put_message(&file.graph, 1, &part);
            break;
        case 4: /* dimensions of one byte each */
            for (int i = 0; i < 200000; i++)
                put_int(&part, 1, 1);
            put_message(&file.graph, 5, &part);
            break;
        case 5: /* fields that nobody knows */
            many_empty(&file.graph, 200000, 99);
            break;
        case 6:
            relu_chain(&file, 60000);
            break;
        default:
            relu_chain(&file, 1000); /* this much is allowed */
            refused = false;
            break;
        }
        size_t count = 0;
        char *bytes = onnx_finish(&file, &count);
        mn_status status = parse_capped(bytes, count, &err);
        free(bytes);
        if ((status == MN_OK) == refused)
            fail_msg("kind %d: status %d: %s", kind, (int)status, err.message);
        if (kind < 4 || kind == 6) {
            assert_int_equal(status, MN_ERR_LIMIT);
            assert_non_null(strstr(err.message, "asks for more than"));
        }
    }
}

/* Chains of lengths around the one at which the cap is reached: what the graph takes counts too. */
static void test_cap_counts_the_graph(void **state)
{
    (void)state;
    uint32_t imported = 0;
    uint32_t refused = 0;
    for (uint32_t length = 1000; length < 8000; length += 100) {
        onnx_file file = onnx_new(13);
        size_t count = 0;
        mn_error err;
        relu_chain(&file, length);
        char *bytes = onnx_finish(&file, &count);
        mn_status status = parse_capped(bytes, count, &err);
        free(bytes);
        imported += status == MN_OK;
        refused += status == MN_ERR_LIMIT;
    }
    assert_true(imported > 3 && refused > 3);
    assert_int_equal(imported + refused, 70);
}

/* A conv network with names as long as exporters write them may be as large as it likes. */
static void test_large_network(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    mn_error err;
    char from[64] = "input";
    onnx_input(&file, "input", FLOAT, "1,8,4,4");
    for (uint32_t i = 0; i < 4000; i++) {
        char to[64];
        char weight[64];
        char inputs[160];
        snprintf(to, sizeof to, "/features/layer.%u/output_0", i);
        snprintf(weight, sizeof weight, "features.%u.weight", i);
        snprintf(inputs, sizeof inputs, "%s,%s", from, weight);
        onnx_constant(&file, weight, FLOAT, "8,8,1,1", NULL);
        onnx_named_node(&file,
                        to,
                        "Conv",
                        inputs,
                        to,
                        "dilations=[1,1] group=1 kernel_shape=[1,1] pads=[0,0,0,0] strides=[1,1]");
        memcpy(from, to, sizeof from);
    }
    onnx_output(&file, from);
    size_t count = 0;
    char *bytes = onnx_finish(&file, &count);
    assert_ok(parse_capped(bytes, count, &err), &err);
    free(bytes);
}

/* Random bytes in place of random stretches of a model. */
static void test_random_damage(void **state)
{
    (void)state;
    onnx_file file = sample();
    size_t count = 0;
    char *bytes = onnx_finish(&file, &count);
    char *damaged = malloc(count);
    assert_non_null(damaged);
    mn_random random = mn_random_make(7, 0);
    mn_error err;
    for (int round = 0; round < 20000; round++) {
        memcpy(damaged, bytes, count);
        uint32_t times = 1 + mn_random_below(&random, 4);
        for (uint32_t i = 0; i < times; i++) {
            size_t at = mn_random_below(&random, (uint32_t)count);
            damaged[at] = (char)(unsigned char)mn_random_below(&random, 256);
        }
        (void)parse_capped(damaged, count, &err);
    }
    free(damaged);
    free(bytes);
}

/* ---- lines --------------------------------------------------------------------------------- */

static void assert_line(const void *bytes, size_t count, mn_status expected, const char *text)
{
    mn_error err;
    assert_error(parse_capped(bytes, count, &err), expected, &err, text);
}

/* Graphs in attributes of nodes in graphs. */
static void test_nesting(void **state)
{
    (void)state;
    for (int levels = 1; levels < 100000; levels *= 10) {
        mn_buffer graph = {0};
        for (int i = 0; i < levels && graph.count < 1000000; i++) {
            mn_buffer attribute = {0};
            mn_buffer node = {0};
            mn_buffer outer = {0};
            put_message(&attribute, 6, &graph);
            put_message(&node, 5, &attribute);
            put_message(&outer, 1, &node);
            graph = outer;
        }
        onnx_file file = {.graph = graph, .opset = 13};
        size_t count = 0;
        char *bytes = onnx_finish(&file, &count);
        if (levels <= 10)
            assert_line(bytes, count, MN_ERR_UNSUPPORTED, "0 outputs, all of them constant");
        else
            assert_line(bytes, count, MN_ERR_LIMIT, "messages nested deeper than 64 levels");
        free(bytes);
    }
}

static void test_malformed_wire(void **state)
{
    (void)state;
    assert_line("", 0, MN_ERR_FORMAT, "0 bytes, expected an ONNX model");
    assert_line("\x08\x08", 2, MN_ERR_FORMAT, "the model has no graph");
    assert_line("\x08", 1, MN_ERR_FORMAT, "byte 0: a cut or overlong number in a ModelProto");
    assert_line("\x80", 1, MN_ERR_FORMAT, "byte 0: a cut or overlong field key");
    assert_line("\x00\x00", 2, MN_ERR_FORMAT, "byte 0: a field number out of range");
    assert_line("\x0b", 1, MN_ERR_FORMAT, "byte 0: a field of no known kind");
    assert_line(
        "\x3a\x05\x0a\x00", 4, MN_ERR_FORMAT, "field graph of a ModelProto has 5 bytes, but 2");
    assert_line(
        "\x3a\x02\x0a\x01", 4, MN_ERR_FORMAT, "byte 2: field node of a GraphProto has 1 bytes");
    assert_line(
        "\x3a\x00\x3a\x00", 4, MN_ERR_FORMAT, "byte 2: field graph of a ModelProto comes twice");
    assert_line("\x3d\x00\x00", 3, MN_ERR_FORMAT, "byte 0: a cut number");
    assert_line("PK\x03\x04 a zip file", 15, MN_ERR_FORMAT, "byte 2: a field number out of range");
    assert_line("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, MN_ERR_FORMAT, "byte 0: ");
}

static void test_malformed_models(void **state)
{
    (void)state;
    for (int64_t opset = 0; opset < 30; opset++) {
        onnx_file file = onnx_new(opset);
        char text[64];
        onnx_input(&file, "x", FLOAT, "1,2");
        onnx_node(&file, "Relu", "x", "y", "");
        onnx_output(&file, "y");
        snprintf(text, sizeof text, "opset %" PRId64 ": expected version 9 to 17", opset);
        if (opset >= 9 && opset <= 17)
            mn_graph_free(onnx_graph(&file));
        else
            onnx_refused(&file, MN_ERR_UNSUPPORTED, text);
    }
    onnx_file file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,2");
    onnx_named_node(&file, "r", "Relu", "z", "y", "");
    onnx_output(&file, "y");
    onnx_refused(
        &file,
        MN_ERR_FORMAT,
        "node 0 'r': op Relu: input 0 'z': expected a value that is made before this node");
    file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,2");
    onnx_node(&file, "Relu", "x", "x", "");
    onnx_output(&file, "x");
    onnx_refused(&file, MN_ERR_FORMAT, "node 0: output 0 'x': expected a new name");
    file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,2");
    onnx_output(&file, "z");
    onnx_refused(&file, MN_ERR_FORMAT, "output 'z': expected a value that a node makes");
    file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,3,8,8");
    onnx_constant(&file, "w", FLOAT, "4,3,3,3", NULL);
    onnx_named_node(&file, "c", "Conv", "x,w", "y", "group=2");
    onnx_output(&file, "y");
    onnx_refused(
        &file, MN_ERR_FORMAT, "node 0 'c': op Conv: 3 channels, 2 groups, a weight of (4,3,");
    file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,3,2,8");
    onnx_constant(&file, "w", FLOAT, "4,3,3,3", NULL);
    onnx_node(&file, "Conv", "x,w", "y", "");
    onnx_output(&file, "y");
    onnx_refused(&file, MN_ERR_FORMAT, "a window of 3 does not fit into 2");
    file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,4000000000,4000000000");
    onnx_refused(&file, MN_ERR_LIMIT, "input 'x': dimension 2 of 3 is 4000000000: more than");
    file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,1,1,1,1,1,1,1,1");
    onnx_refused(&file, MN_ERR_LIMIT, "input 'x': more than 8 dimensions");
}

static void test_malformed_constants(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    mn_buffer tensor = {0};
    put_int(&tensor, 1, 3);
    put_int(&tensor, 2, FLOAT);
    put_text(&tensor, 8, "w");
    put_bytes(&tensor, 9, "12345678", 8);
    put_message(&file.graph, 5, &tensor);
    onnx_refused(&file, MN_ERR_FORMAT, "initializer 'w': 8 bytes of raw data, expected 12");
    file = onnx_new(13);
    put_int(&tensor, 1, 3);
    put_int(&tensor, 2, 77);
    put_text(&tensor, 8, "w");
    put_message(&file.graph, 5, &tensor);
    onnx_refused(&file, MN_ERR_FORMAT, "initializer 'w': no element type 77");
    file = onnx_new(13);
    onnx_constant(&file, "w", FLOAT, "2", NULL);
    onnx_constant(&file, "w", FLOAT, "2", NULL);
    onnx_refused(&file, MN_ERR_FORMAT, "initializer 'w' comes twice");
    /* External data: only the dimensions matter. */
    file = onnx_new(13);
    put_int(&tensor, 1, 5);
    put_int(&tensor, 1, 4);
    put_int(&tensor, 2, FLOAT);
    put_text(&tensor, 8, "w");
    put_int(&tensor, 14, 1);
    put_message(&file.graph, 5, &tensor);
    onnx_input(&file, "x", FLOAT, "1,4");
    onnx_node(&file, "Gemm", "x,w", "y", "transB=1");
    onnx_output(&file, "y");
    onnx_becomes(&file, "input 1x1x4; fully_connected 1x1x5 0");
}

static void test_subgraph(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    mn_buffer graph = {0};
    mn_buffer attribute = {0};
    mn_buffer node = {0};
    onnx_input(&file, "x", BOOL, "");
    put_text(&graph, 2, "then");
    put_text(&attribute, 1, "then_branch");
    put_message(&attribute, 6, &graph);
    put_text(&node, 1, "x");
    put_text(&node, 2, "y");
    put_text(&node, 4, "If");
    put_message(&node, 5, &attribute);
    put_message(&file.graph, 1, &node);
    onnx_output(&file, "y");
    onnx_refused(&file, MN_ERR_UNSUPPORTED, "node 0 '': op If: it has a subgraph");
}

/* From files: the path is named, and the file's own bytes count. */
static void test_files(void **state)
{
    onnx_file file = sample();
    size_t count = 0;
    char *bytes = onnx_finish(&file, &count);
    char *path = mn_path_join(*state, "model.onnx");
    mn_graph *graph = NULL;
    mn_error err;
    assert_error(mn_onnx_import(path, &graph, &err), MN_ERR_IO, &err, path);
    assert_ok(mn_file_write(path, bytes, count, &err), &err);
    size_t before = memory.live;
    memory.peak = before;
    assert_ok(mn_onnx_import(path, &graph, &err), &err);
    assert_true(memory.peak - before <= 20 * count + (1 << 20));
    assert_true(mn_graph_node_count(graph) > 5);
    mn_graph_free(graph);
    graph = NULL;
    assert_ok(mn_file_write(path, bytes, count / 2, &err), &err);
    assert_error(mn_onnx_import(path, &graph, &err), MN_ERR_FORMAT, &err, "model.onnx: byte ");
    assert_int_equal(mn_onnx_import(path, &graph, NULL), MN_ERR_FORMAT);
    assert_ok(mn_file_write(path, bytes, 0, &err), &err);
    assert_error(mn_onnx_import(path, &graph, &err), MN_ERR_FORMAT, &err, "model.onnx: 0 bytes");
    assert_int_equal(truncate(path, ((off_t)1 << 31)), 0); /* a hole: takes no room */
    assert_error(
        mn_onnx_import(path, &graph, &err), MN_ERR_LIMIT, &err, "expected at most 2147483647");
    assert_null(graph);
    free(path);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut_and_bit),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_cap_counts_the_graph),
        cmocka_unit_test(test_large_network),
        cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_malformed_wire),
        cmocka_unit_test(test_malformed_models),
        cmocka_unit_test(test_malformed_constants),
        cmocka_unit_test(test_subgraph),
        cmocka_unit_test_setup_teardown(test_files, temporary_setup, temporary_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

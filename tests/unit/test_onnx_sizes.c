/* ONNX import: how wide elements are, and which bytes of constants count at which node. */
#include "test.h"

#include "memnet/deploy.h"
#include "onnx_models.h"

/* "name width constants" of every node, in one line. */
static void assert_sizes(onnx_file *file, const char *expected)
{
    mn_buffer text = {0};
    char *all = NULL;
    mn_graph *graph = onnx_graph(file);
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++) {
        const mn_node *node = mn_graph_node(graph, n);
        mn_buffer_printf(&text,
                         "%s%s %u %zu",
                         n == 0 ? "" : "; ",
                         mn_prim_name(node->prim),
                         node->element_bytes,
                         node->constant_bytes);
    }
    mn_graph_free(graph);
    assert_int_equal(mn_buffer_take(&text, &all, NULL), MN_OK);
    assert_string_equal(all, expected);
    free(all);
}

/* ---- element types ------------------------------------------------------------------------- */

static void test_element_types(void **state)
{
    (void)state;
    static const struct {
        int type;
        const char *expected;
    } cases[] = {
        {FLOAT, "input 4 0; opaque 4 0"},
        {HALF, "input 2 0; opaque 2 0"},
        {16, "input 2 0; opaque 2 0"}, /* bfloat16 */
        {DOUBLE, "input 8 0; opaque 8 0"},
        {UINT8, "input 1 0; opaque 1 0"},
        {INT8, "input 1 0; opaque 1 0"},
        {BOOL, "input 1 0; opaque 1 0"},
        {4, "input 2 0; opaque 2 0"}, /* uint16 */
        {5, "input 2 0; opaque 2 0"}, /* int16 */
        {INT32, "input 4 0; opaque 4 0"},
        {12, "input 4 0; opaque 4 0"}, /* uint32 */
        {INT64, "input 8 0; opaque 8 0"},
        {13, "input 8 0; opaque 8 0"},   /* uint64 */
        {15, "input 16 0; opaque 16 0"}, /* complex128 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        onnx_file file = onnx_new(13);
        onnx_input(&file, "x", cases[i].type, "1,2,3");
        onnx_node(&file, "Neg", "x", "y", "");
        onnx_output(&file, "y");
        assert_sizes(&file, cases[i].expected);
    }
    onnx_file file = onnx_new(13);
    onnx_input(&file, "x", 8, "1,2,3");
    onnx_node(&file, "Neg", "x", "y", "");
    onnx_output(&file, "y");
    onnx_refused(&file, MN_ERR_UNSUPPORTED, "input 'x': elements of type 8 have no size");
    file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,2,3");
    onnx_node(&file, "Cast", "x", "h", "to=10");
    onnx_node(&file, "Cast", "h", "h2", "to=10"); /* the same again: no node */
    onnx_node(&file, "Neg", "h2", "y", "");
    onnx_output(&file, "y");
    assert_sizes(&file, "input 4 0; opaque 2 0; opaque 2 0");
}

/* ---- constants ----------------------------------------------------------------------------- */

/* Float tensors are left to the planner; others are stated. */
static void test_stored_types(void **state)
{
    (void)state;
    for (int half = 0; half < 2; half++) {
        int type = half != 0 ? HALF : FLOAT;
        onnx_file file = onnx_new(13);
        onnx_input(&file, "x", type, "1,3,8,8");
        onnx_constant(&file, "w", type, "4,3,3,3", NULL);
        onnx_constant(&file, "b", type, "4", NULL);
        onnx_constant(&file, "m", type, "144,10", NULL);
        onnx_node(&file, "Conv", "x,w,b", "a", "");
        onnx_node(&file, "Flatten", "a", "f", "");
        onnx_node(&file, "MatMul", "f,m", "y", "");
        onnx_output(&file, "y");
        assert_sizes(&file,
                     half != 0 ? "input 2 0; conv 2 224; reshape 2 0; fully_connected 2 2880"
                               : "input 4 0; conv 4 0; reshape 4 0; fully_connected 4 0");
    }
}

/* The first reader takes the room; a node with none left states one byte. */
static void test_shared_constants(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,3,8,8");
    onnx_constant(&file, "w", FLOAT, "3,3,1,1", NULL);
    onnx_constant(&file, "b1", FLOAT, "3", NULL);
    onnx_constant(&file, "b2", FLOAT, "3", NULL);
    onnx_node(&file, "Identity", "w", "w2", "");
    onnx_node(&file, "Conv", "x,w,b1", "a", "");
    onnx_node(&file, "Conv", "a,w2,b2", "b", "");
    onnx_node(&file, "Conv", "b,w,b1", "c", "");
    onnx_output(&file, "c");
    assert_sizes(&file, "input 4 0; conv 4 0; conv 4 12; conv 4 1");
}

/* Constants of opaque nodes count as stored; what only says how does not. */
static void test_opaque_constants(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,3,8,8");
    onnx_constant(&file, "c", FLOAT, "3,1,1", NULL);
    onnx_constant(&file, "d", FLOAT, "100,1,1", NULL);
    onnx_constant(&file, "scales", FLOAT, "4", (float[]){1.0f, 1.0f, 2.0f, 2.0f});
    onnx_node(&file, "Mul", "x,c", "a", "");
    onnx_node(&file, "Add", "a,c", "b", ""); /* counted before */
    onnx_node(&file, "Resize", "b,,scales", "e", "");
    onnx_node(&file, "Exp", "d", "made", ""); /* a new table of 100, and d is none */
    onnx_node(&file, "ReduceSum", "e", "s", "keepdims=1");
    onnx_node(&file, "Mul", "s,made", "y", "");
    onnx_output(&file, "y");
    assert_sizes(&file, "input 4 0; opaque 4 12; opaque 4 0; opaque 4 0; opaque 4 0; opaque 4 400");
}

/* ---- quantised ops ------------------------------------------------------------------------- */

static void quantised_constants(onnx_file *file)
{
    onnx_constant(file, "s", FLOAT, "", NULL);
    onnx_constant(file, "z", UINT8, "", NULL);
    onnx_constant(file, "w", INT8, "4,3,3,3", NULL);
    onnx_constant(file, "ws", FLOAT, "4", NULL);
    onnx_constant(file, "wz", INT8, "4", NULL);
    onnx_constant(file, "b", INT32, "4", NULL);
    onnx_constant(file, "bs", FLOAT, "4", NULL);
}

static void test_qlinear(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    quantised_constants(&file);
    onnx_input(&file, "x", UINT8, "1,3,8,8");
    onnx_constant(&file, "m", INT8, "144,10", NULL);
    onnx_node(&file, "QLinearConv", "x,s,z,w,ws,wz,s,z,b", "a", "");
    onnx_node(&file, "com.microsoft:QLinearAdd", "a,s,z,a,s,z,s,z", "c", "");
    onnx_node(&file, "com.microsoft:QLinearConcat", "s,z,a,s,z,c,s,z", "d", "axis=1");
    onnx_node(&file, "com.microsoft:QLinearGlobalAveragePool", "d,s,z,s,z", "g", "");
    onnx_node(&file, "Flatten", "c", "f", "");
    onnx_node(&file, "QLinearMatMul", "f,s,z,m,s,z,s,z", "y", "");
    onnx_output(&file, "g");
    onnx_output(&file, "y");
    /* 108 weights, 4 scales, 4 zero points, 4 biases, and s and z at their first reader */
    assert_sizes(&file,
                 "input 1 0; conv 1 149; add 1 0; concat 1 0; global_pool 1 0; reshape 1 0; "
                 "fully_connected 1 1440");
    file = onnx_new(13);
    quantised_constants(&file);
    onnx_input(&file, "x", UINT8, "1,3,8,8");
    onnx_node(&file, "ConvInteger", "x,w,z", "y", "");
    onnx_output(&file, "y");
    assert_sizes(&file, "input 1 0; conv 4 109");
}

/* Pairs are where the bytes are: float in, bytes between, float out. */
static void test_pairs(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    quantised_constants(&file);
    onnx_input(&file, "x", FLOAT, "1,3,8,8");
    onnx_node(&file, "QuantizeLinear", "x,s,z", "xq", "");
    onnx_node(&file, "DequantizeLinear", "xq,s,z", "xd", "");
    onnx_node(&file, "DequantizeLinear", "w,ws,wz", "wd", "axis=0");
    onnx_node(&file, "DequantizeLinear", "b,bs", "bd", "axis=0");
    onnx_node(&file, "Conv", "xd,wd,bd", "a", "");
    onnx_node(&file, "Relu", "a", "r", "");
    onnx_node(&file, "QuantizeLinear", "r,s,z", "rq", "");
    onnx_node(&file, "DequantizeLinear", "rq,s,z", "rd", "");
    onnx_node(&file, "Add", "rd,rd", "t", "");
    onnx_node(&file, "QuantizeLinear", "t,s,z", "tq", "");
    onnx_node(&file, "DequantizeLinear", "tq,s,z", "td", "");
    onnx_node(&file, "Flatten", "td", "f", "");
    onnx_node(&file, "QuantizeLinear", "f,s,z", "fq", "");
    onnx_node(&file, "DequantizeLinear", "fq,s,z", "y", "");
    onnx_output(&file, "y");
    /* The opaque QuantizeLinear reads s and z first; then 108 + 16 + 4 and 16 + 16 bytes. */
    assert_sizes(&file,
                 "input 4 0; opaque 1 5; conv 1 160; relu 1 0; add 1 0; reshape 1 0; opaque 4 0");
}

/* A batch norm that is folded into a convolution of stated constants brings its own. */
static void test_norm_behind_stated_constants(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    mn_graph *deployed = NULL;
    mn_error err;
    quantised_constants(&file);
    onnx_input(&file, "x", FLOAT, "1,3,8,8");
    for (int i = 0; i < 4; i++)
        onnx_constant(&file, (const char *[]){"g", "e", "m", "v"}[i], FLOAT, "4", NULL);
    onnx_node(&file, "DequantizeLinear", "w,ws,wz", "wd", "axis=0");
    onnx_node(&file, "Conv", "x,wd", "a", "");
    onnx_node(&file, "BatchNormalization", "a,g,e,m,v", "y", "");
    onnx_output(&file, "y");
    mn_graph *graph = onnx_graph(&file);
    assert_ok(mn_deploy(graph, NULL, &deployed, NULL, &err), &err);
    assert_int_equal(mn_graph_node_count(deployed), 2);
    /* 108 weights, 4 scales, 4 zero points, and 4 by 4 floats */
    assert_int_equal(mn_graph_node(deployed, 1)->constant_bytes, 108 + 16 + 4 + 64);
    mn_graph_free(deployed);
    mn_graph_free(graph);
}

/* A float that another op reads too stays one, and quantising it is an op. */
static void test_pairs_with_other_readers(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    quantised_constants(&file);
    onnx_input(&file, "x", UINT8, "1,3,8,8");
    onnx_node(&file, "DequantizeLinear", "x,s,z", "xd", "");
    onnx_node(&file, "Sigmoid", "xd", "a", "");
    onnx_node(&file, "QuantizeLinear", "a,s,z", "aq", "");
    onnx_node(&file, "DequantizeLinear", "aq,s,z", "ad", "");
    onnx_node(&file, "Add", "ad,a", "y", "");
    onnx_output(&file, "y");
    assert_sizes(&file, "input 1 0; opaque 4 0; opaque 1 5; add 4 0");
    /* Its shape may be read. */
    file = onnx_new(13);
    quantised_constants(&file);
    onnx_input(&file, "x", UINT8, "1,3,8,8");
    onnx_node(&file, "DequantizeLinear", "x,s,z", "xd", "");
    onnx_node(&file, "Sigmoid", "xd", "a", "");
    onnx_node(&file, "Shape", "a", "dims", "");
    onnx_node(&file, "QuantizeLinear", "a,s,z", "aq", "");
    onnx_node(&file, "Reshape", "aq,dims", "y", "");
    onnx_output(&file, "y");
    assert_sizes(&file, "input 1 0; opaque 1 0; reshape 1 0");
}

/* A copy of bytes and a copy of floats are no slices of one buffer. */
static void test_concat_of_widths(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    quantised_constants(&file);
    onnx_input(&file, "x", UINT8, "1,3,8,8");
    onnx_input(&file, "f", FLOAT, "1,3,8,8");
    onnx_node(&file, "DequantizeLinear", "x,s,z", "xd", "");
    onnx_node(&file, "Concat", "xd,f", "y", "axis=1");
    onnx_output(&file, "y");
    assert_sizes(&file, "input 1 0; input 4 0; opaque 4 0");
    /* The same where all read bytes, but floats come out. */
    file = onnx_new(13);
    quantised_constants(&file);
    onnx_input(&file, "x", UINT8, "1,3,8,8");
    onnx_node(&file, "DequantizeLinear", "x,s,z", "xd", "");
    onnx_node(&file, "Concat", "xd,xd", "y", "axis=1");
    onnx_output(&file, "y");
    assert_sizes(&file, "input 1 0; opaque 4 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_element_types),
        cmocka_unit_test(test_stored_types),
        cmocka_unit_test(test_shared_constants),
        cmocka_unit_test(test_opaque_constants),
        cmocka_unit_test(test_qlinear),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_norm_behind_stated_constants),
        cmocka_unit_test(test_pairs_with_other_readers),
        cmocka_unit_test(test_concat_of_widths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

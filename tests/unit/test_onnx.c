/* ONNX import: which nodes the ops become, with which shapes. */
#include "test.h"

#include "memnet/deploy.h"
#include "onnx_models.h"

/* A model of one node over x; `constants` are names of float weights with their dimensions, like
 * "w:16,3,3,3 b:16". */
static onnx_file one_node(int64_t opset,
                          const char *dims,
                          const char *constants,
                          const char *op,
                          const char *inputs,
                          const char *attributes)
{
    onnx_file file = onnx_new(opset);
    char copy[256];
    char *rest = NULL;
    onnx_input(&file, "x", FLOAT, dims);
    snprintf(copy, sizeof copy, "%s", constants);
    for (char *item = strtok_r(copy, " ", &rest); item != NULL; item = strtok_r(NULL, " ", &rest)) {
        char *colon = strchr(item, ':');
        assert_non_null(colon);
        *colon = '\0';
        onnx_constant(&file, item, FLOAT, colon + 1, NULL);
    }
    onnx_node(&file, op, inputs, "y", attributes);
    onnx_output(&file, "y");
    return file;
}

typedef struct one_case {
    const char *dims, *constants, *op, *inputs, *attributes, *expected;
} one_case;

static void check_cases(int64_t opset, const one_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const one_case *c = &cases[i];
        onnx_file file = one_node(opset, c->dims, c->constants, c->op, c->inputs, c->attributes);
        onnx_becomes(&file, c->expected);
    }
}
#define CHECK_CASES(opset, cases) check_cases(opset, cases, sizeof(cases) / sizeof *(cases))

/* ---- ops with a primitive ------------------------------------------------------------------ */

static void test_conv(void **state)
{
    (void)state;
    static const one_case cases[] = {
        {"1,3,9,8", "w:16,3,3,3", "Conv", "x,w", "", "input 9x8x3; conv 7x6x16 0"},
        {"1,3,9,8",
         "w:16,3,3,3 b:16",
         "Conv",
         "x,w,b",
         "pads=[1,1,1,1] strides=[2,2]",
         "input 9x8x3; conv 5x4x16 0"},
        {"1,4,9,9",
         "w:8,2,3,3",
         "Conv",
         "x,w",
         "group=2 dilations=[2,2]",
         "input 9x9x4; conv 5x5x8 0"},
        {"1,3,9,8",
         "w:4,3,4,3",
         "Conv",
         "x,w",
         "auto_pad=SAME_UPPER strides=[2,3]",
         "input 9x8x3; conv 5x3x4 0"},
        {"1,3,9,8", "w:4,3,4,3", "Conv", "x,w", "auto_pad=SAME_LOWER", "input 9x8x3; conv 9x8x4 0"},
        {"1,3,9,8", "w:4,3,4,3", "Conv", "x,w", "auto_pad=VALID", "input 9x8x3; conv 6x6x4 0"},
        {"1,6,20", "w:4,6,5", "Conv", "x,w", "pads=[2,2]", "input 1x20x6; conv 1x20x4 0"},
        {"1,2,4,5,6", "w:3,2,3,3,3", "Conv", "x,w", "", "input 1x1x240; opaque 1x1x72 0"},
        {"1,4,5,5",
         "w:4,3,2,2",
         "ConvTranspose",
         "x,w",
         "strides=[2,2] output_padding=[1,0]",
         "input 5x5x4; opaque 11x10x3 0"},
    };
    CHECK_CASES(13, cases);
}

/* The padding of SAME is what the window of the node says. */
static void test_conv_window(void **state)
{
    (void)state;
    onnx_file file =
        one_node(13, "1,3,9,8", "w:4,3,4,3", "Conv", "x,w", "auto_pad=SAME_LOWER strides=[2,1]");
    mn_graph *graph = onnx_graph(&file);
    const mn_window *w = &mn_graph_node(graph, 1)->window;
    assert_int_equal(w->kernel_h, 4);
    assert_int_equal(w->stride_h, 2);
    assert_int_equal(w->pad_top, 2); /* 4 rows of 2 and one kernel need 12: 3 more than 9 */
    assert_int_equal(w->pad_bottom, 1);
    assert_int_equal(w->pad_left, 1);
    assert_int_equal(w->pad_right, 1);
    assert_int_equal(mn_graph_macs(graph), 5 * 8 * 4 * 3 * 4 * 3);
    mn_graph_free(graph);
}

static void test_pools(void **state)
{
    (void)state;
    static const one_case cases[] = {
        {"1,3,9,8",
         "",
         "MaxPool",
         "x",
         "kernel_shape=[2,2] strides=[2,2]",
         "input 9x8x3; max_pool 4x4x3 0"},
        {"1,3,9,8",
         "",
         "MaxPool",
         "x",
         "kernel_shape=[2,2] strides=[2,2] ceil_mode=1",
         "input 9x8x3; max_pool 5x4x3 0"},
        {"1,3,7,7",
         "",
         "MaxPool",
         "x",
         "kernel_shape=[2,2] strides=[4,4] ceil_mode=1",
         "input 7x7x3; opaque 3x3x3 0"},
        {"1,3,9,8",
         "",
         "MaxPool",
         "x",
         "kernel_shape=[2,2] dilations=[2,2]",
         "input 9x8x3; opaque 7x6x3 0"},
        {"1,3,9,8",
         "",
         "AveragePool",
         "x",
         "kernel_shape=[3,3] pads=[1,1,1,1]",
         "input 9x8x3; avg_pool 9x8x3 0"},
        {"1,3,9,8",
         "",
         "AveragePool",
         "x",
         "kernel_shape=[3,3] pads=[1,1,1,1] count_include_pad=1",
         "input 9x8x3; opaque 9x8x3 0"},
        {"1,3,9,8",
         "",
         "AveragePool",
         "x",
         "kernel_shape=[3,3] count_include_pad=1",
         "input 9x8x3; avg_pool 7x6x3 0"},
        {"1,3,9", "", "AveragePool", "x", "kernel_shape=[3]", "input 1x9x3; avg_pool 1x7x3 0"},
        {"1,3,9,8", "", "GlobalAveragePool", "x", "", "input 9x8x3; global_pool 1x1x3 0"},
        {"1,3,9,8", "", "ReduceMean", "x", "axes=[2,3]", "input 9x8x3; global_pool 1x1x3 0"},
        {"1,3,9,8",
         "",
         "ReduceMean",
         "x",
         "axes=[-1,-2] keepdims=0",
         "input 9x8x3; global_pool 1x1x3 0"},
        {"1,3,9,8", "", "ReduceMean", "x", "axes=[1,2] keepdims=0", "input 9x8x3; opaque 1x1x8 0"},
        {"1,3,9,8", "", "GlobalMaxPool", "x", "", "input 9x8x3; opaque 1x1x3 0"},
        {"1,3,9,8", "", "LpPool", "x", "kernel_shape=[2,2]", "input 9x8x3; opaque 8x7x3 0"},
    };
    CHECK_CASES(13, cases);
}

static void test_dense(void **state)
{
    (void)state;
    static const one_case cases[] = {
        {"1,8", "w:8,5 b:5", "Gemm", "x,w,b", "", "input 1x1x8; fully_connected 1x1x5 0"},
        {"1,8", "w:5,8", "Gemm", "x,w", "transB=1", "input 1x1x8; fully_connected 1x1x5 0"},
        {"1,8", "w:8,5", "MatMul", "x,w", "", "input 1x1x8; fully_connected 1x1x5 0"},
        {"1,1,8",
         "w:8,5",
         "MatMul",
         "x,w",
         "",
         "input 1x8x1; fully_connected 1x1x5 0; reshape 1x5x1 1"},
        {"1,7,8", "w:8,5", "MatMul", "x,w", "", "input 1x8x7; opaque 1x5x7 0"},
        {"1,2,7,8", "", "MatMul", "x,x", "", NULL},
        {"1,2,8,8", "", "MatMul", "x,x", "", "input 8x8x2; opaque 8x8x2 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (cases[i].expected != NULL)
            check_cases(13, &cases[i], 1);
    onnx_file file = one_node(13, "1,2,7,8", "", "MatMul", "x,x", "");
    onnx_refused(&file, MN_ERR_FORMAT, "op MatMul: a product of rows of 8 and columns of 7");
}

static void test_activations(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,3,4,5");
    onnx_float(&file, "zero", 0.0f);
    onnx_float(&file, "six", 6.0f);
    onnx_node(&file, "Relu", "x", "a", "");
    onnx_node(&file, "Clip", "a,zero,six", "b", "");
    onnx_node(&file, "Clip", "b,zero", "c", "");
    onnx_node(&file, "Clip", "c,,six", "d", "");
    onnx_node(&file, "Clip", "d,six", "e", "");
    onnx_output(&file, "e");
    onnx_becomes(&file,
                 "input 4x5x3; relu 4x5x3 0; relu6 4x5x3 1; relu 4x5x3 2; opaque 4x5x3 3; "
                 "opaque 4x5x3 4");
    static const one_case old[] = {
        {"1,3,4,5", "", "Clip", "x", "min=0.0 max=6.0", "input 4x5x3; relu6 4x5x3 0"},
        {"1,3,4,5", "", "Clip", "x", "min=0.0", "input 4x5x3; relu 4x5x3 0"},
        {"1,3,4,5", "", "Clip", "x", "max=6.0", "input 4x5x3; opaque 4x5x3 0"},
    };
    CHECK_CASES(10, old);
    static const one_case cases[] = {
        {"1,3,4,5",
         "s:3 b:3 m:3 v:3",
         "BatchNormalization",
         "x,s,b,m,v",
         "",
         "input 4x5x3; batch_norm 4x5x3 0"},
        {"1,3,4,5",
         "s:3 b:3 m:3 v:3",
         "BatchNormalization",
         "x,s,b,m,v",
         "training_mode=1",
         "input 4x5x3; opaque 4x5x3 0"},
        {"1,3,4,5,2",
         "s:3 b:3 m:3 v:3",
         "BatchNormalization",
         "x,s,b,m,v",
         "",
         "input 1x1x120; opaque 1x1x120 0"},
        {"1,3,4,5", "", "Sigmoid", "x", "", "input 4x5x3; opaque 4x5x3 0"},
        {"1,3,4,5", "slope:3,1,1", "PRelu", "x,slope", "", "input 4x5x3; opaque 4x5x3 0"},
    };
    CHECK_CASES(14, cases);
}

static void test_joins(void **state)
{
    (void)state;
    static const one_case cases[] = {
        {"1,3,4,5", "", "Add", "x,x", "", "input 4x5x3; add 4x5x3 0 0"},
        {"1,3,4,5", "", "Sum", "x,x", "", "input 4x5x3; add 4x5x3 0 0"},
        {"1,3,4,5", "", "Sum", "x,x,x", "", "input 4x5x3; opaque 4x5x3 0"},
        {"1,3,4,5", "b:3,1,1", "Add", "x,b", "", "input 4x5x3; opaque 4x5x3 0"},
        {"1,3,1,5", "b:1,3,4,1", "Mul", "b,x", "", "input 1x5x3; opaque 4x5x3 0"},
        {"1,3,4,5", "", "Concat", "x,x", "axis=1", "input 4x5x3; concat 4x5x6 0 0"},
        {"1,3,4,5", "", "Concat", "x,x", "axis=-3", "input 4x5x3; concat 4x5x6 0 0"},
        {"1,3,4,5", "", "Concat", "x,x", "axis=2", "input 4x5x3; opaque 8x5x3 0"},
        {"1,7", "", "Concat", "x,x,x", "axis=-1", "input 1x1x7; concat 1x1x21 0 0 0"},
        {"1,7,2", "", "Concat", "x,x", "axis=1", "input 1x2x7; concat 1x2x14 0 0"},
        {"1,3,4,5", "c:1,2,4,5", "Concat", "x,c", "axis=1", "input 4x5x3; opaque 4x5x5 0"},
    };
    CHECK_CASES(13, cases);
}

static void test_reshapes(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,3,4,5");
    onnx_numbers(&file, "shape", 3, (int64_t[]){0, -1, 4});
    onnx_numbers(&file, "axes", 2, (int64_t[]){2, -1});
    onnx_numbers(&file, "last", 1, (int64_t[]){-1});
    onnx_node(&file, "Flatten", "x", "a", "");
    onnx_node(&file, "Reshape", "a,shape", "b", "");
    onnx_node(&file, "Unsqueeze", "b,axes", "c", ""); /* (1,15,1,4,1) */
    onnx_node(&file, "Squeeze", "c,last", "d", "");
    onnx_node(&file, "Identity", "d", "e", "");
    onnx_node(&file, "Dropout", "e", "f", "");
    onnx_output(&file, "f");
    onnx_becomes(&file,
                 "input 4x5x3; reshape 1x1x60 0; reshape 1x4x15 1; reshape 1x1x60 2; "
                 "reshape 1x4x15 3");
    static const one_case old[] = {
        {"1,3,1,5", "", "Squeeze", "x", "axes=[2]", "input 1x5x3; reshape 1x5x3 0"},
        {"1,3,5", "", "Unsqueeze", "x", "axes=[2]", "input 1x5x3; reshape 1x5x3 0"},
        {"1,3,1,5", "", "Flatten", "x", "axis=-2", "input 1x5x3; reshape 1x1x15 0"},
    };
    CHECK_CASES(11, old);
    file = one_node(11, "1,3,2,5", "", "Squeeze", "x", "axes=[2]");
    onnx_refused(&file, MN_ERR_FORMAT, "op Squeeze: dimension 2 is 2: expected 1");
}

/* ---- opaque ops ---------------------------------------------------------------------------- */

static void test_opaque_shapes(void **state)
{
    (void)state;
    static const one_case cases[] = {
        {"1,3,4,6", "", "Transpose", "x", "perm=[0,2,3,1]", "input 4x6x3; opaque 6x3x4 0"},
        {"1,8,4,6", "", "DepthToSpace", "x", "blocksize=2", "input 4x6x8; opaque 8x12x2 0"},
        {"1,8,4,6", "", "SpaceToDepth", "x", "blocksize=2", "input 4x6x8; opaque 2x3x32 0"},
        {"1,3,4,6", "", "Pad", "x", "pads=[0,0,1,2,0,0,3,4]", "input 4x6x3; opaque 8x12x3 0"},
        {"1,3,4,6", "", "Pad", "x", "pads=[0,0,0,0,0,0,0,0]", "input 4x6x3"},
        {"1,3,4,6", "", "ReduceMax", "x", "axes=[1]", "input 4x6x3; opaque 4x6x1 0"},
        {"1,3,4,6", "", "ArgMax", "x", "axis=1 keepdims=0", "input 4x6x3; opaque 1x6x4 0"},
        {"1,3,4,6",
         "",
         "Slice",
         "x",
         "starts=[1,-2] ends=[3,99] axes=[2,3]",
         "input 4x6x3; opaque 2x2x3 0"},
        {"1,3,4,6", "", "LRN", "x", "size=3", "input 4x6x3; opaque 4x6x3 0"},
        {"1,3,4,6", "", "Softmax", "x", "", "input 4x6x3; opaque 4x6x3 0"},
    };
    CHECK_CASES(9, cases);
    onnx_file file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,4,6,6");
    onnx_constant(&file, "scales", FLOAT, "4", (float[]){1.0f, 1.0f, 2.0f, 1.5f});
    onnx_numbers(&file, "sizes", 4, (int64_t[]){1, 4, 5, 7});
    onnx_numbers(&file, "repeats", 4, (int64_t[]){1, 2, 1, 1});
    onnx_numbers(&file, "expand", 4, (int64_t[]){1, 4, 5, 7});
    onnx_numbers(&file, "two", 1, (int64_t[]){2});
    onnx_node(&file, "Resize", "x,,scales", "a", "");
    onnx_node(&file, "Resize", "a,,,sizes", "b", "");
    onnx_node(&file, "Expand", "b,expand", "c", "");
    onnx_node(&file, "Tile", "c,repeats", "d", "");
    onnx_node(&file, "Gather", "d,two", "e", "axis=2");
    onnx_node(&file, "Equal", "e,e", "f", "");
    onnx_output(&file, "f");
    mn_graph *graph = onnx_graph(&file);
    assert_nodes(graph,
                 "input 6x6x4; opaque 12x9x4 0; opaque 5x7x4 1; opaque 5x7x8 2; opaque 1x7x8 3; "
                 "opaque 1x7x8 4");
    assert_int_equal(mn_graph_node(graph, 4)->element_bytes, 4);
    assert_int_equal(mn_graph_node(graph, 5)->element_bytes, 1); /* bool */
    mn_graph_free(graph);
}

/* Each output that is read is a node; those that are not read are none. */
static void test_several_outputs(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,6,4,4");
    onnx_numbers(&file, "parts", 3, (int64_t[]){1, 2, 3});
    onnx_node(&file, "Split", "x,parts", "a,b,c", "axis=1");
    onnx_node(&file, "Relu", "a", "y", "");
    onnx_output(&file, "y");
    onnx_output(&file, "c");
    mn_graph *graph = onnx_graph(&file);
    assert_nodes(graph, "input 4x4x6; opaque 4x4x1 0; opaque 4x4x3 0 1; relu 4x4x1 1");
    assert_int_equal(mn_graph_output_count(graph), 2);
    assert_int_equal(mn_graph_output(graph, 0), 3);
    assert_int_equal(mn_graph_output(graph, 1), 2);
    mn_graph_free(graph);
    file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,2,4,4");
    onnx_node(&file, "MaxPool", "x", "y,indices", "kernel_shape=[2,2]");
    onnx_output(&file, "indices");
    graph = onnx_graph(&file);
    assert_nodes(graph, "input 4x4x2; opaque 3x3x2 0");
    assert_int_equal(mn_graph_node(graph, 1)->element_bytes, 8);
    mn_graph_free(graph);
    file = onnx_new(14);
    onnx_input(&file, "x", FLOAT, "5,1,8");
    onnx_constant(&file, "w", FLOAT, "1,24,8", NULL);
    onnx_constant(&file, "r", FLOAT, "1,24,6", NULL);
    onnx_node(&file, "GRU", "x,w,r", "y,last", "hidden_size=6");
    onnx_node(&file, "Add", "y,y", "z", "");
    onnx_output(&file, "z");
    onnx_output(&file, "last");
    onnx_refused(&file, MN_ERR_UNSUPPORTED, "the batch of 5 images is mixed");
}

/* An op that nobody knows, by what the file declares. */
static void test_declared_shape(void **state)
{
    (void)state;
    onnx_file file = one_node(13, "1,3,4,6", "", "com.example:Foo", "x", "");
    onnx_refused(
        &file, MN_ERR_UNSUPPORTED, "node 0 '': op Foo: the shape of its output 0 is not known");
    file = one_node(13, "1,3,4,6", "", "com.example:Foo", "x", "");
    onnx_value_info(&file, 13, "y", FLOAT, "N,7,2,2");
    onnx_becomes(&file, "input 4x6x3; opaque 2x2x7 0");
    file = one_node(13, "1,3,4,6", "", "com.example:Foo", "x", "");
    onnx_value_info(&file, 13, "y", FLOAT, "N,channels,2,2");
    onnx_refused(&file, MN_ERR_UNSUPPORTED, "op Foo: the shape of its output 0 is not known");
}

/* ---- constants that are computed ----------------------------------------------------------- */

/* x.view(x.size(0), -1) as exporters write it. */
static void test_view(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "batch,3,4,5");
    onnx_constant(&file, "zero", INT64, "", (int64_t[]){0});
    onnx_numbers(&file, "front", 1, (int64_t[]){0});
    onnx_numbers(&file, "rest", 1, (int64_t[]){-1});
    onnx_node(&file, "Shape", "x", "dims", "");
    onnx_node(&file, "Gather", "dims,zero", "n", "axis=0");
    onnx_node(&file, "Unsqueeze", "n,front", "n1", "");
    onnx_node(&file, "Identity", "rest", "rest2", "");
    onnx_node(&file, "Concat", "n1,rest2", "shape", "axis=0");
    onnx_node(&file, "Reshape", "x,shape", "y", "");
    onnx_output(&file, "y");
    onnx_becomes(&file, "input 4x5x3; reshape 1x1x60 0");
}

/* Interpolation to floor(side * 1.5), in floats and back. */
static void test_interpolation(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,3,5,7");
    onnx_constant(&file, "scale", FLOAT, "1", (float[]){1.5f});
    onnx_numbers(&file, "two", 1, (int64_t[]){2});
    onnx_numbers(&file, "four", 1, (int64_t[]){4});
    onnx_numbers(&file, "none", 1, (int64_t[]){0});
    onnx_node(&file, "Shape", "x", "dims", "");
    onnx_node(&file, "Slice", "dims,none,two,none", "front", "");
    onnx_node(&file, "Slice", "dims,two,four", "sides", "");
    onnx_node(&file, "Cast", "sides", "float", "to=1");
    onnx_node(&file, "Mul", "float,scale", "scaled", "");
    onnx_node(&file, "Floor", "scaled", "floor", "");
    onnx_node(&file, "Cast", "floor", "int", "to=7");
    onnx_node(&file, "Concat", "front,int", "sizes", "axis=0");
    onnx_node(&file, "Resize", "x,,,sizes", "y", "");
    onnx_output(&file, "y");
    onnx_becomes(&file, "input 5x7x3; opaque 7x10x3 0");
}

/* Every other op on small constants, ending as the shape of a reshape of 24 numbers. */
static void test_arithmetic(void **state)
{
    (void)state;
    static const struct {
        const char *op, *inputs, *attributes;
        int64_t expected; /* the second dimension, of (1, expected, -1) */
    } cases[] = {
        {"Add", "two,six", "", 8},
        {"Sub", "six,two", "", 4},
        {"Div", "seven,two", "", 3},
        {"Mod", "seven,four", "", 3},
        {"Max", "two,six", "", 6},
        {"Min", "two,six", "", 2},
        {"Pow", "two,two", "", 4},
        {"ReduceProd", "pair", "keepdims=1", 12},
        {"ReduceSum", "pair", "keepdims=1", 8},
        {"Abs", "minus", "", 3},
        {"Neg", "minus", "", 3},
        {"Where", "less,two,six", "", 2},
        {"Gather", "pair,minusone", "", 6},
        {"ConstantOfShape", "one", "", 0},
        {"Size", "x", "", 24},
        {"Transpose", "six", "", 6},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        onnx_file file = onnx_new(13);
        char shape[64];
        onnx_input(&file, "x", FLOAT, "1,2,3,4");
        onnx_numbers(&file, "one", 1, (int64_t[]){1});
        onnx_numbers(&file, "two", 1, (int64_t[]){2});
        onnx_numbers(&file, "four", 1, (int64_t[]){4});
        onnx_numbers(&file, "six", 1, (int64_t[]){6});
        onnx_numbers(&file, "seven", 1, (int64_t[]){7});
        onnx_numbers(&file, "minus", 1, (int64_t[]){-3});
        onnx_numbers(&file, "minusone", 1, (int64_t[]){-1});
        onnx_numbers(&file, "pair", 2, (int64_t[]){2, 6});
        onnx_node(&file, "Less", "two,six", "less", "");
        onnx_node(&file, cases[i].op, cases[i].inputs, "made", cases[i].attributes);
        onnx_node(&file, "Reshape", "made,one", "flat", "");
        onnx_node(&file, "Cast", "flat", "whole", "to=7");
        onnx_node(&file, "Concat", "one,whole,minusone", "shape", "axis=0");
        onnx_node(&file, "Reshape", "x,shape", "y", "");
        onnx_output(&file, "y");
        int64_t rows = cases[i].expected == 0 ? 2 : cases[i].expected; /* 0 keeps the dimension */
        snprintf(shape,
                 sizeof shape,
                 "input 3x4x2; reshape 1x%" PRId64 "x%" PRId64 " 0",
                 24 / rows,
                 rows);
        onnx_becomes(&file, shape);
    }
}

/* Integers are divided as integers: 7 / 2 * 2 is 6. */
static void test_integer_division(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,2,3,4");
    onnx_numbers(&file, "two", 1, (int64_t[]){2});
    onnx_numbers(&file, "seven", 1, (int64_t[]){7});
    onnx_numbers(&file, "ends", 2, (int64_t[]){1, -1});
    onnx_node(&file, "Div", "seven,two", "three", "");
    onnx_node(&file, "Mul", "three,two", "six", "");
    onnx_node(&file, "Concat", "ends,six", "shape", "axis=0");
    onnx_node(&file, "Reshape", "x,shape", "y", "");
    onnx_output(&file, "y");
    onnx_becomes(&file, "input 3x4x2; reshape 1x6x4 0");
}

/* The sizes of a padding as PyTorch computes them: reversed pairs. */
static void test_pad_chain(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,2,3,4");
    onnx_numbers(&file, "pads", 8, (int64_t[]){1, 2, 3, 4, 0, 0, 0, 0});
    onnx_numbers(&file, "pairs", 2, (int64_t[]){-1, 2});
    onnx_numbers(&file, "last", 1, (int64_t[]){-1});
    onnx_numbers(&file, "before", 1, (int64_t[]){INT64_MIN + 1});
    onnx_numbers(&file, "axis", 1, (int64_t[]){0});
    onnx_node(&file, "Reshape", "pads,pairs", "a", "");
    onnx_node(&file, "Slice", "a,last,before,axis,last", "b", "");
    onnx_node(&file, "Transpose", "b", "c", "perm=[1,0]");
    onnx_node(&file, "Reshape", "c,last", "d", "");
    onnx_node(&file, "Pad", "x,d", "y", "");
    onnx_output(&file, "y");
    onnx_becomes(&file, "input 3x4x2; opaque 10x7x2 0"); /* rows 3+4, columns 1+2 more */
}

/* ---- names, outputs, batch ----------------------------------------------------------------- */

static void test_names(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,2,3,4");
    onnx_named_node(&file, "x", "Relu", "x", "a", "");
    onnx_named_node(&file, "same", "Relu", "a", "b", "");
    onnx_named_node(&file, "same", "Relu", "b", "same_3", "");
    onnx_node(&file, "Relu", "same_3", "c", "");
    onnx_output(&file, "c");
    mn_graph *graph = onnx_graph(&file);
    assert_string_equal(mn_graph_node(graph, 0)->name, "x");
    assert_string_equal(mn_graph_node(graph, 1)->name, "x_1");
    assert_string_equal(mn_graph_node(graph, 2)->name, "same");
    assert_string_equal(mn_graph_node(graph, 3)->name, "same_3");
    assert_string_equal(mn_graph_node(graph, 4)->name, "c");
    mn_graph_free(graph);
}

/* Nodes that nothing reads are left out; outputs count once; constants are no outputs. */
static void test_outputs(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,2,3,4");
    onnx_input(&file, "w", FLOAT, "4,2,1,1"); /* an initializer that is listed as an input too */
    onnx_constant(&file, "w", FLOAT, "4,2,1,1", NULL);
    onnx_node(&file, "Conv", "x,w", "a", "");
    onnx_node(&file, "Sigmoid", "a", "unread", "");
    onnx_node(&file, "Foo", "unread", "unread2", "");
    onnx_node(&file, "Identity", "a", "b", "");
    onnx_output(&file, "b");
    onnx_output(&file, "w");
    onnx_output(&file, "a");
    onnx_output(&file, "x");
    mn_graph *graph = onnx_graph(&file);
    assert_nodes(graph, "input 3x4x2; conv 3x4x4 0");
    assert_int_equal(mn_graph_output_count(graph), 2);
    assert_int_equal(mn_graph_output(graph, 0), 1);
    assert_int_equal(mn_graph_output(graph, 1), 0);
    mn_graph_free(graph);
    file = onnx_new(13);
    onnx_input(&file, "x", FLOAT, "1,2,3,4");
    onnx_node(&file, "Shape", "x", "y", "");
    onnx_output(&file, "y");
    onnx_refused(&file, MN_ERR_UNSUPPORTED, "1 outputs, all of them constant");
}

static void test_batch(void **state)
{
    (void)state;
    static const one_case cases[] = {
        {"8,3,4,5", "w:2,3,1,1", "Conv", "x,w", "", "input 4x5x3; conv 4x5x2 0"},
        {"0,3,4,5", "w:2,3,1,1", "Conv", "x,w", "", "input 4x5x3; conv 4x5x2 0"},
        {"N,3,4,5", "w:2,3,1,1", "Conv", "x,w", "", "input 4x5x3; conv 4x5x2 0"},
        {"8,3,4,5", "", "Flatten", "x", "", "input 4x5x3; reshape 1x1x60 0"},
        {"8,60", "w:60,7", "Gemm", "x,w", "", "input 1x1x60; fully_connected 1x1x7 0"},
    };
    CHECK_CASES(13, cases);
    onnx_file file = one_node(13, "8,3,4,5", "", "Flatten", "x", "axis=2");
    onnx_refused(&file,
                 MN_ERR_UNSUPPORTED,
                 "node 0 '': op Flatten: the batch of 8 images is mixed into other dimensions");
    file = one_node(13, "8,3,4,5", "", "Concat", "x,x", "axis=0");
    onnx_refused(&file, MN_ERR_UNSUPPORTED, "the batch of 8 images is mixed");
    file = one_node(13, "4,4", "", "Transpose", "x", "");
    onnx_refused(&file, MN_ERR_UNSUPPORTED, "the batch of 4 images is moved");
    file = onnx_new(13);
    onnx_input(&file, "a", FLOAT, "4,4");
    onnx_input(&file, "b", FLOAT, "4,6");
    onnx_node(&file, "MatMul", "a,b", "y", "");
    onnx_output(&file, "y");
    onnx_refused(&file, MN_ERR_UNSUPPORTED, "op MatMul: the batch of 4 images is mixed");
    file = onnx_new(13);
    onnx_input(&file, "a", FLOAT, "4,4");
    onnx_constant(&file, "w", FLOAT, "4,6", NULL);
    onnx_node(&file, "Gemm", "a,w", "y", "transA=1");
    onnx_output(&file, "y");
    onnx_refused(&file, MN_ERR_UNSUPPORTED, "op Gemm: the batch of 4 images is mixed");
    file = onnx_new(14);
    onnx_input(&file, "x", FLOAT, "5,1,8");
    onnx_constant(&file, "w", FLOAT, "1,24,8", NULL);
    onnx_constant(&file, "r", FLOAT, "1,24,6", NULL);
    onnx_node(&file, "GRU", "x,w,r", "y", "hidden_size=6");
    onnx_output(&file, "y");
    onnx_refused(&file, MN_ERR_UNSUPPORTED, "op GRU: the batch of 5 images is mixed");
    file = one_node(13, "1,3,height,5", "", "Relu", "x", "");
    onnx_refused(
        &file, MN_ERR_UNSUPPORTED, "input 'x': dimension 2 is 'height': expected a number");
    /* Inputs that do not share it have no batch. */
    file = onnx_new(13);
    onnx_input(&file, "a", FLOAT, "3,4");
    onnx_input(&file, "b", FLOAT, "4,5");
    onnx_node(&file, "MatMul", "a,b", "y", "");
    onnx_output(&file, "y");
    onnx_becomes(&file, "input 1x1x12; input 1x1x20; opaque 1x1x15 0 1");
}

/* The deploy pass does with the graph what it does with those of this house. */
static void test_deploys(void **state)
{
    (void)state;
    onnx_file file = onnx_new(13);
    mn_graph *deployed = NULL;
    mn_error err;
    onnx_input(&file, "x", FLOAT, "1,3,8,8");
    onnx_constant(&file, "w", FLOAT, "4,3,3,3", NULL);
    for (int i = 0; i < 4; i++)
        onnx_constant(&file, (const char *[]){"s", "b", "m", "v"}[i], FLOAT, "4", NULL);
    onnx_node(&file, "Conv", "x,w", "a", "pads=[1,1,1,1]");
    onnx_node(&file, "BatchNormalization", "a,s,b,m,v", "c", "");
    onnx_node(&file, "Relu", "c", "d", "");
    onnx_node(&file, "Add", "d,d", "e", "");
    onnx_output(&file, "e");
    mn_graph *graph = onnx_graph(&file);
    assert_ok(mn_deploy(graph, NULL, &deployed, NULL, &err), &err);
    assert_nodes(deployed, "input 8x8x3; conv 8x8x4 0; add 8x8x4 1 1");
    assert_int_equal(mn_graph_parameters(deployed), 4 * 27 + 4);
    assert_int_equal(mn_graph_node(deployed, 1)->constant_bytes, 0);
    mn_graph_free(deployed);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),
        cmocka_unit_test(test_conv_window),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_joins),
        cmocka_unit_test(test_reshapes),
        cmocka_unit_test(test_opaque_shapes),
        cmocka_unit_test(test_several_outputs),
        cmocka_unit_test(test_declared_shape),
        cmocka_unit_test(test_view),
        cmocka_unit_test(test_interpolation),
        cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_integer_division),
        cmocka_unit_test(test_pad_chain),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_deploys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

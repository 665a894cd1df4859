/*
 * The table of ops: the one list of what the importer knows. An op that is not here is opaque where
 * the file declares the shape of its output.
 */
#include "onnx/ops.h"

#include <string.h>

#define MICROSOFT MN__ONNX_MICROSOFT

/* Input i and all that follow it are parameters. */
#define FROM(i) (~0u << (i))

static const mn__onnx_op table[] = {
    /* ops with a primitive */
    {"Conv", 1, mn__onnx_infer_conv, mn__onnx_emit_conv, 0},
    {"FusedConv", MICROSOFT, mn__onnx_infer_conv, mn__onnx_emit_conv, 0},
    {"ConvInteger", 10, mn__onnx_infer_conv, mn__onnx_emit_conv, 0},
    {"QLinearConv", 10, mn__onnx_infer_conv, mn__onnx_emit_conv, 0},
    {"BatchNormalization", 7, mn__onnx_infer_batch_norm, mn__onnx_emit_batch_norm, 0},
    {"Relu", 1, mn__onnx_infer_same, mn__onnx_emit_relu, 0},
    {"Clip", 1, mn__onnx_infer_same, mn__onnx_emit_clip_attributes, 0},
    {"Clip", 11, mn__onnx_infer_same, mn__onnx_emit_clip, FROM(1)},
    {"Add", 7, mn__onnx_infer_broadcast, mn__onnx_emit_add, 0},
    {"Sum", 6, mn__onnx_infer_broadcast, mn__onnx_emit_add, 0},
    {"QLinearAdd", MICROSOFT, mn__onnx_infer_qlinear_binary, mn__onnx_emit_qlinear_add, 0},
    {"Concat", 4, mn__onnx_infer_concat, mn__onnx_emit_concat, 0},
    {"QLinearConcat", MICROSOFT, mn__onnx_infer_qlinear_concat, mn__onnx_emit_qlinear_concat, 0},
    {"MaxPool", 1, mn__onnx_infer_pool, mn__onnx_emit_pool, 0},
    {"AveragePool", 1, mn__onnx_infer_pool, mn__onnx_emit_pool, 0},
    {"QLinearAveragePool", MICROSOFT, mn__onnx_infer_pool, mn__onnx_emit_pool, 0},
    {"GlobalAveragePool", 1, mn__onnx_infer_global_pool, mn__onnx_emit_global_average, 0},
    {"QLinearGlobalAveragePool",
     MICROSOFT,
     mn__onnx_infer_global_pool,
     mn__onnx_emit_global_average,
     0},
    {"ReduceMean", 1, mn__onnx_infer_reduce, mn__onnx_emit_reduce_mean, FROM(1)},
    {"Gemm", 7, mn__onnx_infer_dense, mn__onnx_emit_dense, 0},
    {"FusedGemm", MICROSOFT, mn__onnx_infer_dense, mn__onnx_emit_dense, 0},
    {"QGemm", MICROSOFT, mn__onnx_infer_dense, mn__onnx_emit_dense, 0},
    {"MatMul", 1, mn__onnx_infer_dense, mn__onnx_emit_dense, 0},
    {"MatMulInteger", 10, mn__onnx_infer_dense, mn__onnx_emit_dense, 0},
    {"QLinearMatMul", 10, mn__onnx_infer_dense, mn__onnx_emit_dense, 0},
    {"Reshape", 5, mn__onnx_infer_reshape, mn__onnx_emit_reshape, FROM(1)},
    {"Flatten", 1, mn__onnx_infer_flatten, mn__onnx_emit_reshape, 0},
    {"Squeeze", 1, mn__onnx_infer_squeeze, mn__onnx_emit_reshape, FROM(1)},
    {"Unsqueeze", 1, mn__onnx_infer_unsqueeze, mn__onnx_emit_reshape, FROM(1)},
    /* ops that need no node */
    {"Identity", 1, mn__onnx_infer_same, mn__onnx_emit_rename, 0},
    {"Dropout", 7, mn__onnx_infer_dropout, mn__onnx_emit_rename, FROM(1)},
    {"Cast", 6, mn__onnx_infer_cast, mn__onnx_emit_cast, 0},
    {"CastLike", 15, mn__onnx_infer_cast, mn__onnx_emit_cast, FROM(1)},
    {"QuantizeLinear", 10, mn__onnx_infer_quantize, mn__onnx_emit_quantize, 0},
    {"DequantizeLinear", 10, mn__onnx_infer_dequantize, mn__onnx_emit_dequantize, 0},
    {"QuantizeLinear", MICROSOFT, mn__onnx_infer_quantize, mn__onnx_emit_quantize, 0},
    {"DequantizeLinear", MICROSOFT, mn__onnx_infer_dequantize, mn__onnx_emit_dequantize, 0},
    {"Constant", 1, mn__onnx_infer_constant, mn__onnx_emit_constant, 0},
    {"Shape", 1, mn__onnx_infer_shape, NULL, 0},
    {"Size", 1, mn__onnx_infer_shape, NULL, 0},
    {"ConstantOfShape", 9, mn__onnx_infer_constant_of_shape, NULL, FROM(0)},
    {"Range", 11, mn__onnx_infer_range, NULL, FROM(0)},
    /* one input, the same shape */
    {"Abs", 6, mn__onnx_infer_same, NULL, 0},
    {"Acos", 7, mn__onnx_infer_same, NULL, 0},
    {"Acosh", 9, mn__onnx_infer_same, NULL, 0},
    {"Asin", 7, mn__onnx_infer_same, NULL, 0},
    {"Asinh", 9, mn__onnx_infer_same, NULL, 0},
    {"Atan", 7, mn__onnx_infer_same, NULL, 0},
    {"Atanh", 9, mn__onnx_infer_same, NULL, 0},
    {"Ceil", 6, mn__onnx_infer_same, NULL, 0},
    {"Celu", 12, mn__onnx_infer_same, NULL, 0},
    {"Cos", 7, mn__onnx_infer_same, NULL, 0},
    {"Cosh", 9, mn__onnx_infer_same, NULL, 0},
    {"CumSum", 11, mn__onnx_infer_same, NULL, FROM(1)},
    {"Elu", 6, mn__onnx_infer_same, NULL, 0},
    {"Erf", 9, mn__onnx_infer_same, NULL, 0},
    {"Exp", 6, mn__onnx_infer_same, NULL, 0},
    {"Floor", 6, mn__onnx_infer_same, NULL, 0},
    {"Gelu", MICROSOFT, mn__onnx_infer_same, NULL, 0},
    {"HardSigmoid", 6, mn__onnx_infer_same, NULL, 0},
    {"HardSwish", 14, mn__onnx_infer_same, NULL, 0},
    {"Hardmax", 1, mn__onnx_infer_same, NULL, 0},
    {"InstanceNormalization", 6, mn__onnx_infer_same, NULL, 0},
    {"LRN", 1, mn__onnx_infer_same, NULL, 0},
    {"LayerNormalization", 17, mn__onnx_infer_layer_norm, NULL, 0},
    {"LeakyRelu", 6, mn__onnx_infer_same, NULL, 0},
    {"Log", 6, mn__onnx_infer_same, NULL, 0},
    {"LogSoftmax", 1, mn__onnx_infer_same, NULL, 0},
    {"LpNormalization", 1, mn__onnx_infer_same, NULL, 0},
    {"MeanVarianceNormalization", 9, mn__onnx_infer_same, NULL, 0},
    {"Neg", 6, mn__onnx_infer_same, NULL, 0},
    {"Not", 1, mn__onnx_infer_same, NULL, 0},
    {"PRelu", 7, mn__onnx_infer_same, NULL, 0},
    {"QLinearLeakyRelu", MICROSOFT, mn__onnx_infer_same, NULL, 0},
    {"QLinearSigmoid", MICROSOFT, mn__onnx_infer_same, NULL, 0},
    {"QLinearSoftmax", MICROSOFT, mn__onnx_infer_same, NULL, 0},
    {"Reciprocal", 6, mn__onnx_infer_same, NULL, 0},
    {"Round", 11, mn__onnx_infer_same, NULL, 0},
    {"ScatterElements", 11, mn__onnx_infer_same, NULL, 0},
    {"ScatterND", 11, mn__onnx_infer_same, NULL, 0},
    {"Selu", 6, mn__onnx_infer_same, NULL, 0},
    {"Shrink", 9, mn__onnx_infer_same, NULL, 0},
    {"Sigmoid", 6, mn__onnx_infer_same, NULL, 0},
    {"Sign", 9, mn__onnx_infer_same, NULL, 0},
    {"Sin", 7, mn__onnx_infer_same, NULL, 0},
    {"Sinh", 9, mn__onnx_infer_same, NULL, 0},
    {"Softmax", 1, mn__onnx_infer_same, NULL, 0},
    {"Softplus", 1, mn__onnx_infer_same, NULL, 0},
    {"Softsign", 1, mn__onnx_infer_same, NULL, 0},
    {"Sqrt", 6, mn__onnx_infer_same, NULL, 0},
    {"Tan", 7, mn__onnx_infer_same, NULL, 0},
    {"Tanh", 6, mn__onnx_infer_same, NULL, 0},
    {"ThresholdedRelu", 10, mn__onnx_infer_same, NULL, 0},
    {"Trilu", 14, mn__onnx_infer_same, NULL, FROM(1)},
    {"IsInf", 10, mn__onnx_infer_test, NULL, 0},
    {"IsNaN", 9, mn__onnx_infer_test, NULL, 0},
    {"DynamicQuantizeLinear", 11, mn__onnx_infer_dynamic_quantize, NULL, 0},
    /* several inputs, broadcast */
    {"Sub", 7, mn__onnx_infer_broadcast, NULL, 0},
    {"Mul", 7, mn__onnx_infer_broadcast, NULL, 0},
    {"QLinearMul", MICROSOFT, mn__onnx_infer_qlinear_binary, NULL, 0},
    {"Div", 7, mn__onnx_infer_broadcast, NULL, 0},
    {"Mod", 10, mn__onnx_infer_broadcast, NULL, 0},
    {"Pow", 7, mn__onnx_infer_broadcast, NULL, 0},
    {"Max", 6, mn__onnx_infer_broadcast, NULL, 0},
    {"Min", 6, mn__onnx_infer_broadcast, NULL, 0},
    {"Mean", 6, mn__onnx_infer_broadcast, NULL, 0},
    {"And", 7, mn__onnx_infer_compare, NULL, 0},
    {"Or", 7, mn__onnx_infer_compare, NULL, 0},
    {"Xor", 7, mn__onnx_infer_compare, NULL, 0},
    {"BitShift", 11, mn__onnx_infer_broadcast, NULL, 0},
    {"Equal", 7, mn__onnx_infer_compare, NULL, 0},
    {"Greater", 7, mn__onnx_infer_compare, NULL, 0},
    {"GreaterOrEqual", 12, mn__onnx_infer_compare, NULL, 0},
    {"Less", 7, mn__onnx_infer_compare, NULL, 0},
    {"LessOrEqual", 12, mn__onnx_infer_compare, NULL, 0},
    {"Where", 9, mn__onnx_infer_where, NULL, 0},
    /* windows and reductions */
    {"ConvTranspose", 1, mn__onnx_infer_conv_transpose, NULL, 0},
    {"LpPool", 2, mn__onnx_infer_pool, NULL, 0},
    {"GlobalMaxPool", 1, mn__onnx_infer_global_pool, NULL, 0},
    {"GlobalLpPool", 2, mn__onnx_infer_global_pool, NULL, 0},
    {"ReduceL1", 1, mn__onnx_infer_reduce, NULL, FROM(1)},
    {"ReduceL2", 1, mn__onnx_infer_reduce, NULL, FROM(1)},
    {"ReduceLogSum", 1, mn__onnx_infer_reduce, NULL, FROM(1)},
    {"ReduceLogSumExp", 1, mn__onnx_infer_reduce, NULL, FROM(1)},
    {"ReduceMax", 1, mn__onnx_infer_reduce, NULL, FROM(1)},
    {"ReduceMin", 1, mn__onnx_infer_reduce, NULL, FROM(1)},
    {"ReduceProd", 1, mn__onnx_infer_reduce, NULL, FROM(1)},
    {"ReduceSum", 1, mn__onnx_infer_reduce, NULL, FROM(1)},
    {"ReduceSumSquare", 1, mn__onnx_infer_reduce, NULL, FROM(1)},
    {"ArgMax", 1, mn__onnx_infer_arg_reduce, NULL, 0},
    {"ArgMin", 1, mn__onnx_infer_arg_reduce, NULL, 0},
    {"TopK", 10, mn__onnx_infer_top_k, NULL, FROM(1)},
    /* other shapes */
    {"DepthToSpace", 1, mn__onnx_infer_depth_to_space, NULL, 0},
    {"Expand", 8, mn__onnx_infer_expand, mn__onnx_emit_expand, FROM(1)},
    {"Gather", 1, mn__onnx_infer_gather, NULL, 0},
    {"GatherElements", 11, mn__onnx_infer_like_indices, NULL, 0},
    {"OneHot", 9, mn__onnx_infer_one_hot, NULL, FROM(1)},
    {"Pad", 2, mn__onnx_infer_pad, mn__onnx_emit_pad, FROM(1)},
    {"Resize", 10, mn__onnx_infer_resize, NULL, FROM(1)},
    {"Slice", 1, mn__onnx_infer_slice, NULL, FROM(1)},
    {"SpaceToDepth", 1, mn__onnx_infer_space_to_depth, NULL, 0},
    {"Split", 2, mn__onnx_infer_split, NULL, FROM(1)},
    {"Tile", 6, mn__onnx_infer_tile, mn__onnx_emit_expand, FROM(1)},
    {"Transpose", 1, mn__onnx_infer_transpose, NULL, 0},
    {"Upsample", 9, mn__onnx_infer_resize, NULL, FROM(1)},
    /* recurrent layers */
    {"GRU", 7, mn__onnx_infer_recurrent, NULL, 0},
    {"LSTM", 7, mn__onnx_infer_recurrent, NULL, 0},
    {"RNN", 7, mn__onnx_infer_recurrent, NULL, 0},
};

const mn__onnx_op *mn__onnx_find_op(const Onnx__NodeProto *node, uint32_t opset)
{
    const char *name = node->op_type == NULL ? "" : node->op_type;
    const char *domain = node->domain == NULL ? "" : node->domain;
    bool is_microsoft = strcmp(domain, "com.microsoft") == 0;
    if (!is_microsoft && domain[0] != '\0' && strcmp(domain, "ai.onnx") != 0)
        return NULL;
    const mn__onnx_op *found = NULL;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        bool is_here = is_microsoft == (table[i].since == MICROSOFT);
        if (is_here && (is_microsoft || table[i].since <= opset) &&
            strcmp(table[i].name, name) == 0)
            found = &table[i];
    }
    return found;
}

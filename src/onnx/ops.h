/*
 * The rules of the ops, as the table (ops.c) names them: what types an op's outputs have, and which
 * nodes it becomes. A rule that cannot know a type leaves it; the walk then looks at what the file
 * declares.
 */
#ifndef MN_ONNX_OPS_H
#define MN_ONNX_OPS_H

#include "onnx/import.h"

/* ops_conv.c */
mn_status mn__onnx_infer_conv(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_conv(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_conv_transpose(mn__onnx_call *call, mn_error *err);

/* ops_pool.c */
mn_status mn__onnx_infer_pool(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_pool(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_global_pool(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_global_average(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_reduce(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_reduce_mean(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_arg_reduce(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_top_k(mn__onnx_call *call, mn_error *err);

/* ops_dense.c */
mn_status mn__onnx_infer_dense(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_dense(mn__onnx_call *call, mn_error *err);

/* ops_pointwise.c */
mn_status mn__onnx_infer_same(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_cast(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_cast(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_broadcast(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_compare(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_test(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_where(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_relu(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_clip_attributes(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_clip(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_batch_norm(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_batch_norm(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_add(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_qlinear_binary(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_qlinear_add(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_dropout(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_rename(mn__onnx_call *call, mn_error *err);

/* ops_layout.c */
mn_status mn__onnx_infer_reshape(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_flatten(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_squeeze(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_unsqueeze(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_reshape(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_concat(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_concat(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_qlinear_concat(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_qlinear_concat(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_transpose(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_depth_to_space(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_space_to_depth(mn__onnx_call *call, mn_error *err);
/* Axis of the input that becomes axis d, for each d. MN_ERR_FORMAT. */
mn_status mn__onnx_read_permutation(const mn__onnx_call *call, uint32_t *ret_perm, mn_error *err);

/* ops_pieces.c */
mn_status mn__onnx_infer_slice(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_split(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_gather(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_like_indices(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_expand(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_expand(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_tile(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_pad(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_pad(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_resize(mn__onnx_call *call, mn_error *err);

/* ops_quant.c */
mn_status mn__onnx_infer_quantize(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_quantize(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_dequantize(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_dequantize(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_dynamic_quantize(mn__onnx_call *call, mn_error *err);

/* ops_other.c */
mn_status mn__onnx_infer_constant(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_emit_constant(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_shape(mn__onnx_call *call, mn_error *err);
/* Which dimensions a Shape yields: [from, to). */
void mn__onnx_shape_part(const mn__onnx_call *call, uint32_t *ret_from, uint32_t *ret_to);
mn_status mn__onnx_infer_constant_of_shape(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_range(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_one_hot(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_layer_norm(mn__onnx_call *call, mn_error *err);
mn_status mn__onnx_infer_recurrent(mn__onnx_call *call, mn_error *err);

#endif

/*
 * Constant tables of the exported code: one for each tensor, in the order that the kernels read.
 */
#ifndef MN_EMIT_C_TABLES_H
#define MN_EMIT_C_TABLES_H

#include "base/buffer.h"
#include "memnet/emit.h"

/* True when mn_f32_depthwise or mn_f32_depthwise_in_place runs this convolution. The planner asks
 * the same of its scratch. */
bool mn__is_depthwise(const mn_graph *graph, const mn_node *node);

/* Appends the name of a tensor's table, or "0" (a null pointer) for MN_NONE. */
void mn__table_name(const mn_graph *graph, uint32_t tensor, mn_buffer *out);

/* Appends all tables. MN_ERR_MISMATCH when tensors, graph and plan->weights_bytes do not agree;
 * MN_ERR_UNSUPPORTED for a number that is not finite. */
mn_status mn__emit_tables(const mn_emit_input *input, mn_buffer *out, mn_error *err);

#endif

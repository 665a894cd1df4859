/*
 * Constant tables of the exported code, in the order that the kernels read: in float32 one for each
 * tensor, in int8 four for each layer that computes.
 */
#ifndef MN_EMIT_C_TABLES_H
#define MN_EMIT_C_TABLES_H

#include "base/buffer.h"
#include "memnet/emit.h"

/* True when a depthwise kernel runs this convolution. The planner asks the same of its
 * scratch. */
bool mn__is_depthwise(const mn_graph *graph, const mn_node *node);

/* Appends the name of a tensor's table, or "0" (a null pointer) for MN_NONE. */
void mn__table_name(const mn_graph *graph, uint32_t tensor, mn_buffer *out);

/* Appends the name of a layer's int8 table: `member` is "weights", "bias", "multiplier" or
 * "shift". */
void mn__table_s8_name(const mn_graph *graph, uint32_t node, const char *member, mn_buffer *out);

/* Appends all tables of float32. MN_ERR_MISMATCH when tensors, graph and plan->weights_bytes do not
 * agree; MN_ERR_UNSUPPORTED for a number that is not finite. */
mn_status mn__emit_tables(const mn_emit_input *input, mn_buffer *out, mn_error *err);

/* The same of int8; `quant` has passed mn_quant_check(). */
mn_status mn__emit_tables_s8(const mn_emit_input *input, mn_buffer *out, mn_error *err);

#endif

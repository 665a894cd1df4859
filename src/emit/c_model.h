/*
 * Texts of the exported model.h, model.c and class names.
 */
#ifndef MN_EMIT_C_MODEL_H
#define MN_EMIT_C_MODEL_H

#include "base/buffer.h"
#include "memnet/emit.h"

/* What the texts need beside the input; found once by mn__interface_find(). */
typedef struct mn__interface {
    uint32_t input_node, output_node;
    size_t input_offset; /* elements from the start of the arena */
    mn_shape input_shape;
    size_t output_offset;
    uint32_t classes;
} mn__interface;

/* MN_ERR_UNSUPPORTED unless the graph has one input and one output without gaps between pixels;
 * MN_ERR_MISMATCH when the model's class names do not fit the output. */
mn_status
mn__interface_find(const mn_emit_input *input, mn__interface *ret_interface, mn_error *err);

/* In c_header.c. `id` is that of mn__emit_model_c(). */
void mn__emit_model_h(const mn_emit_input *input,
                      const mn__interface *interface,
                      uint32_t id,
                      mn_buffer *out);

/* *ret_kernels is the set of kernels in use (bits of mn__kernel), *ret_id a number that this
 * network and this plan of it have: model.c refuses the header of another. */
mn_status mn__emit_model_c(const mn_emit_input *input,
                           const mn__interface *interface,
                           mn_buffer *out,
                           uint32_t *ret_kernels,
                           uint32_t *ret_id,
                           mn_error *err);

void mn__emit_labels_h(mn_buffer *out);
void mn__emit_labels_c(const mn_model *model, mn_buffer *out);

#endif

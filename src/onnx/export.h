/*
 * What the parts of the exporter share: the export as a whole, the names of values, and the pieces
 * of a GraphProto.
 *
 *     export.c        checks, walks over the nodes, puts model and metadata around them
 *     export_nodes.c  a node of the graph -> ops
 *     export_clamp.c  activations
 *     export_quant.c  int8: grids as QuantizeLinear and DequantizeLinear, tables of integers
 *     export_parts.c  names, nodes, attributes, initializers as protobuf fields
 *
 * A value of the graph, (H,W,C), is a tensor in one of two forms: an image (1,C,H,W), or, made by a
 * fully connected layer, a vector (1,C). What reads the form that was not made asks for it, and an
 * op that moves nothing is written once.
 */
#ifndef MN_ONNX_EXPORT_H
#define MN_ONNX_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "memnet/onnx.h"

/* TensorProto.DataType */
enum { MN__ELEMENT_FLOAT = 1, MN__ELEMENT_INT8 = 3, MN__ELEMENT_INT32 = 6, MN__ELEMENT_INT64 = 7 };

/* Of a node of the graph. Longer names, and such with the mark of our own names, are refused. */
#define MN__EXPORT_NODE_NAME_MAX 200u
#define MN__EXPORT_NAME_BYTES (MN__EXPORT_NODE_NAME_MAX + 40u)
#define MN__EXPORT_MARK ':'

/* What the graph's own values are called. */
#define MN__EXPORT_INPUT "input"
#define MN__EXPORT_OUTPUT "logits"

typedef enum mn__form { MN__FORM_IMAGE, MN__FORM_VECTOR } mn__form;

typedef struct mn__export_value {
    mn__form form; /* that its node makes */
    bool has_both; /* the other one is written as well */
} mn__export_value;

typedef struct mn__export {
    const mn_onnx_export_input *input;
    uint32_t output;          /* node */
    mn__export_value *values; /* (nodes) */
    mn_buffer nodes;          /* fields of the GraphProto */
    mn_buffer initializers;   /* likewise */
} mn__export;

typedef struct mn__export_name {
    char text[MN__EXPORT_NAME_BYTES];
} mn__export_name;

/* ---- names (export_parts.c) ---------------------------------------------------------------- */

/* The value of `node` in `form`: as above for those of the graph, else the node's name,
 * and with a part where it is not the form that the node makes. */
mn__export_name mn__export_value_name(const mn__export *e, uint32_t node, mn__form form);

/* "<node>:<part>", which is the name of no other value. */
mn__export_name mn__export_part_name(const mn__export *e, uint32_t node, const char *part);

/* ---- pieces (export_parts.c) --------------------------------------------------------------- */

/* Attributes of a node, ahead of it. */
void mn__export_attribute_int(mn_buffer *attributes, const char *name, int64_t value);
void mn__export_attribute_ints(mn_buffer *attributes,
                               const char *name,
                               const int64_t *values,
                               uint32_t count);

typedef struct mn__export_op {
    const char *type;
    const char *const *inputs; /* an optional one that is left out is "" */
    uint32_t input_count;
    const char *output;    /* also the node's name */
    mn_buffer *attributes; /* emptied; NULL: none */
} mn__export_op;
void mn__export_add_op(mn__export *e, const mn__export_op *op);

/* An op of one input without attributes. */
void mn__export_add_simple(mn__export *e, const char *type, const char *from, const char *to);

typedef struct mn__export_tensor {
    const char *name;
    int32_t element;
    uint32_t rank; /* 0: a scalar */
    int64_t dims[4];
    const void *data;
    size_t bytes;
} mn__export_tensor;
void mn__export_add_tensor(mn__export *e, const mn__export_tensor *tensor);

/* ---- nodes --------------------------------------------------------------------------------- */

/* Writes the ops of one node; the first that cannot be exported is MN_ERR_UNSUPPORTED. */
mn_status mn__export_node(mn__export *e, uint32_t node, mn_error *err);

/* The value of `node` in `form`, for an op to read; written when there is none yet. */
mn__export_name mn__export_read(mn__export *e, uint32_t node, mn__form form);

/* ---- activations (export_clamp.c) ----------------------------------------------------------- */

/* Where a node's result is clamped by an op, before it is rounded to its grid, if any. */
typedef struct mn__export_bounds {
    bool has_low, has_high;
    float low, high;
} mn__export_bounds;

/* `act`: the activation of the node or its primitive. */
mn__export_bounds mn__export_bounds_of(const mn__export *e, uint32_t node, mn_act act);

/* Writes the op that clamps `from`; one of the bounds is there at least. */
void mn__export_add_clamp(mn__export *e,
                          uint32_t node,
                          const mn__export_bounds *bounds,
                          const char *from,
                          const char *to);

/* ---- int8 (export_quant.c) ------------------------------------------------------------------ */

/* MN_ERR_MISMATCH or MN_ERR_FORMAT: tables that do not belong to the graph. */
mn_status mn__export_check_quant(const mn_onnx_export_input *input, mn_error *err);

/* Weights and bias of a node, from integers to the floats `weight` and `bias`. */
mn_status mn__export_quant_tables(
    mn__export *e, uint32_t node, const char *weight, const char *bias, mn_error *err);

/* Brings the float `from` to the node's grid and back: `to`. */
void mn__export_quant_value(mn__export *e, uint32_t node, const char *from, const char *to);

#endif

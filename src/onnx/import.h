/*
 * What the parts of the importer share: the import as a whole and the node that is being read.
 *
 * The walk (import.c) goes over the nodes in the file's order. For each it finds the row of the op
 * (ops.c), asks the row's rule for the types of the outputs, tries to compute them when they are
 * small constants (fold.c), and else adds to the graph what the row's emit function says (emit.c).
 */
#ifndef MN_ONNX_IMPORT_H
#define MN_ONNX_IMPORT_H

#include "memnet/graph.h"
#include "onnx/memory.h"
#include "onnx/types.h"
#include "onnx/values.h"

typedef struct mn__onnx_call mn__onnx_call;
typedef mn_status (*mn__onnx_rule)(mn__onnx_call *call, mn_error *err);

/* A row of the table of ops. Of rows of one name the last one counts whose `since` is not above
 * the model's opset. */
typedef struct mn__onnx_op {
    const char *name;
    uint32_t since; /* opset of the default domain; MN__ONNX_MICROSOFT: an op of com.microsoft */
    mn__onnx_rule infer; /* fills the outputs' types; leaves those that it does not know */
    mn__onnx_rule emit;  /* NULL: opaque nodes */
    uint32_t parameters; /* bit i: input i says how, not what: as a constant it takes no room */
} mn__onnx_op;

#define MN__ONNX_MICROSOFT UINT32_MAX

typedef struct mn__onnx_import {
    mn__onnx_memory *memory;
    const Onnx__GraphProto *graph;
    uint32_t opset;
    uint32_t batch; /* of the activations' types; the graph is of one image */
    mn__onnx_values values;
    mn_graph_builder *builder;
    uint32_t node_count;                     /* of the builder, */
    uint32_t node_capacity, tensor_capacity; /* with its arrays as they were charged */
    uint32_t tensor_count;
    const char **names; /* hash of the nodes' names */
    uint32_t name_mask;
} mn__onnx_import;

struct mn__onnx_call {
    mn__onnx_import *import;
    const Onnx__NodeProto *node;
    const mn__onnx_op *op;
    uint32_t index;       /* of the node in the file */
    uint32_t *inputs;     /* values; MN_NONE where an optional one is left out */
    uint32_t input_count; /* trailing ones that are left out do not count */
    uint32_t *outputs;    /* values; MN_NONE where one has no name or no reader */
    mn__onnx_type *types; /* of the outputs; element type as that of input 0 to begin with */
    uint32_t output_count;
    bool is_inferred; /* the type of output 0 is by the op's rule, not as the file declares */
};

/* NULL when the input is left out. */
mn__onnx_value *mn__onnx_input(const mn__onnx_call *call, uint32_t input);

/* MN_ERR_FORMAT unless the input is there. */
mn_status mn__onnx_need_inputs(const mn__onnx_call *call, uint32_t count, mn_error *err);

/* Numbers of a small constant input; NULL with MN_OK when it is none. */
mn_status mn__onnx_input_numbers(const mn__onnx_call *call,
                                 uint32_t input,
                                 const double **ret_numbers,
                                 size_t *ret_count,
                                 mn_error *err);

/* ---- attributes (attributes.c) ------------------------------------------------------------- */

/* NULL when there is no such attribute. */
const Onnx__AttributeProto *mn__onnx_attribute(const Onnx__NodeProto *node, const char *name);
int64_t mn__onnx_int(const Onnx__NodeProto *node, const char *name, int64_t otherwise);
double mn__onnx_float(const Onnx__NodeProto *node, const char *name, double otherwise);
bool mn__onnx_string_is(const Onnx__NodeProto *node, const char *name, const char *text);
/* A list; NULL when it is absent. */
const int64_t *mn__onnx_ints(const Onnx__NodeProto *node, const char *name, size_t *ret_count);

/* An axis in [0, rank), from one that may count from the end. MN_ERR_FORMAT. */
mn_status mn__onnx_axis(int64_t axis, uint32_t rank, uint32_t *ret_axis, mn_error *err);

/* The set of axes, bit a for axis a, from an attribute of that name or a constant input of that
 * number; ret_known is false when it is an input that is not known, ret_given when there is one. */
typedef struct mn__onnx_axes {
    uint32_t set;
    uint32_t count;
    bool is_given, is_known;
} mn__onnx_axes;
mn_status mn__onnx_read_axes(const mn__onnx_call *call,
                             const char *name,
                             uint32_t input,
                             uint32_t rank,
                             mn__onnx_axes *ret_axes,
                             mn_error *err);

/* ---- adding nodes (emit.c) ----------------------------------------------------------------- */

/* Room for `capacity` names. */
mn_status mn__onnx_emit_init(mn__onnx_import *import, size_t capacity, mn_error *err);

/* True when the value's dimensions are the batch and those of an image. */
bool mn__onnx_is_per_image(const mn__onnx_import *import, const mn__onnx_type *type);

/* Shape of one image: (N,C,H,W) is (H,W,C), (N,A,B) is (1,B,A), anything else a vector.
 * MN_ERR_UNSUPPORTED when a batch above one is mixed into the other dimensions. */
mn_status mn__onnx_shape(const mn__onnx_import *import,
                         const mn__onnx_type *type,
                         mn_shape *ret_shape,
                         mn_error *err);

/* MN_ERR_UNSUPPORTED when the graph has a batch above one: for an op that reads across it. */
mn_status mn__onnx_refuse_batch(const mn__onnx_import *import, mn_error *err);

/* Adds a graph input. */
mn_status mn__onnx_add_input(mn__onnx_import *import, uint32_t value, mn_error *err);

/* Bytes of an element of an output: a float that is quantised by all who read it is written as one
 * byte. */
uint32_t mn__onnx_output_bytes(const mn__onnx_call *call, uint32_t output);

/* Adds the node of output `output`, which is read. The spec says primitive, window, channels,
 * groups, bias and constant_bytes; `from` are `count` activations. A reshape follows where the
 * primitive's shape is another one than the output's. */
mn_status mn__onnx_add(mn__onnx_call *call,
                       uint32_t output,
                       mn_node_spec *spec,
                       mn__onnx_value *const *from,
                       uint32_t count,
                       mn_error *err);

/* A node of one activation, input 0, and output 0. */
mn_status mn__onnx_add_simple(mn__onnx_call *call, mn_prim prim, mn_error *err);

/* An opaque node for each output that is read. Each reads all inputs and the outputs before it, so
 * that all of them are there with the last one, as they are when the op has run: never less memory
 * than needed. */
mn_status mn__onnx_add_opaque(mn__onnx_call *call, mn_error *err);

/* Output 0 is input 0 by another name. */
void mn__onnx_rename(mn__onnx_call *call);

/* Output 0 becomes a constant that takes the room of input 0. */
void mn__onnx_share_constant(mn__onnx_call *call);

/* Bytes of the sources of a constant that no node has taken yet. */
size_t mn__onnx_take_constant(mn__onnx_import *import, const mn__onnx_value *value);

/* The same for all constant inputs that are no parameters. */
size_t mn__onnx_take_constants(mn__onnx_call *call);

/* What a node states that has tensors of `tensor_bytes` in float32 and constants of `taken`: 0 lets
 * the planner count the tensors, and so a batch norm that is folded into them. */
size_t mn__onnx_stated_bytes(size_t taken, size_t tensor_bytes);

/* ---- the parts of the walk ----------------------------------------------------------------- */

/* NULL when there is no row. */
const mn__onnx_op *mn__onnx_find_op(const Onnx__NodeProto *node, uint32_t opset);

/* Makes output 0 a constant with numbers when the node's inputs are and its op is known to fold. */
mn_status mn__onnx_fold(mn__onnx_call *call, bool *ret_folded, mn_error *err);

/* Marks who is read, and by what; sees every node before it is added. */
void mn__onnx_find_readers(mn__onnx_import *import);

#endif

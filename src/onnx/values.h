/*
 * The values of a model by name: what a node's inputs and outputs are. A value is one that the
 * graph computes (an activation), or a constant, or not made yet.
 */
#ifndef MN_ONNX_VALUES_H
#define MN_ONNX_VALUES_H

#include "memnet/graph.h"
#include "onnx/memory.h"
#include "onnx/types.h"

#define MN__ONNX_SMALL 64 /* constants of at most so many elements are computed with */

typedef enum mn__onnx_state {
    MN__ONNX_UNSET,
    MN__ONNX_ACTIVATION,
    MN__ONNX_CONSTANT
} mn__onnx_state;

/*
 * A constant takes room at the first node that reads it. What it takes are its sources: a constant
 * of the file is its own; one that was only renamed, reshaped or dequantised has those of what it
 * was made from; one that was computed otherwise is a new table.
 */
typedef struct mn__onnx_value {
    const char *name;                /* the file's */
    const Onnx__TypeProto *declared; /* by value_info, input or output; or NULL */
    const Onnx__TensorProto *tensor; /* constants of the file; NULL else */
    const double *numbers;           /* small constants, once asked for; NULL else */
    size_t stored_bytes;             /* constants: as a source */
    mn__onnx_type type;              /* once made */
    mn__onnx_state state;
    uint32_t node;          /* activations: in the graph */
    uint32_t element_bytes; /* activations: of the node's elements, see onnx/ops_quant.c */
    uint32_t sources[3];    /* constants: values, or MN_NONE */
    bool is_counted;        /* constants: a node has taken room for it */
    bool is_output;         /* of the graph */
    bool is_read;           /* by a node that matters, or as an output */
    bool is_read_quantised; /* by QuantizeLinear, be it through ops that keep the grid */
    bool is_read_as_it_is;  /* by any other op */
} mn__onnx_value;

typedef struct mn__onnx_values {
    mn__onnx_value *items;
    uint32_t count, capacity;
    uint32_t *slots; /* hash of names; index + 1, or 0 */
    uint32_t slot_mask;
} mn__onnx_values;

/* Room for at most `capacity` values. MN_ERR_NOMEM, MN_ERR_LIMIT. */
mn_status mn__onnx_values_init(mn__onnx_values *values,
                               mn__onnx_memory *memory,
                               size_t capacity,
                               mn_error *err);

/* MN_NONE when there is no such value. */
uint32_t mn__onnx_values_find(const mn__onnx_values *values, const char *name);

/* Adds a value of that name (borrowed), or finds it; never more than the capacity. */
uint32_t mn__onnx_values_add(mn__onnx_values *values, const char *name, bool *ret_is_new);

/* Makes `value` a constant of the file. MN_ERR_FORMAT when its data do not fit its dimensions. */
mn_status mn__onnx_set_tensor(mn__onnx_values *values,
                              uint32_t value,
                              const Onnx__TensorProto *tensor,
                              mn_error *err);

/* Makes `value` a constant of which `numbers` may be NULL; it is its own source. */
void mn__onnx_set_constant(mn__onnx_values *values,
                           uint32_t value,
                           const mn__onnx_type *type,
                           const double *numbers);

/* The numbers of a small constant, rows last; NULL with MN_OK when they are not known. */
mn_status mn__onnx_numbers(mn__onnx_memory *memory,
                           mn__onnx_value *value,
                           const double **ret_numbers,
                           mn_error *err);

#endif

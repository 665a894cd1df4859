/*
 * Types of values as ONNX states them: element type and dimensions, batch included. The importer
 * walks with these; a graph's shape is made from one only when a node is added.
 */
#ifndef MN_ONNX_TYPES_H
#define MN_ONNX_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memnet/status.h"
#include "onnx.pb-c.h"

#define MN__ONNX_RANK 8             /* more dimensions are refused */
#define MN__ONNX_UNKNOWN UINT32_MAX /* a rank: the type is not known */

/* Element types by short names. */
typedef enum mn__onnx_element {
    MN__ONNX_FLOAT = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
    MN__ONNX_UINT8 = ONNX__TENSOR_PROTO__DATA_TYPE__UINT8,
    MN__ONNX_INT32 = ONNX__TENSOR_PROTO__DATA_TYPE__INT32,
    MN__ONNX_INT64 = ONNX__TENSOR_PROTO__DATA_TYPE__INT64,
    MN__ONNX_BOOL = ONNX__TENSOR_PROTO__DATA_TYPE__BOOL
} mn__onnx_element;

typedef struct mn__onnx_type {
    int32_t element; /* a TensorProto.DataType, as the file says it */
    uint32_t rank;   /* or MN__ONNX_UNKNOWN */
    uint32_t dims[MN__ONNX_RANK];
} mn__onnx_type;

/* 4 for float, 1 for bool, ...; 0 for strings and what is no type. */
uint32_t mn__onnx_element_bytes(int32_t element);
bool mn__onnx_is_integer(int32_t element);

/* Truncates towards zero; what lies outside becomes the nearest, what is no number becomes 0. */
int64_t mn__onnx_to_int(double number);

/* Product of the dimensions; types that were checked cannot overflow. */
size_t mn__onnx_elements(const mn__onnx_type *type);

/* Product of dims[from] to dims[to - 1]. */
size_t mn__onnx_product(const mn__onnx_type *type, uint32_t from, uint32_t to);

/* MN_ERR_LIMIT unless elements and bytes fit a size with room to spare. */
mn_status mn__onnx_check(const mn__onnx_type *type, mn_error *err);

bool mn__onnx_same_dims(const mn__onnx_type *a, const mn__onnx_type *b);

/* Appends a dimension; MN_ERR_LIMIT when it is negative or too large, or there are too many. */
mn_status mn__onnx_push(mn__onnx_type *type, int64_t dim, mn_error *err);

/* numpy's rule; `into` is one side and receives the result's dimensions. MN_ERR_FORMAT. */
mn_status mn__onnx_broadcast(mn__onnx_type *into, const mn__onnx_type *other, mn_error *err);

/* A file's dimensions of a constant. MN_ERR_LIMIT. */
mn_status
mn__onnx_constant_type(const Onnx__TensorProto *tensor, mn__onnx_type *ret_type, mn_error *err);

#endif

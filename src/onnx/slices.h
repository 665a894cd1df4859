/*
 * The pieces that a Slice takes: read where its type is inferred, and where it is computed.
 */
#ifndef MN_ONNX_SLICES_H
#define MN_ONNX_SLICES_H

#include "onnx/import.h"

typedef struct mn__onnx_slices {
    int64_t start[MN__ONNX_RANK], step[MN__ONNX_RANK];
    int64_t count[MN__ONNX_RANK]; /* elements taken along each axis */
    bool is_known;                /* false: a bound is no known constant */
} mn__onnx_slices;

mn_status
mn__onnx_read_slices(const mn__onnx_call *call, mn__onnx_slices *ret_slices, mn_error *err);

#endif

/*
 * Sliding windows of conv and pools over any number of spatial axes, from the attributes that all
 * of them share.
 */
#ifndef MN_ONNX_WINDOWS_H
#define MN_ONNX_WINDOWS_H

#include "onnx/import.h"

typedef struct mn__onnx_axis_window {
    int64_t kernel, stride, dilation;
    int64_t before, after; /* padding; `after` holds what ceil_mode adds, so that the rule of the
                              graph's windows, which rounds down, yields `out` */
    int64_t stated;        /* padding that the file states, both ends */
    int64_t out;
} mn__onnx_axis_window;

typedef struct mn__onnx_windows {
    uint32_t count; /* of spatial axes: H and W, or W alone */
    mn__onnx_axis_window axes[MN__ONNX_RANK];
} mn__onnx_windows;

/* Windows over dims[2..] of `input`; `kernel` (its dims[2..]) is a conv's weight, or NULL where
 * the attribute kernel_shape must say it. */
mn_status mn__onnx_read_windows(const mn__onnx_call *call,
                                const mn__onnx_type *input,
                                const mn__onnx_type *kernel,
                                mn__onnx_windows *ret_windows,
                                mn_error *err);

/* Type (N,channels,outs of the windows) with the element type that `type` has. */
mn_status mn__onnx_window_type(const mn__onnx_windows *windows,
                               uint32_t batch,
                               uint32_t channels,
                               mn__onnx_type *type,
                               mn_error *err);

/* The same as a window of the graph; of one axis as one row. */
mn_window mn__onnx_graph_window(const mn__onnx_windows *windows);

#endif

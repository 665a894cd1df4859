/*
 * Reads windows. Every number of a file is checked to be no more than 2^30 before it is computed
 * with, so that 64-bit arithmetic cannot overflow.
 */
#include "onnx/windows.h"

#include <inttypes.h>

static const int64_t max_number = (int64_t)1 << 30;

/* Number `i` of a list attribute, or `otherwise` when there is no such attribute. */
static mn_status list_number(const mn__onnx_call *call,
                             const char *name,
                             size_t i,
                             size_t length,
                             int64_t low,
                             int64_t *number,
                             mn_error *err)
{
    size_t count = 0;
    const int64_t *list = mn__onnx_ints(call->node, name, &count);
    if (list == NULL)
        return MN_OK;
    if (count != length)
        return mn_error_set(
            err, MN_ERR_FORMAT, "%s has %zu numbers, expected %zu", name, count, length);
    if (list[i] < low || list[i] > max_number)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: number %zu is %" PRId64 ": expected %" PRId64 " to %" PRId64,
                            name,
                            i,
                            list[i],
                            low,
                            max_number);
    *number = list[i];
    return MN_OK;
}

/* Padding for ceil(in / stride) outputs; the odd one goes after, or before for SAME_LOWER. */
static void pad_same(mn__onnx_axis_window *axis, int64_t in, int64_t reach, bool lower)
{
    axis->out = (in + axis->stride - 1) / axis->stride;
    int64_t pad = (axis->out - 1) * axis->stride + reach - in;
    pad = pad < 0 ? 0 : pad;
    axis->before = lower ? pad - pad / 2 : pad / 2;
    axis->after = pad - axis->before;
    axis->stated = pad;
}

static mn_status
place(const mn__onnx_call *call, mn__onnx_axis_window *axis, int64_t in, mn_error *err)
{
    int64_t reach = axis->dilation * (axis->kernel - 1) + 1;
    bool lower = mn__onnx_string_is(call->node, "auto_pad", "SAME_LOWER");
    if (lower || mn__onnx_string_is(call->node, "auto_pad", "SAME_UPPER")) {
        pad_same(axis, in, reach, lower);
        return MN_OK;
    }
    if (mn__onnx_string_is(call->node, "auto_pad", "VALID"))
        axis->before = axis->after = 0;
    axis->stated = axis->before + axis->after;
    int64_t room = in + axis->stated - reach;
    bool ceil = mn__onnx_int(call->node, "ceil_mode", 0) != 0;
    if (room < 0)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "a window of %" PRId64 " does not fit into %" PRId64,
                            reach,
                            in + axis->stated);
    axis->out = (room + (ceil ? axis->stride - 1 : 0)) / axis->stride + 1;
    int64_t beyond = (axis->out - 1) * axis->stride - room;
    axis->after += beyond > 0 ? beyond : 0;
    return MN_OK;
}

mn_status mn__onnx_read_windows(const mn__onnx_call *call,
                                const mn__onnx_type *input,
                                const mn__onnx_type *kernel,
                                mn__onnx_windows *ret_windows,
                                mn_error *err)
{
    mn__onnx_windows w = {.count = input->rank - 2};
    size_t count = 0;
    if (input->rank < 3 || (kernel != NULL && kernel->rank != input->rank))
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%u dimensions%s: expected at least 3, and a kernel of as many",
                            input->rank,
                            kernel == NULL ? "" : " and a kernel of others");
    if (kernel == NULL && mn__onnx_ints(call->node, "kernel_shape", &count) == NULL)
        return mn_error_set(err, MN_ERR_FORMAT, "no attribute kernel_shape");
    for (uint32_t a = 0; a < w.count; a++) {
        mn__onnx_axis_window *axis = &w.axes[a];
        *axis = (mn__onnx_axis_window){.kernel = 1, .stride = 1, .dilation = 1};
        if (kernel != NULL)
            axis->kernel = kernel->dims[2 + a];
        int64_t own = axis->kernel;
        mn_status status = list_number(call, "kernel_shape", a, w.count, 1, &axis->kernel, err);
        if (status == MN_OK && kernel != NULL && axis->kernel != own)
            status = mn_error_set(err,
                                  MN_ERR_FORMAT,
                                  "kernel_shape: number %u is %" PRId64 ", but the weight has "
                                  "%" PRId64,
                                  a,
                                  axis->kernel,
                                  own);
        if (status == MN_OK && (axis->kernel < 1 || axis->kernel > max_number))
            status = mn_error_set(err, MN_ERR_FORMAT, "a kernel of %" PRId64, axis->kernel);
        if (status == MN_OK)
            status = list_number(call, "strides", a, w.count, 1, &axis->stride, err);
        if (status == MN_OK)
            status = list_number(call, "dilations", a, w.count, 1, &axis->dilation, err);
        if (status == MN_OK)
            status = list_number(call, "pads", a, 2 * (size_t)w.count, 0, &axis->before, err);
        if (status == MN_OK)
            status =
                list_number(call, "pads", w.count + a, 2 * (size_t)w.count, 0, &axis->after, err);
        if (status == MN_OK)
            status = place(call, axis, input->dims[2 + a], err);
        if (status != MN_OK)
            return status;
    }
    *ret_windows = w;
    return MN_OK;
}

mn_status mn__onnx_window_type(const mn__onnx_windows *windows,
                               uint32_t batch,
                               uint32_t channels,
                               mn__onnx_type *type,
                               mn_error *err)
{
    type->rank = 0;
    mn_status status = mn__onnx_push(type, batch, err);
    if (status == MN_OK)
        status = mn__onnx_push(type, channels, err);
    for (uint32_t a = 0; a < windows->count && status == MN_OK; a++)
        status = mn__onnx_push(type, windows->axes[a].out, err);
    return status;
}

mn_window mn__onnx_graph_window(const mn__onnx_windows *windows)
{
    static const mn__onnx_axis_window one = {.kernel = 1, .stride = 1, .dilation = 1};
    const mn__onnx_axis_window *h = windows->count == 1 ? &one : &windows->axes[0];
    const mn__onnx_axis_window *w = &windows->axes[windows->count == 1 ? 0 : 1];
    return (mn_window){
        .kernel_h = (uint32_t)h->kernel,
        .kernel_w = (uint32_t)w->kernel,
        .stride_h = (uint32_t)h->stride,
        .stride_w = (uint32_t)w->stride,
        .dilation_h = (uint32_t)h->dilation,
        .dilation_w = (uint32_t)w->dilation,
        .pad_top = (uint32_t)h->before,
        .pad_left = (uint32_t)w->before,
        .pad_bottom = (uint32_t)h->after,
        .pad_right = (uint32_t)w->after,
    };
}

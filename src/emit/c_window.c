/*
 * The kernels' sliding window, as a struct to ask the kernels with and as C. Called by c_calls.
 * Invariant: what is written is what was asked.
 */
#include "emit/c_window.h"

mn_status mn__window_find(const mn_node *node,
                          const mn__place *from,
                          const mn__place *to,
                          mn_f32_window *ret_window,
                          mn_error *err)
{
    const mn_window *k = &node->window;
    uint64_t rows = (uint64_t)from->shape.h + k->pad_top + k->pad_bottom + k->stride_h;
    uint64_t columns = (uint64_t)from->shape.w + k->pad_left + k->pad_right + k->stride_w;
    uint64_t line = (uint64_t)from->shape.w * from->stride; /* at most the arena's size */
    if (rows > INT32_MAX || columns > INT32_MAX || k->dilation_h > INT32_MAX / line ||
        k->dilation_w > INT32_MAX / line)
        return mn_error_set(err,
                            MN_ERR_LIMIT,
                            "node '%s': padding, stride or dilation too large for the kernels",
                            node->name);
    *ret_window = (mn_f32_window){
        .in_h = (int32_t)from->shape.h,
        .in_w = (int32_t)from->shape.w,
        .in_c = (int32_t)from->shape.c,
        .in_stride = (int32_t)from->stride,
        .out_h = (int32_t)to->shape.h,
        .out_w = (int32_t)to->shape.w,
        .out_c = (int32_t)to->shape.c,
        .out_stride = (int32_t)to->stride,
        .kernel_h = (int32_t)k->kernel_h,
        .kernel_w = (int32_t)k->kernel_w,
        .stride_h = (int32_t)k->stride_h,
        .stride_w = (int32_t)k->stride_w,
        .dilation_h = (int32_t)k->dilation_h,
        .dilation_w = (int32_t)k->dilation_w,
        .pad_top = (int32_t)k->pad_top,
        .pad_left = (int32_t)k->pad_left,
        .groups = node->groups == 0 ? 1 : (int32_t)node->groups,
    };
    return MN_OK;
}

mn_s8_window mn__window_s8(const mn_f32_window *window)
{
    return (mn_s8_window){
        .in_h = window->in_h,
        .in_w = window->in_w,
        .in_c = window->in_c,
        .in_stride = window->in_stride,
        .out_h = window->out_h,
        .out_w = window->out_w,
        .out_c = window->out_c,
        .out_stride = window->out_stride,
        .kernel_h = window->kernel_h,
        .kernel_w = window->kernel_w,
        .stride_h = window->stride_h,
        .stride_w = window->stride_w,
        .dilation_h = window->dilation_h,
        .dilation_w = window->dilation_w,
        .pad_top = window->pad_top,
        .pad_left = window->pad_left,
        .groups = window->groups,
    };
}

void mn__window_write(const mn_f32_window *window, const char *type, mn_buffer *out)
{
    mn_buffer_printf(out, "    %s w;\n", type);
    mn_buffer_printf(out,
                     "    w.in_h = %d; w.in_w = %d; w.in_c = %d; w.in_stride = %d;\n",
                     window->in_h,
                     window->in_w,
                     window->in_c,
                     window->in_stride);
    mn_buffer_printf(out,
                     "    w.out_h = %d; w.out_w = %d; w.out_c = %d; w.out_stride = %d;\n",
                     window->out_h,
                     window->out_w,
                     window->out_c,
                     window->out_stride);
    mn_buffer_printf(out,
                     "    w.kernel_h = %d; w.kernel_w = %d; w.stride_h = %d; w.stride_w = %d;\n",
                     window->kernel_h,
                     window->kernel_w,
                     window->stride_h,
                     window->stride_w);
    mn_buffer_printf(out,
                     "    w.dilation_h = %d; w.dilation_w = %d; w.pad_top = %d; w.pad_left = %d;\n",
                     window->dilation_h,
                     window->dilation_w,
                     window->pad_top,
                     window->pad_left);
    mn_buffer_printf(out, "    w.groups = %d;", window->groups);
}

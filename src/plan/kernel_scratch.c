/*
 * Asks the kernels of either precision for scratch, with dense strides: it follows from shapes.
 */
#include "plan/kernel_scratch.h"

#include "kernels/mn_f32.h"
#include "kernels/mn_s8.h"
#include "plan/kernel_needs.h"

static mn_f32_window float_window(const mn_node *node, mn_shape in)
{
    const mn_window *w = &node->window;
    return (mn_f32_window){
        .in_h = (int32_t)in.h,
        .in_w = (int32_t)in.w,
        .in_c = (int32_t)in.c,
        .in_stride = (int32_t)in.c,
        .out_h = (int32_t)node->shape.h,
        .out_w = (int32_t)node->shape.w,
        .out_c = (int32_t)node->shape.c,
        .out_stride = (int32_t)node->shape.c,
        .kernel_h = (int32_t)w->kernel_h,
        .kernel_w = (int32_t)w->kernel_w,
        .stride_h = (int32_t)w->stride_h,
        .stride_w = (int32_t)w->stride_w,
        .dilation_h = (int32_t)w->dilation_h,
        .dilation_w = (int32_t)w->dilation_w,
        .pad_top = (int32_t)w->pad_top,
        .pad_left = (int32_t)w->pad_left,
        .groups = (int32_t)node->groups,
    };
}

static mn_s8_window int8_window(const mn_node *node, mn_shape in)
{
    const mn_window *w = &node->window;
    return (mn_s8_window){
        .in_h = (int32_t)in.h,
        .in_w = (int32_t)in.w,
        .in_c = (int32_t)in.c,
        .in_stride = (int32_t)in.c,
        .out_h = (int32_t)node->shape.h,
        .out_w = (int32_t)node->shape.w,
        .out_c = (int32_t)node->shape.c,
        .out_stride = (int32_t)node->shape.c,
        .kernel_h = (int32_t)w->kernel_h,
        .kernel_w = (int32_t)w->kernel_w,
        .stride_h = (int32_t)w->stride_h,
        .stride_w = (int32_t)w->stride_w,
        .dilation_h = (int32_t)w->dilation_h,
        .dilation_w = (int32_t)w->dilation_w,
        .pad_top = (int32_t)w->pad_top,
        .pad_left = (int32_t)w->pad_left,
        .groups = (int32_t)node->groups,
        .low = INT8_MIN,
        .high = INT8_MAX,
    };
}

void mn__conv_scratch(const mn_node *node,
                      mn_shape in,
                      mn_precision precision,
                      size_t *ret_scratch_bytes,
                      size_t *ret_in_place_bytes)
{
    bool depthwise = node->groups == in.c && node->shape.c == in.c;
    int32_t bytes = 0;
    int32_t in_place = -1;
    if (precision == MN_PRECISION_INT8) {
        mn_s8_window window = int8_window(node, in);
        bytes =
            depthwise ? mn_s8_depthwise_scratch_bytes(&window) : mn_s8_conv_scratch_bytes(&window);
        in_place = depthwise ? mn_s8_depthwise_in_place_scratch_bytes(&window) : -1;
    } else {
        mn_f32_window window = float_window(node, in);
        bytes = depthwise ? mn_f32_depthwise_scratch_bytes(&window)
                          : mn_f32_conv_scratch_bytes(&window);
        in_place = depthwise ? mn_f32_depthwise_in_place_scratch_bytes(&window) : -1;
    }
    *ret_scratch_bytes = bytes > 0 ? (size_t)bytes : 0;
    *ret_in_place_bytes = in_place >= 0 ? (size_t)in_place : MN__NOT_IN_PLACE;
}

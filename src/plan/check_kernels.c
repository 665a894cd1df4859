/*
 * What each kernel demands of its places: input and output share no byte (or, element by element,
 * all of them), and scratch is large enough and touches nothing that is needed.
 */
#include "plan/check.h"

#include "kernels/mn_f32.h"
#include "kernels/mn_s8.h"

static int32_t float_scratch(const mn__checker *c, uint32_t n, bool in_place)
{
    const mn_node *node = mn__check_node(c, n);
    mn_shape in = mn__check_node(c, node->inputs[0])->shape;
    mn_f32_window w = {
        .in_h = (int32_t)in.h,
        .in_w = (int32_t)in.w,
        .in_c = (int32_t)in.c,
        .in_stride = (int32_t)c->plan->views[node->inputs[0]].pixel_stride,
        .out_h = (int32_t)node->shape.h,
        .out_w = (int32_t)node->shape.w,
        .out_c = (int32_t)node->shape.c,
        .out_stride = (int32_t)c->plan->views[n].pixel_stride,
        .kernel_h = (int32_t)node->window.kernel_h,
        .kernel_w = (int32_t)node->window.kernel_w,
        .stride_h = (int32_t)node->window.stride_h,
        .stride_w = (int32_t)node->window.stride_w,
        .dilation_h = (int32_t)node->window.dilation_h,
        .dilation_w = (int32_t)node->window.dilation_w,
        .pad_top = (int32_t)node->window.pad_top,
        .pad_left = (int32_t)node->window.pad_left,
        .groups = (int32_t)node->groups,
    };
    bool depthwise = node->groups == in.c && node->shape.c == in.c;
    return in_place    ? mn_f32_depthwise_in_place_scratch_bytes(&w)
           : depthwise ? mn_f32_depthwise_scratch_bytes(&w)
                       : mn_f32_conv_scratch_bytes(&w);
}

static int32_t int8_scratch(const mn__checker *c, uint32_t n, bool in_place)
{
    const mn_node *node = mn__check_node(c, n);
    mn_shape in = mn__check_node(c, node->inputs[0])->shape;
    mn_s8_window w = {
        .in_h = (int32_t)in.h,
        .in_w = (int32_t)in.w,
        .in_c = (int32_t)in.c,
        .in_stride = (int32_t)c->plan->views[node->inputs[0]].pixel_stride,
        .out_h = (int32_t)node->shape.h,
        .out_w = (int32_t)node->shape.w,
        .out_c = (int32_t)node->shape.c,
        .out_stride = (int32_t)c->plan->views[n].pixel_stride,
        .kernel_h = (int32_t)node->window.kernel_h,
        .kernel_w = (int32_t)node->window.kernel_w,
        .stride_h = (int32_t)node->window.stride_h,
        .stride_w = (int32_t)node->window.stride_w,
        .dilation_h = (int32_t)node->window.dilation_h,
        .dilation_w = (int32_t)node->window.dilation_w,
        .pad_top = (int32_t)node->window.pad_top,
        .pad_left = (int32_t)node->window.pad_left,
        .groups = (int32_t)node->groups,
    };
    bool depthwise = node->groups == in.c && node->shape.c == in.c;
    return in_place    ? mn_s8_depthwise_in_place_scratch_bytes(&w)
           : depthwise ? mn_s8_depthwise_scratch_bytes(&w)
                       : mn_s8_conv_scratch_bytes(&w);
}

static size_t scratch_needed(const mn__checker *c, uint32_t n, bool in_place)
{
    if (mn__check_node(c, n)->prim != MN_PRIM_CONV)
        return 0;
    bool is_int8 = c->plan->precision == MN_PRECISION_INT8;
    int32_t bytes = is_int8 ? int8_scratch(c, n, in_place) : float_scratch(c, n, in_place);
    if (bytes < 0) /* the kernel refuses: no scratch is large enough */
        return SIZE_MAX;
    return in_place && !is_int8 ? (size_t)bytes / sizeof(float) * mn__check_region(c, n).element
                                : (size_t)bytes;
}

static mn_status check_scratch(const mn__checker *c, uint32_t t)
{
    uint32_t n = c->plan->steps[t].node;
    uint32_t scratch = c->plan->steps[t].scratch;
    size_t needed = scratch_needed(c, n, c->plan->steps[t].in_place);
    if (scratch == MN_NONE)
        return needed == 0 ? MN_OK : mn__check_wrong(c, n, "has no scratch");
    if (scratch >= c->plan->buffer_count || c->plan->buffers[scratch].bytes < needed)
        return mn__check_wrong(c, n, "its scratch is too small");
    const mn_plan_buffer *b = &c->plan->buffers[scratch];
    if (b->first_step > t || b->last_step < t)
        return mn__check_wrong(c, n, "its scratch is not alive");
    for (uint32_t i = 0; i < c->piece_count; i++) {
        const mn__piece *p = &c->pieces[i];
        if (p->written <= t + 1 && t + 1 <= p->last_read &&
            mn__check_first_byte(c, &p->region) < b->offset + b->bytes &&
            b->offset < mn__check_byte_after(c, &p->region))
            return mn__check_wrong(c, n, "its scratch lies on a value that is needed");
    }
    return MN_OK;
}

/* Input and output of a kernel share no byte, or all of them where the kernel can. */
mn_status mn__check_kernels(const mn__checker *c)
{
    for (uint32_t t = 0; t < c->plan->step_count; t++) {
        uint32_t n = c->plan->steps[t].node;
        const mn_node *node = mn__check_node(c, n);
        mn__region out = mn__check_region(c, n);
        bool in_place = false;
        for (uint32_t i = 0; node->prim != MN_PRIM_CONCAT && i < node->input_count; i++) {
            mn__region in = mn__check_region(c, node->inputs[i]);
            if (mn__check_may_be_in_place(c, n, node->inputs[i]) && mn__check_same_place(&in, &out))
                in_place = true;
            else if (mn__check_overlap(c, &in, &out))
                return mn__check_wrong(c, n, "its result overlaps an input");
        }
        if (in_place != c->plan->steps[t].in_place)
            return mn__check_wrong(c, n, "in_place tells otherwise than the views");
        mn_status status = check_scratch(c, t);
        if (status != MN_OK)
            return status;
    }
    return MN_OK;
}

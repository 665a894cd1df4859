/*
 * What the float32 and the int8 run have in common: where the plan puts values, and which tables
 * the kernels read in which order.
 */
#ifndef MN_QUANT_NETWORK_H
#define MN_QUANT_NETWORK_H

#include "memnet/plan.h"
#include "memnet/quant.h"

/* A value in the arena, in elements of `element` bytes. */
typedef struct mn__spot {
    size_t offset;
    int32_t stride;
} mn__spot;

/* Plans were checked: buffers are aligned to 16, and all lies inside the arena. */
static inline mn__spot mn__spot_of(const mn_plan *plan, uint32_t node, size_t element)
{
    const mn_view *view = &plan->views[node];
    return (mn__spot){
        .offset = plan->buffers[view->buffer].offset / element + view->channel_offset,
        .stride = (int32_t)view->pixel_stride,
    };
}

static inline uint32_t mn__pixels_of(const mn_node *node)
{
    return node->shape.h * node->shape.w;
}

/* Whether a part of a concat lies in its slice, which begins at `slice`. */
static inline bool
mn__is_in_slice(mn__spot from, size_t slice, int32_t concat_stride, uint32_t pixels)
{
    return from.offset == slice && (from.stride == concat_stride || pixels == 1);
}

/* Where weight k of filter o, in the kernels' order (KH,KW,I) or (H,W,C), stands in the tensor of
 * the graph, (O,I,KH,KW) or (O,C,H,W). */
static inline size_t
mn__weight_source(const mn_tensor_info *info, mn_quant_sizes sizes, uint32_t o, size_t k)
{
    size_t taps = (size_t)info->dims[2] * info->dims[3];
    size_t inputs = info->dims[1];
    return o * sizes.filter + k % inputs * taps + k / inputs;
}

/* Where it stands in the kernels' table. */
static inline size_t mn__weight_at(mn_quant_sizes sizes, uint32_t o, size_t k)
{
    return sizes.is_depthwise ? k * sizes.outputs + o : o * sizes.filter + k;
}

/* Input and output of a graph that has one of each; MN_ERR_UNSUPPORTED otherwise. */
mn_status
mn__find_ends(const mn_graph *graph, uint32_t *ret_input, uint32_t *ret_output, mn_error *err);

#endif

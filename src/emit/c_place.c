/*
 * Places in the arena, from the plan. Called by c_calls and c_model. Invariant: whatever is found
 * lies inside its buffer and the arena.
 */
#include "emit/c_place.h"

#include "base/size.h"

/* Of scratch: the largest elements that kernels keep in it. */
enum { SCRATCH_ALIGN = 4 };

size_t mn__element_bytes(const mn_plan *plan)
{
    return plan->precision == MN_PRECISION_INT8 ? sizeof(int8_t) : sizeof(float);
}

mn_status
mn__place_find(const mn_emit_input *input, uint32_t node, mn__place *ret_place, mn_error *err)
{
    const mn_plan *plan = input->plan;
    const mn_view *view = &plan->views[node];
    const mn_node *info = mn_graph_node(input->graph, node);
    size_t pixels = (size_t)info->shape.h * info->shape.w;
    size_t element = mn__element_bytes(plan);
    size_t end = 0;
    if (view->buffer >= plan->buffer_count)
        return mn_error_set(
            err, MN_ERR_INTERNAL, "node '%s': the plan gives its value no place", info->name);
    const mn_plan_buffer *buffer = &plan->buffers[view->buffer];
    /* end = elements from the buffer's start to the value's end */
    if (view->pixel_stride < info->shape.c || buffer->offset % element != 0 ||
        !mn_size_mul(pixels - 1, view->pixel_stride, &end) ||
        !mn_size_add(end, (size_t)view->channel_offset + info->shape.c, &end) ||
        end > buffer->bytes / element || buffer->offset > plan->arena_bytes ||
        end > (plan->arena_bytes - buffer->offset) / element)
        return mn_error_set(err,
                            MN_ERR_INTERNAL,
                            "node '%s': its value does not fit into buffer %u of the plan",
                            info->name,
                            view->buffer);
    *ret_place = (mn__place){
        .node = node,
        .offset = buffer->offset / element + view->channel_offset,
        .stride = view->pixel_stride,
        .shape = info->shape,
    };
    return MN_OK;
}

mn_status mn__scratch_find(
    const mn_emit_input *input, uint32_t step, size_t bytes, size_t *ret_offset, mn_error *err)
{
    const mn_plan *plan = input->plan;
    const char *name = mn_graph_node(input->graph, plan->steps[step].node)->name;
    uint32_t index = plan->steps[step].scratch;
    if (index == MN_NONE && bytes == 0) {
        *ret_offset = 0;
        return MN_OK;
    }
    if (index >= plan->buffer_count)
        return mn_error_set(err,
                            MN_ERR_INTERNAL,
                            "node '%s': the plan gives it no scratch, expected %zu bytes",
                            name,
                            bytes);
    const mn_plan_buffer *buffer = &plan->buffers[index];
    if (buffer->bytes < bytes || buffer->offset % SCRATCH_ALIGN != 0 ||
        buffer->offset > plan->arena_bytes || bytes > plan->arena_bytes - buffer->offset)
        return mn_error_set(err,
                            MN_ERR_INTERNAL,
                            "node '%s': its scratch of %zu bytes does not fit into buffer %u of "
                            "the plan",
                            name,
                            bytes,
                            index);
    *ret_offset = buffer->offset / mn__element_bytes(plan);
    return MN_OK;
}

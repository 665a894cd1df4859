/*
 * Where values lie in the arena and which of them meet; for the checker alone, so that a mistake
 * here is not the planner's too.
 */
#include "plan/check.h"

const mn_node *mn__check_node(const mn__checker *c, uint32_t n)
{
    return mn_graph_node(c->graph, n);
}

mn_status mn__check_wrong(const mn__checker *c, uint32_t n, const char *what)
{
    return mn_error_set(
        c->err, MN_ERR_INTERNAL, "plan: node %u '%s': %s", n, mn__check_node(c, n)->name, what);
}

static uint64_t pixels(mn_shape shape)
{
    return (uint64_t)shape.h * shape.w;
}

/* With one pixel the stride says nothing. */
bool mn__check_same_place(mn_view a, mn_view b, mn_shape shape)
{
    return a.buffer == b.buffer && a.channel_offset == b.channel_offset &&
           (pixels(shape) == 1 || a.pixel_stride == b.pixel_stride);
}

bool mn__check_is_dense(mn_view view, mn_shape shape)
{
    return pixels(shape) == 1 || view.pixel_stride == shape.c;
}

bool mn__check_is_elementwise(mn_prim prim)
{
    return prim == MN_PRIM_ADD || prim == MN_PRIM_RELU || prim == MN_PRIM_RELU6;
}

uint64_t mn__check_extent(mn_view view, mn_shape shape)
{
    return view.channel_offset + (pixels(shape) - 1) * view.pixel_stride + shape.c;
}

uint64_t mn__check_first_byte(const mn__checker *c, mn_view view)
{
    return c->plan->buffers[view.buffer].offset + sizeof(float) * (uint64_t)view.channel_offset;
}

uint64_t mn__check_byte_after(const mn__checker *c, mn_view view, mn_shape shape)
{
    return c->plan->buffers[view.buffer].offset + sizeof(float) * mn__check_extent(view, shape);
}

/* Exact for views of equal stride; others overlap as soon as their outer ranges do. */
bool mn__check_overlap(const mn__checker *c, mn_view a, mn_shape of_a, mn_view b, mn_shape of_b)
{
    uint64_t from_a = mn__check_first_byte(c, a);
    uint64_t from_b = mn__check_first_byte(c, b);
    if (from_b >= mn__check_byte_after(c, a, of_a) || from_a >= mn__check_byte_after(c, b, of_b))
        return false;
    if (pixels(of_a) == 1 || pixels(of_b) == 1 || a.pixel_stride != b.pixel_stride)
        return true;
    /* The later one begins in some pixel of the earlier one: in that one's channels, or so late
     * that it runs into the next pixel. */
    uint64_t stride = sizeof(float) * (uint64_t)a.pixel_stride;
    uint64_t at = (from_a < from_b ? from_b - from_a : from_a - from_b) % stride;
    uint64_t width_early = sizeof(float) * (uint64_t)(from_a < from_b ? of_a.c : of_b.c);
    uint64_t width_late = sizeof(float) * (uint64_t)(from_a < from_b ? of_b.c : of_a.c);
    return at < width_early || at + width_late > stride;
}

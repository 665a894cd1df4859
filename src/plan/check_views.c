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

static uint64_t pixels(const mn__region *r)
{
    return (uint64_t)r->shape.h * r->shape.w;
}

mn__region mn__check_region(const mn__checker *c, uint32_t n)
{
    const mn_node *node = mn__check_node(c, n);
    uint64_t plain = c->plan->precision == MN_PRECISION_INT8 ? 1 : sizeof(float);
    return (mn__region){.view = c->plan->views[n],
                        .shape = node->shape,
                        .element = node->element_bytes > 0 ? node->element_bytes : plain};
}

/* With one pixel the stride says nothing. */
bool mn__check_same_place(const mn__region *a, const mn__region *b)
{
    return a->view.buffer == b->view.buffer && a->view.channel_offset == b->view.channel_offset &&
           a->element == b->element &&
           (pixels(a) == 1 || a->view.pixel_stride == b->view.pixel_stride);
}

bool mn__check_is_dense(const mn__region *r)
{
    return pixels(r) == 1 || r->view.pixel_stride == r->shape.c;
}

/* Element by element, or row by row where a ring of rows keeps what is still read. */
bool mn__check_may_be_in_place(const mn__checker *c, uint32_t n, uint32_t x)
{
    const mn_node *node = mn__check_node(c, n);
    mn__region from = mn__check_region(c, x);
    mn__region to = mn__check_region(c, n);
    if (!mn_shape_equal(from.shape, to.shape) || from.element != to.element)
        return false;
    return node->prim == MN_PRIM_ADD || node->prim == MN_PRIM_RELU || node->prim == MN_PRIM_RELU6 ||
           (node->prim == MN_PRIM_CONV && node->groups == node->shape.c &&
            node->window.stride_h == 1 && node->window.stride_w == 1);
}

uint64_t mn__check_extent(const mn__region *r)
{
    return r->view.channel_offset + (pixels(r) - 1) * r->view.pixel_stride + r->shape.c;
}

uint64_t mn__check_first_byte(const mn__checker *c, const mn__region *r)
{
    return c->plan->buffers[r->view.buffer].offset + r->element * r->view.channel_offset;
}

uint64_t mn__check_byte_after(const mn__checker *c, const mn__region *r)
{
    return c->plan->buffers[r->view.buffer].offset + r->element * mn__check_extent(r);
}

/* Exact for views of equal stride; others overlap as soon as their outer ranges do. */
bool mn__check_overlap(const mn__checker *c, const mn__region *a, const mn__region *b)
{
    uint64_t from_a = mn__check_first_byte(c, a);
    uint64_t from_b = mn__check_first_byte(c, b);
    if (from_b >= mn__check_byte_after(c, a) || from_a >= mn__check_byte_after(c, b))
        return false;
    uint64_t stride = a->element * a->view.pixel_stride;
    if (pixels(a) == 1 || pixels(b) == 1 || stride != b->element * b->view.pixel_stride)
        return true;
    /* The later one begins in some pixel of the earlier one: in that one's channels, or so late
     * that it runs into the next pixel. */
    const mn__region *early = from_a < from_b ? a : b;
    const mn__region *late = from_a < from_b ? b : a;
    uint64_t at = (from_a < from_b ? from_b - from_a : from_a - from_b) % stride;
    return at < early->element * early->shape.c || at + late->element * late->shape.c > stride;
}

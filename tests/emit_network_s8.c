/* The network of emit_network.c in int8: numbers made at random on grids that agree, its plan, and
 * a plain evaluation by the formulas at the head of kernels/mn_s8.h. */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "emit/c_window.h"
#include "emit_network.h"

/* ---- numbers -------------------------------------------------------------------------------- */

static double uniform(mn_random *random, double low, double high)
{
    return low + (high - low) * mn_random_below(random, 1000000) / 1e6;
}

static void fill_values(network *n, mn_random *random)
{
    uint32_t nodes = mn_graph_node_count(n->graph);
    uint32_t *classes = calloc(nodes, sizeof *classes);
    assert_non_null(classes);
    mn_quant_classes(n->graph, classes);
    for (uint32_t i = 0; i < nodes; i++) {
        mn_quant_value *value = &n->quant->values[i];
        *value = n->quant->values[classes[i]];
        if (classes[i] == i)
            *value = (mn_quant_value){.scale = (float)uniform(random, 0.02, 0.06),
                                      .zero_point = (int32_t)mn_random_below(random, 101) - 50};
    }
    n->quant->values[0] = (mn_quant_value){.scale = NET_SCALE, .zero_point = (int)NET_MEAN - 128};
    free(classes);
}

/* Factors that bring sums of `terms` random products to about the range of int8. */
static void fill_layer(network *n, uint32_t node, mn_random *random)
{
    mn_error err;
    mn_quant_sizes sizes = mn_quant_sizes_of(n->graph, node);
    mn_quant_node *numbers = &n->quant->nodes[node];
    for (size_t k = 0; k < sizes.outputs * sizes.filter; k++)
        numbers->weights[k] = (int8_t)((int)mn_random_below(random, 255) - 127);
    for (uint32_t o = 0; o < sizes.outputs; o++) {
        double real = uniform(random, 0.5, 2.0) / (80.0 * sqrt((double)sizes.filter));
        int32_t shift = 0;
        numbers->bias[o] = (int32_t)mn_random_below(random, 8001) - 4000;
        numbers->weight_scale[o] = 0.01f;
        assert_ok(mn_quant_factor(real, &numbers->multiplier[o], &shift, &err), &err);
        numbers->shift[o] = (int8_t)shift;
    }
}

static void fill_clamp(network *n, uint32_t node)
{
    const mn_node *info = mn_graph_node(n->graph, node);
    mn_quant_node *numbers = &n->quant->nodes[node];
    const mn_quant_value *value = &n->quant->values[node];
    bool relu6 = info->act == MN_ACT_RELU6 || info->prim == MN_PRIM_RELU6;
    bool relu = relu6 || info->act == MN_ACT_RELU || info->prim == MN_PRIM_RELU;
    int32_t six = value->zero_point + (int32_t)lround(6.0 / (double)value->scale);
    numbers->low = relu ? value->zero_point : -128;
    numbers->high = relu6 && six < 127 ? six : 127;
}

static void fill_node(network *n, uint32_t node, mn_random *random)
{
    mn_error err;
    const mn_node *info = mn_graph_node(n->graph, node);
    mn_quant_node *numbers = &n->quant->nodes[node];
    fill_layer(n, node, random);
    fill_clamp(n, node);
    if (info->prim == MN_PRIM_ADD) {
        numbers->add_a = (1 << 21) + (int32_t)mn_random_below(random, 1 << 21);
        numbers->add_b = (int32_t)mn_random_below(random, 1 << 22);
        numbers->add_shift = 22;
    }
    if (info->prim == MN_PRIM_GLOBAL_POOL) {
        mn_shape in = mn_graph_node(n->graph, info->inputs[0])->shape;
        double real = uniform(random, 1.0, 3.0) / (in.h * in.w);
        assert_ok(mn_quant_factor(real, &numbers->factor, &numbers->factor_shift, &err), &err);
    }
}

/* ---- plan ----------------------------------------------------------------------------------- */

static uint32_t scratch_bytes(const network *n, const mn_step *step)
{
    mn_error err;
    const mn_node *node = mn_graph_node(n->graph, step->node);
    const mn_node *input = mn_graph_node(n->graph, node->inputs[0]);
    mn__place from = {.stride = input->shape.c, .shape = input->shape};
    mn__place to = {.stride = node->shape.c, .shape = node->shape};
    mn_f32_window geometry;
    if (node->prim != MN_PRIM_CONV)
        return 0;
    assert_ok(mn__window_find(node, &from, &to, &geometry, &err), &err);
    mn_s8_window window = mn__window_s8(&geometry);
    int32_t bytes = step->in_place ? mn_s8_depthwise_in_place_scratch_bytes(&window)
                    : node->groups == input->shape.c && node->shape.c == input->shape.c
                        ? mn_s8_depthwise_scratch_bytes(&window)
                        : mn_s8_conv_scratch_bytes(&window);
    assert_true(bytes >= 0);
    return (uint32_t)bytes;
}

/* The same slices and results in place; buffers of bytes, and scratch for each step that wants it.
 */
static void plan_int8(network *n)
{
    mn_plan *plan = &n->plan;
    uint32_t nodes = plan->value_count;
    plan->precision = MN_PRECISION_INT8;
    plan->buffers = realloc(plan->buffers, (nodes + plan->step_count) * sizeof *plan->buffers);
    assert_non_null(plan->buffers);
    plan->buffer_count = nodes;
    plan->arena_bytes = 0;
    plan->weights_bytes = 0;
    for (uint32_t b = 0; b < nodes; b++)
        plan->buffers[b].bytes =
            (mn_shape_elements(mn_graph_node(n->graph, b)->shape) + 15) / 16 * 16;
    for (uint32_t s = 0; s < plan->step_count; s++) {
        size_t bytes = scratch_bytes(n, &plan->steps[s]);
        plan->steps[s].scratch = bytes == 0 ? MN_NONE : plan->buffer_count;
        if (bytes > 0)
            plan->buffers[plan->buffer_count++] = (mn_plan_buffer){.bytes = (bytes + 15) / 16 * 16};
    }
    for (uint32_t b = 0; b < plan->buffer_count; b++) {
        plan->buffers[b].offset = plan->arena_bytes;
        plan->arena_bytes += plan->buffers[b].bytes;
    }
    for (uint32_t i = 0; i < nodes; i++) {
        mn_quant_sizes sizes = mn_quant_sizes_of(n->graph, i);
        plan->weights_bytes += sizes.outputs * (sizes.filter + 9);
    }
}

void network_quantise(network *n, uint64_t seed)
{
    mn_error err;
    mn_random random = mn_random_make(seed, 1);
    assert_ok(mn_quant_create(n->graph, &n->quant, &err), &err);
    fill_values(n, &random);
    for (uint32_t i = 0; i < mn_graph_node_count(n->graph); i++)
        fill_node(n, i, &random);
    plan_int8(n);
    assert_ok(mn_quant_check(n->graph, n->quant, &err), &err);
}

/* ---- plain evaluation ----------------------------------------------------------------------- */

typedef struct evaluation {
    const network *net;
    const mn_node *node;
    const mn_quant_node *numbers;
    uint32_t index; /* of the node */
    int8_t *const *values;
} evaluation;

static int64_t shifted(int64_t product, int32_t shift)
{
    return (product + (INT64_C(1) << (shift - 1))) >> shift;
}

static int32_t zero_of(const evaluation *e, uint32_t node)
{
    return e->net->quant->values[node].zero_point;
}

/* Element of input `i` less its zero point. */
static int64_t real_at(const evaluation *e, uint32_t i, uint32_t y, uint32_t x, uint32_t c)
{
    mn_shape in = mn_graph_node(e->net->graph, e->node->inputs[i])->shape;
    return e->values[e->node->inputs[i]][((size_t)y * in.w + x) * in.c + c] -
           zero_of(e, e->node->inputs[i]);
}

/* Convolution or pool at (y,x,o), before clamping. */
static int64_t window_at(const evaluation *e, uint32_t y, uint32_t x, uint32_t o)
{
    const mn_window *k = &e->node->window;
    mn_shape in = mn_graph_node(e->net->graph, e->node->inputs[0])->shape;
    mn_quant_sizes sizes = mn_quant_sizes_of(e->net->graph, e->index);
    bool conv = e->node->prim == MN_PRIM_CONV;
    uint32_t inputs = conv ? in.c / e->node->groups : 1;
    uint32_t first = conv ? o / (e->node->shape.c / e->node->groups) * inputs : o;
    int64_t sum = 0, most = INT64_MIN, count = 0;
    for (uint32_t ky = 0; ky < k->kernel_h; ky++)
        for (uint32_t kx = 0; kx < k->kernel_w; kx++)
            for (uint32_t i = 0; i < inputs; i++) {
                int64_t row = (int64_t)y * k->stride_h + ky * k->dilation_h - k->pad_top;
                int64_t column = (int64_t)x * k->stride_w + kx * k->dilation_w - k->pad_left;
                if (row < 0 || column < 0 || row >= in.h || column >= in.w)
                    continue;
                int64_t v = real_at(e, 0, (uint32_t)row, (uint32_t)column, first + i);
                size_t tap = (size_t)ky * k->kernel_w + kx;
                size_t at = sizes.is_depthwise ? tap * sizes.outputs + o
                                               : o * sizes.filter + tap * inputs + i;
                sum += conv ? v * e->numbers->weights[at] : v;
                most = v > most ? v : most;
                count++;
            }
    int32_t zero = zero_of(e, e->index);
    if (conv)
        return zero + shifted((sum + e->numbers->bias[o]) * e->numbers->multiplier[o],
                              e->numbers->shift[o]);
    if (e->node->prim == MN_PRIM_MAX_POOL)
        return zero + most;
    return zero + (int64_t)floor((double)sum / (double)count + 0.5); /* exact: small integers */
}

static int64_t whole_at(const evaluation *e, uint32_t o)
{
    mn_shape in = mn_graph_node(e->net->graph, e->node->inputs[0])->shape;
    bool full = e->node->prim == MN_PRIM_FULLY_CONNECTED;
    size_t filter = mn_shape_elements(in);
    int64_t sum = full ? e->numbers->bias[o] : 0;
    for (size_t k = 0; k < filter; k++) {
        uint32_t c = (uint32_t)(k % in.c);
        uint32_t x = (uint32_t)(k / in.c % in.w);
        int64_t v = real_at(e, 0, (uint32_t)(k / in.c / in.w), x, c);
        sum += full ? v * e->numbers->weights[o * filter + k] : c == o ? v : 0;
    }
    return zero_of(e, e->index) +
           (full ? shifted(sum * e->numbers->multiplier[o], e->numbers->shift[o])
                 : shifted(sum * e->numbers->factor, e->numbers->factor_shift));
}

/* Element of input `i` on the grid of the result. */
static int64_t copied_at(const evaluation *e, uint32_t i, uint32_t y, uint32_t x, uint32_t c)
{
    mn_error err;
    const mn_quant_value *values = e->net->quant->values;
    bool same = false;
    int32_t multiplier = 0, shift = 0;
    assert_ok(mn_quant_copy_factor(
                  &values[e->node->inputs[i]], &values[e->index], &same, &multiplier, &shift, &err),
              &err);
    int64_t v = real_at(e, i, y, x, c);
    return zero_of(e, e->index) + (same ? v : shifted(v * multiplier, shift));
}

static int64_t concat_at(const evaluation *e, uint32_t y, uint32_t x, uint32_t c)
{
    uint32_t i = 0;
    for (;; i++) {
        uint32_t channels = mn_graph_node(e->net->graph, e->node->inputs[i])->shape.c;
        if (c < channels)
            return copied_at(e, i, y, x, c);
        c -= channels;
    }
}

static int64_t element_at(const evaluation *e, uint32_t y, uint32_t x, uint32_t c)
{
    switch ((int)e->node->prim) {
    case MN_PRIM_CONV:
    case MN_PRIM_MAX_POOL:
    case MN_PRIM_AVG_POOL:
        return window_at(e, y, x, c);
    case MN_PRIM_GLOBAL_POOL:
    case MN_PRIM_FULLY_CONNECTED:
        return whole_at(e, c);
    case MN_PRIM_ADD:
        return zero_of(e, e->index) + shifted(real_at(e, 0, y, x, c) * e->numbers->add_a +
                                                  real_at(e, 1, y, x, c) * e->numbers->add_b,
                                              e->numbers->add_shift);
    case MN_PRIM_CONCAT:
        return concat_at(e, y, x, c);
    case MN_PRIM_RELU:
    case MN_PRIM_RELU6:
        return copied_at(e, 0, y, x, c);
    case MN_PRIM_RESHAPE: /* to one pixel, on the same grid */
        return e->values[e->node->inputs[0]][c];
    }
    fail_msg("no reference for %s", mn_prim_name(e->node->prim));
    return 0;
}

void network_run_s8(const network *n, const int8_t *image, int8_t *ret_values[])
{
    for (uint32_t i = 0; i < mn_graph_node_count(n->graph); i++) {
        evaluation e = {.net = n,
                        .node = mn_graph_node(n->graph, i),
                        .numbers = &n->quant->nodes[i],
                        .index = i,
                        .values = ret_values};
        size_t count = mn_shape_elements(e.node->shape);
        ret_values[i] = calloc(count, 1);
        assert_non_null(ret_values[i]);
        for (size_t k = 0; k < count; k++) {
            uint32_t pixel = (uint32_t)k / e.node->shape.c;
            if (e.node->prim == MN_PRIM_INPUT) {
                ret_values[i][k] = image[k];
                continue;
            }
            int64_t q = element_at(&e,
                                   pixel / e.node->shape.w,
                                   pixel % e.node->shape.w,
                                   (uint32_t)k % e.node->shape.c);
            q = q < e.numbers->low ? e.numbers->low : q;
            ret_values[i][k] = (int8_t)(q > e.numbers->high ? e.numbers->high : q);
        }
    }
}

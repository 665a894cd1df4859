/* Random small graphs for quantisation, and a plain evaluation in int8 by the formulas of mn_s8.h:
 * 64-bit loops over dense values, without a plan and without the kernels. */
#ifndef MN_QUANT_SLOW_H
#define MN_QUANT_SLOW_H

#define PLAN_TOOLS_REAL_KERNELS
#include "plan_tools.h"

#include <math.h>

#include "memnet/quantize.h"

/* ---- graphs ---------------------------------------------------------------------------------- */

static inline mn_act slow_random_act(mn_random *random)
{
    return (mn_act)mn_random_below(random, 3);
}

static inline mn_window slow_random_window(mn_random *random, mn_shape in)
{
    mn_window w = mn_window_same(in,
                                 1 + mn_random_below(random, 4),
                                 1 + mn_random_below(random, 4),
                                 1 + mn_random_below(random, 2),
                                 1 + mn_random_below(random, 2));
    w.stride_w = 1 + mn_random_below(random, 2); /* a little more or less padding than "same" */
    return w;
}

static inline void slow_random_conv(tool *t, mn_random *random, uint32_t x, bool depthwise)
{
    mn_shape in = mn_graph_builder_shape(t->builder, x);
    uint32_t channels = 1 + mn_random_below(random, 9);
    uint32_t groups = depthwise ? in.c : in.c % 2 == 0 && mn_random_below(random, 4) == 0 ? 2 : 1;
    bool in_place = depthwise && mn_random_below(random, 2) == 0;
    tool_add(t,
             (mn_node_spec){.prim = MN_PRIM_CONV,
                            .inputs = &x,
                            .input_count = 1,
                            .channels = depthwise ? in.c : channels * groups,
                            .groups = groups,
                            .window = in_place ? mn_window_same(in, 3, 3, 1, 1)
                                               : slow_random_window(random, in),
                            .bias = mn_random_below(random, 2) == 0,
                            .act = slow_random_act(random),
                            .layer = MN_NONE});
}

static inline void slow_random_pool(tool *t, mn_random *random, uint32_t x, mn_prim prim)
{
    mn_shape in = mn_graph_builder_shape(t->builder, x);
    tool_add(t,
             (mn_node_spec){.prim = prim,
                            .inputs = &x,
                            .input_count = 1,
                            .window = mn_window_same(in, 3, 2, 1 + mn_random_below(random, 2), 1),
                            .act = slow_random_act(random),
                            .layer = MN_NONE});
}

static inline void slow_random_node(tool *t, mn_random *random)
{
    uint32_t x = tool_pick(t, random, NULL);
    mn_shape shape = mn_graph_builder_shape(t->builder, x);
    uint32_t pair[2] = {x, tool_pick(t, random, &shape)};
    switch (mn_random_below(random, 14)) {
    case 0:
    case 1:
    case 2:
        slow_random_conv(t, random, x, false);
        break;
    case 3:
    case 4:
        slow_random_conv(t, random, x, true);
        break;
    case 5:
        slow_random_pool(t, random, x, MN_PRIM_MAX_POOL);
        break;
    case 6:
        slow_random_pool(t, random, x, MN_PRIM_AVG_POOL);
        break;
    case 7:
        tool_one(t, mn_random_below(random, 2) == 0 ? MN_PRIM_RELU : MN_PRIM_RELU6, x);
        break;
    case 8:
    case 9:
        tool_add(t,
                 (mn_node_spec){.prim = MN_PRIM_ADD,
                                .inputs = pair,
                                .input_count = 2,
                                .act = slow_random_act(random),
                                .layer = MN_NONE});
        break;
    case 10:
        tool_reshape(t, x, (mn_shape){shape.w, shape.h, shape.c});
        break;
    default:
        tool_random_concat(t, random);
        break;
    }
}

/* One input, random nodes, logits (or their pooled maps) at the end. */
static inline mn_graph *slow_random_graph(mn_random *random)
{
    tool t = tool_start();
    uint32_t nodes = 3 + mn_random_below(random, 12);
    tool_input(&t,
               1 + mn_random_below(random, 8),
               1 + mn_random_below(random, 8),
               1 + mn_random_below(random, 5));
    while (t.count < nodes)
        slow_random_node(&t, random);
    uint32_t last = t.count - 1;
    if (mn_random_below(random, 2) == 0)
        last = tool_one(&t, MN_PRIM_GLOBAL_POOL, last);
    if (mn_random_below(random, 4) != 0)
        last = tool_dense(&t, last, 3);
    return tool_finish_one(&t, last);
}

/* Normal numbers. */
static inline mn_tensors *slow_random_tensors(const mn_graph *graph, mn_random *random)
{
    mn_tensors *tensors = NULL;
    mn_error err;
    assert_ok(mn_tensors_create_for_graph(graph, &tensors, &err), &err);
    for (uint32_t t = 0; t < tensors->count; t++) {
        float *numbers = tensors->items[t].data;
        for (size_t i = 0; i < mn_tensor_elements(&tensors->items[t]); i++)
            numbers[i] = 0.4f * mn_random_normal(random);
    }
    return tensors;
}

/* ---- plain evaluation ------------------------------------------------------------------------ */

typedef struct slow {
    const mn_graph *graph;
    const mn_quant *quant;
    int8_t **values; /* (nodes) (H,W,C) dense */
} slow;

static inline int64_t slow_scaled(int64_t sum, int64_t multiplier, int32_t shift)
{
    int64_t rounded = sum * multiplier + (INT64_C(1) << (shift - 1));
    int64_t unit = INT64_C(1) << shift;
    int64_t whole = rounded / unit;
    return whole - (rounded % unit < 0); /* floor, without shifting negative numbers */
}

static inline int8_t slow_clamped(const mn_quant_node *q, int64_t value)
{
    value = value < q->low ? q->low : value;
    return (int8_t)(value > q->high ? q->high : value);
}

/* False in the padding. */
static inline bool slow_pixel(
    const slow *s, uint32_t x, int64_t row, int64_t column, uint32_t channel, int64_t *ret_value)
{
    mn_shape shape = mn_graph_node(s->graph, x)->shape;
    if (row < 0 || column < 0 || row >= shape.h || column >= shape.w)
        return false;
    *ret_value = s->values[x][((size_t)row * shape.w + (size_t)column) * shape.c + channel];
    return true;
}

/* Convolution at (y,x,o); weights (O,KH,KW,I/groups) or (KH,KW,C). */
static inline int64_t slow_conv(const slow *s, uint32_t n, uint32_t y, uint32_t x, uint32_t o)
{
    const mn_node *node = mn_graph_node(s->graph, n);
    const mn_quant_node *q = &s->quant->nodes[n];
    const mn_window *w = &node->window;
    uint32_t in_c = mn_graph_node(s->graph, node->inputs[0])->shape.c;
    uint32_t inputs = in_c / node->groups;
    uint32_t outputs = node->shape.c;
    uint32_t first = o / (outputs / node->groups) * inputs;
    bool depthwise = node->groups == in_c && outputs == in_c;
    int64_t sum = q->bias[o];
    for (uint32_t ky = 0; ky < w->kernel_h; ky++)
        for (uint32_t kx = 0; kx < w->kernel_w; kx++)
            for (uint32_t i = 0; i < inputs; i++) {
                int64_t value = 0;
                size_t tap = (size_t)ky * w->kernel_w + kx;
                int64_t row = (int64_t)y * w->stride_h + ky * w->dilation_h - w->pad_top;
                int64_t column = (int64_t)x * w->stride_w + kx * w->dilation_w - w->pad_left;
                if (!slow_pixel(s, node->inputs[0], row, column, first + i, &value))
                    continue;
                value -= s->quant->values[node->inputs[0]].zero_point;
                sum +=
                    value *
                    (depthwise
                         ? q->weights[tap * outputs + o]
                         : q->weights[(o * (size_t)w->kernel_h * w->kernel_w + tap) * inputs + i]);
            }
    return s->quant->values[n].zero_point + slow_scaled(sum, q->multiplier[o], q->shift[o]);
}

static inline int64_t slow_pool(const slow *s, uint32_t n, uint32_t y, uint32_t x, uint32_t c)
{
    const mn_node *node = mn_graph_node(s->graph, n);
    const mn_window *w = &node->window;
    int64_t most = -128;
    int64_t sum = 0;
    int64_t count = 0;
    for (uint32_t ky = 0; ky < w->kernel_h; ky++)
        for (uint32_t kx = 0; kx < w->kernel_w; kx++) {
            int64_t value = 0;
            int64_t row = (int64_t)y * w->stride_h + ky - w->pad_top;
            int64_t column = (int64_t)x * w->stride_w + kx - w->pad_left;
            if (!slow_pixel(s, node->inputs[0], row, column, c, &value))
                continue;
            most = value > most ? value : most;
            sum += value;
            count++;
        }
    return node->prim == MN_PRIM_MAX_POOL ? most
                                          : (int64_t)floor((double)sum / (double)count + 0.5);
}

/* Global pools and fully connected layers. */
static inline int64_t slow_whole(const slow *s, uint32_t n, uint32_t o)
{
    const mn_node *node = mn_graph_node(s->graph, n);
    const mn_quant_node *q = &s->quant->nodes[n];
    uint32_t x = node->inputs[0];
    mn_shape in = mn_graph_node(s->graph, x)->shape;
    size_t elements = mn_shape_elements(in);
    int64_t zero = s->quant->values[n].zero_point;
    int64_t sum = 0;
    bool full = node->prim == MN_PRIM_FULLY_CONNECTED;
    for (size_t e = 0; e < elements; e++) {
        int64_t value = s->values[x][e] - s->quant->values[x].zero_point;
        if (full)
            sum += value * q->weights[o * elements + e];
        else if (e % in.c == o)
            sum += value;
    }
    return zero + (full ? slow_scaled(sum + q->bias[o], q->multiplier[o], q->shift[o])
                        : slow_scaled(sum, q->factor, q->factor_shift));
}

static inline int64_t slow_sum(const slow *s, uint32_t n, size_t e)
{
    const mn_node *node = mn_graph_node(s->graph, n);
    const mn_quant_node *q = &s->quant->nodes[n];
    int64_t sum = 0;
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t x = node->inputs[i];
        int64_t value = s->values[x][e] - s->quant->values[x].zero_point;
        sum += value * (i == 0 ? q->add_a : q->add_b);
    }
    return s->quant->values[n].zero_point + slow_scaled(sum, 1, q->add_shift);
}

/* Parts on other grids are brought to the concat's. */
static inline int64_t slow_concat(const slow *s, uint32_t n, size_t pixel, uint32_t c)
{
    const mn_node *node = mn_graph_node(s->graph, n);
    for (uint32_t i = 0; i < node->input_count; i++) {
        uint32_t x = node->inputs[i];
        uint32_t width = mn_graph_node(s->graph, x)->shape.c;
        const mn_quant_value *from = &s->quant->values[x];
        const mn_quant_value *to = &s->quant->values[n];
        if (c >= width) {
            c -= width;
            continue;
        }
        int64_t value = s->values[x][pixel * width + c];
        bool same = false;
        int32_t multiplier = 0;
        int32_t shift = 0;
        mn_error err;
        assert_ok(mn_quant_copy_factor(from, to, &same, &multiplier, &shift, &err), &err);
        return same ? value
                    : to->zero_point + slow_scaled(value - from->zero_point, multiplier, shift);
    }
    fail_msg("no such channel");
    return 0;
}

static inline int64_t slow_element(const slow *s, uint32_t n, size_t e)
{
    const mn_node *node = mn_graph_node(s->graph, n);
    uint32_t c = (uint32_t)(e % node->shape.c);
    uint32_t pixel = (uint32_t)(e / node->shape.c);
    switch ((int)node->prim) {
    case MN_PRIM_CONV:
        return slow_conv(s, n, pixel / node->shape.w, pixel % node->shape.w, c);
    case MN_PRIM_MAX_POOL:
    case MN_PRIM_AVG_POOL:
        return slow_pool(s, n, pixel / node->shape.w, pixel % node->shape.w, c);
    case MN_PRIM_GLOBAL_POOL:
    case MN_PRIM_FULLY_CONNECTED:
        return slow_whole(s, n, c);
    case MN_PRIM_ADD:
        return slow_sum(s, n, e);
    case MN_PRIM_CONCAT:
        return slow_concat(s, n, pixel, c);
    default:
        return s->values[node->inputs[0]][e]; /* relu, relu6, reshape */
    }
}

/* Evaluates all nodes; slow_done() frees. */
static inline slow slow_run(const mn_graph *graph, const mn_quant *quant, const int8_t *input)
{
    uint32_t nodes = mn_graph_node_count(graph);
    slow s = {.graph = graph, .quant = quant, .values = calloc(nodes, sizeof *s.values)};
    assert_non_null(s.values);
    for (uint32_t n = 0; n < nodes; n++) {
        const mn_node *node = mn_graph_node(graph, n);
        size_t elements = mn_shape_elements(node->shape);
        s.values[n] = calloc(elements, 1);
        assert_non_null(s.values[n]);
        for (size_t e = 0; e < elements; e++)
            s.values[n][e] = node->prim == MN_PRIM_INPUT
                                 ? input[e]
                                 : slow_clamped(&quant->nodes[n], slow_element(&s, n, e));
    }
    return s;
}

static inline void slow_done(slow *s)
{
    for (uint32_t n = 0; n < mn_graph_node_count(s->graph); n++)
        free(s->values[n]);
    free(s->values);
}

#endif

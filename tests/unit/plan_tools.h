/* What the tests of plan/ share: short graph building, random graphs, and stand-ins for the
 * kernels' functions that say how much scratch they need. plan_sim.h runs plans. */
#ifndef MN_PLAN_TOOLS_H
#define MN_PLAN_TOOLS_H

#include "test.h"

#include "base/random.h"
#include "kernels/mn_f32.h"
#include "kernels/mn_s8.h"
#include "memnet/graph.h"
#include "memnet/plan.h"

/* Stand for the kernels' own functions, so that tests can ask for scratch. Tests that run kernels
 * define PLAN_TOOLS_REAL_KERNELS. */
#ifndef PLAN_TOOLS_REAL_KERNELS
static int32_t conv_scratch = 0;
static int32_t depthwise_scratch = 0;
static int32_t depthwise_in_place_scratch = -1; /* the kernel refuses */

int32_t mn_f32_conv_scratch_bytes(const mn_f32_window *window)
{
    (void)window;
    return conv_scratch;
}

int32_t mn_f32_depthwise_scratch_bytes(const mn_f32_window *window)
{
    (void)window;
    return depthwise_scratch;
}

int32_t mn_f32_depthwise_in_place_scratch_bytes(const mn_f32_window *window)
{
    bool possible = window->stride_h == 1 && window->stride_w == 1 &&
                    window->out_h == window->in_h && window->out_w == window->in_w;
    return possible ? depthwise_in_place_scratch : -1;
}

/* Int8 kernels ask for odd numbers, in place for as much as float32 does. */
int32_t mn_s8_conv_scratch_bytes(const mn_s8_window *window)
{
    (void)window;
    return conv_scratch > 0 ? conv_scratch + 1 : 0;
}

int32_t mn_s8_depthwise_scratch_bytes(const mn_s8_window *window)
{
    (void)window;
    return depthwise_scratch > 0 ? depthwise_scratch + 3 : 0;
}

int32_t mn_s8_depthwise_in_place_scratch_bytes(const mn_s8_window *window)
{
    bool possible = window->stride_h == 1 && window->stride_w == 1 &&
                    window->out_h == window->in_h && window->out_w == window->in_w;
    return possible ? depthwise_in_place_scratch : -1;
}

#endif

/* ---- building -------------------------------------------------------------------------------- */

typedef struct tool {
    mn_graph_builder *builder;
    uint32_t count;
} tool;

static inline tool tool_start(void)
{
    tool t = {0};
    mn_error err;
    assert_ok(mn_graph_builder_create(&t.builder, &err), &err);
    return t;
}

static inline uint32_t tool_add(tool *t, mn_node_spec spec)
{
    char name[16];
    snprintf(name, sizeof name, "n%u", t->count);
    spec.name = name;
    uint32_t node = mn_graph_add(t->builder, &spec);
    assert_int_equal(node, t->count);
    t->count++;
    return node;
}

static inline uint32_t tool_input(tool *t, uint32_t h, uint32_t w, uint32_t c)
{
    return tool_add(t, (mn_node_spec){.prim = MN_PRIM_INPUT, .shape = {h, w, c}, .layer = MN_NONE});
}

static inline uint32_t
tool_window(tool *t, mn_prim prim, uint32_t x, uint32_t channels, uint32_t side, uint32_t stride)
{
    mn_shape in = mn_graph_builder_shape(t->builder, x);
    return tool_add(t,
                    (mn_node_spec){.prim = prim,
                                   .inputs = &x,
                                   .input_count = 1,
                                   .channels = channels,
                                   .window = mn_window_same(in, side, side, stride, 1),
                                   .bias = prim == MN_PRIM_CONV,
                                   .layer = MN_NONE});
}

static inline uint32_t tool_conv(tool *t, uint32_t x, uint32_t channels)
{
    return tool_window(t, MN_PRIM_CONV, x, channels, 3, 1);
}

static inline uint32_t tool_depthwise_by(tool *t, uint32_t x, uint32_t stride)
{
    mn_shape in = mn_graph_builder_shape(t->builder, x);
    return tool_add(t,
                    (mn_node_spec){.prim = MN_PRIM_CONV,
                                   .inputs = &x,
                                   .input_count = 1,
                                   .channels = in.c,
                                   .groups = in.c,
                                   .window = mn_window_same(in, 3, 3, stride, 1),
                                   .bias = true,
                                   .layer = MN_NONE});
}

static inline uint32_t tool_depthwise(tool *t, uint32_t x)
{
    return tool_depthwise_by(t, x, 1);
}

static inline uint32_t tool_one(tool *t, mn_prim prim, uint32_t x)
{
    return tool_add(t,
                    (mn_node_spec){.prim = prim, .inputs = &x, .input_count = 1, .layer = MN_NONE});
}

static inline uint32_t tool_dense(tool *t, uint32_t x, uint32_t outputs)
{
    return tool_add(t,
                    (mn_node_spec){.prim = MN_PRIM_FULLY_CONNECTED,
                                   .inputs = &x,
                                   .input_count = 1,
                                   .channels = outputs,
                                   .bias = true,
                                   .layer = MN_NONE});
}

/* An op of which only the size is known: so many times 16 bytes. */
static inline uint32_t tool_op(tool *t, uint32_t units, uint32_t count, const uint32_t *inputs)
{
    return tool_add(t,
                    (mn_node_spec){.prim = MN_PRIM_OPAQUE,
                                   .inputs = inputs,
                                   .input_count = count,
                                   .shape = {1, 1, 4 * units},
                                   .layer = MN_NONE});
}

static inline uint32_t tool_reshape(tool *t, uint32_t x, mn_shape shape)
{
    return tool_add(t,
                    (mn_node_spec){.prim = MN_PRIM_RESHAPE,
                                   .inputs = &x,
                                   .input_count = 1,
                                   .shape = shape,
                                   .layer = MN_NONE});
}

static inline uint32_t tool_join(tool *t, mn_prim prim, uint32_t count, const uint32_t *inputs)
{
    return tool_add(
        t, (mn_node_spec){.prim = prim, .inputs = inputs, .input_count = count, .layer = MN_NONE});
}

static inline uint32_t tool_pair(tool *t, mn_prim prim, uint32_t a, uint32_t b)
{
    return tool_join(t, prim, 2, (uint32_t[]){a, b});
}

static inline mn_graph *tool_finish(tool *t, uint32_t count, const uint32_t *outputs)
{
    mn_graph *graph = NULL;
    mn_error err;
    assert_ok(mn_graph_builder_finish(t->builder, outputs, count, &graph, &err), &err);
    mn_graph_builder_free(t->builder);
    return graph;
}

static inline mn_graph *tool_finish_one(tool *t, uint32_t output)
{
    return tool_finish(t, 1, &output);
}

/* ---- random graphs --------------------------------------------------------------------------- */

typedef struct tool_random {
    uint32_t nodes;    /* at most; at least 1 */
    uint32_t channels; /* channels are multiples of this, up to three times as many */
} tool_random;

/* A random earlier node, recent ones more often; optionally of a given shape. */
static inline uint32_t tool_pick(tool *t, mn_random *random, const mn_shape *alike)
{
    uint32_t at = mn_random_below(random, t->count);
    uint32_t other = mn_random_below(random, t->count);
    uint32_t from = at > other ? at : other;
    for (uint32_t i = 0; alike != NULL && i < t->count; i++) {
        uint32_t n = (from + t->count - i) % t->count;
        if (mn_shape_equal(mn_graph_builder_shape(t->builder, n), *alike))
            return n;
    }
    return from;
}

static inline void tool_random_concat(tool *t, mn_random *random)
{
    uint32_t inputs[4];
    uint32_t count = 1 + mn_random_below(random, 4);
    inputs[0] = tool_pick(t, random, NULL);
    mn_shape first = mn_graph_builder_shape(t->builder, inputs[0]);
    for (uint32_t i = 1; i < count; i++) {
        inputs[i] = inputs[0];
        for (uint32_t tries = 0; tries < 4; tries++) {
            uint32_t n = tool_pick(t, random, NULL);
            mn_shape shape = mn_graph_builder_shape(t->builder, n);
            if (shape.h == first.h && shape.w == first.w && shape.c < 64)
                inputs[i] = n;
        }
    }
    if (first.c < 64)
        tool_join(t, MN_PRIM_CONCAT, count, inputs);
    else
        tool_one(t, MN_PRIM_RELU, inputs[0]);
}

static inline void tool_random_node(tool *t, mn_random *random, const tool_random *opts)
{
    uint32_t x = tool_pick(t, random, NULL);
    mn_shape shape = mn_graph_builder_shape(t->builder, x);
    uint32_t channels = opts->channels * (1 + mn_random_below(random, 3));
    uint32_t stride = mn_random_below(random, 8) == 0 ? 2 : 1;
    switch (mn_random_below(random, 16)) {
    case 0:
    case 1:
    case 2:
        tool_window(t, MN_PRIM_CONV, x, channels, 3, stride);
        break;
    case 3:
        tool_depthwise_by(t, x, stride);
        break;
    case 4:
        tool_window(t, MN_PRIM_MAX_POOL, x, 0, 3, stride);
        break;
    case 5:
        tool_window(t, MN_PRIM_AVG_POOL, x, 0, 3, stride);
        break;
    case 6:
        tool_one(t, MN_PRIM_RELU, x);
        break;
    case 7:
        tool_one(t, MN_PRIM_RELU6, x);
        break;
    case 8:
    case 9:
    case 10:
        tool_pair(t, MN_PRIM_ADD, x, tool_pick(t, random, &shape));
        break;
    case 11:
        if (mn_random_below(random, 2) == 0)
            tool_reshape(t, x, (mn_shape){1, shape.w, shape.h * shape.c});
        else
            tool_reshape(t, x, shape);
        break;
    case 12:
        if (mn_random_below(random, 2) == 0)
            tool_one(t, MN_PRIM_GLOBAL_POOL, x);
        else
            tool_dense(t, x, channels);
        break;
    default:
        tool_random_concat(t, random);
        break;
    }
}

/* A graph of random nodes; one to three outputs, among them mostly the last node. */
static inline mn_graph *tool_random_graph(mn_random *random, tool_random opts)
{
    tool t = tool_start();
    uint32_t nodes = 1 + mn_random_below(random, opts.nodes);
    uint32_t inputs = mn_random_below(random, 8) == 0 && nodes > 1 ? 2 : 1;
    for (uint32_t i = 0; i < inputs; i++)
        tool_input(&t,
                   1 + mn_random_below(random, 3),
                   1 + mn_random_below(random, 3),
                   opts.channels * (1 + mn_random_below(random, 2)));
    while (t.count < nodes)
        tool_random_node(&t, random, &opts);
    uint32_t outputs[3];
    uint32_t count = 0;
    uint32_t wanted = mn_random_below(random, 3) == 0 ? 3 : 1;
    for (uint32_t i = 0; i < wanted; i++) {
        uint32_t n = i == 0 && mn_random_below(random, 8) != 0 ? t.count - 1
                                                               : mn_random_below(random, t.count);
        bool twice = false;
        for (uint32_t k = 0; k < count; k++)
            twice = twice || outputs[k] == n;
        if (!twice)
            outputs[count++] = n;
    }
    return tool_finish(&t, count, outputs);
}

#endif

/* Graphs that can be trained, for tests of whole networks: random ones that put every op behind
 * every other, and shapes that have been hard: values that several readers share, sums of equal
 * terms, nested concats, norms behind what collects no statistics. */
#ifndef MN_TEST_TRAIN_GRAPHS_H
#define MN_TEST_TRAIN_GRAPHS_H

#include "test.h"

#include "base/random.h"
#include "memnet/graph.h"

enum { sketch_most_nodes = 64, sketch_classes = 4, sketch_most_channels = 40 };

/* A graph that grows node by node. */
typedef struct sketch {
    mn_graph_builder *builder;
    uint32_t count;
    mn_random random;
} sketch;

static inline uint32_t
sketch_node(sketch *s, mn_node_spec spec, const uint32_t *inputs, uint32_t input_count)
{
    char name[16];
    snprintf(name, sizeof name, "n%u", s->count);
    spec.name = name;
    spec.layer = MN_NONE;
    spec.inputs = inputs;
    spec.input_count = input_count;
    uint32_t node = mn_graph_add(s->builder, &spec);
    assert_int_equal(node, s->count);
    s->count++;
    return node;
}

static inline uint32_t sketch_start(sketch *s, uint64_t seed, mn_shape shape)
{
    mn_error err;
    *s = (sketch){.random = mn_random_make(seed, 41)};
    assert_ok(mn_graph_builder_create(&s->builder, &err), &err);
    return sketch_node(s, (mn_node_spec){.prim = MN_PRIM_INPUT, .shape = shape}, NULL, 0);
}

static inline mn_graph *sketch_finish(sketch *s, uint32_t last)
{
    mn_error err;
    mn_graph *graph = NULL;
    const mn_node_spec logits = {
        .prim = MN_PRIM_FULLY_CONNECTED, .channels = sketch_classes, .bias = true};
    uint32_t out = sketch_node(s, logits, &last, 1);
    assert_ok(mn_graph_builder_finish(s->builder, &out, 1, &graph, &err), &err);
    mn_graph_builder_free(s->builder);
    return graph;
}

static inline mn_shape sketch_shape(const sketch *s, uint32_t node)
{
    return mn_graph_builder_shape(s->builder, node);
}

static inline uint32_t sketch_simple(sketch *s, mn_prim prim, uint32_t in)
{
    return sketch_node(s, (mn_node_spec){.prim = prim}, &in, 1);
}

static inline uint32_t sketch_pair(sketch *s, mn_prim prim, uint32_t a, uint32_t b)
{
    const uint32_t both[2] = {a, b};
    return sketch_node(s, (mn_node_spec){.prim = prim}, both, 2);
}

/* A square convolution of odd side that keeps the size, divided by the stride. */
static inline uint32_t
sketch_conv(sketch *s, uint32_t in, uint32_t channels, uint32_t kernel, uint32_t stride, bool bias)
{
    mn_window w = mn_window_same(sketch_shape(s, in), kernel, kernel, stride, 1);
    mn_node_spec spec = {
        .prim = MN_PRIM_CONV, .channels = channels, .window = w, .groups = 1, .bias = bias};
    return sketch_node(s, spec, &in, 1);
}

static inline uint32_t sketch_depthwise(sketch *s, uint32_t in, uint32_t kernel, bool bias)
{
    mn_shape shape = sketch_shape(s, in);
    mn_node_spec spec = {.prim = MN_PRIM_CONV,
                         .channels = shape.c,
                         .window = mn_window_same(shape, kernel, kernel, 1, 1),
                         .groups = shape.c,
                         .bias = bias};
    return sketch_node(s, spec, &in, 1);
}

static inline uint32_t sketch_pool(sketch *s, mn_prim prim, uint32_t in, uint32_t stride)
{
    mn_node_spec spec = {.prim = prim,
                         .window = mn_window_same(sketch_shape(s, in), 3, 3, stride, 1)};
    return sketch_node(s, spec, &in, 1);
}

static inline uint32_t sketch_norm_relu(sketch *s, uint32_t in)
{
    return sketch_simple(s, MN_PRIM_RELU, sketch_simple(s, MN_PRIM_BATCH_NORM, in));
}

/* ---- random graphs ---------------------------------------------------------------------------
 */

static inline uint32_t sketch_between(sketch *s, uint32_t low, uint32_t high)
{
    return low + mn_random_below(&s->random, high - low + 1);
}

static inline bool sketch_coin(sketch *s)
{
    return mn_random_below(&s->random, 2) == 0;
}

/* A node that has been added, a new one more likely than an old one. */
static inline uint32_t sketch_any(sketch *s)
{
    uint32_t back = mn_random_below(&s->random, s->count);
    uint32_t again = mn_random_below(&s->random, s->count);
    return s->count - 1 - (back < again ? back : again);
}

/* A node of the size of `like`, and with `channels` of its channels too; perhaps `like` itself. */
static inline uint32_t sketch_partner(sketch *s, uint32_t like, bool channels)
{
    mn_shape shape = sketch_shape(s, like);
    for (int tries = 0; tries < 8; tries++) {
        uint32_t node = sketch_any(s);
        mn_shape other = sketch_shape(s, node);
        if (other.h == shape.h && other.w == shape.w && (!channels || other.c == shape.c))
            return node;
    }
    return like;
}

static inline uint32_t sketch_random_conv(sketch *s, uint32_t in)
{
    mn_shape shape = sketch_shape(s, in);
    const bool depthwise = shape.c > 1 && mn_random_below(&s->random, 3) == 0;
    uint32_t kernel_h = 2 * mn_random_below(&s->random, 3) + 1;
    uint32_t kernel_w = sketch_coin(s) ? kernel_h : 2 * mn_random_below(&s->random, 4) + 1;
    uint32_t stride = shape.h > 3 && shape.w > 3 ? sketch_between(s, 1, 5) / 4 + 1 : 1;
    uint32_t dilation = sketch_between(s, 1, 3) / 3 + 1;
    mn_node_spec spec = {.prim = MN_PRIM_CONV,
                         .channels = depthwise ? shape.c : sketch_between(s, 1, 20),
                         .window = mn_window_same(shape, kernel_h, kernel_w, stride, dilation),
                         .groups = depthwise ? shape.c : 1,
                         .bias = sketch_coin(s)};
    if (mn_random_below(&s->random, 3) == 0)
        spec.act = sketch_coin(s) ? MN_ACT_RELU : MN_ACT_RELU6;
    return sketch_node(s, spec, &in, 1);
}

static inline void sketch_random_concat(sketch *s, uint32_t in)
{
    uint32_t parts[3] = {in};
    uint32_t count = sketch_between(s, 1, 3);
    uint32_t channels = sketch_shape(s, in).c;
    for (uint32_t i = 1; i < count; i++) {
        parts[i] = sketch_partner(s, in, false);
        channels += sketch_shape(s, parts[i]).c;
    }
    if (channels <= sketch_most_channels)
        sketch_node(s, (mn_node_spec){.prim = MN_PRIM_CONCAT}, parts, count);
}

static inline void sketch_random_step(sketch *s)
{
    const uint32_t in = sketch_any(s);
    const mn_shape shape = sketch_shape(s, in);
    const uint32_t stride = shape.h > 4 && shape.w > 4 ? sketch_between(s, 1, 4) / 4 + 1 : 1;
    switch (mn_random_below(&s->random, 11)) {
    case 0:
        sketch_simple(s, MN_PRIM_BATCH_NORM, in);
        break;
    case 1:
        sketch_norm_relu(s, in);
        break;
    case 2:
        sketch_simple(s, sketch_coin(s) ? MN_PRIM_RELU : MN_PRIM_RELU6, in);
        break;
    case 3:
        sketch_pair(s, MN_PRIM_ADD, in, sketch_partner(s, in, true));
        break;
    case 4:
    case 5:
        sketch_random_concat(s, in);
        break;
    case 6:
        sketch_pool(s, sketch_coin(s) ? MN_PRIM_MAX_POOL : MN_PRIM_AVG_POOL, in, stride);
        break;
    case 7:
        sketch_simple(s, MN_PRIM_IDENTITY, in);
        break;
    case 8: /* a residual block */
        sketch_simple(
            s,
            MN_PRIM_RELU,
            sketch_pair(
                s,
                MN_PRIM_ADD,
                sketch_simple(s, MN_PRIM_BATCH_NORM, sketch_conv(s, in, shape.c, 3, 1, false)),
                in));
        break;
    default:
        sketch_random_conv(s, in);
    }
}

/* Some values may have no reader at all; the last nodes join those that have the last one's size.
 */
static inline mn_graph *sketch_random(uint64_t seed)
{
    sketch s;
    mn_random sides = mn_random_make(seed, 42);
    mn_shape shape = {.h = 3 + mn_random_below(&sides, 8),
                      .w = 3 + mn_random_below(&sides, 8),
                      .c = 1 + mn_random_below(&sides, 3)};
    uint32_t in = sketch_start(&s, seed, shape);
    sketch_conv(&s, in, sketch_between(&s, 1, 20), 3, 1, sketch_coin(&s));
    const uint32_t steps = sketch_between(&s, 3, 14);
    for (uint32_t i = 0; i < steps && s.count < sketch_most_nodes - 16; i++)
        sketch_random_step(&s);
    uint32_t last = s.count - 1;
    for (int i = 0; i < 3; i++) {
        uint32_t other = sketch_partner(&s, last, true);
        if (other != last)
            last = sketch_pair(&s, MN_PRIM_ADD, last, other);
    }
    if (sketch_coin(&s))
        last = sketch_simple(&s, MN_PRIM_GLOBAL_POOL, last);
    return sketch_finish(&s, last);
}

/* ---- shapes that have been hard --------------------------------------------------------------
 */

/* A concat of a concat, one value in it twice, and a reader of a part beside it. */
static inline uint32_t sketch_nested(sketch *s, uint32_t x)
{
    uint32_t y = sketch_conv(s, x, 5, 3, 1, true);
    uint32_t inner[3] = {x, y, x};
    uint32_t whole = sketch_node(s, (mn_node_spec){.prim = MN_PRIM_CONCAT}, inner, 3);
    uint32_t side = sketch_conv(s, x, 6, 1, 1, false);
    uint32_t outer[4] = {side, whole, sketch_norm_relu(s, side), whole};
    whole = sketch_node(s, (mn_node_spec){.prim = MN_PRIM_CONCAT}, outer, 4);
    return sketch_conv(s, sketch_depthwise(s, whole, 3, false), 7, 1, 1, false);
}

/* Sums of equal terms, and sums that share a gradient. */
static inline uint32_t sketch_sums(sketch *s, uint32_t x)
{
    uint32_t y = sketch_conv(s, x, sketch_shape(s, x).c, 3, 1, false);
    uint32_t sum = sketch_pair(s, MN_PRIM_ADD, x, y);
    sum = sketch_pair(s, MN_PRIM_ADD, sum, sum);
    uint32_t normed = sketch_norm_relu(s, sum);
    sum = sketch_pair(s, MN_PRIM_ADD, normed, normed);
    return sketch_pair(s, MN_PRIM_ADD, sum, x);
}

/* Two residual blocks with relu on the sum. */
static inline uint32_t sketch_residual(sketch *s, uint32_t x)
{
    for (int i = 0; i < 2; i++) {
        uint32_t y = sketch_norm_relu(s, sketch_conv(s, x, 9, 3, 1, false));
        y = sketch_simple(s, MN_PRIM_BATCH_NORM, sketch_conv(s, y, 9, 3, 1, false));
        uint32_t around = sketch_simple(s, MN_PRIM_BATCH_NORM, sketch_conv(s, x, 9, 1, 1, false));
        x = sketch_simple(s, MN_PRIM_RELU, sketch_pair(s, MN_PRIM_ADD, y, i == 0 ? around : x));
    }
    return x;
}

/* Norms behind what collects no statistics, and two behind one convolution. */
static inline uint32_t sketch_norms(sketch *s, uint32_t x)
{
    uint32_t sum = sketch_norm_relu(s, sketch_pair(s, MN_PRIM_ADD, x, x));
    uint32_t pool = sketch_norm_relu(s, sketch_pool(s, MN_PRIM_AVG_POOL, x, 1));
    uint32_t both = sketch_norm_relu(s, sketch_pair(s, MN_PRIM_CONCAT, sum, pool));
    uint32_t biased = sketch_norm_relu(s, sketch_conv(s, both, 9, 3, 1, true));
    uint32_t conv = sketch_conv(s, biased, 9, 1, 1, false);
    uint32_t one = sketch_simple(s, MN_PRIM_BATCH_NORM, conv);
    uint32_t two = sketch_norm_relu(s, conv);
    uint32_t twice = sketch_simple(s, MN_PRIM_BATCH_NORM, sketch_simple(s, MN_PRIM_RELU6, one));
    return sketch_pair(s, MN_PRIM_ADD, twice, two);
}

/* Clamps on clamps, a max pool of a view, lanes that do not agree. */
static inline uint32_t sketch_clamps(sketch *s, uint32_t x)
{
    uint32_t six = sketch_simple(s, MN_PRIM_RELU6, x);
    uint32_t again = sketch_simple(s, MN_PRIM_RELU, sketch_simple(s, MN_PRIM_RELU6, six));
    uint32_t pooled = sketch_pool(s, MN_PRIM_MAX_POOL, sketch_norm_relu(s, six), 1);
    uint32_t gaps = sketch_pair(s, MN_PRIM_CONCAT, again, sketch_conv(s, pooled, 3, 3, 1, true));
    uint32_t dense = sketch_conv(s, x, sketch_shape(s, gaps).c, 1, 1, true);
    uint32_t sum = sketch_pair(s, MN_PRIM_ADD, gaps, dense);
    return sketch_pool(s, MN_PRIM_MAX_POOL, sketch_simple(s, MN_PRIM_RELU6, sum), 2);
}

/* The sum of two concats: one gradient is cut up twice, so that a and b get the same memory. The
 * other reader of a contributes before the convolution that makes b has read it. */
static inline uint32_t sketch_two_concats(sketch *s, uint32_t x)
{
    uint32_t a = sketch_conv(s, x, 9, 3, 1, false);
    uint32_t b = sketch_conv(s, x, 9, 3, 1, false);
    uint32_t c = sketch_conv(s, a, 9, 3, 1, false);
    uint32_t d = sketch_conv(s, x, 9, 3, 1, false);
    uint32_t one = sketch_pair(s, MN_PRIM_CONCAT, a, c);
    uint32_t two = sketch_pair(s, MN_PRIM_CONCAT, b, d);
    return sketch_pair(s, MN_PRIM_ADD, one, two);
}

enum { sketch_hard_count = 6 };

static inline mn_graph *sketch_hard(uint32_t which)
{
    static uint32_t (*const shapes[sketch_hard_count])(sketch *, uint32_t) = {sketch_nested,
                                                                              sketch_sums,
                                                                              sketch_residual,
                                                                              sketch_norms,
                                                                              sketch_clamps,
                                                                              sketch_two_concats};
    sketch s;
    uint32_t in = sketch_start(&s, 1, (mn_shape){7, 6, 3});
    return sketch_finish(&s, shapes[which](&s, sketch_conv(&s, in, 9, 3, 1, false)));
}

#endif

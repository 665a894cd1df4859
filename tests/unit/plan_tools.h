/* What the tests of plan/ share: short graph building, random graphs, and a simulator that runs a
 * plan on symbols. Every element of every value has a symbol that follows from the graph alone;
 * the simulator moves symbols through the arena and says whether each kernel finds its own. */
#ifndef MN_PLAN_TOOLS_H
#define MN_PLAN_TOOLS_H

#include "test.h"

#include "base/random.h"
#include "kernels/mn_f32.h"
#include "memnet/graph.h"
#include "memnet/plan.h"

/* Stand for the kernels' own functions, so that tests can ask for scratch. */
static int32_t conv_scratch = 0;
static int32_t depthwise_scratch = 0;

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

static inline uint32_t tool_depthwise(tool *t, uint32_t x)
{
    mn_shape in = mn_graph_builder_shape(t->builder, x);
    return tool_add(t,
                    (mn_node_spec){.prim = MN_PRIM_CONV,
                                   .inputs = &x,
                                   .input_count = 1,
                                   .channels = in.c,
                                   .groups = in.c,
                                   .window = mn_window_same(in, 3, 3, 1, 1),
                                   .bias = true,
                                   .layer = MN_NONE});
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
        tool_depthwise(t, x);
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

/* ---- the simulator --------------------------------------------------------------------------- */

typedef struct sim {
    const mn_graph *graph;
    const mn_plan *plan;
    uint64_t **symbols; /* (nodes) of each value: (H,W,C) */
    uint64_t *arena;    /* one symbol for each float */
    size_t floats;
    uint64_t poison;
    const char *problem; /* NULL: none so far */
} sim;

static inline void sim_fail(sim *s, const char *problem)
{
    if (s->problem == NULL)
        s->problem = problem;
}

static inline uint64_t *sim_at(sim *s, mn_view view, mn_shape shape, size_t element)
{
    size_t pixel = element / shape.c;
    size_t channel = element % shape.c;
    if (view.buffer >= s->plan->buffer_count) {
        sim_fail(s, "no such buffer");
        return NULL;
    }
    const mn_plan_buffer *b = &s->plan->buffers[view.buffer];
    size_t inside = view.channel_offset + pixel * view.pixel_stride + channel;
    size_t at = b->offset / sizeof(float) + inside;
    if (b->offset % sizeof(float) != 0 || at >= s->floats || (inside + 1) * 4 > b->bytes) {
        sim_fail(s, "an access leaves its buffer or the arena");
        return NULL;
    }
    return &s->arena[at];
}

static inline void sim_write(sim *s, mn_view view, mn_shape shape, size_t e, uint64_t symbol)
{
    uint64_t *at = sim_at(s, view, shape, e);
    if (at != NULL)
        *at = symbol;
}

static inline void sim_read(sim *s, uint32_t value, size_t e)
{
    uint64_t *at = sim_at(s, s->plan->views[value], mn_graph_node(s->graph, value)->shape, e);
    if (at != NULL && *at != s->symbols[value][e])
        sim_fail(s, "a read finds something else");
}

static inline void sim_read_all(sim *s, uint32_t value)
{
    size_t count = mn_shape_elements(mn_graph_node(s->graph, value)->shape);
    for (size_t e = 0; e < count; e++)
        sim_read(s, value, e);
}

/* Writes all of a value: its symbols, or poison. */
static inline void sim_write_all(sim *s, uint32_t value, bool poison)
{
    mn_shape shape = mn_graph_node(s->graph, value)->shape;
    for (size_t e = 0; e < mn_shape_elements(shape); e++)
        sim_write(s, s->plan->views[value], shape, e, poison ? s->poison++ : s->symbols[value][e]);
}

static inline void sim_poison_scratch(sim *s, uint32_t step)
{
    const mn_step *st = &s->plan->steps[step];
    const mn_node *node = mn_graph_node(s->graph, st->node);
    mn_shape in =
        node->input_count > 0 ? mn_graph_node(s->graph, node->inputs[0])->shape : (mn_shape){0};
    bool depthwise = node->groups == in.c && node->shape.c == in.c;
    size_t bytes = node->prim != MN_PRIM_CONV ? 0
                   : depthwise                ? (size_t)depthwise_scratch
                                              : (size_t)conv_scratch;
    if (bytes == 0)
        return;
    if (st->scratch >= s->plan->buffer_count) {
        sim_fail(s, "no scratch");
        return;
    }
    const mn_plan_buffer *b = &s->plan->buffers[st->scratch];
    size_t first = b->offset / sizeof(float);
    size_t count = (bytes + 3) / sizeof(float);
    if (b->bytes < bytes || first + count > s->floats) {
        sim_fail(s, "scratch leaves the arena");
        return;
    }
    for (size_t i = 0; i < count; i++)
        s->arena[first + i] = s->poison++;
}

/* Poisons what no living buffer covers: recorded lifetimes must be long enough. */
static inline void sim_poison_dead(sim *s, uint32_t step)
{
    bool *covered = calloc(s->floats + 1, sizeof *covered);
    assert_non_null(covered);
    for (uint32_t i = 0; i < s->plan->buffer_count; i++) {
        const mn_plan_buffer *b = &s->plan->buffers[i];
        for (size_t f = b->offset / 4; f < (b->offset + b->bytes) / 4 && f < s->floats; f++)
            covered[f] = covered[f] || (b->first_step <= step && step <= b->last_step);
    }
    for (size_t f = 0; f < s->floats; f++)
        if (!covered[f])
            s->arena[f] = s->poison++;
    free(covered);
}

/* One copy for each input that does not lie in its slot already. */
static inline void sim_concat(sim *s, uint32_t n)
{
    const mn_node *node = mn_graph_node(s->graph, n);
    uint32_t channel = 0;
    for (uint32_t i = 0; i < node->input_count; i++) {
        mn_shape shape = mn_graph_node(s->graph, node->inputs[i])->shape;
        mn_view slot = s->plan->views[n];
        slot.channel_offset += channel;
        for (size_t e = 0; e < mn_shape_elements(shape); e++) {
            sim_read(s, node->inputs[i], e);
            sim_write(s, slot, shape, e, s->symbols[node->inputs[i]][e]);
        }
        channel += shape.c;
    }
}

static inline void sim_step(sim *s, uint32_t step)
{
    uint32_t n = s->plan->steps[step].node;
    const mn_node *node = mn_graph_node(s->graph, n);
    if (node->prim == MN_PRIM_INPUT || node->prim == MN_PRIM_RESHAPE) {
        sim_fail(s, "a step for a node that has no kernel");
    } else if (node->prim == MN_PRIM_CONCAT) {
        sim_concat(s, n);
    } else if (node->prim == MN_PRIM_ADD || node->prim == MN_PRIM_RELU ||
               node->prim == MN_PRIM_RELU6) {
        for (size_t e = 0; e < mn_shape_elements(node->shape); e++) {
            for (uint32_t i = 0; i < node->input_count; i++)
                sim_read(s, node->inputs[i], e);
            sim_write(s, s->plan->views[n], node->shape, e, s->symbols[n][e]);
        }
    } else { /* reads and writes in any order: the result must not touch the inputs */
        sim_poison_scratch(s, step);
        sim_write_all(s, n, true);
        for (uint32_t i = 0; i < node->input_count; i++)
            sim_read_all(s, node->inputs[i]);
        sim_write_all(s, n, false);
        sim_poison_scratch(s, step);
        sim_read_all(s, n);
    }
}

/* A value's symbols: its own for what a kernel makes, the inputs' for concats and reshapes. */
static inline uint64_t *sim_symbols(const sim *s, uint32_t n)
{
    const mn_node *node = mn_graph_node(s->graph, n);
    size_t count = mn_shape_elements(node->shape);
    uint64_t *symbols = calloc(count, sizeof *symbols);
    assert_non_null(symbols);
    for (size_t e = 0; e < count; e++)
        symbols[e] = ((uint64_t)n + 1) << 32 | e;
    if (node->prim == MN_PRIM_RESHAPE)
        memcpy(symbols, s->symbols[node->inputs[0]], count * sizeof *symbols);
    uint32_t channel = 0;
    for (uint32_t i = 0; node->prim == MN_PRIM_CONCAT && i < node->input_count; i++) {
        uint32_t width = mn_graph_node(s->graph, node->inputs[i])->shape.c;
        for (size_t e = 0; e < count; e++) {
            size_t c = e % node->shape.c;
            if (c >= channel && c < channel + width)
                symbols[e] = s->symbols[node->inputs[i]][e / node->shape.c * width + (c - channel)];
        }
        channel += width;
    }
    return symbols;
}

static inline void sim_run(sim *s)
{
    uint32_t nodes = mn_graph_node_count(s->graph);
    sim_poison_dead(s, 0);
    for (uint32_t n = 0; n < nodes; n++)
        if (mn_graph_node(s->graph, n)->prim == MN_PRIM_INPUT)
            sim_write_all(s, n, false);
    for (uint32_t n = 0; n < nodes; n++)
        if (mn_graph_node(s->graph, n)->prim == MN_PRIM_INPUT)
            sim_read_all(s, n);
    for (uint32_t t = 0; t < s->plan->step_count && s->problem == NULL; t++) {
        if (t > 0)
            sim_poison_dead(s, t);
        sim_step(s, t);
    }
    for (uint32_t i = 0; i < mn_graph_output_count(s->graph); i++) {
        uint32_t n = mn_graph_output(s->graph, i);
        mn_shape shape = mn_graph_node(s->graph, n)->shape;
        if (shape.h * shape.w > 1 && s->plan->views[n].pixel_stride != shape.c)
            sim_fail(s, "an output is not dense");
        sim_read_all(s, n);
    }
}

/* NULL when every kernel finds its inputs and the outputs are there at the end; else what went
 * wrong first. */
static inline const char *sim_problem(const mn_graph *graph, const mn_plan *plan)
{
    uint32_t nodes = mn_graph_node_count(graph);
    sim s = {.graph = graph,
             .plan = plan,
             .floats = plan->arena_bytes / sizeof(float),
             .poison = UINT64_C(1) << 63};
    s.symbols = calloc(nodes, sizeof *s.symbols);
    s.arena = calloc(s.floats + 1, sizeof *s.arena);
    assert_non_null(s.symbols);
    assert_non_null(s.arena);
    for (uint32_t n = 0; n < nodes; n++)
        s.symbols[n] = sim_symbols(&s, n);
    sim_run(&s);
    for (uint32_t n = 0; n < nodes; n++)
        free(s.symbols[n]);
    free(s.symbols);
    free(s.arena);
    return s.problem;
}

#endif

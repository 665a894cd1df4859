/* A simulator that runs a plan on symbols, for the tests of plan/. Every byte of every value has a
 * symbol that follows from the graph alone; the simulator moves symbols through the arena and says
 * whether each kernel finds its own. It shares no code with the planner or its checker. */
#ifndef MN_PLAN_SIM_H
#define MN_PLAN_SIM_H

#include "plan_tools.h"

typedef struct sim {
    const mn_graph *graph;
    const mn_plan *plan;
    uint64_t **symbols; /* (nodes) of each value's elements: (H,W,C) */
    uint64_t *arena;    /* one symbol for each byte */
    uint64_t poison;
    const char *problem; /* NULL: none so far */
} sim;

static inline void sim_fail(sim *s, const char *problem)
{
    if (s->problem == NULL)
        s->problem = problem;
}

static inline size_t sim_element_bytes(const mn_plan *plan, const mn_node *node)
{
    size_t plain = plan->precision == MN_PRECISION_INT8 ? sizeof(int8_t) : sizeof(float);
    return node->element_bytes > 0 ? node->element_bytes : plain;
}

/* Whether value n may write over value x, element by element or row by row. */
static inline bool
sim_may_be_in_place(const mn_graph *graph, const mn_plan *plan, uint32_t n, uint32_t x)
{
    const mn_node *to = mn_graph_node(graph, n);
    const mn_node *from = mn_graph_node(graph, x);
    bool depthwise = to->prim == MN_PRIM_CONV && to->groups == to->shape.c &&
                     to->window.stride_h == 1 && to->window.stride_w == 1;
    return mn_shape_equal(to->shape, from->shape) &&
           sim_element_bytes(plan, to) == sim_element_bytes(plan, from) &&
           (depthwise || to->prim == MN_PRIM_ADD || to->prim == MN_PRIM_RELU ||
            to->prim == MN_PRIM_RELU6);
}

/* Whether values of equal shape lie on the very same bytes; with one pixel the stride is idle. */
static inline bool
sim_same_place(const mn_graph *graph, const mn_plan *plan, uint32_t a, uint32_t b)
{
    mn_shape shape = mn_graph_node(graph, a)->shape;
    const mn_view *x = &plan->views[a];
    const mn_view *y = &plan->views[b];
    return x->buffer == y->buffer && x->channel_offset == y->channel_offset &&
           (x->pixel_stride == y->pixel_stride || shape.h * shape.w == 1);
}

/* ---- the arena ------------------------------------------------------------------------------- */

/* Byte `part` of an element holds this. */
static inline uint64_t sim_symbol(uint64_t element, size_t part)
{
    return element ^ (uint64_t)part << 56;
}

/* The first cell of an element of `bytes` bytes; NULL when some of it is out of bounds. */
static inline uint64_t *sim_at(sim *s, mn_view view, mn_shape shape, size_t bytes, size_t element)
{
    size_t pixel = element / shape.c;
    size_t channel = element % shape.c;
    if (view.buffer >= s->plan->buffer_count) {
        sim_fail(s, "no such buffer");
        return NULL;
    }
    const mn_plan_buffer *b = &s->plan->buffers[view.buffer];
    size_t inside = (view.channel_offset + pixel * view.pixel_stride + channel) * bytes;
    if (b->offset > s->plan->arena_bytes || inside + bytes > b->bytes ||
        inside + bytes > s->plan->arena_bytes - b->offset) {
        sim_fail(s, "an access leaves its buffer or the arena");
        return NULL;
    }
    return &s->arena[b->offset + inside];
}

static inline void
sim_write(sim *s, mn_view view, mn_shape shape, size_t bytes, size_t e, uint64_t symbol)
{
    uint64_t *at = sim_at(s, view, shape, bytes, e);
    for (size_t part = 0; at != NULL && part < bytes; part++)
        at[part] = sim_symbol(symbol, part);
}

static inline void sim_read(sim *s, uint32_t value, size_t e)
{
    const mn_node *node = mn_graph_node(s->graph, value);
    size_t bytes = sim_element_bytes(s->plan, node);
    const uint64_t *at = sim_at(s, s->plan->views[value], node->shape, bytes, e);
    for (size_t part = 0; at != NULL && part < bytes; part++)
        if (at[part] != sim_symbol(s->symbols[value][e], part))
            sim_fail(s, "a read finds something else");
}

static inline void sim_read_all(sim *s, uint32_t value)
{
    size_t count = mn_shape_elements(mn_graph_node(s->graph, value)->shape);
    for (size_t e = 0; e < count; e++)
        sim_read(s, value, e);
}

static inline void sim_read_inputs(sim *s, const mn_node *node)
{
    for (uint32_t i = 0; i < node->input_count; i++)
        sim_read_all(s, node->inputs[i]);
}

/* Writes all of a value: its symbols, or poison. */
static inline void sim_write_all(sim *s, uint32_t value, bool poison)
{
    const mn_node *node = mn_graph_node(s->graph, value);
    for (size_t e = 0; e < mn_shape_elements(node->shape); e++)
        sim_write(s,
                  s->plan->views[value],
                  node->shape,
                  sim_element_bytes(s->plan, node),
                  e,
                  poison ? s->poison++ : s->symbols[value][e]);
}

/* Poisons what no living buffer covers: recorded lifetimes must be long enough. */
static inline void sim_poison_dead(sim *s, uint32_t step)
{
    bool *covered = calloc(s->plan->arena_bytes + 1, sizeof *covered);
    assert_non_null(covered);
    for (uint32_t i = 0; i < s->plan->buffer_count; i++) {
        const mn_plan_buffer *b = &s->plan->buffers[i];
        for (size_t at = b->offset; at < b->offset + b->bytes && at < s->plan->arena_bytes; at++)
            covered[at] = covered[at] || (b->first_step <= step && step <= b->last_step);
    }
    for (size_t at = 0; at < s->plan->arena_bytes; at++)
        if (!covered[at])
            s->arena[at] = s->poison++;
    free(covered);
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* What the stand-ins of plan_tools.h ask for. In place the scratch holds rows of the value. */
static inline size_t
sim_scratch_bytes(const sim *s, const mn_node *node, mn_shape in, bool in_place)
{
    bool depthwise = node->groups == in.c && node->shape.c == in.c;
    bool is_int8 = s->plan->precision == MN_PRECISION_INT8;
    if (node->prim != MN_PRIM_CONV)
        return 0;
    if (in_place && !is_int8)
        return (size_t)depthwise_in_place_scratch / sizeof(float) *
               sim_element_bytes(s->plan, node);
    if (in_place)
        return (size_t)depthwise_in_place_scratch;
    if (is_int8)
        return (size_t)(depthwise ? mn_s8_depthwise_scratch_bytes(NULL)
                                  : mn_s8_conv_scratch_bytes(NULL));
    return depthwise ? (size_t)depthwise_scratch : (size_t)conv_scratch;
}

static inline void sim_poison_scratch(sim *s, uint32_t step)
{
    const mn_step *st = &s->plan->steps[step];
    const mn_node *node = mn_graph_node(s->graph, st->node);
    mn_shape in =
        node->input_count > 0 ? mn_graph_node(s->graph, node->inputs[0])->shape : (mn_shape){0};
    size_t bytes = sim_scratch_bytes(s, node, in, st->in_place);
    if (bytes == 0)
        return;
    if (st->scratch >= s->plan->buffer_count) {
        sim_fail(s, "no scratch");
        return;
    }
    const mn_plan_buffer *b = &s->plan->buffers[st->scratch];
    if (b->bytes < bytes || b->offset > s->plan->arena_bytes ||
        bytes > s->plan->arena_bytes - b->offset) {
        sim_fail(s, "scratch leaves its buffer or the arena");
        return;
    }
    for (size_t i = 0; i < bytes; i++)
        s->arena[b->offset + i] = s->poison++;
}

/* One copy for each input that does not lie in its slot already. */
static inline void sim_concat(sim *s, uint32_t n)
{
    const mn_node *node = mn_graph_node(s->graph, n);
    size_t bytes = sim_element_bytes(s->plan, node);
    uint32_t channel = 0;
    for (uint32_t i = 0; i < node->input_count; i++) {
        uint32_t x = node->inputs[i];
        mn_shape shape = mn_graph_node(s->graph, x)->shape;
        mn_view slot = s->plan->views[n];
        slot.channel_offset += channel;
        for (size_t e = 0; e < mn_shape_elements(shape); e++) {
            sim_read(s, x, e);
            sim_write(s, slot, shape, bytes, e, s->symbols[x][e]);
        }
        channel += shape.c;
    }
}

/* The result comes element by element, each after the inputs' elements that it is made of. */
static inline void sim_elementwise(sim *s, uint32_t n)
{
    const mn_node *node = mn_graph_node(s->graph, n);
    for (size_t e = 0; e < mn_shape_elements(node->shape); e++) {
        for (uint32_t i = 0; i < node->input_count; i++)
            sim_read(s, node->inputs[i], e);
        sim_write(s,
                  s->plan->views[n],
                  node->shape,
                  sim_element_bytes(s->plan, node),
                  e,
                  s->symbols[n][e]);
    }
}

/* Rows that are still read are kept in scratch, so all of the input is read before any of the
 * result is there, and scratch must lie beside both. */
static inline void sim_row_by_row(sim *s, uint32_t step)
{
    uint32_t n = s->plan->steps[step].node;
    const mn_node *node = mn_graph_node(s->graph, n);
    if (!sim_may_be_in_place(s->graph, s->plan, n, node->inputs[0]) ||
        depthwise_in_place_scratch < 0 || !sim_same_place(s->graph, s->plan, n, node->inputs[0])) {
        sim_fail(s, "a kernel in place that cannot be");
        return;
    }
    sim_poison_scratch(s, step);
    sim_read_all(s, node->inputs[0]);
    sim_write_all(s, n, false);
    sim_poison_scratch(s, step);
    sim_read_all(s, n);
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
        sim_elementwise(s, n);
    } else if (s->plan->steps[step].in_place) {
        sim_row_by_row(s, step);
    } else { /* reads and writes in any order: the result must not touch the inputs */
        sim_poison_scratch(s, step);
        sim_write_all(s, n, true);
        sim_read_inputs(s, node);
        sim_write_all(s, n, false);
        sim_poison_scratch(s, step);
        sim_read_all(s, n);
    }
}

/* ---- all of it ------------------------------------------------------------------------------- */

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
    sim s = {.graph = graph, .plan = plan, .poison = UINT64_C(1) << 63};
    s.symbols = calloc(nodes, sizeof *s.symbols);
    s.arena = calloc(plan->arena_bytes + 1, sizeof *s.arena);
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

/* A plan by `opts` (NULL: the defaults) that the simulator has run. */
static inline mn_plan *sim_plan(const mn_graph *graph, const mn_plan_opts *opts)
{
    mn_plan *plan = NULL;
    mn_error err;
    assert_ok(mn_plan_create(graph, opts, &plan, &err), &err);
    const char *problem = sim_problem(graph, plan);
    if (problem != NULL)
        fail_msg("simulator: %s", problem);
    return plan;
}

#endif

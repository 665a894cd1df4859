/*
 * Greedy orders. At every step the node is taken after which the fewest bytes are alive. A buffer
 * is alive from the first node that touches it to the last, which is the same seen from either
 * end, so one walk serves both directions: backwards, readers come before producers and outputs
 * are what is alive at the start.
 *
 * Invariant: a node becomes ready only when all nodes before it, in the walk's direction, are done;
 * nodes without a step cost nothing and are done the moment they are ready.
 */
#include "plan/order.h"

#include <stdlib.h>

#include "base/size.h"

/* For each node a list; the list of node n is items[start[n]] .. items[start[n+1] - 1]. */
typedef struct lists {
    uint32_t *start; /* (nodes + 1) */
    uint32_t *items;
} lists;

typedef struct walk {
    const mn_graph *graph;
    const mn__needs *needs;
    const mn__alias *alias;
    bool backward;
    lists readers;
    lists touched;     /* buffers that a node's step touches, each once */
    uint32_t *pending; /* (nodes) how many nodes must be done before */
    uint32_t *left;    /* (buffers) how many steps will still touch it */
    bool *alive;       /* (buffers) */
    bool *held;        /* (buffers) stays alive to the end of the walk */
    uint32_t *ready;   /* (nodes) with a step, in no order */
    uint32_t ready_count;
    uint32_t *stack; /* (nodes) done, their followers not yet told */
    uint32_t *order;
    uint32_t order_count;
} walk;

static bool make_readers(walk *w)
{
    uint32_t nodes = w->needs->node_count;
    w->readers.start = mn_calloc((size_t)nodes + 2, sizeof *w->readers.start);
    if (w->readers.start == NULL)
        return false;
    uint32_t *start = w->readers.start + 1; /* shifted by one while filling */
    for (uint32_t n = 0; n < nodes; n++) {
        const mn_node *node = mn_graph_node(w->graph, n);
        for (uint32_t i = 0; i < node->input_count; i++)
            start[node->inputs[i] + 1]++;
    }
    for (uint32_t n = 0; n < nodes; n++)
        start[n + 1] += start[n];
    w->readers.items = mn_calloc(start[nodes], sizeof *w->readers.items);
    if (w->readers.items == NULL)
        return false;
    for (uint32_t n = 0; n < nodes; n++) {
        const mn_node *node = mn_graph_node(w->graph, n);
        for (uint32_t i = 0; i < node->input_count; i++)
            w->readers.items[start[node->inputs[i]]++] = n;
    }
    return true;
}

static bool make_touched(walk *w)
{
    uint32_t nodes = w->needs->node_count;
    size_t most = 0;
    for (uint32_t n = 0; n < nodes; n++)
        most += (size_t)mn_graph_node(w->graph, n)->input_count + 1;
    w->touched.start = mn_calloc((size_t)nodes + 1, sizeof *w->touched.start);
    w->touched.items = mn_calloc(most, sizeof *w->touched.items);
    uint32_t *seen = mn_calloc(w->alias->buffer_count, sizeof *seen);
    bool good = w->touched.start != NULL && w->touched.items != NULL && seen != NULL;
    uint32_t count = 0;
    for (uint32_t n = 0; good && n < nodes; n++) {
        const mn_node *node = mn_graph_node(w->graph, n);
        w->touched.start[n] = count;
        for (uint32_t i = 0; w->alias->has_step[n] && i <= node->input_count; i++) {
            uint32_t value = i < node->input_count ? node->inputs[i] : n;
            uint32_t buffer = w->alias->views[value].buffer;
            if (seen[buffer] == n + 1)
                continue;
            seen[buffer] = n + 1;
            w->touched.items[count++] = buffer;
            w->left[buffer]++;
        }
        w->touched.start[n + 1] = count;
    }
    free(seen);
    return good;
}

/* Counts what comes before each node and marks the buffers that outlive the walk's ends. */
static void set_ends(walk *w)
{
    for (uint32_t n = 0; n < w->needs->node_count; n++) {
        const mn_node *node = mn_graph_node(w->graph, n);
        uint32_t buffer = w->alias->views[n].buffer;
        bool is_input = node->prim == MN_PRIM_INPUT;
        bool is_output = w->needs->is_output[n];
        w->pending[n] =
            w->backward ? w->readers.start[n + 1] - w->readers.start[n] : node->input_count;
        w->alive[buffer] = w->alive[buffer] || (w->backward ? is_output : is_input);
        w->held[buffer] = w->held[buffer] || (w->backward ? is_input : is_output);
    }
}

/* Tells the followers of a node that it is done, and theirs when they have no step. */
static void finish(walk *w, uint32_t node)
{
    uint32_t depth = 0;
    w->stack[depth++] = node;
    while (depth > 0) {
        uint32_t n = w->stack[--depth];
        const mn_node *done = mn_graph_node(w->graph, n);
        const uint32_t *next = w->backward ? done->inputs : w->readers.items + w->readers.start[n];
        uint32_t count =
            w->backward ? done->input_count : w->readers.start[n + 1] - w->readers.start[n];
        for (uint32_t i = 0; i < count; i++) {
            if (--w->pending[next[i]] > 0)
                continue;
            if (w->alias->has_step[next[i]])
                w->ready[w->ready_count++] = next[i];
            else
                w->stack[depth++] = next[i];
        }
    }
}

typedef struct cost {
    size_t grown; /* bytes that come alive for the step */
    size_t freed; /* bytes that die with it */
} cost;

static cost cost_of(const walk *w, uint32_t n)
{
    cost c = {.grown = 0, .freed = 0};
    for (uint32_t i = w->touched.start[n]; i < w->touched.start[n + 1]; i++) {
        uint32_t buffer = w->touched.items[i];
        size_t bytes = w->alias->buffer_bytes[buffer];
        if (!w->alive[buffer])
            c.grown += bytes;
        if (w->left[buffer] == 1 && !w->held[buffer])
            c.freed += bytes;
    }
    return c;
}

/* Whether a leaves less alive than b; then whether it needs less meanwhile; then the graph's own
 * order decides. Sums fit: mn__needs_find() has added up all of them. */
static bool is_better(const walk *w, uint32_t a, cost of_a, uint32_t b, cost of_b)
{
    size_t after_a = of_a.grown + of_b.freed;
    size_t after_b = of_b.grown + of_a.freed;
    size_t during_a = of_a.grown + w->needs->scratch_bytes[a];
    size_t during_b = of_b.grown + w->needs->scratch_bytes[b];
    if (after_a != after_b)
        return after_a < after_b;
    if (during_a != during_b)
        return during_a < during_b;
    return w->backward ? a > b : a < b;
}

static void run(walk *w)
{
    uint32_t nodes = w->needs->node_count;
    for (uint32_t n = 0; n < nodes; n++) {
        const mn_node *node = mn_graph_node(w->graph, n);
        bool first =
            w->backward ? w->readers.start[n] == w->readers.start[n + 1] : node->input_count == 0;
        if (first && w->alias->has_step[n])
            w->ready[w->ready_count++] = n;
        else if (first)
            finish(w, n);
    }
    while (w->ready_count > 0) {
        uint32_t best = 0;
        cost best_cost = cost_of(w, w->ready[0]);
        for (uint32_t i = 1; i < w->ready_count; i++) {
            cost c = cost_of(w, w->ready[i]);
            if (is_better(w, w->ready[i], c, w->ready[best], best_cost)) {
                best = i;
                best_cost = c;
            }
        }
        uint32_t n = w->ready[best];
        w->ready[best] = w->ready[--w->ready_count];
        w->order[w->order_count++] = n;
        for (uint32_t i = w->touched.start[n]; i < w->touched.start[n + 1]; i++) {
            w->alive[w->touched.items[i]] = true;
            w->left[w->touched.items[i]]--;
        }
        finish(w, n);
    }
}

static mn_status walk_greedily(walk *w, mn_error *err)
{
    uint32_t nodes = w->needs->node_count;
    mn_status status = MN_OK;
    w->pending = mn_calloc(nodes, sizeof *w->pending);
    w->ready = mn_calloc(nodes, sizeof *w->ready);
    w->stack = mn_calloc(nodes, sizeof *w->stack);
    w->left = mn_calloc(w->alias->buffer_count, sizeof *w->left);
    w->alive = mn_calloc(w->alias->buffer_count, sizeof *w->alive);
    w->held = mn_calloc(w->alias->buffer_count, sizeof *w->held);
    if (w->pending == NULL || w->ready == NULL || w->stack == NULL || w->left == NULL ||
        w->alive == NULL || w->held == NULL || !make_readers(w) || !make_touched(w)) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    set_ends(w);
    run(w);
    for (uint32_t i = 0; w->backward && i < w->order_count / 2; i++) {
        uint32_t moved = w->order[i];
        w->order[i] = w->order[w->order_count - 1 - i];
        w->order[w->order_count - 1 - i] = moved;
    }
done:
    free(w->readers.start);
    free(w->readers.items);
    free(w->touched.start);
    free(w->touched.items);
    free(w->pending);
    free(w->ready);
    free(w->stack);
    free(w->left);
    free(w->alive);
    free(w->held);
    return status;
}

mn_status mn__order_find(const mn_graph *graph,
                         const mn__needs *needs,
                         const mn__alias *alias,
                         mn__order_way way,
                         uint32_t *ret_order,
                         uint32_t *ret_count,
                         mn_error *err)
{
    walk w = {.graph = graph,
              .needs = needs,
              .alias = alias,
              .backward = way == MN__ORDER_BACKWARD,
              .order = ret_order};
    if (way != MN__ORDER_GIVEN) {
        mn_status status = walk_greedily(&w, err);
        *ret_count = w.order_count;
        return status;
    }
    for (uint32_t n = 0; n < needs->node_count; n++)
        if (alias->has_step[n])
            ret_order[w.order_count++] = n;
    *ret_count = w.order_count;
    return MN_OK;
}

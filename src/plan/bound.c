/*
 * The lower bound: for each kernel, what must lie in memory while it runs, whatever the order.
 *
 * Concats and reshapes only arrange what other nodes made, perhaps without a copy, so the bound
 * counts contents: the values of all other nodes. Content c must be in memory while kernel u runs
 * when u reads it (perhaps through concats), or when c is made before u in every order (u descends
 * from it, or it is a graph input) and needed after u in every order (one of its readers descends
 * from u, or it is part of an output). To these comes u's own result, unless u may write it onto
 * an input, and u's scratch.
 *
 * Each content is in memory at least once. One that can never be part of a concat's buffer fills a
 * buffer of its own, rounded up; the others are added as they are and their sum is rounded up.
 */
#include "plan/bound.h"

#include <stdlib.h>

#include "base/size.h"

/* Above this, what lives across a kernel is left out: pairs times words become slow. The bound is
 * smaller then, and still one. */
static const uint32_t most_nodes_for_pairs = 1024;

typedef struct bound {
    const mn_graph *graph;
    const mn__needs *needs;
    uint32_t words;        /* of a set of nodes */
    uint64_t *readers;     /* (nodes, words) kernels that read a value, also through concats */
    uint64_t *followers;   /* (nodes, words) all that descends from a node, itself left out */
    bool *in_output;       /* (nodes) the value is an output or part of one */
    bool *may_be_slice;    /* (nodes) the content may lie in a concat's buffer */
    bool *is_needed_later; /* (nodes) of the kernel being looked at: needed after it */
} bound;

typedef struct sum {
    size_t own;    /* of buffers, each rounded up */
    size_t slices; /* not rounded */
} sum;

static bool arranges(mn_prim prim)
{
    return prim == MN_PRIM_CONCAT || prim == MN_PRIM_RESHAPE;
}

static bool has(const uint64_t *sets, const bound *b, uint32_t node, uint32_t member)
{
    return (sets[(size_t)node * b->words + member / 64] >> (member % 64) & 1) != 0;
}

static void add(uint64_t *sets, const bound *b, uint32_t node, uint32_t member)
{
    sets[(size_t)node * b->words + member / 64] |= UINT64_C(1) << (member % 64);
}

static void add_all(uint64_t *sets, const bound *b, uint32_t node, uint32_t other)
{
    for (uint32_t w = 0; w < b->words; w++)
        sets[(size_t)node * b->words + w] |= sets[(size_t)other * b->words + w];
}

/* One walk from the last node back: a node's readers are complete when it is met. */
static void look_back(bound *b)
{
    for (uint32_t n = b->needs->node_count; n-- > 0;) {
        const mn_node *node = mn_graph_node(b->graph, n);
        b->in_output[n] = b->in_output[n] || b->needs->is_output[n];
        b->may_be_slice[n] = b->may_be_slice[n] && !b->needs->is_output[n];
        for (uint32_t i = 0; i < node->input_count; i++) {
            uint32_t x = node->inputs[i];
            /* x may share n's buffer where n arranges it or is written onto it. */
            b->may_be_slice[x] =
                b->may_be_slice[x] || node->prim == MN_PRIM_CONCAT ||
                ((node->prim == MN_PRIM_RESHAPE || mn__prim_is_elementwise(node->prim)) &&
                 b->may_be_slice[n]);
            if (arranges(node->prim))
                b->in_output[x] = b->in_output[x] || b->in_output[n];
            if (b->words == 0)
                continue;
            if (arranges(node->prim))
                add_all(b->readers, b, x, n);
            else
                add(b->readers, b, x, n);
            add(b->followers, b, x, n);
            add_all(b->followers, b, x, n);
        }
    }
}

static void count(const bound *b, sum *s, uint32_t value)
{
    if (b->may_be_slice[value])
        s->slices += b->needs->value_bytes[value];
    else
        s->own += mn__needs_buffer_bytes(b->needs, value);
}

static size_t total(const bound *b, sum s)
{
    size_t rest = s.slices % b->needs->align;
    return s.own + s.slices + (rest == 0 ? 0 : b->needs->align - rest);
}

static bool is_needed_after(const bound *b, uint32_t content, uint32_t kernel)
{
    if (b->in_output[content])
        return true;
    const uint64_t *readers = b->readers + (size_t)content * b->words;
    const uint64_t *followers = b->followers + (size_t)kernel * b->words;
    for (uint32_t w = 0; w < b->words; w++)
        if ((readers[w] & followers[w]) != 0)
            return true;
    return false;
}

/* Whether kernel u may write its result onto one of its inputs. A concat may hold a second copy of
 * contents that are needed later, so that it can always be written over. */
static bool may_be_in_place(const bound *b, const mn_node *u)
{
    for (uint32_t i = 0; mn__prim_is_elementwise(u->prim) && i < u->input_count; i++)
        if (arranges(mn_graph_node(b->graph, u->inputs[i])->prim) ||
            !b->is_needed_later[u->inputs[i]])
            return true;
    return false;
}

static size_t bytes_during(bound *b, uint32_t u)
{
    const mn_node *node = mn_graph_node(b->graph, u);
    sum during = {.own = b->needs->scratch_bytes[u]};
    sum after = during;
    for (uint32_t c = 0; c < b->needs->node_count; c++) {
        const mn_node *made = mn_graph_node(b->graph, c);
        b->is_needed_later[c] = false;
        if (c == u || arranges(made->prim))
            continue;
        if (made->prim != MN_PRIM_INPUT && !has(b->followers, b, c, u))
            continue; /* need not be there yet */
        b->is_needed_later[c] = is_needed_after(b, c, u);
        if (b->is_needed_later[c])
            count(b, &after, c);
        if (b->is_needed_later[c] || has(b->readers, b, c, u))
            count(b, &during, c);
    }
    if (!may_be_in_place(b, node))
        count(b, &during, u);
    count(b, &after, u); /* larger where u reads a concat that holds copies */
    return total(b, during) > total(b, after) ? total(b, during) : total(b, after);
}

/* The cheap form for large graphs: a kernel that cannot write in place, its result and its input
 * when that is no arrangement. */
static size_t bytes_of_one(const bound *b, uint32_t u)
{
    const mn_node *node = mn_graph_node(b->graph, u);
    sum s = {.own = b->needs->scratch_bytes[u]};
    uint32_t x = node->inputs[0];
    count(b, &s, u);
    if (!mn__prim_is_elementwise(node->prim) && !arranges(mn_graph_node(b->graph, x)->prim))
        count(b, &s, x);
    return total(b, s);
}

static size_t largest(bound *b)
{
    sum start = {0};
    sum end = {0};
    for (uint32_t n = 0; n < b->needs->node_count; n++) {
        mn_prim prim = mn_graph_node(b->graph, n)->prim;
        if (prim == MN_PRIM_INPUT)
            start.own += mn__needs_buffer_bytes(b->needs, n);
        if (b->in_output[n] && !arranges(prim))
            count(b, &end, n);
    }
    size_t most = total(b, start) > total(b, end) ? total(b, start) : total(b, end);
    for (uint32_t n = 0; n < b->needs->node_count; n++) {
        mn_prim prim = mn_graph_node(b->graph, n)->prim;
        if (prim == MN_PRIM_INPUT || arranges(prim))
            continue;
        size_t bytes = b->words > 0 ? bytes_during(b, n) : bytes_of_one(b, n);
        most = bytes > most ? bytes : most;
    }
    return most;
}

mn_status
mn__bound_find(const mn_graph *graph, const mn__needs *needs, size_t *ret_bytes, mn_error *err)
{
    uint32_t nodes = needs->node_count;
    bound b = {.graph = graph, .needs = needs};
    mn_status status = MN_OK;
    b.words = nodes <= most_nodes_for_pairs ? (nodes + 63) / 64 : 0;
    b.readers = mn_calloc((size_t)nodes * b.words, sizeof *b.readers);
    b.followers = mn_calloc((size_t)nodes * b.words, sizeof *b.followers);
    b.in_output = mn_calloc(nodes, sizeof *b.in_output);
    b.may_be_slice = mn_calloc(nodes, sizeof *b.may_be_slice);
    b.is_needed_later = mn_calloc(nodes, sizeof *b.is_needed_later);
    if (b.readers == NULL || b.followers == NULL || b.in_output == NULL || b.may_be_slice == NULL ||
        b.is_needed_later == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    look_back(&b);
    *ret_bytes = largest(&b);
done:
    free(b.readers);
    free(b.followers);
    free(b.in_output);
    free(b.may_be_slice);
    free(b.is_needed_later);
    return status;
}

/*
 * Values as the planner sees them: a reshape is its input under another shape, so both are one
 * value, named by the first of its nodes. Comes after kernel_needs, before everything that decides.
 *
 * A value may lie inside another one, its host: in a slice of a concat that reads it, or, where
 * such a slice ends a chain of kernels that write in place, under the result of the kernel that
 * will write over it. Everything else has a buffer of its own.
 */
#ifndef MN_PLAN_VALUES_H
#define MN_PLAN_VALUES_H

#include "plan/kernel_needs.h"

/* For each node a list; that of node n is items[start[n]] .. items[start[n + 1] - 1]. */
typedef struct mn__lists {
    uint32_t *start; /* (nodes + 1) */
    uint32_t *items;
} mn__lists;

typedef struct mn__values {
    const mn_graph *graph;
    const mn__needs *needs;
    uint32_t nodes;
    uint8_t *prims;     /* (nodes) mn_prim of each node, near at hand */
    uint32_t *value_of; /* (nodes) the value that a node yields: itself, or what it reshapes */
    size_t *bytes;      /* (nodes) of a value: its buffer, rounded up */
    bool *is_output;    /* (nodes) of a value: needed after the last step */
    bool *is_dense;     /* (nodes) of a value: may not lie in a slice */
    mn__lists inputs;   /* of a node with a kernel, or a concat: the values it reads, each once */
    mn__lists readers;  /* of a value: the nodes that read it, rising, each once */
    mn__lists hosts;    /* of a value: the nodes that it may lie inside, rising */
} mn__values;

/* `graph` and `needs` are borrowed. `values` is zeroed and to be emptied with mn__values_done()
 * whatever the outcome. */
mn_status
mn__values_find(const mn_graph *graph, const mn__needs *needs, mn__values *values, mn_error *err);
void mn__values_done(mn__values *values);

/* Whether n's kernel may write over value x, which it reads. */
bool mn__values_fit_in_place(const mn__values *values, uint32_t n, uint32_t x);

static inline mn_prim mn__values_prim(const mn__values *values, uint32_t node)
{
    return (mn_prim)values->prims[node];
}

/* Whether node n is neither a graph input nor a reshape: it has a kernel or joins others. */
static inline bool mn__values_is_made(const mn__values *values, uint32_t node)
{
    return values->prims[node] != MN_PRIM_INPUT && values->prims[node] != MN_PRIM_RESHAPE;
}

static inline uint32_t mn__list_count(const mn__lists *lists, uint32_t node)
{
    return lists->start[node + 1] - lists->start[node];
}

static inline const uint32_t *mn__list_of(const mn__lists *lists, uint32_t node)
{
    return lists->items + lists->start[node];
}

#endif

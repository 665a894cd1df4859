/*
 * Inside of the checker: check.c follows contents from step to step, check_kernels.c looks at each
 * kernel call, check_figures.c at buffers and sums, check_views.c knows where values lie. Nothing
 * of it is shared with the planner.
 */
#ifndef MN_PLAN_CHECK_H
#define MN_PLAN_CHECK_H

#include "memnet/plan.h"

/* A view of a value, or of a part of one. */
typedef struct mn__region {
    mn_view view;
    mn_shape shape;
    uint64_t element; /* bytes of one element */
} mn__region;

typedef struct mn__piece {
    uint32_t node; /* who writes it */
    mn__region region;
    uint32_t written, last_read; /* times */
} mn__piece;

typedef struct mn__checker {
    const mn_graph *graph;
    const mn_plan *plan;
    mn_error *err;
    uint32_t nodes;
    uint32_t end;
    uint32_t *time_of; /* (nodes) of the node's step, or MN_NONE */
    uint32_t *made;    /* (nodes) time at which the whole value is there */
    uint32_t *until;   /* (nodes) last time at which its bytes are read */
    mn__piece *pieces;
    uint32_t piece_count;
} mn__checker;

/* check_views.c */
const mn_node *mn__check_node(const mn__checker *c, uint32_t n);
/* Reports "plan: node n 'name': what". */
mn_status mn__check_wrong(const mn__checker *c, uint32_t n, const char *what);
/* Where node n's value lies. */
mn__region mn__check_region(const mn__checker *c, uint32_t n);
/* Whether node n's kernel may write exactly over its input x. */
bool mn__check_may_be_in_place(const mn__checker *c, uint32_t n, uint32_t x);
bool mn__check_is_dense(const mn__region *region);
/* Both of the same shape. */
bool mn__check_same_place(const mn__region *a, const mn__region *b);
/* Elements from the start of its buffer to the end of the value. */
uint64_t mn__check_extent(const mn__region *region);
/* Of the arena; views must lie inside their buffers. */
uint64_t mn__check_first_byte(const mn__checker *c, const mn__region *region);
uint64_t mn__check_byte_after(const mn__checker *c, const mn__region *region);
bool mn__check_overlap(const mn__checker *c, const mn__region *a, const mn__region *b);

/* check_kernels.c */
mn_status mn__check_kernels(const mn__checker *c);

/* check_figures.c */
/* Every buffer is aligned, inside the arena, and apart from those that are alive with it. */
mn_status mn__check_buffers(const mn_plan *plan, mn_error *err);
/* Live bytes, peak, weights, totals and what is said to be proven agree with each other. */
mn_status mn__check_figures(const mn_graph *graph, const mn_plan *plan, mn_error *err);

#endif

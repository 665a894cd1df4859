/*
 * How small an arena could be at best. Looks at the graph alone, so that it holds for every order,
 * every placement and every choice of aliases.
 */
#ifndef MN_PLAN_BOUND_H
#define MN_PLAN_BOUND_H

#include "plan/kernel_needs.h"

/* Bytes that no plan can go below; a multiple of the alignment. */
mn_status
mn__bound_find(const mn_graph *graph, const mn__needs *needs, size_t *ret_bytes, mn_error *err);

#endif

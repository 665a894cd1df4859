/* The planner's first rooms, needs and aliases, for tests that look at single rooms. */
#ifndef MN_PLAN_ROOMS_H
#define MN_PLAN_ROOMS_H

#include "plan_tools.h"

#include "plan/alias.h"

typedef struct rooms {
    mn__needs needs;
    mn__alias alias;
    uint8_t *joinings;
    uint32_t *order; /* room for an order */
} rooms;

/* All concats joined the same way; `when` as for mn__alias_find(). */
static inline rooms make_rooms(const mn_graph *graph, mn__joining joining, const uint32_t *when)
{
    rooms r = {0};
    mn_error err;
    mn_plan_opts opts = mn_plan_opts_default();
    uint32_t nodes = mn_graph_node_count(graph);
    r.joinings = calloc(nodes, 1);
    r.order = calloc(nodes, sizeof *r.order);
    assert_non_null(r.joinings);
    assert_non_null(r.order);
    memset(r.joinings, (int)joining, nodes);
    assert_ok(mn__needs_find(graph, &opts, &r.needs, &err), &err);
    assert_ok(mn__alias_find(graph, &r.needs, r.joinings, when, &r.alias, &err), &err);
    return r;
}

static inline void free_rooms(rooms *r)
{
    mn__alias_done(&r->alias);
    mn__needs_done(&r->needs);
    free(r->joinings);
    free(r->order);
}

#endif

/* The planner's rooms one by one, up to a board in a segment, for tests that look at single rooms.
 */
#ifndef MN_PLAN_ROOMS_H
#define MN_PLAN_ROOMS_H

#include "plan_tools.h"

#include "plan/ahead.h"
#include "plan/board_state.h"

typedef struct rooms {
    mn__needs needs;
    mn__values values;
    mn__segment *segments;
    uint32_t segment_count;
    mn__reach reach; /* of the segment that was entered; so are the next ones */
    mn__ahead ahead;
    mn__state_form form;
    mn__board board;
    uint8_t *state; /* room for one */
} rooms;

static inline rooms *make_rooms(const mn_graph *graph)
{
    mn_error err;
    mn_plan_opts opts = mn_plan_opts_default();
    rooms *r = calloc(1, sizeof *r); /* its parts point to each other */
    assert_non_null(r);
    opts.sizes_only = true;
    assert_ok(mn__needs_find(graph, &opts, &r->needs, &err), &err);
    assert_ok(mn__values_find(graph, &r->needs, &r->values, &err), &err);
    assert_ok(mn__segments_find(&r->values, &r->segments, &r->segment_count, &err), &err);
    assert_ok(mn__board_init(&r->board, &r->values, &err), &err);
    return r;
}

static inline void leave_segment(rooms *r)
{
    mn__reach_done(&r->reach);
    mn__ahead_done(&r->ahead);
    mn__state_form_done(&r->form);
    free(r->state);
    r->state = NULL;
}

/* Goes to a segment: nothing of it has run. */
static inline void enter_segment(rooms *r, uint32_t segment)
{
    mn_error err;
    leave_segment(r);
    assert_ok(mn__reach_find(&r->values, r->segments[segment], &r->reach, &err), &err);
    assert_ok(mn__ahead_find(&r->reach, &r->ahead, &err), &err);
    assert_ok(mn__state_form_find(&r->reach, &r->form, &err), &err);
    r->state = calloc(r->form.state_bytes + 1, 1);
    assert_non_null(r->state);
    mn__board_enter(&r->board, &r->reach);
    mn__board_load(&r->board, &r->form, r->state);
}

static inline void free_rooms(rooms *r)
{
    leave_segment(r);
    mn__board_done(&r->board);
    free(r->segments);
    mn__values_done(&r->values);
    mn__needs_done(&r->needs);
    free(r);
}

#endif

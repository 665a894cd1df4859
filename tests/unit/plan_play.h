/* Random moves on the planner's board, for tests of the rooms that look at boards. */
#ifndef MN_PLAN_PLAY_H
#define MN_PLAN_PLAY_H

#include "plan_rooms.h"

typedef struct played {
    bool moved; /* false: no node is ready, or none may be placed */
    uint32_t node;
    mn__placing placing;
    size_t during;
} played;

/* Picks a node that is ready, and one of the ways to place it. */
static inline played play_pick(const rooms *r, mn_random *random)
{
    mn__segment s = r->reach.segment;
    played p = {0};
    uint32_t from = mn_random_below(random, s.end - s.first);
    for (uint32_t i = 0; i < s.end - s.first; i++) {
        uint32_t n = s.first + (from + i) % (s.end - s.first);
        mn__placing placings[MN__MOST_PLACINGS];
        bool cut = false;
        if (!mn__board_is_ready(&r->board, n))
            continue;
        uint32_t count = mn__board_placings(&r->board, n, placings, &cut);
        assert_true(count <= MN__MOST_PLACINGS);
        if (count == 0)
            continue;
        p.moved = true;
        p.node = n;
        p.placing = placings[mn_random_below(random, count)];
        return p;
    }
    return p;
}

static inline played play_one(rooms *r, mn_random *random)
{
    played p = play_pick(r, random);
    if (p.moved)
        p.during = mn__board_run(&r->board, p.node, &p.placing);
    return p;
}

#endif

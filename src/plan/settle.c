/*
 * Moves that can be made at once. What is alive is a submodular function of what has run: the more
 * has run, the less a further step adds. So a step that adds nothing now and stays within the level
 * can be made first in any order that stays within it, and the rest of that order needs no more
 * than before. The same holds for several steps taken together when what is alive after them is no
 * more than before them or anywhere between.
 *
 * This holds as long as the step does not take a choice away: a value that has a choice where to
 * lie is not written at once, unless the choice cannot matter.
 */
#include "plan/search.h"

#include "base/size.h"

/* Whether another value may still come to lie directly in the host that n would lie in. */
static bool has_rival(const mn__board *b, uint32_t n, const mn__placing *p)
{
    if (p->depth == 0 || p->hosts[0] == 0)
        return false;
    uint32_t h = mn__list_of(&b->values->hosts, n)[p->hosts[0] - 1];
    if (mn__values_prim(b->values, h) == MN_PRIM_CONCAT)
        return false;
    for (uint32_t i = 0; i < mn__list_count(&b->values->inputs, h); i++) {
        uint32_t x = mn__list_of(&b->values->inputs, h)[i];
        if (x == n || b->done[x])
            continue;
        for (uint32_t k = 0; k < mn__list_count(&b->values->hosts, x); k++)
            if (mn__list_of(&b->values->hosts, x)[k] == h)
                return true;
    }
    return false;
}

/* Makes the move and keeps it if it loses nothing. */
static bool try_one(mn__board *b, uint32_t n, size_t level, size_t *peak)
{
    mn__placing placings[MN__MOST_PLACINGS];
    bool cut = false;
    if ((mn__board_only_takes(b, n) && b->unread[n] > 0) ||
        mn__board_placings(b, n, placings, &cut) != 1 || cut || has_rival(b, n, placings))
        return false;
    size_t live = b->live_bytes;
    mn__mark mark = mn__board_mark(b);
    size_t during = mn__board_run(b, n, placings);
    if (during > level || b->live_bytes > live) {
        mn__board_take_back(b, mark);
        return false;
    }
    *peak = mn_size_larger(*peak, during);
    return true;
}

/* Whether a chain from n may end with no more alive than before: where each value has a buffer of
 * its own and nothing else is read, the last one is left. */
static bool is_promising(const mn__board *b, uint32_t n)
{
    const mn__lists *readers = &b->values->readers;
    if (!mn__board_only_takes(b, n))
        return true;
    for (;;) {
        if (b->is_placed[n] || mn__list_count(&b->values->inputs, n) != 1 ||
            mn__board_is_covered(b, n) || mn__list_count(readers, n) == 0)
            return true;
        if (mn__list_count(readers, n) > 1 || mn__list_of(readers, n)[0] >= b->reach->segment.end)
            return false;
        n = mn__list_of(readers, n)[0];
    }
}

/* Follows a chain: n, then the one node that reads it, and so on, until no more is alive than
 * before. Each must have run for the next, so that there is nothing between but the chain itself.
 */
static bool try_chain(mn__board *b, uint32_t n, size_t level, size_t *peak)
{
    size_t live = b->live_bytes;
    size_t most = 0;
    mn__mark mark = mn__board_mark(b);
    for (;;) {
        mn__placing placings[MN__MOST_PLACINGS];
        bool cut = false;
        if (mn__board_placings(b, n, placings, &cut) != 1 || cut || has_rival(b, n, placings))
            break;
        size_t during = mn__board_run(b, n, placings);
        most = mn_size_larger(most, during);
        if (during > level)
            break;
        if (b->live_bytes <= live) {
            *peak = mn_size_larger(*peak, most);
            return true;
        }
        if (mn__list_count(&b->values->readers, n) != 1)
            break;
        n = mn__list_of(&b->values->readers, n)[0];
        if (n >= b->reach->segment.end || !mn__board_is_ready(b, n))
            break;
    }
    mn__board_take_back(b, mark);
    return false;
}

/* Whether n is ready and there is one way to place it. */
static bool place_one(const mn__board *b, uint32_t n, mn__placing *placings)
{
    bool cut = false;
    return mn__board_is_ready(b, n) && mn__board_placings(b, n, placings, &cut) == 1 && !cut;
}

/* Runs what leads to value x: a chain whose nodes each lack one input and have one reader. False
 * when it is no such chain, has a choice, or needs more than the level. */
static bool run_towards(mn__board *b, uint32_t x, size_t level, size_t *peak)
{
    const mn__lists *inputs = &b->values->inputs;
    mn__placing placings[MN__MOST_PLACINGS];
    uint32_t first = x;
    while (b->missing[first] > 0) {
        uint32_t lacked = MN_NONE;
        for (uint32_t i = 0; i < mn__list_count(inputs, first); i++)
            if (!b->done[mn__list_of(inputs, first)[i]])
                lacked = mn__list_of(inputs, first)[i];
        if (b->missing[first] > 1 || mn__list_count(&b->values->readers, lacked) != 1)
            return false;
        first = lacked;
    }
    for (uint32_t n = first;; n = mn__list_of(&b->values->readers, n)[0]) {
        if (!place_one(b, n, placings))
            return false;
        size_t during = mn__board_run(b, n, placings);
        *peak = mn_size_larger(*peak, during);
        if (during > level)
            return false;
        if (n == x)
            return true;
    }
}

/* Runs x, y and what leads to them, then n, which reads both and nothing else does. */
static bool run_join(mn__board *b, uint32_t n, uint32_t x, uint32_t y, size_t level, size_t *peak)
{
    mn__placing placings[MN__MOST_PLACINGS];
    if (!run_towards(b, x, level, peak) || !run_towards(b, y, level, peak) ||
        !place_one(b, n, placings))
        return false;
    size_t during = mn__board_run(b, n, placings);
    *peak = mn_size_larger(*peak, during);
    return during <= level;
}

/* Runs a node that joins two chains when its result lies in a buffer that is alive already. All
 * else that they write is dead then, so no less can be alive anywhere on the way, however the two
 * share the place that the node will write to. */
static bool try_join(mn__board *b, uint32_t n, size_t level, size_t *peak)
{
    const mn__lists *inputs = &b->values->inputs;
    const uint32_t *x = mn__list_of(inputs, n);
    if (!b->is_placed[n] && !mn__board_is_covered(b, n))
        return false;
    if (b->done[n] || b->missing[n] != 2 || mn__list_count(inputs, n) != 2 ||
        mn__list_count(&b->values->readers, x[0]) != 1 ||
        mn__list_count(&b->values->readers, x[1]) != 1)
        return false;
    mn__mark mark = mn__board_mark(b);
    for (int second = 0; second < 2; second++) {
        size_t most = 0;
        bool good = run_join(b, n, x[second], x[1 - second], level, &most);
        uint32_t root = good ? b->root[n] : n;
        mn__board_take_back(b, mark);
        if (!good || !b->is_placed[root] || !mn__board_is_alive(b, root))
            continue;
        (void)run_join(b, n, x[second], x[1 - second], level, peak);
        return true;
    }
    return false;
}

size_t mn__settle(mn__board *board, size_t level)
{
    size_t peak = 0;
    bool moved = true;
    while (moved && !board->is_broken) {
        moved = false;
        for (uint32_t n = board->reach->segment.first; n < board->reach->segment.end; n++)
            if (mn__board_is_ready(board, n) && try_one(board, n, level, &peak))
                moved = true;
        for (uint32_t n = board->reach->segment.first; !moved && n < board->reach->segment.end; n++)
            if (mn__board_is_ready(board, n)
                    ? is_promising(board, n) && try_chain(board, n, level, &peak)
                    : try_join(board, n, level, &peak))
                moved = true;
    }
    return peak;
}

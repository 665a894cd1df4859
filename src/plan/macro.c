/*
 * The moves that the search chooses between. Steps that only take memory are made just in time.
 *
 * A step is idle when it writes into a buffer of its own, frees nothing and needs no scratch. Left
 * out of an order, what is alive is less until the first node that reads its value runs, and it can
 * be put in again right before that; or, if it comes first, right before the last other step that
 * touches the same buffer, so that this dies, or is written over, no later than before. So orders
 * in which each idle step comes right before such a node are as good as all, and the search runs it
 * together with that node.
 */
#include "plan/search.h"

#include "base/size.h"

/* Ways to run a node: alone, or after what else reads one of its inputs, or all of them. */
enum { JUST_INPUTS, AFTER_ALL, AFTER_FIRST };

static bool is_idle(const mn__board *b, uint32_t n)
{
    return mn__values_prim(b->values, n) != MN_PRIM_CONCAT && !b->values->is_output[n] &&
           b->values->needs->scratch_bytes[n] == 0 && b->unread[n] > 0 &&
           (b->move_count > 0 || b->idle_bytes == 0) && mn__board_only_takes(b, n);
}

/* One way that is being run. */
typedef struct macro_run {
    mn__board *board;
    const mn__watch *watch; /* may be NULL */
    uint32_t node;
    size_t during;
    bool is_all;  /* all that was to run before the node has run */
    bool is_vain; /* it needs too much */
} macro_run;

static void run_idle(macro_run *m, uint32_t n)
{
    mn__placing own = {.depth = 1, .nodes = {n}};
    const mn__watch *w = m->watch;
    if (w != NULL && mn__ahead_is_too_much(w->ahead, m->board, &w->brink, n, w->limit))
        m->is_vain = true;
    m->during = mn_size_larger(m->during, mn__board_run(m->board, n, &own));
}

/* Runs the idle steps whose values the node still lacks. False when it lacks others. */
static bool run_inputs(macro_run *m)
{
    mn__board *b = m->board;
    const mn__lists *inputs = &b->values->inputs;
    for (uint32_t i = 0; i < mn__list_count(inputs, m->node); i++) {
        uint32_t x = mn__list_of(inputs, m->node)[i];
        if (b->done[x])
            continue;
        if (!mn__board_is_ready(b, x) || !is_idle(b, x))
            return false;
        run_idle(m, x);
    }
    return true;
}

/* Runs all other steps that read value x, if all of them are idle (the first ones may make the
 * later ones free what they read). Tells whether there was one. */
static bool run_readers(macro_run *m, uint32_t x)
{
    mn__board *b = m->board;
    const mn__lists *readers = &b->values->readers;
    bool any = false;
    for (uint32_t i = 0; i < mn__list_count(readers, x) && m->is_all && b->unread[x] > 0; i++) {
        uint32_t other = mn__list_of(readers, x)[i];
        if (other == m->node || b->done[other])
            continue;
        m->is_all =
            other < b->reach->segment.end && mn__board_is_ready(b, other) && is_idle(b, other);
        if (m->is_all) {
            run_idle(m, other);
            any = true;
        }
    }
    return any;
}

/* Whether y is x or lies in it. */
static bool lies_in(const mn__board *b, uint32_t y, uint32_t x)
{
    while (y != x && y != MN_NONE)
        y = mn__board_host(b, y);
    return y == x;
}

/* The same for all that the node would write over when x lies under its result, or else for all
 * that lies in the buffer of x, an input of it. */
static bool run_others(macro_run *m, uint32_t x)
{
    const mn__board *b = m->board;
    uint32_t whole = mn__board_host(b, x) == m->node ? x : b->root[x];
    bool any = false;
    if (mn__values_prim(b->values, whole) != MN_PRIM_CONCAT || whole < b->reach->segment.first)
        return run_readers(m, whole);
    for (uint32_t y = whole + 1; y-- > b->reach->segment.first && m->is_all;) {
        if (!b->is_placed[y] || !lies_in(b, y, whole))
            continue;
        m->is_all = b->done[y] || y == m->node;
        any = run_readers(m, y) || any;
    }
    return any;
}

/* Whether a placing gives one of the shut concats its place. */
static bool opens_shut(const mn__watch *w, const mn__placing *p)
{
    for (uint32_t i = 0; i < MN__MOST_TOPS && w != NULL && p->depth > 1; i++)
        if (p->hosts[p->depth - 1] == 0 && p->nodes[p->depth - 1] == w->shut[i])
            return true;
    return false;
}

/* Makes the moves of one way but the last. Tells whether the way differs from others. */
static bool run_before(macro_run *m, uint32_t way)
{
    const mn__lists *inputs = &m->board->values->inputs;
    uint32_t count = mn__list_count(inputs, m->node);
    bool any = way == JUST_INPUTS;
    for (uint32_t i = 0; i < count && way != JUST_INPUTS; i++)
        if (way == AFTER_ALL || way == AFTER_FIRST + i)
            any = run_others(m, mn__list_of(inputs, m->node)[i]) || any;
    return any && m->is_all && !(way >= AFTER_FIRST && count == 1);
}

mn__turn mn__macro_run(mn__board *board,
                       uint32_t n,
                       uint32_t macro,
                       const mn__watch *watch,
                       size_t *ret_during,
                       bool *ret_cut)
{
    mn__placing placings[MN__MOST_PLACINGS];
    macro_run m = {.board = board, .watch = watch, .node = n, .is_all = true};
    uint32_t ways = AFTER_FIRST + mn__list_count(&board->values->inputs, n);
    uint32_t way = macro % ways;
    uint32_t placing = macro / ways;
    if (board->done[n])
        return MN__TURN_NONE;
    uint32_t moves = board->move_count;
    bool was_idle = mn__board_is_ready(board, n) && is_idle(board, n);
    if (!run_inputs(&m))
        return MN__TURN_NONE;
    bool differs = run_before(&m, way);
    uint32_t count = mn__board_placings(board, n, placings, ret_cut);
    if (placing >= count)
        return MN__TURN_NONE;
    if (!differs || m.is_vain || !mn__board_is_ready(board, n))
        return MN__TURN_SKIP;
    if (was_idle && way == JUST_INPUTS && placings[placing].hosts[0] == 0)
        return MN__TURN_SKIP; /* waits for what it is needed for */
    if (board->move_count == moves && opens_shut(watch, &placings[placing]))
        return MN__TURN_SKIP;
    *ret_during = mn_size_larger(m.during, mn__board_run(board, n, &placings[placing]));
    return MN__TURN_DONE;
}

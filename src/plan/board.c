/*
 * The rules of the board, move by move. Every change of a cell is noted, so that taking back costs
 * no more than the moves did.
 *
 * Invariant: left[r] counts, over all placed values that lie in r's buffer, those not yet there
 * and their readers that have not run; the buffer is alive while it is positive (or for ever, when
 * r is an output), and live_bytes is the sum over all buffers that are alive.
 */
#include "plan/board.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

enum { ARRAYS = 8 };

mn_status mn__board_init(mn__board *board, const mn__values *values, mn_error *err)
{
    uint32_t nodes = values->nodes;
    board->values = values;
    board->cells = mn_calloc(nodes, ARRAYS * sizeof *board->cells);
    board->moves = mn_calloc(nodes, sizeof *board->moves);
    board->stack = mn_calloc(nodes, sizeof *board->stack);
    board->undo_capacity = 4096;
    board->undo = mn_calloc(board->undo_capacity, sizeof *board->undo);
    if (board->cells == NULL || board->moves == NULL || board->stack == NULL || board->undo == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    board->done = board->cells;
    board->lies_in = board->done + nodes;
    board->is_placed = board->lies_in + nodes;
    board->root = board->is_placed + nodes;
    board->left = board->root + nodes;
    board->unread = board->left + nodes;
    board->missing = board->unread + nodes;
    board->filled = board->missing + nodes;
    return MN_OK;
}

void mn__board_done(mn__board *board)
{
    free(board->cells);
    free(board->moves);
    free(board->stack);
    free(board->undo);
    *board = (mn__board){0};
}

void mn__board_enter(mn__board *board, const mn__reach *reach)
{
    const mn__values *values = board->values;
    board->reach = reach;
    board->idle_bytes = 0;
    for (uint32_t n = 0; n < values->nodes; n++) {
        board->done[n] = n < reach->segment.first || !mn__values_is_made(values, n);
        if (reach->segment.first == 0 && mn__values_prim(values, n) == MN_PRIM_INPUT &&
            mn__list_count(&values->readers, n) == 0 && !values->is_output[n])
            board->idle_bytes += values->bytes[n];
    }
    if (reach->segment.incoming != MN_NONE) {
        board->is_placed[reach->segment.incoming] = 1;
        board->lies_in[reach->segment.incoming] = 0;
    }
}

uint32_t mn__board_host(const mn__board *board, uint32_t x)
{
    uint32_t number = board->lies_in[x];
    return number == 0 ? MN_NONE : mn__list_of(&board->values->hosts, x)[number - 1];
}

bool mn__board_is_finished(const mn__board *board)
{
    for (uint32_t n = board->reach->segment.first; n < board->reach->segment.end; n++)
        if (!board->done[n])
            return false;
    return true;
}

/* ---- changes, and taking them back ---------------------------------------------------------- */

static void set(mn__board *b, uint32_t *cell, uint32_t value)
{
    if (b->undo_count == b->undo_capacity) {
        mn__undo *more = realloc(b->undo, 2 * b->undo_capacity * sizeof *more);
        if (more == NULL) {
            b->is_broken = true;
            b->undo_count = 0;
        } else {
            b->undo = more;
            b->undo_capacity *= 2;
        }
    }
    b->undo[b->undo_count++] = (mn__undo){.cell = cell, .old = *cell};
    *cell = value;
}

mn__mark mn__board_mark(const mn__board *board)
{
    return (mn__mark){.undo_count = board->undo_count,
                      .live_bytes = board->live_bytes,
                      .move_count = board->move_count};
}

void mn__board_take_back(mn__board *board, mn__mark mark)
{
    while (board->undo_count > mark.undo_count) {
        const mn__undo *last = &board->undo[--board->undo_count];
        *last->cell = last->old;
    }
    board->live_bytes = mark.live_bytes;
    board->move_count = mark.move_count;
}

/* One write or read less to come for the buffer that x lies in. */
static void count_down(mn__board *b, uint32_t x)
{
    uint32_t root = b->root[x];
    set(b, &b->left[root], b->left[root] - 1);
    if (!mn__board_is_alive(b, root))
        b->live_bytes -= b->values->bytes[root];
}

/* ---- placing -------------------------------------------------------------------------------- */

static bool is_concat(const mn__board *b, uint32_t n)
{
    return mn__values_prim(b->values, n) == MN_PRIM_CONCAT;
}

static uint8_t hosting(const mn__board *b, uint32_t x, uint32_t host_number)
{
    const mn__lists *hosts = &b->values->hosts;
    return b->reach->hosting[hosts->start[x] + host_number - hosts->start[b->reach->segment.first]];
}

bool mn__board_is_covered(const mn__board *b, uint32_t x)
{
    const uint32_t *hosts = mn__list_of(&b->values->hosts, x);
    for (uint32_t i = 0; i < mn__list_count(&b->values->hosts, x); i++)
        if ((hosting(b, x, i) & MN__HOST_COVERS) &&
            (is_concat(b, hosts[i]) || b->filled[hosts[i]] == 0) &&
            (b->is_placed[hosts[i]] || mn__board_is_covered(b, hosts[i])))
            return true;
    return false;
}

typedef struct lister {
    const mn__board *board;
    mn__placing path;
    mn__placing *ret;
    uint32_t count;
    bool cut;
} lister;

static void list_one(lister *l)
{
    if (l->count < MN__MOST_PLACINGS)
        l->ret[l->count++] = l->path;
    else
        l->cut = true;
}

/* Whether x is read after node w in every order. */
static bool outlives(const mn__board *b, uint32_t x, uint32_t w)
{
    const mn__reach *r = b->reach;
    const mn__lists *readers = &b->values->readers;
    for (uint32_t i = 0; i < mn__list_count(readers, x) && r->words > 0; i++) {
        uint32_t other = mn__list_of(readers, x)[i];
        if (other != w && other < r->segment.end &&
            mn__set_has(mn__reach_row(r, r->after, w), other - r->segment.first))
            return true;
    }
    return false;
}

/* Whether all on the path so far can lie in `host`, which would write over them if it is a kernel,
 * and so on with what that lies in already. */
static bool can_lie_in(const lister *l, uint32_t host)
{
    const mn__board *b = l->board;
    for (uint32_t h = host; h != MN_NONE; h = b->is_placed[h] ? mn__board_host(b, h) : MN_NONE)
        for (uint32_t i = 0; i < l->path.depth && !is_concat(b, h); i++)
            if (outlives(b, l->path.nodes[i], h))
                return false;
    return true;
}

/* All ways to go on from x, which has no place yet; `own` tells whether its own buffer is one. */
static void list_from(lister *l, uint32_t x, bool own)
{
    const mn__board *b = l->board;
    const uint32_t *hosts = mn__list_of(&b->values->hosts, x);
    uint32_t count = mn__list_count(&b->values->hosts, x);
    if (l->path.depth == MN__MOST_HOSTS_DEEP) {
        l->cut = true;
        return;
    }
    uint32_t at = l->path.depth++;
    l->path.nodes[at] = x;
    l->path.hosts[at] = 0;
    /* In place may ask for less scratch, and then its step can need less. */
    bool covered = mn__board_is_covered(b, x) &&
                   b->values->needs->scratch_bytes[x] <= b->values->needs->in_place_bytes[x];
    uint32_t before = l->count;
    bool late = b->policy == MN__PLACE_LATE && b->reach->segment.incoming != MN_NONE &&
                b->left[b->reach->segment.incoming] > 0;
    if (own && !covered && b->policy != MN__PLACE_EARLY)
        list_one(l);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t h = hosts[i];
        bool taken = !is_concat(b, h) && b->filled[h] > 0;
        if (b->policy == MN__PLACE_APART || (!b->is_placed[h] && late))
            continue;
        if (taken || (hosting(b, x, i) & MN__HOST_NEVER) || !can_lie_in(l, h))
            continue;
        l->path.hosts[at] = i + 1;
        if (b->is_placed[h])
            list_one(l);
        else
            list_from(l, h, is_concat(b, h));
    }
    l->path.hosts[at] = 0;
    if (own && b->policy == MN__PLACE_EARLY && l->count == before)
        list_one(l);
    l->path.depth = at;
}

uint32_t mn__board_placings(const mn__board *board, uint32_t n, mn__placing *ret, bool *ret_cut)
{
    lister l = {.board = board, .ret = ret};
    if (board->is_placed[n]) {
        ret[0].depth = 0;
        return 1;
    }
    if (mn__list_count(&board->values->hosts, n) == 0) {
        ret[0].depth = 1;
        ret[0].nodes[0] = n;
        ret[0].hosts[0] = 0;
        return 1;
    }
    list_from(&l, n, true);
    *ret_cut = *ret_cut || l.cut;
    return l.count;
}

static void place(mn__board *b, const mn__placing *placing)
{
    uint32_t last = placing->nodes[placing->depth - 1];
    uint32_t number = placing->hosts[placing->depth - 1];
    uint32_t root = last;
    if (number > 0)
        root = b->root[mn__list_of(&b->values->hosts, last)[number - 1]];
    else
        b->live_bytes += b->values->bytes[last];
    for (uint32_t i = placing->depth; i-- > 0;) {
        uint32_t x = placing->nodes[i];
        set(b, &b->is_placed[x], 1);
        set(b, &b->root[x], root);
        set(b, &b->left[root], b->left[root] + 1 + b->unread[x]);
        if (placing->hosts[i] == 0)
            continue;
        set(b, &b->lies_in[x], placing->hosts[i]);
        uint32_t host = mn__board_host(b, x);
        set(b, &b->filled[host], b->filled[host] + 1);
    }
}

/* ---- running -------------------------------------------------------------------------------- */

/* Whether nobody but node n will read x or what lies in it: then n may write over all of it. */
static bool is_read_only_by(const mn__board *b, uint32_t x, uint32_t n)
{
    const mn__lists *inputs = &b->values->inputs;
    const mn__lists *readers = &b->values->readers;
    for (uint32_t i = 0; i < mn__list_count(readers, x) && b->unread[x] > 0; i++)
        if (mn__list_of(readers, x)[i] != n && !b->done[mn__list_of(readers, x)[i]])
            return false;
    for (uint32_t i = 0; i < mn__list_count(inputs, x) && b->filled[x] > 0; i++) {
        uint32_t y = mn__list_of(inputs, x)[i];
        if (mn__board_host(b, y) == x && !is_read_only_by(b, y, n))
            return false;
    }
    return true;
}

bool mn__board_may_run(const mn__board *board, uint32_t node)
{
    if (is_concat(board, node))
        return true;
    const mn__lists *inputs = &board->values->inputs;
    for (uint32_t i = 0; i < mn__list_count(inputs, node); i++) {
        uint32_t x = mn__list_of(inputs, node)[i];
        if (mn__board_host(board, x) == node && !is_read_only_by(board, x, node))
            return false;
    }
    return true;
}

/* Whether all that is still to come for x's buffer are reads by n. */
static bool dies_with(const mn__board *b, uint32_t n, uint32_t x)
{
    const mn__lists *inputs = &b->values->inputs;
    uint32_t reads = 0;
    for (uint32_t i = 0; i < mn__list_count(inputs, n); i++)
        reads += b->root[mn__list_of(inputs, n)[i]] == x;
    return b->root[x] == x && b->left[x] == reads && !b->values->is_output[x];
}

bool mn__board_only_takes(const mn__board *b, uint32_t n)
{
    const mn__lists *inputs = &b->values->inputs;
    const mn__lists *hosts = &b->values->hosts;
    if (b->is_placed[n])
        return false;
    for (uint32_t i = 0; i < mn__list_count(hosts, n); i++)
        if (b->is_placed[mn__list_of(hosts, n)[i]])
            return false;
    for (uint32_t i = 0; i < mn__list_count(inputs, n); i++) {
        uint32_t root = b->root[mn__list_of(inputs, n)[i]];
        if (b->left[root] > mn__list_count(inputs, n) || b->values->is_output[root])
            continue;
        uint32_t reads = 0;
        for (uint32_t k = 0; k < mn__list_count(inputs, n); k++)
            reads += b->root[mn__list_of(inputs, n)[k]] == root;
        if (b->left[root] == reads)
            return false;
    }
    return true;
}

/* The input that n may write over, both having buffers of their own; MN_NONE when there is none. */
static uint32_t find_over(const mn__board *b, uint32_t n)
{
    const mn__lists *inputs = &b->values->inputs;
    if (b->values->needs->in_place_bytes[n] == MN__NOT_IN_PLACE)
        return MN_NONE;
    for (uint32_t i = 0; i < mn__list_count(inputs, n); i++) {
        uint32_t x = mn__list_of(inputs, n)[i];
        if (dies_with(b, n, x) && mn__values_fit_in_place(b->values, n, x))
            return x;
    }
    return MN_NONE;
}

/* Notes that node n is there, and the concats that need no step after it. */
static void complete(mn__board *b, uint32_t n)
{
    const mn__lists *inputs = &b->values->inputs;
    const mn__lists *readers = &b->values->readers;
    uint32_t depth = 0;
    b->stack[depth++] = n;
    while (depth > 0) {
        uint32_t made = b->stack[--depth];
        set(b, &b->done[made], 1);
        for (uint32_t i = 0; i < mn__list_count(inputs, made); i++) {
            uint32_t x = mn__list_of(inputs, made)[i];
            set(b, &b->unread[x], b->unread[x] - 1);
            count_down(b, x);
        }
        count_down(b, made);
        for (uint32_t i = 0; i < mn__list_count(readers, made); i++) {
            uint32_t r = mn__list_of(readers, made)[i];
            set(b, &b->missing[r], b->missing[r] - 1);
            if (b->missing[r] == 0 && is_concat(b, r) &&
                b->filled[r] == mn_graph_node(b->values->graph, r)->input_count)
                b->stack[depth++] = r;
        }
    }
}

size_t mn__board_run(mn__board *board, uint32_t n, const mn__placing *placing)
{
    const mn__needs *needs = board->values->needs;
    size_t before = board->live_bytes;
    uint32_t over = MN_NONE;
    if (!board->is_placed[n])
        place(board, placing);
    size_t during = board->live_bytes + needs->scratch_bytes[n];
    if (board->filled[n] > 0 && !is_concat(board, n)) {
        during = before + needs->in_place_bytes[n];
    } else if (board->root[n] == n && board->filled[n] == 0) {
        over = find_over(board, n);
        if (over != MN_NONE && before + needs->in_place_bytes[n] < during)
            during = before + needs->in_place_bytes[n];
        else
            over = MN_NONE;
    }
    if (board->move_count == 0)
        during += board->idle_bytes;
    board->moves[board->move_count++] = (mn__move){.node = n, .over = over};
    complete(board, n);
    return during;
}

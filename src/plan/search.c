/*
 * Best-first search over the boards of one segment.
 *
 * The key of a board is the most that was alive on the way to it or must come to be alive after it
 * (ahead.h), so that the first finished board that is taken from the queue is the best there is,
 * and the smallest key in the queue is a lower bound at any time. Boards of equal key are taken
 * deepest first, which makes the search dive when the bound is exact. Boards that say the same are
 * kept once.
 *
 * A board is kept as the few bytes of board_state.h; how it was reached is kept as the last move
 * and the board before, and is played again for the best one.
 */
#include "plan/search.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "plan/queue.h"

/* A board that was reached: from `parent`, settled at `level`, by running `node`. */
typedef struct visit {
    size_t key;
    size_t level;
    size_t live_bytes;
    uint32_t parent; /* MN_NONE: the start */
    uint32_t node;   /* MN_NONE: nothing but settled */
    uint32_t macro;  /* which of the ways to run it */
    uint32_t depth;  /* moves so far */
    bool is_judged;  /* the key has what must come after it */
    mn__watch watch; /* what was found then */
} visit;

typedef struct frontier {
    mn__search *search;
    mn__board *board;
    visit *visits;
    uint8_t *states; /* (visits, form.state_bytes) */
    uint32_t visit_count, visit_capacity;
    mn__queue queue;
    uint32_t *table; /* (table_size) visit plus one by hash of its state, 0 = free */
    uint32_t table_size;
    uint8_t *scratch; /* one state */
    uint32_t goal;    /* visit from which the best way's last board was reached, or MN_NONE */
    visit last;       /* that last board */
    uint32_t judged;  /* visits that were looked at */
    bool is_broken;   /* out of memory */
} frontier;

/* ---- visits --------------------------------------------------------------------------------- */

static uint8_t *state_of(const frontier *f, uint32_t v)
{
    return f->states + v * f->search->form.state_bytes;
}

static uint64_t hash_of(const uint8_t *state, size_t bytes)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ state[i]) * UINT64_C(1099511628211);
    return hash ^ hash >> 32;
}

/* The cell of the table where a state is, or where it belongs. */
static uint32_t *find_cell(const frontier *f, const uint8_t *state)
{
    size_t bytes = f->search->form.state_bytes;
    uint32_t at = (uint32_t)hash_of(state, bytes) & (f->table_size - 1);
    while (f->table[at] != 0 && memcmp(state_of(f, f->table[at] - 1), state, bytes) != 0)
        at = (at + 1) & (f->table_size - 1);
    return &f->table[at];
}

static bool grow(frontier *f)
{
    uint32_t capacity = f->visit_capacity == 0 ? 128 : 2 * f->visit_capacity;
    size_t bytes = 0;
    if (!mn_size_mul(capacity, f->search->form.state_bytes, &bytes))
        return false;
    visit *visits = realloc(f->visits, capacity * sizeof *visits);
    if (visits != NULL)
        f->visits = visits;
    uint8_t *states = realloc(f->states, bytes);
    if (states != NULL)
        f->states = states;
    uint32_t *table = mn_calloc((size_t)4 * capacity, sizeof *table);
    if (visits == NULL || states == NULL || table == NULL) {
        free(table);
        return false;
    }
    free(f->table);
    f->table = table;
    f->table_size = 4 * capacity;
    memset(f->visits + f->visit_capacity, 0, (capacity - f->visit_capacity) * sizeof *f->visits);
    f->visit_capacity = capacity;
    for (uint32_t v = 0; v < f->visit_count; v++)
        *find_cell(f, state_of(f, v)) = v + 1;
    return true;
}

/* Keeps the board as `v` unless it is known with as small a key, or cannot become better than the
 * best way. */
static void keep(frontier *f, visit v)
{
    mn__board_save(f->board, &f->search->form, f->scratch);
    if (f->visit_count == f->visit_capacity && !grow(f)) {
        f->is_broken = true;
        return;
    }
    uint32_t *cell = find_cell(f, f->scratch);
    uint32_t at = *cell - 1;
    if (*cell != 0 && f->visits[at].key <= v.key)
        return;
    if (*cell == 0) {
        at = f->visit_count++;
        *cell = at + 1;
        memcpy(state_of(f, at), f->scratch, f->search->form.state_bytes);
    }
    f->visits[at] = v;
    if (!mn__queue_push(
            &f->queue,
            (mn__queued){.key = v.key, .live_bytes = v.live_bytes, .depth = v.depth, .visit = at}))
        f->is_broken = true;
}

/* ---- moves ---------------------------------------------------------------------------------- */

/* Keeps the board, which was reached by running moves from visit `from`, or finds it finished. */
static void reach(frontier *f, visit v)
{
    mn__search *s = f->search;
    mn__board *b = f->board;
    if (v.key >= s->peak_bytes)
        return;
    (void)mn__settle(b, v.key);
    v.live_bytes = b->live_bytes;
    v.depth = b->move_count;
    if (mn__board_is_finished(b)) {
        s->peak_bytes = v.key;
        f->goal = v.parent;
        f->last = v;
    } else {
        keep(f, v);
    }
}

/* All ways to go on from the board, which was loaded from visit `from` and settled. */
static void expand(frontier *f, uint32_t from, size_t level, const mn__watch *watch)
{
    mn__board *b = f->board;
    mn__segment g = f->search->reach.segment;
    for (uint32_t n = g.first; n < g.end; n++) {
        mn__mark mark = mn__board_mark(b);
        for (uint32_t macro = 0; !f->is_broken && !b->is_broken; macro++) {
            size_t during = 0;
            mn__turn turn = mn__macro_run(b, n, macro, watch, &during, &f->search->is_cut);
            if (turn == MN__TURN_DONE)
                reach(f,
                      (visit){.key = mn_size_larger(level, during),
                              .level = level,
                              .parent = from,
                              .node = n,
                              .macro = macro});
            mn__board_take_back(b, mark);
            if (turn == MN__TURN_NONE)
                break;
        }
    }
}

/* Makes the moves of a visit on the board of the one before it. */
static void replay(mn__board *b, const visit *v)
{
    bool cut = false;
    size_t during = 0;
    (void)mn__settle(b, v->level);
    if (v->node == MN_NONE)
        return;
    (void)mn__macro_run(b, v->node, v->macro, NULL, &during, &cut);
    (void)mn__settle(b, mn_size_larger(v->level, during));
}

/* Plays the best way from the start, for the sake of its moves. */
static mn_status play_goal(frontier *f, mn_error *err)
{
    uint32_t depth = 0;
    for (uint32_t v = f->goal; v != MN_NONE; v = f->visits[v].parent)
        depth++;
    uint32_t *way = mn_calloc(depth, sizeof *way);
    if (way == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    uint32_t at = depth;
    for (uint32_t v = f->goal; v != MN_NONE; v = f->visits[v].parent)
        way[--at] = v;
    mn__search_reset(f->search, f->board, f->scratch);
    for (uint32_t i = 0; i < depth; i++)
        if (f->visits[way[i]].parent != MN_NONE)
            replay(f->board, &f->visits[way[i]]);
    replay(f->board, &f->last);
    free(way);
    if (!mn__board_is_finished(f->board))
        return mn_error_set(err, MN_ERR_INTERNAL, "plan: the best order cannot be played again");
    mn__search_record(f->search, f->board, f->search->peak_bytes);
    return MN_OK;
}

/* Looks ahead from the board of a visit, once. False when its key has risen by that. */
static bool judge(frontier *f, mn__queued *q)
{
    visit *v = &f->visits[q->visit];
    if (v->is_judged)
        return true;
    v->is_judged = true;
    f->judged++;
    mn__ahead *a = &f->search->ahead;
    a->limit = f->search->peak_bytes;
    size_t ahead = mn__ahead_bytes(a, f->board);
    v->watch = (mn__watch){.ahead = a, .brink = a->brink};
    for (uint32_t i = 0; i < MN__MOST_TOPS; i++)
        v->watch.shut[i] = i < a->top_count && a->opened[i] >= a->limit ? a->tops[i] : MN_NONE;
    if (ahead <= q->key)
        return true;
    q->key = ahead;
    v->key = ahead;
    if (ahead < f->search->peak_bytes)
        f->is_broken = !mn__queue_push(&f->queue, *q) || f->is_broken;
    return false;
}

static void run_queue(frontier *f, size_t enough_bytes, uint32_t max_states)
{
    mn__search *s = f->search;
    while (s->peak_bytes > enough_bytes && s->peak_bytes > s->lower_bound_bytes) {
        if (f->queue.count == 0) {
            if (!s->is_cut && f->board->policy == MN__PLACE_FREELY)
                s->lower_bound_bytes = s->peak_bytes;
            return;
        }
        mn__queued q = mn__queue_pop(&f->queue);
        if (f->visits[q.visit].key != q.key)
            continue;
        if (!s->is_cut && f->board->policy == MN__PLACE_FREELY)
            s->lower_bound_bytes =
                mn_size_larger(s->lower_bound_bytes, q.key < s->peak_bytes ? q.key : s->peak_bytes);
        if (q.key >= s->peak_bytes)
            return;
        if (f->judged >= max_states || f->is_broken || f->board->is_broken)
            return;
        mn__board_load(f->board, &s->form, state_of(f, q.visit));
        if (!judge(f, &q))
            continue;
        size_t level = mn_size_larger(q.key, enough_bytes); /* whatever needs no more is as good */
        uint32_t moves = f->board->move_count;
        (void)mn__settle(f->board, level);
        mn__watch watch = f->visits[q.visit].watch;
        watch.limit = s->peak_bytes;
        for (uint32_t i = 0; i < MN__MOST_TOPS && f->board->move_count != moves; i++)
            watch.shut[i] = MN_NONE;           /* it was about the step that was made now */
        if (mn__board_is_finished(f->board)) { /* a higher level lets more moves be made at once */
            s->peak_bytes = level;
            f->goal = q.visit;
            f->last = (visit){.level = level, .node = MN_NONE};
        } else {
            expand(f, q.visit, level, &watch);
        }
    }
}

static mn_status
run_once(mn__search *s, mn__board *board, size_t enough_bytes, uint32_t max_states, mn_error *err)
{
    frontier f = {.search = s, .board = board, .goal = MN_NONE};
    mn_status status = MN_OK;
    f.scratch = mn_calloc(s->form.state_bytes, 1);
    if (f.scratch == NULL || !grow(&f)) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    mn__search_reset(s, board, f.scratch);
    keep(&f, (visit){.key = s->lower_bound_bytes, .parent = MN_NONE});
    bool found = false;
    size_t before = s->peak_bytes;
    run_queue(&f, enough_bytes, max_states);
    found = s->peak_bytes < before;
    s->states += f.judged;
    if (f.is_broken || board->is_broken)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    else if (found)
        status = play_goal(&f, err);
done:
    free(f.visits);
    free(f.states);
    mn__queue_done(&f.queue);
    free(f.table);
    free(f.scratch);
    return status;
}

mn_status mn__search_run(
    mn__search *s, mn__board *board, size_t enough_bytes, uint32_t max_states, mn_error *err)
{
    /* The restricted searches find good ways soon, and only the last one proves. */
    static const struct {
        mn__policy policy;
        uint32_t eighths; /* of max_states, at most */
    } turns[] = {{MN__PLACE_EARLY, 1}, {MN__PLACE_LATE, 5}, {MN__PLACE_FREELY, 8}};
    mn_status status = MN_OK;
    uint32_t left = max_states;
    for (size_t i = 0; i < sizeof turns / sizeof turns[0] && status == MN_OK &&
                       s->peak_bytes > enough_bytes && s->peak_bytes > s->lower_bound_bytes;
         i++) {
        uint32_t share = (uint32_t)((uint64_t)max_states * turns[i].eighths / 8);
        uint32_t before = s->states;
        board->policy = turns[i].policy;
        status = run_once(s, board, enough_bytes, share < left ? share : left, err);
        uint32_t used = s->states - before;
        left -= used < left ? used : left;
    }
    board->policy = MN__PLACE_FREELY;
    return status;
}

/*
 * Is there a placement within `target` bytes? Asked for the peak, and when that is refuted for the
 * next arena that could do, until one is found or the greedy one is reached.
 *
 * Every placement can be pushed down until each piece lies at 0 or directly on another that is
 * alive with it; only such placements are looked at. The floor of a column is where its lowest
 * piece that is not placed yet can lie at the earliest. A valley is a run of columns with equal
 * floors h between higher ones. Take any column c of a valley. Its lowest open piece lies
 *   - at h: then it is one of those whose lifetime is inside the valley; or
 *   - higher: then it lies on a piece that does not meet column c, which says how high at least,
 *     and the floor of c rises to there.
 * These cases are the branches. Where no open piece crosses from one column to the next the two
 * sides are problems of their own: when one cannot be solved, the other's ways are not tried.
 *
 * Invariant: floors only rise on the way down; the trail takes back what a branch has changed. All
 * is decided by sizes, lifetimes and the number of states, never by the clock.
 */
#include "plan/offsets_exact.h"

#include <stdlib.h>

#include "base/size.h"

/* A wrong first decision may cost any number of states that another sequence of the branches never
 * sees, so each sequence has few at first, and then twice as many as the one before. */
static const uint64_t first_budget = 256;
/* Bounds the stack. Pieces and raised floors on the way to a solution are fewer. */
static const uint32_t most_depth = 2000;
/* Changes on one way, as a multiple of columns and pieces: five to eight were ever seen. */
static const size_t trail_factor = 32;

/* The floor of a column all of whose pieces are placed. */
static const size_t wall = SIZE_MAX;

typedef enum prefer { LONG_ONES, LARGE_AREAS, LARGE_ONES, PREFERENCES } prefer;

typedef struct change {
    uint32_t what; /* a column; behind these, a piece */
    size_t floor;  /* that the column had */
} change;

typedef struct search {
    mn__core *core;
    size_t *floors;     /* (columns) */
    size_t *heights;    /* (columns) what a column needs at least */
    uint32_t *by_floor; /* (pieces) scratch */
    change *trail;
    size_t trail_count;
    size_t trail_room;
    size_t target;
    size_t next_target; /* the least arena that could do for what `target` was too small for */
    uint64_t states;
    uint64_t end_states;
    uint32_t depth;
    bool is_spent; /* gives up, and nothing is refuted */
} search;

static bool solve(search *s, uint32_t left, uint32_t right);

/* ---- changes and how they are taken back ----------------------------------------------------- */

static bool note(search *s, uint32_t what, size_t floor)
{
    if (s->trail_count == s->trail_room) {
        s->is_spent = true;
        return false;
    }
    s->trail[s->trail_count++] = (change){.what = what, .floor = floor};
    return true;
}

static void raise_floor(search *s, uint32_t column, size_t floor)
{
    if (note(s, column, s->floors[column]))
        s->floors[column] = floor;
}

static void put_down(search *s, uint32_t piece, size_t offset)
{
    mn__piece *p = &s->core->pieces[piece];
    if (!note(s, s->core->column_count + piece, 0))
        return;
    p->placed = true;
    p->offset = offset;
    for (uint32_t c = p->first; c <= p->last; c++)
        raise_floor(s, c, offset + p->bytes);
}

static void take_back(search *s, size_t trail_count)
{
    while (s->trail_count > trail_count) {
        change last = s->trail[--s->trail_count];
        if (last.what < s->core->column_count)
            s->floors[last.what] = last.floor;
        else
            s->core->pieces[last.what - s->core->column_count].placed = false;
    }
}

/* ---- what follows from the floors ------------------------------------------------------------ */

static size_t floor_of(const search *s, const mn__piece *p)
{
    size_t floor = 0;
    for (uint32_t c = p->first; c <= p->last; c++)
        if (s->floors[c] > floor)
            floor = s->floors[c];
    return floor;
}

/* Lists a column's open pieces by rising floor. */
static uint32_t list_open(search *s, uint32_t column)
{
    const mn__core *core = s->core;
    uint32_t count = 0;
    for (uint32_t i = core->lists[column]; i < core->lists[column + 1]; i++) {
        const mn__piece *p = &core->pieces[core->members[i]];
        if (p->placed)
            continue;
        uint32_t at = count++;
        for (; at > 0 && core->pieces[s->by_floor[at - 1]].floor > p->floor; at--)
            s->by_floor[at] = s->by_floor[at - 1];
        s->by_floor[at] = core->members[i];
    }
    return count;
}

/* What lies in a column above its floor lies one on another, none below its own floor: stacked by
 * rising floor they end lowest (as jobs with release times on one machine). Tells whether that is
 * within the target, and raises the column's floor to that of the first. */
static bool tighten_column(search *s, uint32_t column, bool *ret_raised)
{
    uint32_t count = list_open(s, column);
    size_t height = 0;
    if (count == 0) {
        raise_floor(s, column, wall);
        return true;
    }
    for (uint32_t i = 0; i < count; i++) {
        const mn__piece *p = &s->core->pieces[s->by_floor[i]];
        height = p->floor > height ? p->floor : height;
        if (!mn_size_add(height, p->bytes, &height))
            return false;
    }
    s->heights[column] = height;
    if (height > s->target) {
        s->next_target = height < s->next_target ? height : s->next_target;
        return false;
    }
    size_t lowest = s->core->pieces[s->by_floor[0]].floor;
    if (lowest > s->floors[column]) {
        raise_floor(s, column, lowest);
        *ret_raised = true;
    }
    return true;
}

/* Raises floors until nothing more follows. Returns false when some column cannot be done. */
static bool tighten(search *s, uint32_t left, uint32_t right)
{
    const mn__core *core = s->core;
    for (bool raised = true; raised && !s->is_spent;) {
        raised = false;
        for (uint32_t i = core->starts[left]; i < core->starts[right + 1]; i++)
            if (!core->pieces[i].placed)
                core->pieces[i].floor = floor_of(s, &core->pieces[i]);
        for (uint32_t c = left; c <= right; c++)
            if (s->floors[c] != wall && !tighten_column(s, c, &raised))
                return false;
    }
    return !s->is_spent;
}

/* ---- branches -------------------------------------------------------------------------------- */

/* The column with the least room to spare among those in valleys: there is always a valley, as
 * what is left and right of an open stretch is never touched by its pieces. */
static uint32_t choose_column(const search *s, uint32_t left, uint32_t right)
{
    uint32_t best = MN_NONE;
    for (uint32_t from = left; from <= right;) {
        uint32_t to = from;
        while (to < right && s->floors[to + 1] == s->floors[from])
            to++;
        bool is_valley = (from == left || s->floors[from - 1] > s->floors[from]) &&
                         (to == right || s->floors[to + 1] > s->floors[from]);
        for (uint32_t c = from; is_valley && c <= to; c++)
            if (best == MN_NONE || s->heights[c] > s->heights[best])
                best = c;
        from = to + 1;
    }
    return best;
}

/* The least top of an open piece that meets `p` but not the column: what p could be lifted by. */
static size_t lowest_support(const search *s, const mn__piece *p, uint32_t column)
{
    const mn__core *core = s->core;
    size_t lowest = wall;
    for (uint32_t c = p->first; c <= p->last; c++) {
        for (uint32_t i = core->lists[c]; i < core->lists[c + 1]; i++) {
            const mn__piece *k = &core->pieces[core->members[i]];
            bool meets_column = k->first <= column && column <= k->last;
            if (!k->placed && !meets_column && k->floor + k->bytes < lowest)
                lowest = k->floor + k->bytes;
        }
    }
    return lowest;
}

/* How high the lowest open piece of the column lies at least, when not at its floor; `wall` when
 * all would fall back onto it. */
static size_t next_floor(const search *s, uint32_t column)
{
    const mn__core *core = s->core;
    size_t next = wall;
    for (uint32_t i = core->lists[column]; i < core->lists[column + 1]; i++) {
        const mn__piece *p = &core->pieces[core->members[i]];
        if (p->placed)
            continue;
        size_t at = p->floor > s->floors[column] ? p->floor : lowest_support(s, p, column);
        next = at < next ? at : next;
    }
    return next;
}

/* Whether a is tried before b. Pieces that are interchangeable follow one another. */
static bool is_before(const mn__piece *a, const mn__piece *b)
{
    if (a->key != b->key)
        return a->key > b->key;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes;
    if (a->first != b->first)
        return a->first < b->first;
    if (a->last != b->last)
        return a->last < b->last;
    return a < b;
}

/* Of interchangeable pieces only the first is tried. */
static bool comes_after(const mn__piece *p, const mn__piece *tried)
{
    if (tried == NULL)
        return true;
    bool is_twin = p->bytes == tried->bytes && p->first == tried->first && p->last == tried->last;
    return !is_twin && is_before(tried, p);
}

/* The open piece to be tried after `tried` at the floor of the column; NULL behind the last. */
static const mn__piece *next_candidate(const search *s, uint32_t column, const mn__piece *tried)
{
    const mn__core *core = s->core;
    const mn__piece *best = NULL;
    for (uint32_t i = core->lists[column]; i < core->lists[column + 1]; i++) {
        const mn__piece *p = &core->pieces[core->members[i]];
        if (!p->placed && comes_after(p, tried) && (best == NULL || is_before(p, best)) &&
            floor_of(s, p) == s->floors[column])
            best = p;
    }
    return best;
}

static bool branch(search *s, uint32_t left, uint32_t right)
{
    uint32_t column = choose_column(s, left, right);
    size_t raised = next_floor(s, column); /* now, while the pieces' floors are those of here */
    size_t mark = s->trail_count;
    const mn__piece *p = NULL;
    while ((p = next_candidate(s, column, p)) != NULL) {
        put_down(s, (uint32_t)(p - s->core->pieces), s->floors[column]);
        if (solve(s, left, right))
            return true;
        take_back(s, mark);
        if (s->is_spent)
            return false;
    }
    if (raised == wall)
        return false;
    raise_floor(s, column, raised);
    if (solve(s, left, right))
        return true;
    take_back(s, mark);
    return false;
}

/* Places the open pieces between two columns, both included, which no open piece crosses. Leaves
 * all as it was when that cannot be done or the states are spent. */
static bool solve(search *s, uint32_t left, uint32_t right)
{
    const mn__core *core = s->core;
    size_t mark = s->trail_count;
    if (s->states >= s->end_states || s->depth >= most_depth) {
        s->is_spent = true;
        return false;
    }
    s->states++;
    s->depth++;
    bool good = tighten(s, left, right);
    uint32_t from = MN_NONE; /* where the present stretch of open pieces begins */
    uint32_t reach = 0;
    for (uint32_t c = left; c <= right && good; c++) {
        for (uint32_t i = core->starts[c]; i < core->starts[c + 1]; i++) {
            if (core->pieces[i].placed)
                continue;
            from = from == MN_NONE ? c : from;
            reach = core->pieces[i].last > reach ? core->pieces[i].last : reach;
        }
        if (from == MN_NONE || reach > c)
            continue;
        good = branch(s, from, c);
        from = MN_NONE;
    }
    s->depth--;
    if (!good)
        take_back(s, mark);
    return good;
}

/* ---- targets and sequences ------------------------------------------------------------------- */

static void set_keys(mn__core *core, prefer what)
{
    for (uint32_t i = 0; i < core->piece_count; i++) {
        mn__piece *p = &core->pieces[i];
        uint64_t length = (uint64_t)p->last - p->first + 1;
        p->key = what == LARGE_ONES ? p->bytes : length;
        /* saturates: a wrong sequence would only be a slower one */
        if (what == LARGE_AREAS && __builtin_mul_overflow(length, (uint64_t)p->bytes, &p->key))
            p->key = UINT64_MAX;
    }
}

static void search_all(search *s, size_t arena_bytes, uint64_t max_states, mn__verdict *v)
{
    uint64_t budget = first_budget;
    for (int way = 0; !v->found && v->lower_bytes < arena_bytes && s->states < max_states; way++) {
        set_keys(s->core, (prefer)(way % PREFERENCES));
        s->end_states = max_states - s->states > budget ? s->states + budget : max_states;
        s->is_spent = false;
        budget *= 2;
        while (!v->found && v->lower_bytes < arena_bytes && !s->is_spent) {
            s->target = v->lower_bytes;
            s->next_target = SIZE_MAX;
            v->found = s->core->piece_count == 0 || solve(s, 0, s->core->column_count - 1);
            if (!v->found && !s->is_spent)
                v->lower_bytes = s->next_target;
        }
    }
    v->states = s->states;
}

mn_status mn__offsets_exact(mn__core *core,
                            size_t lower_bytes,
                            size_t arena_bytes,
                            uint64_t max_states,
                            mn__verdict *ret_verdict,
                            mn_error *err)
{
    mn_status status = MN_OK;
    search s = {.core = core};
    s.trail_room = trail_factor * ((size_t)core->column_count + core->piece_count);
    s.floors = mn_calloc(core->column_count, sizeof *s.floors);
    s.heights = mn_calloc(core->column_count, sizeof *s.heights);
    s.by_floor = mn_calloc(core->piece_count, sizeof *s.by_floor);
    s.trail = mn_calloc(s.trail_room, sizeof *s.trail);
    if (s.floors == NULL || s.heights == NULL || s.by_floor == NULL || s.trail == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    *ret_verdict = (mn__verdict){.lower_bytes = lower_bytes};
    search_all(&s, arena_bytes, max_states, ret_verdict);
done:
    free(s.floors);
    free(s.heights);
    free(s.by_floor);
    free(s.trail);
    return status;
}

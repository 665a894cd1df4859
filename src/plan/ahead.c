/*
 * For each kernel u that has not run, the bytes that lie in memory while it runs:
 *
 *  - every buffer that is alive now and that u, or something that must run after u, still touches;
 *  - every value that must be made before u and is read by u or by something that must run after
 *    it. As nobody knows yet where it will lie, it counts with its own bytes, and not at all when
 *    it may come to lie in a buffer that is alive already;
 *  - u's result, unless it may lie on an input or in a buffer that is alive already, and scratch.
 *
 * A concat that is not there yet counts in place of its parts, which may be nothing but its slices.
 */
#include "plan/ahead_inner.h"

#include <string.h>

/* The buffer `root` is needed while node e runs, and while all runs that must come before e. */
static void add_event(mn__ahead *a, uint32_t root, uint32_t e)
{
    const mn__reach *r = a->reach;
    uint64_t *held = a->held_during + (size_t)mn__row_of(r, root) * r->words;
    const uint64_t *before = mn__reach_row(r, r->before, e);
    for (uint32_t w = 0; w < r->words; w++)
        held[w] |= before[w];
    held[(e - r->segment.first) / 64] |= UINT64_C(1) << ((e - r->segment.first) % 64);
}

/* Adds what still touches x's buffer. */
static void add_events(mn__ahead *a, const mn__board *b, uint32_t x)
{
    const mn__lists *readers = &b->values->readers;
    uint32_t root = b->root[x];
    if (!b->done[x])
        add_event(a, root, x);
    for (uint32_t i = 0; i < mn__list_count(readers, x) && b->unread[x] > 0; i++) {
        uint32_t e = mn__list_of(readers, x)[i];
        if (e < a->reach->segment.end && !b->done[e])
            add_event(a, root, e);
    }
}

/* Fills `alive` with the roots of buffers that are alive, `held_during` with when they must be. */
static uint32_t find_alive(mn__ahead *a, const mn__board *b)
{
    const mn__reach *r = a->reach;
    uint32_t count = 0;
    bool incoming = r->segment.incoming != MN_NONE && mn__board_is_alive(b, r->segment.incoming);
    for (uint32_t i = incoming ? 0 : 1; i <= r->count; i++) {
        uint32_t x = i == 0 ? r->segment.incoming : r->segment.first + i - 1;
        if (!b->is_placed[x] || b->root[x] != x || !mn__board_is_alive(b, x))
            continue;
        a->alive[count++] = x;
        memset(a->held_during + (size_t)mn__row_of(r, x) * r->words,
               0,
               r->words * sizeof *a->held_during);
    }
    for (uint32_t i = incoming ? 0 : 1; i <= r->count; i++) {
        uint32_t x = i == 0 ? r->segment.incoming : r->segment.first + i - 1;
        if (b->is_placed[x] && mn__board_is_alive(b, b->root[x]))
            add_events(a, b, x);
    }
    return count;
}

/* From the last value back: hosts, and what a value becomes, come behind it. */
void mn__ahead_find_in_alive(const mn__ahead *a, const mn__board *b)
{
    const mn__reach *r = a->reach;
    const mn__lists *hosts = &b->values->hosts;
    const uint32_t first = r->segment.first;
    for (uint32_t x = r->segment.end; x-- > first;) {
        uint32_t next = a->next[x - first];
        uint8_t found = 0;
        for (uint32_t i = 0; i < mn__list_count(hosts, x) && !found; i++) {
            uint32_t h = mn__list_of(hosts, x)[i];
            found = b->is_placed[h] || (h < r->segment.end && a->in_alive[h - first]);
        }
        a->in_alive[x - first] = found;
        a->way_in_alive[x - first] = found || (next != MN_NONE && a->way_in_alive[next - first]);
    }
}

typedef struct sum {
    size_t own;   /* of whole buffers */
    size_t parts; /* of values that may be slices, not rounded */
    uint32_t top; /* what may lie in this concat counts nothing; MN_NONE = in none */
} sum;

/* Adds what a value that has no place yet takes at least: all of its buffer, or its part of one. */
static void add_value(const mn__ahead *a, const mn__board *b, uint32_t x, sum *s)
{
    uint32_t top = a->top[x - a->reach->segment.first];
    if (s->top != MN_NONE && (top == s->top || top == MN__SEVERAL))
        return;
    if (mn__list_count(&b->values->hosts, x) == 0)
        s->own += b->values->bytes[x];
    else if (!mn__may_lie_in_alive(a, x))
        s->parts += b->values->needs->value_bytes[x];
}

static size_t total(const mn__ahead *a, sum s)
{
    size_t align = a->reach->values->needs->align;
    size_t rest = s.parts % align;
    return s.own + s.parts + (rest == 0 ? 0 : align - rest);
}

/* The buffers that are alive now and needed while u runs or later. */
static size_t bytes_held(const mn__ahead *a, uint32_t alive, uint32_t u)
{
    const mn__reach *r = a->reach;
    uint32_t bit = u - r->segment.first;
    size_t bytes = 0;
    for (uint32_t i = 0; i < alive; i++) {
        uint32_t root = a->alive[i];
        if (mn__set_has(a->held_during + (size_t)mn__row_of(r, root) * r->words, bit) ||
            mn__is_kept(r, root))
            bytes += r->values->bytes[root];
    }
    return bytes;
}

/* While u runs. With `top`, a concat that has no place yet, what may lie in it does not count. */
size_t
mn__bytes_during(const mn__ahead *a, const mn__board *b, size_t held, uint32_t u, uint32_t top)
{
    const mn__reach *r = a->reach;
    const mn__needs *needs = r->values->needs;
    uint32_t local = u - r->segment.first;
    sum s = {.own = held, .top = top};
    size_t scratch = needs->scratch_bytes[u];
    for (uint32_t i = a->during.start[local]; i < a->during.start[local + 1]; i++)
        if (!b->is_placed[a->during.items[i]])
            add_value(a, b, a->during.items[i], &s);
    if (a->may_write_over[local])
        scratch = needs->in_place_bytes[u] < scratch ? needs->in_place_bytes[u] : scratch;
    else if (!b->is_placed[u])
        add_value(a, b, u, &s);
    s.own += scratch;
    return total(a, s);
}

/* While concat k copies, given that it has no place before kernel u runs (MN_NONE: before now):
 * those of its inputs that are made by then lie elsewhere. 0 when there are none. */
static size_t
bytes_copying(const mn__ahead *a, const mn__board *b, size_t held, uint32_t k, uint32_t u)
{
    const mn__reach *r = a->reach;
    const mn__lists *inputs = &b->values->inputs;
    sum s = {.own = held, .top = MN_NONE};
    bool copies = false;
    add_value(a, b, k, &s);
    for (uint32_t i = 0; i < mn__list_count(inputs, k); i++) {
        uint32_t x = mn__list_of(inputs, k)[i];
        bool is_there = b->done[x] && mn__board_host(b, x) != k;
        bool will_be = u != MN_NONE && x >= r->segment.first && !b->is_placed[x] &&
                       mn__set_has(mn__reach_row(r, r->before, u), x - r->segment.first);
        copies = copies || is_there || will_be;
        if (will_be && mn__list_count(&b->values->hosts, x) == 1) /* may lie in no other input */
            add_value(a, b, x, &s);
    }
    return copies ? total(a, s) : 0;
}

/* Finds the concats that could hold slices but have no place yet. Returns what must be alive while
 * they copy what lies elsewhere. */
static size_t look_at_concats(mn__ahead *a, const mn__board *b, uint32_t alive)
{
    const mn__reach *r = a->reach;
    size_t most = 0;
    a->top_count = 0;
    for (uint32_t k = r->segment.first; k < r->segment.end; k++) {
        if (b->done[k] || b->is_placed[k] || mn__values_prim(r->values, k) != MN_PRIM_CONCAT)
            continue;
        size_t held = bytes_held(a, alive, k);
        most = mn_size_larger(most, bytes_copying(a, b, held, k, MN_NONE));
        if (mn__list_count(&r->values->hosts, k) > 0 || a->top_count == MN__MOST_TOPS)
            continue;
        a->tops[a->top_count] = k;
        a->opened[a->top_count] = 0;
        a->held[a->top_count++] = held;
    }
    return most;
}

/* While u runs, either the concat is there already or it copies later what was made before u.
 * Returns the smaller of the two if it may be more than `most`, else anything less. */
static size_t
bytes_either(mn__ahead *a, const mn__board *b, const mn__demand *u, uint32_t top, size_t most)
{
    const mn__reach *r = a->reach;
    uint32_t k = a->tops[top];
    size_t there = r->values->bytes[k] + u->during;
    if ((there <= most && there < a->limit) ||
        !mn__set_has(mn__reach_row(r, r->before, k), u->node - r->segment.first))
        return 0;
    there = r->values->bytes[k] + mn__bytes_during(a, b, u->held, u->node, k);
    a->opened[top] = mn_size_larger(a->opened[top], there);
    if (there >= a->limit && k == a->brink.top)
        mn__note_brink(&a->brink, u->node, u->during);
    return there <= most ? 0
                         : mn_size_smaller(there, bytes_copying(a, b, a->held[top], k, u->node));
}

size_t mn__ahead_bytes(mn__ahead *ahead, const mn__board *board)
{
    const mn__reach *r = ahead->reach;
    if (r->words == 0)
        return 0;
    uint32_t alive = find_alive(ahead, board);
    mn__ahead_find_in_alive(ahead, board);
    size_t most = look_at_concats(ahead, board, alive);
    ahead->alive_count = alive;
    ahead->brink.count = 0;
    mn__ranking ranked = {.top =
                              ahead->top_count > 0 ? ahead->tops[ahead->top_count - 1] : MN_NONE};
    ahead->brink.top = ranked.top;
    for (uint32_t n = r->segment.first; n < r->segment.end; n++) {
        if (board->done[n] || !mn__is_kernel(r, n))
            continue;
        mn__demand u = {.node = n, .held = bytes_held(ahead, alive, n)};
        u.during = mn__bytes_during(ahead, board, u.held, n, MN_NONE);
        uint32_t end = ahead->end[n - r->segment.first];
        most = mn_size_larger(most, u.during);
        if (ranked.top != MN_NONE && end != MN_NONE &&
            ahead->top[end - r->segment.first] == ranked.top)
            mn__rank(&ranked, u);
        for (uint32_t i = 0; i < ahead->top_count; i++)
            most = mn_size_larger(most, bytes_either(ahead, board, &u, i, most));
    }
    return ranked.count > 0 ? mn__bytes_of_last(ahead, board, &ranked, most) : most;
}

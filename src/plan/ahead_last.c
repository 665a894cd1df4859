/*
 * What several kernels need together. Of any set of kernels one is the last to run, and by then
 * each of the others has left something: its value, or what became of it on its way into a concat.
 * As long as that concat has no place, this lies in buffers of its own, unless something on the way
 * may lie in a buffer that is alive already, as a part of another concat: then it counts nothing.
 */
#include "plan/ahead_inner.h"

void mn__rank(mn__ranking *k, mn__demand kernel)
{
    uint32_t at = k->count;
    if (at == MN__MOST_RANKED && k->kernels[at - 1].during >= kernel.during)
        return;
    at = at == MN__MOST_RANKED ? at - 1 : at;
    for (; at > 0 && k->kernels[at - 1].during < kernel.during; at--)
        k->kernels[at] = k->kernels[at - 1];
    k->kernels[at] = kernel;
    k->count += k->count < MN__MOST_RANKED;
}

enum { MOST_WAYS = 64 };

/* What lies in memory of values on their ways to the concat: one thing for each end. */
typedef struct ways {
    uint32_t count;
    uint32_t ends[MOST_WAYS];
    size_t bytes[MOST_WAYS];
} ways;

/* Adds the way of kernel h; of ways that meet one thing is left. More than there is room for do
 * without, which makes the bound lower and keeps it one. */
static void add_way(const mn__ahead *a, ways *w, uint32_t h)
{
    uint32_t at = h - a->reach->segment.first;
    uint32_t i = 0;
    if (a->way_in_alive[at])
        return;
    while (i < w->count && w->ends[i] != a->end[at])
        i++;
    if (i < w->count) {
        w->bytes[i] = mn_size_smaller(w->bytes[i], a->thread_bytes[at]);
    } else if (w->count < MOST_WAYS) {
        w->ends[w->count] = a->end[at];
        w->bytes[w->count++] = a->thread_bytes[at];
    }
}

static bool has_way(const ways *w, uint32_t end)
{
    for (uint32_t i = 0; i < w->count; i++)
        if (w->ends[i] == end)
            return true;
    return false;
}

/* Rounded down, so that it can be added to a sum that was rounded up. */
static size_t sum_of(const mn__ahead *a, const ways *w)
{
    size_t align = a->reach->values->needs->align;
    size_t sum = 0;
    for (uint32_t i = 0; i < w->count; i++)
        sum += w->bytes[i];
    return sum / align * align;
}

static bool leads_to(const mn__ahead *a, uint32_t x, uint32_t top)
{
    const mn__reach *r = a->reach;
    uint32_t end = x < r->segment.first ? MN_NONE : a->end[x - r->segment.first];
    return end != MN_NONE && a->top[end - r->segment.first] == top;
}

/* What the first `count` ranked kernels, all run but `last`, left on their ways. False when another
 * one must run after `last`. */
static bool
find_left(const mn__ahead *a, const mn__ranking *k, uint32_t count, uint32_t last, ways *ret)
{
    const mn__reach *r = a->reach;
    uint32_t first = r->segment.first;
    uint32_t u = k->kernels[last].node;
    ret->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t h = k->kernels[i].node;
        if (h == u)
            continue;
        if (mn__set_has(mn__reach_row(r, r->before, h), u - first))
            return false;
        if (a->end[h - first] != a->end[u - first] &&
            !mn__set_has(mn__reach_row(r, r->before, u), h - first))
            add_way(a, ret, h);
    }
    return true;
}

/* What kernel n takes for its result at least, as long as the concat has no place. */
static size_t result_bytes(const mn__ahead *a, const mn__board *b, uint32_t n)
{
    const mn__reach *r = a->reach;
    if (!mn__is_kernel(r, n) || a->may_write_over[n - r->segment.first] || b->is_placed[n] ||
        mn__may_lie_in_alive(a, n))
        return 0;
    return b->values->needs->value_bytes[n];
}

static bool is_in(const mn__ranking *k, uint32_t count, uint32_t n)
{
    for (uint32_t i = 0; i < count; i++)
        if (k->kernels[i].node == n)
            return true;
    return false;
}

/*
 * The last of the ranked kernels, u, reads one value x, and one kernel reads u. If other kernels
 * have still to read x, either all of them run before u and leave something too, or x is there
 * until after u: then the first step from there on that reads x or u's value has both beside its
 * result. Returns the smaller of the two, 0 when nothing is known.
 */
static size_t bytes_around_last(
    const mn__ahead *a, const mn__board *b, const mn__ranking *k, uint32_t count, uint32_t last)
{
    const mn__reach *r = a->reach;
    const mn__values *v = r->values;
    const mn__demand *u = &k->kernels[last];
    size_t align = v->needs->align;
    uint32_t first = r->segment.first;
    if (mn__list_count(&v->inputs, u->node) != 1 || mn__list_count(&v->readers, u->node) != 1)
        return 0;
    uint32_t x = mn__list_of(&v->inputs, u->node)[0];
    uint32_t next = mn__list_of(&v->readers, u->node)[0];
    if (!b->is_placed[x] || b->root[x] != x || next >= r->segment.end)
        return 0;
    ways before = {0};
    (void)find_left(a, k, count, last, &before);
    ways after = before;
    for (uint32_t i = 0; i < a->alive_count; i++)
        if (a->alive[i] != x && leads_to(a, a->alive[i], k->top) &&
            a->end[a->alive[i] - first] != a->end[u->node - first])
            add_way(a, &after, a->alive[i]);
    size_t result = result_bytes(a, b, next);
    size_t left = sum_of(a, &before);
    uint32_t others = 0;
    for (uint32_t i = 0; i < mn__list_count(&v->readers, x); i++) {
        uint32_t other = mn__list_of(&v->readers, x)[i];
        if (other >= r->segment.end)
            return 0;
        if (b->done[other] || is_in(k, count, other) || other == next ||
            mn__set_has(mn__reach_row(r, r->before, u->node), other - first))
            continue;
        others++;
        result = mn_size_smaller(result, result_bytes(a, b, other));
        if (leads_to(a, other, k->top) && a->end[other - first] != a->end[u->node - first] &&
            !has_way(&before, a->end[other - first]))
            add_way(a, &before, other);
    }
    if (others == 0)
        return 0;
    size_t all_before = u->during + mn_size_larger(left, sum_of(a, &before));
    size_t own = result_bytes(a, b, u->node) / align * align;
    size_t beside = result / align * align + sum_of(a, &after);
    return mn_size_smaller(all_before,
                           v->bytes[x] + own + mn_size_smaller(beside, v->bytes[k->top]));
}

size_t mn__bytes_of_last(const mn__ahead *a, const mn__board *b, const mn__ranking *k, size_t most)
{
    size_t whole = b->values->bytes[k->top];
    for (uint32_t count = 1; count <= k->count; count++) {
        size_t least = SIZE_MAX;
        for (uint32_t i = 0; i < count && least > most; i++) {
            const mn__demand *u = &k->kernels[i];
            ways left;
            if (!find_left(a, k, count, i, &left))
                continue;
            size_t apart =
                mn_size_larger(u->during + sum_of(a, &left), bytes_around_last(a, b, k, count, i));
            if (apart > most)
                apart = mn_size_smaller(apart,
                                        whole + mn__bytes_during(a, b, u->held, u->node, k->top));
            least = mn_size_smaller(least, apart);
        }
        if (least != SIZE_MAX)
            most = mn_size_larger(most, least);
    }
    return most;
}

void mn__note_brink(mn__brink *k, uint32_t u, size_t during)
{
    uint32_t at = k->count;
    if (at == MN__MOST_BRINKS && k->bytes[at - 1] >= during)
        return;
    at = at == MN__MOST_BRINKS ? at - 1 : at;
    for (; at > 0 && k->bytes[at - 1] < during; at--) {
        k->nodes[at] = k->nodes[at - 1];
        k->bytes[at] = k->bytes[at - 1];
    }
    k->nodes[at] = u;
    k->bytes[at] = during;
    k->count += k->count < MN__MOST_BRINKS;
}

bool mn__ahead_is_too_much(const mn__ahead *ahead,
                           const mn__board *board,
                           const mn__brink *brink,
                           uint32_t v,
                           size_t limit)
{
    const mn__reach *r = ahead->reach;
    uint32_t end = ahead->end[v - r->segment.first];
    if (end == MN_NONE || ahead->top[end - r->segment.first] != brink->top)
        return false;
    size_t align = r->values->needs->align;
    size_t left = ahead->thread_bytes[v - r->segment.first] / align * align;
    bool is_too_much = false;
    for (uint32_t i = 0; i < brink->count && !is_too_much; i++) {
        uint32_t u = brink->nodes[i];
        is_too_much = u != v && !board->done[u] && brink->bytes[i] + left >= limit &&
                      !mn__set_has(mn__reach_row(r, r->before, u), v - r->segment.first);
    }
    if (!is_too_much)
        return false;
    mn__ahead_find_in_alive(ahead, board);
    return ahead->way_in_alive[v - r->segment.first] == 0;
}

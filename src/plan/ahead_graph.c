/*
 * What looking ahead needs to know of a segment, whatever the board: which values must be there
 * while a kernel runs, and what becomes of each kernel's value.
 */
#include "plan/ahead_inner.h"

#include <stdlib.h>

#include "base/size.h"

static bool meets(const uint64_t *a, const uint64_t *b, uint32_t words)
{
    for (uint32_t w = 0; w < words; w++)
        if ((a[w] & b[w]) != 0)
            return true;
    return false;
}

/* Whether x is needed while u runs or after it, in every order. */
static bool is_needed(const mn__reach *r, uint32_t x, uint32_t u)
{
    return mn__is_kept(r, x) ||
           meets(mn__reach_row(r, r->readers, x), mn__reach_row(r, r->after, u), r->words);
}

/* Whether x is part of a concat that is counted for u, perhaps through others. `covers` (count)
 * tells of the concats after x whether they are. */
static bool is_covered(const mn__reach *r, uint32_t x, const uint32_t *covers, uint32_t u)
{
    const mn__lists *readers = &r->values->readers;
    for (uint32_t i = 0; i < mn__list_count(readers, x); i++) {
        uint32_t k = mn__list_of(readers, x)[i];
        if (k < u && mn__values_prim(r->values, k) == MN_PRIM_CONCAT &&
            covers[k - r->segment.first] == u)
            return true;
    }
    return false;
}

/* The values that must be there while u runs. A concat counts as a whole, and then its parts do
 * not: they may be nothing but its slices. */
static bool fill_one(mn__ahead *a, uint32_t u, uint32_t *covers, size_t *capacity, uint32_t *count)
{
    const mn__reach *r = a->reach;
    uint32_t first = r->segment.first;
    for (uint32_t x = u; x-- > first;) {
        if (!mn__values_is_made(r->values, x) ||
            !mn__set_has(mn__reach_row(r, r->before, u), x - first))
            continue;
        bool covered = is_covered(r, x, covers, u);
        bool counts = !covered && is_needed(r, x, u);
        if (mn__values_prim(r->values, x) == MN_PRIM_CONCAT && (covered || counts))
            covers[x - first] = u;
        if (!counts)
            continue;
        if (*count == *capacity) {
            uint32_t *more = realloc(a->during.items, 2 * *capacity * sizeof *more);
            if (more == NULL)
                return false;
            a->during.items = more;
            *capacity *= 2;
        }
        a->during.items[(*count)++] = x;
    }
    return true;
}

static mn_status fill_during(mn__ahead *a, mn_error *err)
{
    const mn__reach *r = a->reach;
    size_t capacity = 4 * (size_t)r->count + 16;
    uint32_t count = 0;
    mn_status status = MN_OK;
    uint32_t *covers = mn_calloc(r->count, sizeof *covers);
    a->during.start = mn_calloc((size_t)r->count + 1, sizeof *a->during.start);
    a->during.items = mn_calloc(capacity, sizeof *a->during.items);
    if (covers == NULL || a->during.start == NULL || a->during.items == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t u = r->segment.first; status == MN_OK && u < r->segment.end; u++) {
        a->during.start[u - r->segment.first] = count;
        if (mn__is_kernel(r, u) && !fill_one(a, u, covers, &capacity, &count))
            status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        a->during.start[u - r->segment.first + 1] = count;
    }
    free(covers);
    return status;
}

/* Whether some order lets u write over an input: nothing that comes after u needs it. */
static bool may_write_over(const mn__reach *r, uint32_t u)
{
    const mn__lists *inputs = &r->values->inputs;
    for (uint32_t i = 0; i < mn__list_count(inputs, u); i++) {
        uint32_t x = mn__list_of(inputs, u)[i];
        if (!mn__values_fit_in_place(r->values, u, x))
            continue;
        bool later = r->values->is_output[x];
        for (uint32_t k = 0; k < mn__list_count(&r->values->readers, x) && !later; k++) {
            uint32_t other = mn__list_of(&r->values->readers, x)[k];
            later = other >= r->segment.end ||
                    (other != u && other >= r->segment.first &&
                     mn__set_has(mn__reach_row(r, r->after, u), other - r->segment.first));
        }
        if (!later)
            return true;
    }
    return false;
}

/* The concat without hosts that x may come to lie in at last. */
static uint32_t find_top(const mn__ahead *a, uint32_t x)
{
    const mn__reach *r = a->reach;
    const mn__lists *hosts = &r->values->hosts;
    uint32_t top = MN_NONE;
    if (mn__list_count(hosts, x) == 0)
        return mn__values_prim(r->values, x) == MN_PRIM_CONCAT ? x : MN_NONE;
    for (uint32_t i = 0; i < mn__list_count(hosts, x); i++) {
        uint32_t of_host = a->top[mn__list_of(hosts, x)[i] - r->segment.first];
        if (i > 0 && of_host != top)
            return MN__SEVERAL;
        top = of_host;
    }
    return top;
}

/* Whether concat k, without hosts, reads x, perhaps through another concat that it reads. */
static bool is_part_of(const mn__reach *r, uint32_t x, uint32_t k)
{
    const mn__lists *readers = &r->values->readers;
    for (uint32_t i = 0; i < mn__list_count(readers, x); i++) {
        uint32_t c = mn__list_of(readers, x)[i];
        if (c == k ||
            (c < k && mn__values_prim(r->values, c) == MN_PRIM_CONCAT && is_part_of(r, c, k)))
            return true;
    }
    return false;
}

/* Goes on along the reader of x on whose way most is left. As each value has one way on, ways that
 * meet end alike, and ways that end apart have nothing in common. */
static void follow_reader(mn__ahead *a, uint32_t x)
{
    const mn__reach *r = a->reach;
    const mn__lists *readers = &r->values->readers;
    uint32_t at = x - r->segment.first;
    size_t bytes = r->values->needs->value_bytes[x];
    size_t most = 0;
    for (uint32_t i = 0; i < mn__list_count(readers, x); i++) {
        uint32_t next = mn__list_of(readers, x)[i];
        if (next >= r->segment.end || a->end[next - r->segment.first] == MN_NONE)
            continue;
        size_t later = mn_size_smaller(bytes, a->thread_bytes[next - r->segment.first]);
        if (later > most) {
            most = later;
            a->next[at] = next;
            a->end[at] = a->end[next - r->segment.first];
            a->thread_bytes[at] = later;
        }
    }
}

/* Follows what becomes of each kernel's value, from the last one back. */
static void find_threads(mn__ahead *a)
{
    const mn__reach *r = a->reach;
    const mn__lists *readers = &r->values->readers;
    for (uint32_t x = r->segment.end; x-- > r->segment.first;) {
        uint32_t at = x - r->segment.first;
        size_t bytes = r->values->needs->value_bytes[x];
        a->end[at] = a->next[at] = MN_NONE;
        a->thread_bytes[at] = bytes;
        if (!mn__is_kernel(r, x) || mn__list_count(readers, x) == 0)
            continue;
        uint32_t top = a->top[at];
        if (top != MN_NONE && top != MN__SEVERAL && is_part_of(r, x, top))
            a->end[at] = x;
        else
            follow_reader(a, x);
    }
}

mn_status mn__ahead_find(const mn__reach *reach, mn__ahead *ahead, mn_error *err)
{
    ahead->reach = reach;
    if (reach->words == 0)
        return MN_OK;
    ahead->held_during =
        mn_calloc((size_t)reach->count + 1, reach->words * sizeof *ahead->held_during);
    ahead->alive = mn_calloc((size_t)reach->count + 1, sizeof *ahead->alive);
    ahead->may_write_over = mn_calloc(reach->count, sizeof *ahead->may_write_over);
    ahead->top = mn_calloc(reach->count, sizeof *ahead->top);
    ahead->end = mn_calloc(reach->count, sizeof *ahead->end);
    ahead->thread_bytes = mn_calloc(reach->count, sizeof *ahead->thread_bytes);
    ahead->next = mn_calloc(reach->count, sizeof *ahead->next);
    ahead->in_alive = mn_calloc(reach->count, sizeof *ahead->in_alive);
    ahead->way_in_alive = mn_calloc(reach->count, sizeof *ahead->way_in_alive);
    if (ahead->next == NULL || ahead->in_alive == NULL || ahead->way_in_alive == NULL ||
        ahead->end == NULL || ahead->thread_bytes == NULL || ahead->top == NULL ||
        ahead->held_during == NULL || ahead->alive == NULL || ahead->may_write_over == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t u = reach->segment.first; u < reach->segment.end; u++)
        ahead->may_write_over[u - reach->segment.first] =
            mn__is_kernel(reach, u) && may_write_over(reach, u);
    for (uint32_t x = reach->segment.end; x-- > reach->segment.first;)
        ahead->top[x - reach->segment.first] = find_top(ahead, x);
    find_threads(ahead);
    return fill_during(ahead, err);
}

void mn__ahead_done(mn__ahead *ahead)
{
    free(ahead->during.start);
    free(ahead->during.items);
    free(ahead->may_write_over);
    free(ahead->end);
    free(ahead->thread_bytes);
    free(ahead->next);
    free(ahead->in_alive);
    free(ahead->way_in_alive);
    free(ahead->top);
    free(ahead->held_during);
    free(ahead->alive);
    *ahead = (mn__ahead){0};
}

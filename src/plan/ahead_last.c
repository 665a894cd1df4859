/*
 * What several kernels need together. Of any set of kernels one is the last to run, and by then
 * each of the others has left something: its value, or what became of it on its way into a concat.
 * As long as that concat has no place, this lies in buffers of its own.
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

/* What is left of the first `count` ranked kernels, all run but `last`, while that one runs. Each
 * left something on its way to the concat; ways that meet leave one thing. MN_NONE-like SIZE_MAX
 * when another one must run after `last`. */
static size_t bytes_left(const mn__ahead *a, const mn__ranking *k, uint32_t count, uint32_t last)
{
    const mn__reach *r = a->reach;
    uint32_t first = r->segment.first;
    uint32_t u = k->kernels[last].node;
    uint32_t ends[MN__MOST_RANKED];
    size_t bytes[MN__MOST_RANKED];
    uint32_t ways = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t h = k->kernels[i].node;
        if (h == u)
            continue;
        if (mn__set_has(mn__reach_row(r, r->before, h), u - first))
            return SIZE_MAX;
        if (a->end[h - first] == a->end[u - first] ||
            mn__set_has(mn__reach_row(r, r->before, u), h - first))
            continue;
        uint32_t w = 0;
        while (w < ways && ends[w] != a->end[h - first])
            w++;
        if (w == ways) {
            ends[ways] = a->end[h - first];
            bytes[ways++] = a->thread_bytes[h - first];
        } else {
            bytes[w] = mn__smaller(bytes[w], a->thread_bytes[h - first]);
        }
    }
    size_t left = 0;
    for (uint32_t w = 0; w < ways; w++)
        left += bytes[w];
    return left;
}

size_t mn__bytes_of_last(const mn__ahead *a, const mn__board *b, const mn__ranking *k, size_t most)
{
    size_t whole = b->values->bytes[k->top];
    for (uint32_t count = 2; count <= k->count; count++) {
        size_t least = SIZE_MAX;
        for (uint32_t i = 0; i < count && least > most; i++) {
            size_t left = bytes_left(a, k, count, i);
            if (left == SIZE_MAX)
                continue;
            size_t apart =
                k->kernels[i].during + left / b->values->needs->align * b->values->needs->align;
            if (apart > most)
                apart = mn__smaller(
                    apart,
                    whole + mn__bytes_during(a, b, k->kernels[i].held, k->kernels[i].node, k->top));
            least = mn__smaller(least, apart);
        }
        if (least != SIZE_MAX)
            most = mn__larger(most, least);
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
    for (uint32_t i = 0; i < brink->count; i++) {
        uint32_t u = brink->nodes[i];
        if (u != v && !board->done[u] && brink->bytes[i] + left >= limit &&
            !mn__set_has(mn__reach_row(r, r->before, u), v - r->segment.first))
            return true;
    }
    return false;
}

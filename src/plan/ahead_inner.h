/*
 * What the files of ahead.h have in common: how nodes and values of a segment are told apart, and
 * the parts of a lower bound that one calls from another.
 */
#ifndef MN_PLAN_AHEAD_INNER_H
#define MN_PLAN_AHEAD_INNER_H

#include "base/size.h"
#include "plan/ahead.h"

/* In mn__ahead.top: different ones on different ways. */
#define MN__SEVERAL (MN_NONE - 1)

enum { MN__MOST_RANKED = 12 };

/* Needed after the segment's last step. */
static inline bool mn__is_kept(const mn__reach *r, uint32_t x)
{
    const mn__values *v = r->values;
    uint32_t count = mn__list_count(&v->readers, x);
    return v->is_output[x] ||
           (count > 0 && mn__list_of(&v->readers, x)[count - 1] >= r->segment.end);
}

static inline bool mn__is_kernel(const mn__reach *r, uint32_t n)
{
    return mn__values_is_made(r->values, n) && mn__values_prim(r->values, n) != MN_PRIM_CONCAT;
}

static inline uint32_t mn__row_of(const mn__reach *r, uint32_t value)
{
    return value == r->segment.incoming ? r->count : value - r->segment.first;
}

/* What a kernel that has not run needs at least, and how much of it is alive now. */
typedef struct mn__demand {
    uint32_t node;
    size_t during, held;
} mn__demand;

/* The kernels that need most, by falling need; all of them lead into one concat without a place. */
typedef struct mn__ranking {
    uint32_t top;
    uint32_t count;
    mn__demand kernels[MN__MOST_RANKED];
} mn__ranking;

/* Fills in_alive and way_in_alive for a board. */
void mn__ahead_find_in_alive(const mn__ahead *a, const mn__board *b);

/* Whether x may come to lie in a buffer that is alive already. */
static inline bool mn__may_lie_in_alive(const mn__ahead *a, uint32_t x)
{
    return a->in_alive[x - a->reach->segment.first] != 0;
}

/* While u runs, `held` of it alive now. With `top`, a concat that has no place yet, what may lie in
 * it does not count; MN_NONE = none. */
size_t
mn__bytes_during(const mn__ahead *a, const mn__board *b, size_t held, uint32_t u, uint32_t top);

/* ahead_last.c */
void mn__rank(mn__ranking *ranking, mn__demand kernel);
/* Of the kernels that need most, one is the last to run; the concat is there by then, or what the
 * others left lies in buffers of its own. Returns at least `most`. */
size_t
mn__bytes_of_last(const mn__ahead *a, const mn__board *b, const mn__ranking *ranking, size_t most);
void mn__note_brink(mn__brink *brink, uint32_t u, size_t during);

#endif

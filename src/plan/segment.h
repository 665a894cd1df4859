/*
 * Stretches of the graph that every order runs one after another, and what descends from what
 * within each. Comes after values; the search for an order takes the segments one by one.
 *
 * A segment ends where a single value is all that is needed later and that value has a buffer of
 * its own (no host): its peak and its best order do not depend on other segments.
 */
#ifndef MN_PLAN_SEGMENT_H
#define MN_PLAN_SEGMENT_H

#include "plan/values.h"

typedef struct mn__segment {
    uint32_t first, end; /* its nodes are first .. end - 1 */
    uint32_t incoming;   /* the value that an earlier segment leaves, or MN_NONE */
} mn__segment;

/* Cuts the graph. `ret_segments` receives an array for the caller to free. */
mn_status mn__segments_find(const mn__values *values,
                            mn__segment **ret_segments,
                            uint32_t *ret_count,
                            mn_error *err);

/* Sets of nodes of one segment: node n is bit n - first. */
typedef struct mn__reach {
    const mn__values *values;
    mn__segment segment;
    uint32_t count;    /* nodes of the segment */
    uint32_t words;    /* of a set; 0 when the segment is too large for sets */
    uint64_t *before;  /* (count, words) what must run before a node */
    uint64_t *after;   /* (count, words) what must run after it, and the node itself */
    uint64_t *readers; /* (count + 1, words) of a value; the last row is the incoming value's */
    uint8_t *hosting;  /* (hosts.items) MN__HOST_... for each host of each value of the segment */
} mn__reach;

enum {
    MN__HOST_NEVER = 1,  /* the value is still read after it would be written over */
    MN__HOST_COVERS = 2, /* where the host lies somewhere already, lying in it is never worse */
};

mn_status
mn__reach_find(const mn__values *values, mn__segment segment, mn__reach *reach, mn_error *err);
void mn__reach_done(mn__reach *reach);

static inline const uint64_t *mn__reach_row(const mn__reach *r, const uint64_t *sets, uint32_t n)
{
    return sets + (size_t)(n - r->segment.first) * r->words;
}

static inline bool mn__set_has(const uint64_t *set, uint32_t bit)
{
    return (set[bit / 64] >> (bit % 64) & 1) != 0;
}

#endif

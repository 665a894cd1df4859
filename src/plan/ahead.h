/*
 * What must still come: a lower bound for all ways to go on from a board, whatever the order and
 * wherever values lie. Looks one kernel ahead at a time.
 */
#ifndef MN_PLAN_AHEAD_H
#define MN_PLAN_AHEAD_H

#include "plan/board.h"

enum { MN__MOST_TOPS = 4, MN__MOST_BRINKS = 3 };

/*
 * Kernels that need so much that hardly anything may run before them: each comes to `bytes` at
 * least, in buffers of their own or not, and what leads into concat `top` and is begun before them
 * leaves something in memory beside (ahead.h).
 */
typedef struct mn__brink {
    uint32_t count;
    uint32_t nodes[MN__MOST_BRINKS];
    size_t bytes[MN__MOST_BRINKS];
    uint32_t top;
} mn__brink;

typedef struct mn__ahead {
    const mn__reach *reach;
    mn__lists during; /* of a node (less the segment's first): what is made before it and still
                         needed while it runs or later */
    uint8_t *may_write_over; /* (count) of a node: an input dies with it in some order */
    uint32_t *end; /* (count) of a kernel: the input of a concat that its value becomes in the end,
                      read by one kernel after another, or MN_NONE */
    size_t *thread_bytes; /* (count) the least that lies in memory of it on that way */
    uint32_t *next;       /* (count) the first reader on that way; MN_NONE at its end */
    uint32_t *top; /* (count) of a value: the concat without hosts that it may lie in at last */
    uint32_t top_count;
    uint32_t tops[MN__MOST_TOPS]; /* such concats that have no place on the board last looked at */
    size_t
        opened[MN__MOST_TOPS]; /* what that board must come to when they get one at the next step */
    mn__brink brink;           /* of the board last looked at */
    size_t limit;              /* what is more than this is of no interest: for `brink` */
    size_t held[MN__MOST_TOPS]; /* scratch: what is alive now and needed when they run */
    uint8_t *in_alive; /* (count) of a value, on the board last looked at: a host of it has a place,
                          so that it may come to lie in a buffer that is alive already */
    uint8_t *way_in_alive; /* (count) it may, or what it becomes on its way */
    uint64_t *held_during; /* (count + 1, words) scratch: nodes while which a buffer is needed */
    uint32_t alive_count;
    uint32_t *alive; /* (count + 1) roots of what is alive on the board last looked at */
} mn__ahead;

mn_status mn__ahead_find(const mn__reach *reach, mn__ahead *ahead, mn_error *err);
void mn__ahead_done(mn__ahead *ahead);

/* Bytes that every way to go on needs at some step; a multiple of the alignment. 0 when nothing is
 * known. */
size_t mn__ahead_bytes(mn__ahead *ahead, const mn__board *board);

/* Whether running v next, which frees nothing, makes a kernel on the brink need `limit` or more. */
bool mn__ahead_is_too_much(const mn__ahead *ahead,
                           const mn__board *board,
                           const mn__brink *brink,
                           uint32_t v,
                           size_t limit);

#endif

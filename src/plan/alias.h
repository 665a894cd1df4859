/*
 * Which values share memory: slices of a concat, results on top of an input, reshapes. Comes after
 * kernel_needs and before liveness: everything later speaks of buffers.
 */
#ifndef MN_PLAN_ALIAS_H
#define MN_PLAN_ALIAS_H

#include "plan/kernel_needs.h"

/* How a concat gets its inputs. */
typedef enum mn__joining {
    MN__JOIN_COPIES,   /* copies all of them */
    MN__JOIN_SLICES,   /* producers write into it where they can */
    MN__JOIN_IN_PLACE, /* the same, and what they are written over in place lies in it too */
    MN__JOININGS
} mn__joining;

typedef struct mn__alias {
    uint32_t value_count;
    mn_view *views; /* (value_count) */
    bool *has_step; /* (value_count) a kernel runs for the node */
    bool *in_place; /* (value_count) the node's result lies on one of its inputs */
    uint32_t buffer_count;
    size_t *buffer_bytes; /* (buffer_count) rounded up */
} mn__alias;

/*
 * @param joinings  (node_count) One of mn__joining for each concat; others are not looked at.
 * @param when   (node_count) Position of each node that has a step in the order of execution; NULL
 *               when the order is open, and then only aliases are made that hold in every order.
 *               Which nodes have a step depends on `joinings` alone.
 * @param alias  Zeroed; to be emptied with mn__alias_done() whatever the outcome.
 */
mn_status mn__alias_find(const mn_graph *graph,
                         const mn__needs *needs,
                         const uint8_t *joinings,
                         const uint32_t *when,
                         mn__alias *alias,
                         mn_error *err);
void mn__alias_done(mn__alias *alias);

#endif

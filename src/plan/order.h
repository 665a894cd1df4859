/*
 * In which order the steps run and which values lie inside others: the search for the least
 * liveness. Comes after values; alias and liveness turn its result into buffers.
 */
#ifndef MN_PLAN_ORDER_H
#define MN_PLAN_ORDER_H

#include "plan/values.h"

/* How hard to try. The first does without a way through, and `steps` stays empty. */
typedef enum mn__effort {
    MN__JUST_BOUND, /* the lower bound that costs little */
    MN__STRAIGHT,   /* the graph's own order; what can lie in a host does */
    MN__SEARCH      /* that, greedy orders, and then the search */
} mn__effort;

typedef struct mn__order {
    uint32_t step_count;
    uint32_t *steps;   /* (step_count) nodes in order of execution */
    uint32_t *host;    /* (nodes) of a value: the node whose result it lies inside, or MN_NONE */
    uint32_t *over;    /* (nodes) of a node: the value that it writes over, both having buffers of
                          their own, or MN_NONE */
    size_t peak_bytes; /* the most that is alive at once */
    size_t lower_bound_bytes; /* no order and no choice of places has less */
    size_t greedy_peak_bytes; /* of the best order before the search */
    uint32_t states;          /* boards that the search looked at */
} mn__order;

/* `order` is zeroed and to be emptied with mn__order_done() whatever the outcome. */
mn_status mn__order_find(const mn__values *values,
                         mn__effort effort,
                         uint32_t max_states,
                         mn__order *order,
                         mn_error *err);
void mn__order_done(mn__order *order);

#endif

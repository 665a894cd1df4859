/*
 * Turns what the order decided (which value lies inside which, which kernel writes over what) into
 * buffers and views. Decides nothing itself. Comes after order, before liveness.
 */
#ifndef MN_PLAN_ALIAS_H
#define MN_PLAN_ALIAS_H

#include "plan/order.h"

typedef struct mn__alias {
    uint32_t value_count;
    mn_view *views; /* (value_count) */
    bool *has_step; /* (value_count) a kernel runs for the node */
    bool *in_place; /* (value_count) the node's result lies on one of its inputs */
    uint32_t buffer_count;
    size_t *buffer_bytes; /* (buffer_count) rounded up */
} mn__alias;

/* `alias` is zeroed and to be emptied with mn__alias_done() whatever the outcome. */
mn_status
mn__alias_find(const mn__values *values, const mn__order *order, mn__alias *alias, mn_error *err);
void mn__alias_done(mn__alias *alias);

#endif

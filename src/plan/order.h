/*
 * In which order the steps run. Comes after alias (with the order open), before liveness. The
 * caller tries every way and keeps what turns out best.
 */
#ifndef MN_PLAN_ORDER_H
#define MN_PLAN_ORDER_H

#include "plan/alias.h"

typedef enum mn__order_way {
    MN__ORDER_GIVEN,    /* that of the graph */
    MN__ORDER_FORWARD,  /* greedy from the inputs on: least alive after each step */
    MN__ORDER_BACKWARD, /* greedy from the outputs back: least alive before each step */
    MN__ORDER_WAYS
} mn__order_way;

/*
 * @param alias      Made with the order open.
 * @param ret_order  (value_count) Receives the nodes that have a step, producers before readers.
 * @param ret_count  Receives how many these are.
 */
mn_status mn__order_find(const mn_graph *graph,
                         const mn__needs *needs,
                         const mn__alias *alias,
                         mn__order_way way,
                         uint32_t *ret_order,
                         uint32_t *ret_count,
                         mn_error *err);

#endif

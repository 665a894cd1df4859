/*
 * When each buffer is alive: from the first step that touches it to the last. Comes after alias
 * and an order, before offsets.
 */
#ifndef MN_PLAN_LIVENESS_H
#define MN_PLAN_LIVENESS_H

#include "plan/alias.h"

typedef struct mn__liveness {
    uint32_t step_count;
    mn_step *steps;
    uint32_t buffer_count; /* those of the aliases, then one for each kernel's scratch */
    mn_plan_buffer *buffers;
    size_t peak_bytes; /* the most that is alive at once: no placement needs less */
} mn__liveness;

/*
 * @param order     (step_count) The nodes that have a step, in order of execution.
 * @param liveness  Zeroed; to be emptied with mn__liveness_done() whatever the outcome. Offsets
 *                  are left at zero.
 */
mn_status mn__liveness_find(const mn_graph *graph,
                            const mn__needs *needs,
                            const mn__alias *alias,
                            const uint32_t *order,
                            uint32_t step_count,
                            mn__liveness *liveness,
                            mn_error *err);
void mn__liveness_done(mn__liveness *liveness);

#endif

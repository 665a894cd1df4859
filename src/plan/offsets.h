/*
 * Where each buffer lies in the arena. Comes after liveness; knows nothing of graphs.
 */
#ifndef MN_PLAN_OFFSETS_H
#define MN_PLAN_OFFSETS_H

#include "memnet/plan.h"

typedef struct mn__placement {
    size_t arena_bytes;
    bool proven;     /* no placement of these sizes and lifetimes is smaller */
    uint64_t states; /* that the exact search has looked at; 0 when it was not needed */
} mn__placement;

/*
 * Sets the offset of every buffer so that no two that are alive together overlap. The arena is the
 * smallest possible one if the placement is proven, else the smallest that was found.
 *
 * @param buffers     (count) Sizes are multiples of the alignment, and so the offsets become.
 * @param peak_bytes  The most that is alive at once: no placement needs less.
 * @param max_states  Bounds the exact search, and with it the time.
 * @retval MN_ERR_LIMIT  No placement was found that fits size_t.
 */
mn_status mn__offsets_find(mn_plan_buffer *buffers,
                           uint32_t count,
                           size_t peak_bytes,
                           uint64_t max_states,
                           mn__placement *ret_placement,
                           mn_error *err);

#endif

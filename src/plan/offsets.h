/*
 * Where each buffer lies in the arena. Comes after liveness; knows nothing of graphs.
 */
#ifndef MN_PLAN_OFFSETS_H
#define MN_PLAN_OFFSETS_H

#include "memnet/plan.h"

/*
 * Sets the offset of every buffer so that no two that are alive together overlap.
 *
 * @param buffers     (count) Sizes are multiples of the alignment, and so the offsets become.
 * @param peak_bytes  The most that is alive at once: an arena of this size ends the search.
 */
mn_status mn__offsets_find(mn_plan_buffer *buffers,
                           uint32_t count,
                           size_t peak_bytes,
                           size_t *ret_arena_bytes,
                           mn_error *err);

#endif

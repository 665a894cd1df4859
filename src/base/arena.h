/*
 * One large region of memory per worker: first touch of fresh pages is slow, so the region is
 * mapped once, filled by bumping a mark, reset between candidates and never given back in between.
 */
#ifndef MN_BASE_ARENA_H
#define MN_BASE_ARENA_H

#include <stddef.h>

#include "memnet/status.h"

#define MN_ARENA_ALIGN 64

typedef struct mn_arena mn_arena;

mn_status mn_arena_create(mn_arena **ret_arena, mn_error *err);
void mn_arena_free(mn_arena *arena);

/* Forgets all blocks and keeps the pages. Pointers handed out before are dead. */
void mn_arena_reset(mn_arena *arena);

/* Zeroed, 64-byte aligned; lives until reset or free. MN_ERR_NOMEM names the size. */
mn_status mn_arena_alloc(mn_arena *arena, size_t bytes, void **ret_block, mn_error *err);

/* The same with whatever was there before: for large blocks that are written before they are read.
 */
mn_status mn_arena_take(mn_arena *arena, size_t bytes, void **ret_block, mn_error *err);

/* Bytes handed out since the last reset, alignment included. */
size_t mn_arena_used(const mn_arena *arena);

#endif

/*
 * The worker's region: a list of mapped chunks that only grows. A candidate that needs more than
 * the first chunks makes a new one; the next candidate finds all of them warm. Chunks have sizes in
 * powers of two, so that candidates which need a little more each time share one; pages that nobody
 * has touched cost nothing.
 */
#include "base/arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/size.h"

static const size_t chunk_bytes = (size_t)64 << 20;

typedef struct chunk {
    struct chunk *next;
    char *bytes;
    size_t capacity;
    size_t used;
} chunk;

struct mn_arena {
    chunk *first;
    size_t used;
};

mn_status mn_arena_create(mn_arena **ret_arena, mn_error *err)
{
    mn_arena *arena = mn_calloc(1, sizeof *arena);
    if (arena == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    *ret_arena = arena;
    return MN_OK;
}

void mn_arena_free(mn_arena *arena)
{
    if (arena == NULL)
        return;
    for (chunk *c = arena->first; c != NULL;) {
        chunk *next = c->next;
        munmap(c->bytes, c->capacity);
        free(c);
        c = next;
    }
    free(arena);
}

void mn_arena_reset(mn_arena *arena)
{
    for (chunk *c = arena->first; c != NULL; c = c->next)
        c->used = 0;
    arena->used = 0;
}

size_t mn_arena_used(const mn_arena *arena)
{
    return arena->used;
}

static chunk *map_chunk(size_t bytes)
{
    size_t capacity = chunk_bytes;
    while (capacity < bytes)
        if (!mn_size_mul(capacity, 2, &capacity))
            return NULL;
    chunk *c = mn_calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    void *bytes_mapped =
        mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes_mapped == MAP_FAILED) {
        free(c);
        return NULL;
    }
    (void)madvise(bytes_mapped, capacity, MADV_HUGEPAGE); /* only a wish: without it, slower */
    c->bytes = bytes_mapped;
    c->capacity = capacity;
    return c;
}

mn_status mn_arena_alloc(mn_arena *arena, size_t bytes, void **ret_block, mn_error *err)
{
    mn_status status = mn_arena_take(arena, bytes, ret_block, err);
    if (status == MN_OK)
        memset(*ret_block, 0, bytes);
    return status;
}

mn_status mn_arena_take(mn_arena *arena, size_t bytes, void **ret_block, mn_error *err)
{
    size_t rounded;
    if (!mn_size_round_up(bytes == 0 ? 1 : bytes, MN_ARENA_ALIGN, &rounded))
        return mn_error_set(err, MN_ERR_NOMEM, "no memory for %zu bytes", bytes);
    chunk *c = arena->first;
    while (c != NULL && c->capacity - c->used < rounded)
        c = c->next;
    if (c == NULL) {
        c = map_chunk(rounded);
        if (c == NULL)
            return mn_error_set(err, MN_ERR_NOMEM, "no memory for %zu bytes", bytes);
        chunk **end = &arena->first;
        while (*end != NULL)
            end = &(*end)->next;
        *end = c;
    }
    *ret_block = c->bytes + c->used;
    c->used += rounded;
    arena->used += rounded;
    return MN_OK;
}

/*
 * Placement of buffers: one after another, each at the lowest address where it meets nothing that
 * is alive with it. What comes out depends on the sequence; a few are tried, and mostly one ends
 * at the peak. Where none does, the exact search goes on with the buffers that matter. Should it
 * spend its states, the buffer that ended on top is placed first, and so on a few times. The
 * smallest arena wins.
 *
 * A plan has some tens of buffers, a few hundred at most, so that looking at all pairs is cheap.
 */
#include "plan/offsets.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "plan/offsets_exact.h"

enum { MAX_REPAIRS = 16 };

typedef enum sort_by { BY_SIZE, BY_AREA, BY_LIFETIME, BY_BIRTH, SORTS } sort_by;

/* A buffer's place in a sequence: larger key first, then the larger buffer, then the first. */
typedef struct rank {
    uint64_t key;
    size_t bytes;
    uint32_t buffer;
} rank;

typedef struct placer {
    const mn_plan_buffer *buffers; /* (count) */
    uint32_t count;
    rank *sequence;   /* (count) */
    uint32_t *placed; /* (count) buffers that have an offset, by rising offset */
    size_t *offsets;  /* (count) of the attempt */
    size_t *best;     /* (count) of the best attempt */
    size_t best_bytes;
} placer;

static int compare_ranks(const void *a, const void *b)
{
    const rank *x = a;
    const rank *y = b;
    if (x->key != y->key)
        return x->key > y->key ? -1 : 1;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->buffer < y->buffer ? -1 : 1;
}

static uint64_t key_of(const mn_plan_buffer *b, sort_by by)
{
    uint64_t steps = (uint64_t)b->last_step - b->first_step + 1;
    switch (by) {
    case BY_SIZE:
        return b->bytes;
    case BY_AREA: { /* saturates: a wrong sequence would only be a worse one */
        uint64_t area = 0;
        return __builtin_mul_overflow((uint64_t)b->bytes, steps, &area) ? UINT64_MAX : area;
    }
    case BY_LIFETIME:
        return steps;
    case BY_BIRTH:
    case SORTS:
        break;
    }
    return UINT64_MAX - b->first_step;
}

static void make_sequence(placer *p, sort_by by)
{
    for (uint32_t b = 0; b < p->count; b++)
        p->sequence[b] =
            (rank){.key = key_of(&p->buffers[b], by), .bytes = p->buffers[b].bytes, .buffer = b};
    qsort(p->sequence, p->count, sizeof *p->sequence, compare_ranks);
}

static bool alive_together(const mn_plan_buffer *a, const mn_plan_buffer *b)
{
    return a->first_step <= b->last_step && b->first_step <= a->last_step;
}

/* Files a buffer that has its offset among the `count` placed ones. */
static void file(placer *p, uint32_t buffer, uint32_t count)
{
    uint32_t at = count;
    for (; at > 0 && p->offsets[p->placed[at - 1]] > p->offsets[buffer]; at--)
        p->placed[at] = p->placed[at - 1];
    p->placed[at] = buffer;
}

/* Places one buffer into the lowest gap and files it. Returns where it ends: SIZE_MAX, which no
 * placed buffer reaches, when that does not fit. */
static size_t place(placer *p, uint32_t buffer, uint32_t count)
{
    const mn_plan_buffer *b = &p->buffers[buffer];
    size_t offset = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t other = p->placed[i];
        if (!alive_together(b, &p->buffers[other]))
            continue;
        if (p->offsets[other] >= offset && p->offsets[other] - offset >= b->bytes)
            break;
        size_t end = p->offsets[other] + p->buffers[other].bytes;
        if (end > offset)
            offset = end;
    }
    size_t end = SIZE_MAX;
    if (!mn_size_add(offset, b->bytes, &end))
        return SIZE_MAX;
    p->offsets[buffer] = offset;
    file(p, buffer, count);
    return end;
}

static void keep_if_better(placer *p, size_t arena)
{
    if (arena >= p->best_bytes)
        return;
    p->best_bytes = arena;
    memcpy(p->best, p->offsets, p->count * sizeof *p->best);
}

/* Places all in sequence and keeps the result if it is the best. Returns the index in the
 * sequence of the buffer that ends highest. */
static uint32_t attempt(placer *p)
{
    size_t arena = 0;
    uint32_t top = 0;
    for (uint32_t i = 0; i < p->count && arena < SIZE_MAX; i++) {
        size_t end = place(p, p->sequence[i].buffer, i);
        if (end > arena) {
            arena = end;
            top = i;
        }
    }
    keep_if_better(p, arena);
    return top;
}

static void try_sequences(placer *p, size_t lower_bytes)
{
    for (int by = 0; by < SORTS && p->best_bytes > lower_bytes; by++) {
        make_sequence(p, (sort_by)by);
        (void)attempt(p);
    }
}

static void repair(placer *p, size_t lower_bytes)
{
    make_sequence(p, BY_SIZE);
    for (int i = 0; i < MAX_REPAIRS && p->best_bytes > lower_bytes; i++) {
        uint32_t top = attempt(p);
        rank moved = p->sequence[top];
        memmove(p->sequence + 1, p->sequence, top * sizeof *p->sequence);
        p->sequence[0] = moved;
    }
}

/* The core's pieces lie as they were found; the buffers that it left out find their gaps. */
static void adopt(placer *p, const mn__core *core)
{
    size_t arena = 0;
    for (uint32_t i = 0; i < core->piece_count; i++) {
        const mn__piece *piece = &core->pieces[i];
        size_t end = piece->offset + piece->bytes;
        p->offsets[piece->buffer] = piece->offset;
        file(p, piece->buffer, i);
        arena = end > arena ? end : arena;
    }
    for (uint32_t i = core->left_out_count; i-- > 0;) {
        size_t end = place(p, core->left_out[i], p->count - 1 - i);
        arena = end > arena ? end : arena;
    }
    keep_if_better(p, arena);
}

static mn_status
search_exactly(placer *p, size_t peak_bytes, uint64_t max_states, mn__placement *ret, mn_error *err)
{
    mn__core core = {0};
    mn__verdict verdict = {0};
    mn_status status = MN_OK;
    if (!mn__core_find(p->buffers, p->count, peak_bytes, &core)) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    status = mn__offsets_exact(&core, peak_bytes, p->best_bytes, max_states, &verdict, err);
    if (status != MN_OK)
        goto done;
    if (verdict.found)
        adopt(p, &core);
    repair(p, verdict.lower_bytes);
    ret->proven = p->best_bytes <= verdict.lower_bytes;
    ret->states = verdict.states;
done:
    mn__core_done(&core);
    return status;
}

mn_status mn__offsets_find(mn_plan_buffer *buffers,
                           uint32_t count,
                           size_t peak_bytes,
                           uint64_t max_states,
                           mn__placement *ret_placement,
                           mn_error *err)
{
    placer p = {.buffers = buffers, .count = count, .best_bytes = SIZE_MAX};
    mn__placement found = {.proven = true};
    mn_status status = MN_OK;
    p.sequence = mn_calloc(count, sizeof *p.sequence);
    p.placed = mn_calloc(count, sizeof *p.placed);
    p.offsets = mn_calloc(count, sizeof *p.offsets);
    p.best = mn_calloc(count, sizeof *p.best);
    if (p.sequence == NULL || p.placed == NULL || p.offsets == NULL || p.best == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    try_sequences(&p, peak_bytes);
    if (p.best_bytes > peak_bytes)
        status = search_exactly(&p, peak_bytes, max_states, &found, err);
    if (status == MN_OK && p.best_bytes == SIZE_MAX)
        status = mn_error_set(err,
                              MN_ERR_LIMIT,
                              "no placement found for %zu live bytes in %u buffers",
                              peak_bytes,
                              count);
    if (status != MN_OK)
        goto done;
    for (uint32_t b = 0; b < count; b++)
        buffers[b].offset = p.best[b];
    found.arena_bytes = p.best_bytes;
    *ret_placement = found;
done:
    free(p.sequence);
    free(p.placed);
    free(p.offsets);
    free(p.best);
    return status;
}

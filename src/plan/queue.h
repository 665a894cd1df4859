/*
 * What the search looks at next: a heap. First comes the smallest key, of equal ones the deepest
 * (the search dives while its bound is exact), then the one with the least alive, then the oldest,
 * so that the order never depends on anything else.
 */
#ifndef MN_PLAN_QUEUE_H
#define MN_PLAN_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mn__queued {
    size_t key;
    size_t live_bytes;
    uint32_t depth;
    uint32_t visit; /* whatever it stands for; rising with age */
} mn__queued;

typedef struct mn__queue {
    mn__queued *items;
    uint32_t count, capacity;
} mn__queue;

/* False when out of memory. */
bool mn__queue_push(mn__queue *queue, mn__queued item);

/* Takes the first one out; there must be one. */
mn__queued mn__queue_pop(mn__queue *queue);

/* The queue may be used again. */
void mn__queue_done(mn__queue *queue);

#endif

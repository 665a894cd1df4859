/*
 * A binary heap in an array.
 */
#include "plan/queue.h"

#include <stdlib.h>

static bool comes_first(const mn__queued *a, const mn__queued *b)
{
    if (a->key != b->key)
        return a->key < b->key;
    if (a->depth != b->depth)
        return a->depth > b->depth;
    if (a->live_bytes != b->live_bytes)
        return a->live_bytes < b->live_bytes;
    return a->visit < b->visit;
}

bool mn__queue_push(mn__queue *queue, mn__queued item)
{
    if (queue->count == queue->capacity) {
        uint32_t capacity = queue->capacity == 0 ? 256 : 2 * queue->capacity;
        mn__queued *more = realloc(queue->items, capacity * sizeof *more);
        if (more == NULL)
            return false;
        queue->items = more;
        queue->capacity = capacity;
    }
    uint32_t at = queue->count++;
    for (; at > 0 && comes_first(&item, &queue->items[(at - 1) / 2]); at = (at - 1) / 2)
        queue->items[at] = queue->items[(at - 1) / 2];
    queue->items[at] = item;
    return true;
}

mn__queued mn__queue_pop(mn__queue *queue)
{
    mn__queued first = queue->items[0];
    mn__queued last = queue->items[--queue->count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= queue->count)
            break;
        if (child + 1 < queue->count && comes_first(&queue->items[child + 1], &queue->items[child]))
            child++;
        if (!comes_first(&queue->items[child], &last))
            break;
        queue->items[at] = queue->items[child];
        at = child;
    }
    if (queue->count > 0)
        queue->items[at] = last;
    return first;
}

void mn__queue_done(mn__queue *queue)
{
    free(queue->items);
    *queue = (mn__queue){0};
}

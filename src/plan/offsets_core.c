/*
 * What of a placement is hard. Most buffers of a network are small beside its peak, or alive with
 * few others; they find room whatever the others do. And most steps are no different from their
 * neighbours to the few buffers that remain.
 *
 * Invariant: all offsets are sums of sizes, hence multiples of their greatest common divisor.
 */
#include "plan/offsets_core.h"

#include <stdlib.h>

#include "base/size.h"

static bool alive_together(const mn_plan_buffer *a, const mn_plan_buffer *b)
{
    return a->first_step <= b->last_step && b->first_step <= a->last_step;
}

static size_t common_divisor(const mn_plan_buffer *buffers, uint32_t count)
{
    size_t divisor = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (size_t rest = buffers[i].bytes; rest != 0;) {
            size_t next = divisor % rest;
            divisor = rest;
            rest = next;
        }
    }
    return divisor;
}

/* Of the (arena - own) / unit + 1 places of a buffer, another that is alive with it blocks at most
 * (own + other) / unit - 1. It fits if these are fewer, which is: own bytes and, for each other,
 * own + other - unit come to no more than the arena. Buffers of no bytes fit anywhere. */
static bool always_fits(const mn_plan_buffer *buffers,
                        uint32_t count,
                        const bool *is_out,
                        uint32_t buffer,
                        size_t unit,
                        size_t arena_bytes)
{
    const mn_plan_buffer *b = &buffers[buffer];
    size_t taken = b->bytes;
    for (uint32_t i = 0; i < count && b->bytes > 0; i++) {
        if (i == buffer || is_out[i] || buffers[i].bytes == 0 || !alive_together(b, &buffers[i]))
            continue;
        if (!mn_size_add(taken, b->bytes - unit, &taken) ||
            !mn_size_add(taken, buffers[i].bytes, &taken) || taken > arena_bytes)
            return false;
    }
    return taken <= arena_bytes;
}

static void leave_out(
    const mn_plan_buffer *buffers, uint32_t count, size_t arena_bytes, bool *is_out, mn__core *core)
{
    size_t unit = common_divisor(buffers, count);
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < count; i++) {
            if (is_out[i] || !always_fits(buffers, count, is_out, i, unit, arena_bytes))
                continue;
            is_out[i] = true;
            core->left_out[core->left_out_count++] = i;
            changed = true;
        }
    }
}

static int compare_steps(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static int compare_pieces(const void *a, const void *b)
{
    const mn__piece *x = a;
    const mn__piece *y = b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->buffer < y->buffer ? -1 : 1;
}

/* A step counts if some piece is born then and some piece dies before the next birth: all that is
 * alive at any other step is alive at one of these too. Returns how many of `births` remain. */
static uint32_t find_columns(const mn_plan_buffer *buffers, const mn__core *core, uint32_t *births)
{
    uint32_t columns = 0;
    for (uint32_t k = 0; k < core->piece_count; k++)
        births[k] = buffers[core->pieces[k].buffer].first_step;
    qsort(births, core->piece_count, sizeof *births, compare_steps);
    for (uint32_t i = 0; i < core->piece_count; i++) {
        bool is_last = i + 1 == core->piece_count;
        bool dies = is_last;
        for (uint32_t k = 0; k < core->piece_count && !dies; k++) {
            uint32_t death = buffers[core->pieces[k].buffer].last_step;
            dies = births[i] <= death && death < births[i + 1];
        }
        if (dies)
            births[columns++] = births[i];
    }
    return columns;
}

/* Gives the pieces their columns. Returns the length of all columns' lists together. */
static size_t
set_lifetimes(const mn_plan_buffer *buffers, mn__core *core, const uint32_t *column_steps)
{
    size_t length = 0;
    for (uint32_t k = 0; k < core->piece_count; k++) {
        mn__piece *p = &core->pieces[k];
        const mn_plan_buffer *b = &buffers[p->buffer];
        while (column_steps[p->first] < b->first_step)
            p->first++;
        p->last = p->first;
        while (p->last + 1 < core->column_count && column_steps[p->last + 1] <= b->last_step)
            p->last++;
        length += (size_t)p->last - p->first + 1;
    }
    qsort(core->pieces, core->piece_count, sizeof *core->pieces, compare_pieces);
    return length;
}

static void fill_lists(mn__core *core)
{
    uint32_t piece = 0;
    uint32_t length = 0;
    for (uint32_t c = 0; c < core->column_count; c++) {
        core->starts[c] = piece;
        core->lists[c] = length;
        while (piece < core->piece_count && core->pieces[piece].first == c)
            piece++;
        for (uint32_t k = 0; k < piece; k++)
            if (core->pieces[k].last >= c)
                core->members[length++] = k;
    }
    core->starts[core->column_count] = piece;
    core->lists[core->column_count] = length;
}

bool mn__core_find(const mn_plan_buffer *buffers,
                   uint32_t count,
                   size_t arena_bytes,
                   mn__core *core)
{
    uint32_t *steps = mn_calloc(count, sizeof *steps);
    bool *is_out = mn_calloc(count, sizeof *is_out);
    bool good = false;
    core->pieces = mn_calloc(count, sizeof *core->pieces);
    core->left_out = mn_calloc(count, sizeof *core->left_out);
    core->starts = mn_calloc((size_t)count + 1, sizeof *core->starts);
    core->lists = mn_calloc((size_t)count + 1, sizeof *core->lists);
    if (steps == NULL || is_out == NULL || core->pieces == NULL || core->left_out == NULL ||
        core->starts == NULL || core->lists == NULL)
        goto done;
    leave_out(buffers, count, arena_bytes, is_out, core);
    for (uint32_t i = 0; i < count; i++)
        if (!is_out[i])
            core->pieces[core->piece_count++] = (mn__piece){.bytes = buffers[i].bytes, .buffer = i};
    core->column_count = find_columns(buffers, core, steps);
    core->members = mn_calloc(set_lifetimes(buffers, core, steps), sizeof *core->members);
    good = core->members != NULL;
    if (good)
        fill_lists(core);
done:
    free(steps);
    free(is_out);
    return good;
}

void mn__core_done(mn__core *core)
{
    free(core->pieces);
    free(core->starts);
    free(core->lists);
    free(core->members);
    free(core->left_out);
    *core = (mn__core){0};
}

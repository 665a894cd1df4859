/* What the tests of plan/offsets share: a check of every placement, and buffers that are hard to
 * place. */
#ifndef MN_TESTS_PLAN_BUFFERS_H
#define MN_TESTS_PLAN_BUFFERS_H

#include "test.h"

#include "base/random.h"
#include "plan/offsets.h"

enum { MOST = 40, UNIT = 16 };

static const uint64_t plenty = 1000000; /* states: the search ends before */

static inline bool together(const mn_plan_buffer *a, const mn_plan_buffer *b)
{
    return a->first_step <= b->last_step && b->first_step <= a->last_step;
}

static inline size_t peak_of(const mn_plan_buffer *buffers, uint32_t count)
{
    size_t peak = 0;
    for (uint32_t t = 0; t < MOST + 8; t++) {
        size_t live = 0;
        for (uint32_t i = 0; i < count; i++)
            if (buffers[i].first_step <= t && t <= buffers[i].last_step)
                live += buffers[i].bytes;
        peak = live > peak ? live : peak;
    }
    return peak;
}

static inline void assert_apart(const mn_plan_buffer *buffers, uint32_t count, size_t arena)
{
    size_t top = 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t end = buffers[i].offset + buffers[i].bytes;
        assert_true(end >= buffers[i].offset);
        top = end > top ? end : top;
        assert_int_equal(buffers[i].offset % UNIT, 0);
        for (uint32_t k = 0; k < i; k++)
            if (together(&buffers[i], &buffers[k]))
                assert_true(end <= buffers[k].offset ||
                            buffers[k].offset + buffers[k].bytes <= buffers[i].offset);
    }
    assert_int_equal(top, arena);
}

static inline mn__placement find(mn_plan_buffer *buffers, uint32_t count, uint64_t max_states)
{
    mn_error err;
    mn__placement placement = {0};
    assert_ok(
        mn__offsets_find(buffers, count, peak_of(buffers, count), max_states, &placement, &err),
        &err);
    assert_apart(buffers, count, placement.arena_bytes);
    return placement;
}

/*
 * Four units are alive at every step, and yet four are not enough. Steps 0 and 1: the first two
 * fill a half each, so that the third and fourth share one half, say the upper. Step 2: the fifth
 * and sixth share the other. Step 3: the third and the sixth are left, one in each half, and two
 * units in a row are free only when they lie at the outer ends. The seventh is then in the middle,
 * and at step 4 no two units in a row are free for the eighth.
 */
static const mn_plan_buffer trap[8] = {
    {.bytes = 2 * UNIT, .first_step = 0, .last_step = 0},
    {.bytes = 2 * UNIT, .first_step = 0, .last_step = 1},
    {.bytes = UNIT, .first_step = 1, .last_step = 3},
    {.bytes = UNIT, .first_step = 1, .last_step = 2},
    {.bytes = UNIT, .first_step = 2, .last_step = 2},
    {.bytes = UNIT, .first_step = 2, .last_step = 3},
    {.bytes = 2 * UNIT, .first_step = 3, .last_step = 4},
    {.bytes = 2 * UNIT, .first_step = 4, .last_step = 4},
};

#endif

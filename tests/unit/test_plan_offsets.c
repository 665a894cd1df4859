/* Placement of buffers: no two that are alive together meet, and small cases come out as well as
 * the best of all sequences. */
#include "test.h"

#include "base/random.h"
#include "plan/offsets.h"

enum { MOST = 40 };

static uint32_t random_buffers(mn_random *random, uint32_t most, mn_plan_buffer *buffers)
{
    uint32_t count = 1 + mn_random_below(random, most);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t a = mn_random_below(random, count + 2);
        uint32_t b = a + mn_random_below(random, 4);
        buffers[i] = (mn_plan_buffer){.bytes = 16 * (size_t)(1 + mn_random_below(random, 9)),
                                      .first_step = a,
                                      .last_step = b};
    }
    return count;
}

static bool together(const mn_plan_buffer *a, const mn_plan_buffer *b)
{
    return a->first_step <= b->last_step && b->first_step <= a->last_step;
}

static size_t peak_of(const mn_plan_buffer *buffers, uint32_t count)
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

static void assert_apart(const mn_plan_buffer *buffers, uint32_t count, size_t arena)
{
    size_t top = 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t end = buffers[i].offset + buffers[i].bytes;
        top = end > top ? end : top;
        assert_int_equal(buffers[i].offset % 16, 0);
        for (uint32_t k = 0; k < i; k++)
            if (together(&buffers[i], &buffers[k]))
                assert_true(end <= buffers[k].offset ||
                            buffers[k].offset + buffers[k].bytes <= buffers[i].offset);
    }
    assert_int_equal(top, arena);
}

static void test_random_buffers(void **state)
{
    (void)state;
    mn_random random = mn_random_make(3, 1);
    uint32_t tight = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        mn_plan_buffer buffers[MOST];
        mn_error err;
        size_t arena = 0;
        uint32_t count = random_buffers(&random, MOST, buffers);
        size_t peak = peak_of(buffers, count);
        assert_ok(mn__offsets_find(buffers, count, peak, &arena, &err), &err);
        assert_apart(buffers, count, arena);
        assert_true(arena >= peak);
        assert_true(arena <= 2 * peak);
        tight += arena == peak;
    }
    assert_true(tight > 1000);
}

/* The least arena over all ways to put the remaining buffers down, each at its lowest gap: some
 * sequence of that kind is best of all placements. */
static size_t exhaustive(mn_plan_buffer *buffers, uint32_t count, uint32_t placed, size_t top)
{
    size_t best = SIZE_MAX;
    if (placed == (1u << count) - 1)
        return top;
    for (uint32_t i = 0; i < count; i++) {
        if (placed >> i & 1)
            continue;
        size_t offset = 0;
        for (bool moved = true; moved;) {
            moved = false;
            for (uint32_t k = 0; k < count; k++) {
                if ((placed >> k & 1) && together(&buffers[i], &buffers[k]) &&
                    offset < buffers[k].offset + buffers[k].bytes &&
                    buffers[k].offset < offset + buffers[i].bytes) {
                    offset = buffers[k].offset + buffers[k].bytes;
                    moved = true;
                }
            }
        }
        buffers[i].offset = offset;
        size_t end = offset + buffers[i].bytes;
        size_t arena = exhaustive(buffers, count, placed | 1u << i, end > top ? end : top);
        best = arena < best ? arena : best;
    }
    return best;
}

static void test_small_cases_against_all_sequences(void **state)
{
    (void)state;
    mn_random random = mn_random_make(3, 2);
    uint32_t best = 0;
    for (uint32_t i = 0; i < 300; i++) {
        mn_plan_buffer buffers[6];
        mn_plan_buffer tried[6];
        mn_error err;
        size_t arena = 0;
        uint32_t count = random_buffers(&random, 6, buffers);
        memcpy(tried, buffers, sizeof tried);
        assert_ok(mn__offsets_find(buffers, count, peak_of(buffers, count), &arena, &err), &err);
        size_t least = exhaustive(tried, count, 0, 0);
        assert_true(arena >= least);
        best += arena == least;
    }
    assert_true(best >= 295);
}

/* Lifetimes that are the same to the step, or meet in one step only, are alive together. */
static void test_lifetimes_include_both_ends(void **state)
{
    (void)state;
    mn_plan_buffer buffers[] = {{.bytes = 16, .first_step = 2, .last_step = 4},
                                {.bytes = 32, .first_step = 2, .last_step = 4},
                                {.bytes = 16, .first_step = 4, .last_step = 4},
                                {.bytes = 64, .first_step = 5, .last_step = 5}};
    mn_error err;
    size_t arena = 0;
    assert_ok(mn__offsets_find(buffers, 4, 64, &arena, &err), &err);
    assert_apart(buffers, 4, arena);
    assert_int_equal(arena, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_buffers),
        cmocka_unit_test(test_small_cases_against_all_sequences),
        cmocka_unit_test(test_lifetimes_include_both_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

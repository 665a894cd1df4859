/* Placement of buffers: no two that are alive together meet, spent states cost the proof only, and
 * the ends of what sizes and lifetimes can be. */
#include "plan_buffers.h"

#include "alloc_failure.h"

static uint32_t random_buffers(mn_random *random, uint32_t most, mn_plan_buffer *buffers)
{
    uint32_t count = 1 + mn_random_below(random, most);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t a = mn_random_below(random, count + 2);
        uint32_t b = a + mn_random_below(random, 4);
        buffers[i] = (mn_plan_buffer){.bytes = UNIT * (size_t)(1 + mn_random_below(random, 9)),
                                      .first_step = a,
                                      .last_step = b};
    }
    return count;
}

static void test_random_buffers(void **state)
{
    (void)state;
    mn_random random = mn_random_make(3, 1);
    uint32_t tight = 0;
    uint32_t searched = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        mn_plan_buffer buffers[MOST];
        uint32_t count = random_buffers(&random, MOST, buffers);
        size_t peak = peak_of(buffers, count);
        mn__placement placement = find(buffers, count, 20000);
        assert_true(placement.arena_bytes >= peak);
        assert_true(placement.proven);
        tight += placement.arena_bytes == peak;
        searched += placement.states > 0;
    }
    assert_true(tight > 1990);
    assert_true(searched > 100);
}

/* ---- cases by hand --------------------------------------------------------------------------- */

/* The greedy sequences end above the peak; the exact search finds it. */
static void test_peak_in_reach_of_the_exact_search_only(void **state)
{
    (void)state;
    mn_random random = mn_random_make(3, 3);
    uint32_t found = 0;
    uint32_t tight = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        mn_plan_buffer buffers[MOST];
        mn_plan_buffer again[MOST];
        uint32_t count = random_buffers(&random, MOST, buffers);
        memcpy(again, buffers, sizeof again);
        mn__placement greedy = find(buffers, count, 0);
        mn__placement exact = find(again, count, 20000);
        assert_true(exact.arena_bytes <= greedy.arena_bytes);
        assert_true(greedy.proven == (greedy.arena_bytes == peak_of(buffers, count)));
        assert_int_equal(greedy.states, 0);
        found += exact.arena_bytes < greedy.arena_bytes;
        tight += greedy.proven;
    }
    assert_true(found >= 3);
    assert_true(tight > 1900); /* some of which the repairs of the sequences have found */
}

/* Spent states cost the proof, not the placement; the bound is kept to. */
static void test_few_states(void **state)
{
    (void)state;
    mn_plan_buffer buffers[MOST];
    memcpy(buffers, trap, sizeof trap);
    uint64_t needed = find(buffers, 8, plenty).states;
    for (uint64_t most = 0; most < needed; most++) {
        mn__placement placement = find(buffers, 8, most);
        assert_false(placement.proven);
        assert_int_equal(placement.states, most);
        assert_true(placement.arena_bytes >= 5 * UNIT);
    }
    assert_true(find(buffers, 8, needed).proven);
}

static void test_no_buffers(void **state)
{
    (void)state;
    mn_error err;
    mn__placement placement = {.arena_bytes = 1};
    assert_ok(mn__offsets_find(NULL, 0, 0, 1, &placement, &err), &err);
    assert_int_equal(placement.arena_bytes, 0);
    assert_true(placement.proven);
}

static void test_one_buffer(void **state)
{
    (void)state;
    mn_plan_buffer buffer = {.bytes = 48, .offset = 16, .first_step = 3, .last_step = 3};
    mn__placement placement = find(&buffer, 1, 1);
    assert_int_equal(buffer.offset, 0);
    assert_int_equal(placement.arena_bytes, 48);
    assert_true(placement.proven);
}

static void test_buffers_of_no_bytes(void **state)
{
    (void)state;
    mn_plan_buffer buffers[MOST] = {{.first_step = 0, .last_step = 9}};
    memcpy(buffers + 1, trap, sizeof trap);
    buffers[9] = buffers[0];
    mn__placement placement = find(buffers, 10, plenty);
    assert_true(placement.proven);
    assert_int_equal(placement.arena_bytes, 5 * UNIT);
}

/* All alive together, some of one size: any stack will do. */
static void test_identical_lifetimes(void **state)
{
    (void)state;
    mn_plan_buffer buffers[MOST];
    for (uint32_t i = 0; i < MOST; i++)
        buffers[i] =
            (mn_plan_buffer){.bytes = UNIT * (size_t)(1 + i % 7), .first_step = 7, .last_step = 9};
    mn__placement placement = find(buffers, MOST, 1);
    assert_true(placement.proven);
    assert_int_equal(placement.arena_bytes, peak_of(buffers, MOST));
}

/* Lifetimes that are the same to the step, or meet in one step only, are alive together. */
static void test_lifetimes_include_both_ends(void **state)
{
    (void)state;
    mn_plan_buffer buffers[] = {{.bytes = 16, .first_step = 2, .last_step = 4},
                                {.bytes = 32, .first_step = 2, .last_step = 4},
                                {.bytes = 16, .first_step = 4, .last_step = 4},
                                {.bytes = 64, .first_step = 5, .last_step = 5}};
    assert_int_equal(find(buffers, 4, 1).arena_bytes, 64);
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* Half of the address space, twice: the sum of all sizes does not fit, the arena does. */
static void test_sizes_near_the_limit(void **state)
{
    (void)state;
    size_t half = SIZE_MAX / 2 / UNIT * UNIT;
    mn_plan_buffer buffers[] = {{.bytes = half, .first_step = 0, .last_step = 1},
                                {.bytes = half, .first_step = 1, .last_step = 2},
                                {.bytes = half, .first_step = 2, .last_step = 3},
                                {.bytes = half, .first_step = 3, .last_step = 3}};
    mn__placement placement = find(buffers, 4, 100);
    assert_int_equal(placement.arena_bytes, 2 * half);
    assert_true(placement.proven);
}

/* The trap scaled so that its peak fits size_t and its best placement does not. */
static void test_no_placement_fits(void **state)
{
    (void)state;
    size_t unit = SIZE_MAX / 4 / UNIT * UNIT;
    mn_plan_buffer buffers[8];
    memcpy(buffers, trap, sizeof trap);
    for (uint32_t i = 0; i < 8; i++)
        buffers[i].bytes = buffers[i].bytes / UNIT * unit;
    for (uint64_t most = 0; most < 2000; most = 2 * most + 1) {
        mn_error err;
        mn__placement placement = {.arena_bytes = 1};
        assert_int_equal(mn__offsets_find(buffers, 8, 4 * unit, most, &placement, &err),
                         MN_ERR_LIMIT);
        assert_int_equal(placement.arena_bytes, 1);
    }
}

static void test_allocation_failures(void **state)
{
    (void)state;
    size_t n = 0;
    for (bool failed = true; failed;) {
        mn_plan_buffer buffers[8];
        mn_error err;
        mn__placement placement = {.arena_bytes = 1};
        memcpy(buffers, trap, sizeof trap);
        alloc_fail_at(++n);
        mn_status status = mn__offsets_find(buffers, 8, 4 * UNIT, plenty, &placement, &err);
        failed = alloc_has_failed();
        assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
        assert_true((placement.arena_bytes == 1) == failed);
    }
    assert_true(n > 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_buffers),
        cmocka_unit_test(test_peak_in_reach_of_the_exact_search_only),
        cmocka_unit_test(test_few_states),
        cmocka_unit_test(test_no_buffers),
        cmocka_unit_test(test_one_buffer),
        cmocka_unit_test(test_buffers_of_no_bytes),
        cmocka_unit_test(test_identical_lifetimes),
        cmocka_unit_test(test_lifetimes_include_both_ends),
        cmocka_unit_test(test_sizes_near_the_limit),
        cmocka_unit_test(test_no_placement_fits),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, alloc_failure_setup, NULL);
}

/* The exact search for offsets against brute force: what is called proven is the best there is. */
#include "plan_buffers.h"

#if defined(__SANITIZE_ADDRESS__)
#define CASES 2000
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CASES 2000
#endif
#endif
#ifndef CASES
#define CASES 20000
#endif

/* ---- against brute force --------------------------------------------------------------------- */

/* Whether buffers `at` and on can be placed beside those before, below `arena`. */
static bool fits(mn_plan_buffer *buffers, uint32_t count, uint32_t at, size_t arena)
{
    if (at == count)
        return true;
    mn_plan_buffer *b = &buffers[at];
    for (b->offset = 0; b->offset + b->bytes <= arena; b->offset += UNIT) {
        bool meets = false;
        for (uint32_t i = 0; i < at && !meets; i++)
            meets = together(b, &buffers[i]) && b->offset < buffers[i].offset + buffers[i].bytes &&
                    buffers[i].offset < b->offset + b->bytes;
        if (!meets && fits(buffers, count, at + 1, arena))
            return true;
    }
    return false;
}

/* The smallest arena. All offsets that are multiples of the unit are tried for every buffer, which
 * is enough: push the buffers of a best placement down, again and again, until none can go lower.
 * Each then lies at 0 or on top of another, so that its offset is a sum of sizes, which all are
 * multiples of the unit; and the arena has not grown. For the same reason it is such a sum. */
static size_t least_arena(const mn_plan_buffer *buffers, uint32_t count)
{
    mn_plan_buffer tried[MOST];
    memcpy(tried, buffers, count * sizeof *buffers);
    size_t arena = peak_of(buffers, count);
    while (!fits(tried, count, 0, arena))
        arena += UNIT;
    return arena;
}

static uint32_t few_buffers(mn_random *random, mn_plan_buffer *buffers)
{
    uint32_t count = 1 + mn_random_below(random, 8);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t a = mn_random_below(random, 6);
        buffers[i] = (mn_plan_buffer){.bytes = UNIT * (size_t)(1 + mn_random_below(random, 5)),
                                      .first_step = a,
                                      .last_step = a + mn_random_below(random, 4)};
    }
    return count;
}

/* Each step fills `room` units to the last one: what dies is replaced by the next buffers. */
static uint32_t full_steps(mn_random *random, uint32_t most, uint32_t room, mn_plan_buffer *buffers)
{
    uint32_t largest = room / 2;
    uint32_t count = 0;
    for (uint32_t step = 0;; step++) {
        for (uint32_t i = 0; i < count; i++)
            room += buffers[i].last_step + 1 == step ? (uint32_t)(buffers[i].bytes / UNIT) : 0;
        while (room > 0) {
            uint32_t units = 1 + mn_random_below(random, largest);
            units = units < room ? units : room;
            if (count == most)
                return count;
            buffers[count++] = (mn_plan_buffer){.bytes = UNIT * (size_t)units,
                                                .first_step = step,
                                                .last_step = step + mn_random_below(random, 4)};
            room -= units;
        }
    }
}

/* The trap in a random sequence, with one or two sizes or lifetimes changed. */
static uint32_t near_trap(mn_random *random, mn_plan_buffer *buffers)
{
    uint32_t sequence[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    mn_random_shuffle(random, sequence, 8);
    for (uint32_t i = 0; i < 8; i++)
        buffers[i] = trap[sequence[i]];
    for (uint32_t changes = 1 + mn_random_below(random, 2); changes > 0; changes--) {
        mn_plan_buffer *b = &buffers[mn_random_below(random, 8)];
        if (mn_random_below(random, 2) == 0)
            b->bytes = UNIT * (size_t)(1 + mn_random_below(random, 3));
        else
            b->last_step = b->first_step + mn_random_below(random, 4);
    }
    return 8;
}

static void test_against_all_placements(void **state)
{
    (void)state;
    mn_random random = mn_random_make(3, 2);
    uint32_t searched = 0;
    uint32_t above_peak = 0;
    for (uint32_t i = 0; i < CASES; i++) {
        mn_plan_buffer buffers[MOST];
        uint32_t count = i % 3 == 0   ? few_buffers(&random, buffers)
                         : i % 3 == 1 ? full_steps(&random,
                                                   8 + mn_random_below(&random, 3),
                                                   4 + mn_random_below(&random, 3),
                                                   buffers)
                                      : near_trap(&random, buffers);
        mn__placement placement = find(buffers, count, plenty);
        assert_true(placement.proven);
        assert_int_equal(placement.arena_bytes, least_arena(buffers, count));
        searched += placement.states > 0;
        above_peak += placement.arena_bytes > peak_of(buffers, count);
    }
    assert_true(searched > CASES / 50);
    assert_true(above_peak > CASES / 100);
}

/* More buffers and finer sizes, so that the best arena is often neither the peak nor what the
 * greedy sequences find, and needs gaps in the middle. */
static void test_full_steps_against_all_placements(void **state)
{
    (void)state;
    mn_random random = mn_random_make(3, 4);
    uint32_t above_peak = 0;
    uint32_t below_greedy = 0;
    for (uint32_t i = 0; i < CASES / 20; i++) {
        mn_plan_buffer buffers[MOST];
        mn_plan_buffer again[MOST];
        uint32_t count = full_steps(&random, 30, 12, buffers);
        memcpy(again, buffers, sizeof again);
        mn__placement placement = find(buffers, count, plenty);
        assert_true(placement.proven);
        assert_int_equal(placement.arena_bytes, least_arena(buffers, count));
        if (placement.arena_bytes == peak_of(buffers, count))
            continue;
        above_peak++;
        below_greedy += placement.arena_bytes < find(again, count, 0).arena_bytes;
    }
    assert_true(above_peak > CASES / 1000);
    assert_true(below_greedy > CASES / 1000);
}

/* ---- cases by hand --------------------------------------------------------------------------- */

static void test_peak_out_of_reach(void **state)
{
    (void)state;
    mn_plan_buffer buffers[MOST];
    memcpy(buffers, trap, sizeof trap);
    mn__placement placement = find(buffers, 8, plenty);
    assert_int_equal(peak_of(buffers, 8), 4 * UNIT);
    assert_int_equal(placement.arena_bytes, 5 * UNIT);
    assert_true(placement.proven);
    assert_true(placement.states > 1);
}

/* Placements that reach the peak and need a gap, as high as one buffer, that opens up under others
 * in the middle of the search. */
static void test_gaps(void **state)
{
    (void)state;
    static const uint32_t cases[2][11][3] = {
        {{7, 1, 1},
         {2, 1, 2},
         {3, 1, 3},
         {1, 1, 4},
         {2, 2, 3},
         {4, 2, 4},
         {2, 3, 3},
         {1, 3, 5},
         {7, 4, 5},
         {5, 5, 5}},
        {{10, 3, 3},
         {1, 3, 4},
         {5, 3, 6},
         {2, 4, 6},
         {1, 4, 6},
         {6, 6, 7},
         {2, 6, 9},
         {4, 7, 9},
         {3, 9, 10},
         {7, 9, 10},
         {5, 10, 10}},
    };
    for (uint32_t k = 0; k < 2; k++) {
        mn_plan_buffer buffers[MOST];
        uint32_t count = 0;
        for (; count < 11 && cases[k][count][0] > 0; count++)
            buffers[count] = (mn_plan_buffer){.bytes = UNIT * (size_t)cases[k][count][0],
                                              .first_step = cases[k][count][1],
                                              .last_step = cases[k][count][2]};
        mn__placement placement = find(buffers, count, plenty);
        assert_true(placement.states > 0);
        assert_int_equal(placement.arena_bytes, peak_of(buffers, count));
    }
}

/* Several copies of the trap, one after another and of different sizes: each is refuted by itself,
 * and the largest decides. Copies that are too small to matter cost nothing. */
static void test_independent_parts(void **state)
{
    (void)state;
    mn_plan_buffer buffers[MOST];
    uint32_t times[5] = {2, 3, 1, 3, 1};
    for (uint32_t i = 0; i < 40; i++) {
        buffers[i] = trap[i % 8];
        buffers[i].bytes *= times[i / 8];
        buffers[i].first_step += 5 * (i / 8);
        buffers[i].last_step += 5 * (i / 8);
    }
    mn__placement placement = find(buffers, 40, plenty);
    assert_true(placement.proven);
    assert_int_equal(placement.arena_bytes, 15 * UNIT);
    assert_true(placement.states < 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_all_placements),
        cmocka_unit_test(test_full_steps_against_all_placements),
        cmocka_unit_test(test_peak_out_of_reach),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_independent_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

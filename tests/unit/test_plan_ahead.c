/* Looking ahead: what is said to come must come on every way to go on, which an exhaustive search
 * on small graphs tells; and it is said early enough to be of use. */
#include "plan_play.h"

#if defined(__SANITIZE_ADDRESS__)
enum { CASES = 1500 };
#else
enum { CASES = 20000 };
#endif

/* ---- the best way to go on, by trying all -----------------------------------------------------
 */

enum { MOST_KNOWN = 4096 };

typedef struct known {
    rooms *rooms;
    uint8_t *states; /* (MOST_KNOWN, state_bytes) */
    size_t best[MOST_KNOWN];
    uint32_t count;
    bool is_full; /* too many boards: no answer */
} known;

/* Finds the board among those that are known; adds it when it is new. */
static uint32_t look_up(known *k, bool *ret_new)
{
    rooms *r = k->rooms;
    size_t bytes = r->form.state_bytes;
    mn__board_save(&r->board, &r->form, r->state);
    for (uint32_t i = 0; i < k->count; i++)
        if (memcmp(k->states + i * bytes, r->state, bytes) == 0)
            return i;
    *ret_new = true;
    memcpy(k->states + k->count * bytes, r->state, bytes);
    return k->count++;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The least, over all ways to go on, of the most that is alive at some step; SIZE_MAX when no way
 * leads to the end. */
static size_t best_from(known *k)
{
    mn__board *b = &k->rooms->board;
    mn__segment s = k->rooms->reach.segment;
    bool is_new = false;
    if (mn__board_is_finished(b))
        return 0;
    if (k->count == MOST_KNOWN) {
        k->is_full = true;
        return 0;
    }
    uint32_t at = look_up(k, &is_new);
    if (!is_new)
        return k->best[at];
    size_t best = SIZE_MAX;
    for (uint32_t n = s.first; n < s.end; n++) {
        mn__placing placings[MN__MOST_PLACINGS];
        bool cut = false;
        if (!mn__board_is_ready(b, n))
            continue;
        uint32_t count = mn__board_placings(b, n, placings, &cut);
        for (uint32_t i = 0; i < count && !k->is_full; i++) {
            mn__mark mark = mn__board_mark(b);
            size_t during = mn__board_run(b, n, &placings[i]);
            size_t most = larger(during, best_from(k));
            mn__board_take_back(b, mark);
            best = most < best ? most : best;
        }
    }
    k->best[at] = best;
    return best;
}

/* ---- the bound ------------------------------------------------------------------------------- */

typedef struct tally {
    uint32_t boards, exact, brinks, shut;
} tally;

/* Whether n may be run on the board as a step that only takes memory, as macro.c does. */
static bool is_idle(const rooms *r, uint32_t n)
{
    const mn__board *b = &r->board;
    return mn__board_is_ready(b, n) && mn__values_prim(b->values, n) != MN_PRIM_CONCAT &&
           !b->values->is_output[n] && b->values->needs->scratch_bytes[n] == 0 &&
           b->unread[n] > 0 && b->move_count > 0 && mn__board_only_takes(b, n);
}

/* Steps that are said to make `limit` bytes needed do so, wherever one goes on from there. */
static void assert_brinks(known *k, size_t limit, tally *t)
{
    rooms *r = k->rooms;
    mn__brink brink = r->ahead.brink;
    for (uint32_t n = r->reach.segment.first; n < r->reach.segment.end; n++) {
        if (!is_idle(r, n) || !mn__ahead_is_too_much(&r->ahead, &r->board, &brink, n, limit))
            continue;
        mn__placing own = {.depth = 1, .nodes = {n}};
        mn__mark mark = mn__board_mark(&r->board);
        size_t during = mn__board_run(&r->board, n, &own);
        assert_true(larger(during, best_from(k)) >= limit || k->is_full);
        mn__board_take_back(&r->board, mark);
        t->brinks++;
    }
}

/* The same for concats that are not to get their place with the next step. */
static void assert_shut(known *k, size_t limit, tally *t)
{
    rooms *r = k->rooms;
    for (uint32_t n = r->reach.segment.first; n < r->reach.segment.end; n++) {
        mn__placing p[MN__MOST_PLACINGS];
        bool cut = false;
        uint32_t count = 0;
        if (mn__board_is_ready(&r->board, n))
            count = mn__board_placings(&r->board, n, p, &cut);
        for (uint32_t i = 0; i < count * r->ahead.top_count; i++) {
            uint32_t top = i % r->ahead.top_count;
            const mn__placing *way = &p[i / r->ahead.top_count];
            if (r->ahead.opened[top] < limit || way->depth < 2 ||
                way->nodes[way->depth - 1] != r->ahead.tops[top])
                continue;
            mn__mark mark = mn__board_mark(&r->board);
            size_t during = mn__board_run(&r->board, n, way);
            assert_true(larger(during, best_from(k)) >= limit || k->is_full);
            mn__board_take_back(&r->board, mark);
            t->shut++;
        }
    }
}

static void assert_bound(known *k, mn_random *random, tally *t)
{
    rooms *r = k->rooms;
    size_t best = best_from(k);
    if (k->is_full || best == 0 || best == SIZE_MAX)
        return;
    const size_t limits[] = {best, best + 16, best + 64};
    r->ahead.limit = limits[mn_random_below(random, 3)];
    size_t bound = mn__ahead_bytes(&r->ahead, &r->board);
    if (bound > best)
        fail_msg("%zu bytes are said to come, but %zu are enough", bound, best);
    assert_int_equal(bound % 16, 0);
    t->boards++;
    t->exact += larger(bound, r->board.live_bytes) == best;
    assert_brinks(k, r->ahead.limit, t);
    assert_shut(k, r->ahead.limit, t);
}

static void walk(rooms *r, uint32_t segment, mn_random *random, tally *t)
{
    known k = {.rooms = r};
    enter_segment(r, segment);
    k.states = malloc(MOST_KNOWN * (r->form.state_bytes + 1));
    assert_non_null(k.states);
    do {
        assert_bound(&k, random, t);
    } while (!k.is_full && play_one(r, random).moved);
    free(k.states);
}

static void test_bound_never_exceeds_the_best(void **state)
{
    (void)state;
    mn_random random = mn_random_make(9, 1);
    tally t = {0};
    for (uint32_t i = 0; i < CASES; i++) {
        conv_scratch = i % 5 == 0 ? 40 : 0;
        depthwise_in_place_scratch = i % 2 == 0 ? 16 : -1;
        mn_graph *graph =
            tool_random_graph(&random, (tool_random){.nodes = 11, .channels = 1 + i % 4});
        rooms *r = make_rooms(graph);
        for (uint32_t s = 0; s < r->segment_count; s++)
            walk(r, s, &random, &t);
        free_rooms(r);
        mn_graph_free(graph);
    }
    conv_scratch = 0;
    depthwise_in_place_scratch = -1;
    print_message("%u boards, %u bounds exact; %u brinks, %u shut concats\n",
                  t.boards,
                  t.exact,
                  t.brinks,
                  t.shut);
    assert_true(t.boards > 3000);
    assert_true(t.exact * 10 > t.boards * 6);
}

/* Wide maps that end in a concat, as in inception blocks: a random number of branches of one to
 * three kernels, each branch's first one wide. Here brinks and shut concats matter. */
static mn_graph *make_branches(mn_random *random)
{
    tool t = tool_start();
    uint32_t ends[3];
    uint32_t count = 2 + mn_random_below(random, 2);
    uint32_t x = tool_conv(&t, tool_input(&t, 2, 2, 1), 4);
    for (uint32_t i = 0; i < count; i++) {
        ends[i] = tool_conv(&t, x, 4 * (1 + mn_random_below(random, 8)));
        for (uint32_t k = mn_random_below(random, 3); k > 0; k--)
            ends[i] = tool_conv(&t, ends[i], 4 * (1 + mn_random_below(random, 3)));
    }
    return tool_finish_one(&t, tool_conv(&t, tool_join(&t, MN_PRIM_CONCAT, count, ends), 4));
}

static void test_branches(void **state)
{
    (void)state;
    mn_random random = mn_random_make(9, 2);
    tally t = {0};
    for (uint32_t i = 0; i < 500; i++) {
        mn_graph *graph = make_branches(&random);
        rooms *r = make_rooms(graph);
        for (uint32_t s = 0; s < r->segment_count; s++)
            walk(r, s, &random, &t);
        free_rooms(r);
        mn_graph_free(graph);
    }
    print_message("%u boards, %u bounds exact; %u brinks, %u shut concats\n",
                  t.boards,
                  t.exact,
                  t.brinks,
                  t.shut);
    assert_true(t.boards > 300);
    assert_true(t.brinks > 50);
    assert_true(t.shut > 200);
}

/* A part of the last concat that may lie in another part of it, an inner concat: it must not count
 * beside that one. Rare at random, so that all of a small family is walked. */
static mn_graph *make_shared_part(uint32_t channels, uint32_t times, uint32_t last)
{
    tool t = tool_start();
    uint32_t x = tool_input(&t, 1, 3, 1);
    uint32_t a = tool_conv(&t, x, channels);
    uint32_t inner = tool_join(&t, MN_PRIM_CONCAT, 2 + times, (uint32_t[]){x, a, a, a});
    uint32_t flat = tool_reshape(&t, inner, mn_graph_builder_shape(t.builder, inner));
    uint32_t u = tool_conv(&t, tool_depthwise(&t, inner), last);
    uint32_t outer = tool_join(&t, MN_PRIM_CONCAT, 3, (uint32_t[]){u, a, inner});
    (void)flat; /* keeps the inner concat dense */
    return tool_finish(&t, 2, (uint32_t[]){outer, u});
}

static void test_part_that_lies_in_another(void **state)
{
    (void)state;
    mn_random random = mn_random_make(9, 3);
    tally t = {0};
    depthwise_in_place_scratch = 16;
    for (uint32_t i = 0; i < 4 * 3 * 4; i++) {
        mn_graph *graph = make_shared_part(1 + i % 4, i / 4 % 3, 1 + i / 12);
        rooms *r = make_rooms(graph);
        for (uint32_t s = 0; s < r->segment_count; s++)
            walk(r, s, &random, &t);
        free_rooms(r);
        mn_graph_free(graph);
    }
    depthwise_in_place_scratch = -1;
    assert_true(t.boards > 100);
}

/* What q leaves on its way to the last concat may lie in the buffer of the first one, which is
 * alive while u runs: it does not come on top of that. */
static void test_way_through_what_is_alive(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t in = tool_input(&t, 1, 1, 4);
    uint32_t a = tool_op(&t, 1, 1, &in);
    uint32_t x = tool_op(&t, 30, 1, &in);
    uint32_t y = tool_op(&t, 5, 1, &in);
    uint32_t q = tool_op(&t, 5, 2, (uint32_t[]){x, y});
    uint32_t u = tool_op(&t, 5, 1, &x);
    uint32_t part = tool_pair(&t, MN_PRIM_CONCAT, a, q);
    uint32_t last = tool_pair(&t, MN_PRIM_CONCAT, part, u);
    mn_graph *graph = tool_finish(&t, 1, &last);
    rooms *r = make_rooms(graph);
    mn_random random = mn_random_make(9, 4);
    tally told = {0};
    for (uint32_t i = 0; i < 200; i++)
        for (uint32_t s = 0; s < r->segment_count; s++)
            walk(r, s, &random, &told);
    assert_true(told.boards > 200);
    free_rooms(r);
    mn_graph_free(graph);
}

/* By hand: x 256 -> a 1024 -> b 256, and c 512 and a sum from b. Segment by segment there must come
 * x and a, a and b, b and c. */
static void test_chain_by_hand(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    uint32_t a = tool_conv(&t, x, 16);
    uint32_t b = tool_conv(&t, a, 4);
    uint32_t c = tool_conv(&t, b, 8);
    uint32_t d = tool_pair(&t, MN_PRIM_ADD, b, b);
    mn_graph *graph = tool_finish(&t, 2, (uint32_t[]){c, d});
    rooms *r = make_rooms(graph);
    enter_segment(r, 0);
    assert_int_equal(r->segments[0].end, a + 1);
    assert_int_equal(mn__ahead_bytes(&r->ahead, &r->board), 256 + 1024);
    enter_segment(r, 1);
    assert_int_equal(mn__ahead_bytes(&r->ahead, &r->board), 1024 + 256);
    enter_segment(r, 2);
    assert_int_equal(r->segments[2].first, c);
    assert_int_equal(mn__ahead_bytes(&r->ahead, &r->board), 256 + 512);
    free_rooms(r);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound_never_exceeds_the_best),
        cmocka_unit_test(test_branches),
        cmocka_unit_test(test_part_that_lies_in_another),
        cmocka_unit_test(test_way_through_what_is_alive),
        cmocka_unit_test(test_chain_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

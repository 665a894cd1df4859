/* Segments: cuts by hand, and on random graphs all cuts and all sets against plain, slow answers.
 */
#include "plan_rooms.h"

/* A residual block, a second one, a classifier: what lies between them is a single value. */
static void test_cuts_by_hand(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    uint32_t sums[2];
    for (int i = 0; i < 2; i++) {
        uint32_t a = tool_conv(&t, x, 4);
        x = tool_pair(&t, MN_PRIM_ADD, tool_conv(&t, a, 4), x);
        sums[i] = x;
    }
    uint32_t pool = tool_one(&t, MN_PRIM_GLOBAL_POOL, x);
    mn_graph *graph = tool_finish_one(&t, pool);
    rooms *r = make_rooms(graph);
    assert_int_equal(r->segment_count, 3);
    assert_int_equal(r->segments[0].first, 0);
    assert_int_equal(r->segments[0].incoming, MN_NONE);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(r->segments[i].end, sums[i] + 1);
        assert_int_equal(r->segments[i + 1].first, sums[i] + 1);
        assert_int_equal(r->segments[i + 1].incoming, sums[i]);
    }
    assert_int_equal(r->segments[2].end, pool + 1);
    free_rooms(r);
    mn_graph_free(graph);
}

/* No cut at a value that may lie in a slice later, nor while an output or an input that is still to
 * be read is kept beside. */
static void test_no_cut(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t b = tool_conv(&t, a, 4);
    mn_graph *graph = tool_finish_one(&t, tool_pair(&t, MN_PRIM_CONCAT, a, b));
    rooms *r = make_rooms(graph);
    assert_int_equal(r->segment_count, 1);
    free_rooms(r);
    mn_graph_free(graph);
    t = tool_start();
    x = tool_input(&t, 4, 4, 4);
    a = tool_conv(&t, x, 4);
    b = tool_conv(&t, a, 4);
    uint32_t c = tool_conv(&t, b, 4);
    graph = tool_finish(&t, 2, (uint32_t[]){c, a});
    r = make_rooms(graph);
    assert_int_equal(r->segment_count, 2); /* behind a, which is alone there, and nowhere after */
    assert_int_equal(r->segments[0].end, a + 1);
    assert_int_equal(r->segments[1].incoming, a);
    free_rooms(r);
    mn_graph_free(graph);
}

/* ---- all cuts -------------------------------------------------------------------------------- */

/* Whether x is there behind node n in every order that runs all nodes up to n first. */
static bool is_kept(const mn__values *v, uint32_t x, uint32_t n)
{
    uint32_t count = mn__list_count(&v->readers, x);
    if (v->value_of[x] != x || (mn__values_is_made(v, x) && x > n))
        return false;
    return count == 0 || v->is_output[x] || mn__list_of(&v->readers, x)[count - 1] > n;
}

static bool has_work(const mn__values *v, uint32_t first, uint32_t end)
{
    for (uint32_t n = first; n < end; n++)
        if (mn__values_is_made(v, n))
            return true;
    return false;
}

static void assert_cuts(const rooms *r)
{
    const mn__values *v = &r->values;
    uint32_t at = 0;
    assert_int_equal(r->segments[0].first, 0);
    for (uint32_t n = 0; n + 1 < v->nodes; n++) {
        uint32_t kept = 0;
        uint32_t last = MN_NONE;
        for (uint32_t x = 0; x < v->nodes; x++)
            if (is_kept(v, x, n)) {
                kept++;
                last = x;
            }
        bool cuts = kept == 1 && mn__list_count(&v->hosts, last) == 0 &&
                    has_work(v, r->segments[at].first, n + 1);
        assert_int_equal(r->segments[at].end == n + 1, cuts);
        if (!cuts)
            continue;
        at++;
        assert_true(at < r->segment_count);
        assert_int_equal(r->segments[at].first, n + 1);
        assert_int_equal(r->segments[at].incoming, last);
    }
    assert_int_equal(at + 1, r->segment_count);
    assert_int_equal(r->segments[at].end, v->nodes);
}

/* ---- all sets -------------------------------------------------------------------------------- */

/* Whether node n must run after value or node x: reads it, or what must. */
static bool comes_after(const mn__values *v, mn__segment s, uint32_t x, uint32_t n)
{
    for (uint32_t m = s.first; m <= n && m < s.end; m++)
        for (uint32_t i = 0; i < mn__list_count(&v->inputs, m); i++)
            if (mn__list_of(&v->inputs, m)[i] == x && (m == n || comes_after(v, s, m, n)))
                return true;
    return false;
}

static bool reads(const mn__values *v, uint32_t n, uint32_t x)
{
    for (uint32_t i = 0; i < mn__list_count(&v->inputs, n); i++)
        if (mn__list_of(&v->inputs, n)[i] == x)
            return true;
    return false;
}

static void assert_sets(const mn__reach *r)
{
    const mn__values *v = r->values;
    mn__segment s = r->segment;
    assert_int_equal(r->count, s.end - s.first);
    for (uint32_t a = s.first; a < s.end; a++)
        for (uint32_t b = s.first; b < s.end; b++) {
            bool after = comes_after(v, s, a, b);
            assert_int_equal(mn__set_has(mn__reach_row(r, r->after, a), b - s.first),
                             after || a == b);
            assert_int_equal(mn__set_has(mn__reach_row(r, r->before, b), a - s.first),
                             after && mn__values_is_made(v, a));
            assert_int_equal(mn__set_has(mn__reach_row(r, r->readers, a), b - s.first),
                             reads(v, b, a));
        }
    const uint64_t *incoming = r->readers + (size_t)r->count * r->words;
    for (uint32_t b = s.first; b < s.end; b++)
        assert_int_equal(mn__set_has(incoming, b - s.first),
                         s.incoming != MN_NONE && reads(v, b, s.incoming));
}

/* A kernel that would write over x while something that must come later still reads it never is its
 * host; and a host covers x only when all other readers of x must run before it. */
static void assert_hosting(const mn__reach *r)
{
    const mn__values *v = r->values;
    for (uint32_t x = r->segment.first; x < r->segment.end; x++)
        for (uint32_t i = 0; i < mn__list_count(&v->hosts, x); i++) {
            uint32_t h = mn__list_of(&v->hosts, x)[i];
            uint8_t hosting = r->hosting[v->hosts.start[x] + i - v->hosts.start[r->segment.first]];
            bool is_concat = mn__values_prim(v, h) == MN_PRIM_CONCAT;
            bool later = false;
            bool before = true;
            for (uint32_t k = 0; k < mn__list_count(&v->readers, x); k++) {
                uint32_t other = mn__list_of(&v->readers, x)[k];
                later = later || comes_after(v, r->segment, h, other);
                before = before && (other == h || comes_after(v, r->segment, other, h));
            }
            assert_int_equal((hosting & MN__HOST_NEVER) != 0, later && !is_concat);
            if (hosting & MN__HOST_COVERS)
                assert_true(before);
            if (is_concat && before)
                assert_true(hosting & MN__HOST_COVERS);
        }
}

static void test_random_graphs(void **state)
{
    (void)state;
    mn_random random = mn_random_make(7, 1);
    uint32_t cuts = 0;
    for (uint32_t i = 0; i < 400; i++) {
        mn_graph *graph = tool_random_graph(&random, (tool_random){.nodes = 18, .channels = 1});
        rooms *r = make_rooms(graph);
        assert_cuts(r);
        for (uint32_t s = 0; s < r->segment_count; s++) {
            enter_segment(r, s);
            assert_sets(&r->reach);
            assert_hosting(&r->reach);
        }
        cuts += r->segment_count - 1;
        free_rooms(r);
        mn_graph_free(graph);
    }
    assert_true(cuts > 100);
}

/* More nodes than fit into a word, and more than sets are made for: none, and no bound by them. */
static void test_large_segments(void **state)
{
    (void)state;
    const uint32_t lengths[] = {63, 64, 65, 200, 4095, 4096};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        tool t = tool_start();
        uint32_t x = tool_input(&t, 1, 1, 1);
        uint32_t last = x;
        for (uint32_t k = 0; k < lengths[i]; k++) /* all read x, so that there is no cut */
            last = tool_pair(&t, MN_PRIM_ADD, last, x);
        mn_graph *graph = tool_finish_one(&t, last);
        rooms *r = make_rooms(graph);
        assert_int_equal(r->segment_count, 1);
        enter_segment(r, 0);
        uint32_t nodes = lengths[i] + 1;
        assert_int_equal(r->reach.words, nodes <= 4096 ? (nodes + 63) / 64 : 0);
        if (r->reach.words > 0) {
            assert_true(mn__set_has(mn__reach_row(&r->reach, r->reach.after, 1), nodes - 1));
            assert_true(mn__set_has(mn__reach_row(&r->reach, r->reach.before, nodes - 1), 1));
            assert_false(mn__set_has(mn__reach_row(&r->reach, r->reach.before, 1), nodes - 1));
        } else {
            assert_int_equal(mn__ahead_bytes(&r->ahead, &r->board), 0);
        }
        free_rooms(r);
        mn_graph_free(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts_by_hand),
        cmocka_unit_test(test_no_cut),
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_large_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

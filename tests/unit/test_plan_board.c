/* The board under random moves: what it says is alive equals a recount from scratch, moves are
 * taken back to the last cell, a board that was saved and loaded behaves the same, and every way
 * through is a plan that the simulator can run, of the bytes that the board said. */
#include "plan_play.h"

#include "plan/alias.h"
#include "plan/liveness.h"
#include "plan/offsets.h"
#include "plan_sim.h"

/* ---- a recount ------------------------------------------------------------------------------- */

/* Which nodes a test has run, and where it saw values placed; nothing else is believed. */
typedef struct tracked {
    const rooms *rooms;
    bool ran[64];
    bool placed[64];
    uint32_t host[64];
} tracked;

static void track_start(tracked *t, const rooms *r)
{
    memset(t, 0, sizeof *t);
    t->rooms = r;
    assert_true(r->values.nodes <= 64);
    for (uint32_t n = 0; n < r->values.nodes; n++) {
        t->host[n] = MN_NONE;
        t->ran[n] = !mn__values_is_made(&r->values, n);
        t->placed[n] = t->ran[n] && r->values.value_of[n] == n;
    }
}

static bool is_concat(const tracked *t, uint32_t n)
{
    return mn__values_prim(&t->rooms->values, n) == MN_PRIM_CONCAT;
}

/* A concat is there without a step when all that it reads, each time, lies in it. */
static bool fills(const tracked *t, uint32_t k)
{
    const mn_node *node = mn_graph_node(t->rooms->values.graph, k);
    uint32_t slices = 0;
    for (uint32_t i = 0; i < mn__list_count(&t->rooms->values.inputs, k); i++) {
        uint32_t x = mn__list_of(&t->rooms->values.inputs, k)[i];
        if (!t->ran[x])
            return false;
        slices += t->host[x] == k;
    }
    return slices == node->input_count;
}

static void track(tracked *t, const played *p)
{
    for (uint32_t i = 0; i < p->placing.depth; i++) {
        uint32_t x = p->placing.nodes[i];
        t->placed[x] = true;
        if (p->placing.hosts[i] > 0)
            t->host[x] = mn__list_of(&t->rooms->values.hosts, x)[p->placing.hosts[i] - 1];
    }
    t->ran[p->node] = true;
    for (uint32_t k = p->node + 1; k < t->rooms->values.nodes; k++)
        if (is_concat(t, k) && !t->ran[k] && fills(t, k))
            t->ran[k] = true;
}

static uint32_t root_of(const tracked *t, uint32_t x)
{
    while (t->host[x] != MN_NONE)
        x = t->host[x];
    return x;
}

/* x is to be written yet, or read. */
static bool is_wanted(const tracked *t, uint32_t x)
{
    const mn__lists *readers = &t->rooms->values.readers;
    if (!t->ran[x])
        return true;
    for (uint32_t i = 0; i < mn__list_count(readers, x); i++)
        if (!t->ran[mn__list_of(readers, x)[i]])
            return true;
    return false;
}

/* Aligned bytes of all buffers that something wanted lies in, and of outputs. */
static size_t recount(const tracked *t)
{
    const mn__values *v = &t->rooms->values;
    size_t bytes = 0;
    for (uint32_t root = 0; root < v->nodes; root++) {
        bool alive = false;
        for (uint32_t x = 0; x < v->nodes; x++)
            alive = alive || (t->placed[x] && root_of(t, x) == root && is_wanted(t, x));
        if (t->placed[root] && root_of(t, root) == root && (alive || v->is_output[root]))
            bytes += v->bytes[root];
    }
    return bytes;
}

/* ---- properties ------------------------------------------------------------------------------ */

typedef void (*property)(rooms *r, mn_random *random);

/* Graphs of both kinds of sizes, with scratch or without. */
static void for_random_graphs(uint64_t seed, uint32_t count, property check)
{
    mn_random random = mn_random_make(8, seed);
    for (uint32_t i = 0; i < count; i++) {
        conv_scratch = i % 3 == 0 ? 40 : 0;
        depthwise_in_place_scratch = i % 2 == 0 ? 16 : -1;
        mn_graph *graph =
            tool_random_graph(&random, (tool_random){.nodes = 20, .channels = 1 + i % 4});
        rooms *r = make_rooms(graph);
        check(r, &random);
        free_rooms(r);
        mn_graph_free(graph);
    }
    conv_scratch = 0;
    depthwise_in_place_scratch = -1;
}

static void check_live_bytes(rooms *r, mn_random *random)
{
    tracked t;
    track_start(&t, r);
    for (uint32_t s = 0; s < r->segment_count; s++) {
        enter_segment(r, s);
        assert_int_equal(r->board.live_bytes, recount(&t));
        for (;;) {
            size_t before = r->board.live_bytes;
            played p = play_one(r, random);
            if (!p.moved)
                break;
            track(&t, &p);
            assert_int_equal(r->board.live_bytes, recount(&t));
            assert_true(p.during >= before);
            assert_true(p.during >= r->board.live_bytes);
            for (uint32_t n = r->reach.segment.first; n < r->reach.segment.end; n++)
                assert_int_equal(r->board.done[n], t.ran[n]);
        }
        if (!mn__board_is_finished(&r->board))
            return; /* places that were chosen first stand in the way */
    }
}

static void test_live_bytes(void **state)
{
    (void)state;
    for_random_graphs(1, 1500, check_live_bytes);
}

/* All arrays of the board are parts of `cells`, but `unread` and such of later segments are not yet
 * worked out; so all of it is compared. */
static void check_take_back(rooms *r, mn_random *random)
{
    uint32_t segment = mn_random_below(random, r->segment_count);
    size_t bytes = 8 * r->values.nodes * sizeof *r->board.cells;
    uint32_t *cells = malloc(bytes);
    assert_non_null(cells);
    enter_segment(r, segment);
    for (int round = 0; round < 8; round++) {
        mn__mark mark = mn__board_mark(&r->board);
        size_t live = r->board.live_bytes;
        memcpy(cells, r->board.cells, bytes);
        uint32_t moves = 1 + mn_random_below(random, 12);
        for (uint32_t i = 0; i < moves && play_one(r, random).moved; i++)
            ;
        mn__board_take_back(&r->board, mark);
        assert_memory_equal(cells, r->board.cells, bytes);
        assert_int_equal(r->board.live_bytes, live);
        assert_int_equal(r->board.move_count, mark.move_count);
        (void)play_one(r, random); /* and on from there */
    }
    free(cells);
}

static void test_take_back(void **state)
{
    (void)state;
    for_random_graphs(2, 1500, check_take_back);
}

/* Whether a node is ready and how it may be placed: the same on both boards. */
static void assert_same_choice(const rooms *a, const rooms *b, uint32_t n)
{
    mn__placing of_a[MN__MOST_PLACINGS];
    mn__placing of_b[MN__MOST_PLACINGS];
    bool cut_a = false;
    bool cut_b = false;
    assert_int_equal(mn__board_is_ready(&a->board, n), mn__board_is_ready(&b->board, n));
    if (!mn__board_is_ready(&a->board, n))
        return;
    uint32_t count = mn__board_placings(&a->board, n, of_a, &cut_a);
    assert_int_equal(mn__board_placings(&b->board, n, of_b, &cut_b), count);
    assert_int_equal(cut_a, cut_b);
    assert_int_equal(mn__board_only_takes(&a->board, n), mn__board_only_takes(&b->board, n));
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(of_a[i].depth, of_b[i].depth);
        for (uint32_t k = 0; k < of_a[i].depth; k++) {
            assert_int_equal(of_a[i].nodes[k], of_b[i].nodes[k]);
            assert_int_equal(of_a[i].hosts[k], of_b[i].hosts[k]);
        }
    }
}

static void check_save_and_load(rooms *r, mn_random *random)
{
    rooms *other = make_rooms(r->values.graph);
    uint32_t segment = mn_random_below(random, r->segment_count);
    enter_segment(r, segment);
    enter_segment(other, segment);
    for (uint32_t moves = mn_random_below(random, 10); moves > 0; moves--)
        (void)play_one(r, random);
    mn__board_save(&r->board, &r->form, r->state);
    mn__board_load(&other->board, &other->form, r->state);
    for (;;) {
        assert_int_equal(r->board.live_bytes, other->board.live_bytes);
        assert_int_equal(mn__board_is_finished(&r->board), mn__board_is_finished(&other->board));
        for (uint32_t n = r->reach.segment.first; n < r->reach.segment.end; n++)
            assert_same_choice(r, other, n);
        mn__board_save(&r->board, &r->form, r->state);
        mn__board_save(&other->board, &other->form, other->state);
        assert_memory_equal(r->state, other->state, r->form.state_bytes);
        played p = play_pick(r, random);
        if (!p.moved)
            break;
        size_t during = mn__board_run(&r->board, p.node, &p.placing);
        assert_int_equal(mn__board_run(&other->board, p.node, &p.placing), during);
    }
    free_rooms(other);
}

static void test_save_and_load(void **state)
{
    (void)state;
    for_random_graphs(3, 1500, check_save_and_load);
}

/* ---- ways through are plans ------------------------------------------------------------------ */

/* A way through all segments, as the search hands it on. */
typedef struct way {
    mn__order order;
    size_t during[64]; /* of each step */
} way;

static bool play_through(rooms *r, mn_random *random, way *w)
{
    for (uint32_t s = 0; s < r->segment_count; s++) {
        enter_segment(r, s);
        uint32_t before = w->order.step_count;
        for (played p = play_one(r, random); p.moved; p = play_one(r, random)) {
            w->during[w->order.step_count] = p.during;
            w->order.steps[w->order.step_count++] = p.node;
        }
        if (!mn__board_is_finished(&r->board))
            return false;
        assert_int_equal(r->board.move_count, w->order.step_count - before);
        for (uint32_t m = 0; m < r->board.move_count; m++)
            w->order.over[r->board.moves[m].node] = r->board.moves[m].over;
        for (uint32_t n = r->reach.segment.first; n < r->reach.segment.end; n++)
            w->order.host[n] = mn__board_host(&r->board, n);
    }
    return true;
}

/* Lays the way out by the rooms that come next and has the result simulated. */
static void assert_runs(const rooms *r, const way *w)
{
    mn__alias alias = {0};
    mn__liveness live = {0};
    mn__placement placement = {0};
    mn_error err;
    const mn_graph *graph = r->values.graph;
    assert_ok(mn__alias_find(&r->values, &w->order, &alias, &err), &err);
    assert_ok(mn__liveness_find(
                  graph, &r->needs, &alias, w->order.steps, w->order.step_count, &live, &err),
              &err);
    assert_ok(
        mn__offsets_find(live.buffers, live.buffer_count, live.peak_bytes, 100, &placement, &err),
        &err);
    for (uint32_t t = 0; t < live.step_count; t++)
        assert_int_equal(live.steps[t].live_bytes, w->during[t]);
    mn_plan plan = {.align = 16,
                    .step_count = live.step_count,
                    .steps = live.steps,
                    .value_count = alias.value_count,
                    .views = alias.views,
                    .buffer_count = live.buffer_count,
                    .buffers = live.buffers,
                    .weights_bytes = r->needs.weights_bytes,
                    .arena_bytes = placement.arena_bytes,
                    .total_bytes = r->needs.weights_bytes + placement.arena_bytes,
                    .peak_bytes = live.peak_bytes,
                    .offsets_proven = placement.proven,
                    .macs = mn_graph_macs(graph)};
    const char *problem = sim_problem(graph, &plan);
    if (problem != NULL)
        fail_msg("simulator: %s", problem);
    assert_ok(mn_plan_check(graph, &plan, &err), &err);
    mn__liveness_done(&live);
    mn__alias_done(&alias);
}

static uint32_t ways_through;

static void check_way(rooms *r, mn_random *random)
{
    uint32_t nodes = r->values.nodes;
    way w = {.order = {.steps = calloc(nodes, sizeof *w.order.steps),
                       .host = calloc(nodes, sizeof *w.order.host),
                       .over = calloc(nodes, sizeof *w.order.over)}};
    assert_true(nodes <= 64);
    assert_true(w.order.steps != NULL && w.order.host != NULL && w.order.over != NULL);
    for (uint32_t n = 0; n < nodes; n++)
        w.order.over[n] = MN_NONE;
    if (play_through(r, random, &w)) {
        ways_through++;
        assert_runs(r, &w);
    }
    mn__order_done(&w.order);
}

static void test_ways_are_plans(void **state)
{
    (void)state;
    ways_through = 0;
    for_random_graphs(4, 3000, check_way);
    assert_true(ways_through > 2500); /* few are stuck */
}

/* ---- rules by hand --------------------------------------------------------------------------- */

/* a may lie in all, under the sum that is a part of all, or by itself. */
static void test_placings_by_hand(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 2);
    uint32_t b = tool_conv(&t, x, 4);
    uint32_t a = tool_conv(&t, b, 4);
    uint32_t sum = tool_pair(&t, MN_PRIM_ADD, a, b);
    uint32_t all = tool_pair(&t, MN_PRIM_CONCAT, b, sum);
    mn_graph *graph = tool_finish_one(&t, all);
    rooms *r = make_rooms(graph);
    mn__placing p[MN__MOST_PLACINGS];
    bool cut = false;
    enter_segment(r, 0);
    assert_true(mn__board_is_ready(&r->board, b));
    assert_false(mn__board_is_ready(&r->board, a));
    assert_int_equal(r->board.live_bytes, 128);
    assert_int_equal(mn__board_placings(&r->board, b, p, &cut), 2); /* own, in all */
    assert_int_equal(p[0].depth, 1);
    assert_int_equal(p[1].depth, 2);
    assert_int_equal(p[1].nodes[1], all);
    assert_int_equal(mn__board_run(&r->board, b, &p[1]), 128 + 512);
    assert_int_equal(r->board.live_bytes, 512);
    assert_int_equal(mn__board_host(&r->board, b), all);
    assert_int_equal(mn__board_placings(&r->board, a, p, &cut), 1); /* all is there: no loss */
    assert_int_equal(p[0].depth, 2);
    assert_int_equal(p[0].nodes[1], sum);
    assert_int_equal(mn__board_run(&r->board, a, &p[0]), 512);
    assert_int_equal(mn__board_host(&r->board, sum), all);
    assert_int_equal(mn__board_placings(&r->board, sum, p, &cut), 1);
    assert_int_equal(p[0].depth, 0); /* it has its place */
    assert_int_equal(mn__board_run(&r->board, sum, &p[0]), 512);
    assert_true(mn__board_is_finished(&r->board)); /* all needs no step */
    assert_int_equal(r->board.move_count, 3);
    assert_false(cut);
    free_rooms(r);
    mn_graph_free(graph);
}

/* More hosts than a byte can number: the place in one far back is kept. */
static void test_many_hosts_are_kept(void **state)
{
    (void)state;
    enum { CONCATS = 300, FAR = 290 };
    tool t = tool_start();
    uint32_t a = tool_conv(&t, tool_input(&t, 2, 2, 2), 4);
    uint32_t all = MN_NONE;
    for (uint32_t i = 0; i < CONCATS; i++) {
        uint32_t k = tool_pair(&t, MN_PRIM_CONCAT, a, a);
        all = tool_one(&t, MN_PRIM_GLOBAL_POOL, k);
    }
    mn_graph *graph = tool_finish_one(&t, all);
    rooms *r = make_rooms(graph);
    enter_segment(r, 0);
    assert_int_equal(mn__list_count(&r->values.hosts, a), CONCATS);
    uint32_t host = mn__list_of(&r->values.hosts, a)[FAR - 1];
    mn__placing placing = {.depth = 2, .nodes = {a, host}, .hosts = {FAR}};
    (void)mn__board_run(&r->board, a, &placing);
    size_t live = r->board.live_bytes;
    mn__board_save(&r->board, &r->form, r->state);
    mn__board_load(&r->board, &r->form, r->state);
    assert_int_equal(mn__board_host(&r->board, a), host);
    assert_int_equal(r->board.live_bytes, live);
    free_rooms(r);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_live_bytes),
        cmocka_unit_test(test_take_back),
        cmocka_unit_test(test_save_and_load),
        cmocka_unit_test(test_ways_are_plans),
        cmocka_unit_test(test_placings_by_hand),
        cmocka_unit_test(test_many_hosts_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

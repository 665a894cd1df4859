/* Candidates of rounds against plain re-computation, with a study and without any training. */
#include "temporary.h"

#include <math.h>

#include "base/random.h"
#include "search/candidates.h"
#include "search/options.h"

static mn_genotype small_frame(void)
{
    mn_genotype frame = {.input = {6, 6, 1}, .classes = 3, .block_count = 1};
    frame.blocks[0].stride = 2;
    frame.blocks[0].width = 4;
    return frame;
}

/* A session that can make pools: options, a frame, a study. */
typedef struct bench {
    mn_search_opts opts;
    mn__session session;
} bench;

static bench *begin(const char *folder, mn_bound bound)
{
    mn_error err;
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->opts = mn_search_opts_default();
    b->opts.precision = MN_PRECISION_FLOAT32;
    b->opts.preset = MN_PRESET_PAPER; /* bounds refuse; under `fast` they make narrower */
    b->opts.bounds[0] = bound;
    b->opts.bound_count = 1;
    b->session = (mn__session){.opts = &b->opts, .data_fd = -1};
    b->session.goals[0] = (mn__goal){
        .bound = &b->opts.bounds[0], .bytes = mn__bound_bytes(&bound), .frame = small_frame()};
    uint64_t bytes = mn__bound_bytes(&bound);
    mn_study_setup setup = {.options_json = "{}",
                            .data_hash = "0123456789abcdef",
                            .seed = 1,
                            .bounds_bytes = &bytes,
                            .bound_count = 1};
    char *path = mn_path_join(folder, "study");
    assert_non_null(path);
    assert_ok(mn_study_open(path, &setup, &b->session.study, &err), &err);
    free(path);
    return b;
}

static void end(bench *b)
{
    mn_study_close(&b->session.study);
    free(b);
}

/* Every property of a pool, from its lists alone. `known`: ids of former rounds. */
static void check_pool(const bench *b,
                       const mn__pool *pool,
                       char (*known)[MN_STUDY_ID_BYTES],
                       uint32_t known_count)
{
    mn_error err;
    uint32_t next = 0;
    uint32_t generated = 0;
    uint32_t over = 0;
    for (uint32_t f = 0; f < pool->families.count; f++) {
        const mn_candidates *children = pool->families.items[f].children;
        for (size_t i = 0; children != NULL && i < children->count; i++) {
            const mn_candidate *candidate = &children->items[i];
            char id[MN_STUDY_ID_BYTES];
            bool seen = false;
            mn__needs needs;
            generated++;
            mn_genotype_id(&candidate->genotype, id);
            for (uint32_t k = 0; k < next; k++)
                seen = seen || strcmp(pool->entries[k].id, id) == 0;
            for (uint32_t k = 0; k < known_count; k++)
                seen = seen || strcmp(known[k], id) == 0;
            if (seen)
                continue;
            assert_true(next < pool->count);
            const mn__entry *entry = &pool->entries[next++];
            assert_ptr_equal(entry->candidate, candidate);
            assert_string_equal(entry->id, id);
            assert_ok(mn__measure(&candidate->genotype, MN_PRECISION_FLOAT32, &needs, &err), &err);
            assert_memory_equal(&entry->needs, &needs, sizeof needs);
            bool fits =
                (b->opts.bounds[0].total_bytes == 0 ||
                 needs.weights_bytes + needs.arena_bytes <= b->opts.bounds[0].total_bytes) &&
                (b->opts.bounds[0].max_macs == 0 || needs.macs <= b->opts.bounds[0].max_macs);
            assert_int_equal(entry->fits, fits);
            assert_ptr_equal(entry->parent, &pool->families.items[f].parent);
            over += !fits;
        }
    }
    assert_int_equal(next, pool->count);
    assert_int_equal(generated, pool->generated);
    assert_int_equal(over, pool->over_bound);
    assert_int_equal(pool->generated, pool->duplicate + pool->count);
}

static uint32_t count_chosen(const mn__pool *pool)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < pool->count; i++)
        count += pool->entries[i].chosen;
    return count;
}

/* No entry that was left out comes before one that was chosen: larger value, then lower id. */
static void check_choice(const mn__pool *pool, uint32_t top_k)
{
    uint32_t fitting = pool->count - pool->over_bound;
    assert_int_equal(count_chosen(pool), fitting < top_k ? fitting : top_k);
    for (uint32_t i = 0; i < pool->count; i++) {
        const mn__entry *in = &pool->entries[i];
        assert_true(in->fits || !in->chosen);
        for (uint32_t k = 0; in->chosen && k < pool->count; k++) {
            const mn__entry *out = &pool->entries[k];
            if (out->chosen || !out->fits)
                continue;
            assert_true(in->rank_value > out->rank_value ||
                        (in->rank_value == out->rank_value && strcmp(in->id, out->id) < 0));
        }
    }
}

static uint64_t median_total(const mn__pool *pool)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        uint32_t below = 0;
        uint64_t total = pool->entries[i].needs.total_bytes;
        for (uint32_t k = 0; k < pool->count; k++)
            below += pool->entries[k].needs.total_bytes < total;
        if (below >= pool->count / 3 && below <= pool->count * 2 / 3)
            return total;
    }
    fail_msg("all totals are the same");
    return 0;
}

/* A bound that about half of round 0 keeps. */
static mn_bound half_bound(const char *folder)
{
    mn_error err;
    mn__pool pool = {0};
    bench *b = begin(folder, (mn_bound){.total_bytes = 1 << 30});
    assert_ok(mn__pool_make(&b->session, 0, &pool, &err), &err);
    assert_int_equal(pool.over_bound, 0);
    assert_int_equal(pool.generated, 98);
    assert_true(pool.duplicate > 0); /* (a, b) and (b, a) are one network */
    mn_bound bound = {.total_bytes = median_total(&pool)};
    mn__pool_done(&pool);
    end(b);
    char *path = mn_path_join(folder, "study");
    assert_ok(mn_folder_remove(path, &err), &err);
    free(path);
    return bound;
}

static void test_rounds_add_up(void **state)
{
    const mn__ranker by_size = mn__ranker_by_size();
    mn_error err;
    bench *b = begin(*state, half_bound(*state));
    char known[3000][MN_STUDY_ID_BYTES];
    uint32_t known_count = 0;
    mn__base *base = &b->session.goals[0].base;
    for (uint32_t round = 0; round < 2; round++) {
        mn__pool pool = {0};
        assert_ok(mn__pool_make(&b->session, round, &pool, &err), &err);
        check_pool(b, &pool, known, known_count);
        assert_true(pool.over_bound > 0 && pool.over_bound < pool.count);
        assert_ok(mn__pool_choose(&pool, &by_size, 5, (double)INFINITY, &err), &err);
        check_choice(&pool, 5);
        assert_ok(mn__pool_store(&b->session, &pool, round, &err), &err);
        for (uint32_t i = 0; i < pool.count && known_count < 3000; i++)
            memcpy(known[known_count++], pool.entries[i].id, MN_STUDY_ID_BYTES);
        const mn__entry *smallest = &pool.entries[0]; /* its children may fit */
        for (uint32_t i = 0; i < pool.count; i++)
            if (pool.entries[i].needs.total_bytes < smallest->needs.total_bytes)
                smallest = &pool.entries[i];
        base->exists = true;
        base->genotype = smallest->candidate->genotype;
        memcpy(base->run.genotype_id, smallest->id, sizeof base->run.genotype_id);
        mn__pool_done(&pool);
    }
    assert_true(known_count < 3000);
    end(b);
}

/* With two bounds: what the first one's round refused or left out by rank is made anew for the
 * other one, what it has chosen is not. */
static void test_other_bounds(void **state)
{
    const mn__ranker by_size = mn__ranker_by_size();
    mn_error err;
    bench *b = begin(*state, half_bound(*state));
    mn_genotype_row row;
    bool found = false;
    mn__pool first = {0};
    mn__pool second = {0};
    uint32_t all_later = 0;
    b->opts.bounds[1] = (mn_bound){.total_bytes = 1 << 30};
    b->opts.bound_count = 2;
    b->session.goals[1] =
        (mn__goal){.bound = &b->opts.bounds[1], .bytes = 1 << 30, .frame = small_frame()};
    assert_ok(mn__pool_make(&b->session, 0, &first, &err), &err);
    assert_ok(mn__pool_choose(&first, &by_size, 5, (double)INFINITY, &err), &err);
    assert_ok(mn__pool_store(&b->session, &first, 0, &err), &err);
    assert_true(first.over_bound > 0 && first.count > first.over_bound + 5);
    b->session.goal = 1;
    assert_ok(mn__pool_make(&b->session, 1, &second, &err), &err);
    assert_int_equal(second.count, first.count - 5);
    assert_int_equal(second.over_bound, 0);
    assert_ok(mn__pool_choose(&second, &by_size, 5, (double)INFINITY, &err), &err);
    assert_ok(mn__pool_store(&b->session, &second, 1, &err), &err);
    for (uint32_t i = 0; i < first.count; i++) { /* whoever has chosen it keeps it */
        const mn__entry *entry = &first.entries[i];
        assert_ok(mn_study_get_genotype(b->session.study, entry->id, &row, &found, &err), &err);
        assert_true(found);
        bool later = false;
        for (uint32_t k = 0; k < second.count; k++)
            later =
                later || (second.entries[k].chosen && strcmp(second.entries[k].id, row.id) == 0);
        assert_int_equal(row.round, later ? 1 : 0);
        assert_int_equal(row.state,
                         entry->chosen || later ? MN_STATE_CHOSEN
                         : entry->fits          ? MN_STATE_RANKED
                                                : MN_STATE_OVER_BOUND);
        all_later += later;
    }
    assert_int_equal(all_later, 5);
    mn__pool_done(&second);
    mn__pool_done(&first);
    end(b);
}

/* Networks that are slow to train are chosen last, best first among themselves. */
static void test_slow_networks_give_way(void **state)
{
    const mn__ranker by_size = mn__ranker_by_size();
    mn_error err;
    bench *b = begin(*state, half_bound(*state));
    mn__pool pool = {0};
    assert_ok(mn__pool_make(&b->session, 0, &pool, &err), &err);
    const uint32_t fitting = pool.count - pool.over_bound;
    assert_ok(mn__pool_choose(&pool, &by_size, 3, 1.0, &err), &err);
    assert_int_equal(count_chosen(&pool), 3);
    uint32_t slow = 0;
    double most = 0.0;
    for (uint32_t i = 0; i < pool.count; i++) {
        const mn__entry *e = &pool.entries[i];
        slow += e->slow;
        assert_true(e->fits || !e->slow);
        assert_false(e->slow && e->chosen);
        if (e->fits && !e->slow && e->needs.effort > most)
            most = e->needs.effort;
    }
    assert_true(slow > 0 && slow <= fitting / 2);
    for (uint32_t i = 0; i < pool.count; i++)
        if (pool.entries[i].fits)
            assert_int_equal(pool.entries[i].slow, pool.entries[i].needs.effort > most);
    assert_ok(mn__pool_choose(&pool, &by_size, fitting, 1.0, &err), &err);
    assert_int_equal(count_chosen(&pool), fitting);
    mn__pool_done(&pool);
    end(b);
}

/* A round that was interrupted after its candidates were stored finds the same pool again, while
 * for the next round they are duplicates. */
static void test_interrupted_round_is_the_same(void **state)
{
    const mn__ranker by_size = mn__ranker_by_size();
    mn_error err;
    bench *b = begin(*state, half_bound(*state));
    mn__pool first = {0};
    mn__pool again = {0};
    mn__pool next = {0};
    assert_ok(mn__pool_make(&b->session, 0, &first, &err), &err);
    assert_ok(mn__pool_choose(&first, &by_size, 7, (double)INFINITY, &err), &err);
    assert_ok(mn__pool_store(&b->session, &first, 0, &err), &err);
    assert_ok(mn__pool_make(&b->session, 0, &again, &err), &err);
    assert_ok(mn__pool_choose(&again, &by_size, 7, (double)INFINITY, &err), &err);
    assert_int_equal(first.count, again.count);
    assert_int_equal(first.duplicate, again.duplicate);
    for (uint32_t i = 0; i < first.count; i++) {
        assert_string_equal(first.entries[i].id, again.entries[i].id);
        assert_int_equal(first.entries[i].chosen, again.entries[i].chosen);
    }
    assert_ok(mn__pool_make(&b->session, 1, &next, &err), &err);
    assert_int_equal(next.count, 0);
    assert_int_equal(next.duplicate, next.generated);
    mn__pool_done(&next);
    mn__pool_done(&again);
    mn__pool_done(&first);
    end(b);
}

static void test_stored_rows(void **state)
{
    const mn__ranker by_size = mn__ranker_by_size();
    mn_error err;
    bench *b = begin(*state, half_bound(*state));
    mn__pool pool = {0};
    assert_ok(mn__pool_make(&b->session, 0, &pool, &err), &err);
    assert_ok(mn__pool_choose(&pool, &by_size, UINT32_MAX, (double)INFINITY, &err), &err);
    check_choice(&pool, UINT32_MAX);
    assert_ok(mn__pool_choose(&pool, &by_size, 0, (double)INFINITY, &err), &err);
    pool.families.items[0].parent.exists = true;
    strcpy(pool.families.items[0].parent.run.genotype_id, "00000000000000ff");
    assert_ok(mn__pool_store(&b->session, &pool, 4, &err), &err);
    for (uint32_t i = 0; i < pool.count; i++) {
        const mn__entry *entry = &pool.entries[i];
        mn_genotype_row row;
        mn_genotype genotype;
        bool found = false;
        assert_ok(mn_study_get_genotype(b->session.study, entry->id, &row, &found, &err), &err);
        assert_true(found);
        assert_int_equal(row.state, entry->fits ? MN_STATE_CHOSEN : MN_STATE_OVER_BOUND);
        assert_string_equal(row.parent_id, "00000000000000ff");
        assert_string_equal(row.move, "round0");
        assert_int_equal(row.round, 4);
        assert_true(row.total_bytes == entry->needs.total_bytes && row.macs == entry->needs.macs);
        assert_ok(mn_genotype_parse(row.json, strlen(row.json), &genotype, &err), &err);
        assert_true(mn_genotype_equal(&genotype, &entry->candidate->genotype));
    }
    mn__pool_done(&pool);
    end(b);
}

/* With equal rank values the ids decide, whatever the order of generation. */
static void test_ties_go_by_id(void **state)
{
    const mn__ranker by_size = mn__ranker_by_size();
    (void)state;
    mn_error err;
    mn_random random = mn_random_make(11, 0);
    enum { count = 40 };
    mn_candidate same = {.genotype = small_frame()};
    for (int turn = 0; turn < 20; turn++) {
        mn__entry entries[count];
        uint32_t order[count];
        uint32_t fitting = 0;
        for (uint32_t i = 0; i < count; i++)
            order[i] = i;
        mn_random_shuffle(&random, order, count);
        for (uint32_t i = 0; i < count; i++) {
            entries[i] = (mn__entry){.candidate = &same,
                                     .needs = {.weights_bytes = 100, .macs = 100},
                                     .fits = mn_random_below(&random, 4) > 0};
            snprintf(entries[i].id, sizeof entries[i].id, "%016x", order[i]);
            fitting += entries[i].fits;
        }
        mn__pool pool = {.count = count, .entries = entries, .over_bound = count - fitting};
        assert_ok(mn__pool_choose(&pool, &by_size, 10, (double)INFINITY, &err), &err);
        check_choice(&pool, 10);
        assert_int_equal(count_chosen(&pool), 10);
    }
}

/* At the largest number of cells nothing grows, but trimming goes on. */
static void test_full_base_is_only_trimmed(void **state)
{
    mn_error err;
    mn__pool pool = {0};
    bench *b = begin(*state, (mn_bound){.total_bytes = 1 << 30});
    b->opts.max_cells = 1;
    assert_ok(mn__pool_make(&b->session, 0, &pool, &err), &err);
    b->session.goals[0].base =
        (mn__base){.exists = true, .genotype = pool.entries[pool.count - 1].candidate->genotype};
    mn__pool_done(&pool);
    assert_ok(mn__pool_make(&b->session, 1, &pool, &err), &err);
    assert_true(pool.count > 0);
    for (uint32_t i = 0; i < pool.count; i++)
        assert_true(pool.entries[i].candidate->kind == MN_MOVE_TRIM_LAYER ||
                    pool.entries[i].candidate->kind == MN_MOVE_TRIM_EDGE);
    check_pool(b, &pool, NULL, 0);
    mn__pool_done(&pool);
    end(b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rounds_add_up),
        TEST(test_other_bounds),
        TEST(test_slow_networks_give_way),
        TEST(test_interrupted_round_is_the_same),
        TEST(test_stored_rows),
        TEST(test_ties_go_by_id),
        TEST(test_full_base_is_only_trimmed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Learning to rank from a study, and what a round tells about it, without any training. */
#include "temporary.h"

#include <math.h>

#include "base/json.h"
#include "memnet/moves.h"
#include "rank/quality.h"
#include "search/options.h"
#include "search/ranker_learned.h"
#include "search/ranking.h"

static mn_genotype small_frame(void)
{
    mn_genotype frame = {.input = {8, 8, 1}, .classes = 3, .block_count = 2};
    for (uint32_t b = 0; b < 2; b++) {
        frame.blocks[b].stride = b + 1;
        frame.blocks[b].width = 8;
    }
    return frame;
}

/* A study whose first `count` one-cell networks were trained. */
typedef struct bench {
    mn_search_opts opts;
    mn__session session;
    mn_candidates *networks;
} bench;

/* An accuracy that the rule of size gets wrong: pools are good, convolutions are not. */
static double small_is_good(const mn_genotype *g)
{
    double accuracy = 50.0;
    for (int slot = 0; slot < 2; slot++)
        accuracy -= 4.0 * g->blocks[0].cells[0].op[slot];
    return accuracy + (g->blocks[0].cells[0].combine == MN_COMBINE_ADD ? 1.0 : 0.0);
}

static double large_is_good(const mn_genotype *g)
{
    mn__needs needs;
    assert_int_equal(mn__measure(g, MN_PRECISION_FLOAT32, &needs, NULL), MN_OK);
    return 10.0 + log((double)needs.macs) + log((double)needs.weights_bytes) - log(needs.effort);
}

static void put(bench *b,
                const mn_genotype *genotype,
                uint32_t round,
                const mn_genotype *parent,
                double accuracy)
{
    mn_error err;
    char *json = NULL;
    mn__needs needs;
    mn_genotype_row row = {
        .move = "round0", .map_json = "[]", .round = round, .state = MN_STATE_CHOSEN};
    assert_ok(mn__measure(genotype, MN_PRECISION_FLOAT32, &needs, &err), &err);
    assert_ok(mn_genotype_print(genotype, 0, &json, &err), &err);
    mn_genotype_id(genotype, row.id);
    if (parent != NULL)
        mn_genotype_id(parent, row.parent_id);
    row.json = json;
    row.weights_bytes = needs.weights_bytes;
    row.arena_bytes = needs.arena_bytes;
    row.total_bytes = needs.total_bytes;
    row.macs = needs.macs;
    mn_run_row run = {
        .reason = "", .val_accuracy = accuracy, .curve_json = "[]", .weights = "weights/x"};
    memcpy(run.key.genotype_id, row.id, sizeof run.key.genotype_id);
    assert_ok(mn_study_put_genotype(b->session.study, &row, &err), &err);
    assert_ok(mn_study_put_run(b->session.study, &run, &err), &err);
    free(json);
}

static bench *
begin(const char *folder, const char *name, uint32_t count, double (*accuracy)(const mn_genotype *))
{
    static const uint64_t bytes = 1 << 20;
    mn_error err;
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->opts = mn_search_opts_default();
    b->session = (mn__session){.opts = &b->opts, .data_fd = -1};
    mn_study_setup setup = {.options_json = "{}",
                            .data_hash = "0123456789abcdef",
                            .seed = 1,
                            .bounds_bytes = &bytes,
                            .bound_count = 1};
    char *path = mn_path_join(folder, name);
    assert_non_null(path);
    assert_ok(mn_study_open(path, &setup, &b->session.study, &err), &err);
    free(path);
    mn_genotype frame = small_frame();
    assert_ok(mn_moves_round0(&frame, &b->networks, &err), &err);
    for (uint32_t i = 0; i < count; i++) {
        const mn_genotype *genotype = &b->networks->items[i * 37 % 98].genotype;
        put(b, genotype, 0, NULL, accuracy(genotype));
    }
    return b;
}

static void end(bench *b)
{
    mn_candidates_free(b->networks);
    mn_study_close(&b->session.study);
    free(b);
}

/* tau of what is said of networks that were not trained, beside the truth. */
static double tau_on_rest(bench *b, mn__learned *learned, double (*accuracy)(const mn_genotype *))
{
    enum { rest = 40 };
    mn_error err;
    mn__rankable networks[rest];
    double said[rest];
    double truth[rest];
    double tau = 0.0;
    mn__ranker ranker = mn__ranker_learned(learned);
    for (uint32_t i = 0; i < rest; i++) {
        const mn_genotype *genotype = &b->networks->items[(98 - 1 - i) * 37 % 98].genotype;
        networks[i] = (mn__rankable){.genotype = genotype};
        assert_ok(mn__measure(genotype, MN_PRECISION_FLOAT32, &networks[i].needs, &err), &err);
        truth[i] = accuracy(genotype);
    }
    assert_ok(ranker.rank(ranker.context, networks, rest, said, &err), &err);
    assert_ok(mn__kendall_tau(said, truth, rest, &tau, &err), &err);
    return tau;
}

static void test_learns_what_the_rule_gets_wrong(void **state)
{
    mn_error err;
    mn__learned learned = {0};
    bench *b = begin(*state, "small", 50, small_is_good);
    assert_ok(mn__learned_make(&b->session, 1, &learned, &err), &err);
    assert_non_null(learned.controller);
    assert_string_not_equal(learned.ranking.name, "size");
    assert_in_range(learned.ranking.samples, 30, 50); /* (a, b) and (b, a) are one network */
    assert_true(learned.ranking.folds > 0 && learned.ranking.size_tau < 0.0);
    assert_true(tau_on_rest(b, &learned, small_is_good) > 0.5);
    mn__learned_done(&learned);
    end(b);
}

static void test_keeps_the_rule_where_it_is_right(void **state)
{
    mn_error err;
    mn__learned learned = {0};
    bench *b = begin(*state, "large", 50, large_is_good);
    assert_ok(mn__learned_make(&b->session, 1, &learned, &err), &err);
    assert_null(learned.controller);
    assert_string_equal(learned.ranking.name, "size");
    assert_true(learned.ranking.size_tau > 0.99);
    assert_true(tau_on_rest(b, &learned, large_is_good) > 0.99);
    mn__learned_done(&learned);
    end(b);
}

/* Children gain by training on, all of them, and those of the second round happen to be the large
 * networks: that says nothing of large networks. */
static void test_rounds_apart(void **state)
{
    mn_error err;
    mn__learned learned = {0};
    bench *b = begin(*state, "apart", 0, small_is_good);
    const mn_genotype *parent = &b->networks->items[0].genotype;
    for (uint32_t i = 0; i < 50; i++) {
        const mn_genotype *genotype = &b->networks->items[i * 37 % 98].genotype;
        double accuracy = small_is_good(genotype);
        bool child = genotype != parent && accuracy < 30.0;
        put(b, genotype, child, child ? parent : NULL, accuracy + (child ? 60.0 : 0.0));
    }
    assert_ok(mn__learned_make(&b->session, 2, &learned, &err), &err);
    assert_non_null(learned.controller);
    assert_true(tau_on_rest(b, &learned, small_is_good) > 0.3);
    mn__learned_done(&learned);
    end(b);
}

/* Too little to learn from, or nothing at all: rounds that come later do not count. */
static void test_few_trainings(void **state)
{
    mn_error err;
    bench *b = begin(*state, "few", 8, small_is_good);
    for (uint32_t round = 0; round < 2; round++) {
        mn__learned learned = {0};
        assert_ok(mn__learned_make(&b->session, round, &learned, &err), &err);
        assert_null(learned.controller);
        assert_string_equal(learned.ranking.name, "size");
        assert_int_equal(learned.ranking.samples, round == 0 ? 0 : 8);
        assert_int_equal(learned.ranking.folds, 0);
        mn__learned_done(&learned);
    }
    end(b);
}

/* Six candidates, four of them trained; the worst of those by rank is the best. */
static void test_printed(void **state)
{
    (void)state;
    mn_error err;
    char *text = NULL;
    json_t *object = NULL;
    const double accuracy[] = {50.0, (double)NAN, 40.0, 30.0, (double)NAN, 60.0};
    mn__entry entries[6] = {0};
    mn__pool pool = {.count = 6, .entries = entries};
    mn__ranking ranking = {.name = "scc", .samples = 20, .folds = 3, .size_tau = (double)NAN};
    ranking.tau[MN__RANK_JOINT] = 0.5;
    for (uint32_t i = 0; i < 6; i++) {
        entries[i].chosen = i != 1;
        entries[i].rank_value = 6.0 - i;
    }
    assert_ok(mn__ranking_print(&ranking, &pool, accuracy, &text, &err), &err);
    assert_ok(mn_json_parse("ranking", text, strlen(text), 4096, &object, &err), &err);
    assert_string_equal(json_string_value(json_object_get(object, "ranker")), "scc");
    assert_int_equal(json_integer_value(json_object_get(object, "trained")), 4);
    assert_int_equal(json_integer_value(json_object_get(object, "k")), 2);
    const json_t *taus = json_object_get(object, "unseen_tau");
    assert_true(json_is_null(json_object_get(taus, "size")));
    assert_true(json_real_value(json_object_get(taus, "scc")) == 0.5);
    /* Of six pairs 50 > 40 > 30 are three that agree, 60 beside the others three that do not. */
    assert_true(fabs(json_real_value(json_object_get(object, "kendall_tau"))) < 1e-9);
    /* Of the first two one is among the two best, in the first place. */
    assert_true(fabs(json_real_value(json_object_get(object, "ap_at_k")) - 0.5) < 1e-6);
    json_decref(object);
    free(text);
    mn__pool nothing = {.count = 1, .entries = entries};
    assert_ok(mn__ranking_print(&ranking, &nothing, accuracy, &text, &err), &err);
    assert_non_null(strstr(text, "\"kendall_tau\":null"));
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_learns_what_the_rule_gets_wrong),
        TEST(test_keeps_the_rule_where_it_is_right),
        TEST(test_rounds_apart),
        TEST(test_few_trainings),
        TEST(test_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

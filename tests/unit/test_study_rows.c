/* Every kind of row: it comes back as it went in, stays as it is when put again, and is refused
 * when it makes no sense. */
#include <math.h>

#include "study_fixture.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

static void check_genotype(mn_study *study, const mn_genotype_row *expected)
{
    mn_error err;
    mn_genotype_row row;
    bool found = false;
    assert_ok(mn_study_get_genotype(study, expected->id, &row, &found, &err), &err);
    assert_true(found);
    assert_string_equal(row.id, expected->id);
    assert_string_equal(row.parent_id, expected->parent_id);
    assert_string_equal(row.json, expected->json);
    assert_string_equal(row.move, expected->move);
    assert_string_equal(row.map_json, expected->map_json);
    assert_int_equal(row.round, expected->round);
    assert_int_equal(row.state, expected->state);
    assert_true(row.rank_score == expected->rank_score);
    assert_true(row.weights_bytes == expected->weights_bytes);
    assert_true(row.arena_bytes == expected->arena_bytes);
    assert_true(row.total_bytes == expected->total_bytes);
    assert_true(row.macs == expected->macs);
}

static void test_genotypes(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study *study = open_study(f->dir);
    char *large = malloc(300000);
    assert_non_null(large);
    memset(large, 'x', 299999);
    large[299999] = '\0';

    mn_genotype_row rows[3];
    for (uint32_t i = 0; i < 3; i++) {
        rows[i] = make_genotype(i);
        rows[i].state = (mn_genotype_state)i;
    }
    rows[0].parent_id[0] = '\0';
    rows[0].move = "it's \"\xc3\xbc\";--";
    rows[1].json = large;
    rows[2].round = UINT32_MAX;
    rows[2].macs = rows[2].total_bytes = UINT64_MAX;
    rows[2].rank_score = -1e-300;
    for (uint32_t i = 0; i < 3; i++)
        assert_ok(mn_study_put_genotype(study, &rows[i], &err), &err);
    mn_genotype_row again = rows[0];
    again.json = "{}";
    again.state = MN_STATE_CHOSEN;
    assert_ok(mn_study_put_genotype(study, &again, &err), &err); /* changes nothing */
    for (uint32_t i = 0; i < 3; i++)
        check_genotype(study, &rows[i]);
    rows[0].round++; /* a later round takes what none has chosen yet, and keeps it then */
    rows[0].state = MN_STATE_CHOSEN;
    rows[0].rank_score = 7.0;
    rows[0].json = "{\"another\": \"form of it\"}";
    rows[0].total_bytes++;
    memcpy(rows[0].parent_id, rows[1].id, sizeof rows[0].parent_id);
    assert_ok(mn_study_put_genotype(study, &rows[0], &err), &err);
    again = rows[0];
    again.round++;
    again.json = "{}";
    assert_ok(mn_study_put_genotype(study, &again, &err), &err);
    check_genotype(study, &rows[0]);
    again = rows[1]; /* one that is made again and not chosen stays the first round's */
    again.round++;
    again.rank_score++;
    assert_ok(mn_study_put_genotype(study, &again, &err), &err);
    check_genotype(study, &rows[1]);
    mn_study_close(&study);

    assert_ok(mn_study_open(f->dir, NULL, &study, &err), &err);
    for (uint32_t i = 0; i < 3; i++)
        check_genotype(study, &rows[i]);
    mn_genotype_row untouched = rows[1];
    bool found = true;
    assert_ok(mn_study_get_genotype(study, "none", &untouched, &found, &err), &err);
    assert_false(found);
    assert_memory_equal(&untouched, &rows[1], sizeof untouched);
    mn_study_close(&study);
    free(large);
}

static void test_genotypes_refused(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study *study = open_study(f->dir);
    mn_genotype_row row = make_genotype(1);
    row.json = NULL;
    assert_error(mn_study_put_genotype(study, &row, &err), MN_ERR_ARG, &err, "genotypes.json");
    row = make_genotype(1);
    row.id[0] = '\0';
    assert_error(mn_study_put_genotype(study, &row, &err), MN_ERR_ARG, &err, "id_has_1_to_16");
    memset(row.id, 'a', sizeof row.id); /* no NUL */
    assert_error(mn_study_put_genotype(study, &row, &err), MN_ERR_ARG, &err, "id_has_1_to_16");
    row = make_genotype(1);
    row.state = (mn_genotype_state)3;
    assert_error(mn_study_put_genotype(study, &row, &err), MN_ERR_ARG, &err, "state 3");
    assert_false(has_genotype(study, 1));
    mn_study_close(&study);
}

static void test_runs(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study *study = open_study(f->dir);
    mn_run_row run = make_run(1);
    assert_error(mn_study_put_run(study, &run, &err), MN_ERR_ARG, &err, "FOREIGN KEY");
    put_pair(study, 1);
    mn_run_row failed = run;
    failed.key.rung = UINT32_MAX;
    failed.failed = true;
    failed.reason = "diverged";
    failed.weights = "";
    assert_ok(mn_study_put_run(study, &failed, &err), &err);
    mn_run_row again = run;
    again.val_accuracy = 99;
    assert_ok(mn_study_put_run(study, &again, &err), &err); /* changes nothing */
    run.key.rung = 5;
    run.val_accuracy = NAN;
    assert_error(mn_study_put_run(study, &run, &err), MN_ERR_ARG, &err, "accuracy");
    mn_study_close(&study);

    assert_ok(mn_study_open(f->dir, NULL, &study, &err), &err);
    mn_run_row row;
    mn_run_row expected = make_run(1);
    bool found = false;
    assert_ok(mn_study_get_run(study, &expected.key, &row, &found, &err), &err);
    assert_true(found);
    assert_true(row.key.seed == expected.key.seed && row.key.rung == 0 && !row.failed);
    assert_string_equal(row.key.genotype_id, expected.key.genotype_id);
    assert_string_equal(row.reason, "");
    assert_true(row.val_accuracy == expected.val_accuracy && row.val_loss == expected.val_loss);
    assert_string_equal(row.curve_json, expected.curve_json);
    assert_string_equal(row.weights, expected.weights);
    assert_int_equal(row.train_ms, 77);

    assert_ok(mn_study_get_run(study, &failed.key, &row, &found, &err), &err);
    assert_true(found && row.failed && isnan(row.val_accuracy) && isnan(row.val_loss));
    assert_true(row.key.rung == UINT32_MAX);
    assert_string_equal(row.reason, "diverged");
    expected.key.seed++;
    assert_ok(mn_study_get_run(study, &expected.key, &row, &found, &err), &err);
    assert_false(found);
    mn_study_close(&study);
}

/* Strings of a row that was read may be handed straight to a writer. */
static void test_read_row_is_written_again(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study *study = open_study(f->dir);
    put_pair(study, 1);
    mn_run_row expected = make_run(1);
    mn_run_row row;
    bool found = false;
    assert_ok(mn_study_get_run(study, &expected.key, &row, &found, &err), &err);
    row.key.rung = 9;
    assert_ok(mn_study_put_run(study, &row, &err), &err);
    mn_run_row copy;
    assert_ok(mn_study_get_run(study, &row.key, &copy, &found, &err), &err);
    assert_true(found);
    assert_string_equal(copy.weights, expected.weights);
    mn_study_close(&study);
}

static void test_rungs_and_events(void **state)
{
    const fixture *f = *state;
    mn_error err;
    char *text = NULL;
    mn_study *study = open_study(f->dir);
    assert_ok(mn_study_put_rung(study, 1, "{\"epochs\":3}", &err), &err);
    assert_ok(mn_study_put_rung(study, 1, "{\"epochs\":4}", &err), &err);
    assert_error(mn_study_put_rung(study, 2, NULL, &err), MN_ERR_ARG, &err, "options_json");
    assert_ok(mn_study_put_event(study, "finals", 0, "{}", &err), &err);
    assert_ok(mn_study_put_event(study, "finals", UINT32_MAX, "[1]", &err), &err);
    assert_ok(mn_study_put_event(study, "finals", 0, "[2]", &err), &err);
    assert_error(mn_study_put_event(study, "", 0, "{}", &err), MN_ERR_ARG, &err, "kind");
    mn_study_close(&study);

    study = open_study(f->dir);
    assert_ok(mn_study_get_rung(study, 1, &text, &err), &err);
    assert_string_equal(text, "{\"epochs\":3}");
    free(text);
    assert_ok(mn_study_get_rung(study, 2, &text, &err), &err);
    assert_null(text);
    assert_ok(mn_study_get_event(study, "finals", 0, &text, &err), &err);
    assert_string_equal(text, "{}");
    free(text);
    assert_ok(mn_study_get_event(study, "finals", UINT32_MAX, &text, &err), &err);
    assert_string_equal(text, "[1]");
    free(text);
    assert_ok(mn_study_get_event(study, "test-read", 0, &text, &err), &err);
    assert_null(text);
    mn_study_close(&study);
}

static void test_rounds(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study *study = open_study(f->dir);
    mn_round_row first = {.round = 0,
                          .best_id = "aa",
                          .best_accuracy = NAN,
                          .best_score = 0.5,
                          .generated = 7,
                          .over_bound = 1,
                          .duplicate = 2,
                          .ranked = 3,
                          .trained = 4,
                          .failed = UINT32_MAX};
    mn_round_row other = first;
    other.generated = 1;
    assert_ok(mn_study_put_round(study, &first, &err), &err);
    assert_ok(mn_study_put_round(study, &other, &err), &err); /* changes nothing */
    mn_study_close(&study);

    study = open_study(f->dir);
    mn_round_row row;
    bool found = false;
    assert_ok(mn_study_get_round(study, 0, &row, &found, &err), &err);
    assert_true(found);
    assert_string_equal(row.base_id, "");
    assert_string_equal(row.best_id, "aa");
    assert_true(isnan(row.best_accuracy) && row.best_score == 0.5 && row.round == 0);
    assert_true(row.generated == 7 && row.over_bound == 1 && row.duplicate == 2);
    assert_true(row.ranked == 3 && row.trained == 4 && row.failed == UINT32_MAX);
    assert_ok(mn_study_get_round(study, 1, &row, &found, &err), &err);
    assert_false(found);
    mn_study_close(&study);
}

static void test_best(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study *study = open_study(f->dir);
    put_pair(study, 1);
    put_pair(study, 2);
    mn_best_row row = {
        .bound_bytes = 65536, .run = make_run(1).key, .val_accuracy = 60, .test_accuracy = NAN};
    mn_best_row read;
    bool found = true;
    assert_ok(mn_study_get_best(study, 65536, &read, &found, &err), &err);
    assert_false(found);
    assert_ok(mn_study_put_best(study, &row, &err), &err);
    assert_ok(mn_study_get_best(study, 65536, &read, &found, &err), &err);
    assert_true(found && isnan(read.test_accuracy) && read.val_accuracy == 60);
    row.run = make_run(2).key;
    row.test_accuracy = 59.5;
    assert_ok(mn_study_put_best(study, &row, &err), &err); /* replaces */
    row.bound_bytes = 131072;
    row.run.rung = 4;
    assert_error(mn_study_put_best(study, &row, &err), MN_ERR_ARG, &err, "FOREIGN KEY");
    row.run.rung = 0;
    row.bound_bytes = 1;
    assert_error(mn_study_put_best(study, &row, &err), MN_ERR_ARG, &err, "FOREIGN KEY");
    mn_study_close(&study);

    study = open_study(f->dir);
    assert_ok(mn_study_get_best(study, 65536, &read, &found, &err), &err);
    assert_true(found && read.test_accuracy == 59.5 && read.bound_bytes == 65536);
    assert_true(read.run.seed == UINT64_MAX - 2 && read.run.rung == 0);
    assert_string_equal(read.run.genotype_id, make_run(2).key.genotype_id);
    assert_ok(mn_study_get_best(study, 131072, &read, &found, &err), &err);
    assert_false(found);
    mn_study_close(&study);
}

static void test_weights_path(void **state)
{
    (void)state;
    mn_run_key key = {.genotype_id = "0123456789abcdef", .seed = UINT64_MAX, .rung = UINT32_MAX};
    char *path = mn_study_weights_path(&key);
    assert_string_equal(path,
                        "weights/0123456789abcdef-s18446744073709551615-r4294967295.safetensors");
    free(path);
}

/* The best runs of a rung: by accuracy, then genotype, then seed as an unsigned number; failed runs
 * and other rungs do not count. */
static void test_top_runs(void **state)
{
    static const struct {
        uint32_t genotype;
        uint32_t rung;
        uint64_t seed;
        double accuracy; /* below 0: failed */
    } runs[] = {{5, 0, 0, 70.0},
                {4, 0, 0, 90.0},
                {3, 0, UINT64_MAX, 80.0},
                {3, 0, 1, 80.0},
                {2, 0, 0, -1.0},
                {1, 1, 0, 99.0},
                {1, 0, 0, 80.0},
                {3, 0, INT64_MAX, 80.0}};
    static const uint32_t expected[] = {1, 6, 3, 7, 2, 0}; /* indices of runs */
    const fixture *f = *state;
    mn_error err;
    mn_study *study = open_study(f->dir);
    mn_run_key keys[8];
    uint32_t count = 99;
    assert_ok(mn_study_top_runs(study, 0, UINT64_MAX, 8, keys, &count, &err), &err);
    assert_int_equal(count, 0);
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        mn_genotype_row genotype = make_genotype(runs[i].genotype);
        mn_run_row run = make_run(runs[i].genotype);
        run.key.seed = runs[i].seed;
        run.key.rung = runs[i].rung;
        run.failed = runs[i].accuracy < 0.0;
        run.reason = run.failed ? "not finite" : "";
        run.val_accuracy = runs[i].accuracy;
        assert_ok(mn_study_put_genotype(study, &genotype, &err), &err);
        assert_ok(mn_study_put_run(study, &run, &err), &err);
    }
    for (uint32_t limit = 0; limit <= 8; limit++) {
        memset(keys, 0xff, sizeof keys);
        assert_ok(mn_study_top_runs(study, 0, UINT64_MAX, limit, keys, &count, &err), &err);
        assert_int_equal(count, limit < 6 ? limit : 6);
        for (uint32_t i = 0; i < count; i++) {
            char id[MN_STUDY_ID_BYTES];
            snprintf(id, sizeof id, "%016x", runs[expected[i]].genotype);
            assert_string_equal(keys[i].genotype_id, id);
            assert_true(keys[i].seed == runs[expected[i]].seed);
            assert_int_equal(keys[i].rung, 0);
        }
        for (uint32_t i = count; i < 8; i++)
            assert_int_equal(keys[i].rung, UINT32_MAX); /* untouched */
    }
    assert_ok(mn_study_top_runs(study, 1, UINT64_MAX, 8, keys, &count, &err), &err);
    assert_int_equal(count, 1);
    assert_int_equal(keys[0].rung, 1);
    /* Genotype n needs 3000 + n bytes: those of at most 3003 are 1 and three runs of 3. */
    assert_ok(mn_study_top_runs(study, 0, 3003, 8, keys, &count, &err), &err);
    assert_int_equal(count, 4);
    assert_string_equal(keys[0].genotype_id, "0000000000000001");
    assert_ok(mn_study_top_runs(study, 0, 3000, 8, keys, &count, &err), &err);
    assert_int_equal(count, 0);
    mn_study_close(&study);
}

/* What a visit saw, and where it stops. */
typedef struct visited {
    uint32_t count, stop_at;
    uint32_t numbers[8];
} visited;

static mn_status see(void *context, const mn_trained_row *row, mn_error *err)
{
    visited *v = context;
    uint32_t number = (uint32_t)(row->genotype.total_bytes - 3000);
    mn_genotype_row genotype = make_genotype(number);
    if (v->count == v->stop_at)
        return mn_error_set(err, MN_ERR_LIMIT, "enough");
    v->numbers[v->count++] = number;
    assert_int_equal(row->round, number / 10);
    assert_true(row->val_accuracy == 50.125 + number);
    assert_string_equal(row->key.genotype_id, genotype.id);
    assert_string_equal(row->genotype.id, genotype.id);
    assert_string_equal(row->genotype.parent_id, genotype.parent_id);
    assert_string_equal(row->genotype.json, genotype.json);
    assert_string_equal(row->genotype.move, genotype.move);
    assert_string_equal(row->genotype.map_json, genotype.map_json);
    assert_int_equal(row->genotype.macs, genotype.macs);
    assert_int_equal(row->genotype.round, row->round);
    return MN_OK;
}

/* Rounds 0 to 2 hold the genotypes 3 and 5, 12, 25; put in another order than visited. */
static void test_visit_trained(void **state)
{
    static const uint32_t put[] = {25, 5, 12, 3};
    const fixture *f = *state;
    mn_error err;
    mn_study *study = open_study(f->dir);
    for (size_t i = 0; i < 4; i++)
        put_pair(study, put[i]);
    mn_genotype_row untrained = make_genotype(4);
    mn_run_row failed = make_run(6);
    mn_genotype_row of_failed = make_genotype(6);
    failed.failed = true;
    failed.reason = "loss nan";
    assert_ok(mn_study_put_genotype(study, &untrained, &err), &err);
    assert_ok(mn_study_put_genotype(study, &of_failed, &err), &err);
    assert_ok(mn_study_put_run(study, &failed, &err), &err);
    visited all = {.stop_at = 8};
    assert_ok(mn_study_visit_trained(study, 0, 3, see, &all, &err), &err);
    assert_int_equal(all.count, 4);
    assert_int_equal(all.numbers[0], 3);
    assert_int_equal(all.numbers[1], 5);
    assert_int_equal(all.numbers[2], 12);
    assert_int_equal(all.numbers[3], 25);
    visited early = {.stop_at = 8};
    assert_ok(mn_study_visit_trained(study, 0, 2, see, &early, &err), &err);
    assert_int_equal(early.count, 3);
    visited other_rung = {.stop_at = 8};
    assert_ok(mn_study_visit_trained(study, 1, 3, see, &other_rung, &err), &err);
    assert_int_equal(other_rung.count, 0);
    visited stopped = {.stop_at = 2};
    assert_error(
        mn_study_visit_trained(study, 0, 3, see, &stopped, &err), MN_ERR_LIMIT, &err, "enough");
    assert_int_equal(stopped.count, 2);
    mn_study_close(&study);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_genotypes),
        TEST(test_genotypes_refused),
        TEST(test_runs),
        TEST(test_read_row_is_written_again),
        TEST(test_top_runs),
        TEST(test_visit_trained),
        TEST(test_rungs_and_events),
        TEST(test_rounds),
        TEST(test_best),
        TEST(test_weights_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Totals, the front against brute force, and the order of stored rows. */
#include "study_fixture.h"

#include <sqlite3.h>

#include "base/random.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

static void test_empty(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study *study = open_study(f->dir);
    mn_study_counts counts;
    memset(&counts, 0xff, sizeof counts);
    assert_ok(mn_study_count(study, &counts, &err), &err);
    assert_true(counts.rounds == 0 && counts.generated == 0 && counts.over_bound == 0);
    assert_true(counts.duplicate == 0 && counts.ranked == 0);
    assert_true(counts.trained == 0 && counts.failed == 0);
    mn_front_row *rows = NULL;
    uint32_t count = 7;
    assert_ok(mn_study_front(study, &rows, &count, &err), &err);
    assert_int_equal(count, 0);
    free(rows);
    mn_study_close(&study);
}

static void test_counts(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study *study = open_study(f->dir);
    assert_ok(mn_study_begin(study, &err), &err);
    for (uint32_t i = 0; i < 10; i++) { /* 2 over bound, 3 ranked, 5 chosen */
        mn_genotype_row row = make_genotype(i);
        row.state = i < 2 ? MN_STATE_OVER_BOUND : i < 5 ? MN_STATE_RANKED : MN_STATE_CHOSEN;
        assert_ok(mn_study_put_genotype(study, &row, &err), &err);
    }
    for (uint32_t i = 5; i < 9; i++) { /* 3 trained, 1 failed */
        mn_run_row run = make_run(i);
        run.failed = i == 8;
        assert_ok(mn_study_put_run(study, &run, &err), &err);
    }
    for (uint32_t i = 0; i < 2; i++) {
        mn_round_row round = {.round = i, .duplicate = 10 + i};
        assert_ok(mn_study_put_round(study, &round, &err), &err);
    }
    assert_ok(mn_study_commit(study, &err), &err);
    mn_study_counts counts;
    assert_ok(mn_study_count(study, &counts, &err), &err);
    assert_int_equal(counts.rounds, 2);
    assert_int_equal(counts.over_bound, 2);
    assert_int_equal(counts.ranked, 3);
    assert_int_equal(counts.duplicate, 21);
    assert_int_equal(counts.generated, 2 + 3 + 5 + 21);
    assert_int_equal(counts.trained, 3);
    assert_int_equal(counts.failed, 1);
    assert_int_equal(counts.waiting, 1);
    mn_study_close(&study);
}

/* ---- front ----------------------------------------------------------------------------------- */

#define MODEL_MAX 200

/* What the test believes of a genotype: its bytes and its most accurate run, -1 without one. */
typedef struct model {
    uint64_t bytes[MODEL_MAX];
    double accuracy[MODEL_MAX];
    uint32_t count;
} model;

/* On the front: trained, nobody as small or smaller is more accurate, nobody smaller is as
 * accurate, and among full equals the lowest id stands for all. */
static bool on_front(const model *m, uint32_t i)
{
    if (m->accuracy[i] < 0)
        return false;
    for (uint32_t j = 0; j < m->count; j++) {
        if (m->bytes[j] <= m->bytes[i] && m->accuracy[j] > m->accuracy[i])
            return false;
        if (m->bytes[j] < m->bytes[i] && m->accuracy[j] == m->accuracy[i])
            return false;
        if (j < i && m->bytes[j] == m->bytes[i] && m->accuracy[j] == m->accuracy[i])
            return false;
    }
    return true;
}

static void check_front(mn_study *study, const model *m)
{
    mn_error err;
    mn_front_row *rows = NULL;
    uint32_t count = 0;
    uint32_t expected = 0;
    assert_ok(mn_study_front(study, &rows, &count, &err), &err);
    for (uint32_t i = 0; i < m->count; i++)
        expected += on_front(m, i);
    assert_int_equal(count, expected);
    for (uint32_t k = 0; k < count; k++) {
        uint32_t i = (uint32_t)strtoul(rows[k].id, NULL, 16);
        assert_true(i < m->count && on_front(m, i));
        assert_true(rows[k].total_bytes == m->bytes[i]);
        assert_true(rows[k].val_accuracy == m->accuracy[i]);
        if (k > 0) {
            assert_true(rows[k].total_bytes > rows[k - 1].total_bytes);
            assert_true(rows[k].val_accuracy > rows[k - 1].val_accuracy);
        }
    }
    free(rows);
}

/* Few distinct values, so that ties are common; some sizes above 2^63. */
static void add_random(mn_study *study, mn_random *random, uint32_t distinct, model *m)
{
    mn_error err;
    uint32_t i = m->count++;
    mn_genotype_row row = make_genotype(i);
    row.total_bytes = 1000 + mn_random_below(random, distinct);
    if (mn_random_below(random, 8) == 0)
        row.total_bytes += UINT64_C(1) << 63;
    m->bytes[i] = row.total_bytes;
    m->accuracy[i] = -1;
    assert_ok(mn_study_put_genotype(study, &row, &err), &err);
    uint32_t runs = mn_random_below(random, 4);
    for (uint32_t r = 0; r < runs; r++) {
        mn_run_row run = make_run(i);
        run.key.rung = r;
        run.failed = mn_random_below(random, 5) == 0;
        run.val_accuracy = mn_random_below(random, distinct) / 4.0;
        assert_ok(mn_study_put_run(study, &run, &err), &err);
        if (!run.failed && run.val_accuracy > m->accuracy[i])
            m->accuracy[i] = run.val_accuracy;
    }
}

static void test_front_against_brute_force(void **state)
{
    const fixture *f = *state;
    mn_error err;
    for (uint32_t trial = 0; trial < 4; trial++) {
        static const uint32_t distinct[] = {3, 20, 200, 100000};
        mn_study *study = open_study(f->dir);
        mn_random random = mn_random_make(7, trial);
        model m = {0};
        while (m.count < MODEL_MAX) {
            assert_ok(mn_study_begin(study, &err), &err);
            for (uint32_t i = 0; i < 20; i++)
                add_random(study, &random, distinct[trial], &m);
            assert_ok(mn_study_commit(study, &err), &err);
            check_front(study, &m);
        }
        mn_study_close(&study);
        assert_ok(mn_folder_remove(f->dir, &err), &err);
    }
}

/* A front longer than one block of its array. */
static void test_long_front(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study *study = open_study(f->dir);
    assert_ok(mn_study_begin(study, &err), &err);
    for (uint32_t i = 0; i < 200; i++)
        put_pair(study, i);
    assert_ok(mn_study_commit(study, &err), &err);
    mn_front_row *rows = NULL;
    uint32_t count = 0;
    assert_ok(mn_study_front(study, &rows, &count, &err), &err);
    assert_int_equal(count, 200);
    assert_string_equal(rows[199].id, make_genotype(199).id);
    free(rows);
    mn_study_close(&study);
}

/* ---- order ----------------------------------------------------------------------------------- */

/* The study's rows as text, in the order in which the file holds them. */
static char *dump(const char *db_path)
{
    static const char *const queries[] = {
        "SELECT id || state || total_bytes FROM genotypes",
        "SELECT genotype_id || seed || rung || val_accuracy FROM runs",
    };
    sqlite3 *db = NULL;
    size_t used = 0;
    char *text = calloc(1, 65536);
    assert_non_null(text);
    assert_int_equal(sqlite3_open_v2(db_path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    for (size_t q = 0; q < 2; q++) {
        sqlite3_stmt *rows = NULL;
        assert_int_equal(sqlite3_prepare_v2(db, queries[q], -1, &rows, NULL), SQLITE_OK);
        while (sqlite3_step(rows) == SQLITE_ROW) {
            int length = snprintf(
                text + used, 65536 - used, "%s\n", (const char *)sqlite3_column_text(rows, 0));
            used += (size_t)length;
            assert_true(used < 65536);
        }
        assert_int_equal(sqlite3_finalize(rows), SQLITE_OK);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return text;
}

/* Workers finish in any order; the studies are the same all the same. */
static void test_rows_lie_in_key_order(void **state)
{
    const fixture *f = *state;
    mn_error err;
    const char *folders[] = {f->dir, f->other};
    char *texts[2];
    for (uint32_t s = 0; s < 2; s++) {
        mn_study *study = open_study(folders[s]);
        assert_ok(mn_study_begin(study, &err), &err);
        for (uint32_t i = 0; i < 60; i++)
            put_pair(study, s == 0 ? i : 59 - i);
        assert_ok(mn_study_commit(study, &err), &err);
        mn_study_close(&study);
        char db[128];
        snprintf(db, sizeof db, "%s/study.db", folders[s]);
        texts[s] = dump(db);
    }
    assert_true(strlen(texts[0]) > 60 * 16 * 2);
    assert_string_equal(texts[0], texts[1]);
    free(texts[0]);
    free(texts[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_empty),
        TEST(test_counts),
        TEST(test_front_against_brute_force),
        TEST(test_long_front),
        TEST(test_rows_lie_in_key_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

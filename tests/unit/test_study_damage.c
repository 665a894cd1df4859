/* Databases that are not what they should be: one clear line each, and the file stays as it was. */
#include "study_fixture.h"

#include <sqlite3.h>

#include "base/random.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

#define PAIRS 40u

/* ---- files ----------------------------------------------------------------------------------- */

typedef struct image {
    char *bytes;
    size_t count;
} image;

static image load(const char *path)
{
    mn_error err;
    image loaded = {0};
    assert_ok(mn_file_read(path, 64u << 20, &loaded.bytes, &loaded.count, &err), &err);
    return loaded;
}

static void store(const char *path, const char *bytes, size_t count)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

/* A study with rows in every table, closed; returns its database. */
static image make_study(const fixture *f)
{
    mn_error err;
    mn_study *study = open_study(f->dir);
    assert_ok(mn_study_begin(study, &err), &err);
    for (uint32_t i = 0; i < PAIRS; i++)
        put_pair(study, i);
    char *large = calloc(1, 20001);
    assert_non_null(large);
    memset(large, 'x', 20000);
    mn_genotype_row row = make_genotype(PAIRS);
    row.json = large;
    assert_ok(mn_study_put_genotype(study, &row, &err), &err);
    free(large);
    mn_round_row round = {.round = 0};
    mn_best_row best = {.bound_bytes = 65536, .run = make_run(1).key, .val_accuracy = 1};
    assert_ok(mn_study_put_round(study, &round, &err), &err);
    assert_ok(mn_study_put_best(study, &best, &err), &err);
    assert_ok(mn_study_put_rung(study, 0, "{}", &err), &err);
    assert_ok(mn_study_put_event(study, "finals", 0, "{}", &err), &err);
    assert_ok(mn_study_commit(study, &err), &err);
    mn_study_close(&study);
    return load(f->db);
}

/* Both ways of opening are refused with `text`, and leave the file alone. */
static void refuse(const fixture *f, mn_status status, const char *text)
{
    mn_error err;
    mn_study_setup setup = fixture_setup();
    mn_study *study = NULL;
    image before = load(f->db);
    assert_error(mn_study_open(f->dir, NULL, &study, &err), status, &err, text);
    assert_non_null(strstr(err.message, f->db));
    assert_error(mn_study_open(f->dir, &setup, &study, &err), status, &err, text);
    assert_non_null(strstr(err.message, f->db));
    assert_null(study);
    image after = load(f->db);
    assert_int_equal(after.count, before.count);
    assert_memory_equal(after.bytes, before.bytes, before.count);
    free(before.bytes);
    free(after.bytes);
}

static void random_bytes(mn_random *random, char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (char)(unsigned char)mn_random_below(random, 256);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void test_no_database_at_all(void **state)
{
    const fixture *f = *state;
    mn_random random = mn_random_make(1, 1);
    static const size_t sizes[] = {2, 15, 100, 511, 512, 4096, 10000, 50000};
    char *bytes = malloc(50000);
    assert_non_null(bytes);
    image study = make_study(f);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        random_bytes(&random, bytes, sizes[i]);
        store(f->db, bytes, sizes[i]);
        refuse(f, MN_ERR_DB, "damaged database");
    }
    store(f->db, "just some text\n", 15);
    refuse(f, MN_ERR_DB, "damaged database");
    free(study.bytes);
    free(bytes);
}

/* SQLite takes a file of one byte for an empty one; see test_emptied(). */
static void test_truncated(void **state)
{
    const fixture *f = *state;
    image study = make_study(f);
    for (size_t count = 2; count < study.count; count += count < 600 ? 37 : 1365) {
        store(f->db, study.bytes, count);
        refuse(f, MN_ERR_DB, "damaged database");
    }
    store(f->db, study.bytes, study.count - 1);
    refuse(f, MN_ERR_DB, "damaged database");
    free(study.bytes);
}

/* Each page in turn overwritten by random bytes. */
static void test_lost_pages(void **state)
{
    const fixture *f = *state;
    mn_random random = mn_random_make(2, 1);
    image study = make_study(f);
    char *copy = malloc(study.count);
    assert_non_null(copy);
    for (size_t at = 0; at < study.count; at += 4096) {
        memcpy(copy, study.bytes, study.count);
        random_bytes(&random, copy + at, 4096);
        store(f->db, copy, study.count);
        refuse(f, MN_ERR_DB, "damaged database");
    }
    free(copy);
    free(study.bytes);
}

static void read_everything(mn_study *study)
{
    mn_error err;
    bool found = false;
    mn_genotype_row genotype;
    mn_run_row run;
    mn_round_row round;
    mn_best_row best;
    mn_study_counts counts;
    mn_front_row *front = NULL;
    uint32_t count = 0;
    char *text = NULL;
    mn_status statuses[8] = {MN_OK};
    for (uint32_t i = 0; i <= PAIRS; i++) {
        mn_run_key key = make_run(i).key;
        statuses[0] = mn_study_get_genotype(study, key.genotype_id, &genotype, &found, &err);
        if (statuses[0] == MN_OK && found)
            assert_true(strlen(genotype.json) < 64u << 20);
        statuses[1] = mn_study_get_run(study, &key, &run, &found, &err);
        if (statuses[1] == MN_OK && found)
            assert_true(strlen(run.curve_json) < 64u << 20);
    }
    statuses[2] = mn_study_get_round(study, 0, &round, &found, &err);
    statuses[3] = mn_study_get_best(study, 65536, &best, &found, &err);
    statuses[4] = mn_study_count(study, &counts, &err);
    statuses[5] = mn_study_front(study, &front, &count, &err);
    free(front);
    statuses[6] = mn_study_get_rung(study, 0, &text, &err);
    free(text);
    text = NULL;
    statuses[7] = mn_study_get_event(study, "finals", 0, &text, &err);
    free(text);
    for (size_t i = 0; i < 8; i++)
        assert_true(statuses[i] == MN_OK || statuses[i] == MN_ERR_DB);
}

/* Single flipped bytes may go unnoticed (SQLite has no checksums), but nothing worse happens. */
static void test_flipped_bytes(void **state)
{
    const fixture *f = *state;
    mn_random random = mn_random_make(3, 1);
    image study = make_study(f);
    uint32_t refused = 0;
    for (uint32_t trial = 0; trial < 100; trial++) {
        mn_error err;
        image copy = {malloc(study.count), study.count};
        assert_non_null(copy.bytes);
        memcpy(copy.bytes, study.bytes, study.count);
        for (uint32_t flip = 0; flip <= trial / 15; flip++) {
            size_t page = mn_random_below(&random, (uint32_t)(study.count / 4096)) * 4096u;
            size_t at = page + mn_random_below(&random, trial % 2 == 0 ? 64 : 4096);
            copy.bytes[at] = (char)(copy.bytes[at] ^ (1 << mn_random_below(&random, 8)));
        }
        store(f->db, copy.bytes, copy.count);
        mn_study *opened = NULL;
        mn_status status = mn_study_open(f->dir, NULL, &opened, &err);
        assert_true(status == MN_OK || status == MN_ERR_DB);
        if (status == MN_OK)
            read_everything(opened);
        else
            refused++;
        mn_study_close(&opened);
        free(copy.bytes);
    }
    assert_true(refused > 20 && refused < 100);
    free(study.bytes);
}

/* An empty file is a creation that was killed, unless there are weights. */
static void test_emptied(void **state)
{
    const fixture *f = *state;
    mn_error err;
    char weights[160];
    mn_study *study = NULL;
    image made = make_study(f);
    free(made.bytes);
    store(f->db, "", 0);
    assert_error(mn_study_open(f->dir, NULL, &study, &err), MN_ERR_IO, &err, "holds no study");
    study = open_study(f->dir);
    assert_false(has_run(study, 1));
    mn_study_close(&study);

    snprintf(weights, sizeof weights, "%s/weights/a-s1-r0.safetensors", f->dir);
    store(weights, "w", 1);
    study = open_study(f->dir);
    mn_study_close(&study);
    store(f->db, "", 0);
    mn_study_setup setup = fixture_setup();
    assert_error(mn_study_open(f->dir, &setup, &study, &err), MN_ERR_DB, &err, "holds weights");
    assert_int_equal(unlink(f->db), 0);
    assert_error(mn_study_open(f->dir, &setup, &study, &err), MN_ERR_DB, &err, "holds weights");
    assert_true(mn_path_exists(weights));
}

/* ---- databases that are well-formed but not right -------------------------------------------- */

static void edit(const fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(f->db, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_foreign(void **state)
{
    const fixture *f = *state;
    mn_error err;
    assert_ok(mn_folder_make(f->dir, &err), &err);
    edit(f, "CREATE TABLE notes (text)");
    refuse(f, MN_ERR_DB, "not a study: application id 0x00000000, expected 0x6d6e7374");
    edit(f, "PRAGMA application_id = -1");
    refuse(f, MN_ERR_DB, "not a study: application id 0xffffffff");
    edit(f, "DROP TABLE notes");
    refuse(f, MN_ERR_DB, "not a study");
}

static void test_edited(void **state)
{
    static const struct {
        const char *sql;
        const char *text;
    } edits[] = {
        {"PRAGMA user_version = 1", "study format 1, this program reads 2"},
        {"PRAGMA user_version = 0", "study format 0, this program reads 2"},
        {"DELETE FROM studies", "no row in studies"},
        {"DELETE FROM bounds", "no bounds"},
        {"DROP TABLE bounds", "no such table: bounds"},
        {"ALTER TABLE studies DROP COLUMN seed", "no such column: seed"},
    };
    const fixture *f = *state;
    image study = make_study(f);
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        store(f->db, study.bytes, study.count);
        edit(f, edits[i].sql);
        refuse(f, MN_ERR_DB, edits[i].text);
    }
    mn_error err;
    mn_study *opened = NULL;
    mn_study_setup setup = fixture_setup();
    store(f->db, study.bytes, study.count);
    edit(f, "UPDATE studies SET options_json = '{'");
    assert_error(mn_study_open(f->dir, &setup, &opened, &err), MN_ERR_DB, &err, "options_json");
    store(f->db, study.bytes, study.count);
    edit(f, "UPDATE studies SET options_json = '[]'");
    assert_error(mn_study_open(f->dir, &setup, &opened, &err), MN_ERR_DB, &err, "options_json");
    assert_null(opened);
    free(study.bytes);
}

/* Values out of range in single rows are found when the rows are read. */
static void test_edited_rows(void **state)
{
    const fixture *f = *state;
    mn_error err;
    image made = make_study(f);
    free(made.bytes);
    edit(f,
         "UPDATE genotypes SET round = -1 WHERE id = '0000000000000001';"
         "UPDATE rounds SET failed = 4294967296;"
         "UPDATE best SET genotype_id = '0123456789abcdefX'");
    mn_study *study = open_study(f->dir);
    mn_genotype_row genotype;
    mn_round_row round;
    mn_best_row best;
    bool found = false;
    assert_error(mn_study_get_genotype(study, "0000000000000001", &genotype, &found, &err),
                 MN_ERR_DB,
                 &err,
                 "damaged");
    assert_error(mn_study_get_round(study, 0, &round, &found, &err), MN_ERR_DB, &err, "damaged");
    assert_error(mn_study_get_best(study, 65536, &best, &found, &err), MN_ERR_DB, &err, "damaged");
    assert_false(found);
    assert_true(has_genotype(study, 2));
    mn_study_close(&study);
    edit(f, "PRAGMA ignore_check_constraints = ON; UPDATE genotypes SET state = 'odd'");
    refuse(f, MN_ERR_DB, "CHECK constraint failed");
}

/* A study that somebody has turned to WAL is turned back by the next writer. */
static void test_turned_to_wal(void **state)
{
    const fixture *f = *state;
    mn_error err;
    image made = make_study(f);
    free(made.bytes);
    edit(f, "PRAGMA journal_mode = WAL");
    mn_study *study = NULL;
    assert_ok(mn_study_open(f->dir, NULL, &study, &err), &err);
    assert_true(has_run(study, 1));
    mn_study_close(&study);
    study = open_study(f->dir);
    assert_true(has_run(study, 1));
    mn_study_close(&study);
    image after = load(f->db);
    assert_int_equal(after.bytes[18], 1); /* the header's "written by a rollback journal" */
    free(after.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_database_at_all),
        TEST(test_truncated),
        TEST(test_lost_pages),
        TEST(test_flipped_bytes),
        TEST(test_emptied),
        TEST(test_foreign),
        TEST(test_edited),
        TEST(test_edited_rows),
        TEST(test_turned_to_wal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

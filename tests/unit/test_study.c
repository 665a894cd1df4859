/* Opening, agreement of the setup, folders that are in the way, transactions, readers. */
#include <sys/wait.h>

#include "study_fixture.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

/* ---- opening --------------------------------------------------------------------------------- */

static void check_accessors(const mn_study *study, const char *folder)
{
    mn_study_setup setup = fixture_setup();
    assert_string_equal(mn_study_folder(study), folder);
    assert_string_equal(mn_study_options(study), setup.options_json);
    assert_string_equal(mn_study_data_hash(study), setup.data_hash);
    assert_true(mn_study_seed(study) == UINT64_MAX - 1);
    assert_int_equal(mn_study_bound_count(study), 2);
    assert_int_equal(mn_study_bound(study, 0), 131072);
    assert_int_equal(mn_study_bound(study, 1), 65536);
    assert_int_equal(mn_study_bound(study, 2), 0);
}

static void test_create_and_reopen(void **state)
{
    const fixture *f = *state;
    mn_error err;
    char deep[128];
    char weights[160];
    snprintf(deep, sizeof deep, "%s/a/b/study", f->root);
    snprintf(weights, sizeof weights, "%s/weights", deep);
    for (int time = 0; time < 3; time++) {
        mn_study *study = open_study(deep);
        check_accessors(study, deep);
        assert_int_equal(mn_study_active_ms(study), time * 1000);
        assert_ok(mn_study_set_active_ms(study, (time + 1) * 1000, &err), &err);
        assert_int_equal(mn_study_active_ms(study), (time + 1) * 1000);
        assert_error(mn_study_set_active_ms(study, -1, &err), MN_ERR_ARG, &err, "negative");
        assert_int_equal(mn_study_active_ms(study), (time + 1) * 1000);
        mn_study_close(&study);
        assert_null(study);
        struct stat info;
        assert_int_equal(stat(weights, &info), 0);
        assert_true(S_ISDIR(info.st_mode));
    }
    mn_study *study = NULL;
    assert_ok(mn_study_open(deep, NULL, &study, &err), &err);
    check_accessors(study, deep);
    assert_int_equal(mn_study_active_ms(study), 3000);
    mn_study_close(&study);
    mn_study_close(&study);
    mn_study_close(NULL);
}

static void test_no_study(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study *study = (mn_study *)&err;
    assert_error(mn_study_open(f->dir, NULL, &study, &err), MN_ERR_IO, &err, "holds no study");
    assert_false(mn_path_exists(f->dir));
    assert_error(mn_study_open(f->root, NULL, &study, &err), MN_ERR_IO, &err, f->root);
    assert_error(mn_study_open("", NULL, &study, &err), MN_ERR_ARG, &err, "no name");
    assert_error(mn_study_open(NULL, NULL, &study, &err), MN_ERR_ARG, &err, "no name");
    assert_int_equal(mn_study_open(f->dir, NULL, &study, NULL), MN_ERR_IO);
    assert_ptr_equal(study, &err);
}

static void test_bad_setup(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study *study = NULL;
    const uint64_t rising[] = {1, 2};
    const uint64_t equal[] = {2, 2};
    const uint64_t zero[] = {0};
    mn_study_setup good = fixture_setup();
    mn_study_setup bad = good;
    bad.bound_count = 0;
    assert_error(mn_study_open(f->dir, &bad, &study, &err), MN_ERR_ARG, &err, "0 bounds");
    bad = good;
    bad.bounds_bytes = rising;
    assert_error(mn_study_open(f->dir, &bad, &study, &err), MN_ERR_ARG, &err, "bound 1");
    bad.bounds_bytes = equal;
    assert_error(mn_study_open(f->dir, &bad, &study, &err), MN_ERR_ARG, &err, "bound 1");
    bad.bounds_bytes = zero;
    bad.bound_count = 1;
    assert_error(mn_study_open(f->dir, &bad, &study, &err), MN_ERR_ARG, &err, "bound 0");
    bad = good;
    bad.data_hash = NULL;
    assert_error(mn_study_open(f->dir, &bad, &study, &err), MN_ERR_ARG, &err, "hash");
    bad = good;
    bad.options_json = "{";
    assert_error(mn_study_open(f->dir, &bad, &study, &err), MN_ERR_FORMAT, &err, "options");
    bad.options_json = "[]";
    assert_error(mn_study_open(f->dir, &bad, &study, &err), MN_ERR_FORMAT, &err, "object");
    assert_null(study);
    assert_false(mn_path_exists(f->dir));
}

static void test_name_that_looks_like_a_uri(void **state)
{
    const fixture *f = *state;
    char back[512];
    assert_non_null(getcwd(back, sizeof back));
    assert_int_equal(chdir(f->root), 0);
    mn_study *study = open_study("file:x?mode=memory");
    mn_study_close(&study);
    assert_true(mn_path_exists("file:x?mode=memory/study.db"));
    assert_int_equal(chdir(back), 0);
}

/* ---- agreement ------------------------------------------------------------------------------- */

static void refuse(const fixture *f, const mn_study_setup *setup, const char *message)
{
    mn_error err;
    mn_study *study = NULL;
    char full[512];
    snprintf(full, sizeof full, "study %s: %s", f->dir, message);
    assert_int_equal(mn_study_open(f->dir, setup, &study, &err), MN_ERR_MISMATCH);
    assert_string_equal(err.message, full);
    assert_null(study);
}

static void test_mismatch(void **state)
{
    const fixture *f = *state;
    const uint64_t other_bounds[] = {131072, 65535};
    mn_study *study = open_study(f->dir);
    put_pair(study, 1);
    mn_study_close(&study);

    mn_study_setup good = fixture_setup();
    mn_study_setup now = good;
    now.seed = 3;
    refuse(f, &now, "option 'seed' was 18446744073709551614 in the study, now 3");
    now = good;
    now.bounds_bytes = other_bounds;
    refuse(f, &now, "the memory bound in bytes was 131072,65536 in the study, now 131072,65535");
    now.bounds_bytes = FIXTURE_BOUNDS;
    now.bound_count = 1;
    refuse(f, &now, "the memory bound in bytes was 131072,65536 in the study, now 131072");
    now = good;
    now.data_hash = "fedcba9876543210";
    refuse(f, &now, "the data set's hash was 0123456789abcdef in the study, now fedcba9876543210");
    now = good;
    now.options_json = "{\"top_k\": 4, \"lambda\": 0.1, \"epochs\": [1, 3]}";
    refuse(f, &now, "option 'top_k' was 8 in the study, now 4");
    now.options_json = "{\"top_k\": 8, \"lambda\": 0.2, \"epochs\": [1, 3]}";
    refuse(f, &now, "option 'lambda' was 0.1 in the study, now 0.2");
    now.options_json = "{\"top_k\": 8, \"lambda\": 0.1, \"epochs\": [3, 1]}";
    refuse(f, &now, "option 'epochs' was [1,3] in the study, now [3,1]");
    now.options_json = "{\"top_k\": 8, \"epochs\": [1, 3]}";
    refuse(f, &now, "option 'lambda' was 0.1 in the study, now not set");
    now.options_json = "{\"top_k\": 8, \"lambda\": 0.1, \"epochs\": [1, 3], \"new\": \"a\"}";
    refuse(f, &now, "option 'new' was not set in the study, now \"a\"");

    mn_error err;
    now.options_json = "{\"epochs\":[1,3],\"lambda\":0.1,\"top_k\":8}"; /* only the order differs */
    assert_ok(mn_study_open(f->dir, &now, &study, &err), &err);
    assert_string_equal(mn_study_options(study), good.options_json);
    assert_true(has_run(study, 1));
    mn_study_close(&study);
}

/* ---- folders --------------------------------------------------------------------------------- */

static void test_folder_in_the_way(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study_setup setup = fixture_setup();
    mn_study *study = NULL;
    char below[160];
    assert_ok(mn_file_write(f->other, "a file", 6, &err), &err);
    snprintf(below, sizeof below, "%s/x/study", f->other);
    assert_error(mn_study_open(below, &setup, &study, &err), MN_ERR_IO, &err, "Not a directory");
    assert_non_null(strstr(err.message, f->other));
    assert_error(mn_study_open(below, NULL, &study, &err), MN_ERR_IO, &err, "Not a directory");
    assert_error(mn_study_open(f->other, &setup, &study, &err), MN_ERR_IO, &err, f->other);
    assert_error(mn_study_open(f->other, NULL, &study, &err), MN_ERR_IO, &err, f->other);

    assert_ok(mn_folder_make(f->db, &err), &err); /* a folder where the database should be */
    assert_error(mn_study_open(f->dir, &setup, &study, &err), MN_ERR_DB, &err, f->db);
    assert_error(mn_study_open(f->dir, NULL, &study, &err), MN_ERR_DB, &err, f->db);
    assert_null(study);
}

/* In a child that is nobody: 0 when all is as it should be, else the number of the step. */
static int act_as_nobody(const fixture *f)
{
    mn_error err;
    mn_study_setup setup = fixture_setup();
    mn_study *study = NULL;
    if (geteuid() == 0 && setuid(65534) != 0)
        return 1;
    if (mn_study_open(f->other, &setup, &study, &err) != MN_ERR_IO ||
        strstr(err.message, f->other) == NULL || strstr(err.message, "Permission denied") == NULL)
        return 2;
    if (mn_study_open(f->dir, &setup, &study, &err) != MN_ERR_IO ||
        strstr(err.message, f->dir) == NULL || strstr(err.message, "Permission denied") == NULL)
        return 3;
    if (mn_study_open(f->dir, NULL, &study, &err) != MN_OK) /* reading needs no right to write */
        return 4;
    mn_study_counts counts;
    if (mn_study_count(study, &counts, &err) != MN_OK || counts.trained != 1)
        return 5;
    mn_study_close(&study);
    return 0;
}

static void test_folder_that_cannot_be_written(void **state)
{
    const fixture *f = *state;
    mn_study *study = open_study(f->dir);
    put_pair(study, 1);
    mn_study_close(&study);
    char lock[160];
    snprintf(lock, sizeof lock, "%s/lock", f->dir);
    assert_int_equal(chmod(lock, 0444), 0);
    assert_int_equal(chmod(f->db, 0444), 0);
    assert_int_equal(chmod(f->dir, 0555), 0);
    assert_int_equal(chmod(f->root, 0555), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(act_as_nobody(f));
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(chmod(f->root, 0755), 0);
    assert_int_equal(chmod(f->dir, 0755), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- transactions and readers ---------------------------------------------------------------- */

static void test_transactions(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study *study = open_study(f->dir);
    assert_error(mn_study_commit(study, &err), MN_ERR_ARG, &err, "no transaction");
    mn_study_rollback(study);
    mn_study_rollback(NULL);
    assert_ok(mn_study_begin(study, &err), &err);
    assert_error(mn_study_begin(study, &err), MN_ERR_ARG, &err, "open already");
    put_pair(study, 1);
    assert_ok(mn_study_set_active_ms(study, 500, &err), &err);
    assert_true(has_run(study, 1));
    mn_study_rollback(study);
    assert_false(has_run(study, 1));
    assert_int_equal(mn_study_active_ms(study), 0);

    assert_ok(mn_study_begin(study, &err), &err);
    put_pair(study, 2);
    mn_run_row orphan = make_run(1);
    assert_error(mn_study_put_run(study, &orphan, &err), MN_ERR_ARG, &err, "FOREIGN KEY");
    assert_ok(mn_study_commit(study, &err), &err); /* a refused row leaves the others */
    assert_ok(mn_study_begin(study, &err), &err);
    put_pair(study, 3);
    mn_study_close(&study); /* without a commit */

    study = open_study(f->dir);
    assert_true(has_run(study, 2));
    assert_false(has_genotype(study, 3));
    mn_study_close(&study);
}

/* A reader sees what is committed, while a writer holds the lock and a transaction. */
static void test_reader_beside_writer(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study *writer = open_study(f->dir);
    mn_study *reader = NULL;
    put_pair(writer, 1);
    assert_ok(mn_study_begin(writer, &err), &err);
    char *large = calloc(1, 200001);
    assert_non_null(large);
    memset(large, 'x', 200000);
    for (uint32_t i = 2; i < 30; i++) { /* more than SQLite's cache holds */
        mn_genotype_row row = make_genotype(i);
        row.json = large;
        assert_ok(mn_study_put_genotype(writer, &row, &err), &err);
    }
    free(large);
    assert_ok(mn_study_open(f->dir, NULL, &reader, &err), &err);
    assert_true(has_run(reader, 1));
    assert_false(has_genotype(reader, 2));
    assert_ok(mn_study_commit(writer, &err), &err);
    assert_true(has_genotype(reader, 29));

    mn_genotype_row row = make_genotype(40);
    mn_run_row run = make_run(1);
    run.key.rung = 1;
    assert_error(mn_study_put_genotype(reader, &row, &err), MN_ERR_DB, &err, "reading only");
    assert_error(mn_study_put_run(reader, &run, &err), MN_ERR_DB, &err, f->db);
    assert_error(mn_study_begin(reader, &err), MN_ERR_DB, &err, "reading only");
    assert_error(mn_study_set_active_ms(reader, 1, &err), MN_ERR_DB, &err, "reading only");
    assert_error(mn_study_put_rung(reader, 1, "{}", &err), MN_ERR_DB, &err, "reading only");
    assert_false(has_genotype(writer, 40));
    mn_study_close(&reader);
    mn_study_close(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_create_and_reopen),
        TEST(test_no_study),
        TEST(test_bad_setup),
        TEST(test_name_that_looks_like_a_uri),
        TEST(test_mismatch),
        TEST(test_folder_in_the_way),
        TEST(test_folder_that_cannot_be_written),
        TEST(test_transactions),
        TEST(test_reader_beside_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

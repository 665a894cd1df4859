/* Full and failing disks, and no memory: one clear error, and nothing that was stored is lost. */
#include <sys/resource.h>

#include "study_faults.h"
#include "study_fixture.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

/* As assert_error(), of a call that is over. */
static void check_error(mn_status status, mn_status expected, const mn_error *err, const char *text)
{
    if (status != expected || strstr(err->message, text) == NULL)
        fail_msg("status %d, expected %d; '%s', expected '%s'",
                 (int)status,
                 (int)expected,
                 err->message,
                 text);
}

/* ---- full and failing disks ------------------------------------------------------------------ */

/* One clear error, the former rows are there, the study works on as soon as there is room. */
static void check_fault_in_put(const fixture *f, fault_kind kind, const char *text)
{
    mn_error err;
    bool saw_text = false;
    mn_study *study = open_study(f->dir);
    put_pair(study, 0);
    bool struck = true;
    uint32_t last = 0;
    for (long n = 1; struck; n++) {
        mn_genotype_row row = make_genotype(++last);
        set_fault(kind, n);
        mn_status status = mn_study_put_genotype(study, &row, &err);
        struck = has_struck();
        set_fault(FAULT_NONE, 0);
        assert_true(has_run(study, 0));
        assert_true(struck || status == MN_OK);
        if (status == MN_OK) {
            assert_true(has_genotype(study, last));
            continue;
        }
        check_error(status, MN_ERR_DB, &err, f->db);
        saw_text = saw_text || strstr(err.message, text) != NULL;
        assert_true(kind != FAULT_FULL || !has_genotype(study, last));
        assert_ok(mn_study_put_genotype(study, &row, &err), &err);
    }
    assert_true(saw_text);
    assert_true(last > 5);
    mn_study_close(&study);
    study = open_study(f->dir);
    for (uint32_t i = 0; i <= last; i++)
        assert_true(has_genotype(study, i));
    mn_study_close(&study);
}

static void test_full_disk(void **state)
{
    check_fault_in_put(*state, FAULT_FULL, "the disk is full");
}

static void test_failing_disk(void **state)
{
    check_fault_in_put(*state, FAULT_IO, strerror(EIO));
}

static void test_full_disk_while_creating(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study_setup setup = fixture_setup();
    bool struck = true;
    long n = 1;
    for (; struck; n++) {
        mn_study *study = NULL;
        set_fault(FAULT_FULL, n);
        mn_status status = mn_study_open(f->dir, &setup, &study, &err);
        struck = has_struck();
        set_fault(FAULT_NONE, 0);
        if (struck) {
            check_error(status, MN_ERR_DB, &err, f->db);
            assert_null(study);
            study = open_study(f->dir);
        }
        put_pair(study, 1);
        mn_study_close(&study);
        assert_ok(mn_folder_remove(f->dir, &err), &err);
    }
    assert_true(n > 10);
}

/* All that was reported or nothing, and no row slips in after SQLite has given the transaction up;
 * with even n there is room again before the last row. */
static void test_full_disk_in_transaction(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study *study = open_study(f->dir);
    put_pair(study, 0);
    bool struck = true;
    for (long n = 1; struck; n++) {
        bool put[4] = {false};
        assert_ok(mn_study_begin(study, &err), &err);
        set_fault(FAULT_FULL, n);
        mn_status status = mn_study_set_active_ms(study, n, &err);
        for (uint32_t i = 1; i < 4; i++) {
            mn_genotype_row row = make_genotype((uint32_t)n * 4 + i);
            if (i == 3 && n % 2 == 0)
                fault = FAULT_NONE;
            put[i] = mn_study_put_genotype(study, &row, &err) == MN_OK;
        }
        mn_status committed = mn_study_commit(study, &err);
        struck = has_struck();
        set_fault(FAULT_NONE, 0);
        if (committed != MN_OK)
            check_error(committed, MN_ERR_DB, &err, f->db);
        assert_true(struck || committed == MN_OK);
        assert_true((mn_study_active_ms(study) == n) == (status == MN_OK && committed == MN_OK));
        for (uint32_t i = 1; i < 4; i++)
            assert_true(has_genotype(study, (uint32_t)n * 4 + i) == (put[i] && committed == MN_OK));
        assert_true(has_run(study, 0));
    }
    mn_study_close(&study);
}

/* The same through the kernel: no file may grow any more. */
static void test_file_size_limit(void **state)
{
    const fixture *f = *state;
    mn_error err;
    struct rlimit before;
    struct stat info;
    mn_study *study = open_study(f->dir);
    put_pair(study, 0);
    assert_int_equal(stat(f->db, &info), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit tight = {.rlim_cur = (rlim_t)info.st_size, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    uint32_t last = 0;
    mn_status status = MN_OK;
    while (status == MN_OK && last < 1000) {
        mn_genotype_row row = make_genotype(++last);
        status = mn_study_put_genotype(study, &row, &err);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    check_error(status, MN_ERR_DB, &err, f->db);
    assert_non_null(strstr(err.message, "cannot be written"));
    assert_false(has_genotype(study, last));
    for (uint32_t i = 0; i < last; i++)
        assert_true(has_genotype(study, i));
    put_pair(study, last);
    mn_study_close(&study);
    study = open_study(f->dir);
    for (uint32_t i = 0; i <= last; i++)
        assert_true(has_genotype(study, i));
    mn_study_close(&study);
}

/* ---- no memory ------------------------------------------------------------------------------- */

static void test_no_memory(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study_setup setup = fixture_setup();
    sqlite3_int64 unlimited = sqlite3_hard_heap_limit64(-1);
    mn_status status = MN_ERR_NOMEM;
    mn_study *study = NULL;
    uint32_t failures = 0;
    for (sqlite3_int64 extra = 1; status != MN_OK; extra += 2500) {
        sqlite3_hard_heap_limit64(sqlite3_memory_used() + extra);
        status = mn_study_open(f->dir, &setup, &study, &err);
        sqlite3_hard_heap_limit64(unlimited);
        if (status != MN_OK) {
            check_error(status, MN_ERR_NOMEM, &err, f->dir);
            assert_null(study);
            failures++;
        }
    }
    assert_true(failures > 10);

    put_pair(study, 0);
    failures = 0;
    for (sqlite3_int64 extra = 1; extra < 40000; extra += 900) {
        mn_genotype_row row = make_genotype((uint32_t)extra);
        mn_front_row *rows = NULL;
        uint32_t count = 0;
        sqlite3_hard_heap_limit64(sqlite3_memory_used() + extra);
        status = mn_study_put_genotype(study, &row, &err);
        mn_status front_status = mn_study_front(study, &rows, &count, NULL);
        sqlite3_hard_heap_limit64(unlimited);
        failures += status != MN_OK;
        free(rows);
        assert_true(front_status == MN_OK || front_status == MN_ERR_NOMEM);
        if (status != MN_OK)
            check_error(status, MN_ERR_NOMEM, &err, f->db);
        assert_true(has_genotype(study, (uint32_t)extra) == (status == MN_OK));
        assert_true(has_run(study, 0));
    }
    assert_true(failures > 0);
    mn_study_close(&study);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_full_disk),
        TEST(test_failing_disk),
        TEST(test_full_disk_while_creating),
        TEST(test_full_disk_in_transaction),
        TEST(test_file_size_limit),
        TEST(test_no_memory),
    };
    return cmocka_run_group_tests(tests, replace_system_calls, NULL);
}

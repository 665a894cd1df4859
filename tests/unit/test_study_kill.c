/* The lock, and kills at every point of a write: what was reported as done must be there. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

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

/* ---- children -------------------------------------------------------------------------------- */

/* A counter that the parent sees, whatever becomes of the child. */
static volatile uint32_t *shared_counter(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
    return page;
}

static pid_t start_child(void)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    return pid;
}

/* True when the child came to its end, false when it was killed; anything else fails the test. */
static bool child_ended(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return false;
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    return true;
}

/* In a child, where cmocka's asserts do not work: puts genotype and run `number`. */
static bool put_quietly(mn_study *study, uint32_t number)
{
    mn_genotype_row genotype = make_genotype(number);
    mn_run_row run = make_run(number);
    return mn_study_put_genotype(study, &genotype, NULL) == MN_OK &&
           mn_study_put_run(study, &run, NULL) == MN_OK;
}

/* In a child: opens the study and puts pairs [first, last), counting each when it is done. */
static void write_pairs(const char *dir, uint32_t first, uint32_t last, volatile uint32_t *done)
{
    mn_study_setup setup = fixture_setup();
    mn_study *study = NULL;
    if (mn_study_open(dir, &setup, &study, NULL) != MN_OK)
        _exit(1);
    for (uint32_t i = first; i < last; i++) {
        if (!put_quietly(study, i))
            _exit(2);
        *done = i + 1;
    }
    mn_study_close(&study);
    _exit(0);
}

/* ---- the lock -------------------------------------------------------------------------------- */

static void test_lock(void **state)
{
    const fixture *f = *state;
    mn_error err;
    mn_study_setup setup = fixture_setup();
    volatile uint32_t *ready = shared_counter();
    pid_t pid = start_child();
    if (pid == 0) {
        mn_study *held = NULL;
        if (mn_study_open(f->dir, &setup, &held, NULL) != MN_OK || !put_quietly(held, 1))
            _exit(1);
        *ready = 1;
        for (;;)
            pause();
    }
    while (*ready == 0)
        usleep(1000);
    mn_study *study = NULL;
    assert_error(
        mn_study_open(f->dir, &setup, &study, &err), MN_ERR_LIMIT, &err, "another process");
    assert_non_null(strstr(err.message, f->dir));
    assert_null(study);
    assert_ok(mn_study_open(f->dir, NULL, &study, &err), &err); /* readers need no lock */
    assert_true(has_run(study, 1));
    mn_study_close(&study);

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_false(child_ended(pid));
    study = open_study(f->dir);
    assert_true(has_run(study, 1));
    mn_study *second = NULL;
    assert_error(
        mn_study_open(f->dir, &setup, &second, &err), MN_ERR_LIMIT, &err, "another process");
    mn_study_close(&study);
    study = open_study(f->dir);
    mn_study_close(&study);
    munmap((void *)(uintptr_t)ready, 4096);
}

/* Workers are started while the study is open: they must not keep its lock alive. */
static void test_files_end_at_exec(void **state)
{
    const fixture *f = *state;
    uint32_t seen = 0;
    mn_study *study = open_study(f->dir);
    for (int fd = 0; fd < 256; fd++) {
        char name[64];
        char target[256] = "";
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        if (readlink(name, target, sizeof target - 1) < 0 ||
            strncmp(target, f->dir, strlen(f->dir)) != 0)
            continue;
        assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        seen++;
    }
    assert_true(seen >= 2); /* the database and the lock */
    mn_study_close(&study);
}

/* Somebody's sqlite3 shell holds the file for a moment: the writer waits. */
static void test_waits_for_another_writer(void **state)
{
    const fixture *f = *state;
    mn_study *study = open_study(f->dir);
    volatile uint32_t *ready = shared_counter();
    pid_t pid = start_child();
    if (pid == 0) {
        sqlite3 *db = NULL;
        if (sqlite3_open(f->db, &db) != SQLITE_OK ||
            sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL) != SQLITE_OK)
            _exit(1);
        *ready = 1;
        usleep(200000);
        _exit(0);
    }
    while (*ready == 0)
        usleep(1000);
    put_pair(study, 1);
    assert_true(has_run(study, 1));
    assert_true(child_ended(pid));
    mn_study_close(&study);
    munmap((void *)(uintptr_t)ready, 4096);
}

/* ---- kills ----------------------------------------------------------------------------------- */

/* Killed at the n-th call of its creation: a reader finds a whole study or none, and the next
 * search goes on. */
static void test_killed_while_creating(void **state)
{
    const fixture *f = *state;
    mn_error err;
    volatile uint32_t *done = shared_counter();
    bool ended = false;
    long n = 1;
    for (; !ended; n++) {
        pid_t pid = start_child();
        if (pid == 0) {
            set_fault(FAULT_KILL, n);
            write_pairs(f->dir, 0, 0, done);
        }
        ended = child_ended(pid);
        mn_study *study = NULL;
        mn_status status = mn_study_open(f->dir, NULL, &study, &err);
        if (status != MN_OK)
            check_error(status, MN_ERR_IO, &err, "holds no study");
        assert_true(status == MN_OK || !ended);
        mn_study_close(&study);
        study = open_study(f->dir);
        put_pair(study, 1);
        mn_study_close(&study);
        assert_ok(mn_folder_remove(f->dir, &err), &err);
    }
    assert_true(n > 10); /* tables and their journal are many writes */
    munmap((void *)(uintptr_t)done, 4096);
}

/* Killed at the n-th call of writing rows, journal in place or not. */
static void test_killed_while_writing(void **state)
{
    const fixture *f = *state;
    mn_error err;
    volatile uint32_t *done = shared_counter();
    bool saw_journal = false;
    bool ended = false;
    char journal[128];
    snprintf(journal, sizeof journal, "%s-journal", f->db);
    mn_study *study = open_study(f->dir);
    put_pair(study, 0);
    mn_study_close(&study);
    uint32_t stored = 1; /* pairs below are known to be there */
    for (long n = 1; !ended; n++) {
        *done = stored;
        pid_t pid = start_child();
        if (pid == 0) {
            set_fault(FAULT_KILL, n);
            write_pairs(f->dir, stored, stored + 1, done);
        }
        ended = child_ended(pid);
        saw_journal = saw_journal || mn_path_exists(journal);
        if (n % 2 == 0) { /* a reader may be the one who rolls back */
            assert_ok(mn_study_open(f->dir, NULL, &study, &err), &err);
            assert_true(*done == 0 || has_run(study, *done - 1));
            mn_study_close(&study);
        }
        study = open_study(f->dir);
        for (uint32_t i = 0; i < *done; i++)
            assert_true(has_run(study, i));
        stored = *done;
        mn_study_close(&study);
    }
    assert_true(saw_journal);
    munmap((void *)(uintptr_t)done, 4096);
}

/* kill -9 from outside, wherever the writer happens to be. */
static void test_killed_from_outside(void **state)
{
    const fixture *f = *state;
    volatile uint32_t *done = shared_counter();
    for (uint32_t time = 0; time < 6; time++) {
        uint32_t first = *done;
        pid_t pid = start_child();
        if (pid == 0)
            write_pairs(f->dir, first, UINT32_MAX, done);
        while (*done < first + 1 + 3 * time)
            usleep(100 * time);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_false(child_ended(pid));
        mn_study *study = open_study(f->dir);
        for (uint32_t i = 0; i < *done; i++)
            assert_true(has_run(study, i));
        assert_false(has_run(study, *done + 1));
        mn_study_close(&study);
    }
    munmap((void *)(uintptr_t)done, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lock),
        TEST(test_files_end_at_exec),
        TEST(test_waits_for_another_writer),
        TEST(test_killed_while_creating),
        TEST(test_killed_while_writing),
        TEST(test_killed_from_outside),
    };
    return cmocka_run_group_tests(tests, replace_system_calls, NULL);
}

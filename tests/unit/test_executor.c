/* The executor against workers that misbehave in every way: shell scripts that answer by the word
 * in their job. A job here is "WORD NUMBER"; a good answer has the number as its accuracy. */
#include "temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/random.h"
#include "base/size.h"
#include "search/executor.h"

static const char script[] =
    "#!/bin/sh\n"
    "[ \"$1 $2\" = 'worker --data-fd' ] || exit 9\n"
    "echo started >>\"$0.starts\"\n"
    "good='{\"failed\":false,\"fatal\":false,\"reason\":\"\",\"loss\":0.5,\"curve\":\"[]\","
    "\"train_ms\":1,\"accuracy\":'\n"
    "while read -r word number; do\n"
    "  case $word in\n"
    "    slow) sleep 0.$number ;;\n"
    "    once) mkdir \"$0.$number\" 2>/dev/null && kill -KILL $$ ;;\n"
    "    exit-once) mkdir \"$0.$number\" 2>/dev/null && exit 4 ;;\n"
    "    crash) kill -SEGV $$ ;;\n"
    "    kill) kill -KILL $$ ;;\n"
    "    exit) exit 3 ;;\n"
    "    garbage) echo nonsense; continue ;;\n"
    "    empty) echo; continue ;;\n"
    "    two) printf '%s%s}\\n%s%s}\\n' \"$good\" \"$number\" \"$good\" 77; continue ;;\n"
    "    endless) head -c 6000000 /dev/zero | tr '\\0' x; continue ;;\n"
    "    half) printf '%s' \"$good\"; kill -ABRT $$ ;;\n"
    "    fatal) echo '{\"failed\":false,\"fatal\":true,\"reason\":\"no room\",\"accuracy\":0,"
    "\"loss\":0,\"curve\":\"[]\",\"train_ms\":0}'; continue ;;\n"
    "    failed) echo '{\"failed\":true,\"fatal\":false,\"reason\":\"not finite\",\"accuracy\":0,"
    "\"loss\":0,\"curve\":\"[]\",\"train_ms\":0}'; continue ;;\n"
    "    fds) own=$(readlink /proc/$$/fd/1)\n"
    "      ls -l /proc/$$/fd >\"$0.fds$number\"\n"
    "      number=$(grep -vF \"$own\" \"$0.fds$number\" |"
    "        grep -cE ' ([3-9]|[0-9]{2,}) -> (pipe|socket)') ;;\n"
    "    data) number=$(head -c 3 <&\"$3\") ;;\n"
    "    leave) printf '%s%s}\\n' \"$good\" \"$number\"; exit 0 ;;\n"
    "  esac\n"
    "  printf '%s%s}\\n' \"$good\" \"$number\"\n"
    "done\n";

enum { most_jobs = 40 };

typedef struct bench {
    char *program;
    mn__executor *executor;
    uint32_t finished[most_jobs]; /* how often */
    bool failed[most_jobs];
    double accuracy[most_jobs];
    char reason[96];
    uint32_t fail_at; /* MN_NONE, or the callback gives an error at this index */
    uint32_t ticks;
} bench;

static void write_script(bench *b, const char *folder)
{
    mn_error err;
    b->program = mn_path_join(folder, "worker.sh");
    assert_non_null(b->program);
    assert_ok(mn_file_write(b->program, script, sizeof script - 1, &err), &err);
    assert_int_equal(chmod(b->program, 0755), 0);
}

static bench begin(const char *folder, uint32_t jobs)
{
    mn_error err;
    bench b = {.fail_at = MN_NONE};
    write_script(&b, folder);
    assert_ok(mn__executor_create(b.program, jobs, STDERR_FILENO, &b.executor, &err), &err);
    return b;
}

/* No worker is left, not even as a zombie. */
static void end(bench *b)
{
    mn__executor_free(b->executor);
    assert_true(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    free(b->program);
}

static mn_status finished(void *context, uint32_t index, const mn__result *result, mn_error *err)
{
    bench *b = context;
    assert_in_range(index, 0, most_jobs - 1);
    b->finished[index]++;
    b->failed[index] = result->failed;
    b->accuracy[index] = result->accuracy;
    if (result->failed)
        snprintf(b->reason, sizeof b->reason, "%s", result->reason);
    if (index == b->fail_at)
        return mn_error_set(err, MN_ERR_DB, "the database is full");
    return MN_OK;
}

static void tick(void *context)
{
    bench *b = context;
    b->ticks++;
}

static mn_status run(bench *b, const char *const *jobs, uint32_t count, mn_error *err)
{
    char *lines[most_jobs] = {NULL};
    mn__executor_calls calls = {.finished = finished, .tick = tick, .context = b};
    memset(b->finished, 0, sizeof b->finished);
    for (uint32_t i = 0; i < count; i++)
        assert_non_null(lines[i] = strdup(jobs[i]));
    mn_status status = mn__executor_run(b->executor, lines, count, &calls, err);
    for (uint32_t i = 0; i < count; i++)
        free(lines[i]);
    return status;
}

static uint32_t count_starts(const bench *b)
{
    char *path = NULL;
    char *text = NULL;
    size_t bytes = 0;
    assert_true(asprintf(&path, "%s.starts", b->program) > 0);
    if (mn_path_exists(path))
        assert_ok(mn_file_read(path, 1 << 20, &text, &bytes, NULL), &(mn_error){0});
    free(path);
    free(text);
    return (uint32_t)(bytes / sizeof "started"); /* the newline in place of the NUL */
}

/* ---- good workers ---------------------------------------------------------------------------- */

static void test_each_result_goes_to_its_job(void **state)
{
    mn_error err;
    for (uint32_t workers = 1; workers <= 4; workers += 3) {
        bench b = begin(*state, workers);
        mn_random random = mn_random_make(workers, 0);
        char texts[most_jobs][32];
        const char *jobs[most_jobs];
        for (uint32_t i = 0; i < most_jobs; i++) {
            uint32_t kind = mn_random_below(&random, 16);
            snprintf(texts[i], sizeof texts[i], "%s %u", kind == 0 ? "slow" : "ok", 1000 + i);
            jobs[i] = texts[i];
        }
        uint32_t before = count_starts(&b);
        for (int batch = 0; batch < 2; batch++) { /* the same workers serve both */
            memset(b.accuracy, 0, sizeof b.accuracy);
            assert_ok(run(&b, jobs, most_jobs, &err), &err);
            for (uint32_t i = 0; i < most_jobs; i++) {
                assert_int_equal(b.finished[i], 1);
                assert_false(b.failed[i]);
                assert_true(b.accuracy[i] == 1000.0 + i);
            }
        }
        assert_int_equal(count_starts(&b) - before, workers);
        assert_true(b.ticks > 0);
        end(&b);
    }
}

static void test_no_jobs_no_workers(void **state)
{
    mn_error err;
    bench b = begin(*state, 4);
    assert_ok(run(&b, NULL, 0, &err), &err);
    assert_int_equal(count_starts(&b), 0);
    static const char *const one[] = {"ok 1"};
    assert_ok(run(&b, one, 1, &err), &err);
    end(&b);
    mn__executor_free(NULL);
}

/* How many pipes and sockets this process hands to every child, whoever opened them. */
static uint32_t count_inherited(void)
{
    uint32_t count = 0;
    for (int fd = 3; fd < 256; fd++) {
        struct stat info;
        int flags = fcntl(fd, F_GETFD);
        bool passes = flags >= 0 && (flags & FD_CLOEXEC) == 0 && fstat(fd, &info) == 0;
        count += passes && (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode));
    }
    return count;
}

/* A worker has its own two ends and the data, nothing of other workers. */
static void test_workers_inherit_nothing(void **state)
{
    static const char *const jobs[] = {"slow 1", "slow 1", "fds 1", "fds 2", "fds 3", "fds 4"};
    mn_error err;
    uint32_t inherited = count_inherited();
    bench b = begin(*state, 4);
    assert_ok(run(&b, jobs, 6, &err), &err);
    for (uint32_t i = 2; i < 6; i++)
        assert_true(b.accuracy[i] == (double)inherited);
    end(&b);
}

static void test_workers_get_the_data(void **state)
{
    static const char *const jobs[] = {"data 0"};
    mn_error err;
    bench b = {.fail_at = MN_NONE};
    write_script(&b, *state);
    FILE *data = tmpfile();
    assert_non_null(data);
    assert_true(fputs("421", data) >= 0);
    rewind(data);
    assert_ok(mn__executor_create(b.program, 1, fileno(data), &b.executor, &err), &err);
    assert_ok(run(&b, jobs, 1, &err), &err);
    assert_true(b.accuracy[0] == 421.0);
    end(&b);
    fclose(data);
}

/* ---- workers that die ------------------------------------------------------------------------ */

static void test_one_death_is_forgiven(void **state)
{
    static const char *const jobs[] = {"once 1", "ok 2", "once 3", "exit-once 4", "ok 5"};
    mn_error err;
    bench b = begin(*state, 2);
    assert_ok(run(&b, jobs, 5, &err), &err);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(b.finished[i], 1);
        assert_false(b.failed[i]);
        assert_true(b.accuracy[i] == 1.0 + i);
    }
    end(&b);
}

static void test_two_deaths_fail_the_job(void **state)
{
    static const char *const jobs[] = {"ok 1", "crash 2", "ok 3", "half 4", "ok 5"};
    mn_error err;
    for (uint32_t workers = 1; workers < 4; workers++) {
        bench b = begin(*state, workers);
        assert_ok(run(&b, jobs, 5, &err), &err);
        for (uint32_t i = 0; i < 5; i++) {
            assert_int_equal(b.finished[i], 1);
            assert_int_equal(b.failed[i], i % 2);
        }
        assert_non_null(strstr(b.reason, "died twice"));
        end(&b);
    }
}

/* Leaving is no fact about the network: nothing is learnt, and the search ends. */
static void test_leaving_twice_is_an_error(void **state)
{
    static const char *const jobs[] = {"exit 1"};
    mn_error err;
    bench b = begin(*state, 2);
    assert_error(run(&b, jobs, 1, &err), MN_ERR_WORKER, &err, "status 3");
    assert_int_equal(b.finished[0], 0);
    end(&b);
}

/* Nor is being killed from outside, as when memory is short. */
static void test_killed_twice_is_an_error(void **state)
{
    static const char *const jobs[] = {"ok 1", "kill 2"};
    mn_error err;
    bench b = begin(*state, 1);
    assert_error(run(&b, jobs, 2, &err), MN_ERR_WORKER, &err, "by signal 9: is memory short?");
    assert_int_equal(b.finished[0], 1);
    assert_int_equal(b.finished[1], 0);
    end(&b);
}

/* Workers that die between jobs cost nothing, however often, and raise no signal. */
static void test_idle_deaths_are_free(void **state)
{
    static const char *const jobs[] = {"leave 1", "leave 2", "leave 3"};
    static const char *const more[] = {"ok 1", "ok 2", "ok 3"};
    mn_error err;
    signal(SIGPIPE, SIG_DFL);
    bench b = begin(*state, 3);
    for (int batch = 0; batch < 4; batch++) {
        assert_ok(run(&b, batch % 2 == 0 ? jobs : more, 3, &err), &err);
        usleep(50000);
        for (uint32_t i = 0; i < 3; i++) {
            assert_false(b.failed[i]);
            assert_true(b.accuracy[i] == 1.0 + i);
        }
    }
    end(&b);
}

static void test_no_such_program(void **state)
{
    static const char *const jobs[] = {"ok 1", "ok 2"};
    mn_error err;
    bench b = begin(*state, 2);
    assert_int_equal(unlink(b.program), 0);
    assert_error(run(&b, jobs, 2, &err), MN_ERR_WORKER, &err, b.program);
    end(&b);
}

/* ---- workers that lie ------------------------------------------------------------------------ */

static void test_nonsense_is_an_error(void **state)
{
    static const char *const words[] = {"garbage 1", "empty 1", "two 1", "endless 1"};
    static const char *const after[] = {"ok 5", "ok 6"};
    mn_error err;
    bench b = begin(*state, 2);
    for (size_t i = 0; i < 4; i++) {
        const char *jobs[] = {"slow 9", words[i], "ok 3"};
        assert_error(run(&b, jobs, 3, &err), MN_ERR_WORKER, &err, "worker");
        assert_int_equal(b.finished[1], 0);
        assert_ok(run(&b, after, 2, &err), &err); /* with fresh workers */
        assert_true(b.accuracy[0] == 5.0 && b.accuracy[1] == 6.0);
    }
    end(&b);
}

static void test_fatal_ends_the_batch(void **state)
{
    static const char *const jobs[] = {"ok 1", "fatal 2", "slow 9", "slow 9", "slow 9"};
    mn_error err;
    bench b = begin(*state, 2);
    assert_error(run(&b, jobs, 5, &err), MN_ERR_IO, &err, "no room");
    assert_int_equal(b.finished[1], 0);
    assert_int_equal(b.finished[4], 0);
    end(&b);
}

static void test_failed_is_a_result(void **state)
{
    static const char *const jobs[] = {"ok 1", "failed 2", "ok 3"};
    mn_error err;
    bench b = begin(*state, 1);
    assert_ok(run(&b, jobs, 3, &err), &err);
    assert_true(!b.failed[0] && b.failed[1] && !b.failed[2]);
    assert_string_equal(b.reason, "not finite");
    end(&b);
}

static void test_callback_ends_the_batch(void **state)
{
    static const char *const jobs[] = {"ok 1", "ok 2", "slow 9", "slow 9"};
    mn_error err;
    bench b = begin(*state, 2);
    b.fail_at = 1;
    assert_error(run(&b, jobs, 4, &err), MN_ERR_DB, &err, "the database is full");
    assert_int_equal(b.finished[3], 0);
    b.fail_at = MN_NONE;
    assert_ok(run(&b, jobs, 2, &err), &err);
    end(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_result_goes_to_its_job),
        TEST(test_no_jobs_no_workers),
        TEST(test_workers_inherit_nothing),
        TEST(test_workers_get_the_data),
        TEST(test_one_death_is_forgiven),
        TEST(test_two_deaths_fail_the_job),
        TEST(test_leaving_twice_is_an_error),
        TEST(test_killed_twice_is_an_error),
        TEST(test_idle_deaths_are_free),
        TEST(test_no_such_program),
        TEST(test_nonsense_is_an_error),
        TEST(test_fatal_ends_the_batch),
        TEST(test_failed_is_a_result),
        TEST(test_callback_ends_the_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

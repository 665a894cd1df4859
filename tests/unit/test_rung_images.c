/* How many images rung 0 trains on, by what a scripted worker says that a training takes. */
#include "temporary.h"

#include <math.h>
#include <sys/stat.h>

#include "base/size.h"
#include "memnet/moves.h"
#include "search/equal_time.h"
#include "search/pace.h"
#include "search/rung_images.h"
#include "search/rungs.h"
#include "search/work.h"

static const char script[] =
    "#!/bin/sh\n"
    "while read -r line; do\n"
    "  echo \"{\\\"failed\\\":$(cat \"$0.failed\"),\\\"fatal\\\":false,\\\"reason\\\":\\\"\\\","
    "\\\"loss\\\":0.5,\\\"curve\\\":\\\"[]\\\",\\\"accuracy\\\":10,"
    "\\\"train_ms\\\":$(cat \"$0.ms\")}\"\n"
    "  echo asked >>\"$0.asked\"\n"
    "done\n";

enum { chosen = 8 };

/* A study of a search by --time that has chosen its first eight networks. */
typedef struct bench {
    char *program, *folder;
    mn_search_opts opts;
    mn_dataset dataset;
    mn__session session;
    mn_candidates *networks;
    mn__entry entries[chosen];
    mn__pool pool;
} bench;

static void say(const bench *b, const char *what, const char *text)
{
    mn_error err;
    char path[512];
    snprintf(path, sizeof path, "%s.%s", b->program, what);
    assert_ok(mn_file_write(path, text, strlen(text), &err), &err);
}

/* How often a training was asked for. */
static size_t asked(const bench *b)
{
    char path[512];
    struct stat file;
    snprintf(path, sizeof path, "%s.asked", b->program);
    return stat(path, &file) == 0 ? (size_t)file.st_size / strlen("asked\n") : 0;
}

static void open_study(bench *b)
{
    static const uint64_t bytes = 1 << 20;
    mn_error err;
    mn_study_setup setup = {.options_json = "{}",
                            .data_hash = "0123456789abcdef",
                            .seed = 1,
                            .bounds_bytes = &bytes,
                            .bound_count = 1};
    assert_ok(mn_study_open(b->folder, &setup, &b->session.study, &err), &err);
}

static bench *begin(const char *folder, const char *name, const char *ms)
{
    mn_error err;
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    mn_genotype frame = {.input = {8, 8, 1}, .classes = 3, .block_count = 1};
    frame.blocks[0] = (mn_block){.stride = 2, .width = 8};
    b->folder = mn_path_join(folder, name);
    b->program = mn_path_join(folder, "worker.sh");
    assert_true(b->folder != NULL && b->program != NULL);
    assert_ok(mn_file_write(b->program, script, sizeof script - 1, &err), &err);
    assert_int_equal(chmod(b->program, 0755), 0);
    say(b, "failed", "false");
    say(b, "ms", ms);
    b->opts = mn_search_opts_default();
    b->opts.rounds = 0;
    b->opts.time_ms = 1200000;
    b->opts.bound_count = 1;
    b->opts.jobs = 2;
    b->dataset.train.count = 50000;
    b->session = (mn__session){.opts = &b->opts, .dataset = &b->dataset, .data_fd = STDERR_FILENO};
    b->session.rung = mn_train_opts_default();
    open_study(b);
    assert_ok(mn__executor_create(b->program, 2, STDERR_FILENO, &b->session.executor, &err), &err);
    assert_ok(mn_moves_round0(&frame, &b->networks, &err), &err);
    for (uint32_t i = 0; i < chosen; i++) {
        mn__entry *entry = &b->entries[i];
        *entry = (mn__entry){.candidate = &b->networks->items[i], .chosen = true};
        mn_genotype_id(&entry->candidate->genotype, entry->id);
        entry->needs.effort = 1000.0;
    }
    b->pool = (mn__pool){.count = chosen, .entries = b->entries};
    return b;
}

static void end(bench *b)
{
    mn__executor_free(b->session.executor);
    mn_study_close(&b->session.study);
    mn_candidates_free(b->networks);
    free(b->program);
    free(b->folder);
    free(b);
}

static uint32_t decided(bench *b)
{
    mn_error err;
    assert_ok(mn__rung_images_recall(&b->session, &err), &err);
    assert_ok(mn__rung_images_decide(&b->session, &b->pool, &err), &err);
    return b->session.rung_images;
}

/* Milliseconds of a round where a training on 1,000 images has taken `ms`: two workers train eight
 * networks, then two. */
static double round_ms(const bench *b, uint32_t first_images, double ms)
{
    uint32_t epochs = 0;
    uint32_t images = 0;
    mn__rung_size_from(&b->session, first_images, 0, &epochs, &images);
    double work = 4 * mn__training_work(&b->session, images, epochs);
    mn__rung_size_from(&b->session, first_images, 1, &epochs, &images);
    work += mn__training_work(&b->session, images, epochs);
    return work * ms / mn__training_work(&b->session, 1000, 1);
}

/* 20 minutes, of which rounds get 45 %: eight of 67.5 s each. */
static void test_as_many_as_fit(void **state)
{
    bench *b = begin(*state, "fit", "3000");
    double wanted = (double)mn__pace_search_ms(&b->session) / 8.0;
    uint32_t images = decided(b);
    assert_true(wanted > 67000.0 && wanted < 68000.0);
    assert_in_range(images, 2001, 11999);
    assert_true(round_ms(b, images, 3000.0) <= wanted);
    assert_true(round_ms(b, images + 1, 3000.0) > wanted);
    assert_int_equal(asked(b), 1);
    end(b);
}

static void test_limits(void **state)
{
    bench *b = begin(*state, "fast", "1");
    assert_int_equal(decided(b), 12000);
    end(b);
    b = begin(*state, "slow", "1000000");
    assert_int_equal(decided(b), 2000);
    end(b);
    b = begin(*state, "few", "1000000");
    b->opts.rung_images = 500; /* what the options say is the most */
    assert_int_equal(decided(b), 500);
    end(b);
}

/* What cannot be trained is taken to be as slow as can be. */
static void test_failure(void **state)
{
    bench *b = begin(*state, "failure", "1");
    say(b, "failed", "true");
    assert_int_equal(decided(b), 2000);
    end(b);
}

/* Networks that train longer than the one that was tried count as much longer. */
static void test_effort(void **state)
{
    bench *b = begin(*state, "effort", "3000");
    uint32_t images = decided(b);
    end(b);
    b = begin(*state, "more", "1500");
    for (uint32_t i = 1; i < chosen; i++) /* a mean of twice as much as the first one */
        b->entries[i].needs.effort = 1000.0 * 15.0 / 7.0;
    assert_in_range(decided(b), images - 1, images + 1);
    end(b);
}

/* The clock decides once: the study says it from then on. */
static void test_decided_once(void **state)
{
    bench *b = begin(*state, "once", "3000");
    uint32_t images = decided(b);
    say(b, "ms", "1");
    assert_int_equal(decided(b), images);
    mn_study_close(&b->session.study);
    open_study(b);
    assert_int_equal(decided(b), images);
    assert_int_equal(asked(b), 1);
    end(b);
}

/* Earlier versions have not stored how fast the machine was. */
static void test_earlier_study(void **state)
{
    bench *b = begin(*state, "earlier", "3000");
    mn_error err;
    assert_ok(mn_study_put_event(b->session.study, "rungs", 0, "{\"images\":3000}", &err), &err);
    assert_int_equal(decided(b), 3000);
    assert_true(b->session.effort_ms == 0.0);
    assert_int_equal(asked(b), 0);
    end(b);
}

/* By --rounds no clock decides anything. */
static void test_by_rounds(void **state)
{
    bench *b = begin(*state, "rounds", "1000000");
    b->opts.time_ms = 0;
    b->opts.rounds = 3;
    assert_int_equal(decided(b), 12000);
    assert_int_equal(asked(b), 0);
    end(b);
}

static double errors_of(const bench *b, double errors, mn__needs network)
{
    static const mn__needs beside = {
        .effort = 1000.0, .macs = 1000000, .weights_bytes = 100000, .arena_bytes = 50000};
    return mn__equal_time_errors(&b->session, errors, &network, &beside);
}

/* A network that takes twice as long has half of the epochs, one that computes more with more
 * weights gains more by training on: nearly nothing is left where all is twice as much. Many epochs
 * cost little, and nothing counts where finals have equal epochs. */
static void test_equal_time(void **state)
{
    static const mn__needs same = {.effort = 1000.0, .macs = 1000000, .weights_bytes = 100000};
    static const mn__needs slow = {.effort = 2000.0, .macs = 1000000, .weights_bytes = 100000};
    static const mn__needs fast = {.effort = 500.0, .macs = 1000000, .weights_bytes = 100000};
    static const mn__needs wide = {.effort = 1000.0, .macs = 2000000, .weights_bytes = 200000};
    static const mn__needs large = {.effort = 2000.0, .macs = 2000000, .weights_bytes = 200000};
    static const mn__needs empty = {.effort = 1.0};
    bench *b = begin(*state, "equal", "3000");
    (void)decided(b);
    assert_true(b->session.effort_ms > 0.0);
    assert_true(errors_of(b, 0.2, same) == 0.2);
    double of_slow = errors_of(b, 0.2, slow);
    assert_true(of_slow > 0.24 && of_slow < 0.27);
    assert_true(fabs(errors_of(b, 0.2, fast) * of_slow - 0.2 * 0.2) < 1e-12);
    assert_true(errors_of(b, 0.2, wide) < 0.17);
    assert_true(fabs(errors_of(b, 0.2, large) - 0.2) < 1e-4);
    assert_true(errors_of(b, 0.2, empty) <= 1.0 && errors_of(b, 0.9, slow) == 1.0);
    b->opts.time_ms *= 100; /* far behind the epochs that matter */
    assert_true(errors_of(b, 0.2, slow) > 0.2 && errors_of(b, 0.2, slow) < of_slow);
    assert_true(errors_of(b, 0.2, large) < 0.2);
    b->opts.preset = MN_PRESET_PAPER;
    assert_true(errors_of(b, 0.2, slow) == 0.2);
    end(b);
    b = begin(*state, "equal-epochs", "3000");
    b->opts.time_ms = 0;
    b->opts.rounds = 3;
    (void)decided(b);
    assert_true(errors_of(b, 0.2, slow) == 0.2);
    end(b);
    b = begin(*state, "unknown", "3000");
    say(b, "failed", "true");
    (void)decided(b);
    assert_true(errors_of(b, 0.2, slow) == 0.2);
    end(b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_as_many_as_fit),
        TEST(test_limits),
        TEST(test_failure),
        TEST(test_effort),
        TEST(test_decided_once),
        TEST(test_earlier_study),
        TEST(test_by_rounds),
        TEST(test_equal_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

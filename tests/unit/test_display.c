/* How a search shows itself: the status line fits every width, and lines stay only when landed. */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "cli/display.h"

static mn_progress sample(void)
{
    return (mn_progress){.phase = "round",
                         .round = 3,
                         .jobs_done = 5,
                         .jobs_total = 8,
                         .fits = 27,
                         .fresh = 98,
                         .bound_count = 1,
                         .best_accuracy = 91.234,
                         .best_bytes = 118344,
                         .bound_bytes = 131072,
                         .elapsed_ms = 723000,
                         .left_ms = 2460000};
}

static void test_wide(void **state)
{
    (void)state;
    mn_progress p = sample();
    char line[MN__LINE_BYTES];
    mn__display_status(&p, 100, line);
    assert_string_equal(line,
                        "round 3 | 5/8 trained | best 91.23 % | 118,344 of 131,072 bytes | "
                        "41 min 00 s left");
    p.left_ms = -1;
    p.phase = "finals";
    p.best_accuracy = (double)NAN;
    mn__display_status(&p, 100, line);
    assert_string_equal(line, "finals | 5/8 trained | no result yet | 12 min 03 s so far");
}

static void test_narrow(void **state)
{
    (void)state;
    mn_progress p = sample();
    char line[MN__LINE_BYTES];
    mn__display_status(&p, 39, line);
    assert_string_equal(line, "r3 5/8 91.23% 115.6K/128.0K 41m");
    mn__display_status(&p, 10, line);
    assert_string_equal(line, "r3 5/8 91.");
    mn__display_status(&p, 0, line);
    assert_string_equal(line, "");
}

static void check_landed(const mn_progress *progress, const char *expected)
{
    char line[MN__LINE_BYTES];
    mn__display_landed(progress, line);
    assert_string_equal(line, expected);
}

/* Of several bounds every line says which one it is about; each training of the finals has one. */
static void test_landed(void **state)
{
    (void)state;
    mn_progress p = sample();
    p.landed = true;
    p.phase = "finals";
    p.jobs_done = 1;
    p.jobs_total = 2;
    p.epochs = 12;
    p.final_accuracy = 90.5;
    check_landed(&p, "finals: 1 of 2, 12 epochs, 90.50 % validation, after 12 min 03 s");
    p.epochs = 0;
    check_landed(&p,
                 "finals: 1 of 2, as the rounds left it, 90.50 % validation, after 12 min 03 s");
    p.bound_count = 2;
    p.epochs = 3;
    p.final_accuracy = (double)NAN;
    check_landed(&p, "finals for 128.0K: 1 of 2, 3 epochs, failed, after 12 min 03 s");
    p.phase = "round";
    check_landed(&p,
                 "round 3 for 128.0K: 27 of 98 new candidates fit, 1 trained, best 91.23 % "
                 "validation in 118,344 bytes (115.6 KiB), after 12 min 03 s");
    p.phase = "continue";
    check_landed(&p, "continuing a study of 12 min 03 s");
}

/* Whatever the numbers are, the line keeps the width and has no control characters. */
static void test_every_width(void **state)
{
    (void)state;
    static const char *const phases[] = {"round", "finals", "test", "done"};
    mn_random random = mn_random_make(1, 0);
    for (uint32_t i = 0; i < 20000; i++) {
        mn_progress p = {.phase = phases[mn_random_below(&random, 4)],
                         .round = (uint32_t)mn_random_next(&random) >> mn_random_below(&random, 32),
                         .jobs_done = mn_random_below(&random, 1000),
                         .jobs_total = (uint32_t)mn_random_next(&random),
                         .best_accuracy = (double)mn_random_uniform(&random) * 100.0,
                         .best_bytes = mn_random_next(&random) >> mn_random_below(&random, 64),
                         .bound_bytes = mn_random_next(&random) >> mn_random_below(&random, 64),
                         .elapsed_ms = (int64_t)(mn_random_next(&random) >> 20),
                         .left_ms = (int64_t)mn_random_below(&random, 1000000) - 1};
        char line[MN__LINE_BYTES];
        size_t columns = mn_random_below(&random, 250);
        mn__display_status(&p, columns, line);
        assert_true(strlen(line) <= columns);
        for (const char *at = line; *at != '\0'; at++)
            assert_true(*at >= ' ' && *at <= '~');
    }
}

/* A stream that is no terminal gets the landed lines alone. */
static void test_no_terminal(void **state)
{
    (void)state;
    char *text = NULL;
    size_t count = 0;
    FILE *real = tmpfile();
    assert_non_null(real);
    mn__display display;
    mn__display_init(&display, real);
    assert_false(display.live);
    mn_progress p = sample();
    mn__display_progress(&display, &p);
    p.landed = true;
    p.jobs_done = 8;
    mn__display_progress(&display, &p);
    mn__display_done(&display);
    rewind(real);
    ssize_t length = getdelim(&text, &count, '\0', real);
    assert_true(length > 0);
    assert_string_equal(
        text,
        "round 3: 27 of 98 new candidates fit, 8 trained, best 91.23 % validation in "
        "118,344 bytes (115.6 KiB), after 12 min 03 s\n");
    free(text);
    fclose(real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wide),
        cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_landed),
        cmocka_unit_test(test_every_width),
        cmocka_unit_test(test_no_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

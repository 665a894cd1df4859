/* The parser of options: every kind of value, every mistake, and nothing stored after a mistake. */
#include "test.h"

#include <stdbool.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/options.h"

typedef struct request {
    bool flag;
    const char *text;
    int choice;
    uint32_t count;
    uint64_t integer;
    double real;
    float single;
    uint64_t bytes;
    int64_t ms;
} request;

#define INTO(field) offsetof(request, field)

static const char *const choices[] = {"red", "green", NULL};
static const char *const planned[] = {"blue", NULL};

static const mn__option options[] = {
    {.name = "flag", .kind = MN__FLAG, .into = INTO(flag), .help = "a flag"},
    {.name = "text",
     .argument = "T",
     .kind = MN__TEXT,
     .into = INTO(text),
     .required = true,
     .help = "a text\nof two lines"},
    {.name = "choice",
     .argument = "C",
     .kind = MN__CHOICE,
     .into = INTO(choice),
     .choices = choices,
     .planned = planned,
     .help = "a choice"},
    {.name = "count",
     .argument = "N",
     .kind = MN__COUNT,
     .into = INTO(count),
     .low = 1,
     .high = 10,
     .help = "a count"},
    {.name = "integer", .argument = "N", .kind = MN__INTEGER, .into = INTO(integer), .help = "any"},
    {.name = "real",
     .argument = "X",
     .kind = MN__REAL,
     .into = INTO(real),
     .low = 0,
     .high = 1,
     .help = "a number"},
    {.name = "single",
     .argument = "X",
     .kind = MN__FLOAT,
     .into = INTO(single),
     .low = 0,
     .high = 1,
     .help = "a number, too"},
    {.name = "size", .argument = "SIZE", .kind = MN__SIZE, .into = INTO(bytes), .help = "bytes"},
    {.name = "time", .argument = "T", .kind = MN__DURATION, .into = INTO(ms), .help = "time"},
};

static const mn__usage usage = {
    .command = "try",
    .synopsis = "FILE --text T",
    .about = "Tries.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operand = "FILE",
    .operand_max = 2,
};

enum { RAN = -1 };

/* Runs the parser on words (NULL-ended); its exit code, RAN when the command would run. What went
 * to stderr stands in `said`. */
static int parse(const char *const *words, request *r, int *ret_operands, char said[512])
{
    char *argv[20];
    int argc = 0;
    int first = 0;
    int code = 0;
    argv[argc++] = strdup("try");
    for (; words[argc - 1] != NULL; argc++)
        argv[argc] = strdup(words[argc - 1]);
    argv[argc] = NULL;
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    assert_non_null(file);
    assert_true(saved >= 0);
    fflush(stderr);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    bool run = mn__options_parse(&usage, argc, argv, r, &first, &code);
    fflush(stderr);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    rewind(file);
    said[fread(said, 1, 511, file)] = '\0';
    fclose(file);
    if (run)
        *ret_operands = argc - first;
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return run ? RAN : code;
}

static void test_all_kinds(void **state)
{
    (void)state;
    const char *const words[] = {"a.json",
                                 "--flag",
                                 "--text=x",
                                 "--choice",
                                 "green",
                                 "--count",
                                 "10",
                                 "--integer",
                                 "9223372036854775807",
                                 "b.json",
                                 "--real=0.25",
                                 "--single=0.1",
                                 "--size",
                                 "64K",
                                 "--time",
                                 "20m",
                                 NULL};
    request r = {0};
    char said[512];
    int operands = 0;
    assert_int_equal(parse(words, &r, &operands, said), RAN);
    assert_string_equal(said, "");
    assert_int_equal(operands, 2);
    assert_true(r.flag);
    assert_int_equal(r.choice, 1);
    assert_int_equal(r.count, 10);
    assert_true(r.integer == INT64_MAX);
    assert_true(r.real == 0.25);
    assert_true(r.single == 0.1f);
    assert_true(r.bytes == 65536);
    assert_true(r.ms == 1200000);
}

static void test_defaults_stay(void **state)
{
    (void)state;
    const char *const words[] = {"--text", "", "--", "--flag", NULL};
    request r = {.choice = 1, .count = 7, .real = 0.5, .single = 0.5f};
    char said[512];
    int operands = 0;
    assert_int_equal(parse(words, &r, &operands, said), RAN);
    assert_int_equal(operands, 1); /* after "--" all words are operands */
    assert_false(r.flag);
    assert_int_equal(r.choice, 1);
    assert_int_equal(r.count, 7);
    assert_true(r.real == 0.5);
    assert_true(r.single == 0.5f);
}

typedef struct mistake {
    const char *words[6];
    int code;
    const char *said; /* part of the line */
} mistake;

static void test_mistakes(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {{"a", "--text", "x", "--bogus", NULL}, 2, "unknown option --bogus"},
        {{"a", "--text", "x", "-z", NULL}, 2, "unknown option -z"},
        {{"a", "--flag=1", "--text", "x", NULL}, 2, "takes no argument: --flag=1"},
        {{"a", "--help=1", NULL}, 2, "takes no argument: --help=1"},
        {{"a", "--text", NULL}, 2, "option --text needs an argument, T"},
        {{"a", NULL}, 2, "missing option: --text T"},
        {{"--text", "x", NULL}, 2, "missing argument: FILE"},
        {{"--text=x", "a", "b", "c", NULL}, 2, "unexpected argument 'c'"},
        {{"a", "--text=x", "--choice=", NULL}, 2, "--choice: '': expected red or green"},
        {{"a", "--text=x", "--choice=blue", NULL}, 1, "'blue' is not supported yet"},
        {{"a", "--text=x", "--count=0", NULL}, 2, "--count: number '0': expected"},
        {{"a", "--text=x", "--count=11", NULL}, 2, "[1, 10]"},
        {{"a", "--text=x", "--count=4294967297", NULL}, 2, "--count"},
        {{"a", "--text=x", "--integer=-1", NULL}, 2, "--integer"},
        {{"a", "--text=x", "--integer=9223372036854775808", NULL}, 2, "--integer"},
        {{"a", "--text=x", "--real=nan", NULL}, 2, "--real"},
        {{"a", "--text=x", "--real=1.5", NULL}, 2, "--real"},
        {{"a", "--text=x", "--single=", NULL}, 2, "--single"},
        {{"a", "--text=x", "--single=-0.1", NULL}, 2, "--single: number '-0.1'"},
        {{"a", "--text=x", "--size=0", NULL}, 2, "--size: size '0'"},
        {{"a", "--text=x", "--time=1d", NULL}, 2, "--time: duration '1d'"},
        {{"a", "--text=x", "--bo\ngus", NULL}, 2, "unknown option --bo?gus"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        request r = {.count = 7, .bytes = 1};
        char said[512];
        int operands = 0;
        int code = parse(mistakes[i].words, &r, &operands, said);
        if (code != mistakes[i].code || strstr(said, mistakes[i].said) == NULL)
            fail_msg("mistake %zu: code %d, said '%s'", i, code, said);
        const char *end = strchr(said, '\n');
        assert_non_null(end);
        assert_string_equal(end, "\n"); /* one line */
        assert_int_equal(r.choice, 0);
        assert_int_equal(r.count, 7);
        assert_true(r.integer == 0 && r.bytes == 1 && r.ms == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds),
        cmocka_unit_test(test_defaults_stay),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

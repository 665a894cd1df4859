/* The examples of the documentation are what they say they are. */
#include "test.h"

#include "base/file.h"
#include "cli/train_options.h"
#include "memnet/genotype.h"

static void read_doc(const char *name, char **ret_text)
{
    const char *tests = getenv("MEMNET_TESTS");
    char path[4096];
    size_t count = 0;
    mn_error err;
    snprintf(path, sizeof path, "%s/../docs/%s", tests == NULL ? "." : tests, name);
    assert_ok(mn_file_read(path, 1 << 20, ret_text, &count, &err), &err);
}

static void test_architecture_example(void **state)
{
    (void)state;
    mn_error err;
    mn_genotype genotype;
    mn_graph *graph = NULL;
    char *text = NULL;
    read_doc("formats.md", &text);
    const char *fence = strstr(text, "```json\n");
    const char *example = fence == NULL ? "" : fence + strlen("```json\n");
    const char *end = strstr(example, "```");
    size_t count = end == NULL ? 0 : (size_t)(end - example);
    assert_ok(mn_genotype_parse(example, count, &genotype, &err), &err);
    assert_ok(mn_genotype_lower(&genotype, &graph, &err), &err);
    mn_graph_free(graph);
    for (int op = 0; op < MN_OP_COUNT; op++)
        assert_non_null(strstr(text, mn_cell_op_name((mn_cell_op)op)));
    free(text);
}

/* A row of a table for every option, with the name of its argument, and a row for nothing else. */
static void test_training_options(void **state)
{
    (void)state;
    char *text = NULL;
    uint32_t rows = 0;
    read_doc("training.md", &text);
    for (uint32_t i = 0; i < mn__train_usage.option_count; i++) {
        const mn__option *option = &mn__train_usage.options[i];
        bool has_argument = option->argument != NULL;
        char row[80];
        snprintf(row,
                 sizeof row,
                 "\n| `--%s%s%s` |",
                 option->name,
                 has_argument ? " " : "",
                 has_argument ? option->argument : "");
        if (strstr(text, row) == NULL)
            fail_msg("training.md has no row%s", row);
    }
    for (const char *at = text; (at = strstr(at, "\n| `--")) != NULL; at++)
        rows++;
    assert_int_equal(rows, mn__train_usage.option_count);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_architecture_example),
        cmocka_unit_test(test_training_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

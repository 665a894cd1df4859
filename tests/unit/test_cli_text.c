/* Numbers and names as the command line prints them. */
#include "test.h"

#include <math.h>
#include <sys/wait.h>

#include "cli/text.h"

static void test_counts_and_bytes(void **state)
{
    (void)state;
    assert_string_equal(mn__count_text(0).text, "0");
    assert_string_equal(mn__count_text(999).text, "999");
    assert_string_equal(mn__count_text(1000).text, "1,000");
    assert_string_equal(mn__count_text(1234567).text, "1,234,567");
    assert_string_equal(mn__count_text(UINT64_MAX).text, "18,446,744,073,709,551,615");
    assert_string_equal(mn__bytes_text(1023).text, "1,023 bytes");
    assert_string_equal(mn__bytes_text(118344).text, "118,344 bytes (115.6 KiB)");
    assert_string_equal(mn__bytes_text(1 << 20).text, "1,048,576 bytes (1.0 MiB)");
    assert_string_equal(mn__bytes_text(UINT64_MAX).text,
                        "18,446,744,073,709,551,615 bytes (16777216.0 TiB)");
    assert_string_equal(mn__short_bytes_text(118344).text, "115.6K");
    assert_string_equal(mn__short_bytes_text(64 << 20).text, "64.0M");
}

static void test_percent_and_duration(void **state)
{
    (void)state;
    assert_string_equal(mn__percent_text(91.236).text, "91.24 %");
    assert_string_equal(mn__percent_text((double)NAN).text, "unknown");
    assert_string_equal(mn__duration_text(-5).text, "0 s");
    assert_string_equal(mn__duration_text(9999).text, "9 s");
    assert_string_equal(mn__duration_text(723000).text, "12 min 03 s");
    assert_string_equal(mn__duration_text(3720000).text, "1 h 02 min");
}

/* What a shell makes of the word is the text itself. */
static void test_shell_word(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "study/best", "a b", "it's", "'", "''", "$HOME", "`id`", "a\\b", "a\nb", "*", "~", "#"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *word = mn__shell_word(texts[i]);
        char *command = NULL;
        char got[64] = "";
        assert_non_null(word);
        assert_true(asprintf(&command, "printf %%s. %s", word) > 0);
        FILE *shell = popen(command, "r");
        assert_non_null(shell);
        size_t length = fread(got, 1, sizeof got - 1, shell);
        assert_int_equal(pclose(shell), 0);
        if (length == 0 || got[length - 1] != '.')
            fail_msg("'%s': the shell printed '%s'", texts[i], got);
        else
            got[length - 1] = '\0';
        assert_string_equal(got, texts[i]);
        free(command);
        free(word);
    }
    char *plain = mn__shell_word("cifar10:data/x_1.bin");
    assert_string_equal(plain, "cifar10:data/x_1.bin");
    free(plain);
}

static void test_json(void **state)
{
    (void)state;
    json_t *text = mn__json_text("gr\xc3\xbc\xc3\x9f");
    assert_string_equal(json_string_value(text), "gr\xc3\xbc\xc3\x9f");
    json_decref(text);
    text = mn__json_text("a\xff"
                         "b");
    assert_string_equal(json_string_value(text), "a?b");
    json_decref(text);
    json_t *number = mn__json_number((double)NAN);
    assert_true(json_is_null(number));
    json_decref(number);
    number = mn__json_number(91.25);
    assert_true(json_real_value(number) == 91.25);
    json_decref(number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_and_bytes),
        cmocka_unit_test(test_percent_and_duration),
        cmocka_unit_test(test_shell_word),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

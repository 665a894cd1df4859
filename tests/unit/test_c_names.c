/* Names of exports: what is renamed, what is not, which names there are. */
#include "test.h"

#include "emit/c_names.h"

static void expect(const char *name, const char *text, const char *expected)
{
    mn_buffer out;
    mn_buffer_init(&out);
    mn__c_rename(name, text, strlen(text), &out);
    assert_string_equal(out.bytes, expected);
    mn_buffer_done(&out);
}

static void test_renaming(void **state)
{
    (void)state;
    expect("wake", "void memnet_invoke(void);", "void wake_invoke(void);");
    expect("a_1", "memnet_arena + MODEL_ARENA_BYTES", "a_1_arena + A_1_ARENA_BYTES");
    expect("wake",
           "#include \"model.h\"\n#include \"model_labels.h\"\n#include \"mn_s8.h\"\n",
           "#include \"wake.h\"\n#include \"wake_labels.h\"\n#include \"mn_s8.h\"\n");
    expect("wake",
           "add_library(memnet_model STATIC model.c mn_s8_conv.c)",
           "add_library(wake_model STATIC wake.c mn_s8_conv.c)");
    /* only whole beginnings of words, and not what the build defines */
    expect("wake",
           "my_memnet_x xMODEL_Y MEMNET_ALIGNED a_model.c models memnet",
           "my_memnet_x xMODEL_Y MEMNET_ALIGNED a_model.c models memnet");
    expect("wake", "MODEL_H", "WAKE_H");
}

static void test_strings_stay(void **state)
{
    (void)state;
    expect("wake", "f(\"memnet_x model.c\", memnet_y)", "f(\"memnet_x model.c\", wake_y)");
    expect("wake", "\"\\042MODEL_X\\134\" MODEL_X", "\"\\042MODEL_X\\134\" WAKE_X");
    /* a quote in a comment opens nothing */
    expect("wake",
           "/* say \" memnet_x */ memnet_y(\"memnet_z\")",
           "/* say \" wake_x */ wake_y(\"memnet_z\")");
    expect("wake", "\"/*\" memnet_y \"memnet_z\"", "\"/*\" wake_y \"memnet_z\"");
}

static void test_default_names(void **state)
{
    (void)state;
    char file[MN__C_FILE_BYTES];
    const char text[] = "memnet_invoke(); \"x\" MODEL_H model.h";
    expect(NULL, text, text);
    mn__c_file_name(NULL, "model_labels.c", file);
    assert_string_equal(file, "model_labels.c");
    mn__c_file_name("wake", "model_labels.c", file);
    assert_string_equal(file, "wake_labels.c");
    mn__c_file_name("wake", "CMakeLists.txt", file);
    assert_string_equal(file, "CMakeLists.txt");
}

static void test_which_names(void **state)
{
    (void)state;
    static const char *const good[] = {
        "a", "wake", "model", "x9_", "mnist", "abcdefghijklmnopqrstuvwxyz012345"};
    static const char *const bad[] = {"",
                                      "9a",
                                      "_a",
                                      "A",
                                      "aB",
                                      "a-b",
                                      "a b",
                                      "a/b",
                                      "../a",
                                      "a.b",
                                      "main",
                                      "mn",
                                      "mn_s8",
                                      "string",
                                      "stdint",
                                      "\xc3\xa9",
                                      "abcdefghijklmnopqrstuvwxyz0123456"};
    mn_error err;
    assert_ok(mn__c_name_check(NULL, &err), &err);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_ok(mn__c_name_check(good[i], &err), &err);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_error(mn__c_name_check(bad[i], &err), MN_ERR_ARG, &err, "name '");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renaming),
        cmocka_unit_test(test_strings_stay),
        cmocka_unit_test(test_default_names),
        cmocka_unit_test(test_which_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

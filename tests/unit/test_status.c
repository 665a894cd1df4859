/* Status strings, one-line messages, and the other small rooms of base/. */
#include "test.h"

#include "base/size.h"

static void test_strings(void **state)
{
    (void)state;
    assert_string_equal(mn_status_string(MN_OK), "ok");
    assert_string_equal(mn_status_string(MN_ERR_DB), "database error");
    assert_string_equal(mn_status_string((mn_status)999), "unknown status");
}

static void test_message_is_one_line(void **state)
{
    (void)state;
    mn_error err;
    assert_int_equal(mn_error_set(&err, MN_ERR_ARG, "cell %u: '%s'", 3u, "a\nb\x1b"), MN_ERR_ARG);
    assert_string_equal(err.message, "cell 3: 'a?b?'");
    assert_int_equal(mn_error_prefix(&err, err.status, "file %d", 7), MN_ERR_ARG);
    assert_string_equal(err.message, "file 7: cell 3: 'a?b?'");
    assert_int_equal(mn_error_set(NULL, MN_ERR_IO, "x"), MN_ERR_IO);
}

static void test_size_parse(void **state)
{
    (void)state;
    size_t bytes = 7;
    mn_error err;
    assert_int_equal(mn_size_parse("64K", &bytes, &err), MN_OK);
    assert_int_equal(bytes, 65536);
    assert_int_equal(mn_size_parse("1m", &bytes, &err), MN_OK);
    assert_int_equal(bytes, 1048576);
    const char *bad[] = {"", "K", "0", "-1", "1KB", "1.5M", "99999999999999999999", "17179869184G"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(mn_size_parse(bad[i], &bytes, &err), MN_ERR_ARG);
        assert_int_equal(bytes, 1048576);
    }
}

static void test_duration_parse(void **state)
{
    (void)state;
    int64_t ms = 7;
    assert_int_equal(mn_duration_parse("90", &ms, NULL), MN_OK);
    assert_int_equal(ms, 90000);
    assert_int_equal(mn_duration_parse("20m", &ms, NULL), MN_OK);
    assert_int_equal(ms, 1200000);
    assert_int_equal(mn_duration_parse("2h", &ms, NULL), MN_OK);
    assert_int_equal(ms, 7200000);
    const char *bad[] = {"", "m", "0s", "-5m", "1d", "10001h", "99999999999999999999s"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(mn_duration_parse(bad[i], &ms, NULL), MN_ERR_ARG);
}

static void test_size_arithmetic(void **state)
{
    (void)state;
    size_t value = 5;
    assert_false(mn_size_mul(SIZE_MAX, 2, &value));
    assert_false(mn_size_add(SIZE_MAX, 1, &value));
    assert_false(mn_size_round_up(SIZE_MAX, 16, &value));
    assert_int_equal(value, 5);
    assert_true(mn_size_round_up(17, 16, &value));
    assert_int_equal(value, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_message_is_one_line),
        cmocka_unit_test(test_size_parse),
        cmocka_unit_test(test_duration_parse),
        cmocka_unit_test(test_size_arithmetic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

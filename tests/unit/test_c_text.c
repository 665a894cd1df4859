/* Pieces of C source: floats read back to the same bits, names cannot break out of their place. */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "emit/c_text.h"

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void check_float(uint32_t bits)
{
    float value;
    char text[MN__C_FLOAT_BYTES];
    char *end = NULL;
    memcpy(&value, &bits, sizeof value);
    mn__c_float(value, text);
    if (bits_of(strtof(text, &end)) != bits)
        fail_msg("%08x: '%s' reads back as %08x", bits, text, bits_of(strtof(text, NULL)));
    assert_string_equal(end, "f");
    assert_non_null(strpbrk(text, ".e")); /* "1f" is no C literal */
}

static void test_floats_round_trip(void **state)
{
    (void)state;
    const uint32_t corners[] = {0,
                                0x80000000u, /* -0 */
                                1,           /* least denormal */
                                0x807fffffu,
                                0x00800000u, /* least normal */
                                0x7f7fffffu, /* largest */
                                0xff7fffffu};
    for (size_t i = 0; i < sizeof corners / sizeof corners[0]; i++)
        check_float(corners[i]);
    mn_random random = mn_random_make(2, 1);
    for (int i = 0; i < 100000;) {
        uint32_t bits = (uint32_t)mn_random_next(&random);
        if ((bits & 0x7f800000u) == 0x7f800000u)
            continue; /* infinite, or no number */
        check_float(bits);
        i++;
    }
    for (int i = -1000; i <= 1000; i++)
        check_float(bits_of((float)i));
}

static void test_float_texts(void **state)
{
    (void)state;
    const struct {
        float value;
        const char *text;
    } cases[] = {{0.0f, "0.0f"},
                 {-0.0f, "-0.0f"},
                 {1.0f, "1.0f"},
                 {-128.0f, "-128.0f"},
                 {0.5f, "0.5f"},
                 {1e10f, "1e+10f"},
                 {-3.40282347e38f, "-3.40282347e+38f"}};
    char text[MN__C_FLOAT_BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mn__c_float(cases[i].value, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_names(void **state)
{
    (void)state;
    const struct {
        const char *name, *text;
    } cases[] = {{"block0.cell1.op0.conv.weight", "block0_cell1_op0_conv_weight"},
                 {"a//b__c", "a_b_c"},
                 {"..a..", "a"},
                 {"\xc3\xa9*/", ""},
                 {"", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mn_buffer out;
        mn_buffer_init(&out);
        mn_buffer_append(&out, "", 0);
        mn__c_name(&out, cases[i].name);
        assert_string_equal(out.bytes, cases[i].text);
        mn_buffer_done(&out);
    }
    char long_name[1000];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    mn_buffer out;
    mn_buffer_init(&out);
    mn__c_name(&out, long_name);
    assert_int_equal(out.count, 48);
    mn_buffer_done(&out);
}

static void test_comments_and_strings(void **state)
{
    (void)state;
    mn_buffer out;
    mn_buffer_init(&out);
    mn__c_comment(&out, "a.b */ int x; /* \\\n?\x80 c-1");
    assert_string_equal(out.bytes, "a.b ?? int x? ?? ???? c-1");
    mn_buffer_done(&out);
    mn__c_string(&out, "T-shirt \"a\\b\" ?\?/\n1\xc3\xa9");
    assert_string_equal(out.bytes, "\"T-shirt \\042a\\134b\\042 \\077\\077/\\0121\\303\\251\"");
    mn_buffer_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floats_round_trip),
        cmocka_unit_test(test_float_texts),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_comments_and_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Genotypes as JSON: both ways, and malformed input of every kind. */
#include "test.h"

#include <jansson.h>
#include <unistd.h>

#include "genotype_samples.h"

/* Fewer blocks than allowed, for time; test_largest_fits_the_limit() has them all. */
static const sample_limits anything = {.side = MN_MAX_INPUT_SIDE,
                                       .channels = MN_MAX_INPUT_CHANNELS,
                                       .classes = MN_MAX_CLASSES,
                                       .width = MN_MAX_WIDTH,
                                       .blocks = 6,
                                       .cells = MN_MAX_CELLS};

/* Two blocks; the second has two cells, the first of them read but not marked. */
#define CELLS_0                                                                                    \
    "[{\"in\":[0,0],\"op\":[\"conv_3x3\",\"identity\"],\"combine\":\"add\",\"out\":true}]"
#define CELL_A                                                                                     \
    "{\"in\":[0,0],\"op\":[\"sep_conv_5x5\",\"max_pool_3x3\"],\"combine\":\"concat\",\"out\":"     \
    "false}"
#define CELL_B                                                                                     \
    "{\"in\":[1,0],\"op\":[\"conv_1x7_7x1\",\"dil_conv_3x3\"],\"combine\":\"add\",\"out\":true}"
#define BLOCK_0 "{\"stride\":1,\"width\":8,\"cells\":" CELLS_0 "}"
#define BLOCK_1 "{\"stride\":2,\"width\":16,\"cells\":[" CELL_A "," CELL_B "]}"
#define HEAD "{\"format\":1,\"input\":[28,28,1],\"classes\":10,"
#define STEM "\"stem\":{\"width\":8,\"stride\":1},"
#define TAIL ",\"head\":\"gap\"}"
#define SAMPLE HEAD STEM "\"blocks\":[" BLOCK_0 "," BLOCK_1 "]" TAIL

static mn_genotype parse_ok(const char *json)
{
    mn_error err;
    mn_genotype genotype;
    assert_ok(mn_genotype_parse(json, strlen(json), &genotype, &err), &err);
    return genotype;
}

static void test_parse_sample(void **state)
{
    (void)state;
    mn_genotype g = parse_ok(SAMPLE);
    assert_true(mn_shape_equal(g.input, (mn_shape){28, 28, 1}));
    assert_int_equal(g.classes, 10);
    assert_int_equal(g.stem.width, 8);
    assert_int_equal(g.stem.stride, 1);
    assert_int_equal(g.head, MN_HEAD_GAP);
    assert_int_equal(g.block_count, 2);
    assert_int_equal(g.blocks[0].cell_count, 1);
    assert_int_equal(g.blocks[1].stride, 2);
    assert_int_equal(g.blocks[1].width, 16);
    assert_int_equal(g.blocks[1].cell_count, 2);
    const mn_cell *cell = &g.blocks[1].cells[1];
    assert_int_equal(cell->in[0], 1);
    assert_int_equal(cell->in[1], 0);
    assert_int_equal(cell->op[0], MN_OP_FACTORISED_CONV);
    assert_int_equal(cell->op[1], MN_OP_DILATED_CONV);
    assert_int_equal(cell->combine, MN_COMBINE_ADD);
    assert_true(cell->out);
    assert_false(g.blocks[1].cells[0].out);
    mn_genotype zero = {0};
    assert_memory_equal(&g.blocks[2], &zero.blocks[2], sizeof g.blocks[2]);

    mn_genotype no_stem = parse_ok(HEAD "\"blocks\":[" BLOCK_0 "]" TAIL);
    assert_int_equal(no_stem.stem.width, 0);
}

static void test_print_sample(void **state)
{
    (void)state;
    mn_error err;
    char *json = NULL;
    mn_genotype g = parse_ok(SAMPLE);
    assert_ok(mn_genotype_print(&g, 0, &json, &err), &err);
    assert_string_equal(json, SAMPLE);
    free(json);
    g = parse_ok(HEAD "\"blocks\":[" BLOCK_0 "]" TAIL);
    assert_ok(mn_genotype_print(&g, 2, &json, &err), &err);
    assert_string_equal(json,
                        "{\n"
                        "  \"format\": 1,\n"
                        "  \"input\": [28, 28, 1],\n"
                        "  \"classes\": 10,\n"
                        "  \"blocks\": [\n"
                        "    {\"stride\": 1, \"width\": 8, \"cells\": [\n"
                        "      {\"in\": [0, 0], \"op\": [\"conv_3x3\", \"identity\"], "
                        "\"combine\": \"add\", \"out\": true}\n"
                        "    ]}\n"
                        "  ],\n"
                        "  \"head\": \"gap\"\n"
                        "}");
    free(json);
    char *untouched = NULL;
    assert_error(mn_genotype_print(&g, 9, &untouched, &err), MN_ERR_ARG, &err, "indent 9");
    assert_error(mn_genotype_print(&g, -1, &untouched, &err), MN_ERR_ARG, &err, "indent -1");
    g.block_count = 17;
    assert_error(mn_genotype_print(&g, 0, &untouched, &err), MN_ERR_ARG, &err, "block count 17");
    assert_null(untouched);
}

static void test_print_parse_round_trip(void **state)
{
    (void)state;
    mn_error err;
    mn_random random = mn_random_make(1, 0);
    for (int i = 0; i < 2000; i++) {
        mn_genotype g = sample_random(&random, &anything);
        char *json = NULL;
        assert_ok(mn_genotype_print(&g, (int)mn_random_below(&random, 9), &json, &err), &err);
        assert_true(strlen(json) <= MN_GENOTYPE_JSON_BYTES);
        mn_genotype again = parse_ok(json);
        assert_true(mn_genotype_equal(&g, &again));
        free(json);
    }
}

static void test_largest_fits_the_limit(void **state)
{
    (void)state;
    mn_error err;
    mn_genotype g = {.input = {2048, 2048, 256}, .classes = 10000, .stem = {4096, 4}};
    g.block_count = MN_MAX_BLOCKS;
    g.head = MN_HEAD_MAXPOOL2;
    for (uint32_t b = 0; b < MN_MAX_BLOCKS; b++) {
        g.blocks[b].stride = 4;
        g.blocks[b].width = 4096;
    }
    for (uint32_t k = 0; k < MN_MAX_CELLS; k++)
        sample_append(&g, k, MN_OP_MAX_POOL, k, MN_OP_MAX_POOL, MN_COMBINE_CONCAT);
    char *json = NULL;
    assert_ok(mn_genotype_print(&g, 8, &json, &err), &err);
    mn_genotype again = parse_ok(json);
    assert_true(mn_genotype_equal(&g, &again));
    free(json);
}

/* ---- malformed JSON -------------------------------------------------------------------------- */

#define WITH_BLOCKS(blocks) HEAD "\"blocks\":" blocks TAIL
#define WITH_CELLS(cells) WITH_BLOCKS("[{\"stride\":1,\"width\":8,\"cells\":" cells "}]")
#define CELL(in, op, combine, out)                                                                 \
    "{\"in\":" in ",\"op\":" op ",\"combine\":" combine ",\"out\":" out "}"
#define OPS "[\"conv_3x3\",\"conv_3x3\"]"
#define ONE_BLOCK "\"blocks\":[" BLOCK_0 "]"
#define TOP(format, input, classes, stem, head)                                                    \
    "{\"format\":" format ",\"input\":" input ",\"classes\":" classes stem "," ONE_BLOCK           \
    ",\"head\":" head "}"

static const struct {
    const char *json;
    const char *message;
} malformed[] = {
    /* the top */
    {"", "genotype:"},
    {"[]", "genotype: expected an object"},
    {"null", "genotype"},
    {"7", "genotype"},
    {"{}", "genotype: 'format': expected an integer, found nothing"},
    {TOP("2", "[1,1,1]", "1", "", "\"gap\""), "genotype: format 2, expected 1"},
    {TOP("1.0", "[1,1,1]", "1", "", "\"gap\""), "'format': expected an integer"},
    {TOP("\"1\"", "[1,1,1]", "1", "", "\"gap\""), "'format': expected an integer"},
    {TOP("1", "[1,1]", "1", "", "\"gap\""), "'input': 2 elements, expected 3 to 3"},
    {TOP("1", "[1,1,1,1]", "1", "", "\"gap\""), "'input': 4 elements"},
    {TOP("1", "{}", "1", "", "\"gap\""), "'input': expected an array, found an object"},
    {TOP("1", "[0,1,1]", "1", "", "\"gap\""), "input: height 0 out of range [1,2048]"},
    {TOP("1", "[1,2049,1]", "1", "", "\"gap\""), "input: width 2049 out of range [1,2048]"},
    {TOP("1", "[1,1,257]", "1", "", "\"gap\""), "input: channels 257 out of range [1,256]"},
    {TOP("1", "[4294967297,1,1]", "1", "", "\"gap\""), "input: height 4294967297 out of range"},
    {TOP("1", "[1,1.5,1]", "1", "", "\"gap\""), "input: width: expected an integer"},
    {TOP("1", "[1,1,null]", "1", "", "\"gap\""), "input: channels: expected an integer"},
    {TOP("1", "[1,1,1]", "0", "", "\"gap\""), "genotype: classes 0 out of range [1,10000]"},
    {TOP("1", "[1,1,1]", "10001", "", "\"gap\""), "classes 10001 out of range"},
    {TOP("1", "[1,1,1]", "-1", "", "\"gap\""), "classes -1 out of range [1,10000]"},
    {TOP("1", "[1,1,1]", "99999999999999999999", "", "\"gap\""), "too big integer"},
    {TOP("1", "[1,1,1]", "true", "", "\"gap\""), "'classes': expected an integer, found a boolean"},
    {TOP("1", "[1,1,1]", "1", "", "\"softmax\""), "head 'softmax', expected 'gap' or 'maxpool2'"},
    {TOP("1", "[1,1,1]", "1", "", "0"), "'head': expected a string, found an integer"},
    {TOP("1", "[1,1,1]", "1", ",\"x\":1", "\"gap\""), "genotype: unknown key 'x'"},
    {TOP("1", "[1,1,1]", "1", ",\"classes\":1", "\"gap\""), "duplicate object key"},
    {HEAD ONE_BLOCK "}", "'head': expected a string, found nothing"},
    {HEAD ONE_BLOCK TAIL " x", "end of file expected"},
    /* the stem */
    {TOP("1", "[1,1,1]", "1", ",\"stem\":null", "\"gap\""), "stem: expected an object"},
    {TOP("1", "[1,1,1]", "1", ",\"stem\":{}", "\"gap\""), "stem: 'width': expected an integer"},
    {TOP("1", "[1,1,1]", "1", ",\"stem\":{\"width\":0,\"stride\":1}", "\"gap\""),
     "stem: width 0 out of range [1,4096]"},
    {TOP("1", "[1,1,1]", "1", ",\"stem\":{\"width\":1,\"stride\":5}", "\"gap\""),
     "stem: stride 5 out of range [1,4]"},
    {TOP("1", "[1,1,1]", "1", ",\"stem\":{\"width\":1}", "\"gap\""), "stem: 'stride'"},
    {TOP("1", "[1,1,1]", "1", ",\"stem\":{\"width\":1,\"stride\":1,\"k\":3}", "\"gap\""),
     "stem: unknown key 'k'"},
    /* blocks */
    {WITH_BLOCKS("[]"), "'blocks': 0 elements, expected 1 to 16"},
    {WITH_BLOCKS("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"), "'blocks': 17 elements"},
    {WITH_BLOCKS("{}"), "'blocks': expected an array"},
    {WITH_BLOCKS("[" BLOCK_0 ",3]"), "block 1: expected an object, found an integer"},
    {WITH_BLOCKS("[" BLOCK_0 "," BLOCK_1 ",{\"stride\":1,\"width\":100000,\"cells\":" CELLS_0 "}]"),
     "block 2: width 100000 out of range [1,4096]"},
    {WITH_BLOCKS("[{\"stride\":1,\"width\":0,\"cells\":" CELLS_0 "}]"),
     "block 0: width 0 out of range [1,4096]"},
    {WITH_BLOCKS("[{\"stride\":0,\"width\":1,\"cells\":" CELLS_0 "}]"),
     "block 0: stride 0 out of range [1,4]"},
    {WITH_BLOCKS("[{\"stride\":1,\"width\":1,\"cells\":" CELLS_0 ",\"name\":\"\"}]"),
     "block 0: unknown key 'name'"},
    {WITH_BLOCKS("[{\"width\":1,\"cells\":" CELLS_0 "}]"), "block 0: 'stride'"},
    {WITH_BLOCKS("[{\"stride\":1,\"width\":1}]"), "block 0: 'cells': expected an array"},
    {WITH_CELLS("[]"), "block 0: 'cells': 0 elements, expected 1 to 15"},
    {WITH_CELLS("[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]"), "block 0: 'cells': 16 elements"},
    /* cells */
    {WITH_CELLS("[[]]"), "block 0 cell 0: expected an object, found an array"},
    {WITH_CELLS("[{}]"), "block 0 cell 0: 'in': expected an array, found nothing"},
    {WITH_CELLS("[" CELL("[0,1]", OPS, "\"add\"", "true") "]"),
     "block 0 cell 0: input 1 out of range [0,1)"},
    {WITH_CELLS("[" CELL("[0,-1]", OPS, "\"add\"", "true") "]"),
     "block 0 cell 0: input -1 out of range [0,1)"},
    {WITH_CELLS(
         "[" CELL("[0,0]", OPS, "\"add\"", "true") "," CELL("[2,0]", OPS, "\"add\"", "true") "]"),
     "block 0 cell 1: input 2 out of range [0,2)"},
    {WITH_CELLS("[" CELL("[4294967296,0]", OPS, "\"add\"", "true") "]"),
     "input 4294967296 out of range"},
    {WITH_CELLS("[" CELL("[0]", OPS, "\"add\"", "true") "]"), "'in': 1 elements, expected 2 to 2"},
    {WITH_CELLS("[" CELL("[0,0,0]", OPS, "\"add\"", "true") "]"), "'in': 3 elements"},
    {WITH_CELLS("[" CELL("[0,\"0\"]", OPS, "\"add\"", "true") "]"), "'in': expected two integers"},
    {WITH_CELLS("[" CELL("[0,0.0]", OPS, "\"add\"", "true") "]"), "'in': expected two integers"},
    {WITH_CELLS("[" CELL("[0,0]", "[\"conv_3x3\",\"conv_9x9\"]", "\"add\"", "true") "]"),
     "block 0 cell 0: unknown op 'conv_9x9'"},
    {WITH_CELLS("[" CELL("[0,0]", "[\"\",\"conv_3x3\"]", "\"add\"", "true") "]"), "unknown op ''"},
    {WITH_CELLS("[" CELL("[0,0]", "[\"CONV_3X3\",\"conv_3x3\"]", "\"add\"", "true") "]"),
     "unknown op 'CONV_3X3'"},
    {WITH_CELLS("[" CELL("[0,0]", "[\"unknown\",\"conv_3x3\"]", "\"add\"", "true") "]"),
     "unknown op 'unknown'"},
    {WITH_CELLS("[" CELL("[0,0]", "[\"a\\nb\",\"conv_3x3\"]", "\"add\"", "true") "]"),
     "unknown op 'a?b'"},
    {WITH_CELLS("[" CELL("[0,0]", "[\"conv_3x3\\u0000\",\"conv_3x3\"]", "\"add\"", "true") "]"),
     "\\u0000 is not allowed"},
    {WITH_CELLS("[" CELL("[0,0]", "[6,6]", "\"add\"", "true") "]"), "'op': expected two strings"},
    {WITH_CELLS("[" CELL("[0,0]", "[\"conv_3x3\"]", "\"add\"", "true") "]"), "'op': 1 elements"},
    {WITH_CELLS("[" CELL("[0,0]", "\"conv_3x3\"", "\"add\"", "true") "]"),
     "'op': expected an array, found a string"},
    {WITH_CELLS("[" CELL("[0,0]", OPS, "\"mul\"", "true") "]"),
     "block 0 cell 0: combine 'mul', expected 'add' or 'concat'"},
    {WITH_CELLS("[" CELL("[0,0]", OPS, "1", "true") "]"), "'combine': expected a string"},
    {WITH_CELLS("[" CELL("[0,0]", OPS, "\"add\"", "1") "]"),
     "block 0 cell 0: 'out': expected true or false, found an integer"},
    {WITH_CELLS("[" CELL("[0,0]", OPS, "\"add\"", "true,\"out\":true") "]"),
     "duplicate object key"},
    {WITH_CELLS("[" CELL("[0,0]", OPS, "\"add\"", "true,\"skip\":1") "]"),
     "block 0 cell 0: unknown key 'skip'"},
    {WITH_CELLS("[" CELL("[0,0]", OPS, "\"add\"", "false") "]"),
     "block 0 cell 0: its output is neither marked 'out' nor read"},
    {WITH_CELLS(
         "[" CELL("[0,0]", OPS, "\"add\"", "false") "," CELL("[0,0]", OPS, "\"add\"", "true") "]"),
     "block 0 cell 0: its output is neither marked 'out' nor read"},
    {WITH_BLOCKS("[" BLOCK_0 ",{\"stride\":1,\"width\":8,\"cells\":[" CELL_A "," CELL_A "]}]"),
     "block 1 cell 0: its output is neither"},
};

static void test_malformed(void **state)
{
    (void)state;
    mn_error err;
    mn_genotype sentinel = sample_base(1);
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        const char *json = malformed[i].json;
        mn_genotype genotype = sentinel;
        assert_error(mn_genotype_parse(json, strlen(json), &genotype, &err),
                     MN_ERR_FORMAT,
                     &err,
                     malformed[i].message);
        assert_int_equal(err.status, MN_ERR_FORMAT);
        assert_memory_equal(&genotype, &sentinel, sizeof sentinel);
        assert_int_equal(mn_genotype_parse(json, strlen(json), &genotype, NULL), MN_ERR_FORMAT);
    }
}

static void test_truncated(void **state)
{
    (void)state;
    mn_error err;
    mn_genotype genotype;
    for (size_t count = 0; count < strlen(SAMPLE); count++)
        assert_error(mn_genotype_parse(SAMPLE, count, &genotype, &err), MN_ERR_FORMAT, &err, "");
}

/* Any one byte replaced: refused with a message, or a network that passes the check. */
static void test_corrupted(void **state)
{
    (void)state;
    mn_error err;
    mn_random random = mn_random_make(2, 0);
    char json[] = SAMPLE;
    int accepted = 0;
    int refused = 0;
    for (size_t i = 0; i < 20 * strlen(SAMPLE); i++) {
        size_t at = i % strlen(SAMPLE);
        json[at] = (char)mn_random_below(&random, 256);
        mn_genotype genotype;
        mn_status status = mn_genotype_parse(json, strlen(SAMPLE), &genotype, &err);
        if (status == MN_OK) {
            assert_ok(mn_genotype_check(&genotype, &err), &err);
            accepted++;
        } else {
            assert_int_equal(status, MN_ERR_FORMAT);
            refused++;
        }
        json[at] = SAMPLE[at];
    }
    assert_true(accepted > 0 && refused > accepted);
}

static void test_size_limit(void **state)
{
    (void)state;
    mn_error err;
    mn_genotype genotype;
    char *json = malloc(MN_GENOTYPE_JSON_BYTES + 1);
    assert_non_null(json);
    memset(json, ' ', MN_GENOTYPE_JSON_BYTES + 1);
    memcpy(json, SAMPLE, strlen(SAMPLE));
    assert_ok(mn_genotype_parse(json, MN_GENOTYPE_JSON_BYTES, &genotype, &err), &err);
    assert_error(mn_genotype_parse(json, MN_GENOTYPE_JSON_BYTES + 1, &genotype, &err),
                 MN_ERR_LIMIT,
                 &err,
                 "262145 bytes of JSON, expected at most 262144");
    free(json);
}

static void test_deep_nesting(void **state)
{
    (void)state;
    mn_error err;
    mn_genotype genotype;
    const char *openings[] = {"[", "{\"a\":", "{\"blocks\":["};
    for (size_t i = 0; i < sizeof openings / sizeof openings[0]; i++) {
        size_t bytes = strlen(openings[i]);
        size_t count = MN_GENOTYPE_JSON_BYTES / bytes * bytes;
        char *json = malloc(count);
        assert_non_null(json);
        for (size_t at = 0; at < count; at += bytes)
            memcpy(json + at, openings[i], bytes);
        assert_error(
            mn_genotype_parse(json, count, &genotype, &err), MN_ERR_FORMAT, &err, "parsing depth");
        free(json);
    }
}

static void test_load(void **state)
{
    (void)state;
    mn_error err;
    mn_genotype genotype;
    assert_error(mn_genotype_load("/nonexistent/arch.json", &genotype, &err),
                 MN_ERR_IO,
                 &err,
                 "/nonexistent/arch.json");
    char path[] = "/tmp/memnet-genotype-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, SAMPLE, strlen(SAMPLE)), strlen(SAMPLE));
    assert_ok(mn_genotype_load(path, &genotype, &err), &err);
    mn_genotype expected = parse_ok(SAMPLE);
    assert_true(mn_genotype_equal(&genotype, &expected));
    assert_int_equal(ftruncate(fd, 100), 0);
    assert_error(mn_genotype_load(path, &genotype, &err), MN_ERR_FORMAT, &err, path);
    assert_int_equal(ftruncate(fd, MN_GENOTYPE_JSON_BYTES + 1), 0);
    assert_error(mn_genotype_load(path, &genotype, &err), MN_ERR_LIMIT, &err, path);
    close(fd);
    unlink(path);
}

/* Allocations that jansson may still make; negative = any number. */
static int allocations_left = -1;

static void *failing_malloc(size_t bytes)
{
    if (allocations_left == 0)
        return NULL;
    if (allocations_left > 0)
        allocations_left--;
    return malloc(bytes);
}

static void test_parse_out_of_memory(void **state)
{
    (void)state;
    mn_error err;
    mn_genotype genotype;
    json_set_alloc_funcs(failing_malloc, free);
    mn_status status = MN_ERR_NOMEM;
    int failures = 0;
    for (int n = 0; n < 1000 && status != MN_OK; n++) {
        allocations_left = n;
        status = mn_genotype_parse(SAMPLE, strlen(SAMPLE), &genotype, &err);
        failures += status != MN_OK;
    }
    allocations_left = -1;
    json_set_alloc_funcs(malloc, free);
    assert_int_equal(status, MN_OK);
    assert_true(failures > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_sample),
        cmocka_unit_test(test_print_sample),
        cmocka_unit_test(test_print_parse_round_trip),
        cmocka_unit_test(test_largest_fits_the_limit),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_corrupted),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_deep_nesting),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_parse_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Layer maps as JSON. How moves build them: test_moves.c. */
#include "test.h"

#include "genotype_samples.h"
#include "space/layer_map.h"

static void test_print(void **state)
{
    (void)state;
    mn_error err;
    char *json = NULL;
    uint32_t parent[] = {0, 1, MN_NONE, 737};
    mn_layer_map map = {.count = 4, .parent = parent};
    assert_ok(mn_layer_map_print(&map, &json, &err), &err);
    assert_string_equal(json, "[0,1,null,737]");
    free(json);
    mn_layer_map none = {0};
    assert_ok(mn_layer_map_print(&none, &json, &err), &err);
    assert_string_equal(json, "[]");
    free(json);
}

static void test_round_trip(void **state)
{
    (void)state;
    mn_error err;
    mn_random random = mn_random_make(5, 0);
    for (int i = 0; i < 300; i++) {
        uint32_t parent[738];
        mn_layer_map map = {.count = mn_random_below(&random, 739), .parent = parent};
        for (uint32_t k = 0; k < map.count; k++)
            parent[k] = mn_random_below(&random, 4) == 0 ? MN_NONE : mn_random_below(&random, 738);
        char *json = NULL;
        mn_layer_map again = {0};
        assert_ok(mn_layer_map_print(&map, &json, &err), &err);
        assert_ok(mn_layer_map_parse(json, strlen(json), &again, &err), &err);
        assert_int_equal(again.count, map.count);
        assert_memory_equal(again.parent, map.parent, map.count * sizeof parent[0]);
        free(json);
        mn_layer_map_done(&again);
        assert_null(again.parent);
        assert_int_equal(again.count, 0);
        mn_layer_map_done(&again);
    }
}

static void test_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *message;
    } cases[] = {
        {"", "layer map:"},
        {"{}", "layer map: expected an array"},
        {"null", "layer map"},
        {"[0,1", "layer map:1:"},
        {"[0,1]]", "end of file expected"},
        {"[0,1.0]", "element 1: expected an integer or null"},
        {"[\"0\"]", "element 0: expected an integer or null"},
        {"[[0]]", "element 0: expected an integer or null"},
        {"[0,-1]", "element 1: layer -1 out of range [0,738)"},
        {"[738]", "element 0: layer 738 out of range [0,738)"},
        {"[4294967295]", "element 0: layer 4294967295 out of range"},
        {"[4294967296]", "element 0: layer 4294967296 out of range"},
        {"[99999999999999999999]", "too big integer"},
    };
    mn_error err;
    uint32_t parent[] = {7};
    mn_layer_map map = {.count = 1, .parent = parent};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_error(mn_layer_map_parse(cases[i].json, strlen(cases[i].json), &map, &err),
                     MN_ERR_FORMAT,
                     &err,
                     cases[i].message);
        assert_ptr_equal(map.parent, parent);
        assert_int_equal(map.count, 1);
    }
}

static void test_too_long(void **state)
{
    (void)state;
    mn_error err;
    mn_layer_map map = {0};
    char json[16 * 738 + 1];
    memset(json, ' ', sizeof json);
    assert_error(
        mn_layer_map_parse(json, sizeof json, &map, &err), MN_ERR_LIMIT, &err, "layer map: 11809");
    for (size_t i = 0; i < 739; i++)
        memcpy(json + 2 * i, i == 0 ? "[0" : ",0", 2);
    json[2 * 739] = ']';
    assert_error(mn_layer_map_parse(json, sizeof json - 1, &map, &err),
                 MN_ERR_FORMAT,
                 &err,
                 "at most 738 layers");
}

/* The number that the parser allows is the layer count of the largest genotype. */
static void test_largest_genotype(void **state)
{
    (void)state;
    mn_error err;
    mn_genotype g = sample_frame();
    g.block_count = MN_MAX_BLOCKS;
    for (uint32_t k = 0; k < MN_MAX_CELLS; k++)
        sample_append(&g, 0, MN_OP_CONV_3X3, 0, MN_OP_CONV_3X3, MN_COMBINE_ADD);
    assert_int_equal(mn_genotype_layer_count(&g), 738);
    mn_layer_map map = {0};
    mn_layer_map again = {0};
    char *json = NULL;
    assert_ok(mn__layer_map_build(&g, &g, NULL, &map, &err), &err);
    assert_int_equal(map.count, 738);
    for (uint32_t layer = 0; layer < map.count; layer++)
        assert_int_equal(map.parent[layer], layer);
    assert_ok(mn_layer_map_print(&map, &json, &err), &err);
    assert_ok(mn_layer_map_parse(json, strlen(json), &again, &err), &err);
    mn_layer_map_done(&map);
    mn_layer_map_done(&again);
    free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_largest_genotype),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

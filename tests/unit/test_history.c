/* Histories of trainings: saved, cut to the epochs of a checkpoint, refused when damaged. */
#include "temporary.h"

#include "search/history.h"

static void fill(mn__history *history, uint32_t epochs)
{
    mn_error err;
    assert_ok(mn__history_init(history, &err), &err);
    assert_int_equal(mn__history_ms(history), 0);
    for (uint32_t i = 0; i < epochs; i++) {
        double loss = 1.0 / (i + 3);
        assert_ok(mn__history_add(history, loss, 10.0 * i, 100 * (i + 1), &err), &err);
    }
}

static void test_comes_back_shortened(void **state)
{
    mn_error err;
    mn__history whole = {0};
    char *checkpoint = mn_path_join(*state, "w.checkpoint");
    fill(&whole, 5);
    assert_ok(mn__history_save(&whole, checkpoint, &err), &err);
    for (uint32_t epochs = 1; epochs <= 5; epochs++) {
        mn__history expected = {0};
        mn__history loaded = {0};
        fill(&expected, epochs);
        assert_true(mn__history_load(&loaded, checkpoint, epochs));
        assert_true(json_equal(loaded.points, expected.points));
        assert_int_equal(mn__history_ms(&loaded), 100 * epochs);
        char *a = mn__history_curve(&loaded);
        char *b = mn__history_curve(&expected);
        assert_string_equal(a, b);
        free(a);
        free(b);
        mn__history_done(&loaded);
        mn__history_done(&expected);
    }
    mn__history none = {0};
    assert_false(mn__history_load(&none, checkpoint, 6));
    assert_null(none.points);
    mn__history_done(&whole);
    free(checkpoint);
}

static void test_damaged_files(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"points\":[[1,0.5,2.0]]}",
        "{\"points\":[[1,0.5,2.0]],\"times\":[]}",
        "{\"points\":[[1,0.5,2.0]],\"times\":[-1]}",
        "{\"points\":[[1,0.5,2.0]],\"times\":[1.5]}",
        "{\"points\":[[2,0.5,2.0]],\"times\":[1]}",
        "{\"points\":[[1,0.5]],\"times\":[1]}",
        "{\"points\":[[1,\"a\",2.0]],\"times\":[1]}",
        "{\"points\":[5],\"times\":[1]}",
        "{\"points\":{\"0\":1},\"times\":[1]}",
    };
    static const char good[] = "{\"points\":[[1,0.5,2.0]],\"times\":[1]}";
    mn_error err;
    mn__history history = {0};
    char *checkpoint = mn_path_join(*state, "w.checkpoint");
    char *path = mn_path_join(*state, "w.checkpoint.history");
    assert_false(mn__history_load(&history, checkpoint, 1)); /* no file */
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_ok(mn_file_write(path, texts[i], strlen(texts[i]), &err), &err);
        assert_false(mn__history_load(&history, checkpoint, 1));
        assert_true(history.points == NULL && history.times == NULL);
    }
    assert_ok(mn_file_write(path, good, strlen(good), &err), &err);
    assert_true(mn__history_load(&history, checkpoint, 1));
    mn__history_done(&history);
    for (size_t cut = 0; cut < strlen(good); cut++) {
        assert_ok(mn_file_write(path, good, cut, &err), &err);
        assert_false(mn__history_load(&history, checkpoint, 1));
    }
    free(path);
    free(checkpoint);
}

static void test_only_numbers(void **state)
{
    (void)state;
    mn_error err;
    mn__history history = {0};
    fill(&history, 1);
    assert_error(mn__history_add(&history, 0.0 / 0.0, 1.0, 1, &err), MN_ERR_LIMIT, &err, "epoch 2");
    assert_error(mn__history_add(&history, 1.0, 1.0 / 0.0, 1, &err), MN_ERR_LIMIT, &err, "epoch 2");
    assert_int_equal(json_array_size(history.points), 1);
    assert_int_equal(json_array_size(history.times), 1);
    mn__history_done(&history);
    mn__history_done(&history);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temporary_setup, temporary_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_comes_back_shortened),
        TEST(test_damaged_files),
        TEST(test_only_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

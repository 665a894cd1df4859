/* Model files: every field comes back to the bit, and every way in which a key can be wrong. */
#include "test.h"

#include <float.h>
#include <math.h>

#include "alloc_failure.h"
#include "base/random.h"
#include "base/size.h"
#include "graph/model.h"
#include "graph/safetensors.h"
#include "temporary.h"
#include "tensors_check.h"

static mn_model *new_model(void)
{
    static const char *const names[] = {"T-shirt/top", "", "\"quoted\\\"", "caf\xc3\xa9"};
    mn_model *model = mn_calloc(1, sizeof *model);
    assert_non_null(model);
    model->architecture = strdup("{\"format\": 1, \"name\": \"\xce\xbb\"}");
    model->preprocessing = (mn_preprocessing){128, 1.0f / 64};
    model->class_names = mn_calloc(4, sizeof *model->class_names);
    for (uint32_t i = 0; i < 4; i++)
        model->class_names[i] = strdup(names[i]);
    model->class_count = 4;
    model->split_seed = UINT64_MAX;
    model->split_fraction = 0.1;
    strcpy(model->data_hash, "0123456789abcdef");
    assert_int_equal(mn_tensors_create(&model->tensors, NULL), MN_OK);
    mn_tensor *made = NULL;
    assert_int_equal(
        mn_tensors_add(model->tensors, "w", MN_F32, 2, (uint32_t[]){2, 3}, &made, NULL), MN_OK);
    for (int i = 0; i < 6; i++)
        ((float *)made->data)[i] = 1.0f / (float)(i + 3);
    assert_int_equal(mn_tensors_add(model->tensors, "q", MN_I8, 1, (uint32_t[]){3}, &made, NULL),
                     MN_OK);
    return model;
}

static void assert_models_equal(const mn_model *a, const mn_model *b)
{
    assert_string_equal(a->architecture, b->architecture);
    assert_memory_equal(&a->preprocessing, &b->preprocessing, sizeof a->preprocessing);
    assert_int_equal(a->class_count, b->class_count);
    for (uint32_t i = 0; i < a->class_count; i++)
        assert_string_equal(a->class_names[i], b->class_names[i]);
    assert_true(a->split_seed == b->split_seed);
    assert_memory_equal(&a->split_fraction, &b->split_fraction, sizeof a->split_fraction);
    assert_string_equal(a->data_hash, b->data_hash);
    assert_int_equal(a->is_int8, b->is_int8);
    assert_tensors_equal(a->tensors, b->tensors);
}

static void assert_round_trip(const mn_model *model)
{
    char *bytes = NULL;
    size_t count = 0;
    mn_model *back = NULL;
    mn_error err;
    assert_ok(mn_model_serialise(model, &bytes, &count, &err), &err);
    assert_ok(mn_model_parse("model", bytes, count, &back, &err), &err);
    assert_models_equal(model, back);
    mn_model_free(back);
    free(bytes);
}

static float random_finite_float(mn_random *random)
{
    float value = NAN;
    while (!isfinite(value)) {
        uint32_t bits = (uint32_t)mn_random_next(random);
        memcpy(&value, &bits, sizeof value);
    }
    return value;
}

static void test_numbers_to_the_bit(void **state)
{
    (void)state;
    static const float means[] = {0.0f, -0.0f, 128, FLT_MAX, -FLT_MAX, FLT_MIN, FLT_TRUE_MIN, 0.1f};
    static const float scales[] = {FLT_TRUE_MIN, FLT_MIN, FLT_MAX, 1.0f / 255, 1, 0.1f, 3e-39f, 16};
    static const double fractions[] = {0, DBL_TRUE_MIN, 0.1, 1.0 / 3, 0x1.fffffffffffffp-1};
    static const uint64_t seeds[] = {
        0, 1, UINT64_MAX, UINT64_C(1) << 63, (UINT64_C(1) << 53) + 1, UINT64_MAX - 1};
    mn_model *model = new_model();
    for (int i = 0; i < 8; i++) {
        model->preprocessing = (mn_preprocessing){means[i], scales[i]};
        model->split_fraction = fractions[i % 5];
        model->split_seed = seeds[i % 6];
        assert_round_trip(model);
    }
    mn_random random = mn_random_make(3, 0);
    for (int i = 0; i < 2000; i++) {
        float scale = fabsf(random_finite_float(&random));
        model->preprocessing =
            (mn_preprocessing){random_finite_float(&random), scale > 0 ? scale : 1};
        model->split_fraction = (double)(mn_random_next(&random) >> 11) * 0x1p-53;
        model->split_seed = mn_random_next(&random);
        assert_round_trip(model);
    }
    mn_model_free(model);
}

static void test_unknown_data(void **state)
{
    (void)state;
    mn_model *model = new_model();
    model->data_hash[0] = '\0';
    assert_round_trip(model);
    mn_model_free(model);
    mn_model_free(NULL);
}

static void test_metadata_text(void **state)
{
    (void)state;
    mn_model *model = new_model();
    mn_metadata metadata;
    mn_error err;
    mn_metadata_init(&metadata);
    assert_ok(mn_model_describe(model, &metadata, &err), &err);
    assert_int_equal(metadata.count, 6);
    assert_string_equal(mn_metadata_get(&metadata, "format_version"), "1");
    assert_string_equal(mn_metadata_get(&metadata, "architecture"), model->architecture);
    assert_string_equal(mn_metadata_get(&metadata, "preprocessing"),
                        "{\"mean\":128.0,\"scale\":0.015625}");
    assert_string_equal(mn_metadata_get(&metadata, "class_names"),
                        "[\"T-shirt/top\",\"\",\"\\\"quoted\\\\\\\"\",\"caf\xc3\xa9\"]");
    assert_string_equal(mn_metadata_get(&metadata, "split"),
                        "{\"seed\":\"18446744073709551615\",\"fraction\":0.10000000000000001}");
    assert_string_equal(mn_metadata_get(&metadata, "data_hash"), "0123456789abcdef");
    mn_metadata_done(&metadata);
    mn_model_free(model);
}

/* The bytes of the sample model with `key` set to `value`, or without it when that is NULL; a key
 * that models do not have is added. Freed by the caller. */
static char *new_altered(const char *key, const char *value, size_t *ret_count)
{
    mn_model *model = new_model();
    mn_metadata metadata;
    mn_metadata altered;
    char *bytes = NULL;
    mn_error err;
    mn_metadata_init(&metadata);
    mn_metadata_init(&altered);
    assert_ok(mn_model_describe(model, &metadata, &err), &err);
    for (uint32_t i = 0; i < metadata.count; i++) {
        if (strcmp(metadata.keys[i], key) != 0)
            assert_ok(mn_metadata_add(&altered, metadata.keys[i], metadata.values[i], &err), &err);
    }
    if (value != NULL)
        assert_ok(mn_metadata_add(&altered, key, value, &err), &err);
    assert_ok(mn_safetensors_serialise(model->tensors, &altered, &bytes, ret_count, &err), &err);
    mn_metadata_done(&altered);
    mn_metadata_done(&metadata);
    mn_model_free(model);
    return bytes;
}

static const struct {
    const char *key;
    const char *value;
    mn_status status;
    const char *message;
} malformed[] = {
    {"format_version", NULL, MN_ERR_FORMAT, "model: metadata 'format_version' is missing"},
    {"format_version", "", MN_ERR_FORMAT, "format_version '', expected 1"},
    {"format_version", "one", MN_ERR_FORMAT, "format_version 'one', expected 1"},
    {"format_version", "1.5", MN_ERR_FORMAT, "format_version '1.5', expected 1"},
    {"format_version", "0", MN_ERR_FORMAT, "format_version '0', expected 1"},
    {"format_version", "2", MN_ERR_UNSUPPORTED, "model: format_version 2, expected 1"},
    {"architecture", NULL, MN_ERR_FORMAT, "metadata 'architecture' is missing"},
    {"architecture", "", MN_ERR_FORMAT, "architecture: empty"},
    {"preprocessing", NULL, MN_ERR_FORMAT, "metadata 'preprocessing' is missing"},
    {"preprocessing", "", MN_ERR_FORMAT, "model: preprocessing:1:0:"},
    {"preprocessing", "[]", MN_ERR_FORMAT, "preprocessing: expected an object"},
    {"preprocessing", "{\"mean\":1}", MN_ERR_FORMAT, "'scale': expected a number"},
    {"preprocessing", "{\"scale\":1}", MN_ERR_FORMAT, "'mean': expected a number"},
    {"preprocessing", "{\"mean\":\"1\",\"scale\":1}", MN_ERR_FORMAT, "'mean': expected a number"},
    {"preprocessing", "{\"mean\":1,\"scale\":1,\"x\":1}", MN_ERR_FORMAT, "unknown key 'x'"},
    {"preprocessing", "{\"mean\":1,\"scale\":0}", MN_ERR_FORMAT, "scale 0, expected a finite"},
    {"preprocessing", "{\"mean\":1,\"scale\":-1}", MN_ERR_FORMAT, "scale -1, expected a finite"},
    {"preprocessing", "{\"mean\":1,\"scale\":1e-60}", MN_ERR_FORMAT, "scale 0, expected a finite"},
    {"preprocessing", "{\"mean\":1,\"scale\":1e60}", MN_ERR_FORMAT, "scale inf, expected a finite"},
    {"preprocessing", "{\"mean\":-1e60,\"scale\":1}", MN_ERR_FORMAT, "mean -inf, expected a"},
    {"preprocessing", "{\"mean\":1e999,\"scale\":1}", MN_ERR_FORMAT, "preprocessing:1:"},
    {"class_names", NULL, MN_ERR_FORMAT, "metadata 'class_names' is missing"},
    {"class_names", "x", MN_ERR_FORMAT, "class_names:1:"},
    {"class_names", "{}", MN_ERR_FORMAT, "class_names: expected an array of at least one"},
    {"class_names", "[]", MN_ERR_FORMAT, "class_names: expected an array of at least one"},
    {"class_names", "[\"a\",1]", MN_ERR_FORMAT, "class_names[1]: expected a string"},
    {"class_names", "[\"a\",null]", MN_ERR_FORMAT, "class_names[1]: expected a string"},
    {"split", NULL, MN_ERR_FORMAT, "metadata 'split' is missing"},
    {"split", "1 2", MN_ERR_FORMAT, "split:1:"},
    {"split", "[1]", MN_ERR_FORMAT, "split: expected an object"},
    {"split", "{\"fraction\":0.1}", MN_ERR_FORMAT, "'seed': expected a string, found nothing"},
    {"split", "{\"seed\":1,\"fraction\":0.1}", MN_ERR_FORMAT, "'seed': expected a string"},
    {"split", "{\"seed\":\"\",\"fraction\":0.1}", MN_ERR_FORMAT, "seed '', expected a decimal"},
    {"split", "{\"seed\":\"-1\",\"fraction\":0.1}", MN_ERR_FORMAT, "seed '-1', expected"},
    {"split", "{\"seed\":\" 1\",\"fraction\":0.1}", MN_ERR_FORMAT, "seed ' 1', expected"},
    {"split", "{\"seed\":\"0x1\",\"fraction\":0.1}", MN_ERR_FORMAT, "seed '0x1', expected"},
    {"split",
     "{\"seed\":\"18446744073709551616\",\"fraction\":0.1}",
     MN_ERR_FORMAT,
     "seed '18446744073709551616', expected"},
    {"split", "{\"seed\":\"000000000000000000001\",\"fraction\":0}", MN_ERR_FORMAT, "expected"},
    {"split", "{\"seed\":\"1\"}", MN_ERR_FORMAT, "'fraction': expected a number"},
    {"split", "{\"seed\":\"1\",\"fraction\":1}", MN_ERR_FORMAT, "fraction 1 out of range [0, 1)"},
    {"split", "{\"seed\":\"1\",\"fraction\":-0.1}", MN_ERR_FORMAT, "fraction -0.1 out of range"},
    {"split", "{\"seed\":\"1\",\"fraction\":0,\"x\":0}", MN_ERR_FORMAT, "unknown key 'x'"},
    {"data_hash", NULL, MN_ERR_FORMAT, "metadata 'data_hash' is missing"},
    {"data_hash", "0123456789abcde", MN_ERR_FORMAT, "data_hash '0123456789abcde', expected 16"},
    {"data_hash", "0123456789abcdef0", MN_ERR_FORMAT, "data_hash '0123456789abcdef0'"},
    {"data_hash", "0123456789abcdeF", MN_ERR_FORMAT, "data_hash '0123456789abcdeF'"},
};

static void test_malformed_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        size_t count = 0;
        char *bytes = new_altered(malformed[i].key, malformed[i].value, &count);
        mn_model *model = NULL;
        mn_error err;
        assert_error(mn_model_parse("model", bytes, count, &model, &err),
                     malformed[i].status,
                     &err,
                     malformed[i].message);
        assert_int_equal(strncmp(err.message, "model: ", 7), 0);
        assert_null(model);
        free(bytes);
    }
}

/* A checkpoint is a model file with more in it; integers are numbers, too. */
static void test_extra_keys(void **state)
{
    (void)state;
    size_t count = 0;
    mn_model *expected = new_model();
    mn_model *model = NULL;
    mn_error err;
    char *bytes = new_altered("epoch", "17", &count);
    assert_ok(mn_model_parse("model", bytes, count, &model, &err), &err);
    assert_models_equal(expected, model);
    mn_model_free(model);
    free(bytes);
    bytes = new_altered("preprocessing", " {\"scale\": 2, \"mean\": 128} ", &count);
    assert_ok(mn_model_parse("model", bytes, count, &model, &err), &err);
    assert_true(model->preprocessing.mean == 128.0f && model->preprocessing.scale == 2.0f);
    mn_model_free(model);
    free(bytes);
    mn_model_free(expected);
}

/* Written for int8 alone: files of float32 models stay as they were. */
static void test_precision(void **state)
{
    (void)state;
    mn_model *model = new_model();
    mn_model *read = NULL;
    mn_metadata metadata;
    mn_error err;
    size_t count = 0;
    mn_metadata_init(&metadata);
    assert_ok(mn_model_describe(model, &metadata, &err), &err);
    assert_null(mn_metadata_get(&metadata, "precision"));
    mn_metadata_done(&metadata);
    model->is_int8 = true;
    assert_round_trip(model);
    mn_model_free(model);
    char *bytes = new_altered("precision", "float32", &count);
    assert_ok(mn_model_parse("model", bytes, count, &read, &err), &err);
    assert_false(read->is_int8);
    mn_model_free(read);
    free(bytes);
    read = NULL;
    bytes = new_altered("precision", "int4", &count);
    assert_error(mn_model_parse("model", bytes, count, &read, &err),
                 MN_ERR_UNSUPPORTED,
                 &err,
                 "precision 'int4'");
    assert_null(read);
    free(bytes);
}

static void test_not_a_model(void **state)
{
    (void)state;
    mn_model *sample = new_model();
    mn_model *model = NULL;
    char *bytes = NULL;
    size_t count = 0;
    mn_error err;
    assert_ok(mn_safetensors_serialise(sample->tensors, NULL, &bytes, &count, &err), &err);
    assert_error(mn_model_parse("model", bytes, count, &model, &err),
                 MN_ERR_FORMAT,
                 &err,
                 "model: metadata 'format_version' is missing: no model file?");
    assert_error(mn_model_parse("model", bytes, 5, &model, &err),
                 MN_ERR_FORMAT,
                 &err,
                 "model: 5 bytes, expected at least 8");
    assert_null(model);
    free(bytes);
    mn_model_free(sample);
}

static void expect_unsaved(const mn_model *model, const char *path, const char *message)
{
    mn_error err;
    assert_error(mn_model_save(model, path, &err), MN_ERR_ARG, &err, message);
    assert_int_equal(strncmp(err.message, path, strlen(path)), 0);
    assert_false(mn_path_exists(path));
}

static void test_save_refuses(void **state)
{
    char *path = mn_path_join(*state, "m.safetensors");
    mn_model *model = new_model();
    const mn_model good = *model;
    char empty[] = "";
    model->preprocessing.scale = 0;
    expect_unsaved(model, path, "preprocessing: scale 0");
    model->preprocessing.scale = INFINITY;
    expect_unsaved(model, path, "preprocessing: scale inf");
    model->preprocessing = (mn_preprocessing){NAN, 1};
    expect_unsaved(model, path, "preprocessing: mean");
    *model = good;
    model->split_fraction = 1;
    expect_unsaved(model, path, "split: fraction 1 out of range");
    model->split_fraction = (double)NAN;
    expect_unsaved(model, path, "split: fraction");
    *model = good;
    model->architecture = empty;
    expect_unsaved(model, path, "architecture: empty");
    model->architecture = NULL;
    expect_unsaved(model, path, "architecture: empty");
    *model = good;
    model->class_count = 0;
    expect_unsaved(model, path, "class_names: empty");
    *model = good;
    model->tensors = NULL;
    expect_unsaved(model, path, "tensors: none");
    *model = good;
    model->data_hash[15] = '\0';
    expect_unsaved(model, path, "data_hash: expected 16 hex digits");
    memset(model->data_hash, 'a', sizeof model->data_hash);
    expect_unsaved(model, path, "data_hash: expected 16 hex digits");
    *model = good;
    strcpy(model->class_names[0], "\xe9t\xe9");
    expect_unsaved(model, path, "class_names: name 0 is not UTF-8");
    strcpy(model->class_names[0], "a");
    strcpy(model->architecture, "\xff");
    expect_unsaved(model, path, "metadata 'architecture': its value is not UTF-8");
    mn_model_free(model);
    free(path);
}

static void test_save_and_load(void **state)
{
    char *path = mn_path_join(*state, "m.safetensors");
    mn_model *model = new_model();
    mn_model *back = NULL;
    mn_error err;
    assert_error(mn_model_load(path, &back, &err), MN_ERR_IO, &err, path);
    assert_ok(mn_model_save(model, path, &err), &err);
    assert_ok(mn_model_load(path, &back, &err), &err);
    assert_models_equal(model, back);
    mn_model_free(back);
    mn_model_free(model);
    free(path);
}

static void test_full_disk(void **state)
{
    char *path = mn_path_join(*state, "m.safetensors");
    mn_model *old = new_model();
    mn_model *larger = new_model();
    mn_model *back = NULL;
    mn_error err;
    assert_ok(mn_tensors_add(larger->tensors, "x", MN_F32, 1, (uint32_t[]){50000}, NULL, &err),
              &err);
    assert_ok(mn_model_save(old, path, &err), &err);
    file_limit_set(100000);
    mn_status status = mn_model_save(larger, path, &err);
    file_limit_lift();
    assert_int_equal(status, MN_ERR_IO);
    assert_non_null(strstr(err.message, "m.safetensors: File too large"));
    assert_null(strchr(err.message, '\n'));
    assert_int_equal(count_files(*state), 1); /* no temporary is left */
    assert_ok(mn_model_load(path, &back, &err), &err);
    assert_models_equal(old, back);
    assert_ok(mn_model_save(larger, path, &err), &err);
    mn_model_free(back);
    mn_model_free(larger);
    mn_model_free(old);
    free(path);
}

static void try_parse(const char *bytes, size_t count, uint32_t *accepted)
{
    mn_model *model = NULL;
    mn_error err = {MN_OK, ""};
    char *exact = malloc(count == 0 ? 1 : count);
    assert_non_null(exact);
    memcpy(exact, bytes, count);
    mn_status status = mn_model_parse("model", exact, count, &model, &err);
    free(exact);
    if (status == MN_OK) {
        assert_round_trip(model);
        mn_model_free(model);
        (*accepted)++;
        return;
    }
    assert_int_equal(status, err.status);
    assert_int_equal(strncmp(err.message, "model: ", 7), 0);
    assert_null(model);
}

/* A damaged file is either refused or read as another sound model; the sanitizers watch. */
static void test_every_bit_and_every_cut(void **state)
{
    (void)state;
    mn_model *model = new_model();
    char *bytes = NULL;
    size_t count = 0;
    mn_error err;
    uint32_t accepted = 0;
    assert_ok(mn_model_serialise(model, &bytes, &count, &err), &err);
    for (size_t cut = 0; cut < count; cut++)
        try_parse(bytes, cut, &accepted);
    assert_int_equal(accepted, 0);
    for (size_t bit = 0; bit < count * 8; bit++) {
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
        try_parse(bytes, count, &accepted);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
    }
    assert_true(accepted > 8 * 27); /* at least all of the data, which may hold anything */
    free(bytes);
    mn_model_free(model);
}

/* Every allocation fails once; nothing leaks and nothing is given out. */
static void test_out_of_memory(void **state)
{
    (void)state;
    mn_model *model = new_model();
    mn_model *back = NULL;
    char *bytes = NULL;
    size_t count = 0;
    size_t n = 0;
    mn_status status;
    do {
        assert_null(bytes);
        alloc_fail_at(++n);
        status = mn_model_serialise(model, &bytes, &count, NULL);
    } while (alloc_has_failed() && status == MN_ERR_NOMEM);
    assert_int_equal(status, MN_OK);
    assert_true(n > 16);
    n = 0;
    do {
        assert_null(back);
        alloc_fail_at(++n);
        status = mn_model_parse("model", bytes, count, &back, NULL);
    } while (alloc_has_failed() && status == MN_ERR_NOMEM);
    assert_int_equal(status, MN_OK);
    assert_true(n > 20);
    assert_models_equal(model, back);
    mn_model_free(back);
    free(bytes);
    mn_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_to_the_bit),
        cmocka_unit_test(test_unknown_data),
        cmocka_unit_test(test_metadata_text),
        cmocka_unit_test(test_malformed_keys),
        cmocka_unit_test(test_extra_keys),
        cmocka_unit_test(test_precision),
        cmocka_unit_test(test_not_a_model),
        cmocka_unit_test(test_every_bit_and_every_cut),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test_setup_teardown(test_save_refuses, temporary_setup, temporary_teardown),
        cmocka_unit_test_setup_teardown(test_save_and_load, temporary_setup, temporary_teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, temporary_setup, temporary_teardown),
    };
    return cmocka_run_group_tests(tests, alloc_failure_setup, NULL);
}

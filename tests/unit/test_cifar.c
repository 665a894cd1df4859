/* CIFAR-10's binary version: planar to channels last, labels, names, missing and broken files. */
#include "test.h"

#include "base/file.h"
#include "data/parse.h"
#include "data_files.h"
#include "memnet/dataset.h"

static const data_toy toy = {
    .train_count = 15, .test_count = 3, .classes = 10, .h = 32, .w = 32, .c = 3, .seed = 3};

static void test_unpack_is_channels_last(void **state)
{
    (void)state;
    unsigned char *bytes = calloc(2, MN__CIFAR_RECORD);
    uint8_t *pixels = calloc(2, MN__CIFAR_PIXELS);
    uint16_t labels[2];
    uint32_t records = 0;
    mn_error err;
    for (size_t i = 0; i < 2 * MN__CIFAR_RECORD; i++)
        bytes[i] = (unsigned char)(i * 31 >> 3);
    bytes[0] = 4;
    bytes[MN__CIFAR_RECORD] = 9;
    assert_ok(mn__cifar_check("x", bytes, 2 * MN__CIFAR_RECORD, &records, &err), &err);
    assert_int_equal(records, 2);
    mn__cifar_unpack(bytes, records, pixels, labels);
    assert_int_equal(labels[0], 4);
    assert_int_equal(labels[1], 9);
    for (size_t i = 0; i < 2; i++)
        for (size_t y = 0; y < 32; y++)
            for (size_t x = 0; x < 32; x++)
                for (size_t c = 0; c < 3; c++)
                    assert_int_equal(pixels[((i * 32 + y) * 32 + x) * 3 + c],
                                     bytes[i * 3073 + 1 + c * 1024 + y * 32 + x]);
    free(pixels);
    free(bytes);
}

static void test_malformed(void **state)
{
    (void)state;
    unsigned char *bytes = calloc(20, MN__CIFAR_RECORD);
    uint32_t records = 77;
    mn_error err;
    const size_t sizes[] = {0, 1, 3072, 3074, 2 * 3073 - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_error(mn__cifar_check("x", bytes, sizes[i], &records, &err),
                     MN_ERR_FORMAT,
                     &err,
                     "bytes, expected whole records of 3073 bytes");
    bytes[17 * MN__CIFAR_RECORD] = 12;
    assert_error(mn__cifar_check("data_batch_3.bin", bytes, 20 * 3073, &records, &err),
                 MN_ERR_FORMAT,
                 &err,
                 "data_batch_3.bin: record 17: label 12 out of range [0,10)");
    assert_int_equal(records, 77);
    free(bytes);
}

static char *make_set(void)
{
    char *folder = data_folder_make();
    data_toy_write_cifar(folder, &toy);
    return folder;
}

static void expect_error(const char *folder, mn_status status, const char *message)
{
    mn_error err;
    mn_dataset *dataset = NULL;
    char *spec = data_spec_make("cifar10:", folder);
    assert_error(mn_dataset_open(spec, &dataset, &err), status, &err, message);
    assert_null(dataset);
    free(spec);
}

static void test_open(void **state)
{
    (void)state;
    static const char names[] = "airplane\nautomobile\r\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\n"
                                "truck\n\n";
    char *folder = make_set();
    char *spec = data_spec_make("cifar10:", folder);
    uint8_t *train = data_toy_pixels(&toy, false);
    uint8_t *test = data_toy_pixels(&toy, true);
    mn_dataset *dataset = NULL;
    mn_error err;
    assert_ok(mn_dataset_open(spec, &dataset, &err), &err);
    assert_int_equal(dataset->train.count, 15);
    assert_int_equal(dataset->test.count, 3);
    assert_int_equal(dataset->class_count, 10);
    assert_string_equal(dataset->class_names[9], "9");
    assert_memory_equal(dataset->train.pixels, train, 15 * 3072);
    assert_memory_equal(dataset->test.pixels, test, 3 * 3072);
    for (uint32_t i = 0; i < 15; i++)
        assert_int_equal(dataset->train.labels[i], i % 10);
    char hash[17];
    memcpy(hash, dataset->hash, sizeof hash);
    mn_dataset_free(dataset);

    data_file_write(folder, "batches.meta.txt", names, sizeof names - 1);
    assert_ok(mn_dataset_open(spec, &dataset, &err), &err);
    assert_string_equal(dataset->class_names[0], "airplane");
    assert_string_equal(dataset->class_names[1], "automobile");
    assert_string_equal(dataset->class_names[9], "truck");
    assert_string_equal(dataset->hash, hash);
    mn_dataset_free(dataset);

    data_file_write(folder, "batches.meta.txt", "a\nb\n", 4);
    expect_error(folder, MN_ERR_FORMAT, "batches.meta.txt: 2 class names, expected 10");
    data_file_write(folder, "batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n", 22);
    expect_error(folder, MN_ERR_FORMAT, "batches.meta.txt: 11 class names, expected 10");
    data_file_write(folder, "batches.meta.txt", "a\nb\nc\ncaf\xe9\ne\nf\ng\nh\ni\nj\n", 23);
    expect_error(folder, MN_ERR_FORMAT, "batches.meta.txt: class name 3 is not UTF-8");
    free(test);
    free(train);
    free(spec);
    data_folder_remove(folder);
}

static void test_broken_sets(void **state)
{
    (void)state;
    static const char *const names[] = {
        "data_batch_1.bin", "data_batch_3.bin", "data_batch_5.bin", "test_batch.bin"};
    for (size_t i = 0; i < 4; i++) {
        char *folder = make_set();
        char *path = mn_path_join(folder, names[i]);
        data_file_write(folder, names[i], "abc", 3);
        char *message = data_spec_make(path, ": truncated: 3 bytes");
        expect_error(folder, MN_ERR_FORMAT, message);
        assert_int_equal(remove(path), 0);
        free(message);
        message = data_spec_make(path, ": No such file");
        expect_error(folder, MN_ERR_IO, message);
        free(message);
        free(path);
        data_folder_remove(folder);
    }
    /* With five training images, classes 5 to 9 have none. */
    data_toy few = toy;
    few.train_count = 5;
    char *folder = data_folder_make();
    data_toy_write_cifar(folder, &few);
    expect_error(folder, MN_ERR_FORMAT, "class 5 of 10 has no training image");
    data_folder_remove(folder);
}

static void test_real(void **state)
{
    (void)state;
    const char *data = getenv("MEMNET_DATA");
    char *folder = data == NULL ? NULL : mn_path_join(data, "cifar10");
    if (folder == NULL || !mn_path_exists(folder)) {
        free(folder);
        skip();
    }
    char *spec = data_spec_make("cifar10:", folder);
    mn_dataset *dataset = NULL;
    mn_error err;
    assert_ok(mn_dataset_open(spec, &dataset, &err), &err);
    assert_int_equal(dataset->train.count, 50000);
    assert_int_equal(dataset->test.count, 10000);
    assert_string_equal(dataset->hash, "c3f54d2e224867a9");
    uint32_t counts[10] = {0};
    for (uint32_t i = 0; i < 50000; i++)
        counts[dataset->train.labels[i]]++;
    for (uint32_t k = 0; k < 10; k++)
        assert_int_equal(counts[k], 5000);
    mn_dataset_free(dataset);
    free(spec);
    free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unpack_is_channels_last),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_broken_sets),
        cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

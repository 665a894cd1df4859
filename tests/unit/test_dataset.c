/* Opening by spec, checks over the whole set, the hash, and the real Fashion-MNIST. */
#include "test.h"

#include "base/file.h"
#include "data_files.h"
#include "memnet/dataset.h"

static void test_specs(void **state)
{
    (void)state;
    const char *const bad[] = {
        "",
        "mnist",
        "fashion-mnist2",
        "fashion-mnist:x",
        "npy",
        "npy:",
        "idx:",
        "cifar10:",
        "CIFAR10:x",
    };
    mn_error err;
    mn_dataset *dataset = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_error(mn_dataset_open(bad[i], &dataset, &err),
                     MN_ERR_ARG,
                     &err,
                     "expected fashion-mnist, cifar10:DIR, idx:DIR or npy:DIR");
        assert_null(dataset);
    }
    assert_int_equal(mn_dataset_open("npy:/nowhere", &dataset, NULL), MN_ERR_IO);
    mn_dataset_free(NULL);
}

/* One byte per image; labels as given. */
static void
write_labels(const char *folder, const char *part, const uint8_t *labels, uint32_t count)
{
    const uint8_t pixels[64] = {0};
    char name[32];
    const data_array x = {"|u1", 3, {count, 1, 1}, pixels, count};
    const data_array y = {"|u1", 1, {count}, labels, count};
    snprintf(name, sizeof name, "x_%s.npy", part);
    data_npy_write(folder, name, &x);
    snprintf(name, sizeof name, "y_%s.npy", part);
    data_npy_write(folder, name, &y);
}

static void test_classes(void **state)
{
    (void)state;
    const struct {
        uint8_t train[4];
        uint8_t test[2];
        const char *message; /* NULL = fine */
    } cases[] = {
        {{0, 1, 2, 1}, {2, 2}, NULL},
        {{0, 0, 0, 0}, {0, 0}, ": every training label is 0, expected two classes at least"},
        {{2, 1, 0, 1}, {1, 3}, ": test image 1: label 3 out of range [0,3)"},
        {{0, 1, 3, 1}, {1, 1}, ": class 2 of 4 has no training image"},
        {{1, 1, 2, 3}, {1, 1}, ": class 0 of 4 has no training image"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *folder = data_folder_make();
        char *spec = data_spec_make("npy:", folder);
        mn_dataset *dataset = NULL;
        mn_error err;
        write_labels(folder, "train", cases[i].train, 4);
        write_labels(folder, "test", cases[i].test, 2);
        if (cases[i].message == NULL) {
            assert_ok(mn_dataset_open(spec, &dataset, &err), &err);
        } else {
            assert_error(
                mn_dataset_open(spec, &dataset, &err), MN_ERR_FORMAT, &err, cases[i].message);
            assert_non_null(strstr(err.message, spec));
            assert_null(dataset);
        }
        mn_dataset_free(dataset);
        free(spec);
        data_folder_remove(folder);
    }
}

static void hash_of(const data_toy *toy, bool as_float, const uint8_t *labels, char ret_hash[17])
{
    char *folder = data_folder_make();
    char *spec = data_spec_make("npy:", folder);
    mn_dataset *dataset = NULL;
    mn_error err;
    data_toy_write_npy(folder, toy, as_float);
    if (labels != NULL) {
        const data_array y = {"|u1", 1, {toy->train_count}, labels, toy->train_count};
        data_npy_write(folder, "y_train.npy", &y);
    }
    assert_ok(mn_dataset_open(spec, &dataset, &err), &err);
    memcpy(ret_hash, dataset->hash, 17);
    mn_dataset_free(dataset);
    free(spec);
    data_folder_remove(folder);
}

/* Whatever is part of the set shows in its hash; the same set has the same hash. */
static void test_hash(void **state)
{
    (void)state;
    const data_toy toy = {
        .train_count = 6, .test_count = 4, .classes = 3, .h = 4, .w = 6, .c = 1, .seed = 1};
    const uint8_t labels[6] = {0, 1, 2, 0, 2, 1};
    data_toy seed = toy, turned = toy, fewer = toy, moved = toy;
    seed.seed = 2;
    turned.h = 6;
    turned.w = 4;
    fewer.test_count = 3;
    moved.h = 2;
    moved.c = 2;
    char hashes[7][17];
    char again[17];
    hash_of(&toy, false, NULL, hashes[0]);
    hash_of(&toy, true, NULL, hashes[1]);
    hash_of(&toy, false, labels, hashes[2]);
    hash_of(&seed, false, NULL, hashes[3]);
    hash_of(&turned, false, NULL, hashes[4]);
    hash_of(&fewer, false, NULL, hashes[5]);
    hash_of(&moved, false, NULL, hashes[6]);
    hash_of(&toy, false, NULL, again);
    assert_string_equal(hashes[0], again);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(strlen(hashes[i]), 16);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(hashes[i], hashes[k]);
    }
}

static void test_fashion_mnist(void **state)
{
    (void)state;
    mn_dataset *dataset = NULL;
    mn_error err;
    if (!mn_path_exists("/usr/share/datasets/fashion-mnist")) {
        assert_error(mn_dataset_open("fashion-mnist", &dataset, &err),
                     MN_ERR_IO,
                     &err,
                     "package dataset-fashion-mnist");
        skip();
    }
    assert_ok(mn_dataset_open("fashion-mnist", &dataset, &err), &err);
    assert_int_equal(dataset->train.count, 60000);
    assert_int_equal(dataset->test.count, 10000);
    assert_int_equal(dataset->shape.h, 28);
    assert_int_equal(dataset->shape.w, 28);
    assert_int_equal(dataset->class_count, 10);
    assert_string_equal(dataset->class_names[0], "T-shirt/top");
    assert_string_equal(dataset->class_names[9], "Ankle boot");
    assert_string_equal(dataset->hash, "16bc560453c43b25");
    assert_int_equal(dataset->train.labels[0], 9); /* the set's first image is an ankle boot */
    mn_dataset_free(dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_specs),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_fashion_mnist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

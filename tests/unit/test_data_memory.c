/* The n-th allocation fails, for n = 0, 1, ... until success: every function of the data floor
 * reports it, leaves its result alone and leaks nothing (the sanitizer build looks). The linker's
 * --wrap puts the functions below in front of the allocator. */
#include "test.h"

#include <unistd.h>

#include "data_files.h"
#include "memnet/batches.h"

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t bytes);
void *__real_reallocarray(void *block, size_t count, size_t size);
void *__real_aligned_alloc(size_t align, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t bytes);
void *__wrap_reallocarray(void *block, size_t count, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t bytes);

/* Allocations that still succeed; negative = all of them. */
static long allowed = -1;

static bool fails(void)
{
    if (allowed < 0)
        return false;
    if (allowed == 0)
        return true;
    allowed--;
    return false;
}

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t bytes)
{
    return fails() ? NULL : __real_realloc(block, bytes);
}

void *__wrap_reallocarray(void *block, size_t count, size_t size)
{
    return fails() ? NULL : __real_reallocarray(block, count, size);
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
    return fails() ? NULL : __real_aligned_alloc(align, bytes);
}

/* Opens `spec` with ever more memory; how many allocations had to fail before it worked. */
static long open_with_little_memory(const char *spec)
{
    mn_error err;
    for (long n = 0; n < 1000; n++) {
        mn_dataset *dataset = NULL;
        allowed = n;
        mn_status status = mn_dataset_open(spec, &dataset, &err);
        allowed = -1;
        if (status == MN_OK) {
            mn_dataset_free(dataset);
            return n;
        }
        assert_int_equal(status, MN_ERR_NOMEM);
        assert_int_equal(err.status, MN_ERR_NOMEM);
        assert_null(dataset);
    }
    fail_msg("%s never opened", spec);
    return 0;
}

static void test_open(void **state)
{
    (void)state;
    const data_toy toy = {
        .train_count = 6, .test_count = 3, .classes = 3, .h = 4, .w = 4, .c = 1, .seed = 1};
    const data_toy cifar = {
        .train_count = 10, .test_count = 2, .classes = 10, .h = 32, .w = 32, .c = 3, .seed = 1};
    static const char names[] = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n";
    char *folder = data_folder_make();
    data_toy_write_npy(folder, &toy, false);
    data_toy_write_idx(folder, &toy, true);
    data_toy_write_cifar(folder, &cifar);
    data_file_write(folder, "batches.meta.txt", names, sizeof names - 1);
    const char *const prefixes[] = {"npy:", "idx:", "cifar10:"};
    for (size_t i = 0; i < 3; i++) {
        char *spec = data_spec_make(prefixes[i], folder);
        assert_true(open_with_little_memory(spec) > 10);
        free(spec);
    }
    data_folder_remove(folder);
}

static mn_dataset *open_toy(void)
{
    const data_toy toy = {
        .train_count = 6, .test_count = 3, .classes = 3, .h = 4, .w = 4, .c = 1, .seed = 1};
    mn_dataset *dataset = NULL;
    mn_error err;
    char *folder = data_folder_make();
    char *spec = data_spec_make("npy:", folder);
    data_toy_write_npy(folder, &toy, false);
    assert_ok(mn_dataset_open(spec, &dataset, &err), &err);
    free(spec);
    data_folder_remove(folder);
    return dataset;
}

static void test_map(void **state)
{
    (void)state;
    mn_dataset *dataset = open_toy();
    mn_dataset *mapped = NULL;
    int fd = -1;
    assert_int_equal(mn_dataset_share(dataset, &fd, NULL), MN_OK);
    mn_status status = MN_ERR_NOMEM;
    long n = 0;
    for (; status != MN_OK; n++) {
        assert_int_equal(status, MN_ERR_NOMEM);
        assert_null(mapped);
        allowed = n;
        status = mn_dataset_map(fd, &mapped, NULL);
        allowed = -1;
    }
    assert_true(n > 2);
    close(fd);
    mn_dataset_free(mapped);
    mn_dataset_free(dataset);
}

static void test_split(void **state)
{
    (void)state;
    mn_dataset *dataset = open_toy();
    mn_split split = {.train_count = 77};
    mn_status status = MN_ERR_NOMEM;
    long n = 0;
    for (; status != MN_OK; n++) {
        assert_int_equal(status, MN_ERR_NOMEM);
        assert_int_equal(split.train_count, 77);
        allowed = n;
        status = mn_split_make(dataset, 1, 0.5, &split, NULL);
        allowed = -1;
    }
    assert_true(n > 4);
    mn_split_done(&split);
    mn_dataset_free(dataset);
}

static void test_batches(void **state)
{
    (void)state;
    mn_dataset *dataset = open_toy();
    const mn_batches_opts opts = {
        .dataset = dataset, .images = &dataset->train, .batch = 2, .preprocessing = {0.0f, 1.0f}};
    mn_batches *batches = NULL;
    mn_status status = MN_ERR_NOMEM;
    long n = 0;
    for (; status != MN_OK; n++) {
        assert_int_equal(status, MN_ERR_NOMEM);
        assert_null(batches);
        allowed = n;
        status = mn_batches_create(&opts, &batches, NULL);
        allowed = -1;
    }
    assert_true(n > 10);
    mn_batches_free(batches);
    mn_dataset_free(dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

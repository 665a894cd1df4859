/* Sharing: the round trip also into another process, sealing, and forged files. */
#include "test.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "data_files.h"
#include "memnet/dataset.h"

static const data_toy toy = {
    .train_count = 9, .test_count = 4, .classes = 3, .h = 3, .w = 5, .c = 1, .seed = 5};

static mn_dataset *open_toy(bool as_float)
{
    mn_dataset *dataset = NULL;
    mn_error err;
    char *folder = data_folder_make();
    char *spec = data_spec_make("npy:", folder);
    data_toy_write_npy(folder, &toy, as_float);
    assert_ok(mn_dataset_open(spec, &dataset, &err), &err);
    free(spec);
    data_folder_remove(folder);
    return dataset;
}

static bool equal_parts(const mn_images *a, const mn_images *b, size_t image_bytes)
{
    return a->count == b->count && memcmp(a->pixels, b->pixels, a->count * image_bytes) == 0 &&
           memcmp(a->labels, b->labels, a->count * sizeof(uint16_t)) == 0;
}

static bool equal(const mn_dataset *a, const mn_dataset *b)
{
    size_t image_bytes = (size_t)a->shape.h * a->shape.w * a->shape.c *
                         (a->pixel_type == MN_PIXEL_F32 ? sizeof(float) : 1);
    bool same = memcmp(&a->shape, &b->shape, sizeof a->shape) == 0 &&
                a->pixel_type == b->pixel_type && a->class_count == b->class_count &&
                strcmp(a->hash, b->hash) == 0;
    for (uint32_t k = 0; same && k < a->class_count; k++)
        same = strcmp(a->class_names[k], b->class_names[k]) == 0;
    return same && equal_parts(&a->train, &b->train, image_bytes) &&
           equal_parts(&a->test, &b->test, image_bytes);
}

static void test_round_trip(void **state)
{
    (void)state;
    for (int as_float = 0; as_float < 2; as_float++) {
        mn_dataset *dataset = open_toy(as_float != 0);
        mn_dataset *mapped = NULL;
        mn_dataset *again = NULL;
        mn_error err;
        int fd = -1;
        assert_ok(mn_dataset_share(dataset, &fd, &err), &err);
        assert_ok(mn_dataset_map(fd, &mapped, &err), &err);
        assert_true(equal(dataset, mapped));
        assert_int_equal((uintptr_t)mapped->train.pixels % 64, 0);
        /* A mapped set can be shared again, and outlives the descriptor and the original. */
        int second = -1;
        assert_ok(mn_dataset_share(mapped, &second, &err), &err);
        assert_ok(mn_dataset_map(second, &again, &err), &err);
        close(second);
        close(fd);
        mn_dataset_free(mapped);
        assert_true(equal(dataset, again));
        mn_dataset_free(dataset);
        assert_int_equal(again->train.labels[1], 1);
        mn_dataset_free(again);
    }
}

static void test_other_process(void **state)
{
    (void)state;
    mn_dataset *dataset = open_toy(false);
    mn_error err;
    int fd = -1;
    assert_ok(mn_dataset_share(dataset, &fd, &err), &err);
    pid_t child = fork();
    if (child == 0) {
        mn_dataset *mapped = NULL;
        bool good = mn_dataset_map(fd, &mapped, NULL) == MN_OK && equal(dataset, mapped);
        _exit(good ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(fd);
    mn_dataset_free(dataset);
}

static void test_sealed(void **state)
{
    (void)state;
    mn_dataset *dataset = open_toy(false);
    mn_error err;
    int fd = -1;
    assert_ok(mn_dataset_share(dataset, &fd, &err), &err);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    close(fd);
    mn_dataset_free(dataset);
}

/* A memory file with the same bytes that can be changed; *ret_bytes is a writable mapping. */
static int copy_file(int fd, unsigned char **ret_bytes, size_t *ret_count)
{
    struct stat info;
    assert_int_equal(fstat(fd, &info), 0);
    size_t count = (size_t)info.st_size;
    int copy = memfd_create("copy", 0);
    assert_true(copy >= 0);
    assert_int_equal(ftruncate(copy, info.st_size), 0);
    unsigned char *bytes = mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_SHARED, copy, 0);
    assert_true(bytes != MAP_FAILED);
    assert_int_equal(pread(fd, bytes, count, 0), (ssize_t)count);
    *ret_bytes = bytes;
    *ret_count = count;
    return copy;
}

/* Any byte of the header may be anything: mapping fails, or yields a set that can be read whole. */
static void test_forged_header(void **state)
{
    (void)state;
    mn_dataset *dataset = open_toy(false);
    mn_error err;
    int fd = -1;
    assert_ok(mn_dataset_share(dataset, &fd, &err), &err);
    unsigned char *bytes;
    size_t count;
    int copy = copy_file(fd, &bytes, &count);
    const size_t header_bytes = 64;
    const unsigned char values[] = {0, 1, 2, 3, 0x7f, 0x80, 0xff};
    uint32_t refused = 0;
    for (size_t i = 0; i < header_bytes; i++) {
        unsigned char kept = bytes[i];
        for (size_t k = 0; k < sizeof values; k++) {
            mn_dataset *mapped = NULL;
            bytes[i] = values[k];
            if (mn_dataset_map(copy, &mapped, &err) == MN_OK) {
                (void)equal(mapped, mapped); /* reads everything */
                mn_dataset_free(mapped);
            } else {
                assert_int_equal(err.status, MN_ERR_FORMAT);
                assert_null(mapped);
                refused++;
            }
        }
        bytes[i] = kept;
    }
    assert_true(refused > 40 * sizeof values - 60);
    mn_dataset *mapped = NULL;
    assert_ok(mn_dataset_map(copy, &mapped, &err), &err);
    mn_dataset_free(mapped);
    munmap(bytes, count);
    close(copy);
    close(fd);
    mn_dataset_free(dataset);
}

static void test_forged_content(void **state)
{
    (void)state;
    mn_dataset *dataset = open_toy(false);
    mn_dataset *mapped = NULL;
    mn_error err;
    int fd = -1;
    assert_ok(mn_dataset_share(dataset, &fd, &err), &err);
    unsigned char *bytes;
    size_t count;
    int copy = copy_file(fd, &bytes, &count);
    /* The last label is the last section's end. */
    bytes[count - 2] = 3;
    assert_error(mn_dataset_map(copy, &mapped, &err),
                 MN_ERR_FORMAT,
                 &err,
                 "shared data: label 3 out of range [0,3)");
    bytes[count - 2] = 0;
    /* Names "0", "1", "2" follow the header: 6 bytes, the last of them the last NUL. */
    assert_memory_equal(bytes + 64, "0\0001\0002", 6);
    bytes[64 + 5] = 'x';
    assert_error(mn_dataset_map(copy, &mapped, &err),
                 MN_ERR_FORMAT,
                 &err,
                 "shared data: name of class 2 has no end");
    bytes[64 + 1] = 'x';
    assert_error(mn_dataset_map(copy, &mapped, &err), MN_ERR_FORMAT, &err, "has no end");
    bytes[64 + 1] = '\0';
    bytes[64 + 5] = '\0';
    bytes[0] = 'X';
    assert_error(mn_dataset_map(copy, &mapped, &err), MN_ERR_FORMAT, &err, "wrong magic");
    bytes[0] = 'M';
    munmap(bytes, count);
    assert_int_equal(ftruncate(copy, (off_t)count - 1), 0);
    assert_error(
        mn_dataset_map(copy, &mapped, &err), MN_ERR_FORMAT, &err, "does not fit its header");
    assert_int_equal(ftruncate(copy, (off_t)count + 1), 0);
    assert_error(
        mn_dataset_map(copy, &mapped, &err), MN_ERR_FORMAT, &err, "does not fit its header");
    assert_int_equal(ftruncate(copy, 10), 0);
    assert_error(mn_dataset_map(copy, &mapped, &err), MN_ERR_FORMAT, &err, "holds 10 bytes");
    assert_int_equal(ftruncate(copy, 0), 0);
    assert_error(mn_dataset_map(copy, &mapped, &err), MN_ERR_FORMAT, &err, "holds 0 bytes");
    close(copy);
    assert_error(mn_dataset_map(copy, &mapped, &err), MN_ERR_IO, &err, "descriptor");
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_error(mn_dataset_map(ends[0], &mapped, &err), MN_ERR_FORMAT, &err, "holds 0 bytes");
    close(ends[0]);
    close(ends[1]);
    assert_null(mapped);
    close(fd);
    mn_dataset_free(dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_other_process),
        cmocka_unit_test(test_sealed),
        cmocka_unit_test(test_forged_header),
        cmocka_unit_test(test_forged_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

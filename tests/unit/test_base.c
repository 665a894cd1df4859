/* The rooms of base/ that hold things: arena, buffer, files, hashes, random streams, JSON. */
#include "test.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/random.h"
#include "temporary.h"

/* ---- arena ------------------------------------------------------------------------------------
 */

/* Blocks are aligned, zeroed (also after a reset) and apart. */
static void test_arena_blocks(void **state)
{
    (void)state;
    mn_arena *arena = NULL;
    mn_error err;
    assert_ok(mn_arena_create(&arena, &err), &err);
    for (int round = 0; round < 3; round++) {
        unsigned char *end = NULL;
        for (size_t bytes = 0; bytes < 300; bytes += 37) {
            void *block = NULL;
            assert_ok(mn_arena_alloc(arena, bytes, &block, &err), &err);
            assert_int_equal((uintptr_t)block % MN_ARENA_ALIGN, 0);
            assert_true(end == NULL || (unsigned char *)block >= end);
            for (size_t i = 0; i < bytes; i++)
                assert_int_equal(((unsigned char *)block)[i], 0);
            memset(block, 0xff, bytes);
            end = (unsigned char *)block + bytes;
        }
        assert_true(mn_arena_used(arena) >= 1332 && mn_arena_used(arena) % MN_ARENA_ALIGN == 0);
        mn_arena_reset(arena);
        assert_int_equal(mn_arena_used(arena), 0);
    }
    mn_arena_free(arena);
    mn_arena_free(NULL);
}

/* Blocks that no chunk holds get one of their own, which is found again after a reset. */
static void test_arena_grows_and_keeps(void **state)
{
    (void)state;
    mn_arena *arena = NULL;
    void *before[3] = {NULL};
    mn_error err;
    const size_t sizes[] = {(size_t)60 << 20, (size_t)70 << 20, (size_t)8 << 20};
    assert_ok(mn_arena_create(&arena, &err), &err);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++) {
            void *block = NULL;
            assert_ok(mn_arena_alloc(arena, sizes[i], &block, &err), &err);
            if (round == 0)
                before[i] = block;
            else
                assert_ptr_equal(block, before[i]);
        }
        mn_arena_reset(arena);
    }
    mn_arena_free(arena);
}

static void test_arena_refuses(void **state)
{
    (void)state;
    mn_arena *arena = NULL;
    void *block = NULL;
    mn_error err;
    assert_ok(mn_arena_create(&arena, &err), &err);
    assert_error(
        mn_arena_alloc(arena, SIZE_MAX - 1, &block, &err), MN_ERR_NOMEM, &err, "no memory for");
    assert_error(
        mn_arena_alloc(arena, SIZE_MAX / 2, &block, &err), MN_ERR_NOMEM, &err, "no memory for");
    assert_null(block);
    assert_int_equal(mn_arena_used(arena), 0);
    assert_ok(mn_arena_alloc(arena, 1, &block, &err), &err);
    mn_arena_free(arena);
}

/* ---- buffer -----------------------------------------------------------------------------------
 */

static void test_buffer(void **state)
{
    (void)state;
    mn_buffer buffer;
    char *text = NULL;
    mn_error err;
    mn_buffer_init(&buffer);
    assert_ok(mn_buffer_take(&buffer, &text, &err), &err);
    assert_string_equal(text, "");
    free(text);
    for (int i = 0; i < 1000; i++) {
        mn_buffer_printf(&buffer, "%03d", i);
        mn_buffer_append(&buffer, "\0,", 2);
    }
    assert_int_equal(buffer.count, 5000);
    assert_ok(mn_buffer_take(&buffer, &text, &err), &err);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(atoi(text + 5 * i), i);
        assert_memory_equal(text + 5 * i + 3, "\0,", 2);
    }
    assert_int_equal(text[5000], '\0');
    free(text);
    assert_null(buffer.bytes);
}

/* A failed append spoils the buffer for good, and only the end needs a check. */
static void test_buffer_failure_sticks(void **state)
{
    (void)state;
    mn_buffer buffer;
    char *text = NULL;
    mn_error err;
    mn_buffer_init(&buffer);
    mn_buffer_append(&buffer, "abc", 3);
    mn_buffer_append(&buffer, "x", SIZE_MAX - 2);
    mn_buffer_append(&buffer, "def", 3);
    mn_buffer_printf(&buffer, "%d", 5);
    assert_string_equal(buffer.bytes, "abc");
    assert_error(mn_buffer_check(&buffer, &err), MN_ERR_NOMEM, &err, "3 bytes");
    assert_error(mn_buffer_take(&buffer, &text, &err), MN_ERR_NOMEM, &err, "out of memory");
    assert_null(text);
    mn_buffer_done(&buffer);
}

/* ---- files ------------------------------------------------------------------------------------
 */

static void test_files_come_back(void **state)
{
    char *path = mn_path_join(*state, "file");
    char *bytes = NULL;
    size_t count = 9;
    mn_error err;
    for (size_t size = 0; size <= 100000; size += 50000) {
        char *written = calloc(size + 1, 1);
        assert_non_null(written);
        memset(written, (int)(size / 50000) + 'a', size);
        assert_ok(mn_file_write(path, written, size, &err), &err);
        assert_ok(mn_file_read(path, size, &bytes, &count, &err), &err);
        assert_int_equal(count, size);
        assert_memory_equal(bytes, written, size + 1); /* and a NUL */
        free(bytes);
        free(written);
    }
    bytes = NULL;
    assert_error(mn_file_read(path, 99999, &bytes, &count, &err), MN_ERR_LIMIT, &err, path);
    assert_null(bytes);
    assert_int_equal(count_files(*state), 1);
    free(path);
}

static void test_files_refused(void **state)
{
    const char *folder = *state;
    char *missing = mn_path_join(folder, "no/such");
    char *bytes = NULL;
    size_t count = 0;
    mn_error err;
    assert_error(mn_file_read(missing, 10, &bytes, &count, &err), MN_ERR_IO, &err, missing);
    assert_error(mn_file_read(folder, 10, &bytes, &count, &err), MN_ERR_IO, &err, "not a regular");
    assert_error(mn_file_read("/dev/zero", 10, &bytes, &count, &err), MN_ERR_IO, &err, "/dev/zero");
    assert_error(mn_file_write(missing, "x", 1, &err), MN_ERR_IO, &err, missing);
    assert_error(mn_file_write(folder, "x", 1, &err), MN_ERR_IO, &err, folder);
    assert_null(bytes);
    assert_int_equal(count_files(*state), 0);
    free(missing);
}

/* On a full disk the old content stays and no temporary file is left. */
static void test_full_disk(void **state)
{
    char *path = mn_path_join(*state, "file");
    char large[4096] = {1};
    char *bytes = NULL;
    size_t count = 0;
    mn_error err;
    assert_ok(mn_file_write(path, "old", 3, &err), &err);
    file_limit_set(1000);
    mn_status status = mn_file_write(path, large, sizeof large, &err);
    file_limit_lift();
    assert_int_equal(status, MN_ERR_IO);
    assert_non_null(strstr(err.message, path));
    assert_ok(mn_file_read(path, 10, &bytes, &count, &err), &err);
    assert_string_equal(bytes, "old");
    assert_int_equal(count_files(*state), 1);
    free(bytes);
    free(path);
}

static void test_folders(void **state)
{
    char *deep = mn_path_join(*state, "a/b/c");
    char *top = mn_path_join(*state, "a");
    char *file = mn_path_join(deep, "file");
    char *under = mn_path_join(file, "x");
    char *link = mn_path_join(top, "link");
    char *outside = mn_path_join(*state, "outside");
    mn_error err;
    assert_ok(mn_folder_make(deep, &err), &err);
    assert_ok(mn_folder_make(deep, &err), &err);
    assert_ok(mn_file_write(file, "x", 1, &err), &err);
    assert_ok(mn_file_write(outside, "x", 1, &err), &err);
    assert_error(mn_folder_make(file, &err), MN_ERR_IO, &err, file);
    assert_error(mn_folder_make(under, &err), MN_ERR_IO, &err, "file");
    assert_ok(mn_symlink_swap("b", link, &err), &err);
    assert_ok(mn_symlink_swap("../outside", link, &err), &err); /* in place of the first */
    assert_int_equal(access(link, R_OK), 0);
    assert_ok(mn_folder_remove(top, &err), &err);
    assert_false(mn_path_exists(top));
    assert_true(mn_path_exists(outside)); /* links are not followed */
    assert_ok(mn_folder_remove(top, &err), &err);
    char *const paths[] = {deep, top, file, under, link, outside};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        free(paths[i]);
}

static void test_paths(void **state)
{
    (void)state;
    const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"a/b", "c/d", "a/b/c/d"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = mn_path_join(cases[i][0], cases[i][1]);
        assert_string_equal(path, cases[i][2]);
        free(path);
    }
}

/* ---- hash and random --------------------------------------------------------------------------
 */

/* Every bit of an input changes the hash, and so does every length. */
static void test_hash(void **state)
{
    (void)state;
    unsigned char bytes[24] = {0};
    uint64_t seen[8 * sizeof bytes + sizeof bytes + 1];
    size_t count = 0;
    char hex[MN_HASH_HEX_BYTES];
    for (size_t length = 0; length <= sizeof bytes; length++)
        seen[count++] = mn_hash_bytes(MN_HASH_START, bytes, length);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        seen[count++] = mn_hash_bytes(MN_HASH_START, bytes, sizeof bytes);
        bytes[bit / 8] = 0;
    }
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            assert_true(seen[i] != seen[k]);
    mn_hash_hex(UINT64_C(0x0123456789abcdef), hex);
    assert_string_equal(hex, "0123456789abcdef");
}

/* The first numbers of xoshiro256** from the state {1, 2, 3, 4}, as its authors' program prints. */
static void test_random_is_xoshiro(void **state)
{
    (void)state;
    const uint64_t expected[] = {
        UINT64_C(11520), UINT64_C(0), UINT64_C(1509978240), UINT64_C(1215971899390074240)};
    mn_random random = {{1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_true(mn_random_next(&random) == expected[i]);
}

static void test_random_draws(void **state)
{
    (void)state;
    enum { draws = 60000, faces = 6 };
    mn_random random = mn_random_make(3, 1);
    mn_random other = mn_random_make(3, 2);
    uint32_t counts[faces] = {0};
    double sum = 0.0;
    double squares = 0.0;
    uint32_t equal = 0;
    for (int i = 0; i < draws; i++) {
        uint32_t face = mn_random_below(&random, faces);
        float uniform = mn_random_uniform(&random);
        double normal = (double)mn_random_normal(&random);
        assert_true(face < faces);
        assert_true(uniform >= 0.0f && uniform < 1.0f);
        counts[face]++;
        sum += normal;
        squares += normal * normal;
        equal += mn_random_below(&other, faces) == face;
    }
    for (int f = 0; f < faces; f++) /* five standard deviations of a fair die */
        assert_true(counts[f] > draws / faces - 457 && counts[f] < draws / faces + 457);
    assert_true(equal > draws / faces - 457 && equal < draws / faces + 457);
    assert_true(sum / draws > -0.021 && sum / draws < 0.021);
    assert_true(squares / draws > 0.971 && squares / draws < 1.029);
}

/* A shuffle loses nothing and moves something, and each item gets everywhere. */
/* Mean 1/2, variance 1/(4 (2 alpha + 1)), symmetric; never outside of [0,1], however small alpha.
 */
static void test_random_beta(void **state)
{
    (void)state;
    static const double alphas[] = {1e-9, 0.05, 0.2, 1.0, 2.0, 4.0};
    enum { draws = 40000 };
    for (size_t a = 0; a < sizeof alphas / sizeof alphas[0]; a++) {
        mn_random random = mn_random_make(6, a);
        double sum = 0.0;
        double squares = 0.0;
        double cubes = 0.0;
        for (int i = 0; i < draws; i++) {
            double x = mn_random_beta(&random, alphas[a]);
            assert_true(x >= 0.0 && x <= 1.0);
            x -= 0.5;
            sum += x;
            squares += x * x;
            cubes += x * x * x;
        }
        double variance = 0.25 / (2.0 * alphas[a] + 1.0);
        assert_true(fabs(sum / draws) < 0.01); /* deviation 0.0025 at most */
        assert_true(fabs(squares / draws - variance) < 0.02 * variance + 1e-3);
        assert_true(fabs(cubes / draws) < 0.003);
    }
}

static void test_random_shuffle(void **state)
{
    (void)state;
    enum { items = 5, shuffles = 5000 };
    mn_random random = mn_random_make(4, 0);
    uint32_t at[items][items] = {{0}};
    for (int i = 0; i < shuffles; i++) {
        uint32_t list[items] = {0, 1, 2, 3, 4};
        uint32_t seen = 0;
        mn_random_shuffle(&random, list, items);
        for (uint32_t k = 0; k < items; k++) {
            seen |= 1u << list[k];
            at[list[k]][k]++;
        }
        assert_int_equal(seen, 31);
    }
    for (int i = 0; i < items; i++)
        for (int k = 0; k < items; k++)
            assert_true(at[i][k] > 858 && at[i][k] < 1142); /* five standard deviations */
    mn_random_shuffle(&random, NULL, 0);
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static void test_json_getters(void **state)
{
    (void)state;
    static const char text[] = "{\"i\": 5, \"f\": 2.5, \"s\": \"x\", \"b\": true, \"a\": [1, 2]}";
    static const char *const keys[] = {"i", "f", "s", "b", NULL};
    json_t *object = NULL;
    const json_t *array = NULL;
    const char *string = NULL;
    int64_t integer = 0;
    double number = 0.0;
    bool boolean = false;
    mn_error err;
    assert_ok(mn_json_parse("here", text, strlen(text), 1000, &object, &err), &err);
    assert_ok(mn_json_get_integer(object, "here", "i", 5, 5, &integer, &err), &err);
    assert_ok(mn_json_get_number(object, "here", "f", &number, &err), &err);
    assert_ok(mn_json_get_string(object, "here", "s", &string, &err), &err);
    assert_ok(mn_json_get_boolean(object, "here", "b", &boolean, &err), &err);
    assert_ok(mn_json_get_array(object, "here", "a", 2, 2, &array, &err), &err);
    assert_true(integer == 5 && number == 2.5 && boolean && json_array_size(array) == 2);
    assert_string_equal(string, "x");
    assert_error(mn_json_get_integer(object, "here", "i", 6, 9, &integer, &err),
                 MN_ERR_FORMAT,
                 &err,
                 "here");
    assert_error(
        mn_json_get_integer(object, "here", "f", 0, 9, &integer, &err), MN_ERR_FORMAT, &err, "f");
    assert_error(
        mn_json_get_string(object, "here", "zz", &string, &err), MN_ERR_FORMAT, &err, "zz");
    assert_error(
        mn_json_get_array(object, "here", "a", 3, 4, &array, &err), MN_ERR_FORMAT, &err, "a");
    assert_error(mn_json_check_keys(object, "here", keys, &err), MN_ERR_FORMAT, &err, "'a'");
    json_decref(object);
}

static void test_json_refuses(void **state)
{
    (void)state;
    const struct {
        const char *text;
        mn_status status;
    } cases[] = {{"", MN_ERR_FORMAT},
                 {"{", MN_ERR_FORMAT},
                 {"{} x", MN_ERR_FORMAT},
                 {"{\"a\": 1, \"a\": 2}", MN_ERR_FORMAT},
                 {"{\"a\": NaN}", MN_ERR_FORMAT},
                 {"{\"a\": 1e999}", MN_ERR_FORMAT},
                 {"{\"a\": 99999999999999999999}", MN_ERR_FORMAT},
                 {"[\"more than thirty bytes of JSON\"]", MN_ERR_LIMIT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *value = NULL;
        mn_error err;
        assert_error(mn_json_parse("here", cases[i].text, strlen(cases[i].text), 30, &value, &err),
                     cases[i].status,
                     &err,
                     "here");
        assert_null(value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_blocks),
        cmocka_unit_test(test_arena_grows_and_keeps),
        cmocka_unit_test(test_arena_refuses),
        cmocka_unit_test(test_buffer),
        cmocka_unit_test(test_buffer_failure_sticks),
        cmocka_unit_test_setup_teardown(test_files_come_back, temporary_setup, temporary_teardown),
        cmocka_unit_test_setup_teardown(test_files_refused, temporary_setup, temporary_teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, temporary_setup, temporary_teardown),
        cmocka_unit_test_setup_teardown(test_folders, temporary_setup, temporary_teardown),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_random_is_xoshiro),
        cmocka_unit_test(test_random_draws),
        cmocka_unit_test(test_random_beta),
        cmocka_unit_test(test_random_shuffle),
        cmocka_unit_test(test_json_getters),
        cmocka_unit_test(test_json_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* IDX: the parser on every kind of malformed file, the names that are tried, gzip. */
#include "test.h"

#include "base/file.h"
#include "data/parse.h"
#include "data_files.h"
#include "memnet/dataset.h"

static const data_toy toy = {
    .train_count = 20, .test_count = 6, .classes = 3, .h = 5, .w = 4, .c = 1, .seed = 7};

static void test_parse_images(void **state)
{
    (void)state;
    const unsigned char pixels[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    const data_array array = {"|u1", 3, {2, 3, 2}, pixels, sizeof pixels};
    size_t count;
    unsigned char *bytes = data_idx_make(&array, &count);
    mn__image_view view;
    mn_error err;
    assert_ok(mn__idx_parse_images("x", bytes, count, &view, &err), &err);
    assert_int_equal(view.count, 2);
    assert_int_equal(view.shape.h, 3);
    assert_int_equal(view.shape.w, 2);
    assert_int_equal(view.shape.c, 1);
    assert_int_equal(view.type, MN_PIXEL_U8);
    assert_int_equal(view.bytes, sizeof pixels);
    assert_memory_equal(bytes + view.offset, pixels, sizeof pixels);
    assert_int_equal(mn__idx_promised_bytes(bytes, count), count);
    free(bytes);
}

/* Every prefix of a good file is refused, and leaves the result alone. */
static void test_truncated(void **state)
{
    (void)state;
    const unsigned char pixels[12] = {0};
    const data_array images = {"|u1", 3, {2, 3, 2}, pixels, 12};
    const data_array labels = {"|u1", 1, {12}, pixels, 12};
    size_t image_count, label_count;
    unsigned char *image_bytes = data_idx_make(&images, &image_count);
    unsigned char *label_bytes = data_idx_make(&labels, &label_count);
    mn_error err;
    for (size_t n = 0; n < image_count; n++) {
        /* A copy of exactly n bytes, so that a sanitizer sees any read behind them. */
        unsigned char *prefix = malloc(n + 1);
        memcpy(prefix + 1, image_bytes, n);
        mn__image_view view = {.count = 77};
        assert_error(
            mn__idx_parse_images("x", prefix + 1, n, &view, &err), MN_ERR_FORMAT, &err, "x: trunc");
        assert_int_equal(view.count, 77);
        free(prefix);
    }
    for (size_t n = 0; n < label_count; n++) {
        unsigned char *prefix = malloc(n + 1);
        memcpy(prefix + 1, label_bytes, n);
        mn__labels found = {.count = 77};
        assert_error(mn__idx_parse_labels("x", prefix + 1, n, &found, &err),
                     MN_ERR_FORMAT,
                     &err,
                     "x: trunc");
        assert_int_equal(found.count, 77);
        free(prefix);
    }
    free(label_bytes);
    free(image_bytes);
}

static void test_malformed(void **state)
{
    (void)state;
    const unsigned char pixels[13] = {0};
    mn__image_view view;
    mn__labels labels;
    mn_error err;
    const struct {
        data_array array;
        const char *message;
    } bad[] = {
        {{"", 1, {12}, pixels, 12}, "f: wrong magic 0x00000801, expected 0x00000803"},
        {{"", 4, {2, 3, 2, 1}, pixels, 12}, "f: wrong magic 0x00000804, expected 0x00000803"},
        {{"", 3, {0, 3, 2}, pixels, 12}, "f: 0 images, expected 1 to 4294967294"},
        {{"", 3, {UINT32_MAX, 3, 2}, pixels, 12}, "f: 4294967295 images, expected 1"},
        {{"", 3, {2, 0, 2}, pixels, 12}, "f: images of 0x2 pixels, expected at least 1x1"},
        {{"", 3, {2, 3, 0}, pixels, 12}, "f: images of 3x0 pixels, expected at least 1x1"},
        {{"", 3, {1000, 2, 2}, pixels, 13}, "f: truncated: 1000 images promised, 3 whole ones"},
        {{"", 3, {1u << 31, 1u << 31, 1u << 31}, pixels, 12}, "promised, 0 whole ones found"},
        {{"", 3, {UINT32_MAX - 1, UINT32_MAX, UINT32_MAX}, pixels, 12}, "0 whole ones found"},
        {{"", 3, {2, 3, 2}, pixels, 13}, "f: 1 bytes after the last of 2 images, expected none"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t count;
        unsigned char *bytes = data_idx_make(&bad[i].array, &count);
        assert_error(mn__idx_parse_images("f", bytes, count, &view, &err),
                     MN_ERR_FORMAT,
                     &err,
                     bad[i].message);
        free(bytes);
    }
    const struct {
        data_array array;
        const char *message;
    } bad_labels[] = {
        {{"", 3, {2, 3, 2}, pixels, 12}, "f: wrong magic 0x00000803, expected 0x00000801"},
        {{"", 1, {0}, pixels, 12}, "f: 0 labels, expected 1 to"},
        {{"", 1, {14}, pixels, 13}, "f: truncated: 14 labels promised, 13 whole ones found"},
        {{"", 1, {11}, pixels, 13}, "f: 2 bytes after the last of 11 labels"},
    };
    for (size_t i = 0; i < sizeof bad_labels / sizeof bad_labels[0]; i++) {
        size_t count;
        unsigned char *bytes = data_idx_make(&bad_labels[i].array, &count);
        assert_error(mn__idx_parse_labels("f", bytes, count, &labels, &err),
                     MN_ERR_FORMAT,
                     &err,
                     bad_labels[i].message);
        free(bytes);
    }
}

static void test_promised_bytes(void **state)
{
    (void)state;
    const data_array huge = {"", 3, {UINT32_MAX, UINT32_MAX, UINT32_MAX}, "", 0};
    const data_array other = {"", 4, {1, 1, 1, 1}, "", 0};
    size_t count;
    unsigned char *bytes = data_idx_make(&huge, &count);
    assert_int_equal(mn__idx_promised_bytes(bytes, count), SIZE_MAX);
    assert_int_equal(mn__idx_promised_bytes(bytes, 15), 15);
    assert_int_equal(mn__idx_promised_bytes(bytes, 0), 0);
    free(bytes);
    bytes = data_idx_make(&other, &count);
    assert_int_equal(mn__idx_promised_bytes(bytes, count), count);
    free(bytes);
}

/* Opens idx:folder and compares it with the toy that was written there. */
static void check_toy(const char *folder)
{
    mn_error err;
    mn_dataset *dataset = NULL;
    char *spec = data_spec_make("idx:", folder);
    uint8_t *train = data_toy_pixels(&toy, false);
    uint8_t *test = data_toy_pixels(&toy, true);
    assert_ok(mn_dataset_open(spec, &dataset, &err), &err);
    assert_int_equal(dataset->shape.h, toy.h);
    assert_int_equal(dataset->shape.w, toy.w);
    assert_int_equal(dataset->shape.c, 1);
    assert_int_equal(dataset->pixel_type, MN_PIXEL_U8);
    assert_int_equal(dataset->class_count, toy.classes);
    assert_string_equal(dataset->class_names[2], "2");
    assert_int_equal(dataset->train.count, toy.train_count);
    assert_int_equal(dataset->test.count, toy.test_count);
    assert_memory_equal(dataset->train.pixels, train, toy.train_count * 20);
    assert_memory_equal(dataset->test.pixels, test, toy.test_count * 20);
    for (uint32_t i = 0; i < toy.train_count; i++)
        assert_int_equal(dataset->train.labels[i], i % toy.classes);
    for (uint32_t i = 0; i < toy.test_count; i++)
        assert_int_equal(dataset->test.labels[i], i % toy.classes);
    mn_dataset_free(dataset);
    free(test);
    free(train);
    free(spec);
}

static void rename_in(const char *folder, const char *from, const char *to)
{
    char *a = mn_path_join(folder, from);
    char *b = mn_path_join(folder, to);
    assert_int_equal(rename(a, b), 0);
    free(b);
    free(a);
}

static void test_plain_gzip_and_dotted(void **state)
{
    (void)state;
    char *folder = data_folder_make();
    data_toy_write_idx(folder, &toy, true);
    check_toy(folder);
    rename_in(folder, "train-images-idx3-ubyte.gz", "train-images.idx3-ubyte.gz");
    check_toy(folder);
    /* The plain name comes first: what is wrong with the .gz does not matter then. */
    data_toy_write_idx(folder, &toy, false);
    data_file_write(folder, "t10k-images-idx3-ubyte.gz", "junk", 4);
    check_toy(folder);
    rename_in(folder, "t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte");
    data_folder_remove(folder);
    folder = data_folder_make();
    data_toy_write_idx(folder, &toy, false);
    rename_in(folder, "t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte");
    check_toy(folder);
    data_folder_remove(folder);
}

/* Opens idx:folder, expects an error that has `message`, and that the result is left alone. */
static void expect_error(const char *folder, mn_status status, const char *message)
{
    mn_error err;
    mn_dataset *dataset = NULL;
    char *spec = data_spec_make("idx:", folder);
    assert_error(mn_dataset_open(spec, &dataset, &err), status, &err, message);
    assert_null(dataset);
    free(spec);
}

static void test_missing_files(void **state)
{
    (void)state;
    static const char *const names[] = {
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    };
    for (size_t i = 0; i < 4; i++) {
        char *folder = data_folder_make();
        data_toy_write_idx(folder, &toy, false);
        rename_in(folder, names[i], "elsewhere");
        char *message = data_spec_make("/", names[i]);
        char *full = data_spec_make(folder, message);
        expect_error(folder, MN_ERR_IO, full);
        free(full);
        free(message);
        data_folder_remove(folder);
    }
    expect_error("/nowhere/at/all", MN_ERR_IO, "/nowhere/at/all/train-images-idx3-ubyte: no such");
}

static void test_files_that_disagree(void **state)
{
    (void)state;
    char *folder = data_folder_make();
    data_toy_write_idx(folder, &toy, false);
    const unsigned char bytes[64] = {0, 1, 2};
    size_t count;
    const data_array few_labels = {"", 1, {5}, bytes, 5};
    unsigned char *file = data_idx_make(&few_labels, &count);
    data_file_write(folder, "t10k-labels-idx1-ubyte", file, count);
    free(file);
    expect_error(
        folder, MN_ERR_FORMAT, "t10k-labels-idx1-ubyte: 5 labels, expected 6, one for each image");
    const data_array turned = {"", 3, {3, 4, 5}, bytes, 60};
    file = data_idx_make(&turned, &count);
    data_file_write(folder, "t10k-images-idx3-ubyte", file, count);
    free(file);
    expect_error(
        folder, MN_ERR_FORMAT, "images are 4x5x1 uint8, expected 5x4x1 uint8 as in training");
    data_folder_remove(folder);
}

static void write_gzip_images(const char *folder, const data_array *array, size_t cut)
{
    size_t count;
    char *full = mn_path_join(folder, "train-images-idx3-ubyte.gz");
    unsigned char *bytes = data_idx_make(array, &count);
    data_file_write_gzip(folder, "train-images-idx3-ubyte.gz", bytes, count);
    free(bytes);
    if (cut > 0) {
        char *packed;
        assert_int_equal(mn_file_read(full, 1 << 20, &packed, &count, NULL), MN_OK);
        data_file_write(folder, "train-images-idx3-ubyte.gz", packed, count - cut);
        free(packed);
    }
    free(full);
}

static void test_gzip_malformed(void **state)
{
    (void)state;
    char *folder = data_folder_make();
    const unsigned char bytes[400] = {1, 2, 3};
    const data_array good = {"", 3, {20, 5, 4}, bytes, 400};
    const data_array greedy = {"", 3, {1u << 31, 1u << 15, 1u << 15}, bytes, 4};
    const data_array longer = {"", 3, {19, 5, 4}, bytes, 400};
    data_toy_write_idx(folder, &toy, true);
    for (size_t cut = 1; cut < 30; cut++) {
        write_gzip_images(folder, &good, cut);
        expect_error(folder, MN_ERR_FORMAT, "train-images-idx3-ubyte.gz: truncated: gzip ends");
    }
    write_gzip_images(folder, &greedy, 0);
    expect_error(folder, MN_ERR_LIMIT, "gz: its header promises 2305843009213693968 bytes or more");
    write_gzip_images(folder, &longer, 0);
    expect_error(folder, MN_ERR_FORMAT, "gz: 1 bytes after the last of 19 images");
    data_file_write(folder, "train-images-idx3-ubyte.gz", "no gzip at all", 14);
    expect_error(folder, MN_ERR_FORMAT, "train-images-idx3-ubyte.gz: not gzip at byte");
    data_file_write(folder, "train-images-idx3-ubyte.gz", "", 0);
    expect_error(folder, MN_ERR_FORMAT, "gz: truncated: gzip ends after 0 bytes");
    data_folder_remove(folder);
}

/* Chunks, growth, several members, the limit. */
static void test_gunzip(void **state)
{
    (void)state;
    const size_t count = 300000;
    char *folder = data_folder_make();
    char *text = malloc(count);
    mn_error err;
    mn__bytes packed = {0};
    mn__bytes out = {0};
    for (size_t i = 0; i < count; i++)
        text[i] = (char)(i * i >> 7);
    data_file_write_gzip(folder, "x", text, count);
    char *path = mn_path_join(folder, "x");
    assert_ok(mn_file_read(path, 1 << 20, &packed.items, &packed.count, &err), &err);
    const size_t limits[] = {1, 16, 65536, 65537, 131072, count - 1, count, count + 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        assert_ok(mn__gunzip("x", &packed, limits[i], &out, &err), &err);
        assert_int_equal(out.count, limits[i] < count ? limits[i] : count);
        assert_memory_equal(out.items, text, out.count);
        free(out.items);
    }
    packed.items = realloc(packed.items, 2 * packed.count);
    memcpy(packed.items + packed.count, packed.items, packed.count);
    packed.count *= 2;
    assert_ok(mn__gunzip("x", &packed, SIZE_MAX, &out, &err), &err);
    assert_int_equal(out.count, 2 * count);
    assert_memory_equal(out.items, text, count);
    assert_memory_equal(out.items + count, text, count);
    free(out.items);
    /* A wrong checksum in the first member's trailer. */
    packed.count /= 2;
    packed.items[packed.count - 8] ^= 1;
    assert_error(
        mn__gunzip("x", &packed, SIZE_MAX, &out, &err), MN_ERR_FORMAT, &err, "x: not gzip at byte");
    free(path);
    free(packed.items);
    free(text);
    data_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_images),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_promised_bytes),
        cmocka_unit_test(test_plain_gzip_and_dotted),
        cmocka_unit_test(test_missing_files),
        cmocka_unit_test(test_files_that_disagree),
        cmocka_unit_test(test_gzip_malformed),
        cmocka_unit_test(test_gunzip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

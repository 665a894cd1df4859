/* .npy: the strict header parser, types, shapes, labels, and sets of four files. */
#include "test.h"

#include <math.h>

#include "base/file.h"
#include "data/parse.h"
#include "data_files.h"
#include "memnet/dataset.h"

/* A file of any version, with any header text; the caller frees it. */
static unsigned char *
make_file(int version, const char *dict, const void *data, size_t data_bytes, size_t *ret_count)
{
    size_t length = strlen(dict);
    size_t start = version == 1 ? 10 : 12;
    unsigned char *file = calloc(start + length + data_bytes + 1, 1);
    memcpy(file, "\x93NUMPY", 6);
    file[6] = (unsigned char)version;
    file[8] = (unsigned char)length;
    file[9] = (unsigned char)(length >> 8);
    memcpy(file + start, dict, length);
    memcpy(file + start + length, data, data_bytes);
    *ret_count = start + length + data_bytes;
    return file;
}

static mn_status parse_header(int version, const char *dict, mn__npy_header *header, mn_error *err)
{
    size_t count;
    unsigned char *file = make_file(version, dict, "", 0, &count);
    mn_status status = mn__npy_parse_header("f", file, count, header, err);
    free(file);
    return status;
}

static void test_header(void **state)
{
    (void)state;
    const char *const good[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 28, 29), }          \n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 28, 29)}\n",
        "{\"shape\":(3,28,29,),\"fortran_order\":False,\"descr\":\"<f4\"}",
        " { 'shape' : ( 3 , 28 , 29 ) , 'descr' : '<f4' , 'fortran_order' : False } \n",
    };
    mn_error err;
    for (int version = 1; version <= 3; version++) {
        for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
            mn__npy_header header = {0};
            assert_ok(parse_header(version, good[i], &header, &err), &err);
            assert_string_equal(header.descr, "<f4");
            assert_false(header.fortran_order);
            assert_int_equal(header.rank, 3);
            assert_int_equal(header.dims[0], 3);
            assert_int_equal(header.dims[1], 28);
            assert_int_equal(header.dims[2], 29);
            assert_int_equal(header.offset, (version == 1 ? 10 : 12) + strlen(good[i]));
        }
    }
    mn__npy_header header = {0};
    assert_ok(parse_header(1, "{'descr':'|u1','fortran_order':True,'shape':()}", &header, &err),
              &err);
    assert_int_equal(header.rank, 0);
    assert_true(header.fortran_order);
    assert_ok(parse_header(1, "{'descr':'|u1','fortran_order':True,'shape':(0,)}", &header, &err),
              &err);
    assert_int_equal(header.rank, 1);
    assert_int_equal(header.dims[0], 0);
}

static void test_header_malformed(void **state)
{
    (void)state;
    const struct {
        const char *dict;
        const char *message;
    } bad[] = {
        {"", "f: header, byte 0: expected '{'"},
        {"[]", "byte 0: expected '{'"},
        {"{", "expected a key"},
        {"{}", "expected the keys descr, fortran_order and shape"},
        {"{'descr'}", "expected ':'"},
        {"{'descr", "expected the closing quote"},
        {"{'descr\"", "expected the closing quote"},
        {"{'descr':", "expected a type"},
        {"{'descr': [('a', '<f4')]", "expected a type"},
        {"{'descr': '<f4<f4<f4'", "expected a type"},
        {"{'descr': '<\\x'", "expected a type"},
        {"{'descr': '\xc3\xa4'", "expected a type"},
        {"{'descr': '<f4' 'fortran_order': False, 'shape': ()}", "expected ',' or '}'"},
        {"{'descr': '<f4',, 'fortran_order': False, 'shape': ()}", "expected a key"},
        {"{'descr': '<f4', 'fortran_order': false, 'shape': ()}", "expected True or False"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", "expected True or False"},
        {"{'descr': '<f4', 'fortran_order': Falsely, 'shape': ()}", "expected ',' or '}'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 3}", "expected a tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3)}", "a tuple such as (3,)"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (,)}", "expected a dimension"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,,)}", "expected a dimension"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}", "expected a dimension"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (+3,)}", "expected a dimension"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (03,)}", "expected a dimension"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3L,)}", "expected ',' or ')'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3.0,)}", "expected ',' or ')'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3 4)}", "expected ',' or ')'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4", "expected ',' or ')'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967295,)}", "below 4294967295"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,)}", "below"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", "at most 8"},
        {"{'descr': '<f4', 'fortran_order': False}", "expected the keys"},
        {"{'descr': '<f4', 'descr': '<f4', 'shape': ()}", "key 'descr', expected"},
        {"{'descr': '<f4', 'order': 1, 'shape': ()}", "key 'order', expected"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), 'shape': ()}", "key 'shape'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': ()} x", "expected nothing after"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': ()", "expected ',' or '}'"},
        {"{'a_key_that_is_much_too_long': 1}", "expected a key"},
    };
    mn_error err;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mn__npy_header header = {.rank = 77};
        assert_error(
            parse_header(1, bad[i].dict, &header, &err), MN_ERR_FORMAT, &err, bad[i].message);
        assert_int_equal(header.rank, 77);
    }
}

static void test_preamble_malformed(void **state)
{
    (void)state;
    mn__npy_header header;
    mn_error err;
    size_t count;
    unsigned char *file =
        make_file(2, "{'descr':'|u1','fortran_order':True,'shape':()}", "", 0, &count);
    for (size_t n = 0; n < count; n++) {
        unsigned char *prefix = malloc(n + 1);
        memcpy(prefix + 1, file, n);
        assert_error(mn__npy_parse_header("f", prefix + 1, n, &header, &err),
                     MN_ERR_FORMAT,
                     &err,
                     n < 8 ? "f: not a .npy file: wrong magic" : "f: truncated: header of");
        free(prefix);
    }
    file[11] = 0xff; /* a header of 4 GB */
    assert_error(
        mn__npy_parse_header("f", file, count, &header, &err), MN_ERR_FORMAT, &err, "truncated");
    file[6] = 4;
    assert_error(mn__npy_parse_header("f", file, count, &header, &err),
                 MN_ERR_FORMAT,
                 &err,
                 "f: .npy version 4, expected 1, 2 or 3");
    file[6] = 0;
    assert_error(
        mn__npy_parse_header("f", file, count, &header, &err), MN_ERR_FORMAT, &err, "version 0");
    file[1] = 'n';
    assert_error(
        mn__npy_parse_header("f", file, count, &header, &err), MN_ERR_FORMAT, &err, "wrong magic");
    free(file);
}

#define DICT(descr, shape) "{'descr': '" descr "', 'fortran_order': False, 'shape': " shape "}"

static void test_images(void **state)
{
    (void)state;
    float data[24] = {0};
    const struct {
        const char *dict;
        size_t bytes;
        const char *message; /* NULL = fine */
        mn_shape shape;
    } cases[] = {
        {DICT("|u1", "(4, 3, 2)"), 24, NULL, {3, 2, 1}},
        {DICT("|u1", "(2, 3, 2, 2)"), 24, NULL, {3, 2, 2}},
        {DICT("<f4", "(4, 3, 2)"), 96, NULL, {3, 2, 1}},
        {DICT("<f4", "(2, 1, 4, 3)"), 96, NULL, {1, 4, 3}},
        {DICT("<f8", "(4, 3, 2)"), 96, "f: images of type '<f8', expected '|u1' or '<f4'", {0}},
        {DICT(">f4", "(4, 3, 2)"), 96, "images of type '>f4'", {0}},
        {DICT("|i1", "(4, 3, 2)"), 24, "images of type '|i1'", {0}},
        {DICT("|u1", "(24,)"), 24, "f: images with 1 dimensions, expected (N,H,W)", {0}},
        {DICT("|u1", "(4, 6)"), 24, "images with 2 dimensions", {0}},
        {DICT("|u1", "(1, 2, 3, 2, 2)"), 24, "images with 5 dimensions", {0}},
        {DICT("|u1", "(0, 3, 2)"), 0, "f: 0 images, expected 1 to", {0}},
        {DICT("|u1", "(4, 0, 2)"), 0, "f: images of 0x2x1 uint8, expected sides from 1", {0}},
        {DICT("|u1", "(4, 3, 2, 0)"), 0, "images of 3x2x0 uint8", {0}},
        {DICT("|u1", "(1000, 3, 2)"), 23, "f: truncated: 1000 images promised, 3 whole ones", {0}},
        {DICT("<f4", "(4, 3, 2)"), 95, "truncated: 4 images promised, 3 whole ones found", {0}},
        {DICT("|u1", "(3, 3, 2)"), 20, "f: 2 bytes after the last of 3 images", {0}},
        {DICT("<f4", "(2, 4000000000, 4000000000, 4000000000)"), 96, "images of 4000000000", {0}},
        {DICT("|u1", "(4000000000, 4000000000, 4000000000)"), 96, "0 whole ones found", {0}},
        {"{'descr': '|u1', 'fortran_order': True, 'shape': (4, 3, 2)}",
         24,
         "f: fortran_order is True, expected False",
         {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t count;
        mn__image_view view = {.count = 77};
        mn_error err;
        unsigned char *file = make_file(1, cases[i].dict, data, cases[i].bytes, &count);
        if (cases[i].message == NULL) {
            assert_ok(mn__npy_parse_images("f", file, count, &view, &err), &err);
            assert_memory_equal(&view.shape, &cases[i].shape, sizeof view.shape);
            assert_int_equal(view.bytes, cases[i].bytes);
            assert_int_equal(view.offset, count - cases[i].bytes);
        } else {
            assert_error(mn__npy_parse_images("f", file, count, &view, &err),
                         MN_ERR_FORMAT,
                         &err,
                         cases[i].message);
            assert_int_equal(view.count, 77);
        }
        free(file);
    }
}

static void test_not_finite(void **state)
{
    (void)state;
    const float wrong[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        float data[24] = {0};
        size_t count;
        mn__image_view view;
        mn_error err;
        data[3 * 6 + 5] = wrong[i];
        unsigned char *file = make_file(1, DICT("<f4", "(4, 3, 2)"), data, sizeof data, &count);
        assert_error(mn__npy_parse_images("f", file, count, &view, &err),
                     MN_ERR_FORMAT,
                     &err,
                     "f: image 3: number 5 is not finite");
        free(file);
    }
}

/* Every integer type and byte order gives the same labels; the ends of the range are told. */
static void test_label_types(void **state)
{
    (void)state;
    static const char kinds[] = "iu";
    static const char sizes[] = "1248";
    static const char orders[] = "<>|";
    for (size_t k = 0; k < 2; k++) {
        for (size_t s = 0; s < 4; s++) {
            for (size_t o = 0; o < 3; o++) {
                size_t size = (size_t)(sizes[s] - '0');
                if (orders[o] == '|' && size > 1)
                    continue;
                const uint16_t values[3] = {7, 0, size == 1 ? 127 : 9999};
                unsigned char data[24] = {0};
                for (size_t i = 0; i < 3; i++)
                    for (size_t b = 0; b < size && b < 2; b++)
                        data[i * size + (orders[o] == '>' ? size - 1 - b : b)] =
                            (unsigned char)(values[i] >> (8 * b));
                char dict[128];
                snprintf(dict,
                         sizeof dict,
                         "{'descr': '%c%c%c', 'fortran_order': False, 'shape': (3,%s)}",
                         orders[o],
                         kinds[k],
                         sizes[s],
                         o == 1 ? " 1" : "");
                size_t count;
                mn_error err;
                mn__labels labels = {0};
                unsigned char *file = make_file(1, dict, data, 3 * size, &count);
                assert_ok(mn__npy_parse_labels("f", file, count, &labels, &err), &err);
                assert_int_equal(labels.count, 3);
                assert_memory_equal(labels.items, values, sizeof values);
                free(labels.items);
                free(file);
            }
        }
    }
}

static void test_labels_malformed(void **state)
{
    (void)state;
    const struct {
        const char *dict;
        const char *data;
        size_t bytes;
        const char *message;
    } bad[] = {
        {DICT("|i1", "(2,)"), "\0\xff", 2, "f: label 1 is -1, out of range [0,10000)"},
        {DICT("<i2", "(1,)"), "\x00\x80", 2, "f: label 0 is -32768, out of range"},
        {DICT(">i4", "(1,)"), "\x80\0\0\0", 4, "f: label 0 is -2147483648, out"},
        {DICT("<i8", "(1,)"), "\0\0\0\0\0\0\0\x80", 8, "label 0 is -9223372036854775808, out"},
        {DICT("<u8", "(1,)"), "\0\0\0\0\0\0\0\x80", 8, "label 0 is 9223372036854775808, out"},
        {DICT("<u2", "(1,)"), "\x10\x27", 2, "f: label 0 is 10000, out of range [0,10000)"},
        {DICT("<f4", "(1,)"), "\0\0\0\0", 4, "f: labels of type '<f4', expected an integer type"},
        {DICT("|b1", "(1,)"), "\0", 1, "labels of type '|b1'"},
        {DICT("|i2", "(1,)"), "\0\0", 2, "labels of type '|i2'"},
        {DICT("<i3", "(1,)"), "\0\0\0", 3, "labels of type '<i3'"},
        {DICT("<i", "(1,)"), "\0", 1, "labels of type '<i'"},
        {DICT("<i16", "(1,)"), "\0", 1, "labels of type '<i16'"},
        {DICT("|u1", "()"), "\0", 1, "f: labels are not of shape (N) or (N,1)"},
        {DICT("|u1", "(1, 2)"), "\0\0", 2, "labels are not of shape"},
        {DICT("|u1", "(1, 1, 1)"), "\0", 1, "labels are not of shape"},
        {DICT("|u1", "(0,)"), "", 0, "f: 0 labels, expected"},
        {DICT("<i8", "(2,)"), "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15, "2 labels promised, 1 whole"},
        {DICT("<i8", "(4294967294,)"), "\0", 1, "4294967294 labels promised, 0 whole"},
        {DICT("|u1", "(1,)"), "\0\0", 2, "f: 1 bytes after the last of 1 labels"},
        {"{'descr': '|u1', 'fortran_order': True, 'shape': (1,)}", "\0", 1, "fortran_order is"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t count;
        mn__labels labels = {.count = 77};
        mn_error err;
        unsigned char *file = make_file(1, bad[i].dict, bad[i].data, bad[i].bytes, &count);
        assert_error(mn__npy_parse_labels("f", file, count, &labels, &err),
                     MN_ERR_FORMAT,
                     &err,
                     bad[i].message);
        assert_int_equal(labels.count, 77);
        free(file);
    }
}

static const data_toy toy = {
    .train_count = 12, .test_count = 5, .classes = 4, .h = 3, .w = 5, .c = 2, .seed = 11};

static void test_open(void **state)
{
    (void)state;
    uint8_t *pixels = data_toy_pixels(&toy, false);
    for (int as_float = 0; as_float < 2; as_float++) {
        char *folder = data_folder_make();
        char *spec = data_spec_make("npy:", folder);
        mn_dataset *dataset = NULL;
        mn_error err;
        data_toy_write_npy(folder, &toy, as_float != 0);
        assert_ok(mn_dataset_open(spec, &dataset, &err), &err);
        assert_int_equal(dataset->pixel_type, as_float ? MN_PIXEL_F32 : MN_PIXEL_U8);
        assert_int_equal(dataset->shape.c, 2);
        assert_int_equal(dataset->class_count, 4);
        const float *floats = dataset->train.pixels;
        for (size_t i = 0; as_float && i < 12 * 30; i++)
            assert_true(floats[i] == (float)pixels[i] / 255.0f);
        if (!as_float)
            assert_memory_equal(dataset->train.pixels, pixels, 12 * 30);
        mn_dataset_free(dataset);
        free(spec);
        data_folder_remove(folder);
    }
    free(pixels);
}

static void test_broken_sets(void **state)
{
    (void)state;
    static const char *const names[] = {"x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy"};
    mn_error err;
    mn_dataset *dataset = NULL;
    for (size_t i = 0; i < 4; i++) {
        char *folder = data_folder_make();
        char *spec = data_spec_make("npy:", folder);
        char *path = mn_path_join(folder, names[i]);
        data_toy_write_npy(folder, &toy, false);
        assert_int_equal(remove(path), 0);
        char *message = data_spec_make(path, ": No such file");
        assert_error(mn_dataset_open(spec, &dataset, &err), MN_ERR_IO, &err, message);
        data_file_write(folder, names[i], "abc", 3);
        assert_error(mn_dataset_open(spec, &dataset, &err), MN_ERR_FORMAT, &err, "not a .npy file");
        assert_null(dataset);
        free(message);
        free(path);
        free(spec);
        data_folder_remove(folder);
    }
    char *folder = data_folder_make();
    char *spec = data_spec_make("npy:", folder);
    const float pixels[30] = {0};
    data_toy_write_npy(folder, &toy, false);
    const data_array floats = {"<f4", 4, {1, 3, 5, 2}, pixels, sizeof pixels};
    data_npy_write(folder, "x_test.npy", &floats);
    assert_error(mn_dataset_open(spec, &dataset, &err),
                 MN_ERR_FORMAT,
                 &err,
                 "x_test.npy: images are 3x5x2 float32, expected 3x5x2 uint8 as in training");
    const data_array few = {"|u1", 4, {1, 3, 5, 2}, pixels, 30};
    data_npy_write(folder, "x_test.npy", &few);
    assert_error(mn_dataset_open(spec, &dataset, &err),
                 MN_ERR_FORMAT,
                 &err,
                 "y_test.npy: 5 labels, expected 1, one for each image");
    free(spec);
    data_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_header_malformed),
        cmocka_unit_test(test_preamble_malformed),
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_label_types),
        cmocka_unit_test(test_labels_malformed),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_broken_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

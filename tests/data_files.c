/*
 * Writes tiny data sets. Uses no code of the data floor, so that a reader is never checked against
 * itself.
 */
#include "data_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "base/random.h"

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "test helper: cannot %s\n", what);
    abort();
}

static void *room(size_t bytes)
{
    void *block = calloc(bytes + 1, 1);
    must(block != NULL, "allocate");
    return block;
}

char *data_folder_make(void)
{
    const char *base = getenv("TMPDIR");
    char *folder = NULL;
    must(asprintf(&folder, "%s/memnet-data-XXXXXX", base != NULL ? base : "/tmp") > 0, "allocate");
    must(mkdtemp(folder) != NULL, "make a folder");
    return folder;
}

void data_folder_remove(char *folder)
{
    must(mn_folder_remove(folder, NULL) == MN_OK, "remove a folder");
    free(folder);
}

char *data_spec_make(const char *prefix, const char *folder)
{
    char *spec = NULL;
    must(asprintf(&spec, "%s%s", prefix, folder) > 0, "allocate");
    return spec;
}

void data_file_write(const char *folder, const char *name, const void *bytes, size_t count)
{
    char *path = mn_path_join(folder, name);
    must(path != NULL, "allocate");
    FILE *file = fopen(path, "wb");
    must(file != NULL && fwrite(bytes, 1, count, file) == count, "write a file");
    must(fclose(file) == 0, "close a file");
    free(path);
}

void data_file_write_gzip(const char *folder, const char *name, const void *bytes, size_t count)
{
    char *path = mn_path_join(folder, name);
    must(path != NULL, "allocate");
    gzFile file = gzopen(path, "wb");
    must(file != NULL && gzwrite(file, bytes, (unsigned)count) == (int)count, "write a file");
    must(gzclose(file) == Z_OK, "close a file");
    free(path);
}

void data_npy_write(const char *folder, const char *name, const data_array *array)
{
    char dict[256];
    char *out = room(sizeof dict + array->count + 64);
    int length = snprintf(
        dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (", array->descr);
    for (uint32_t i = 0; i < array->rank; i++)
        length += snprintf(dict + length, sizeof dict - (size_t)length, "%u, ", array->dims[i]);
    length += snprintf(dict + length, sizeof dict - (size_t)length, "), }");
    size_t padded = ((size_t)length + 1 + 10 + 63) / 64 * 64 - 10;
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (char)(padded & 255);
    out[9] = (char)(padded >> 8);
    memset(out + 10, ' ', padded);
    memcpy(out + 10, dict, (size_t)length);
    out[10 + padded - 1] = '\n';
    memcpy(out + 10 + padded, array->bytes, array->count);
    data_file_write(folder, name, out, 10 + padded + array->count);
    free(out);
}

static void put_be32(unsigned char *p, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(value >> (24 - 8 * i));
}

unsigned char *data_idx_make(const data_array *array, size_t *ret_count)
{
    size_t header = 4 + 4 * (size_t)array->rank;
    unsigned char *out = room(header + array->count);
    put_be32(out, 0x800 + array->rank);
    for (uint32_t i = 0; i < array->rank; i++)
        put_be32(out + 4 + 4 * i, array->dims[i]);
    memcpy(out + header, array->bytes, array->count);
    *ret_count = header + array->count;
    return out;
}

static uint32_t toy_count(const data_toy *toy, bool test)
{
    return test ? toy->test_count : toy->train_count;
}

static size_t toy_elements(const data_toy *toy)
{
    return (size_t)toy->h * toy->w * toy->c;
}

uint8_t *data_toy_pixels(const data_toy *toy, bool test)
{
    uint32_t count = toy_count(toy, test);
    size_t sites = (size_t)toy->h * toy->w;
    uint8_t *pixels = room(count * toy_elements(toy));
    mn_random random = mn_random_make(toy->seed, test ? 1 : 0);
    uint8_t *p = pixels;
    for (uint32_t i = 0; i < count; i++) {
        for (size_t site = 0; site < sites; site++) {
            bool lit = site * toy->classes / sites == i % toy->classes;
            for (uint32_t c = 0; c < toy->c; c++)
                *p++ = (uint8_t)((lit ? 160 : 0) + mn_random_below(&random, 96));
        }
    }
    return pixels;
}

static uint8_t *toy_labels(const data_toy *toy, bool test)
{
    uint32_t count = toy_count(toy, test);
    uint8_t *labels = room(count);
    for (uint32_t i = 0; i < count; i++)
        labels[i] = (uint8_t)(i % toy->classes);
    return labels;
}

static void toy_write_npy_part(const char *folder, const data_toy *toy, bool test, bool as_float)
{
    uint32_t count = toy_count(toy, test);
    size_t elements = count * toy_elements(toy);
    uint8_t *pixels = data_toy_pixels(toy, test);
    uint8_t *labels = toy_labels(toy, test);
    float *floats = room(elements * sizeof *floats);
    for (size_t i = 0; i < elements; i++)
        floats[i] = (float)pixels[i] / 255.0f;
    data_array x = {as_float ? "<f4" : "|u1", 4, {count, toy->h, toy->w, toy->c}, pixels, elements};
    if (as_float) {
        x.bytes = floats;
        x.count = elements * sizeof *floats;
    }
    data_array y = {"|u1", 1, {count}, labels, count};
    data_npy_write(folder, test ? "x_test.npy" : "x_train.npy", &x);
    data_npy_write(folder, test ? "y_test.npy" : "y_train.npy", &y);
    free(floats);
    free(labels);
    free(pixels);
}

void data_toy_write_npy(const char *folder, const data_toy *toy, bool as_float)
{
    toy_write_npy_part(folder, toy, false, as_float);
    toy_write_npy_part(folder, toy, true, as_float);
}

static void write_idx(const char *folder, const char *name, const data_array *array, bool gzip)
{
    size_t count;
    unsigned char *bytes = data_idx_make(array, &count);
    char *full = NULL;
    must(asprintf(&full, "%s%s", name, gzip ? ".gz" : "") > 0, "allocate");
    if (gzip)
        data_file_write_gzip(folder, full, bytes, count);
    else
        data_file_write(folder, full, bytes, count);
    free(full);
    free(bytes);
}

void data_toy_write_idx(const char *folder, const data_toy *toy, bool gzip)
{
    must(toy->c == 1, "write idx images of several channels");
    for (int test = 0; test < 2; test++) {
        uint32_t count = toy_count(toy, test);
        uint8_t *pixels = data_toy_pixels(toy, test);
        uint8_t *labels = toy_labels(toy, test);
        data_array x = {"|u1", 3, {count, toy->h, toy->w}, pixels, count * toy_elements(toy)};
        data_array y = {"|u1", 1, {count}, labels, count};
        write_idx(folder, test ? "t10k-images-idx3-ubyte" : "train-images-idx3-ubyte", &x, gzip);
        write_idx(folder, test ? "t10k-labels-idx1-ubyte" : "train-labels-idx1-ubyte", &y, gzip);
        free(labels);
        free(pixels);
    }
}

/* Records of `count` images from number `first` on. */
static void write_records(
    const char *folder, const char *name, const uint8_t *pixels, uint32_t first, uint32_t count)
{
    const size_t plane = 1024;
    uint8_t *out = room(count * (1 + 3 * plane));
    uint8_t *p = out;
    for (uint32_t i = first; i < first + count; i++) {
        *p++ = (uint8_t)(i % 10);
        for (size_t k = 0; k < 3 * plane; k++)
            *p++ = pixels[i * 3 * plane + k % plane * 3 + k / plane];
    }
    data_file_write(folder, name, out, count * (1 + 3 * plane));
    free(out);
}

void data_toy_write_cifar(const char *folder, const data_toy *toy)
{
    must(toy->h == 32 && toy->w == 32 && toy->c == 3 && toy->classes == 10 &&
             toy->train_count % 5 == 0,
         "write this toy as CIFAR");
    uint8_t *train = data_toy_pixels(toy, false);
    uint8_t *test = data_toy_pixels(toy, true);
    uint32_t share = toy->train_count / 5;
    for (uint32_t i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "data_batch_%u.bin", i + 1);
        write_records(folder, name, train, i * share, share);
    }
    write_records(folder, "test_batch.bin", test, 0, toy->test_count);
    free(test);
    free(train);
}

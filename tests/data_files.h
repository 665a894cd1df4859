/*
 * Tiny data sets in a temporary folder, for tests. A helper that cannot do its work aborts: then
 * the machine is broken, not the code under test.
 */
#ifndef MN_TEST_DATA_FILES_H
#define MN_TEST_DATA_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A new folder under $TMPDIR or /tmp; given back to data_folder_remove(). */
char *data_folder_make(void);
void data_folder_remove(char *folder);

/* "<prefix><folder>", such as a spec; the caller frees it. */
char *data_spec_make(const char *prefix, const char *folder);

void data_file_write(const char *folder, const char *name, const void *bytes, size_t count);
void data_file_write_gzip(const char *folder, const char *name, const void *bytes, size_t count);

/* An array and what a .npy header says about it. */
typedef struct data_array {
    const char *descr; /* "|u1", "<f4", ... */
    uint32_t rank;
    uint32_t dims[4];
    const void *bytes;
    size_t count; /* of bytes */
} data_array;
void data_npy_write(const char *folder, const char *name, const data_array *array);

/* The bytes of an IDX file of uint8; the caller frees them. */
unsigned char *data_idx_make(const data_array *array, size_t *ret_count);

/* A learnable data set: image i is of class i % classes, class k lights the k-th stretch of the
 * pixels in row order, and there is noise on top. */
typedef struct data_toy {
    uint32_t train_count;
    uint32_t test_count;
    uint32_t classes;
    uint32_t h, w, c;
    uint64_t seed;
} data_toy;

/* (count,H,W,C) of the toy's training or test part; the caller frees them. */
uint8_t *data_toy_pixels(const data_toy *toy, bool test);

void data_toy_write_npy(const char *folder, const data_toy *toy, bool as_float);
/* c must be 1. */
void data_toy_write_idx(const char *folder, const data_toy *toy, bool gzip);
/* The shape must be 32x32x3, the classes 10, the training images a multiple of 5. */
void data_toy_write_cifar(const char *folder, const data_toy *toy);

#endif

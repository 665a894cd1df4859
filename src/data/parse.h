/*
 * Parsers of one file's bytes. They trust nothing, touch no file, and allocate no more than a small
 * multiple of the bytes that they are given, so that a fuzzer can call them. `where` (the path)
 * opens every message. Results are untouched on failure.
 */
#ifndef MN_DATA_PARSE_H
#define MN_DATA_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memnet/dataset.h"

/* Labels are 0 .. 9999: more classes than any network that fits a microcontroller can tell apart,
 * and a bound on what a single wrong label can make the program allocate. */
#define MN__CLASS_LIMIT 10000u

/* A file's content on the heap. */
typedef struct mn__bytes {
    char *items;
    size_t count;
} mn__bytes;

/* Images found in a file: where they lie in its bytes. */
typedef struct mn__image_view {
    uint32_t count; /* > 0 */
    mn_shape shape; /* no side is 0 */
    mn_pixel_type type;
    size_t offset; /* of the first pixel; of any alignment */
    size_t bytes;  /* of all pixels; offset + bytes lies within the file */
} mn__image_view;

/* Labels found in a file; `items` belongs to the caller, who frees it. */
typedef struct mn__labels {
    uint32_t count;  /* > 0 */
    uint16_t *items; /* each < MN__CLASS_LIMIT */
} mn__labels;

/* What a file says about its data, and what there is. */
typedef struct mn__body {
    const char *items; /* "images" or "labels" */
    uint32_t promised; /* by the header */
    size_t item_bytes; /* > 0 */
    size_t bytes;      /* found behind the header */
} mn__body;

/* MN_ERR_FORMAT unless the body holds what was promised, at least one item, and nothing else. */
mn_status mn__body_check(const char *where, const mn__body *body, mn_error *err);

/* IDX of the MNIST family: big-endian header, then uint8 (count,H,W) or (count). */
mn_status mn__idx_parse_images(
    const char *where, const void *bytes, size_t count, mn__image_view *ret_view, mn_error *err);
mn_status mn__idx_parse_labels(
    const char *where, const void *bytes, size_t count, mn__labels *ret_labels, mn_error *err);

/* The size that the header of an IDX file promises for the whole file; SIZE_MAX when it overflows;
 * `count` itself when the header is incomplete or of unknown magic. */
size_t mn__idx_promised_bytes(const void *bytes, size_t count);

/* CIFAR-10, binary version: records of one label byte and 3x32x32 planar pixels. Checks the file
 * and gives the number of its records. */
#define MN__CIFAR_CLASSES 10u
#define MN__CIFAR_SIDE 32u
#define MN__CIFAR_PIXELS ((size_t)3 * MN__CIFAR_SIDE * MN__CIFAR_SIDE)
#define MN__CIFAR_RECORD (1 + MN__CIFAR_PIXELS)
mn_status mn__cifar_check(
    const char *where, const void *bytes, size_t count, uint32_t *ret_records, mn_error *err);
/* Unpacks records of checked bytes: pixels (records,H,W,C), labels (records). */
void mn__cifar_unpack(const void *bytes, uint32_t records, uint8_t *pixels, uint16_t *labels);

/* The header of a .npy file, version 1, 2 or 3. */
#define MN__NPY_RANK_MAX 8u
typedef struct mn__npy_header {
    char descr[8]; /* such as "<f4" */
    bool fortran_order;
    uint32_t rank;
    uint32_t dims[MN__NPY_RANK_MAX];
    size_t offset; /* of the data; at most the bytes of the file */
} mn__npy_header;
mn_status mn__npy_parse_header(
    const char *where, const void *bytes, size_t count, mn__npy_header *ret_header, mn_error *err);
/* |u1 or <f4 of shape (N,H,W) or (N,H,W,C); floats are finite. */
mn_status mn__npy_parse_images(
    const char *where, const void *bytes, size_t count, mn__image_view *ret_view, mn_error *err);
/* Any integer type and byte order, of shape (N) or (N,1). */
mn_status mn__npy_parse_labels(
    const char *where, const void *bytes, size_t count, mn__labels *ret_labels, mn_error *err);

/*
 * Unpacks gzip bytes. The room grows with what comes out, never with what a header promises, and
 * unpacking stops without an error at `max_bytes`: what lies behind is not looked at (neither is
 * the checksum then). The caller frees ret_bytes->items.
 */
mn_status mn__gunzip(const char *where,
                     const mn__bytes *packed,
                     size_t max_bytes,
                     mn__bytes *ret_bytes,
                     mn_error *err);

#endif

/*
 * A data set under construction: what the readers fill and dataset.c checks, hashes and hands out.
 * Readers own nothing afterwards; on failure they leave what they filled, and the draft is freed.
 */
#ifndef MN_DATA_READER_H
#define MN_DATA_READER_H

#include <stddef.h>
#include <stdint.h>

#include "data/parse.h"
#include "memnet/dataset.h"

/* Largest file that is read, unpacked or not: well above every data set that a search on a CPU
 * can use, and far below what could wrap a size. */
#define MN__FILE_LIMIT ((size_t)16 << 30)

/* Training or test part; zeroed when empty. */
typedef struct mn__part {
    uint32_t count;
    void *pixels;     /* (count,H,W,C) on the heap */
    uint16_t *labels; /* (count) on the heap */
} mn__part;

typedef struct mn__draft {
    mn_shape shape;
    mn_pixel_type pixel_type;
    uint32_t class_count; /* 0 = largest training label + 1 */
    char **class_names;   /* Of mn__names_make(); NULL = numbers */
    mn__part train;
    mn__part test;
} mn__draft;

/* Frees what the draft owns and zeroes it. */
void mn__draft_done(mn__draft *draft);

/* Copies `count` names, or writes "0", "1", ... when `names` is NULL, into one block that free()
 * frees; NULL when out of memory. */
char **mn__names_make(uint32_t count, const char *const *names);

/* Finds the folder of a `spec` and fills `draft`; the readers check each file by itself and that
 * files agree with each other. */
typedef mn_status mn__reader(const char *folder, mn__draft *draft, mn_error *err);
mn__reader mn__read_fashion; /* idx, with the names of the ten classes */
mn__reader mn__read_idx;
mn__reader mn__read_cifar;
mn__reader mn__read_npy;

/*
 * Makes a part of a file of images and its labels. The part takes the file's bytes over (pixels
 * move to the front, no second copy is made) and the labels, so both are empty afterwards. The
 * first part gives the draft its shape and pixel type; the second must have the same.
 * MN_ERR_FORMAT when shapes or counts disagree.
 */
typedef struct mn__part_files {
    const char *images_path;
    const char *labels_path;
    mn__bytes *file;       /* bytes of images_path */
    mn__image_view images; /* what was found in them */
    mn__labels *labels;
} mn__part_files;
mn_status
mn__part_fill(mn__draft *draft, mn__part *part, const mn__part_files *files, mn_error *err);

/* The one sentence about a shape and pixel type in messages: "28x28x1 uint8". */
#define MN__SHAPE_TEXT_BYTES 48
void mn__shape_text(mn_shape shape, mn_pixel_type type, char ret_text[MN__SHAPE_TEXT_BYTES]);

/* Bytes of one pixel of `type`. */
size_t mn__pixel_bytes(mn_pixel_type type);

#endif

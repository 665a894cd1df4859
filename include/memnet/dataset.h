/**
 * Data sets: labelled images in memory, channels last, with a training and a test part.
 */
#ifndef MEMNET_DATASET_H
#define MEMNET_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memnet/graph.h"
#include "memnet/model.h"
#include "memnet/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mn_pixel_type { MN_PIXEL_U8, MN_PIXEL_F32 } mn_pixel_type;

/** One part of a data set. Image i starts at element i*H*W*C of `pixels`. */
typedef struct mn_images {
    uint32_t count;
    const void *pixels;     /**< (count,H,W,C) of the data set's pixel type */
    const uint16_t *labels; /**< (count), each < class_count */
} mn_images;

/** Read-only once opened; safe to share between threads. */
typedef struct mn_dataset {
    mn_shape shape;
    mn_pixel_type pixel_type;
    uint32_t class_count;
    const char *const *class_names; /**< class_count strings; "0", "1", ... where none are known. */
    mn_images train;
    mn_images test;
    char hash[17]; /**< Fingerprint of shape, type, pixels and labels. */
} mn_dataset;

/**
 * Opens a data set named by `spec`:
 *   fashion-mnist  the files of Debian's dataset-fashion-mnist
 *   cifar10:DIR    binary version (data_batch_1..5.bin, test_batch.bin)
 *   idx:DIR        the MNIST family (train-images-idx3-ubyte and so on, .gz or not)
 *   npy:DIR        x_train.npy, y_train.npy, x_test.npy, y_test.npy; x is (N,H,W[,C]) uint8 or
 *                  float32 in C order, y (N) or (N,1) of any integer type
 *
 * Nothing in the files is trusted. Every class must have a training image.
 *
 * @param ret_dataset  Freed with mn_dataset_free(); untouched on failure.
 * @retval MN_ERR_ARG     Unknown kind of spec.
 * @retval MN_ERR_IO      A missing or unreadable file (named).
 * @retval MN_ERR_FORMAT  Wrong magic, truncated, counts that disagree, label out of range, zero
 *                        images, a class without images, a number that is not finite.
 */
MN_API mn_status mn_dataset_open(const char *spec, mn_dataset **ret_dataset, mn_error *err);
/** NULL is fine. */
MN_API void mn_dataset_free(mn_dataset *dataset);

/**
 * Shares an open data set with other processes: writes it into an anonymous memory file whose
 * descriptor (not close-on-exec; the caller closes it) a child can hand to mn_dataset_map().
 */
MN_API mn_status mn_dataset_share(const mn_dataset *dataset, int *ret_fd, mn_error *err);

/** Maps a data set that mn_dataset_share() wrote, read-only and without a copy. Leaves fd open. */
MN_API mn_status mn_dataset_map(int fd, mn_dataset **ret_dataset, mn_error *err);

/** Which training images train and which validate: two lists of indices into `train`. */
typedef struct mn_split {
    uint32_t train_count;
    uint32_t *train; /**< Ascending; owned. */
    uint32_t validation_count;
    uint32_t *validation; /**< Ascending; owned. */
} mn_split;

/**
 * Cuts the validation part from the training images, the same share of every class (rounded to
 * nearest, at least one image of a class stays for training). Depends on labels, seed and fraction
 * only.
 * @param fraction  [0, 1); 0 gives an empty validation list.
 */
MN_API mn_status mn_split_make(
    const mn_dataset *dataset, uint64_t seed, double fraction, mn_split *ret_split, mn_error *err);
/** Frees what the split owns and zeroes it. */
MN_API void mn_split_done(mn_split *split);

/**
 * One mean and one scale for all channels, from the listed training images: mean is the pixels'
 * mean (rounded to an integer for uint8 images), scale is 1 / standard deviation (1 for constant
 * images).
 */
MN_API mn_preprocessing mn_preprocessing_measure(const mn_dataset *dataset,
                                                 const uint32_t *indices,
                                                 uint32_t count);

#ifdef __cplusplus
}
#endif
#endif

/**
 * Batches: augmented, normalised images made ahead of the training step by a helper thread.
 */
#ifndef MEMNET_BATCHES_H
#define MEMNET_BATCHES_H

#include "memnet/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Which images are mirrored, left to right. */
typedef enum mn_flip {
    MN_FLIP_NONE,
    MN_FLIP_RANDOM,     /**< Each with probability 1/2, drawn anew in every epoch. */
    MN_FLIP_ALTERNATING /**< In even epochs a half that the seed chooses, in odd ones the other
                         * half, so that two epochs show both sides of every image. */
} mn_flip;

/** Augmentation; all zero = none. Padding shows the mean (network input 0). */
typedef struct mn_augmentation {
    uint32_t crop_padding; /**< Random translation by up to this many pixels each way. */
    mn_flip flip;
    uint32_t cutout; /**< Side of the square that is set to the mean; 0 = off. */
    float mixup;     /**< Alpha of Beta(alpha, alpha), which every batch draws its lambda from;
                      * [0, 4], 0 = off. Image i of n becomes lambda times itself and 1 -
                      * lambda times image n-1-i, after the rest of the augmentation: pairs
                      * are random where the order is. */
} mn_augmentation;

typedef struct mn_batches_opts {
    const mn_dataset *dataset; /**< Borrowed while the stream lives. */
    const mn_images *images;   /**< &dataset->train or &dataset->test; borrowed likewise. */
    const uint32_t *indices;   /**< Which images; borrowed likewise. NULL = all in order. */
    uint32_t index_count;      /**< Ignored when indices is NULL. */
    uint32_t batch;            /**< Images per batch, > 0. */
    mn_preprocessing preprocessing;
    mn_augmentation augmentation;
    bool shuffle; /**< Shuffled by (seed, epoch), and an incomplete last batch is dropped. */
    uint64_t seed;
} mn_batches_opts;

/** Borrowed from the stream until the next call. */
typedef struct mn_batch {
    uint32_t count;      /**< Images in it; less than `batch` only in a last, unshuffled one, and
                              where the set is smaller than a batch. */
    const float *images; /**< (batch,C,H,W) plain; images past `count` are zero. 64-byte aligned */
    const uint16_t *labels;       /**< (count) */
    const uint16_t *other_labels; /**< (count) of the images mixed in; NULL without mixup */
    float lambda;                 /**< Share of `labels` where images are mixed, else 1 */
    const uint32_t *index;        /**< (count): which image of `images` each one is. */
} mn_batch;

typedef struct mn_batches mn_batches;

/** Starts the helper thread, which waits for mn_batches_begin(). Options are copied. */
MN_API mn_status mn_batches_create(const mn_batches_opts *opts,
                                   mn_batches **ret_batches,
                                   mn_error *err);
/** Stops the thread. NULL is fine. */
MN_API void mn_batches_free(mn_batches *batches);

/** Batches of one epoch: floor(n / batch) when shuffled (one at least: a data set smaller than a
 * batch gives one short batch), else ceil(n / batch). */
MN_API uint32_t mn_batches_per_epoch(const mn_batches *batches);

/** Starts epoch `epoch`, dropping whatever is left of the one before. The images, their order and
 * their augmentation depend on (options, epoch) only. */
MN_API void mn_batches_begin(mn_batches *batches, uint64_t epoch);

/** The next batch of the epoch; false at its end. */
MN_API bool mn_batches_next(mn_batches *batches, mn_batch *ret_batch);

/** Bytes of all batches that are made ahead. */
MN_API size_t mn_batches_bytes(const mn_batches *batches);

/** Milliseconds that mn_batches_next() has spent waiting for the helper since creation. */
MN_API double mn_batches_wait_ms(const mn_batches *batches);

#ifdef __cplusplus
}
#endif
#endif

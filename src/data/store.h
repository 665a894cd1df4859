/*
 * What is behind a mn_dataset: who owns its memory.
 */
#ifndef MN_DATA_STORE_H
#define MN_DATA_STORE_H

#include "data/reader.h"

typedef struct mn__store {
    mn_dataset dataset; /* First, so that a pointer to it is a pointer to the store. */
    mn__draft owned;    /* Memory on the heap; of a mapped data set only the class names */
    void *mapping;      /* NULL when opened, not mapped */
    size_t mapping_bytes;
} mn__store;

/*
 * Checks of a complete draft that no single file can answer: both parts are there, every label is
 * one of the classes, every class has a training image. Finds the class count and makes class names
 * where the reader had none; sets the hash. On MN_OK the data set owns what the draft owned and the
 * draft is empty.
 */
mn_status mn__draft_finish(mn__draft *draft, mn_dataset **ret_dataset, mn_error *err);

#endif

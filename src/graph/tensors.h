/*
 * The inside of tensor lists, for the files of graph/ that read and write them in bulk. What the
 * rest of the program may use is in memnet/tensors.h.
 */
#ifndef MN_GRAPH_TENSORS_H
#define MN_GRAPH_TENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memnet/tensors.h"

/* What a tensor is, without its name and numbers. */
typedef struct mn_tensor_type {
    mn_dtype dtype;
    uint32_t rank;    /* 0 to 4 */
    uint32_t dims[4]; /* entries from `rank` on are not read */
} mn_tensor_type;

/* "F32", "I32", "I8", "U8" (the names of the safetensors format); "unknown" for other values. */
const char *mn__dtype_name(mn_dtype dtype);

/* False, leaving *ret_dtype alone, for a name that is none of the above. */
bool mn__dtype_find(const char *name, mn_dtype *ret_dtype);

/* False when the product of the dims and the element size does not fit size_t. */
bool mn__tensor_type_bytes(const mn_tensor_type *type, size_t *ret_bytes);

/* Bytes of the numbers; cannot overflow, since the tensor exists. */
size_t mn__tensor_bytes(const mn_tensor *tensor);

/*
 * mn_tensors_add() for callers that know their names to be unique and their type to be valid:
 * it does not look through the list, so that a list of n tensors is built in O(n).
 */
mn_status mn__tensors_append(mn_tensors *tensors,
                             const char *name,
                             const mn_tensor_type *type,
                             mn_tensor **ret_tensor,
                             mn_error *err);

/*
 * Makes room for one more item in a list that only ever grows by one through here: its capacity
 * is implied, the least power of two that is not below `count`. Returns the list, which may have
 * moved; NULL when out of memory, and then the old list is still good.
 */
void *mn__list_grow(void *items, uint32_t count, size_t item_bytes);

#endif

/**
 * Tensors: the numbers of a network, as a list of named arrays. Row-major; conv weights are
 * (O,I/groups,KH,KW), fully connected weights (O,C,H,W) of their input.
 */
#ifndef MEMNET_TENSORS_H
#define MEMNET_TENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "memnet/graph.h"
#include "memnet/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mn_dtype { MN_F32, MN_I32, MN_I8, MN_U8 } mn_dtype;

typedef struct mn_tensor {
    char *name; /**< Owned. */
    mn_dtype dtype;
    uint32_t rank;    /**< 0 to 4 */
    uint32_t dims[4]; /**< Unused trailing entries are 1. */
    void *data;       /**< Owned, malloc-aligned; never NULL. */
} mn_tensor;

/** A list of tensors; `items` may be read and the data written by anyone who has the list. */
typedef struct mn_tensors {
    uint32_t count;
    mn_tensor *items;
} mn_tensors;

MN_API mn_status mn_tensors_create(mn_tensors **ret_tensors, mn_error *err);
/** NULL is fine. */
MN_API void mn_tensors_free(mn_tensors *tensors);

/** One zeroed float32 tensor for each tensor of the graph, in the graph's order and names. */
MN_API mn_status mn_tensors_create_for_graph(const mn_graph *graph,
                                             mn_tensors **ret_tensors,
                                             mn_error *err);

/** Appends a zeroed tensor; name and dims are copied. MN_ERR_ARG for a name that exists. */
MN_API mn_status mn_tensors_add(mn_tensors *tensors,
                                const char *name,
                                mn_dtype dtype,
                                uint32_t rank,
                                const uint32_t *dims,
                                mn_tensor **ret_tensor,
                                mn_error *err);

/** Index of the tensor of that name, or MN_NONE. */
MN_API uint32_t mn_tensors_find(const mn_tensors *tensors, const char *name);

/**
 * Copies, by name, the tensors that `graph` needs out of `from` into a new list in graph order.
 * Extra tensors in `from` are ignored. MN_ERR_MISMATCH names the first that is missing, not
 * float32, of another shape, or not finite.
 */
MN_API mn_status mn_tensors_arrange(const mn_graph *graph,
                                    const mn_tensors *from,
                                    mn_tensors **ret_tensors,
                                    mn_error *err);

MN_API size_t mn_tensor_elements(const mn_tensor *tensor);
MN_API size_t mn_dtype_bytes(mn_dtype dtype);

/** A copy with data of its own. */
MN_API mn_status mn_tensors_clone(const mn_tensors *from, mn_tensors **ret_tensors, mn_error *err);

#ifdef __cplusplus
}
#endif
#endif

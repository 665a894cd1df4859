/*
 * Checks a list of tensors against a graph, so that nothing behind it reads past an array.
 */
#include "train/tensors_check.h"

#include <string.h>

mn_status mn__tensors_check(const mn_graph *graph, const mn_tensors *tensors, mn_error *err)
{
    uint32_t count = mn_graph_tensor_count(graph);
    if (tensors->count != count)
        return mn_error_set(
            err, MN_ERR_MISMATCH, "%u tensors, the network has %u", tensors->count, count);
    for (uint32_t t = 0; t < count; t++) {
        const mn_tensor_info *info = mn_graph_tensor(graph, t);
        const mn_tensor *tensor = &tensors->items[t];
        if (strcmp(tensor->name, info->name) != 0)
            return mn_error_set(err,
                                MN_ERR_MISMATCH,
                                "tensor %u is '%.64s', the network has '%.64s' there",
                                t,
                                tensor->name,
                                info->name);
        if (tensor->dtype != MN_F32 || tensor->rank != info->rank ||
            memcmp(tensor->dims, info->dims, sizeof info->dims) != 0)
            return mn_error_set(err,
                                MN_ERR_MISMATCH,
                                "tensor '%.64s': expected float32 (%u,%u,%u,%u)",
                                info->name,
                                info->dims[0],
                                info->dims[1],
                                info->dims[2],
                                info->dims[3]);
    }
    return MN_OK;
}

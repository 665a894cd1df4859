/*
 * Initial numbers. Each tensor draws from a stream of its own, keyed by its name, so what a
 * tensor gets does not depend on which other tensors a network has.
 */
#include "train/initialise.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/random.h"
#include "memnet/train.h"

void mn__tensor_initialise(const mn_tensor_info *info, uint64_t seed, float *data, size_t count)
{
    switch (info->role) {
    case MN_ROLE_WEIGHT: {
        /* He et al. 2015: variance 2 / fan-in keeps activations' scale through relu layers. */
        uint64_t key = mn_hash_bytes(MN_HASH_START, info->name, strlen(info->name));
        mn_random random = mn_random_make(seed, key);
        float fan_in = (float)info->dims[1] * (float)info->dims[2] * (float)info->dims[3];
        float deviation = sqrtf(2.0f / fan_in);
        for (size_t i = 0; i < count; i++)
            data[i] = deviation * mn_random_normal(&random);
        break;
    }
    case MN_ROLE_GAMMA:
    case MN_ROLE_VARIANCE:
        for (size_t i = 0; i < count; i++)
            data[i] = 1.0f;
        break;
    case MN_ROLE_BIAS:
    case MN_ROLE_BETA:
    case MN_ROLE_MEAN:
    case MN_ROLE_COUNT:
        break;
    }
}

mn_status
mn_tensors_initialise(const mn_graph *graph, uint64_t seed, mn_tensors **ret_tensors, mn_error *err)
{
    mn_tensors *tensors = NULL;
    mn_status status = mn_tensors_create_for_graph(graph, &tensors, err);
    if (status != MN_OK)
        return status;
    for (uint32_t t = 0; t < tensors->count; t++)
        mn__tensor_initialise(mn_graph_tensor(graph, t),
                              seed,
                              tensors->items[t].data,
                              mn_graph_tensor_elements(graph, t));
    *ret_tensors = tensors;
    return MN_OK;
}

/* weight (O,I,KH,KW) */
static void make_dirac(const mn_tensor_info *info, float *weight)
{
    const uint32_t inputs = info->dims[1];
    const size_t taps = (size_t)info->dims[2] * info->dims[3];
    const size_t centre = (size_t)(info->dims[2] / 2) * info->dims[3] + info->dims[3] / 2;
    for (uint32_t i = 0; i < info->dims[0] && i < inputs; i++) {
        float *filter = weight + i * inputs * taps;
        memset(filter, 0, inputs * taps * sizeof *filter);
        filter[i * taps + centre] = 1.0f;
    }
}

void mn__tensors_make_dirac(const mn_graph *graph, mn_tensors *tensors)
{
    for (uint32_t t = 0; t < tensors->count; t++) {
        const mn_tensor_info *info = mn_graph_tensor(graph, t);
        const mn_node *node = mn_graph_node(graph, info->node);
        if (node->prim == MN_PRIM_CONV && node->groups == 1 && info->role == MN_ROLE_WEIGHT)
            make_dirac(info, tensors->items[t].data);
    }
}

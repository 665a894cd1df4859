/*
 * Exponential averages, kept in the layout of the weights so that they can change places with them.
 * Invariant: what an average holds depends on the weights after each step and the step's number, so
 * that a resumed training needs nothing but the averages themselves.
 */
#include "train/average.h"

#include <string.h>

mn_status mn__average_init(mn__network *net, float decay, mn__average *ret_average, mn_error *err)
{
    mn__average average = {.decay = decay};
    void *block = NULL;
    uint32_t count = mn_graph_tensor_count(net->graph);
    mn_status status = MN_OK;
    if (decay > 0.0f)
        status = mn__network_alloc(net, count, sizeof *average.shadow, &block, err);
    average.shadow = block;
    for (uint32_t t = 0; status == MN_OK && average.shadow != NULL && t < count; t++) {
        const mn__parameter *p = &net->parameters[t];
        status = mn__network_alloc(net, p->count, sizeof *p->value, &block, err);
        if (status != MN_OK)
            break;
        average.shadow[t] = block;
        memcpy(average.shadow[t], p->value, p->count * sizeof *p->value);
    }
    if (status == MN_OK)
        *ret_average = average;
    return status;
}

/* The decay grows as in TensorFlow's ExponentialMovingAverage with num_updates, counted so that the
 * first step's is 0: the average covers about the last tenth of a short training, and nothing of
 * the initial weights. */
static float decay_at(float decay, uint64_t step)
{
    float grown = (float)((double)step / ((double)step + 9.0));
    return grown < decay ? grown : decay;
}

void mn__average_step(const mn__average *average, const mn__network *net, uint64_t step)
{
    if (average->shadow == NULL)
        return;
    const float share = 1.0f - decay_at(average->decay, step);
    for (uint32_t t = 0; t < mn_graph_tensor_count(net->graph); t++) {
        const mn__parameter *p = &net->parameters[t];
        const float *value = p->value;
        float *shadow = average->shadow[t];
        for (size_t i = 0; i < p->count; i++)
            shadow[i] += share * (value[i] - shadow[i]);
    }
}

void mn__average_swap(const mn__average *average, mn__network *net)
{
    if (average->shadow == NULL)
        return;
    for (uint32_t t = 0; t < mn_graph_tensor_count(net->graph); t++) {
        const mn__parameter *p = &net->parameters[t];
        float *shadow = average->shadow[t];
        for (size_t i = 0; i < p->count; i++) {
            float kept = p->value[i];
            p->value[i] = shadow[i];
            shadow[i] = kept;
        }
    }
    mn__network_refresh(net);
}

/*
 * Values: stored feature maps and views of them, and the sums that batch norms want of them.
 */
#include <math.h>
#include <string.h>

#include "train/network.h"

static mn_status dense_lanes(mn__network *net,
                             uint32_t channels,
                             uint32_t lanes,
                             const uint32_t **ret_channel_of,
                             mn_error *err)
{
    void *block = NULL;
    mn_status status = mn__network_alloc(net, lanes, sizeof(uint32_t), &block, err);
    if (status != MN_OK)
        return status;
    uint32_t *channel_of = block;
    for (uint32_t lane = 0; lane < lanes; lane++)
        channel_of[lane] = lane < channels ? lane : MN_NONE;
    *ret_channel_of = channel_of;
    return MN_OK;
}

static mn_status count_block_lanes(mn__network *net, mn__value *value, mn_error *err)
{
    void *block = NULL;
    mn_status status = mn__network_alloc(net, value->lanes / net->lanes, 1, &block, err);
    if (status != MN_OK)
        return status;
    uint8_t *counts = block;
    for (uint32_t lane = 0; lane < value->lanes; lane++)
        if (value->channel_of[lane] != MN_NONE)
            counts[lane / net->lanes] = (uint8_t)(lane % net->lanes + 1);
    value->block_lanes = counts;
    return MN_OK;
}

static mn_status create_storage(mn__network *net, mn__value *value, mn_error *err)
{
    void *block = NULL;
    size_t elements, bytes;
    mn_status status = mn__network_alloc(net, 1, sizeof(mn__storage), &block, err);
    if (status != MN_OK)
        return status;
    mn__storage *storage = block;
    if (!mn_size_mul(value->shape.h, value->shape.w, &elements) ||
        !mn_size_mul(elements, value->lanes, &elements) ||
        !mn_size_mul(elements, net->opts.batch, &bytes) ||
        !mn_size_mul(bytes, net->opts.simd->element_bytes, &bytes))
        return mn_error_set(err, MN_ERR_NOMEM, "no memory for feature maps that large");
    *storage = (mn__storage){.image_stride = elements};
    value->storage = storage;
    return mn__buffer_create(net, bytes, &storage->buffer, err);
}

mn_status mn__value_create(mn__network *net,
                           mn_shape shape,
                           uint32_t lanes,
                           const uint32_t *channel_of,
                           mn__value **ret_value,
                           mn_error *err)
{
    void *block = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(mn__value), &block, err);
    if (status != MN_OK)
        return status;
    mn__value *value = block;
    *value = (mn__value){.shape = shape,
                         .lanes = lanes,
                         .channel_of = channel_of,
                         .low = -INFINITY,
                         .high = INFINITY};
    if (channel_of == NULL) {
        value->lanes = (shape.c + net->lanes - 1) / net->lanes * net->lanes;
        status = dense_lanes(net, shape.c, value->lanes, &value->channel_of, err);
    }
    if (status == MN_OK)
        status = count_block_lanes(net, value, err);
    if (status == MN_OK)
        status = create_storage(net, value, err);
    if (status == MN_OK)
        *ret_value = value;
    return status;
}

mn_status
mn__value_view_create(mn__network *net, const mn__value *of, mn__value **ret_value, mn_error *err)
{
    void *block = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(mn__value), &block, err);
    if (status != MN_OK)
        return status;
    mn__value *value = block;
    *value = *of;
    value->statistics = NULL;
    value->makes_statistics = false;
    value->gradient = NULL;
    *ret_value = value;
    return MN_OK;
}

size_t mn__value_elements(const mn__value *value)
{
    return (size_t)value->shape.h * value->shape.w * value->lanes;
}

bool mn__value_plain(const mn__value *value)
{
    return value->scale == NULL && value->low == -INFINITY && value->high == INFINITY;
}

mn__buffer *mn__buffer_of(const mn__storage *storage)
{
    while (storage->whole != NULL)
        storage = storage->whole;
    return storage->buffer;
}

mn__maps mn__maps_at(const mn__network *net, const mn__storage *storage, const mn__value *like)
{
    size_t offset = 0;
    for (; storage->whole != NULL; storage = storage->whole)
        offset += storage->offset;
    return (mn__maps){
        .data = storage->buffer->data + offset * net->opts.simd->element_bytes,
        .image_stride = storage->image_stride,
        .blocks = like->lanes / net->lanes,
        .h = like->shape.h,
        .w = like->shape.w,
    };
}

mn__view mn__view_of(const mn__network *net, const mn__value *value)
{
    return (mn__view){.maps = mn__maps_at(net, value->storage, value),
                      .scale = value->scale,
                      .shift = value->shift,
                      .low = value->low,
                      .high = value->high};
}

mn_status
mn__statistics_create(mn__network *net, uint32_t lanes, mn__statistics **ret, mn_error *err)
{
    void *block = NULL;
    void *sums = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(mn__statistics), &block, err);
    if (status == MN_OK)
        status = mn__network_alloc(
            net, (size_t)net->opts.slices * 2 * lanes, sizeof(double), &sums, err);
    if (status != MN_OK)
        return status;
    *ret = block;
    **ret = (mn__statistics){.sums = sums, .lanes = lanes, .slices = net->opts.slices};
    return MN_OK;
}

void mn__statistics_clear(mn__statistics *s)
{
    memset(s->sums, 0, (size_t)s->slices * 2 * s->lanes * sizeof *s->sums);
}

void mn__statistics_add(mn__statistics *s, uint32_t slice, const float *sums)
{
    double *to = s->sums + (size_t)slice * 2 * s->lanes;
    for (size_t i = 0; i < (size_t)2 * s->lanes; i++)
        to[i] += (double)sums[i];
}

void mn__statistics_total(const mn__statistics *s, uint32_t lane, double *ret_0, double *ret_1)
{
    double first = 0.0;
    double second = 0.0;
    for (uint32_t slice = 0; slice < s->slices; slice++) {
        const double *from = s->sums + (size_t)slice * 2 * s->lanes;
        first += from[lane];
        second += from[s->lanes + lane];
    }
    *ret_0 = first;
    *ret_1 = second;
}

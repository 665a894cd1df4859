/*
 * Parameters: storage in the layout of the weight gradient (so the optimiser runs over both in one
 * pass), copies in other layouts where a primitive wants one, and the way to and from plain
 * tensors. Invariant: lanes without a channel hold zero.
 */
#include <stdlib.h>
#include <string.h>

#include "train/network.h"

mn_status mn__parameter_init(mn__network *net,
                             uint32_t tensor,
                             const dnnl_memory_desc_t *plain,
                             const dnnl_memory_desc_t *desc,
                             bool trainable,
                             mn_error *err)
{
    mn__parameter *p = &net->parameters[tensor];
    p->plain = *plain;
    p->desc = *desc;
    p->count = dnnl_memory_desc_get_size(desc) / sizeof(float);
    mn_status status = mn__memory_create(net, desc, NULL, &p->value_memory, err);
    if (status != MN_OK)
        return status;
    p->value = mn__memory_data(p->value_memory);
    if (!trainable)
        return MN_OK;
    status = mn__memory_create(net, desc, NULL, &p->gradient_memory, err);
    void *velocity = NULL;
    if (status == MN_OK)
        status = mn__network_alloc(net, p->count, sizeof(float), &velocity, err);
    if (status != MN_OK)
        return status;
    p->gradient = mn__memory_data(p->gradient_memory);
    p->velocity = velocity;
    return MN_OK;
}

/* A reorder primitive between two layouts. */
static mn_status make_reorder(mn__network *net,
                              const dnnl_memory_desc_t *from,
                              const dnnl_memory_desc_t *to,
                              dnnl_primitive_t *ret,
                              mn_error *err)
{
    dnnl_primitive_desc_t desc = NULL;
    dnnl_engine_t engine = net->backend.engine;
    mn_status status =
        mn__dnnl(dnnl_reorder_primitive_desc_create(&desc, from, engine, to, engine, NULL),
                 "weight reorder",
                 err);
    if (status != MN_OK)
        return status;
    status = mn__dnnl(dnnl_primitive_create(ret, desc), "weight reorder", err);
    (void)dnnl_primitive_desc_destroy(desc);
    return status;
}

mn_status mn__parameter_in_layout(mn__network *net,
                                  uint32_t tensor,
                                  const dnnl_memory_desc_t *wanted,
                                  dnnl_memory_t *ret_memory,
                                  mn_error *err)
{
    mn__parameter *p = &net->parameters[tensor];
    dnnl_memory_t copy = NULL;
    dnnl_primitive_t reorder = NULL;
    if (dnnl_memory_desc_equal(&p->desc, wanted)) {
        *ret_memory = p->value_memory;
        return MN_OK;
    }
    mn_status status = mn__memory_create(net, wanted, NULL, &copy, err);
    if (status == MN_OK)
        status = make_reorder(net, &p->desc, wanted, &reorder, err);
    if (status == MN_OK)
        status = mn__network_own(net, reorder, err);
    if (status != MN_OK)
        return status;
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, p->value_memory}, {DNNL_ARG_TO, copy}};
    *ret_memory = copy;
    return mn__program_primitive(&net->refresh, reorder, args, 2, err);
}

static float *part_data(const mn__parameter *p, mn__parameter_part part)
{
    switch (part) {
    case MN__PART_VALUE:
        return p->value;
    case MN__PART_GRADIENT:
        return p->gradient;
    case MN__PART_VELOCITY:
        return p->velocity;
    }
    return NULL;
}

/* Runs one reorder between plain memory and a parameter's storage, and forgets it. */
static mn_status reorder_once(mn__network *net,
                              const dnnl_memory_desc_t *from_desc,
                              float *from,
                              const dnnl_memory_desc_t *to_desc,
                              float *to,
                              mn_error *err)
{
    dnnl_primitive_t reorder = NULL;
    dnnl_memory_t from_memory = NULL;
    dnnl_memory_t to_memory = NULL;
    dnnl_engine_t engine = net->backend.engine;
    mn_status status = make_reorder(net, from_desc, to_desc, &reorder, err);
    if (status == MN_OK)
        status =
            mn__dnnl(dnnl_memory_create(&from_memory, from_desc, engine, from), "reorder", err);
    if (status == MN_OK)
        status = mn__dnnl(dnnl_memory_create(&to_memory, to_desc, engine, to), "reorder", err);
    if (status == MN_OK) {
        dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from_memory}, {DNNL_ARG_TO, to_memory}};
        status =
            mn__dnnl(dnnl_primitive_execute(reorder, net->backend.stream, 2, args), "reorder", err);
    }
    if (to_memory != NULL)
        (void)dnnl_memory_destroy(to_memory);
    if (from_memory != NULL)
        (void)dnnl_memory_destroy(from_memory);
    if (reorder != NULL)
        (void)dnnl_primitive_destroy(reorder);
    return status;
}

/* Copies between a logical tensor and the plain physical array; `to_logical` tells the way. */
static void copy_lanes(const mn__parameter *p,
                       const mn_tensor_info *info,
                       float *plain,
                       float *logical,
                       bool to_logical)
{
    size_t logical_columns = info->rank == 1 ? 1 : info->dims[1];
    for (uint32_t r = 0; r < p->rows; r++) {
        uint32_t row = p->row_channel == NULL ? r : p->row_channel[r];
        if (row == MN_NONE)
            continue;
        for (uint32_t c = 0; c < p->columns; c++) {
            uint32_t column = p->column_channel == NULL ? c : p->column_channel[c];
            if (column == MN_NONE)
                continue;
            float *a = plain + ((size_t)r * p->columns + c) * p->taps;
            float *b = logical + ((size_t)row * logical_columns + column) * p->taps;
            if (to_logical)
                memcpy(b, a, p->taps * sizeof(float));
            else
                memcpy(a, b, p->taps * sizeof(float));
        }
    }
}

static mn_status convert(mn__network *net,
                         uint32_t tensor,
                         float *stored,
                         float *logical,
                         bool to_logical,
                         mn_error *err)
{
    const mn__parameter *p = &net->parameters[tensor];
    const mn_tensor_info *info = mn_graph_tensor(net->graph, tensor);
    size_t plain_count = (size_t)p->rows * p->columns * p->taps;
    float *plain = mn_calloc(plain_count, sizeof *plain);
    if (plain == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", info->name);
    mn_status status = MN_OK;
    if (to_logical)
        status = reorder_once(net, &p->desc, stored, &p->plain, plain, err);
    if (status == MN_OK)
        copy_lanes(p, info, plain, logical, to_logical);
    if (status == MN_OK && !to_logical)
        status = reorder_once(net, &p->plain, plain, &p->desc, stored, err);
    free(plain);
    return status;
}

mn_status
mn__parameter_import(mn__network *net, uint32_t tensor, const mn_tensors *tensors, mn_error *err)
{
    mn_status status = convert(
        net, tensor, net->parameters[tensor].value, tensors->items[tensor].data, false, err);
    return status == MN_OK ? mn__network_run(net, &net->refresh, err) : status;
}

mn_status mn__parameters_import(mn__network *net,
                                mn__parameter_part part,
                                const mn_tensors *tensors,
                                mn_error *err)
{
    mn_status status = MN_OK;
    for (uint32_t t = 0; t < mn_graph_tensor_count(net->graph) && status == MN_OK; t++) {
        float *stored = part_data(&net->parameters[t], part);
        if (stored != NULL)
            status = convert(net, t, stored, tensors->items[t].data, false, err);
    }
    if (status == MN_OK && part == MN__PART_VALUE)
        status = mn__network_run(net, &net->refresh, err);
    return status;
}

mn_status
mn__parameters_export(mn__network *net, mn__parameter_part part, mn_tensors *tensors, mn_error *err)
{
    mn_status status = MN_OK;
    for (uint32_t t = 0; t < mn_graph_tensor_count(net->graph) && status == MN_OK; t++) {
        float *stored = part_data(&net->parameters[t], part);
        if (stored != NULL)
            status = convert(net, t, stored, tensors->items[t].data, true, err);
    }
    return status;
}

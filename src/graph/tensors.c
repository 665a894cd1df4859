/*
 * Tensor lists: the numbers that belong to a graph, a checkpoint or a model file.
 * Invariant: names are unique and not empty, and the size in bytes of every tensor fits size_t, so
 * that nobody behind this file needs to check a product of dims again.
 */
#include "graph/tensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

/* The one table of element types. */
static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {
    [MN_F32] = {"F32", 4},
    [MN_I32] = {"I32", 4},
    [MN_I8] = {"I8", 1},
    [MN_U8] = {"U8", 1},
};

#define DTYPE_COUNT (sizeof dtypes / sizeof dtypes[0])

#define SHAPE_TEXT_BYTES 48 /* "[4294967295,...]" with four dims and the NUL */

size_t mn_dtype_bytes(mn_dtype dtype)
{
    return (size_t)dtype < DTYPE_COUNT ? dtypes[dtype].bytes : 0;
}

const char *mn__dtype_name(mn_dtype dtype)
{
    return (size_t)dtype < DTYPE_COUNT ? dtypes[dtype].name : "unknown";
}

bool mn__dtype_find(const char *name, mn_dtype *ret_dtype)
{
    for (size_t i = 0; i < DTYPE_COUNT; i++) {
        if (strcmp(dtypes[i].name, name) == 0) {
            *ret_dtype = (mn_dtype)i;
            return true;
        }
    }
    return false;
}

bool mn__tensor_type_bytes(const mn_tensor_type *type, size_t *ret_bytes)
{
    size_t bytes = mn_dtype_bytes(type->dtype);
    for (uint32_t i = 0; i < type->rank; i++) {
        if (!mn_size_mul(bytes, type->dims[i], &bytes))
            return false;
    }
    *ret_bytes = bytes;
    return true;
}

size_t mn_tensor_elements(const mn_tensor *tensor)
{
    size_t elements = 1;
    for (uint32_t i = 0; i < tensor->rank; i++)
        elements *= tensor->dims[i];
    return elements;
}

size_t mn__tensor_bytes(const mn_tensor *tensor)
{
    return mn_tensor_elements(tensor) * mn_dtype_bytes(tensor->dtype);
}

void *mn__list_grow(void *items, uint32_t count, size_t item_bytes)
{
    if ((count & (count - 1)) != 0)
        return items;
    size_t bytes;
    if (count > MN_NONE / 2 || !mn_size_mul(count == 0 ? 1 : (size_t)count * 2, item_bytes, &bytes))
        return NULL;
    return realloc(items, bytes);
}

mn_status mn_tensors_create(mn_tensors **ret_tensors, mn_error *err)
{
    mn_tensors *tensors = mn_calloc(1, sizeof *tensors);
    if (tensors == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory for a list of tensors");
    *ret_tensors = tensors;
    return MN_OK;
}

void mn_tensors_free(mn_tensors *tensors)
{
    if (tensors == NULL)
        return;
    for (uint32_t i = 0; i < tensors->count; i++) {
        free(tensors->items[i].data);
        free(tensors->items[i].name);
    }
    free(tensors->items);
    free(tensors);
}

mn_status mn__tensors_append(mn_tensors *tensors,
                             const char *name,
                             const mn_tensor_type *type,
                             mn_tensor **ret_tensor,
                             mn_error *err)
{
    size_t bytes;
    if (!mn__tensor_type_bytes(type, &bytes))
        return mn_error_set(
            err, MN_ERR_LIMIT, "tensor '%.64s': its size in bytes does not fit size_t", name);
    mn_tensor made = {.name = strdup(name),
                      .dtype = type->dtype,
                      .rank = type->rank,
                      .dims = {1, 1, 1, 1},
                      .data = mn_calloc(bytes, 1)};
    for (uint32_t i = 0; i < type->rank; i++)
        made.dims[i] = type->dims[i];
    mn_tensor *items = NULL;
    if (made.name != NULL && made.data != NULL)
        items = mn__list_grow(tensors->items, tensors->count, sizeof *items);
    if (items == NULL) {
        free(made.data);
        free(made.name);
        return mn_error_set(
            err, MN_ERR_NOMEM, "tensor '%.64s': no memory for %zu bytes", name, bytes);
    }
    tensors->items = items;
    items[tensors->count] = made;
    if (ret_tensor != NULL)
        *ret_tensor = &items[tensors->count];
    tensors->count++;
    return MN_OK;
}

mn_status mn_tensors_add(mn_tensors *tensors,
                         const char *name,
                         mn_dtype dtype,
                         uint32_t rank,
                         const uint32_t *dims,
                         mn_tensor **ret_tensor,
                         mn_error *err)
{
    if (name == NULL || name[0] == '\0')
        return mn_error_set(err, MN_ERR_ARG, "tensor %u: has no name", tensors->count);
    if (mn_dtype_bytes(dtype) == 0)
        return mn_error_set(err, MN_ERR_ARG, "tensor '%.64s': unknown dtype %d", name, (int)dtype);
    if (rank > 4)
        return mn_error_set(
            err, MN_ERR_ARG, "tensor '%.64s': rank %u, expected at most 4", name, rank);
    if (mn_tensors_find(tensors, name) != MN_NONE)
        return mn_error_set(err, MN_ERR_ARG, "tensor '%.64s': the name exists already", name);
    mn_tensor_type type = {.dtype = dtype, .rank = rank};
    for (uint32_t i = 0; i < rank; i++)
        type.dims[i] = dims[i];
    return mn__tensors_append(tensors, name, &type, ret_tensor, err);
}

uint32_t mn_tensors_find(const mn_tensors *tensors, const char *name)
{
    for (uint32_t i = 0; i < tensors->count; i++) {
        if (strcmp(tensors->items[i].name, name) == 0)
            return i;
    }
    return MN_NONE;
}

static mn_tensor_type type_of_tensor(const mn_tensor *tensor)
{
    mn_tensor_type type = {.dtype = tensor->dtype, .rank = tensor->rank};
    memcpy(type.dims, tensor->dims, sizeof type.dims);
    return type;
}

static mn_tensor_type type_of_info(const mn_tensor_info *info)
{
    mn_tensor_type type = {.dtype = MN_F32, .rank = info->rank};
    memcpy(type.dims, info->dims, sizeof type.dims);
    return type;
}

/* Appends a tensor of the same name, type and numbers. */
static mn_status append_copy(mn_tensors *tensors, const mn_tensor *from, mn_error *err)
{
    mn_tensor_type type = type_of_tensor(from);
    mn_tensor *made = NULL;
    mn_status status = mn__tensors_append(tensors, from->name, &type, &made, err);
    if (status == MN_OK)
        memcpy(made->data, from->data, mn__tensor_bytes(from));
    return status;
}

mn_status mn_tensors_clone(const mn_tensors *from, mn_tensors **ret_tensors, mn_error *err)
{
    mn_tensors *tensors = NULL;
    mn_status status = mn_tensors_create(&tensors, err);
    for (uint32_t i = 0; status == MN_OK && i < from->count; i++)
        status = append_copy(tensors, &from->items[i], err);
    if (status != MN_OK) {
        mn_tensors_free(tensors);
        return status;
    }
    *ret_tensors = tensors;
    return MN_OK;
}

mn_status
mn_tensors_create_for_graph(const mn_graph *graph, mn_tensors **ret_tensors, mn_error *err)
{
    mn_tensors *tensors = NULL;
    mn_status status = mn_tensors_create(&tensors, err);
    uint32_t count = mn_graph_tensor_count(graph);
    for (uint32_t i = 0; status == MN_OK && i < count; i++) {
        const mn_tensor_info *info = mn_graph_tensor(graph, i);
        mn_tensor_type type = type_of_info(info);
        status = mn__tensors_append(tensors, info->name, &type, NULL, err);
    }
    if (status != MN_OK) {
        mn_tensors_free(tensors);
        return status;
    }
    *ret_tensors = tensors;
    return MN_OK;
}

static void print_shape(uint32_t rank, const uint32_t *dims, char ret_text[SHAPE_TEXT_BYTES])
{
    size_t used = 0;
    ret_text[used++] = '[';
    for (uint32_t i = 0; i < rank && i < 4; i++) {
        int length =
            snprintf(ret_text + used, SHAPE_TEXT_BYTES - used, "%s%u", i == 0 ? "" : ",", dims[i]);
        used += (size_t)length;
    }
    snprintf(ret_text + used, SHAPE_TEXT_BYTES - used, "]");
}

/* MN_ERR_MISMATCH unless `tensor` is float32, has the shape of `info` and only finite numbers. */
static mn_status check_fits(const mn_tensor_info *info, const mn_tensor *tensor, mn_error *err)
{
    if (tensor->dtype != MN_F32)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "tensor '%.64s': dtype %s, expected F32",
                            info->name,
                            mn__dtype_name(tensor->dtype));
    if (tensor->rank != info->rank ||
        memcmp(tensor->dims, info->dims, info->rank * sizeof info->dims[0]) != 0) {
        char actual[SHAPE_TEXT_BYTES];
        char expected[SHAPE_TEXT_BYTES];
        print_shape(tensor->rank, tensor->dims, actual);
        print_shape(info->rank, info->dims, expected);
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "tensor '%.64s': shape %s, expected %s",
                            info->name,
                            actual,
                            expected);
    }
    const float *numbers = tensor->data;
    size_t elements = mn_tensor_elements(tensor);
    for (size_t i = 0; i < elements; i++) {
        if (!isfinite(numbers[i]))
            return mn_error_set(err,
                                MN_ERR_MISMATCH,
                                "tensor '%.64s': element %zu is %g, expected a finite number",
                                info->name,
                                i,
                                (double)numbers[i]);
    }
    return MN_OK;
}

mn_status mn_tensors_arrange(const mn_graph *graph,
                             const mn_tensors *from,
                             mn_tensors **ret_tensors,
                             mn_error *err)
{
    mn_tensors *tensors = NULL;
    mn_status status = mn_tensors_create(&tensors, err);
    uint32_t count = mn_graph_tensor_count(graph);
    for (uint32_t i = 0; status == MN_OK && i < count; i++) {
        const mn_tensor_info *info = mn_graph_tensor(graph, i);
        uint32_t found = mn_tensors_find(from, info->name);
        if (found == MN_NONE)
            status = mn_error_set(err, MN_ERR_MISMATCH, "tensor '%.64s': missing", info->name);
        else
            status = check_fits(info, &from->items[found], err);
        if (status == MN_OK)
            status = append_copy(tensors, &from->items[found], err);
    }
    if (status != MN_OK) {
        mn_tensors_free(tensors);
        return status;
    }
    *ret_tensors = tensors;
    return MN_OK;
}

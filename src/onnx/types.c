/*
 * Arithmetic on ONNX types. Invariant: the dimensions of a checked type multiply to no more than
 * 2^48 elements, so that sums and products of a few sizes cannot wrap.
 */
#include "onnx/types.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"

static const size_t max_elements = (size_t)1 << 48;

uint32_t mn__onnx_element_bytes(int32_t element)
{
    static const uint8_t bytes[] = {
        [ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT] = 4,
        [ONNX__TENSOR_PROTO__DATA_TYPE__UINT8] = 1,
        [ONNX__TENSOR_PROTO__DATA_TYPE__INT8] = 1,
        [ONNX__TENSOR_PROTO__DATA_TYPE__UINT16] = 2,
        [ONNX__TENSOR_PROTO__DATA_TYPE__INT16] = 2,
        [ONNX__TENSOR_PROTO__DATA_TYPE__INT32] = 4,
        [ONNX__TENSOR_PROTO__DATA_TYPE__INT64] = 8,
        [ONNX__TENSOR_PROTO__DATA_TYPE__BOOL] = 1,
        [ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16] = 2,
        [ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE] = 8,
        [ONNX__TENSOR_PROTO__DATA_TYPE__UINT32] = 4,
        [ONNX__TENSOR_PROTO__DATA_TYPE__UINT64] = 8,
        [ONNX__TENSOR_PROTO__DATA_TYPE__COMPLEX64] = 8,
        [ONNX__TENSOR_PROTO__DATA_TYPE__COMPLEX128] = 16,
        [ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16] = 2,
    };
    return element >= 0 && (size_t)element < sizeof bytes ? bytes[element] : 0;
}

bool mn__onnx_is_integer(int32_t element)
{
    return element != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT &&
           element != ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE &&
           element != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16 &&
           element != ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16;
}

int64_t mn__onnx_to_int(double number)
{
    if (isnan(number))
        return 0;
    if (number >= 0x1p63)
        return INT64_MAX;
    return number < -0x1p63 ? INT64_MIN : (int64_t)number;
}

size_t mn__onnx_product(const mn__onnx_type *type, uint32_t from, uint32_t to)
{
    size_t product = 1;
    for (uint32_t d = from; d < to && d < type->rank; d++)
        product *= type->dims[d];
    return product;
}

size_t mn__onnx_elements(const mn__onnx_type *type)
{
    return mn__onnx_product(type, 0, type->rank);
}

/* A dimension of zero makes no room for the others: any part of the product may be asked for. */
mn_status mn__onnx_check(const mn__onnx_type *type, mn_error *err)
{
    size_t product = 1;
    for (uint32_t d = 0; d < type->rank; d++) {
        if (!mn_size_mul(product, type->dims[d] == 0 ? 1 : type->dims[d], &product) ||
            product > max_elements)
            return mn_error_set(err,
                                MN_ERR_LIMIT,
                                "dimension %u of %u is %" PRIu32 ": more than %zu elements in all",
                                d,
                                type->rank,
                                type->dims[d],
                                max_elements);
    }
    return MN_OK;
}

bool mn__onnx_same_dims(const mn__onnx_type *a, const mn__onnx_type *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0;
}

mn_status mn__onnx_push(mn__onnx_type *type, int64_t dim, mn_error *err)
{
    if (type->rank >= MN__ONNX_RANK)
        return mn_error_set(
            err, MN_ERR_LIMIT, "more than %d dimensions, which are not supported", MN__ONNX_RANK);
    if (dim < 0 || dim >= UINT32_MAX)
        return mn_error_set(err,
                            MN_ERR_LIMIT,
                            "dimension %u is %" PRId64 ": expected 0 to %u",
                            type->rank,
                            dim,
                            UINT32_MAX - 1);
    type->dims[type->rank++] = (uint32_t)dim;
    return MN_OK;
}

mn_status mn__onnx_broadcast(mn__onnx_type *into, const mn__onnx_type *other, mn_error *err)
{
    mn__onnx_type wide = into->rank >= other->rank ? *into : *other;
    const mn__onnx_type *narrow = into->rank >= other->rank ? other : into;
    uint32_t skip = wide.rank - narrow->rank;
    for (uint32_t d = 0; d < narrow->rank; d++) {
        uint32_t a = wide.dims[skip + d];
        uint32_t b = narrow->dims[d];
        if (a != b && a != 1 && b != 1)
            return mn_error_set(err,
                                MN_ERR_FORMAT,
                                "dimension %u is %u and %u: expected equal ones, or 1",
                                skip + d,
                                a,
                                b);
        wide.dims[skip + d] = a == 1 ? b : a;
    }
    into->rank = wide.rank;
    memcpy(into->dims, wide.dims, sizeof into->dims);
    return MN_OK;
}

mn_status
mn__onnx_constant_type(const Onnx__TensorProto *tensor, mn__onnx_type *ret_type, mn_error *err)
{
    mn__onnx_type type = {.element = tensor->data_type};
    mn_status status = MN_OK;
    for (size_t d = 0; d < tensor->n_dims && status == MN_OK; d++)
        status = mn__onnx_push(&type, tensor->dims[d], err);
    if (status == MN_OK)
        status = mn__onnx_check(&type, err);
    if (status == MN_OK)
        *ret_type = type;
    return status;
}

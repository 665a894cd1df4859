/*
 * Ops that give the same numbers another shape or order: reshapes, which take no time and no room,
 * joins, and transposes.
 */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "onnx/ops.h"

/* ---- reshapes ------------------------------------------------------------------------------ */

static mn_status keep_elements(const mn__onnx_call *call, const mn__onnx_type *type, mn_error *err)
{
    mn_status status = mn__onnx_check(type, err);
    size_t before = mn__onnx_elements(&mn__onnx_input(call, 0)->type);
    if (status == MN_OK && mn__onnx_elements(type) != before)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%zu elements, expected %zu as before",
                            mn__onnx_elements(type),
                            before);
    return status;
}

/* Numbers of a new shape, where 0 keeps a dimension and -1 is what is left over. */
static mn_status resolve_shape(const mn__onnx_call *call,
                               const double *numbers,
                               size_t count,
                               mn__onnx_type *type,
                               mn_error *err)
{
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    bool zeros = mn__onnx_int(call->node, "allowzero", 0) != 0;
    uint32_t rest = MN_NONE;
    mn_status status = MN_OK;
    for (uint32_t d = 0; d < count && status == MN_OK; d++) {
        int64_t dim = mn__onnx_to_int(numbers[d]);
        if (dim == 0 && !zeros && d >= x->rank)
            return mn_error_set(
                err, MN_ERR_FORMAT, "dimension %u is to be kept, but there are %u", d, x->rank);
        if (dim == -1 && rest != MN_NONE)
            return mn_error_set(err, MN_ERR_FORMAT, "two dimensions of -1");
        if (dim == -1)
            rest = d;
        status = mn__onnx_push(type, dim == -1 ? 1 : dim == 0 && !zeros ? x->dims[d] : dim, err);
    }
    if (status == MN_OK)
        status = mn__onnx_check(type, err);
    size_t others = status == MN_OK ? mn__onnx_elements(type) : 0;
    if (status != MN_OK || rest == MN_NONE || others == 0)
        return status;
    type->rank = rest;
    status = mn__onnx_push(type, (int64_t)(mn__onnx_elements(x) / others), err);
    type->rank = (uint32_t)count;
    return status;
}

mn_status mn__onnx_infer_reshape(mn__onnx_call *call, mn_error *err)
{
    const double *numbers = NULL;
    size_t count = 0;
    mn_status status = mn__onnx_need_inputs(call, 2, err);
    if (status == MN_OK)
        status = mn__onnx_input_numbers(call, 1, &numbers, &count, err);
    if (status != MN_OK || numbers == NULL)
        return status;
    mn__onnx_type type = {.element = call->types[0].element};
    status = resolve_shape(call, numbers, count, &type, err);
    if (status == MN_OK)
        status = keep_elements(call, &type, err);
    if (status == MN_OK)
        call->types[0] = type;
    return status;
}

mn_status mn__onnx_infer_flatten(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    if (status != MN_OK)
        return status;
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    int64_t axis = mn__onnx_int(call->node, "axis", 1);
    axis = axis < 0 ? axis + x->rank : axis;
    if (axis < 0 || axis > x->rank)
        return mn_error_set(
            err, MN_ERR_FORMAT, "axis %" PRId64 ": expected at most %u", axis, x->rank);
    mn__onnx_type *type = &call->types[0];
    type->rank = 0;
    status = mn__onnx_push(type, (int64_t)mn__onnx_product(x, 0, (uint32_t)axis), err);
    if (status == MN_OK)
        status = mn__onnx_push(type, (int64_t)mn__onnx_product(x, (uint32_t)axis, x->rank), err);
    return status;
}

mn_status mn__onnx_infer_squeeze(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    if (status != MN_OK)
        return status;
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    mn__onnx_axes axes;
    status = mn__onnx_read_axes(call, "axes", 1, x->rank, &axes, err);
    if (status != MN_OK || !axes.is_known)
        return status;
    mn__onnx_type type = {.element = x->element};
    for (uint32_t d = 0; d < x->rank && status == MN_OK; d++) {
        bool named = axes.is_given ? (axes.set >> d & 1) != 0 : x->dims[d] == 1;
        if (named && x->dims[d] != 1)
            return mn_error_set(
                err, MN_ERR_FORMAT, "dimension %u is %u: expected 1", d, x->dims[d]);
        if (!named)
            status = mn__onnx_push(&type, x->dims[d], err);
    }
    if (status == MN_OK)
        call->types[0] = type;
    return status;
}

mn_status mn__onnx_infer_unsqueeze(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    if (status != MN_OK)
        return status;
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    size_t count = 0;
    const double *numbers = NULL;
    if (mn__onnx_ints(call->node, "axes", &count) == NULL) {
        status = mn__onnx_input_numbers(call, 1, &numbers, &count, err);
        if (status != MN_OK || numbers == NULL)
            return status;
    }
    if (count > MN__ONNX_RANK - x->rank)
        return mn_error_set(err,
                            MN_ERR_LIMIT,
                            "%zu dimensions added to %u: expected at most %d in all",
                            count,
                            x->rank,
                            MN__ONNX_RANK);
    uint32_t rank = x->rank + (uint32_t)count;
    mn__onnx_axes axes;
    status = mn__onnx_read_axes(call, "axes", 1, rank, &axes, err);
    mn__onnx_type type = {.element = x->element};
    uint32_t from = 0;
    for (uint32_t d = 0; d < rank && status == MN_OK; d++)
        status = mn__onnx_push(&type, (axes.set >> d & 1) != 0 ? 1 : x->dims[from++], err);
    if (status == MN_OK)
        call->types[0] = type;
    return status;
}

mn_status mn__onnx_emit_reshape(mn__onnx_call *call, mn_error *err)
{
    return mn__onnx_add_simple(call, MN_PRIM_RESHAPE, err);
}

/* ---- joins --------------------------------------------------------------------------------- */

/* Inputs `first`, `first + step`, ... along the axis. */
static mn_status infer_join(mn__onnx_call *call, uint32_t first, uint32_t step, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, first + 1, err);
    if (status != MN_OK)
        return status;
    mn__onnx_type type = mn__onnx_input(call, first)->type;
    int64_t sum = 0;
    uint32_t axis = 0;
    status = mn__onnx_axis(mn__onnx_int(call->node, "axis", 1), type.rank, &axis, err);
    for (uint32_t i = first; i < call->input_count && status == MN_OK; i += step) {
        const mn__onnx_value *value = mn__onnx_input(call, i);
        mn__onnx_type other = {0};
        if (value != NULL)
            other = value->type;
        uint32_t side = axis < other.rank ? other.dims[axis] : 0;
        if (axis < other.rank)
            other.dims[axis] = type.dims[axis];
        if (!mn__onnx_same_dims(&type, &other))
            return mn_error_set(err,
                                MN_ERR_FORMAT,
                                "input %u: expected the dimensions of input %u but for axis %u",
                                i,
                                first,
                                axis);
        sum += side;
    }
    call->types[0] = type;
    if (status == MN_OK) {
        call->types[0].rank = axis;
        status = mn__onnx_push(&call->types[0], sum, err);
        call->types[0].rank = type.rank;
    }
    return status;
}

static mn_status emit_join(mn__onnx_call *call, uint32_t first, uint32_t step, mn_error *err)
{
    mn__onnx_import *import = call->import;
    uint32_t axis = 0;
    uint32_t count = 0;
    uint32_t rank = call->types[0].rank;
    mn_status status = mn__onnx_axis(mn__onnx_int(call->node, "axis", 1), rank, &axis, err);
    mn__onnx_value **from = mn__onnx_calloc(import->memory, call->input_count, sizeof(void *));
    if (status != MN_OK || from == NULL)
        return status != MN_OK ? status : mn__onnx_memory_error(import->memory, err);
    bool is_primitive = axis == 1 && mn__onnx_is_per_image(import, &call->types[0]);
    for (uint32_t i = first; i < call->input_count; i += step) {
        from[count] = mn__onnx_input(call, i);
        is_primitive = is_primitive && from[count]->state == MN__ONNX_ACTIVATION &&
                       from[count]->element_bytes == mn__onnx_output_bytes(call, 0);
        count++;
    }
    if (!is_primitive)
        return mn__onnx_add_opaque(call, err);
    mn_node_spec spec = {.prim = MN_PRIM_CONCAT, .constant_bytes = mn__onnx_take_constants(call)};
    return mn__onnx_add(call, 0, &spec, from, count, err);
}

mn_status mn__onnx_infer_concat(mn__onnx_call *call, mn_error *err)
{
    return infer_join(call, 0, 1, err);
}

mn_status mn__onnx_emit_concat(mn__onnx_call *call, mn_error *err)
{
    return emit_join(call, 0, 1, err);
}

/* (scale, zero point, (X, scale, zero point)...) */
mn_status mn__onnx_infer_qlinear_concat(mn__onnx_call *call, mn_error *err)
{
    return infer_join(call, 2, 3, err);
}

mn_status mn__onnx_emit_qlinear_concat(mn__onnx_call *call, mn_error *err)
{
    return emit_join(call, 2, 3, err);
}

/* ---- other orders -------------------------------------------------------------------------- */

mn_status mn__onnx_read_permutation(const mn__onnx_call *call, uint32_t *ret_perm, mn_error *err)
{
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    size_t count = 0;
    uint32_t seen = 0;
    const int64_t *perm = mn__onnx_ints(call->node, "perm", &count);
    if (perm != NULL && count != x->rank)
        return mn_error_set(
            err, MN_ERR_FORMAT, "perm has %zu numbers, expected %u", count, x->rank);
    for (uint32_t d = 0; d < x->rank; d++) {
        int64_t axis = perm == NULL ? (int64_t)x->rank - 1 - d : perm[d];
        mn_status status = mn__onnx_axis(axis, x->rank, &ret_perm[d], err);
        if (status != MN_OK)
            return status;
        seen |= 1u << ret_perm[d];
    }
    if (seen + 1 != 1u << x->rank)
        return mn_error_set(err, MN_ERR_FORMAT, "perm: expected every axis once");
    return MN_OK;
}

mn_status mn__onnx_infer_transpose(mn__onnx_call *call, mn_error *err)
{
    uint32_t perm[MN__ONNX_RANK] = {0};
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    if (status == MN_OK)
        status = mn__onnx_read_permutation(call, perm, err);
    if (status != MN_OK)
        return status;
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    call->types[0] = *x;
    for (uint32_t d = 0; d < x->rank; d++)
        call->types[0].dims[d] = x->dims[perm[d]];
    if (call->import->batch > 1 && x->rank > 0 && perm[0] != 0 &&
        mn__onnx_input(call, 0)->state == MN__ONNX_ACTIVATION)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "the batch of %u images is moved from the first dimension",
                            call->import->batch);
    return MN_OK;
}

/* (N,C,H,W) between channels and blocks of pixels. */
static mn_status infer_blocks(mn__onnx_call *call, bool to_space, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    if (status != MN_OK)
        return status;
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    int64_t block = mn__onnx_int(call->node, "blocksize", 0);
    if (x->rank != 4 || block < 1 || block > UINT16_MAX)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%u dimensions, blocks of %" PRId64 ": expected 4 and 1 to %d",
                            x->rank,
                            block,
                            UINT16_MAX);
    int64_t area = block * block;
    mn__onnx_type *type = &call->types[0];
    type->rank = 0;
    if (to_space ? x->dims[1] % area != 0 : x->dims[2] % block != 0 || x->dims[3] % block != 0)
        return mn_error_set(err, MN_ERR_FORMAT, "blocks of %" PRId64 " do not fit", block);
    status = mn__onnx_push(type, x->dims[0], err);
    if (status == MN_OK)
        status = mn__onnx_push(type, to_space ? x->dims[1] / area : x->dims[1] * area, err);
    for (uint32_t d = 2; d < 4 && status == MN_OK; d++)
        status = mn__onnx_push(type, to_space ? x->dims[d] * block : x->dims[d] / block, err);
    return status;
}

mn_status mn__onnx_infer_depth_to_space(mn__onnx_call *call, mn_error *err)
{
    return infer_blocks(call, true, err);
}

mn_status mn__onnx_infer_space_to_depth(mn__onnx_call *call, mn_error *err)
{
    return infer_blocks(call, false, err);
}

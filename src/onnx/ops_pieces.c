/*
 * Ops that take pieces of a value or repeat it. Their outputs' shapes stand in constants.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "onnx/ops.h"
#include "onnx/slices.h"

/* ---- numbers that are an attribute in old opsets and an input in new ones ------------------ */

/* A list of at most MN__ONNX_SMALL integers: the attribute, or else the input. */
typedef struct integers {
    int64_t items[MN__ONNX_SMALL];
    size_t count;
    bool is_given, is_known;
} integers;

static mn_status read_integers(
    const mn__onnx_call *call, const char *name, uint32_t input, integers *list, mn_error *err)
{
    const double *numbers = NULL;
    size_t count = 0;
    const int64_t *listed = mn__onnx_ints(call->node, name, &count);
    mn_status status = MN_OK;
    list->is_given = listed != NULL || mn__onnx_input(call, input) != NULL;
    if (listed == NULL)
        status = mn__onnx_input_numbers(call, input, &numbers, &count, err);
    list->is_known = listed != NULL || numbers != NULL;
    if (!list->is_known || status != MN_OK)
        return status;
    if (count > MN__ONNX_SMALL)
        return mn_error_set(err,
                            MN_ERR_LIMIT,
                            "%s has %zu numbers, expected at most %d",
                            name,
                            count,
                            MN__ONNX_SMALL);
    list->count = count;
    for (size_t i = 0; i < count; i++)
        list->items[i] = listed != NULL ? listed[i] : mn__onnx_to_int(numbers[i]);
    return MN_OK;
}

/* ---- slices -------------------------------------------------------------------------------- */

static int64_t clamp(int64_t number, int64_t low, int64_t high)
{
    return number < low ? low : number > high ? high : number;
}

static mn_status set_slice(const mn__onnx_type *x,
                           int64_t axis,
                           int64_t start,
                           int64_t end,
                           int64_t step,
                           mn__onnx_slices *slices,
                           mn_error *err)
{
    uint32_t a = 0;
    mn_status status = mn__onnx_axis(axis, x->rank, &a, err);
    if (status != MN_OK)
        return status;
    if (step == 0 || step == INT64_MIN)
        return mn_error_set(err, MN_ERR_FORMAT, "a step of %" PRId64, step);
    int64_t in = x->dims[a];
    int64_t low = step < 0 ? -1 : 0;
    int64_t last = step < 0 ? in - 1 : in;
    start = clamp(start < 0 ? start + in : start, 0, last);
    end = clamp(end < 0 ? end + in : end, low, last);
    int64_t way = step < 0 ? start - end : end - start;
    int64_t stride = step < 0 ? -step : step;
    slices->start[a] = start;
    slices->step[a] = step;
    slices->count[a] = way <= 0 || in == 0 ? 0 : (way - 1) / stride + 1;
    return MN_OK;
}

mn_status
mn__onnx_read_slices(const mn__onnx_call *call, mn__onnx_slices *ret_slices, mn_error *err)
{
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    integers starts = {0};
    integers ends = {0};
    integers axes = {0};
    integers steps = {0};
    mn_status status = read_integers(call, "starts", 1, &starts, err);
    if (status == MN_OK)
        status = read_integers(call, "ends", 2, &ends, err);
    if (status == MN_OK)
        status = read_integers(call, "axes", 3, &axes, err);
    if (status == MN_OK)
        status = read_integers(call, "steps", 4, &steps, err);
    ret_slices->is_known = starts.is_known && ends.is_known && (axes.is_known || !axes.is_given) &&
                           (steps.is_known || !steps.is_given);
    if (status != MN_OK || !ret_slices->is_known)
        return status;
    if (starts.count != ends.count || (axes.is_given && axes.count != starts.count) ||
        (steps.is_given && steps.count != starts.count))
        return mn_error_set(
            err, MN_ERR_FORMAT, "%zu starts, but not as many ends, axes or steps", starts.count);
    for (uint32_t d = 0; d < x->rank; d++) {
        ret_slices->start[d] = 0;
        ret_slices->step[d] = 1;
        ret_slices->count[d] = x->dims[d];
    }
    for (size_t i = 0; i < starts.count && status == MN_OK; i++)
        status = set_slice(x,
                           axes.is_given ? axes.items[i] : (int64_t)i,
                           starts.items[i],
                           ends.items[i],
                           steps.is_given ? steps.items[i] : 1,
                           ret_slices,
                           err);
    return status;
}

mn_status mn__onnx_infer_slice(mn__onnx_call *call, mn_error *err)
{
    mn__onnx_slices slices = {0};
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    if (status == MN_OK)
        status = mn__onnx_read_slices(call, &slices, err);
    if (status != MN_OK || !slices.is_known)
        return status;
    mn__onnx_type type = {.element = call->types[0].element};
    for (uint32_t d = 0; d < mn__onnx_input(call, 0)->type.rank && status == MN_OK; d++)
        status = mn__onnx_push(&type, slices.count[d], err);
    if (status == MN_OK)
        call->types[0] = type;
    return status;
}

/* Equal parts, or parts of stated sizes. */
mn_status mn__onnx_infer_split(mn__onnx_call *call, mn_error *err)
{
    integers parts = {0};
    uint32_t axis = 0;
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    if (status == MN_OK)
        status = read_integers(call, "split", 1, &parts, err);
    if (status != MN_OK || (parts.is_given && !parts.is_known))
        return status;
    mn__onnx_type type = mn__onnx_input(call, 0)->type;
    status = mn__onnx_axis(mn__onnx_int(call->node, "axis", 0), type.rank, &axis, err);
    if (status != MN_OK)
        return status;
    int64_t left = type.dims[axis];
    if (parts.is_given ? parts.count != call->output_count : left % call->output_count != 0)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%u outputs: expected %" PRId64 " to be split into as many",
                            call->output_count,
                            left);
    int64_t equal = left / call->output_count;
    for (uint32_t o = 0; o < call->output_count; o++) {
        int64_t part = parts.is_given ? parts.items[o] : equal;
        if (part < 0 || part > left)
            return mn_error_set(
                err, MN_ERR_FORMAT, "part %u is %" PRId64 " of %" PRId64 " left", o, part, left);
        left -= part;
        call->types[o] = type;
        call->types[o].dims[axis] = (uint32_t)part;
    }
    return MN_OK;
}

/* ---- gathers ------------------------------------------------------------------------------- */

/* The indices' dimensions in place of the axis. */
mn_status mn__onnx_infer_gather(mn__onnx_call *call, mn_error *err)
{
    uint32_t axis = 0;
    mn_status status = mn__onnx_need_inputs(call, 2, err);
    if (status != MN_OK)
        return status;
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    const mn__onnx_type *indices = &mn__onnx_input(call, 1)->type;
    mn__onnx_type type = {.element = x->element};
    status = mn__onnx_axis(mn__onnx_int(call->node, "axis", 0), x->rank, &axis, err);
    for (uint32_t d = 0; d < axis && status == MN_OK; d++)
        status = mn__onnx_push(&type, x->dims[d], err);
    for (uint32_t d = 0; d < indices->rank && status == MN_OK; d++)
        status = mn__onnx_push(&type, indices->dims[d], err);
    for (uint32_t d = axis + 1; d < x->rank && status == MN_OK; d++)
        status = mn__onnx_push(&type, x->dims[d], err);
    if (status == MN_OK)
        call->types[0] = type;
    return status;
}

mn_status mn__onnx_infer_like_indices(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 2, err);
    if (status != MN_OK)
        return status;
    int32_t element = call->types[0].element;
    call->types[0] = mn__onnx_input(call, 1)->type;
    call->types[0].element = element;
    return MN_OK;
}

/* ---- repeats ------------------------------------------------------------------------------- */

mn_status mn__onnx_infer_expand(mn__onnx_call *call, mn_error *err)
{
    integers shape = {0};
    mn_status status = mn__onnx_need_inputs(call, 2, err);
    if (status == MN_OK)
        status = read_integers(call, "shape", 1, &shape, err);
    if (status != MN_OK || !shape.is_known)
        return status;
    mn__onnx_type type = {.element = call->types[0].element};
    for (size_t d = 0; d < shape.count && status == MN_OK; d++)
        status = mn__onnx_push(&type, shape.items[d], err);
    if (status == MN_OK)
        status = mn__onnx_broadcast(&type, &mn__onnx_input(call, 0)->type, err);
    if (status == MN_OK)
        call->types[0] = type;
    return status;
}

mn_status mn__onnx_infer_tile(mn__onnx_call *call, mn_error *err)
{
    integers repeats = {0};
    mn_status status = mn__onnx_need_inputs(call, 2, err);
    if (status == MN_OK)
        status = read_integers(call, "repeats", 1, &repeats, err);
    if (status != MN_OK || !repeats.is_known)
        return status;
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    if (repeats.count != x->rank)
        return mn_error_set(err, MN_ERR_FORMAT, "%zu repeats, expected %u", repeats.count, x->rank);
    mn__onnx_type type = {.element = x->element};
    for (uint32_t d = 0; d < x->rank && status == MN_OK; d++)
        status = mn__onnx_push(&type, clamp(repeats.items[d], -1, INT32_MAX) * x->dims[d], err);
    if (status == MN_OK)
        call->types[0] = type;
    return status;
}

mn_status mn__onnx_infer_pad(mn__onnx_call *call, mn_error *err)
{
    integers pads = {0};
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    if (status == MN_OK)
        status = read_integers(call, "pads", 1, &pads, err);
    if (status != MN_OK || !pads.is_known)
        return status;
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    if (pads.count != 2 * (size_t)x->rank)
        return mn_error_set(
            err, MN_ERR_FORMAT, "pads has %zu numbers, expected %u", pads.count, 2 * x->rank);
    mn__onnx_type type = {.element = x->element};
    for (uint32_t d = 0; d < x->rank && status == MN_OK; d++) {
        int64_t before = clamp(pads.items[d], -(int64_t)UINT32_MAX, UINT32_MAX);
        int64_t after = clamp(pads.items[x->rank + d], -(int64_t)UINT32_MAX, UINT32_MAX);
        status = mn__onnx_push(&type, before + x->dims[d] + after, err);
    }
    if (status == MN_OK)
        call->types[0] = type;
    return status;
}

/* What changes no dimension repeats nothing. */
mn_status mn__onnx_emit_expand(mn__onnx_call *call, mn_error *err)
{
    const mn__onnx_value *x = mn__onnx_input(call, 0);
    if (x->state != MN__ONNX_ACTIVATION || !mn__onnx_same_dims(&x->type, &call->types[0]))
        return mn__onnx_add_opaque(call, err);
    mn__onnx_rename(call);
    return MN_OK;
}

/* Exporters put a Pad of zeros before every average pool. */
mn_status mn__onnx_emit_pad(mn__onnx_call *call, mn_error *err)
{
    integers pads = {0};
    mn_status status = read_integers(call, "pads", 1, &pads, err);
    if (status != MN_OK)
        return status;
    bool is_none = pads.is_known;
    for (size_t i = 0; i < pads.count; i++)
        is_none = is_none && pads.items[i] == 0;
    return is_none ? mn__onnx_emit_expand(call, err) : mn__onnx_add_opaque(call, err);
}

/* ---- resizing ------------------------------------------------------------------------------ */

/* Sides that are stated, or scaled and rounded down. */
static mn_status infer_scaled(
    mn__onnx_call *call, const double *scales, const double *sizes, size_t count, mn_error *err)
{
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    if (count != x->rank)
        return mn_error_set(err, MN_ERR_FORMAT, "%zu scales or sizes, expected %u", count, x->rank);
    mn__onnx_type type = {.element = x->element};
    mn_status status = MN_OK;
    for (uint32_t d = 0; d < x->rank && status == MN_OK; d++)
        status = mn__onnx_push(
            &type,
            mn__onnx_to_int(sizes != NULL ? sizes[d] : floor((double)x->dims[d] * scales[d])),
            err);
    if (status == MN_OK)
        call->types[0] = type;
    return status;
}

/* Opset 10: (X, scales); from 11 on: (X, roi, scales, sizes). Upsample: (X, scales). */
mn_status mn__onnx_infer_resize(mn__onnx_call *call, mn_error *err)
{
    const double *scales = NULL;
    const double *sizes = NULL;
    size_t scale_count = 0;
    size_t size_count = 0;
    bool is_old = call->import->opset < 11 || strcmp(call->node->op_type, "Upsample") == 0;
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    if (status == MN_OK)
        status = mn__onnx_input_numbers(call, is_old ? 1 : 2, &scales, &scale_count, err);
    if (status == MN_OK && !is_old)
        status = mn__onnx_input_numbers(call, 3, &sizes, &size_count, err);
    if (status != MN_OK)
        return status;
    if (sizes != NULL && size_count > 0)
        return infer_scaled(call, NULL, sizes, size_count, err);
    return scales != NULL && scale_count > 0 ? infer_scaled(call, scales, NULL, scale_count, err)
                                             : MN_OK;
}

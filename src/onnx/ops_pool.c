/*
 * Pools. A window with padding that the average counts, with dilation, or over three axes is no
 * primitive of the graph and becomes opaque.
 */
#include <string.h>

#include "onnx/ops.h"
#include "onnx/windows.h"

/* MaxPool, AveragePool, LpPool, QLinearAveragePool: (N,C,spatial). */
mn_status mn__onnx_infer_pool(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    if (status != MN_OK || mn__onnx_int(call->node, "channels_last", 0) != 0)
        return status;
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    mn__onnx_windows windows;
    status = mn__onnx_read_windows(call, x, NULL, &windows, err);
    if (status == MN_OK)
        status = mn__onnx_window_type(&windows, x->dims[0], x->dims[1], &call->types[0], err);
    if (status == MN_OK && call->output_count > 1) { /* MaxPool's indices */
        call->types[1] = call->types[0];
        call->types[1].element = MN__ONNX_INT64;
    }
    return status;
}

/* True when the graph's pools are of this kind. */
static bool is_graph_pool(const mn__onnx_call *call, const mn__onnx_windows *windows, bool average)
{
    bool counts_padding = average && mn__onnx_int(call->node, "count_include_pad", 0) != 0;
    bool fits = true;
    for (uint32_t a = 0; a < windows->count; a++) {
        const mn__onnx_axis_window *axis = &windows->axes[a];
        fits = fits && axis->dilation == 1 && axis->before < axis->kernel &&
               axis->after < axis->kernel && (!counts_padding || axis->stated == 0);
    }
    return fits;
}

mn_status mn__onnx_emit_pool(mn__onnx_call *call, mn_error *err)
{
    mn__onnx_value *x = mn__onnx_input(call, 0);
    bool average = strstr(call->node->op_type, "Average") != NULL;
    bool one_output = call->output_count < 2 || call->outputs[1] == MN_NONE;
    if (!one_output || call->outputs[0] == MN_NONE || x->type.rank < 3 || x->type.rank > 4 ||
        x->state != MN__ONNX_ACTIVATION || !mn__onnx_is_per_image(call->import, &x->type) ||
        mn__onnx_int(call->node, "channels_last", 0) != 0)
        return mn__onnx_add_opaque(call, err);
    mn__onnx_windows windows;
    mn_status status = mn__onnx_read_windows(call, &x->type, NULL, &windows, err);
    if (status != MN_OK)
        return status;
    if (!is_graph_pool(call, &windows, average))
        return mn__onnx_add_opaque(call, err);
    mn_node_spec spec = {.prim = average ? MN_PRIM_AVG_POOL : MN_PRIM_MAX_POOL,
                         .window = mn__onnx_graph_window(&windows),
                         .constant_bytes = mn__onnx_take_constants(call)};
    return mn__onnx_add(call, 0, &spec, &x, 1, err);
}

/* (N,C,spatial) to (N,C,1,...). */
mn_status mn__onnx_infer_global_pool(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    if (status != MN_OK || mn__onnx_int(call->node, "channels_last", 0) != 0)
        return status;
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    if (x->rank < 2)
        return mn_error_set(err, MN_ERR_FORMAT, "%u dimensions, expected at least 2", x->rank);
    int32_t element = call->types[0].element;
    call->types[0] = *x;
    call->types[0].element = element;
    for (uint32_t d = 2; d < x->rank; d++)
        call->types[0].dims[d] = 1;
    return MN_OK;
}

static mn_status emit_global_pool(mn__onnx_call *call, mn_error *err)
{
    mn__onnx_value *x = mn__onnx_input(call, 0);
    if (x->type.rank < 3 || x->type.rank > 4 || x->state != MN__ONNX_ACTIVATION ||
        !mn__onnx_is_per_image(call->import, &x->type))
        return mn__onnx_add_opaque(call, err);
    mn_node_spec spec = {.prim = MN_PRIM_GLOBAL_POOL,
                         .constant_bytes = mn__onnx_take_constants(call)};
    return mn__onnx_add(call, 0, &spec, &x, 1, err);
}

mn_status mn__onnx_emit_global_average(mn__onnx_call *call, mn_error *err)
{
    if (mn__onnx_int(call->node, "channels_last", 0) != 0)
        return mn__onnx_add_opaque(call, err);
    return emit_global_pool(call, err);
}

/* ---- reductions ---------------------------------------------------------------------------- */

mn_status mn__onnx_infer_reduce(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    if (status != MN_OK)
        return status;
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    mn__onnx_axes axes;
    status = mn__onnx_read_axes(call, "axes", 1, x->rank, &axes, err);
    if (status != MN_OK || !axes.is_known)
        return status;
    bool keep = mn__onnx_int(call->node, "keepdims", 1) != 0;
    bool none = axes.count == 0 && mn__onnx_int(call->node, "noop_with_empty_axes", 0) != 0;
    mn__onnx_type *type = &call->types[0];
    type->rank = 0;
    for (uint32_t d = 0; d < x->rank && status == MN_OK; d++) {
        bool reduced = !none && (axes.count == 0 || (axes.set >> d & 1) != 0);
        if (!reduced || keep)
            status = mn__onnx_push(type, reduced ? 1 : x->dims[d], err);
    }
    return status;
}

/* The mean over all spatial axes is a global pool; without keepdims its (1,1,C) is the vector. */
mn_status mn__onnx_emit_reduce_mean(mn__onnx_call *call, mn_error *err)
{
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    mn__onnx_axes axes;
    mn_status status = mn__onnx_read_axes(call, "axes", 1, x->rank, &axes, err);
    if (status != MN_OK)
        return status;
    uint32_t spatial = x->rank < 2 ? 0 : (1u << x->rank) - 4;
    if (!axes.is_known || axes.count == 0 || axes.set != spatial)
        return mn__onnx_add_opaque(call, err);
    return emit_global_pool(call, err);
}

mn_status mn__onnx_infer_arg_reduce(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    if (status != MN_OK)
        return status;
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    uint32_t axis = 0;
    status = mn__onnx_axis(mn__onnx_int(call->node, "axis", 0), x->rank, &axis, err);
    mn__onnx_type type = {.element = MN__ONNX_INT64};
    for (uint32_t d = 0; d < x->rank && status == MN_OK; d++)
        if (d != axis || mn__onnx_int(call->node, "keepdims", 1) != 0)
            status = mn__onnx_push(&type, d == axis ? 1 : x->dims[d], err);
    if (status == MN_OK)
        call->types[0] = type;
    return status;
}

/* (..., K at the axis, ...): values and their indices. */
mn_status mn__onnx_infer_top_k(mn__onnx_call *call, mn_error *err)
{
    const double *k = NULL;
    size_t count = 0;
    uint32_t axis = 0;
    mn_status status = mn__onnx_need_inputs(call, 2, err);
    if (status == MN_OK)
        status = mn__onnx_input_numbers(call, 1, &k, &count, err);
    if (status != MN_OK || k == NULL || count != 1)
        return status;
    mn__onnx_type type = mn__onnx_input(call, 0)->type;
    status = mn__onnx_axis(mn__onnx_int(call->node, "axis", -1), type.rank, &axis, err);
    if (status != MN_OK)
        return status;
    if (k[0] < 0 || k[0] > type.dims[axis])
        return mn_error_set(err, MN_ERR_FORMAT, "K is %g: expected 0 to %u", k[0], type.dims[axis]);
    type.dims[axis] = (uint32_t)k[0];
    call->types[0] = type;
    if (call->output_count > 1) {
        call->types[1] = type;
        call->types[1].element = MN__ONNX_INT64;
    }
    return MN_OK;
}

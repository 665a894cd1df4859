/*
 * Convolutions: Conv and its quantised forms, and ConvTranspose, which the graph has no primitive
 * for. With constant weights over one or two spatial axes they are the graph's conv; else opaque.
 */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "onnx/ops.h"
#include "onnx/windows.h"

/* Which inputs are the weight and the bias. */
typedef struct conv_inputs {
    uint32_t weight, bias;
    uint32_t other; /* MN_NONE, or one that the primitive has no room for */
} conv_inputs;

static conv_inputs inputs_of(const mn__onnx_call *call)
{
    const char *op = call->node->op_type;
    if (strcmp(op, "QLinearConv") == 0)
        return (conv_inputs){3, 8, MN_NONE};
    if (strcmp(op, "ConvInteger") == 0)
        return (conv_inputs){1, MN_NONE, MN_NONE};
    return (conv_inputs){1, 2, strcmp(op, "FusedConv") == 0 ? 3 : MN_NONE};
}

/* (N,I,spatial) and (O,I/groups,kernel) to (N,O,spatial). */
mn_status mn__onnx_infer_conv(mn__onnx_call *call, mn_error *err)
{
    conv_inputs at = inputs_of(call);
    mn_status status = mn__onnx_need_inputs(call, at.weight + 1, err);
    if (status != MN_OK)
        return status;
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    const mn__onnx_type *weight = &mn__onnx_input(call, at.weight)->type;
    mn__onnx_windows windows;
    status = mn__onnx_read_windows(call, x, weight, &windows, err);
    if (status != MN_OK)
        return status;
    int64_t groups = mn__onnx_int(call->node, "group", 1);
    if (groups < 1 || x->dims[1] % groups != 0 || x->dims[1] / groups != weight->dims[1] ||
        weight->dims[0] % groups != 0)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%u channels, %" PRId64 " groups, a weight of (%u,%u,...): expected "
                            "channels = groups x its second, and groups that divide its first",
                            x->dims[1],
                            groups,
                            weight->dims[0],
                            weight->dims[1]);
    if (strcmp(call->node->op_type, "ConvInteger") == 0)
        call->types[0].element = MN__ONNX_INT32;
    return mn__onnx_window_type(&windows, x->dims[0], weight->dims[0], &call->types[0], err);
}

static bool is_constant_or_absent(const mn__onnx_value *value)
{
    return value == NULL || value->state == MN__ONNX_CONSTANT;
}

mn_status mn__onnx_emit_conv(mn__onnx_call *call, mn_error *err)
{
    conv_inputs at = inputs_of(call);
    mn__onnx_value *x = mn__onnx_input(call, 0);
    const mn__onnx_value *weight = mn__onnx_input(call, at.weight);
    const mn__onnx_value *bias = at.bias == MN_NONE ? NULL : mn__onnx_input(call, at.bias);
    bool is_primitive = x->state == MN__ONNX_ACTIVATION && weight->state == MN__ONNX_CONSTANT &&
                        is_constant_or_absent(bias) && x->type.rank <= 4 &&
                        (at.other == MN_NONE || mn__onnx_input(call, at.other) == NULL) &&
                        mn__onnx_is_per_image(call->import, &x->type);
    if (!is_primitive)
        return mn__onnx_add_opaque(call, err);
    mn__onnx_windows windows;
    mn_status status = mn__onnx_read_windows(call, &x->type, &weight->type, &windows, err);
    if (status != MN_OK)
        return status;
    size_t numbers = mn__onnx_elements(&weight->type) + (bias == NULL ? 0 : weight->type.dims[0]);
    mn_node_spec spec = {
        .prim = MN_PRIM_CONV,
        .channels = weight->type.dims[0],
        .window = mn__onnx_graph_window(&windows),
        .groups = (uint32_t)mn__onnx_int(call->node, "group", 1),
        .bias = bias != NULL,
        .constant_bytes =
            mn__onnx_stated_bytes(mn__onnx_take_constants(call), numbers * sizeof(float)),
    };
    return mn__onnx_add(call, 0, &spec, &x, 1, err);
}

/* Output side of one axis of ConvTranspose, before the checks of mn__onnx_push(). */
static mn_status transposed_side(const mn__onnx_call *call,
                                 const mn__onnx_axis_window *axis,
                                 int64_t in,
                                 uint32_t a,
                                 uint32_t axes,
                                 int64_t *ret_side,
                                 mn_error *err)
{
    size_t count = 0;
    const int64_t *shape = mn__onnx_ints(call->node, "output_shape", &count);
    if (shape != NULL && (count == axes || count == axes + 2)) {
        *ret_side = shape[count - axes + a];
        return MN_OK;
    }
    const int64_t *extra = mn__onnx_ints(call->node, "output_padding", &count);
    int64_t more = extra != NULL && a < count ? extra[a] : 0;
    if (more < 0 || more > INT32_MAX)
        return mn_error_set(err, MN_ERR_FORMAT, "output_padding of %" PRId64, more);
    bool same = mn__onnx_string_is(call->node, "auto_pad", "SAME_UPPER") ||
                mn__onnx_string_is(call->node, "auto_pad", "SAME_LOWER");
    int64_t reach = (axis->kernel - 1) * axis->dilation + 1;
    *ret_side = same ? in * axis->stride
                     : (in - 1) * axis->stride + more + reach - axis->before - axis->after;
    return MN_OK;
}

/* (N,I,spatial) and (I,O/groups,kernel) to (N,O,spatial). */
mn_status mn__onnx_infer_conv_transpose(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 2, err);
    if (status != MN_OK)
        return status;
    mn__onnx_type *type = &call->types[0];
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    const mn__onnx_type *weight = &mn__onnx_input(call, 1)->type;
    mn__onnx_type ample = *x; /* any window fits: here it is the output that it must fit */
    for (uint32_t d = 2; d < x->rank; d++)
        ample.dims[d] = UINT32_MAX;
    mn__onnx_windows windows;
    status = mn__onnx_read_windows(call, &ample, weight, &windows, err);
    if (status != MN_OK)
        return status;
    int64_t groups = mn__onnx_int(call->node, "group", 1);
    type->rank = 0;
    status = mn__onnx_push(type, x->dims[0], err);
    if (status == MN_OK && (groups < 1 || groups > INT32_MAX))
        status = mn_error_set(err, MN_ERR_FORMAT, "%" PRId64 " groups", groups);
    if (status == MN_OK)
        status = mn__onnx_push(type, weight->dims[1] * groups, err);
    for (uint32_t a = 0; a < windows.count && status == MN_OK; a++) {
        int64_t side = 0;
        status =
            transposed_side(call, &windows.axes[a], x->dims[2 + a], a, windows.count, &side, err);
        if (status == MN_OK)
            status = mn__onnx_push(type, side, err);
    }
    return status;
}

/*
 * Ops that work element by element: activations, batch norm, sums and the long tail that is opaque.
 */
#include <float.h>
#include <string.h>

#include "base/size.h"
#include "onnx/ops.h"

/* All outputs are like input 0. */
mn_status mn__onnx_infer_same(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    for (uint32_t o = 0; o < call->output_count && status == MN_OK; o++)
        call->types[o] = mn__onnx_input(call, 0)->type;
    return status;
}

mn_status mn__onnx_infer_cast(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_infer_same(call, err);
    int64_t to = mn__onnx_int(call->node, "to", 0);
    if (status != MN_OK || strcmp(call->node->op_type, "CastLike") == 0) {
        if (status == MN_OK && mn__onnx_input(call, 1) != NULL)
            call->types[0].element = mn__onnx_input(call, 1)->type.element;
        return status;
    }
    if (to < 0 || to > INT32_MAX || mn__onnx_element_bytes((int32_t)to) == 0)
        return mn_error_set(err, MN_ERR_UNSUPPORTED, "a cast to type %lld", (long long)to);
    call->types[0].element = (int32_t)to;
    return MN_OK;
}

/* All inputs broadcast against each other. */
mn_status mn__onnx_infer_broadcast(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    mn__onnx_type type = {.element = call->types[0].element};
    for (uint32_t i = 0; i < call->input_count && status == MN_OK; i++) {
        const mn__onnx_value *value = mn__onnx_input(call, i);
        if (value != NULL)
            status = mn__onnx_broadcast(&type, &value->type, err);
    }
    if (status == MN_OK)
        call->types[0] = type;
    return status;
}

mn_status mn__onnx_infer_compare(mn__onnx_call *call, mn_error *err)
{
    call->types[0].element = MN__ONNX_BOOL;
    return mn__onnx_infer_broadcast(call, err);
}

mn_status mn__onnx_infer_test(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_infer_same(call, err);
    call->types[0].element = MN__ONNX_BOOL;
    return status;
}

mn_status mn__onnx_infer_where(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 3, err);
    if (status != MN_OK)
        return status;
    call->types[0].element = mn__onnx_input(call, 1)->type.element;
    return mn__onnx_infer_broadcast(call, err);
}

mn_status mn__onnx_emit_relu(mn__onnx_call *call, mn_error *err)
{
    return mn__onnx_add_simple(call, MN_PRIM_RELU, err);
}

static mn_status emit_clip(mn__onnx_call *call, double low, double high, mn_error *err)
{
    if (low == 0.0 && high == 6.0)
        return mn__onnx_add_simple(call, MN_PRIM_RELU6, err);
    if (low == 0.0 && high >= (double)FLT_MAX)
        return mn__onnx_add_simple(call, MN_PRIM_RELU, err);
    return mn__onnx_add_opaque(call, err);
}

/* Up to opset 10 the bounds are attributes. */
mn_status mn__onnx_emit_clip_attributes(mn__onnx_call *call, mn_error *err)
{
    return emit_clip(call,
                     mn__onnx_float(call->node, "min", -(double)FLT_MAX),
                     mn__onnx_float(call->node, "max", (double)FLT_MAX),
                     err);
}

mn_status mn__onnx_emit_clip(mn__onnx_call *call, mn_error *err)
{
    double bounds[2] = {-(double)FLT_MAX, (double)FLT_MAX};
    if (mn__onnx_input(call, 0)->state != MN__ONNX_ACTIVATION)
        return mn__onnx_add_opaque(call, err);
    for (uint32_t i = 0; i < 2; i++) {
        const double *numbers = NULL;
        size_t count = 0;
        mn_status status = mn__onnx_input_numbers(call, 1 + i, &numbers, &count, err);
        if (status != MN_OK)
            return status;
        if (mn__onnx_input(call, 1 + i) != NULL && (numbers == NULL || count != 1))
            return mn__onnx_add_opaque(call, err);
        if (numbers != NULL)
            bounds[i] = numbers[0];
    }
    return emit_clip(call, bounds[0], bounds[1], err);
}

/* In training mode the first output alone has the input's shape. */
mn_status mn__onnx_infer_batch_norm(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 5, err);
    for (uint32_t o = 0; o < call->output_count && status == MN_OK; o++)
        call->types[o] = mn__onnx_input(call, o == 0 ? 0 : 1)->type;
    return status;
}

mn_status mn__onnx_emit_batch_norm(mn__onnx_call *call, mn_error *err)
{
    mn__onnx_value *x = mn__onnx_input(call, 0);
    bool is_primitive = x->state == MN__ONNX_ACTIVATION && x->type.rank <= 4 &&
                        mn__onnx_is_per_image(call->import, &x->type) &&
                        mn__onnx_int(call->node, "training_mode", 0) == 0;
    for (uint32_t o = 1; o < call->output_count; o++)
        is_primitive = is_primitive && call->outputs[o] == MN_NONE;
    for (uint32_t i = 1; i < 5 && is_primitive; i++) {
        const mn__onnx_value *numbers = mn__onnx_input(call, i);
        is_primitive = numbers->state == MN__ONNX_CONSTANT &&
                       mn__onnx_elements(&numbers->type) == x->type.dims[1];
    }
    if (!is_primitive)
        return mn__onnx_add_opaque(call, err);
    size_t tensor_bytes = 4 * sizeof(float) * (size_t)x->type.dims[1];
    mn_node_spec spec = {
        .prim = MN_PRIM_BATCH_NORM,
        .epsilon = (float)mn__onnx_float(call->node, "epsilon", 1e-5),
        .constant_bytes = mn__onnx_stated_bytes(mn__onnx_take_constants(call), tensor_bytes),
    };
    return mn__onnx_add(call, 0, &spec, &x, 1, err);
}

/* Two activations of one shape; `b` is the input that holds the second. */
static mn_status emit_add(mn__onnx_call *call, uint32_t b, mn_error *err)
{
    mn__onnx_value *from[2] = {mn__onnx_input(call, 0), mn__onnx_input(call, b)};
    if (from[0] == NULL || from[1] == NULL || from[0]->state != MN__ONNX_ACTIVATION ||
        from[1]->state != MN__ONNX_ACTIVATION ||
        !mn__onnx_same_dims(&from[0]->type, &from[1]->type))
        return mn__onnx_add_opaque(call, err);
    mn_node_spec spec = {.prim = MN_PRIM_ADD, .constant_bytes = mn__onnx_take_constants(call)};
    return mn__onnx_add(call, 0, &spec, from, 2, err);
}

mn_status mn__onnx_emit_add(mn__onnx_call *call, mn_error *err)
{
    return call->input_count == 2 ? emit_add(call, 1, err) : mn__onnx_add_opaque(call, err);
}

/* (A, scale, zero point, B, scale, zero point, scale, zero point) */
mn_status mn__onnx_infer_qlinear_binary(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 4, err);
    if (status != MN_OK)
        return status;
    call->types[0] = mn__onnx_input(call, 0)->type;
    return mn__onnx_broadcast(&call->types[0], &mn__onnx_input(call, 3)->type, err);
}

mn_status mn__onnx_emit_qlinear_add(mn__onnx_call *call, mn_error *err)
{
    return emit_add(call, 3, err);
}

/* Inference: a new name. A mask that is read makes it an op. */
mn_status mn__onnx_emit_rename(mn__onnx_call *call, mn_error *err)
{
    if (mn__onnx_input(call, 0)->state != MN__ONNX_ACTIVATION ||
        (call->output_count > 1 && call->outputs[1] != MN_NONE))
        return mn__onnx_add_opaque(call, err);
    mn__onnx_rename(call);
    return MN_OK;
}

mn_status mn__onnx_infer_dropout(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_infer_same(call, err);
    if (status == MN_OK && call->output_count > 1)
        call->types[1].element = MN__ONNX_BOOL;
    return status;
}

mn_status mn__onnx_emit_cast(mn__onnx_call *call, mn_error *err)
{
    if (call->types[0].element != mn__onnx_input(call, 0)->type.element ||
        mn__onnx_input(call, 0)->state != MN__ONNX_ACTIVATION)
        return mn__onnx_add_opaque(call, err);
    mn__onnx_rename(call);
    return MN_OK;
}

/*
 * Ops that make values from little: constants, shapes, ranges; and recurrent layers.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "onnx/ops.h"

/* ---- Constant ------------------------------------------------------------------------------ */

static mn_status copy_numbers(mn__onnx_call *call,
                              const Onnx__AttributeProto *attribute,
                              size_t count,
                              bool is_list,
                              bool is_float,
                              mn_error *err)
{
    mn__onnx_type type = {.element = is_float ? MN__ONNX_FLOAT : MN__ONNX_INT64};
    mn_status status = is_list ? mn__onnx_push(&type, (int64_t)count, err) : MN_OK;
    double *numbers = NULL;
    if (status != MN_OK)
        return status;
    if (count <= MN__ONNX_SMALL) {
        numbers = mn__onnx_calloc(call->import->memory, count, sizeof *numbers);
        if (numbers == NULL)
            return mn__onnx_memory_error(call->import->memory, err);
    }
    for (size_t i = 0; numbers != NULL && i < count; i++)
        numbers[i] = is_float ? (double)(is_list ? attribute->floats[i] : attribute->f)
                              : (double)(is_list ? attribute->ints[i] : attribute->i);
    mn__onnx_set_constant(&call->import->values, call->outputs[0], &type, numbers);
    return MN_OK;
}

/* The type of any constant is that of its tensor; the rest are numbers and lists. */
mn_status mn__onnx_infer_constant(mn__onnx_call *call, mn_error *err)
{
    (void)err;
    call->types[0].rank = 0; /* not looked at: the emit function sets the value's type */
    return MN_OK;
}

mn_status mn__onnx_emit_constant(mn__onnx_call *call, mn_error *err)
{
    const Onnx__AttributeProto *a = mn__onnx_attribute(call->node, "value");
    if (a != NULL && a->t != NULL)
        return mn__onnx_set_tensor(&call->import->values, call->outputs[0], a->t, err);
    a = mn__onnx_attribute(call->node, "value_int");
    if (a != NULL)
        return copy_numbers(call, a, 1, false, false, err);
    a = mn__onnx_attribute(call->node, "value_float");
    if (a != NULL)
        return copy_numbers(call, a, 1, false, true, err);
    a = mn__onnx_attribute(call->node, "value_ints");
    if (a != NULL)
        return copy_numbers(call, a, a->n_ints, true, false, err);
    a = mn__onnx_attribute(call->node, "value_floats");
    if (a != NULL)
        return copy_numbers(call, a, a->n_floats, true, true, err);
    return mn_error_set(
        err, MN_ERR_UNSUPPORTED, "expected a value that is a tensor, numbers or a list of numbers");
}

/* ---- shapes -------------------------------------------------------------------------------- */

mn_status mn__onnx_infer_shape(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    call->types[0] = (mn__onnx_type){.element = MN__ONNX_INT64};
    if (status == MN_OK && strcmp(call->node->op_type, "Shape") == 0) {
        uint32_t from = 0;
        uint32_t to = 0;
        mn__onnx_shape_part(call, &from, &to);
        status = mn__onnx_push(&call->types[0], to - from, err);
    }
    return status;
}

/* Opset 15 lets Shape yield a part of the dimensions. */
void mn__onnx_shape_part(const mn__onnx_call *call, uint32_t *ret_from, uint32_t *ret_to)
{
    int64_t rank = mn__onnx_input(call, 0)->type.rank;
    int64_t from = mn__onnx_int(call->node, "start", 0);
    int64_t to = mn__onnx_int(call->node, "end", rank);
    from = from < 0 ? from + rank : from;
    to = to < 0 ? to + rank : to;
    from = from < 0 ? 0 : from > rank ? rank : from;
    to = to < from ? from : to > rank ? rank : to;
    *ret_from = (uint32_t)from;
    *ret_to = (uint32_t)to;
}

/* The dimensions stand in the input, the element type in the attribute. */
mn_status mn__onnx_infer_constant_of_shape(mn__onnx_call *call, mn_error *err)
{
    const double *numbers = NULL;
    size_t count = 0;
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    if (status == MN_OK)
        status = mn__onnx_input_numbers(call, 0, &numbers, &count, err);
    if (status != MN_OK || numbers == NULL)
        return status;
    const Onnx__AttributeProto *value = mn__onnx_attribute(call->node, "value");
    mn__onnx_type type = {.element = MN__ONNX_FLOAT};
    if (value != NULL && value->t != NULL)
        type.element = value->t->data_type;
    for (size_t d = 0; d < count && status == MN_OK; d++)
        status = mn__onnx_push(&type, mn__onnx_to_int(numbers[d]), err);
    if (status == MN_OK)
        call->types[0] = type;
    return status;
}

/* (start, limit, delta) */
mn_status mn__onnx_infer_range(mn__onnx_call *call, mn_error *err)
{
    double bounds[3] = {0};
    mn_status status = mn__onnx_need_inputs(call, 3, err);
    for (uint32_t i = 0; i < 3 && status == MN_OK; i++) {
        const double *numbers = NULL;
        size_t count = 0;
        status = mn__onnx_input_numbers(call, i, &numbers, &count, err);
        if (status == MN_OK && (numbers == NULL || count != 1))
            return MN_OK;
        if (status == MN_OK)
            bounds[i] = numbers[0];
    }
    if (status != MN_OK)
        return status;
    double count = ceil((bounds[1] - bounds[0]) / bounds[2]);
    mn__onnx_type type = {.element = call->types[0].element};
    status = mn__onnx_push(&type, count > 0 ? mn__onnx_to_int(count) : 0, err);
    if (status == MN_OK)
        call->types[0] = type;
    return status;
}

/* (indices, depth, values): a new axis of `depth`. */
mn_status mn__onnx_infer_one_hot(mn__onnx_call *call, mn_error *err)
{
    const double *depth = NULL;
    size_t count = 0;
    mn_status status = mn__onnx_need_inputs(call, 3, err);
    if (status == MN_OK)
        status = mn__onnx_input_numbers(call, 1, &depth, &count, err);
    if (status != MN_OK || depth == NULL || count != 1)
        return status;
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    uint32_t axis = 0;
    uint32_t from = 0;
    mn__onnx_type type = {.element = mn__onnx_input(call, 2)->type.element};
    status = mn__onnx_axis(mn__onnx_int(call->node, "axis", -1), x->rank + 1, &axis, err);
    for (uint32_t d = 0; d <= x->rank && status == MN_OK; d++)
        status = mn__onnx_push(
            &type, d == axis ? mn__onnx_to_int(depth[0]) : (int64_t)x->dims[from++], err);
    if (status == MN_OK)
        call->types[0] = type;
    return status;
}

/* ---- normalisations with further outputs --------------------------------------------------- */

/* Mean and deviation, which inference hardly reads, are like x with ones from the axis on. */
mn_status mn__onnx_infer_layer_norm(mn__onnx_call *call, mn_error *err)
{
    uint32_t axis = 0;
    mn_status status = mn__onnx_infer_same(call, err);
    if (status == MN_OK)
        status =
            mn__onnx_axis(mn__onnx_int(call->node, "axis", -1), call->types[0].rank, &axis, err);
    for (uint32_t o = 1; o < call->output_count && status == MN_OK; o++)
        for (uint32_t d = axis; d < call->types[o].rank; d++)
            call->types[o].dims[d] = 1;
    return status;
}

/* ---- recurrent layers ---------------------------------------------------------------------- */

/* X (T,N,I), W (D,...,I) to Y (T,D,N,H) and the last states (D,N,H); with layout 1 N comes first.
 */
mn_status mn__onnx_infer_recurrent(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 3, err);
    if (status != MN_OK)
        return status;
    const mn__onnx_type *x = &mn__onnx_input(call, 0)->type;
    const mn__onnx_type *w = &mn__onnx_input(call, 1)->type;
    int64_t hidden = mn__onnx_int(call->node, "hidden_size", 0);
    bool batch_first = mn__onnx_int(call->node, "layout", 0) != 0;
    if (!batch_first && mn__onnx_input(call, 0)->state == MN__ONNX_ACTIVATION)
        status = mn__onnx_refuse_batch(call->import, err); /* what comes first is time */
    if (status != MN_OK)
        return status;
    if (x->rank != 3 || w->rank != 3)
        return mn_error_set(
            err, MN_ERR_FORMAT, "X and W of %u and %u dimensions, expected 3", x->rank, w->rank);
    const int64_t t = x->dims[batch_first ? 1 : 0];
    const int64_t n = x->dims[batch_first ? 0 : 1];
    const int64_t d = w->dims[0];
    const int64_t all[2][4] = {{t, d, n, hidden}, {n, t, d, hidden}};
    const int64_t last[2][3] = {{d, n, hidden}, {n, d, hidden}};
    for (uint32_t o = 0; o < call->output_count && status == MN_OK; o++) {
        call->types[o].rank = 0;
        for (uint32_t k = 0; k < (o == 0 ? 4u : 3u) && status == MN_OK; k++)
            status = mn__onnx_push(
                &call->types[o], o == 0 ? all[batch_first][k] : last[batch_first][k], err);
    }
    return status;
}

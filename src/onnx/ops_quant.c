/*
 * Quantised graphs.
 *
 * In a graph of QuantizeLinear/DequantizeLinear pairs the pairs are where the bytes are, not ops:
 * - a float that only QuantizeLinear reads, be it through ops that keep the grid (readers.c), is
 *   written by its producer as one byte an element, and the QuantizeLinear is another name of it;
 * - a DequantizeLinear of an activation is another name of the quantised value; of a constant it is
 *   a constant that takes what the file stores: numbers, scale, zero point;
 * - at the borders they are ops, opaque nodes: a float input of the graph stays four bytes wide,
 *   since the caller writes floats, and its QuantizeLinear makes the bytes; so does one of a float
 *   that another op reads as well; a DequantizeLinear that is an output of the graph makes floats.
 */
#include <string.h>

#include "base/size.h"
#include "onnx/ops.h"

/* (x, scale, zero point): the zero point has the output's type; without one it is uint8. */
mn_status mn__onnx_infer_quantize(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 2, err);
    if (status != MN_OK)
        return status;
    const mn__onnx_value *zero = mn__onnx_input(call, 2);
    call->types[0] = mn__onnx_input(call, 0)->type;
    call->types[0].element = zero == NULL ? MN__ONNX_UINT8 : zero->type.element;
    return MN_OK;
}

mn_status mn__onnx_infer_dequantize(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 2, err);
    if (status != MN_OK)
        return status;
    call->types[0] = mn__onnx_input(call, 0)->type;
    call->types[0].element = mn__onnx_input(call, 1)->type.element;
    return MN_OK;
}

mn_status mn__onnx_emit_quantize(mn__onnx_call *call, mn_error *err)
{
    const mn__onnx_value *x = mn__onnx_input(call, 0);
    bool is_quantised = x->state == MN__ONNX_ACTIVATION && !mn__onnx_is_integer(x->type.element) &&
                        x->element_bytes == mn__onnx_element_bytes(call->types[0].element);
    if (!is_quantised || call->import->values.items[call->outputs[0]].is_output)
        return mn__onnx_add_opaque(call, err);
    mn__onnx_rename(call);
    return MN_OK;
}

mn_status mn__onnx_emit_dequantize(mn__onnx_call *call, mn_error *err)
{
    const mn__onnx_value *x = mn__onnx_input(call, 0);
    mn__onnx_value *y = &call->import->values.items[call->outputs[0]];
    if (x->state == MN__ONNX_CONSTANT) {
        mn__onnx_share_constant(call);
        for (uint32_t i = 1; i < 3; i++) {
            const mn__onnx_value *with = mn__onnx_input(call, i);
            y->sources[i] =
                with != NULL && with->state == MN__ONNX_CONSTANT ? with->sources[0] : MN_NONE;
        }
        return MN_OK;
    }
    if (y->is_output)
        return mn__onnx_add_opaque(call, err);
    mn__onnx_rename(call);
    return MN_OK;
}

/* Three outputs: bytes like x, and a scale and a zero point of one number each. */
mn_status mn__onnx_infer_dynamic_quantize(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, 1, err);
    if (status != MN_OK)
        return status;
    call->types[0] = mn__onnx_input(call, 0)->type;
    call->types[0].element = MN__ONNX_UINT8;
    if (call->output_count > 1)
        call->types[1] = (mn__onnx_type){.element = MN__ONNX_FLOAT};
    if (call->output_count > 2)
        call->types[2] = (mn__onnx_type){.element = MN__ONNX_UINT8};
    return MN_OK;
}

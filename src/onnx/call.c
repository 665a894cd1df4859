/*
 * What every rule asks of the node that is being read: its inputs.
 */
#include "base/size.h"
#include "onnx/import.h"

mn__onnx_value *mn__onnx_input(const mn__onnx_call *call, uint32_t input)
{
    if (input >= call->input_count || call->inputs[input] == MN_NONE)
        return NULL;
    return &call->import->values.items[call->inputs[input]];
}

mn_status mn__onnx_need_inputs(const mn__onnx_call *call, uint32_t count, mn_error *err)
{
    for (uint32_t i = 0; i < count; i++)
        if (mn__onnx_input(call, i) == NULL)
            return mn_error_set(
                err, MN_ERR_FORMAT, "no input %u: expected at least %u inputs", i, count);
    return MN_OK;
}

mn_status mn__onnx_input_numbers(const mn__onnx_call *call,
                                 uint32_t input,
                                 const double **ret_numbers,
                                 size_t *ret_count,
                                 mn_error *err)
{
    mn__onnx_value *value = mn__onnx_input(call, input);
    *ret_numbers = NULL;
    *ret_count = 0;
    if (value == NULL)
        return MN_OK;
    *ret_count = mn__onnx_elements(&value->type);
    return mn__onnx_numbers(call->import->memory, value, ret_numbers, err);
}

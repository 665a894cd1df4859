/*
 * Attributes of a node by name. Old files do not say which kind an attribute is of, so the field
 * that is filled decides.
 */
#include <inttypes.h>
#include <string.h>

#include "onnx/import.h"

const Onnx__AttributeProto *mn__onnx_attribute(const Onnx__NodeProto *node, const char *name)
{
    for (size_t a = 0; a < node->n_attribute; a++) {
        const char *own = node->attribute[a]->name;
        if (own != NULL && strcmp(own, name) == 0)
            return node->attribute[a];
    }
    return NULL;
}

int64_t mn__onnx_int(const Onnx__NodeProto *node, const char *name, int64_t otherwise)
{
    const Onnx__AttributeProto *attribute = mn__onnx_attribute(node, name);
    return attribute != NULL && attribute->has_i ? attribute->i : otherwise;
}

double mn__onnx_float(const Onnx__NodeProto *node, const char *name, double otherwise)
{
    const Onnx__AttributeProto *attribute = mn__onnx_attribute(node, name);
    return attribute != NULL && attribute->has_f ? (double)attribute->f : otherwise;
}

bool mn__onnx_string_is(const Onnx__NodeProto *node, const char *name, const char *text)
{
    const Onnx__AttributeProto *attribute = mn__onnx_attribute(node, name);
    return attribute != NULL && attribute->has_s && attribute->s.len == strlen(text) &&
           memcmp(attribute->s.data, text, attribute->s.len) == 0;
}

const int64_t *mn__onnx_ints(const Onnx__NodeProto *node, const char *name, size_t *ret_count)
{
    static const int64_t none;
    const Onnx__AttributeProto *attribute = mn__onnx_attribute(node, name);
    *ret_count = attribute == NULL ? 0 : attribute->n_ints;
    if (attribute == NULL)
        return NULL;
    return attribute->n_ints == 0 ? &none : attribute->ints;
}

mn_status mn__onnx_axis(int64_t axis, uint32_t rank, uint32_t *ret_axis, mn_error *err)
{
    if (axis < -(int64_t)rank || axis >= (int64_t)rank)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "axis %" PRId64 ": expected %d to %d",
                            axis,
                            -(int)rank,
                            (int)rank - 1);
    *ret_axis = (uint32_t)(axis < 0 ? axis + rank : axis);
    return MN_OK;
}

mn_status mn__onnx_read_axes(const mn__onnx_call *call,
                             const char *name,
                             uint32_t input,
                             uint32_t rank,
                             mn__onnx_axes *ret_axes,
                             mn_error *err)
{
    size_t count = 0;
    const int64_t *listed = mn__onnx_ints(call->node, name, &count);
    const double *numbers = NULL;
    const mn__onnx_value *value = mn__onnx_input(call, input);
    *ret_axes = (mn__onnx_axes){.is_given = listed != NULL || value != NULL, .is_known = true};
    if (listed == NULL && value != NULL) {
        mn_status status = mn__onnx_input_numbers(call, input, &numbers, &count, err);
        ret_axes->is_known = numbers != NULL;
        if (status != MN_OK || numbers == NULL)
            return status;
    }
    if (listed == NULL && numbers == NULL)
        return MN_OK;
    for (size_t i = 0; i < count; i++) {
        uint32_t axis = 0;
        int64_t number = listed != NULL ? listed[i] : mn__onnx_to_int(numbers[i]);
        mn_status status = mn__onnx_axis(number, rank, &axis, err);
        if (status == MN_OK && (ret_axes->set >> axis & 1) != 0)
            status = mn_error_set(err, MN_ERR_FORMAT, "axis %u comes twice", axis);
        if (status != MN_OK)
            return status;
        ret_axes->set |= 1u << axis;
        ret_axes->count++;
    }
    return MN_OK;
}

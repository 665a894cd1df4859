/*
 * The table of values: an array in order of appearance, and an open hash of the names, sized once
 * for all names that the file has. Reads small constants as doubles, which hold every integer that
 * is a size.
 */
#include "onnx/values.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/size.h"

mn_status mn__onnx_values_init(mn__onnx_values *values,
                               mn__onnx_memory *memory,
                               size_t capacity,
                               mn_error *err)
{
    if (capacity >= UINT32_MAX / 4)
        return mn_error_set(
            err, MN_ERR_LIMIT, "%zu values, expected at most %u", capacity, UINT32_MAX / 4);
    uint32_t slots = 16;
    while (slots < capacity * 2)
        slots *= 2;
    *values = (mn__onnx_values){.capacity = (uint32_t)capacity, .slot_mask = slots - 1};
    values->items = mn__onnx_calloc(memory, capacity, sizeof *values->items);
    values->slots = mn__onnx_calloc(memory, slots, sizeof *values->slots);
    if (values->items == NULL || values->slots == NULL)
        return mn__onnx_memory_error(memory, err);
    return MN_OK;
}

/* The slot of a name: where it is, or where it would be put. */
static uint32_t *slot_of(const mn__onnx_values *values, const char *name)
{
    uint64_t at = mn_hash_bytes(MN_HASH_START, name, strlen(name));
    uint32_t *slot = &values->slots[at & values->slot_mask];
    while (*slot != 0 && strcmp(values->items[*slot - 1].name, name) != 0)
        slot = &values->slots[++at & values->slot_mask];
    return slot;
}

uint32_t mn__onnx_values_find(const mn__onnx_values *values, const char *name)
{
    uint32_t found = *slot_of(values, name);
    return found == 0 ? MN_NONE : found - 1;
}

uint32_t mn__onnx_values_add(mn__onnx_values *values, const char *name, bool *ret_is_new)
{
    uint32_t *slot = slot_of(values, name);
    *ret_is_new = *slot == 0;
    if (*slot == 0) {
        mn__onnx_value *value = &values->items[values->count++];
        value->name = name;
        value->type.rank = MN__ONNX_UNKNOWN;
        value->node = MN_NONE;
        *slot = values->count;
    }
    return *slot - 1;
}

void mn__onnx_set_constant(mn__onnx_values *values,
                           uint32_t value,
                           const mn__onnx_type *type,
                           const double *numbers)
{
    mn__onnx_value *v = &values->items[value];
    v->state = MN__ONNX_CONSTANT;
    v->type = *type;
    v->numbers = numbers;
    v->stored_bytes = mn__onnx_elements(type) * mn__onnx_element_bytes(type->element);
    v->sources[0] = value;
    v->sources[1] = MN_NONE;
    v->sources[2] = MN_NONE;
}

/* Elements that stand in the typed fields; complex ones take two numbers. */
static size_t typed_elements(const Onnx__TensorProto *t)
{
    size_t all = t->n_float_data + t->n_int32_data + t->n_string_data + t->n_int64_data +
                 t->n_double_data + t->n_uint64_data;
    bool pairs = t->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__COMPLEX64 ||
                 t->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__COMPLEX128;
    return pairs ? all / 2 : all;
}

mn_status mn__onnx_set_tensor(mn__onnx_values *values,
                              uint32_t value,
                              const Onnx__TensorProto *tensor,
                              mn_error *err)
{
    mn__onnx_type type;
    mn_status status = mn__onnx_constant_type(tensor, &type, err);
    if (status != MN_OK)
        return status;
    size_t elements = mn__onnx_elements(&type);
    size_t bytes = elements * mn__onnx_element_bytes(type.element);
    bool external = tensor->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    bool is_string = type.element == ONNX__TENSOR_PROTO__DATA_TYPE__STRING;
    if (mn__onnx_element_bytes(type.element) == 0 && !is_string)
        return mn_error_set(err, MN_ERR_FORMAT, "no element type %d", type.element);
    if (!external && tensor->has_raw_data && tensor->raw_data.len != bytes)
        return mn_error_set(
            err, MN_ERR_FORMAT, "%zu bytes of raw data, expected %zu", tensor->raw_data.len, bytes);
    if (!external && !tensor->has_raw_data && typed_elements(tensor) != elements)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%zu numbers of data, expected %zu",
                            typed_elements(tensor),
                            elements);
    mn__onnx_set_constant(values, value, &type, NULL);
    values->items[value].tensor = tensor;
    return MN_OK;
}

/* Number `i` of little-endian raw data; NAN for types that nothing computes with. */
static double raw_number(const uint8_t *raw, int32_t element, size_t i)
{
    size_t bytes = mn__onnx_element_bytes(element);
    uint64_t word = 0;
    for (size_t b = 0; b < bytes; b++)
        word |= (uint64_t)raw[i * bytes + b] << (8 * b);
    float single;
    double number;
    uint32_t low = (uint32_t)word;
    switch (element) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
        memcpy(&single, &low, sizeof single);
        return (double)single;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
        memcpy(&number, &word, sizeof number);
        return number;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT8:
        return (double)(int8_t)word;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT16:
        return (double)(int16_t)word;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
        return (double)(int32_t)word;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
        return (double)(int64_t)word;
    default:
        return (double)word;
    }
}

static double typed_number(const Onnx__TensorProto *t, size_t i)
{
    if (t->n_float_data > i)
        return (double)t->float_data[i];
    if (t->n_int32_data > i)
        return (double)t->int32_data[i];
    if (t->n_int64_data > i)
        return (double)t->int64_data[i];
    if (t->n_double_data > i)
        return t->double_data[i];
    if (t->n_uint64_data > i)
        return (double)t->uint64_data[i];
    return (double)NAN;
}

static bool is_computed_with(int32_t element)
{
    return mn__onnx_element_bytes(element) > 0 &&
           element != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16 &&
           element != ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16 &&
           element != ONNX__TENSOR_PROTO__DATA_TYPE__COMPLEX64 &&
           element != ONNX__TENSOR_PROTO__DATA_TYPE__COMPLEX128;
}

mn_status mn__onnx_numbers(mn__onnx_memory *memory,
                           mn__onnx_value *value,
                           const double **ret_numbers,
                           mn_error *err)
{
    *ret_numbers = NULL;
    const Onnx__TensorProto *t = value->tensor;
    if (value->state != MN__ONNX_CONSTANT)
        return MN_OK;
    if (value->numbers == NULL && t != NULL && is_computed_with(t->data_type) &&
        t->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL &&
        mn__onnx_elements(&value->type) <= MN__ONNX_SMALL) {
        size_t count = mn__onnx_elements(&value->type);
        double *numbers = mn__onnx_calloc(memory, count, sizeof *numbers);
        if (numbers == NULL)
            return mn__onnx_memory_error(memory, err);
        for (size_t i = 0; i < count; i++)
            numbers[i] = t->has_raw_data ? raw_number(t->raw_data.data, t->data_type, i)
                                         : typed_number(t, i);
        value->numbers = numbers;
    }
    *ret_numbers = value->numbers;
    return MN_OK;
}

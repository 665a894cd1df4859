/*
 * Adds nodes to the graph: names, shapes of one image, sizes of elements and constants.
 *
 * Invariant: whatever the builder will allocate for a node is charged to the import's memory before
 * the node is added.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/size.h"
#include "onnx/import.h"

/* A node whose tensors have all been counted at another one cannot state 0, which stands for its
 * tensors; this is the least that it can. */
static const size_t least_stated_bytes = 1;
/* The graph refuses nodes of more; they need not be looked at further. */
static const uint32_t most_inputs = 1024;

mn_status mn__onnx_emit_init(mn__onnx_import *import, size_t capacity, mn_error *err)
{
    uint32_t slots = 16;
    while (slots < capacity * 2)
        slots *= 2;
    import->names = mn__onnx_calloc(import->memory, slots, sizeof *import->names);
    import->name_mask = slots - 1;
    return import->names == NULL ? mn__onnx_memory_error(import->memory, err) : MN_OK;
}

/* ---- shapes -------------------------------------------------------------------------------- */

bool mn__onnx_is_per_image(const mn__onnx_import *import, const mn__onnx_type *type)
{
    return type->rank >= 2 && type->dims[0] == import->batch;
}

mn_status mn__onnx_refuse_batch(const mn__onnx_import *import, mn_error *err)
{
    if (import->batch <= 1)
        return MN_OK;
    return mn_error_set(err,
                        MN_ERR_UNSUPPORTED,
                        "the batch of %u images is mixed into other dimensions: expected values "
                        "that begin with it",
                        import->batch);
}

mn_status mn__onnx_shape(const mn__onnx_import *import,
                         const mn__onnx_type *type,
                         mn_shape *ret_shape,
                         mn_error *err)
{
    bool leads = type->rank >= 1 && type->dims[0] == import->batch;
    mn_status status = leads ? MN_OK : mn__onnx_refuse_batch(import, err);
    if (status != MN_OK)
        return status;
    size_t elements = mn__onnx_product(type, leads ? 1 : 0, type->rank);
    if (elements == 0 || elements > UINT32_MAX)
        return mn_error_set(
            err, MN_ERR_LIMIT, "a value of %zu elements: expected 1 to %u", elements, UINT32_MAX);
    if (leads && type->rank == 4)
        *ret_shape = (mn_shape){type->dims[2], type->dims[3], type->dims[1]};
    else if (leads && type->rank == 3)
        *ret_shape = (mn_shape){1, type->dims[2], type->dims[1]};
    else
        *ret_shape = (mn_shape){1, 1, (uint32_t)elements};
    return MN_OK;
}

/* ---- names --------------------------------------------------------------------------------- */

/* False when the name is taken. */
static bool enter_name(mn__onnx_import *import, const char *name)
{
    uint64_t at = mn_hash_bytes(MN_HASH_START, name, strlen(name));
    const char **slot = &import->names[at & import->name_mask];
    while (*slot != NULL && strcmp(*slot, name) != 0)
        slot = &import->names[++at & import->name_mask];
    bool is_free = *slot == NULL;
    if (is_free)
        *slot = name;
    return is_free;
}

/* `name` itself, or with the number of the graph's node appended until nobody has it. */
static const char *unique_name(mn__onnx_import *import, const char *name)
{
    const char *unique = name == NULL ? "" : name;
    while (unique[0] == '\0' || !enter_name(import, unique)) {
        size_t bytes = strlen(unique) + 16;
        char *longer = mn__onnx_calloc(import->memory, bytes, 1);
        if (longer == NULL)
            return NULL;
        snprintf(longer, bytes, "%s_%" PRIu32, unique, import->node_count);
        unique = longer;
    }
    return unique;
}

/* ---- the builder --------------------------------------------------------------------------- */

/* Charges an array of the builder that doubles when it is full; old and new live side by side. */
static bool
charge_array(mn__onnx_memory *memory, uint32_t count, uint32_t *capacity, size_t item_bytes)
{
    if (count < *capacity)
        return true;
    uint32_t grown = *capacity == 0 ? 64 : *capacity * 2;
    if (!mn__onnx_charge(memory, grown * item_bytes))
        return false;
    mn__onnx_discharge(memory, *capacity * item_bytes);
    *capacity = grown;
    return true;
}

static bool charge_node(mn__onnx_import *import, const mn_node_spec *spec)
{
    const size_t pointer = sizeof(void *);
    mn__onnx_memory *memory = import->memory;
    size_t name = strlen(spec->name) + 1;
    uint32_t tensors = spec->prim == MN_PRIM_BATCH_NORM ? 4
                       : spec->prim == MN_PRIM_CONV || spec->prim == MN_PRIM_FULLY_CONNECTED
                           ? 1 + spec->bias
                           : 0;
    /* Besides the node: its shapes while it is added, and its name in the list that is sorted. */
    size_t own = name + pointer + spec->input_count * (sizeof(uint32_t) + sizeof(mn_shape)) + 2;
    bool fits =
        mn__onnx_charge(memory, own + tensors * (name + 16)) &&
        charge_array(
            memory, import->node_count, &import->node_capacity, sizeof(mn_node) + 2 * pointer);
    for (uint32_t t = 0; t < tensors && fits; t++)
        fits = charge_array(memory,
                            import->tensor_count++,
                            &import->tensor_capacity,
                            sizeof(mn_tensor_info) + pointer);
    return fits;
}

/* The node's index; the builder's own error otherwise. */
static mn_status
add_to_graph(mn__onnx_import *import, mn_node_spec *spec, uint32_t *ret_node, mn_error *err)
{
    spec->layer = MN_NONE;
    spec->name = unique_name(import, spec->name);
    if (spec->name == NULL || !charge_node(import, spec))
        return mn__onnx_memory_error(import->memory, err);
    uint32_t node = mn_graph_add(import->builder, spec);
    if (node == MN_NONE) {
        mn_graph *none = NULL;
        return mn_graph_builder_finish(import->builder, NULL, 0, &none, err);
    }
    import->node_count = node + 1;
    *ret_node = node;
    return MN_OK;
}

static void
set_activation(mn__onnx_value *value, const mn__onnx_type *type, uint32_t node, uint32_t bytes)
{
    value->type = *type;
    value->state = MN__ONNX_ACTIVATION;
    value->node = node;
    value->element_bytes = bytes;
}

mn_status mn__onnx_add_input(mn__onnx_import *import, uint32_t value, mn_error *err)
{
    mn__onnx_value *v = &import->values.items[value];
    uint32_t bytes = mn__onnx_element_bytes(v->type.element);
    mn_node_spec spec = {.prim = MN_PRIM_INPUT, .name = v->name, .element_bytes = bytes};
    uint32_t node = MN_NONE;
    mn_status status = MN_OK;
    if (bytes == 0)
        return mn_error_set(
            err, MN_ERR_UNSUPPORTED, "elements of type %d have no size", v->type.element);
    if (v->type.rank < 2) /* a parameter for all images */
        spec.shape = (mn_shape){1, 1, v->type.rank == 0 ? 1 : v->type.dims[0]};
    else
        status = mn__onnx_shape(import, &v->type, &spec.shape, err);
    if (status == MN_OK)
        status = add_to_graph(import, &spec, &node, err);
    if (status == MN_OK)
        set_activation(v, &v->type, node, bytes);
    return status;
}

/* ONNX node's name, or that of what it makes. */
static const char *base_name(const mn__onnx_call *call, uint32_t output)
{
    const char *name = call->node->name;
    return name != NULL && name[0] != '\0' ? name : call->node->output[output];
}

uint32_t mn__onnx_output_bytes(const mn__onnx_call *call, uint32_t output)
{
    const mn__onnx_value *value = &call->import->values.items[call->outputs[output]];
    int32_t element = call->types[output].element;
    bool is_quantised = value->is_read_quantised && !value->is_read_as_it_is && !value->is_output;
    return is_quantised && !mn__onnx_is_integer(element) ? 1 : mn__onnx_element_bytes(element);
}

mn_status mn__onnx_add(mn__onnx_call *call,
                       uint32_t output,
                       mn_node_spec *spec,
                       mn__onnx_value *const *from,
                       uint32_t count,
                       mn_error *err)
{
    mn__onnx_import *import = call->import;
    const mn__onnx_type *type = &call->types[output];
    uint32_t node = MN_NONE;
    mn_status status = mn__onnx_shape(import, type, &spec->shape, err);
    if (status != MN_OK)
        return status;
    uint32_t *inputs = mn__onnx_calloc(import->memory, count, sizeof *inputs);
    if (inputs == NULL)
        return mn__onnx_memory_error(import->memory, err);
    for (uint32_t i = 0; i < count; i++)
        inputs[i] = from[i]->node;
    spec->inputs = inputs;
    spec->input_count = count;
    spec->name = base_name(call, output);
    /* A reshape moves nothing: its value is as wide as what it reads. */
    spec->element_bytes = spec->prim == MN_PRIM_RESHAPE ? from[0]->element_bytes
                                                        : mn__onnx_output_bytes(call, output);
    if (spec->element_bytes == 0)
        return mn_error_set(
            err, MN_ERR_UNSUPPORTED, "elements of type %d have no size", type->element);
    mn_shape shape = spec->shape;
    status = add_to_graph(import, spec, &node, err);
    if (status == MN_OK && !mn_shape_equal(shape, mn_graph_builder_shape(import->builder, node))) {
        mn_node_spec reshape = {.prim = MN_PRIM_RESHAPE,
                                .name = spec->name,
                                .inputs = &node,
                                .input_count = 1,
                                .shape = shape,
                                .element_bytes = spec->element_bytes};
        status = add_to_graph(import, &reshape, &node, err);
    }
    if (status == MN_OK)
        set_activation(
            &import->values.items[call->outputs[output]], type, node, spec->element_bytes);
    return status;
}

mn_status mn__onnx_add_simple(mn__onnx_call *call, mn_prim prim, mn_error *err)
{
    mn__onnx_value *from = mn__onnx_input(call, 0);
    if (from->state != MN__ONNX_ACTIVATION)
        return mn__onnx_add_opaque(call, err);
    mn_node_spec spec = {.prim = prim};
    return mn__onnx_add(call, 0, &spec, &from, 1, err);
}

mn_status mn__onnx_add_opaque(mn__onnx_call *call, mn_error *err)
{
    mn__onnx_import *import = call->import;
    mn__onnx_value **from = mn__onnx_calloc(
        import->memory, (size_t)call->input_count + call->output_count, sizeof(void *));
    uint32_t count = 0;
    if (from == NULL)
        return mn__onnx_memory_error(import->memory, err);
    for (uint32_t i = 0; i < call->input_count; i++) {
        mn__onnx_value *value = mn__onnx_input(call, i);
        bool is_new = value != NULL && value->state == MN__ONNX_ACTIVATION;
        for (uint32_t k = 0; k < count && is_new && count <= most_inputs; k++)
            is_new = from[k]->node != value->node;
        if (is_new)
            from[count++] = value;
    }
    size_t constant_bytes = mn__onnx_take_constants(call);
    mn_status status = MN_OK;
    for (uint32_t o = 0; o < call->output_count && status == MN_OK; o++) {
        if (call->outputs[o] == MN_NONE)
            continue;
        mn_node_spec spec = {.prim = MN_PRIM_OPAQUE, .constant_bytes = constant_bytes};
        status = mn__onnx_add(call, o, &spec, from, count, err);
        from[count++] = &import->values.items[call->outputs[o]];
        constant_bytes = 0;
    }
    return status;
}

/* ---- values that need no node -------------------------------------------------------------- */

void mn__onnx_rename(mn__onnx_call *call)
{
    const mn__onnx_value *from = mn__onnx_input(call, 0);
    set_activation(&call->import->values.items[call->outputs[0]],
                   &call->types[0],
                   from->node,
                   from->element_bytes);
}

void mn__onnx_share_constant(mn__onnx_call *call)
{
    const mn__onnx_value *from = mn__onnx_input(call, 0);
    mn__onnx_value *to = &call->import->values.items[call->outputs[0]];
    mn__onnx_set_constant(&call->import->values, call->outputs[0], &call->types[0], NULL);
    memcpy(to->sources, from->sources, sizeof to->sources);
}

size_t mn__onnx_take_constant(mn__onnx_import *import, const mn__onnx_value *value)
{
    size_t bytes = 0;
    for (uint32_t s = 0; s < 3; s++) {
        if (value->state != MN__ONNX_CONSTANT || value->sources[s] == MN_NONE)
            continue;
        mn__onnx_value *source = &import->values.items[value->sources[s]];
        bytes += source->is_counted ? 0 : source->stored_bytes;
        source->is_counted = true;
    }
    return bytes;
}

size_t mn__onnx_take_constants(mn__onnx_call *call)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < call->input_count; i++) {
        const mn__onnx_value *value = mn__onnx_input(call, i);
        bool is_parameter = i < 32 && (call->op->parameters >> i & 1) != 0;
        if (value != NULL && !is_parameter)
            bytes += mn__onnx_take_constant(call->import, value);
    }
    return bytes;
}

size_t mn__onnx_stated_bytes(size_t taken, size_t tensor_bytes)
{
    if (taken == tensor_bytes)
        return 0;
    return taken == 0 ? least_stated_bytes : taken;
}

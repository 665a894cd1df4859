/*
 * Declarations of a model. Checks the opset, enters every name, makes the initialisers constants
 * and the other inputs nodes, and finds the batch: the leading dimension that all inputs of two or
 * more dimensions share. A leading dimension that is a name or zero is 1. Inputs that do not agree
 * have no batch: their values are planned as they are.
 */
#include "onnx/model.h"

#include <inttypes.h>
#include <string.h>

#include "base/size.h"

static const int64_t lowest_opset = 9;
static const int64_t highest_opset = 17;

/* ---- types that the file declares ---------------------------------------------------------- */

static const Onnx__TypeProto__Tensor *tensor_type(const Onnx__TypeProto *type)
{
    return type != NULL && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE
               ? type->tensor_type
               : NULL;
}

/* The number of a dimension; -1 when it is a name or nothing. */
static int64_t number_of(const Onnx__TensorShapeProto__Dimension *dim)
{
    return dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ? dim->dim_value
                                                                                   : -1;
}

static const char *name_of(const Onnx__TensorShapeProto__Dimension *dim)
{
    bool is_name = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
    return is_name && dim->dim_param != NULL ? dim->dim_param : "";
}

void mn__onnx_declared_type(const mn__onnx_value *value, uint32_t batch, mn__onnx_type *ret_type)
{
    const Onnx__TypeProto__Tensor *tensor = tensor_type(value->declared);
    if (tensor == NULL || tensor->shape == NULL || tensor->shape->n_dim > MN__ONNX_RANK)
        return;
    mn__onnx_type type = {.element = tensor->elem_type};
    for (size_t d = 0; d < tensor->shape->n_dim; d++) {
        int64_t dim = number_of(tensor->shape->dim[d]);
        if (dim <= 0 && d == 0)
            dim = batch;
        if (dim < 0 || mn__onnx_push(&type, dim, NULL) != MN_OK)
            return;
    }
    *ret_type = type;
}

static mn_status
input_type(const Onnx__ValueInfoProto *info, mn__onnx_type *ret_type, mn_error *err)
{
    const Onnx__TypeProto__Tensor *tensor = tensor_type(info->type);
    if (tensor == NULL || tensor->shape == NULL)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            tensor == NULL ? "no tensor: expected one"
                                           : "it has no shape: expected its dimensions");
    mn__onnx_type type = {.element = tensor->elem_type};
    mn_status status = MN_OK;
    for (size_t d = 0; d < tensor->shape->n_dim && status == MN_OK; d++) {
        const Onnx__TensorShapeProto__Dimension *dim = tensor->shape->dim[d];
        int64_t number = number_of(dim);
        if (d == 0 && number <= 0)
            number = 1;
        if (number < 0)
            return mn_error_set(err,
                                MN_ERR_UNSUPPORTED,
                                "dimension %zu is '%.100s': expected a number",
                                d,
                                name_of(dim));
        status = mn__onnx_push(&type, number, err);
    }
    if (status == MN_OK)
        status = mn__onnx_check(&type, err);
    if (status == MN_OK)
        *ret_type = type;
    return status;
}

/* ---- names --------------------------------------------------------------------------------- */

static mn_status enter_initializers(mn__onnx_import *import, mn_error *err)
{
    const Onnx__GraphProto *graph = import->graph;
    bool is_new = false;
    for (size_t i = 0; i < graph->n_initializer + graph->n_sparse_initializer; i++) {
        bool sparse = i >= graph->n_initializer;
        const Onnx__SparseTensorProto *holder =
            sparse ? graph->sparse_initializer[i - graph->n_initializer] : NULL;
        const Onnx__TensorProto *tensor = sparse ? holder->values : graph->initializer[i];
        if (tensor == NULL || tensor->name == NULL || tensor->name[0] == '\0')
            return mn_error_set(err, MN_ERR_FORMAT, "initializer %zu: expected one with a name", i);
        uint32_t value = mn__onnx_values_add(&import->values, tensor->name, &is_new);
        if (!is_new)
            return mn_error_set(
                err, MN_ERR_FORMAT, "initializer '%.200s' comes twice", tensor->name);
        mn__onnx_type type = {.element = tensor->data_type};
        mn_status status = MN_OK;
        for (size_t d = 0; sparse && d < holder->n_dims && status == MN_OK; d++)
            status = mn__onnx_push(&type, holder->dims[d], err);
        if (sparse && status == MN_OK)
            status = mn__onnx_check(&type, err);
        if (sparse && status == MN_OK)
            mn__onnx_set_constant(&import->values, value, &type, NULL);
        if (!sparse)
            status = mn__onnx_set_tensor(&import->values, value, tensor, err);
        if (status != MN_OK)
            return mn_error_prefix(err, status, "initializer '%.200s'", tensor->name);
    }
    return MN_OK;
}

/* Enters the inputs; those that are initializers as well are constants already. */
static mn_status enter_inputs(mn__onnx_import *import, mn_error *err)
{
    const Onnx__GraphProto *graph = import->graph;
    bool is_new = false;
    bool is_shared = true;
    uint32_t batch = 0;
    for (size_t i = 0; i < graph->n_input; i++) {
        const Onnx__ValueInfoProto *info = graph->input[i];
        if (info->name == NULL || info->name[0] == '\0')
            return mn_error_set(err, MN_ERR_FORMAT, "input %zu: expected a name", i);
        mn__onnx_value *value =
            &import->values.items[mn__onnx_values_add(&import->values, info->name, &is_new)];
        if (value->state == MN__ONNX_CONSTANT)
            continue;
        if (!is_new)
            return mn_error_set(err, MN_ERR_FORMAT, "input '%.200s' comes twice", info->name);
        value->declared = info->type;
        mn_status status = input_type(info, &value->type, err);
        if (status != MN_OK)
            return mn_error_prefix(err, status, "input '%.200s'", info->name);
        if (value->type.rank < 2)
            continue;
        is_shared = is_shared && (batch == 0 || batch == value->type.dims[0]);
        batch = value->type.dims[0];
    }
    import->batch = is_shared && batch > 0 ? batch : 1;
    return MN_OK;
}

static mn_status enter_outputs(mn__onnx_import *import, mn_error *err)
{
    const Onnx__GraphProto *graph = import->graph;
    bool is_new = false;
    for (size_t n = 0; n < graph->n_node; n++) {
        for (size_t o = 0; o < graph->node[n]->n_output; o++) {
            const char *name = graph->node[n]->output[o];
            if (name[0] == '\0')
                continue;
            (void)mn__onnx_values_add(&import->values, name, &is_new);
            if (!is_new)
                return mn_error_set(err,
                                    MN_ERR_FORMAT,
                                    "node %zu: output %zu '%.200s': expected a new name",
                                    n,
                                    o,
                                    name);
        }
    }
    return MN_OK;
}

static void declare_values(mn__onnx_values *values, Onnx__ValueInfoProto **infos, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t value =
            infos[i]->name == NULL ? MN_NONE : mn__onnx_values_find(values, infos[i]->name);
        if (value != MN_NONE && infos[i]->type != NULL)
            values->items[value].declared = infos[i]->type;
    }
}

static mn_status enter_names(mn__onnx_import *import, mn_error *err)
{
    const Onnx__GraphProto *graph = import->graph;
    size_t inputs = graph->n_input;
    size_t outputs = 0;
    for (size_t n = 0; n < graph->n_node; n++)
        outputs += graph->node[n]->n_output;
    size_t values = graph->n_initializer + graph->n_sparse_initializer + inputs + outputs;
    mn_status status = mn__onnx_values_init(&import->values, import->memory, values, err);
    if (status == MN_OK) /* an output is at most two nodes */
        status = mn__onnx_emit_init(import, inputs + 2 * outputs, err);
    if (status == MN_OK)
        status = enter_initializers(import, err);
    if (status == MN_OK)
        status = enter_inputs(import, err);
    if (status == MN_OK)
        status = enter_outputs(import, err);
    if (status == MN_OK) {
        declare_values(&import->values, graph->value_info, graph->n_value_info);
        declare_values(&import->values, graph->output, graph->n_output);
    }
    return status;
}

/* ---- the model ----------------------------------------------------------------------------- */

static mn_status find_opset(mn__onnx_import *import, const Onnx__ModelProto *model, mn_error *err)
{
    int64_t version = -1;
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *set = model->opset_import[i];
        const char *domain = set->domain == NULL ? "" : set->domain;
        if (domain[0] == '\0' || strcmp(domain, "ai.onnx") == 0)
            version = set->version;
    }
    if (version < 0)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "no opset of the domain ai.onnx: expected version %" PRId64
                            " to %" PRId64,
                            lowest_opset,
                            highest_opset);
    if (version < lowest_opset || version > highest_opset)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "opset %" PRId64 ": expected version %" PRId64 " to %" PRId64,
                            version,
                            lowest_opset,
                            highest_opset);
    import->opset = (uint32_t)version;
    return MN_OK;
}

mn_status mn__onnx_declare(mn__onnx_import *import, const Onnx__ModelProto *model, mn_error *err)
{
    if (model->graph == NULL)
        return mn_error_set(err, MN_ERR_FORMAT, "the model has no graph: not an ONNX model");
    import->graph = model->graph;
    mn_status status = find_opset(import, model, err);
    if (status == MN_OK)
        status = enter_names(import, err);
    if (status != MN_OK)
        return status;
    mn__onnx_find_readers(import);
    for (size_t i = 0; i < import->graph->n_input; i++) {
        const char *name = import->graph->input[i]->name;
        uint32_t value = mn__onnx_values_find(&import->values, name);
        if (import->values.items[value].state == MN__ONNX_CONSTANT)
            continue;
        status = mn__onnx_add_input(import, value, err);
        if (status != MN_OK)
            return mn_error_prefix(err, status, "input '%.200s'", name);
    }
    return MN_OK;
}

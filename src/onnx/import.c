/*
 * The walk over an ONNX model: declarations first (model.c), then node after node in the file's
 * order, which is an order of execution, then the outputs.
 */
#include "memnet/onnx.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "onnx/import.h"
#include "onnx/model.h"
#include "onnx/ops.h"
#include "onnx/wire.h"

/* The largest file: protobuf's own limit. */
static const size_t max_file_bytes = ((size_t)1 << 31) - 1;

static const char *text_or(const char *text, const char *otherwise)
{
    return text == NULL || text[0] == '\0' ? otherwise : text;
}

/* ---- one node ------------------------------------------------------------------------------ */

/* What the row of an op that has none says. */
static const mn__onnx_op no_row = {.name = ""};

/* Rooms for the inputs and outputs of the largest node, used again by each. */
static mn_status make_rooms(mn__onnx_import *import, mn__onnx_call *call, mn_error *err)
{
    size_t most_inputs = 0;
    size_t most_outputs = 0;
    for (size_t n = 0; n < import->graph->n_node; n++) {
        const Onnx__NodeProto *node = import->graph->node[n];
        most_inputs = node->n_input > most_inputs ? node->n_input : most_inputs;
        most_outputs = node->n_output > most_outputs ? node->n_output : most_outputs;
    }
    call->import = import;
    call->inputs = mn__onnx_calloc(import->memory, most_inputs, sizeof *call->inputs);
    call->outputs = mn__onnx_calloc(import->memory, most_outputs, sizeof *call->outputs);
    call->types = mn__onnx_calloc(import->memory, most_outputs, sizeof *call->types);
    if (call->inputs == NULL || call->outputs == NULL || call->types == NULL)
        return mn__onnx_memory_error(import->memory, err);
    return MN_OK;
}

static mn_status find_inputs(mn__onnx_call *call, mn_error *err)
{
    const mn__onnx_values *values = &call->import->values;
    call->input_count = 0;
    for (uint32_t i = 0; i < call->node->n_input; i++) {
        const char *name = call->node->input[i];
        call->inputs[i] = MN_NONE;
        if (name[0] == '\0')
            continue;
        call->inputs[i] = mn__onnx_values_find(values, name);
        if (call->inputs[i] == MN_NONE || values->items[call->inputs[i]].state == MN__ONNX_UNSET)
            return mn_error_set(err,
                                MN_ERR_FORMAT,
                                "input %u '%s': expected a value that is made before this node",
                                i,
                                name);
        call->input_count = i + 1;
    }
    return MN_OK;
}

/* Finds the outputs that are read; true when there is one. */
static bool find_outputs(mn__onnx_call *call)
{
    const mn__onnx_values *values = &call->import->values;
    bool any = false;
    call->output_count = (uint32_t)call->node->n_output;
    for (uint32_t o = 0; o < call->output_count; o++) {
        const char *name = call->node->output[o];
        uint32_t value = name[0] == '\0' ? MN_NONE : mn__onnx_values_find(values, name);
        call->outputs[o] = value == MN_NONE || !values->items[value].is_read ? MN_NONE : value;
        any = any || call->outputs[o] != MN_NONE;
    }
    return any;
}

/* Types by the op's rule, or else as the file declares them. */
static mn_status find_types(mn__onnx_call *call, mn_error *err)
{
    const mn__onnx_value *first = mn__onnx_input(call, 0);
    mn_status status = MN_OK;
    for (uint32_t o = 0; o < call->output_count; o++)
        call->types[o] =
            (mn__onnx_type){.element = first == NULL ? MN__ONNX_FLOAT : first->type.element,
                            .rank = MN__ONNX_UNKNOWN};
    if (call->op->infer != NULL)
        status = call->op->infer(call, err);
    call->is_inferred = call->types[0].rank != MN__ONNX_UNKNOWN;
    for (uint32_t o = 0; o < call->output_count && status == MN_OK; o++) {
        if (call->outputs[o] == MN_NONE)
            continue;
        const mn__onnx_value *value = &call->import->values.items[call->outputs[o]];
        if (call->types[o].rank == MN__ONNX_UNKNOWN)
            mn__onnx_declared_type(value, call->import->batch, &call->types[o]);
        if (call->types[o].rank == MN__ONNX_UNKNOWN)
            return mn_error_set(
                err, MN_ERR_UNSUPPORTED, "the shape of its output %u is not known", o);
        status = mn__onnx_check(&call->types[o], err);
    }
    return status;
}

/* A node of constants only: computed when it is converted, not when the network runs. */
static mn_status constant_node(mn__onnx_call *call, mn_error *err)
{
    bool first = call->outputs[0] != MN_NONE;
    if (first &&
        (call->op->emit == mn__onnx_emit_rename || call->op->emit == mn__onnx_emit_reshape)) {
        mn__onnx_share_constant(call);
        return MN_OK;
    }
    if (first && call->op->emit == mn__onnx_emit_dequantize)
        return mn__onnx_emit_dequantize(call, err);
    for (uint32_t o = 0; o < call->output_count; o++)
        if (call->outputs[o] != MN_NONE)
            mn__onnx_set_constant(&call->import->values, call->outputs[o], &call->types[o], NULL);
    return MN_OK;
}

static bool has_subgraph(const Onnx__NodeProto *node)
{
    for (size_t a = 0; a < node->n_attribute; a++)
        if (node->attribute[a]->g != NULL || node->attribute[a]->n_graphs > 0)
            return true;
    return false;
}

static mn_status read_node(mn__onnx_call *call, mn_error *err)
{
    if (!find_outputs(call))
        return MN_OK; /* nothing that matters reads it */
    if (has_subgraph(call->node))
        return mn_error_set(
            err, MN_ERR_UNSUPPORTED, "it has a subgraph: control flow is not imported");
    mn_status status = find_inputs(call, err);
    const mn__onnx_op *row = mn__onnx_find_op(call->node, call->import->opset);
    call->op = row == NULL ? &no_row : row;
    if (status == MN_OK)
        status = find_types(call, err);
    bool is_folded = false;
    if (status == MN_OK && call->outputs[0] != MN_NONE)
        status = mn__onnx_fold(call, &is_folded, err);
    if (status != MN_OK || is_folded)
        return status;
    bool is_constant = call->input_count > 0;
    for (uint32_t i = 0; i < call->input_count; i++) {
        const mn__onnx_value *value = mn__onnx_input(call, i);
        is_constant = is_constant && (value == NULL || value->state == MN__ONNX_CONSTANT);
    }
    if (is_constant)
        return constant_node(call, err);
    bool is_opaque = call->op->emit == NULL || call->outputs[0] == MN_NONE;
    return !is_opaque ? call->op->emit(call, err) : mn__onnx_add_opaque(call, err);
}

static mn_status read_nodes(mn__onnx_import *import, mn_error *err)
{
    mn__onnx_call call = {0};
    mn_status status = make_rooms(import, &call, err);
    for (size_t n = 0; n < import->graph->n_node && status == MN_OK; n++) {
        call.index = (uint32_t)n;
        call.node = import->graph->node[n];
        status = read_node(&call, err);
        if (status != MN_OK)
            return mn_error_prefix(err,
                                   status,
                                   "node %u '%.120s': op %.60s",
                                   call.index,
                                   text_or(call.node->name, ""),
                                   text_or(call.node->op_type, "without a name"));
    }
    return status;
}

/* ---- the model ----------------------------------------------------------------------------- */

/* Values that are constants are no part of the graph; one that comes twice counts once. */
static mn_status finish(mn__onnx_import *import, mn_graph **ret_graph, mn_error *err)
{
    const Onnx__GraphProto *graph = import->graph;
    uint32_t count = 0;
    uint32_t *outputs = mn__onnx_calloc(import->memory, graph->n_output, sizeof *outputs);
    bool *is_output = mn__onnx_calloc(import->memory, import->node_count, sizeof *is_output);
    if (outputs == NULL || is_output == NULL ||
        !mn__onnx_charge(import->memory, graph->n_output * sizeof *outputs))
        return mn__onnx_memory_error(import->memory, err);
    for (size_t o = 0; o < graph->n_output; o++) {
        const char *name = text_or(graph->output[o]->name, "");
        uint32_t value = mn__onnx_values_find(&import->values, name);
        const mn__onnx_value *v = value == MN_NONE ? NULL : &import->values.items[value];
        if (v == NULL || v->state == MN__ONNX_UNSET)
            return mn_error_set(
                err, MN_ERR_FORMAT, "output '%.200s': expected a value that a node makes", name);
        if (v->state != MN__ONNX_ACTIVATION || is_output[v->node])
            continue;
        is_output[v->node] = true;
        outputs[count++] = v->node;
    }
    if (count == 0)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "%zu outputs, all of them constant: expected one that is computed",
                            graph->n_output);
    return mn_graph_builder_finish(import->builder, outputs, count, ret_graph, err);
}

static mn_status import_model(
    mn__onnx_memory *memory, const void *bytes, size_t count, mn_graph **ret_graph, mn_error *err)
{
    mn__onnx_import import = {.memory = memory};
    Onnx__ModelProto *model = NULL;
    mn_status status = mn__onnx_unpack(memory, bytes, count, &model, err);
    if (status == MN_OK)
        status = mn_graph_builder_create(&import.builder, err);
    if (status == MN_OK)
        status = mn__onnx_declare(&import, model, err);
    if (status == MN_OK)
        status = read_nodes(&import, err);
    if (status == MN_OK)
        status = finish(&import, ret_graph, err);
    if (status == MN_ERR_ARG) /* the builder's word for a shape that does not fit */
        status = err->status = MN_ERR_FORMAT;
    mn_graph_builder_free(import.builder);
    return status;
}

mn_status mn_onnx_parse(const void *bytes, size_t count, mn_graph **ret_graph, mn_error *err)
{
    mn__onnx_memory memory;
    mn_error own;
    mn__onnx_memory_init(&memory, count, 0);
    mn_status status = import_model(&memory, bytes, count, ret_graph, err == NULL ? &own : err);
    mn__onnx_memory_done(&memory);
    return status;
}

mn_status mn_onnx_import(const char *path, mn_graph **ret_graph, mn_error *err)
{
    mn__onnx_memory memory;
    mn_error own;
    char *bytes = NULL;
    size_t count = 0;
    mn_status status = mn_file_read(path, max_file_bytes, &bytes, &count, err);
    if (status != MN_OK)
        return status;
    err = err == NULL ? &own : err;
    mn__onnx_memory_init(&memory, count, count + 1);
    status = import_model(&memory, bytes, count, ret_graph, err);
    mn__onnx_memory_done(&memory);
    free(bytes);
    return status == MN_OK ? MN_OK : mn_error_prefix(err, status, "%.200s", path);
}

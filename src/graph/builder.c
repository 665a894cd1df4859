/*
 * Builds graphs: checks arity, shapes, names and sizes of every node as it is added, and remembers
 * the first error until the end.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "graph/graph.h"
#include "graph/primitive.h"

/* No single value or tensor may pass this many elements (4 GiB of float32). */
static const size_t max_elements = (size_t)1 << 30;
static const uint32_t max_nodes = 1u << 20;
static const uint32_t max_element_bytes = 16; /* a pair of doubles */

struct mn_graph_builder {
    mn_graph *graph;
    mn_error error; /* status MN_OK until something failed */
};

mn_status mn_graph_builder_create(mn_graph_builder **ret_builder, mn_error *err)
{
    mn_graph_builder *builder = mn_calloc(1, sizeof *builder);
    mn_graph *graph = mn_calloc(1, sizeof *graph);
    if (builder == NULL || graph == NULL) {
        free(builder);
        free(graph);
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    }
    builder->graph = graph;
    *ret_builder = builder;
    return MN_OK;
}

void mn_graph_builder_free(mn_graph_builder *builder)
{
    if (builder == NULL)
        return;
    mn_graph_free(builder->graph);
    free(builder);
}

mn_shape mn_graph_builder_shape(const mn_graph_builder *builder, uint32_t node)
{
    if (builder->graph == NULL || node >= builder->graph->node_count)
        return (mn_shape){0};
    return builder->graph->nodes[node].shape;
}

static bool fits(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    size_t product = a;
    return a > 0 && b > 0 && c > 0 && d > 0 && mn_size_mul(product, b, &product) &&
           mn_size_mul(product, c, &product) && mn_size_mul(product, d, &product) &&
           product <= max_elements;
}

/* Grows the node arrays to hold one more; false when out of memory. */
static bool reserve_node(mn_graph *g)
{
    if (g->node_count < g->node_capacity)
        return true;
    uint32_t capacity = g->node_capacity == 0 ? 64 : g->node_capacity * 2;
    mn_node *nodes = realloc(g->nodes, capacity * sizeof *nodes);
    if (nodes != NULL)
        g->nodes = nodes;
    char **names = realloc(g->names, capacity * sizeof *names);
    if (names != NULL)
        g->names = names;
    uint32_t **inputs = realloc(g->inputs, capacity * sizeof *inputs);
    if (inputs != NULL)
        g->inputs = inputs;
    if (nodes == NULL || names == NULL || inputs == NULL)
        return false;
    g->node_capacity = capacity;
    return true;
}

static bool reserve_tensor(mn_graph *g)
{
    if (g->tensor_count < g->tensor_capacity)
        return true;
    uint32_t capacity = g->tensor_capacity == 0 ? 64 : g->tensor_capacity * 2;
    mn_tensor_info *tensors = realloc(g->tensors, capacity * sizeof *tensors);
    if (tensors != NULL)
        g->tensors = tensors;
    char **names = realloc(g->tensor_names, capacity * sizeof *names);
    if (names != NULL)
        g->tensor_names = names;
    if (tensors == NULL || names == NULL)
        return false;
    g->tensor_capacity = capacity;
    return true;
}

static mn_status check_inputs(const mn_graph *g, const mn_node_spec *spec, mn_error *err)
{
    const mn__primitive *row = mn__primitive_row(spec->prim);
    if (row == NULL)
        return mn_error_set(err, MN_ERR_ARG, "no primitive %d", (int)spec->prim);
    if (spec->input_count < row->least_inputs || spec->input_count > row->most_inputs)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "%s: %u inputs, expected %u to %u",
                            row->name,
                            spec->input_count,
                            row->least_inputs,
                            row->most_inputs);
    if (spec->element_bytes > max_element_bytes)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "elements of %u bytes, expected at most %u",
                            spec->element_bytes,
                            max_element_bytes);
    for (uint32_t i = 0; i < spec->input_count; i++)
        if (spec->inputs[i] >= g->node_count)
            return mn_error_set(err,
                                MN_ERR_ARG,
                                "input %u: node %u out of range [0,%u)",
                                i,
                                spec->inputs[i],
                                g->node_count);
    return MN_OK;
}

static mn_status
infer_shape(const mn_graph *g, const mn_node_spec *spec, mn_shape *ret_shape, mn_error *err)
{
    mn_shape *shapes = mn_calloc(spec->input_count, sizeof *shapes);
    if (shapes == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < spec->input_count; i++)
        shapes[i] = g->nodes[spec->inputs[i]].shape;
    mn_shape shape = {0};
    mn_status status = mn__primitive_row(spec->prim)->shape(spec, shapes, &shape, err);
    if (status == MN_OK && !fits(shape.h, shape.w, shape.c, 1))
        status = mn_error_set(err,
                              MN_ERR_LIMIT,
                              "shape (%u,%u,%u): expected 1 to %zu elements",
                              shape.h,
                              shape.w,
                              shape.c,
                              max_elements);
    if (status == MN_OK)
        *ret_shape = shape;
    free(shapes);
    return status;
}

static char *tensor_name(const char *node, mn_tensor_role role)
{
    size_t bytes = strlen(node) + 16;
    char *name = mn_calloc(bytes, 1);
    if (name != NULL)
        snprintf(name, bytes, "%s.%s", node, mn_tensor_role_name(role));
    return name;
}

/* Adds the tensors of the last node. */
static mn_status add_tensors(mn_graph *g, const mn_node_spec *spec, mn_error *err)
{
    uint32_t index = g->node_count - 1;
    mn_node *node = &g->nodes[index];
    const mn__primitive *row = mn__primitive_row(spec->prim);
    for (int role = 0; role < MN_ROLE_COUNT; role++) {
        uint32_t rank = 0;
        uint32_t dims[4] = {1, 1, 1, 1};
        node->tensors[role] = MN_NONE;
        if (row->tensor == NULL)
            continue;
        row->tensor(spec, g->nodes[spec->inputs[0]].shape, (mn_tensor_role)role, &rank, dims);
        if (rank == 0)
            continue;
        if (!fits(dims[0], dims[1], dims[2], dims[3]))
            return mn_error_set(err,
                                MN_ERR_LIMIT,
                                "%s (%u,%u,%u,%u): expected 1 to %zu elements",
                                mn_tensor_role_name((mn_tensor_role)role),
                                dims[0],
                                dims[1],
                                dims[2],
                                dims[3],
                                max_elements);
        char *name = tensor_name(node->name, (mn_tensor_role)role);
        if (name == NULL || !reserve_tensor(g)) {
            free(name);
            return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        }
        g->tensor_names[g->tensor_count] = name;
        mn_tensor_info *info = &g->tensors[g->tensor_count];
        *info = (mn_tensor_info){
            .name = name, .rank = rank, .node = index, .role = (mn_tensor_role)role};
        memcpy(info->dims, dims, sizeof dims);
        node->tensors[role] = g->tensor_count++;
    }
    return MN_OK;
}

static mn_status add_node(mn_graph *g, const mn_node_spec *spec, mn_error *err)
{
    mn_shape shape = {0};
    if (g->node_count >= max_nodes)
        return mn_error_set(err, MN_ERR_LIMIT, "more than %u nodes", max_nodes);
    mn_status status = check_inputs(g, spec, err);
    if (status == MN_OK)
        status = infer_shape(g, spec, &shape, err);
    if (status != MN_OK)
        return status;
    if (!reserve_node(g))
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    char *name = strdup(spec->name);
    uint32_t *inputs = mn_calloc(spec->input_count, sizeof *inputs);
    if (name == NULL || inputs == NULL) {
        free(name);
        free(inputs);
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    }
    for (uint32_t i = 0; i < spec->input_count; i++)
        inputs[i] = spec->inputs[i];
    g->names[g->node_count] = name;
    g->inputs[g->node_count] = inputs;
    bool conv = spec->prim == MN_PRIM_CONV;
    bool windowed = conv || spec->prim == MN_PRIM_MAX_POOL || spec->prim == MN_PRIM_AVG_POOL;
    g->nodes[g->node_count] = (mn_node){
        .prim = spec->prim,
        .act = spec->act,
        .name = name,
        .inputs = inputs,
        .input_count = spec->input_count,
        .shape = shape,
        .window = windowed ? spec->window : (mn_window){0},
        .groups = !conv               ? 0
                  : spec->groups == 0 ? 1
                                      : spec->groups,
        .epsilon = spec->epsilon > 0.0f ? spec->epsilon : 1e-5f,
        .grid = spec->grid,
        .layer = spec->layer,
        .element_bytes = spec->element_bytes,
        .constant_bytes = spec->constant_bytes,
    };
    g->node_count++;
    return add_tensors(g, spec, err);
}

uint32_t mn_graph_add(mn_graph_builder *builder, const mn_node_spec *spec)
{
    if (builder->error.status != MN_OK || builder->graph == NULL)
        return MN_NONE;
    const char *name = spec->name == NULL ? "" : spec->name;
    mn_status status = MN_OK;
    if (name[0] == '\0')
        status = mn_error_set(&builder->error, MN_ERR_ARG, "a node needs a name");
    else
        status = add_node(builder->graph, spec, &builder->error);
    if (status != MN_OK) {
        (void)mn_error_prefix(
            &builder->error, status, "node %u '%s'", builder->graph->node_count, name);
        return MN_NONE;
    }
    return builder->graph->node_count - 1;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorting a copy keeps this linear-logarithmic for imported graphs of thousands of nodes. */
static mn_status check_names_unique(const mn_graph *g, mn_error *err)
{
    char **sorted = mn_calloc(g->node_count, sizeof *sorted);
    if (sorted == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    if (g->node_count > 0)
        memcpy(sorted, g->names, g->node_count * sizeof *sorted);
    qsort(sorted, g->node_count, sizeof *sorted, compare_names);
    mn_status status = MN_OK;
    for (uint32_t n = 1; n < g->node_count && status == MN_OK; n++)
        if (strcmp(sorted[n - 1], sorted[n]) == 0)
            status = mn_error_set(err, MN_ERR_ARG, "two nodes are named '%s'", sorted[n]);
    free(sorted);
    return status;
}

static mn_status
set_outputs(mn_graph *g, const uint32_t *outputs, uint32_t output_count, mn_error *err)
{
    if (output_count == 0)
        return mn_error_set(err, MN_ERR_ARG, "a graph needs an output");
    for (uint32_t i = 0; i < output_count; i++) {
        if (outputs[i] >= g->node_count)
            return mn_error_set(err,
                                MN_ERR_ARG,
                                "output %u: node %u out of range [0,%u)",
                                i,
                                outputs[i],
                                g->node_count);
        for (uint32_t k = 0; k < i; k++)
            if (outputs[k] == outputs[i])
                return mn_error_set(err, MN_ERR_ARG, "node %u is an output twice", outputs[i]);
    }
    g->outputs = mn_calloc(output_count, sizeof *g->outputs);
    if (g->outputs == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    memcpy(g->outputs, outputs, output_count * sizeof *outputs);
    g->output_count = output_count;
    return MN_OK;
}

mn_status mn_graph_builder_finish(mn_graph_builder *builder,
                                  const uint32_t *outputs,
                                  uint32_t output_count,
                                  mn_graph **ret_graph,
                                  mn_error *err)
{
    mn_graph *g = builder->graph;
    builder->graph = NULL;
    mn_status status = builder->error.status;
    if (status != MN_OK)
        (void)mn_error_set(err, status, "%s", builder->error.message);
    else if (g == NULL)
        status = mn_error_set(err, MN_ERR_ARG, "the builder was finished before");
    if (status == MN_OK)
        status = set_outputs(g, outputs, output_count, err);
    if (status == MN_OK)
        status = check_names_unique(g, err);
    if (status != MN_OK) {
        mn_graph_free(g);
        return status;
    }
    *ret_graph = g;
    return MN_OK;
}

/* Padding of one axis that yields ceil(in / stride); the odd pixel goes after. */
static void same_padding(uint32_t in,
                         uint32_t kernel,
                         uint32_t stride,
                         uint32_t dilation,
                         uint32_t *ret_before,
                         uint32_t *ret_after)
{
    uint32_t reach = dilation * (kernel - 1);
    uint32_t out = (in + stride - 1) / stride;
    uint32_t covered = (out - 1) * stride + reach + 1;
    *ret_before = reach / 2;
    *ret_after = covered > in + *ret_before ? covered - in - *ret_before : 0;
}

mn_window mn_window_same(
    mn_shape input, uint32_t kernel_h, uint32_t kernel_w, uint32_t stride, uint32_t dilation)
{
    mn_window window = {.kernel_h = kernel_h,
                        .kernel_w = kernel_w,
                        .stride_h = stride,
                        .stride_w = stride,
                        .dilation_h = dilation,
                        .dilation_w = dilation};
    same_padding(input.h, kernel_h, stride, dilation, &window.pad_top, &window.pad_bottom);
    same_padding(input.w, kernel_w, stride, dilation, &window.pad_left, &window.pad_right);
    return window;
}

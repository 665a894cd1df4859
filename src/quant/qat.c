/*
 * Quantisation-aware fine-tuning: puts fake_quant nodes into a deployed graph and trains it. Stands
 * between calibration, which has found the grids, and conversion, which takes the numbers that come
 * out. Invariant: the grids are never touched.
 */
#include "memnet/qat.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

/* ---- the graph --------------------------------------------------------------------------------
 */

static bool same_grid(const mn_quant_value *a, const mn_quant_value *b)
{
    return a->scale == b->scale && a->zero_point == b->zero_point;
}

/* Whether a node that only picks numbers of its inputs leaves the grid: theirs is another, or six,
 * where it cuts, is not on it. Zero is on every grid. */
static bool leaves_grid(const mn_node *node, const mn_quant_value *values, uint32_t n)
{
    bool leaves = node->prim == MN_PRIM_RELU6 || node->act == MN_ACT_RELU6;
    for (uint32_t i = 0; i < node->input_count; i++)
        leaves = leaves || !same_grid(&values[node->inputs[i]], &values[n]);
    return leaves;
}

/* Whether the node's int8 kernel rounds. */
static mn_status find_rounding(
    const mn_graph *graph, uint32_t n, const mn_quant_value *values, bool *ret, mn_error *err)
{
    const mn_node *node = mn_graph_node(graph, n);
    switch (node->prim) {
    case MN_PRIM_INPUT:
    case MN_PRIM_CONV:
    case MN_PRIM_FULLY_CONNECTED:
    case MN_PRIM_ADD:
    case MN_PRIM_AVG_POOL:
    case MN_PRIM_GLOBAL_POOL:
        *ret = true;
        return MN_OK;
    case MN_PRIM_RELU:
    case MN_PRIM_RELU6:
    case MN_PRIM_MAX_POOL:
    case MN_PRIM_CONCAT:
    case MN_PRIM_RESHAPE:
        *ret = leaves_grid(node, values, n);
        return MN_OK;
    case MN_PRIM_BATCH_NORM:
    case MN_PRIM_IDENTITY:
    case MN_PRIM_FAKE_QUANT:
    case MN_PRIM_OPAQUE:
    case MN_PRIM_COUNT:
        break;
    }
    return mn_error_set(err,
                        MN_ERR_UNSUPPORTED,
                        "%s: a deployed graph has no %s node",
                        node->name,
                        mn_prim_name(node->prim));
}

typedef struct preparation {
    const mn_graph *from;
    const mn_quant_value *values;
    mn_graph_builder *builder;
    uint32_t *map; /* (nodes) where readers of a deployed node read now */
} preparation;

/* Adds the node as it is. An error of the builder comes out at its end. */
static mn_status copy_node(preparation *p, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(p->from, n);
    uint32_t *inputs = mn_calloc(node->input_count, sizeof *inputs);
    if (inputs == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < node->input_count; i++)
        inputs[i] = p->map[node->inputs[i]];
    const mn_node_spec spec = {
        .prim = node->prim,
        .name = node->name,
        .inputs = inputs,
        .input_count = node->input_count,
        .shape = node->shape,
        .channels = node->shape.c,
        .window = node->window,
        .groups = node->groups,
        .bias = node->tensors[MN_ROLE_BIAS] != MN_NONE,
        .act = node->act,
        .layer = node->layer,
        .element_bytes = node->element_bytes,
        .constant_bytes = node->constant_bytes,
    };
    p->map[n] = mn_graph_add(p->builder, &spec);
    free(inputs);
    return MN_OK;
}

/* Puts a fake_quant node behind what stands for node n. */
static mn_status add_rounding(preparation *p, uint32_t n, mn_error *err)
{
    static const char suffix[] = "/grid";
    const mn_node *node = mn_graph_node(p->from, n);
    const size_t bytes = strlen(node->name) + sizeof suffix;
    char *name = mn_calloc(bytes, 1);
    if (name == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    snprintf(name, bytes, "%s%s", node->name, suffix);
    const mn_node_spec spec = {.prim = MN_PRIM_FAKE_QUANT,
                               .name = name,
                               .inputs = &p->map[n],
                               .input_count = 1,
                               .grid = {.scale = p->values[n].scale,
                                        .zero_point = p->values[n].zero_point,
                                        .low = -128,
                                        .high = 127},
                               .layer = node->layer};
    uint32_t added = mn_graph_add(p->builder, &spec);
    p->map[n] = added;
    free(name);
    return MN_OK;
}

static mn_status prepare_node(preparation *p, uint32_t n, mn_error *err)
{
    bool rounds = false;
    mn_status status = find_rounding(p->from, n, p->values, &rounds, err);
    if (status == MN_OK)
        status = copy_node(p, n, err);
    if (status == MN_OK && rounds)
        status = add_rounding(p, n, err);
    return status;
}

static mn_status check_grids(const mn_graph *graph, const mn_quant_value *values, mn_error *err)
{
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++) {
        const mn_quant_value *v = &values[n];
        if (!isfinite(v->scale) || v->scale <= 0.0f || v->zero_point < -128 || v->zero_point > 127)
            return mn_error_set(err,
                                MN_ERR_ARG,
                                "%s: scale %g and zero point %d are no grid of int8",
                                mn_graph_node(graph, n)->name,
                                (double)v->scale,
                                (int)v->zero_point);
    }
    return MN_OK;
}

static mn_status finish(preparation *p, mn_graph **ret_graph, mn_error *err)
{
    const uint32_t count = mn_graph_output_count(p->from);
    uint32_t *outputs = mn_calloc(count, sizeof *outputs);
    if (outputs == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < count; i++)
        outputs[i] = p->map[mn_graph_output(p->from, i)];
    mn_status status = mn_graph_builder_finish(p->builder, outputs, count, ret_graph, err);
    free(outputs);
    return status;
}

mn_status mn_qat_prepare(const mn_graph *deployed,
                         const mn_quant_value *values,
                         mn_graph **ret_graph,
                         mn_error *err)
{
    const uint32_t nodes = mn_graph_node_count(deployed);
    preparation p = {.from = deployed, .values = values};
    mn_status status = check_grids(deployed, values, err);
    if (status != MN_OK)
        return status;
    p.map = mn_calloc(nodes, sizeof *p.map);
    if (p.map == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    status = mn_graph_builder_create(&p.builder, err);
    for (uint32_t n = 0; n < nodes && status == MN_OK; n++)
        status = prepare_node(&p, n, err);
    if (status == MN_OK)
        status = finish(&p, ret_graph, err);
    mn_graph_builder_free(p.builder);
    free(p.map);
    return status;
}

/* ---- the training -----------------------------------------------------------------------------
 */

mn_train_opts mn_qat_opts_default(void)
{
    mn_train_opts opts = mn_train_opts_default();
    opts.epochs = 5;
    opts.learning_rate = 0.001f;
    opts.schedule = MN_SCHEDULE_COSINE;
    opts.int8_weights = true;
    opts.compute = MN_COMPUTE_FLOAT32;
    return opts;
}

static mn_status run_epochs(
    mn_trainer *trainer, uint32_t epochs, mn_qat_progress progress, void *context, mn_error *err)
{
    mn_status status = MN_OK;
    for (uint32_t e = 0; e < epochs && status == MN_OK; e++) {
        mn_epoch_result result;
        status = mn_trainer_epoch(trainer, &result, err);
        if (status == MN_OK && progress != NULL)
            progress(context, &result);
    }
    return status;
}

mn_status mn_qat_train(const mn_trainer_setup *setup,
                       const mn_quant_value *values,
                       mn_qat_progress progress,
                       void *context,
                       mn_tensors **ret_tensors,
                       mn_error *err)
{
    mn_trainer_setup prepared = *setup;
    mn_graph *graph = NULL;
    mn_trainer *trainer = NULL;
    mn_status status = mn_qat_prepare(setup->graph, values, &graph, err);
    prepared.graph = graph;
    prepared.opts.int8_weights = true;
    if (status == MN_OK)
        status = mn_trainer_create(&prepared, &trainer, err);
    if (status == MN_OK)
        status = run_epochs(trainer, prepared.opts.epochs, progress, context, err);
    if (status == MN_OK)
        status = mn_trainer_tensors(trainer, ret_tensors, err);
    mn_trainer_free(trainer);
    mn_graph_free(graph);
    return status;
}

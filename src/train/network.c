/*
 * Builds a network from a graph: values, then layer by layer the forward steps, then the backward
 * steps in reverse, then the memory of them all. The way in to train/ for the trainer.
 */
#include "train/network.h"

#include <stdlib.h>
#include <string.h>

#include "train/program.h"

typedef mn_status (*layer_build)(mn__network *net, uint32_t node, mn_error *err);

static layer_build builder_of(mn_prim prim)
{
    static const layer_build table[MN_PRIM_COUNT] = {
        [MN_PRIM_INPUT] = mn__input_build,
        [MN_PRIM_CONV] = mn__conv_build,
        [MN_PRIM_BATCH_NORM] = mn__norm_build,
        [MN_PRIM_RELU] = mn__relu_build,
        [MN_PRIM_RELU6] = mn__relu_build,
        [MN_PRIM_ADD] = mn__add_build,
        [MN_PRIM_CONCAT] = mn__concat_build,
        [MN_PRIM_MAX_POOL] = mn__max_pool_build,
        [MN_PRIM_AVG_POOL] = mn__avg_pool_build,
        [MN_PRIM_GLOBAL_POOL] = mn__avg_pool_build,
        [MN_PRIM_FULLY_CONNECTED] = mn__dense_build,
        [MN_PRIM_FAKE_QUANT] = mn__fake_quant_build,
    };
    return (unsigned)prim < MN_PRIM_COUNT ? table[prim] : NULL;
}

static bool has_parameters(const mn_graph *graph, uint32_t node)
{
    for (int role = 0; role < MN_ROLE_COUNT; role++)
        if (mn_graph_node(graph, node)->tensors[role] != MN_NONE)
            return true;
    return false;
}

mn_status mn__layer_add(mn__network *net,
                        uint32_t node,
                        mn__value *const *inputs,
                        uint32_t input_count,
                        mn__value *output,
                        mn__backward backward,
                        void *state,
                        mn_error *err)
{
    void *block = NULL;
    void *list = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(mn__layer), &block, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, input_count, sizeof(mn__value *), &list, err);
    if (status != MN_OK)
        return status;
    mn__layer *layer = block;
    *layer = (mn__layer){.node = node,
                         .input_count = input_count,
                         .inputs = list,
                         .output = output,
                         .backward = backward,
                         .state = state,
                         .next_older = net->newest_layer};
    output->wants_gradient = has_parameters(net->graph, node);
    for (uint32_t i = 0; i < input_count; i++) {
        layer->inputs[i] = inputs[i];
        output->wants_gradient = output->wants_gradient || inputs[i]->wants_gradient;
    }
    net->newest_layer = layer;
    return MN_OK;
}

/* An identity, and a relu that its batch norm computes: the value is its input's. */
static mn_status share_value(mn__network *net, uint32_t n, mn_error *err)
{
    (void)err;
    net->value_of[n] = net->value_of[mn_graph_node(net->graph, n)->inputs[0]];
    return MN_OK;
}

static bool shares_value(const mn__network *net, uint32_t n)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    return node->prim == MN_PRIM_IDENTITY ||
           (node->prim == MN_PRIM_RELU && net->fused_relu[node->inputs[0]] == n);
}

bool mn__makes_logits(const mn_graph *graph, uint32_t n)
{
    const mn_node *node = mn_graph_node(graph, n);
    if (node->prim == MN_PRIM_FAKE_QUANT)
        node = mn_graph_node(graph, node->inputs[0]);
    return node->prim == MN_PRIM_FULLY_CONNECTED;
}

/* Logits are not blocked as every layer expects its input to be: only the loss reads them, and a
 * last node that rounds them. */
static mn_status check_inputs(const mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    if (n == mn_graph_output(net->graph, 0) && mn__makes_logits(net->graph, n) &&
        node->prim == MN_PRIM_FAKE_QUANT)
        return MN_OK;
    for (uint32_t i = 0; i < node->input_count; i++)
        if (mn__makes_logits(net->graph, node->inputs[i]))
            return mn_error_set(err,
                                MN_ERR_UNSUPPORTED,
                                "%s: a %s node behind a fully connected one cannot be trained",
                                node->name,
                                mn_prim_name(node->prim));
    return MN_OK;
}

static mn_status build_node(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    layer_build build = shares_value(net, n) ? share_value : builder_of(node->prim);
    if (build == NULL)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "%s: a %s node cannot be trained",
                            node->name,
                            mn_prim_name(node->prim));
    if (node->prim == MN_PRIM_FULLY_CONNECTED && node->act != MN_ACT_NONE)
        return mn_error_set(
            err, MN_ERR_UNSUPPORTED, "%s: an activation of logits cannot be trained", node->name);
    mn_status status = check_inputs(net, n, err);
    if (status == MN_OK)
        status = build(net, n, err);
    if (status == MN_OK && node->act != MN_ACT_NONE)
        status = mn__activation_build(net, n, net->value_of[n], node->act, &net->value_of[n], err);
    return status;
}

/* Finds the relu nodes that a batch norm can compute with it: its only readers. */
static mn_status find_fused_relus(mn__network *net, mn_error *err)
{
    uint32_t nodes = mn_graph_node_count(net->graph);
    void *block = NULL;
    void *counts = NULL;
    mn_status status = mn__network_alloc(net, nodes, sizeof(uint32_t), &block, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, nodes, sizeof(uint32_t), &counts, err);
    if (status != MN_OK)
        return status;
    uint32_t *fused = block;
    uint32_t *readers = counts;
    for (uint32_t n = 0; n < nodes; n++) {
        const mn_node *node = mn_graph_node(net->graph, n);
        fused[n] = MN_NONE;
        for (uint32_t i = 0; i < node->input_count; i++)
            readers[node->inputs[i]]++;
    }
    for (uint32_t i = 0; i < mn_graph_output_count(net->graph); i++)
        readers[mn_graph_output(net->graph, i)]++;
    for (uint32_t n = 0; n < nodes; n++) {
        const mn_node *node = mn_graph_node(net->graph, n);
        if (node->prim != MN_PRIM_RELU)
            continue;
        uint32_t from = node->inputs[0];
        if (mn_graph_node(net->graph, from)->prim == MN_PRIM_BATCH_NORM && readers[from] == 1)
            fused[from] = n;
    }
    net->fused_relu = fused;
    return MN_OK;
}

/* The layer of the logits has its gradient from the loss; every other one from its readers. */
static mn_status build_backward(mn__network *net, mn_error *err)
{
    mn_status status = MN_OK;
    const mn__value *logits = net->value_of[mn_graph_output(net->graph, 0)];
    for (mn__layer *layer = net->newest_layer; layer != NULL && status == MN_OK;
         layer = layer->next_older) {
        mn__value *out = layer->output;
        if (!out->wants_gradient || (out->gradient == NULL && out != logits))
            continue;
        status = layer->backward(net, layer, out->gradient, err);
        if (status == MN_OK && out->gradient != NULL) {
            mn__gradient_release(out->gradient);
            out->gradient = NULL;
        }
    }
    return status;
}

static mn_status build_nodes(mn__network *net, mn_error *err)
{
    uint32_t nodes = mn_graph_node_count(net->graph);
    void *values = NULL;
    void *parameters = NULL;
    mn_status status = mn__network_alloc(net, nodes, sizeof(mn__value *), &values, err);
    if (status == MN_OK)
        status = mn__network_alloc(
            net, mn_graph_tensor_count(net->graph), sizeof(mn__parameter), &parameters, err);
    if (status != MN_OK)
        return status;
    net->value_of = values;
    net->parameters = parameters;
    status = find_fused_relus(net, err);
    for (uint32_t n = 0; n < nodes && status == MN_OK; n++)
        status = build_node(net, n, err);
    return status;
}

static mn_status build(mn__network *net, mn_error *err)
{
    void *scratch = NULL;
    mn_status status = build_nodes(net, err);
    if (status != MN_OK)
        return status;
    if (net->classes == 0)
        return mn_error_set(err, MN_ERR_UNSUPPORTED, "the network has no layer to train");
    status = build_backward(net, err);
    if (status == MN_OK)
        status = mn__buffers_place(net, err);
    if (status == MN_OK &&
        !mn_size_round_up(net->scratch_bytes, MN_ARENA_ALIGN, &net->scratch_bytes))
        status = mn_error_set(err, MN_ERR_NOMEM, "no memory for %zu bytes", net->scratch_bytes);
    if (status == MN_OK)
        status = mn__network_alloc(net, net->opts.slices, net->scratch_bytes, &scratch, err);
    net->scratch = scratch;
    return status;
}

mn_status mn__network_create(const mn_graph *graph,
                             const mn__network_opts *opts,
                             mn_arena *arena,
                             mn__network **ret_net,
                             mn_error *err)
{
    mn__network *net = mn_calloc(1, sizeof *net);
    if (net == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    net->graph = graph;
    net->opts = *opts;
    net->lanes = opts->simd->lanes;
    net->arena = arena;
    net->needs = MN_NONE;
    mn_arena_reset(arena);
    mn_status status = build(net, err);
    if (status != MN_OK) {
        mn__network_free(net);
        return status;
    }
    *ret_net = net;
    return MN_OK;
}

void mn__network_free(mn__network *net)
{
    if (net == NULL)
        return;
    free(net->forward.steps);
    free(net->backward.steps);
    free(net->refresh.steps);
    free(net);
}

void mn__network_forward(mn__network *net, const float *images, bool train)
{
    net->images = images;
    mn__program_run(net, &net->forward, 0, train);
}

void mn__network_backward(mn__network *net)
{
    mn__program_run(net, &net->backward, net->forward.count, true);
}

void mn__network_refresh(mn__network *net)
{
    for (uint32_t i = 0; i < net->refresh.count; i++)
        net->refresh.steps[i].begin(net->refresh.steps[i].context, true);
}

/*
 * Builds a network from a graph: values, then layer by layer the forward programs, then the
 * backward program in reverse. The way in to train/ for the trainer.
 */
#include "train/network.h"

#include <stdlib.h>
#include <string.h>

typedef mn_status (*layer_build)(mn__network *net, uint32_t node, mn_error *err);

static layer_build builder_of(mn_prim prim)
{
    static const layer_build table[MN_PRIM_COUNT] = {
        [MN_PRIM_CONV] = mn__conv_build,
        [MN_PRIM_BATCH_NORM] = mn__norm_build,
        [MN_PRIM_RELU] = mn__relu_build,
        [MN_PRIM_RELU6] = mn__relu_build,
        [MN_PRIM_ADD] = mn__add_build,
        [MN_PRIM_CONCAT] = mn__concat_build,
        [MN_PRIM_MAX_POOL] = mn__pool_build,
        [MN_PRIM_AVG_POOL] = mn__pool_build,
        [MN_PRIM_GLOBAL_POOL] = mn__pool_build,
        [MN_PRIM_FULLY_CONNECTED] = mn__dense_build,
        [MN_PRIM_FAKE_QUANT] = mn__fake_quant_build,
    };
    return (unsigned)prim < MN_PRIM_COUNT ? table[prim] : NULL;
}

static mn_status dense_lanes(mn__network *net,
                             uint32_t channels,
                             uint32_t lanes,
                             const uint32_t **ret_channel_of,
                             mn_error *err)
{
    void *block = NULL;
    mn_status status = mn__network_alloc(net, lanes, sizeof(uint32_t), &block, err);
    if (status != MN_OK)
        return status;
    uint32_t *channel_of = block;
    for (uint32_t lane = 0; lane < lanes; lane++)
        channel_of[lane] = lane < channels ? lane : MN_NONE;
    *ret_channel_of = channel_of;
    return MN_OK;
}

mn_status mn__value_create(mn__network *net,
                           mn_shape shape,
                           uint32_t lanes,
                           const uint32_t *channel_of,
                           mn__value **ret_value,
                           mn_error *err)
{
    void *block = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(mn__value), &block, err);
    if (status != MN_OK)
        return status;
    mn__value *value = block;
    uint32_t width = net->backend.simd->lanes;
    value->shape = shape;
    value->lanes = channel_of == NULL ? (shape.c + width - 1) / width * width : lanes;
    value->channel_of = channel_of;
    if (channel_of == NULL)
        status = dense_lanes(net, shape.c, value->lanes, &value->channel_of, err);
    dnnl_dims_t dims = {net->batch, value->lanes, shape.h, shape.w};
    if (status == MN_OK)
        status = mn__dnnl(
            dnnl_memory_desc_init_by_tag(&value->desc, 4, dims, dnnl_f32, net->backend.blocked),
            "activation layout",
            err);
    if (status == MN_OK)
        status = mn__memory_create(net, &value->desc, NULL, &value->memory, err);
    if (status != MN_OK)
        return status;
    value->data = mn__memory_data(value->memory);
    value->bytes = dnnl_memory_desc_get_size(&value->desc);
    *ret_value = value;
    return MN_OK;
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
        inputs[i]->gradient_capacity++;
        output->wants_gradient = output->wants_gradient || inputs[i]->wants_gradient;
    }
    net->newest_layer = layer;
    return MN_OK;
}

static void reorder_input(const void *context)
{
    /* (N,C,H,W) plain into (N,CB,H,W,lanes); lanes past C were zeroed with the arena. */
    const mn__network *net = context;
    const float *plain = mn__memory_data(net->input_plain);
    mn_shape shape = net->input->shape;
    size_t pixels = (size_t)shape.h * shape.w;
    size_t width = net->backend.simd->lanes;
    size_t blocks = net->input->lanes / width;
    for (size_t n = 0; n < net->batch; n++)
        for (size_t c = 0; c < shape.c; c++) {
            const float *from = plain + (n * shape.c + c) * pixels;
            float *to = net->input->data + (n * blocks + c / width) * pixels * width + c % width;
            for (size_t i = 0; i < pixels; i++)
                to[i * width] = from[i];
        }
}

/* The image: plain for the convolutions that read it so, blocked for everyone else. */
static mn_status build_input(mn__network *net, uint32_t node, mn_error *err)
{
    const mn_node *input = mn_graph_node(net->graph, node);
    if (net->input != NULL)
        return mn_error_set(
            err, MN_ERR_UNSUPPORTED, "%s: a second input cannot be trained", input->name);
    mn_status status = mn__value_create(net, input->shape, 0, NULL, &net->input, err);
    if (status != MN_OK)
        return status;
    net->value_of[node] = net->input;
    dnnl_dims_t dims = {net->batch, input->shape.c, input->shape.h, input->shape.w};
    status =
        mn__dnnl(dnnl_memory_desc_init_by_tag(&net->input_plain_desc, 4, dims, dnnl_f32, dnnl_nchw),
                 "image layout",
                 err);
    if (status == MN_OK)
        status = mn__memory_create(net, &net->input_plain_desc, NULL, &net->input_plain, err);
    bool blocked_read = false;
    for (uint32_t n = node + 1; n < mn_graph_node_count(net->graph); n++) {
        const mn_node *reader = mn_graph_node(net->graph, n);
        for (uint32_t i = 0; i < reader->input_count; i++)
            if (reader->inputs[i] == node && !mn__conv_reads_plain(net, n))
                blocked_read = true;
    }
    if (status == MN_OK && blocked_read)
        status = mn__program_function(&net->forward, reorder_input, net, err);
    if (status == MN_OK && blocked_read)
        status = mn__program_function(&net->evaluate, reorder_input, net, err);
    return status;
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

/* Logits are not blocked as every layer expects its input to be: only the loss reads them. */
static mn_status check_inputs(const mn__network *net, const mn_node *node, mn_error *err)
{
    for (uint32_t i = 0; i < node->input_count; i++)
        if (net->value_of[node->inputs[i]]->desc.ndims != 4)
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
    if (node->prim == MN_PRIM_INPUT)
        return build_input(net, n, err);
    layer_build build = shares_value(net, n) ? share_value : builder_of(node->prim);
    if (build == NULL)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "%s: a %s node cannot be trained",
                            node->name,
                            mn_prim_name(node->prim));
    mn_status status = check_inputs(net, node, err);
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

/* Room for the contributions of every reader, once all readers are known. */
static mn_status make_gradient_lists(mn__network *net, mn_error *err)
{
    mn_status status = MN_OK;
    for (mn__layer *layer = net->newest_layer; layer != NULL && status == MN_OK;
         layer = layer->next_older) {
        mn__value *value = layer->output;
        value->gradient_capacity++; /* the loss reads the output */
        void *list = NULL;
        status =
            mn__network_alloc(net, value->gradient_capacity, sizeof(mn__gradient *), &list, err);
        value->gradients = list;
    }
    return status;
}

static mn_status build_backward(mn__network *net, mn_error *err)
{
    mn_status status = make_gradient_lists(net, err);
    mn__gradient *seed = NULL;
    if (status == MN_OK)
        status = mn__gradient_new(net, net->output, &seed, err);
    if (status != MN_OK)
        return status;
    seed->references++; /* the loss writes it before every backward run: never reused */
    net->output_gradient = seed->data;
    for (mn__layer *layer = net->newest_layer; layer != NULL && status == MN_OK;
         layer = layer->next_older) {
        mn__gradient *gradient = NULL;
        if (!layer->output->wants_gradient)
            continue;
        status = mn__gradient_collect(net, layer->output, &gradient, err);
        if (status != MN_OK || gradient == NULL)
            continue;
        status = layer->backward(net, layer, gradient, err);
        mn__gradient_release(gradient);
    }
    return status;
}

static mn_status build(mn__network *net, mn_error *err)
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
    if (status != MN_OK)
        return status;
    net->output = net->value_of[mn_graph_output(net->graph, 0)];
    if (net->output == net->input)
        return mn_error_set(err, MN_ERR_UNSUPPORTED, "the network has no layer to train");
    return build_backward(net, err);
}

mn_status mn__network_create(const mn_graph *graph,
                             uint32_t batch,
                             uint32_t threads,
                             mn_arena *arena,
                             mn__network **ret_net,
                             mn_error *err)
{
    mn__network *net = mn_calloc(1, sizeof *net);
    if (net == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    net->graph = graph;
    net->batch = batch;
    net->threads = threads;
    net->arena = arena;
    mn_arena_reset(arena);
    mn_status status = mn__backend_init(&net->backend, threads, err);
    if (status == MN_OK)
        status = build(net, err);
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
    for (uint32_t i = 0; i < net->primitive_count; i++)
        (void)dnnl_primitive_destroy(net->primitives[i]);
    for (uint32_t i = 0; i < net->memory_count; i++)
        (void)dnnl_memory_destroy(net->memories[i]);
    free(net->primitives);
    free(net->memories);
    free(net->notes);
    free(net->forward.items);
    free(net->evaluate.items);
    free(net->backward.items);
    free(net->refresh.items);
    mn__backend_done(&net->backend);
    free(net);
}

mn_status mn__network_set_input(mn__network *net, const float *images, mn_error *err)
{
    /* oneDNN's handles are mutable, but a source is only read. */
    void *handle = (void *)(uintptr_t)images;
    return mn__dnnl(dnnl_memory_set_data_handle(net->input_plain, handle), "image memory", err);
}

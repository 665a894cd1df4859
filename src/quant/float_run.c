/*
 * Calls the float kernels step by step, as exported code does. Invariant: a value is visited before
 * anything may overwrite it.
 */
#include "quant/float_run.h"

#include <stdlib.h>

#include "base/size.h"
#include "kernels/mn_f32.h"
#include "quant/network.h"

typedef struct run {
    const mn__float_network *network;
    const mn_node *node;
    uint32_t n;
    float *arena;
} run;

mn_status
mn__find_ends(const mn_graph *graph, uint32_t *ret_input, uint32_t *ret_output, mn_error *err)
{
    uint32_t inputs = 0;
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++) {
        if (mn_graph_node(graph, n)->prim == MN_PRIM_INPUT) {
            *ret_input = n;
            inputs++;
        }
    }
    if (inputs != 1 || mn_graph_output_count(graph) != 1)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "a network of %u inputs and %u outputs, expected one of each",
                            inputs,
                            mn_graph_output_count(graph));
    *ret_output = mn_graph_output(graph, 0);
    return MN_OK;
}

static bool arrange_weights(const mn__float_network *network, uint32_t n)
{
    mn_quant_sizes sizes = mn_quant_sizes_of(network->graph, n);
    if (sizes.outputs == 0)
        return true;
    uint32_t tensor = mn_graph_node(network->graph, n)->tensors[MN_ROLE_WEIGHT];
    const mn_tensor_info *info = mn_graph_tensor(network->graph, tensor);
    const float *from = network->tensors->items[tensor].data;
    float *to = mn_calloc(sizes.outputs * sizes.filter, sizeof *to);
    network->weights[n] = to;
    if (to == NULL)
        return false;
    for (uint32_t o = 0; o < sizes.outputs; o++)
        for (size_t k = 0; k < sizes.filter; k++)
            to[mn__weight_at(sizes, o, k)] = from[mn__weight_source(info, sizes, o, k)];
    return true;
}

mn_status mn__float_network_init(mn__float_network *network,
                                 const mn_graph *graph,
                                 const mn_tensors *tensors,
                                 mn_error *err)
{
    network->graph = graph;
    network->tensors = tensors;
    mn_status status = mn__find_ends(graph, &network->input, &network->output, err);
    if (status == MN_OK)
        status = mn_plan_create(graph, NULL, &network->plan, err);
    if (status != MN_OK)
        return status;
    network->weights = mn_calloc(mn_graph_node_count(graph), sizeof *network->weights);
    bool good = network->weights != NULL;
    for (uint32_t n = 0; n < mn_graph_node_count(graph) && good; n++)
        good = arrange_weights(network, n);
    return good ? MN_OK : mn_error_set(err, MN_ERR_NOMEM, "out of memory for float weights");
}

void mn__float_network_done(mn__float_network *network)
{
    for (uint32_t n = 0; network->weights != NULL && n < mn_graph_node_count(network->graph); n++)
        free(network->weights[n]);
    free(network->weights);
    mn_plan_free(network->plan);
    *network = (mn__float_network){0};
}

static mn__spot spot_of(const run *r, uint32_t node)
{
    return mn__spot_of(r->network->plan, node, sizeof(float));
}

static int32_t act_of(mn_act act)
{
    return act == MN_ACT_RELU ? MN_F32_RELU : act == MN_ACT_RELU6 ? MN_F32_RELU6 : MN_F32_LINEAR;
}

static mn_f32_window window_of(const run *r, mn__spot from, mn__spot to)
{
    const mn_window *w = &r->node->window;
    mn_shape in = mn_graph_node(r->network->graph, r->node->inputs[0])->shape;
    mn_shape out = r->node->shape;
    return (mn_f32_window){
        .in_h = (int32_t)in.h,
        .in_w = (int32_t)in.w,
        .in_c = (int32_t)in.c,
        .in_stride = from.stride,
        .out_h = (int32_t)out.h,
        .out_w = (int32_t)out.w,
        .out_c = (int32_t)out.c,
        .out_stride = to.stride,
        .kernel_h = (int32_t)w->kernel_h,
        .kernel_w = (int32_t)w->kernel_w,
        .stride_h = (int32_t)w->stride_h,
        .stride_w = (int32_t)w->stride_w,
        .dilation_h = (int32_t)w->dilation_h,
        .dilation_w = (int32_t)w->dilation_w,
        .pad_top = (int32_t)w->pad_top,
        .pad_left = (int32_t)w->pad_left,
        .groups = r->node->groups == 0 ? 1 : (int32_t)r->node->groups,
        .act = act_of(r->node->act),
    };
}

static mn_f32_span span_of(const run *r, uint32_t x, int32_t out_stride, mn_act act)
{
    const mn_node *in = mn_graph_node(r->network->graph, x);
    return (mn_f32_span){
        .pixels = (int32_t)mn__pixels_of(in),
        .channels = (int32_t)in->shape.c,
        .in_stride = spot_of(r, x).stride,
        .out_stride = out_stride,
        .act = act_of(act),
    };
}

static const float *bias_of(const run *r)
{
    uint32_t tensor = r->node->tensors[MN_ROLE_BIAS];
    return tensor == MN_NONE ? NULL : r->network->tensors->items[tensor].data;
}

static void run_conv(const run *r, const mn_step *step)
{
    mn__spot from = spot_of(r, r->node->inputs[0]);
    mn__spot to = spot_of(r, r->n);
    mn_f32_window window = window_of(r, from, to);
    const float *weights = r->network->weights[r->n];
    bool depthwise = mn_quant_sizes_of(r->network->graph, r->n).is_depthwise;
    float *scratch = step->scratch == MN_NONE
                         ? NULL
                         : r->arena + r->network->plan->buffers[step->scratch].offset / 4;
    if (!depthwise)
        mn_f32_conv(r->arena + from.offset, r->arena + to.offset, weights, bias_of(r), &window);
    else if (step->in_place)
        mn_f32_depthwise_in_place(r->arena + to.offset, weights, bias_of(r), scratch, &window);
    else
        mn_f32_depthwise(
            r->arena + from.offset, r->arena + to.offset, weights, bias_of(r), &window);
}

static void run_pool(const run *r)
{
    mn__spot from = spot_of(r, r->node->inputs[0]);
    mn__spot to = spot_of(r, r->n);
    mn_f32_window window = window_of(r, from, to);
    if (r->node->prim == MN_PRIM_MAX_POOL)
        mn_f32_max_pool(r->arena + from.offset, r->arena + to.offset, &window);
    else
        mn_f32_avg_pool(r->arena + from.offset, r->arena + to.offset, &window);
}

static void run_concat(const run *r)
{
    mn__spot to = spot_of(r, r->n);
    size_t slice = to.offset;
    for (uint32_t i = 0; i < r->node->input_count; i++) {
        uint32_t x = r->node->inputs[i];
        mn__spot from = spot_of(r, x);
        mn_f32_span span = span_of(r, x, to.stride, MN_ACT_NONE);
        if (!mn__is_in_slice(from, slice, to.stride, (uint32_t)span.pixels))
            mn_f32_copy(r->arena + from.offset, r->arena + slice, &span);
        slice += (size_t)span.channels;
    }
}

/* One input, no window. */
static void run_plain(const run *r)
{
    mn__spot from = spot_of(r, r->node->inputs[0]);
    mn__spot to = spot_of(r, r->n);
    mn_prim prim = r->node->prim;
    mn_act act = prim == MN_PRIM_RELU    ? MN_ACT_RELU
                 : prim == MN_PRIM_RELU6 ? MN_ACT_RELU6
                                         : r->node->act;
    mn_f32_span span = span_of(r, r->node->inputs[0], to.stride, act);
    if (prim == MN_PRIM_GLOBAL_POOL)
        mn_f32_global_pool(r->arena + from.offset, r->arena + to.offset, &span);
    else if (prim == MN_PRIM_FULLY_CONNECTED)
        mn_f32_fully_connected(r->arena + from.offset,
                               r->arena + to.offset,
                               r->network->weights[r->n],
                               bias_of(r),
                               (int32_t)r->node->shape.c,
                               &span);
    else
        mn_f32_copy(r->arena + from.offset, r->arena + to.offset, &span);
}

static void run_add(const run *r)
{
    mn__spot a = spot_of(r, r->node->inputs[0]);
    mn__spot b = spot_of(r, r->node->inputs[1]);
    mn__spot to = spot_of(r, r->n);
    mn_f32_span span = span_of(r, r->node->inputs[0], to.stride, r->node->act);
    span.in2_stride = b.stride;
    mn_f32_add(r->arena + a.offset, r->arena + b.offset, r->arena + to.offset, &span);
}

float *mn__float_input(const mn__float_network *network, float *arena)
{
    return arena + mn__spot_of(network->plan, network->input, sizeof(float)).offset;
}

void mn__float_run(const mn__float_network *network,
                   float *arena,
                   mn__float_visit *visit,
                   void *context)
{
    run r = {.network = network, .arena = arena};
    visit(context,
          network->input,
          mn__float_input(network, arena),
          network->plan->views[network->input].pixel_stride);
    for (uint32_t s = 0; s < network->plan->step_count; s++) {
        const mn_step *step = &network->plan->steps[s];
        r.n = step->node;
        r.node = mn_graph_node(network->graph, r.n);
        if (r.node->prim == MN_PRIM_CONV)
            run_conv(&r, step);
        else if (r.node->prim == MN_PRIM_MAX_POOL || r.node->prim == MN_PRIM_AVG_POOL)
            run_pool(&r);
        else if (r.node->prim == MN_PRIM_CONCAT)
            run_concat(&r);
        else if (r.node->prim == MN_PRIM_ADD)
            run_add(&r);
        else
            run_plain(&r);
        mn__spot to = spot_of(&r, r.n);
        visit(context, r.n, arena + to.offset, (uint32_t)to.stride);
    }
}

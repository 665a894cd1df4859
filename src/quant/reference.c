/*
 * The reference run: the int8 kernels of exported code, compiled for the best set of instructions
 * that this processor has (all give the same bytes), step by step, in an arena laid out by the
 * plan, so that slices and results in place are what they are in firmware.
 *
 * Invariant: numbers and plan were checked when the network was made, so that a run cannot fail.
 */
#include "quant/reference.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "quant/network.h"

typedef struct run {
    const mn_int8_network *network;
    const mn_node *node;
    const mn_quant_node *q;
    uint32_t n;
    int8_t *arena;
} run;

mn_status mn_int8_network_create(const mn_graph *deployed,
                                 const mn_quant *quant,
                                 mn_int8_network **ret_network,
                                 mn_error *err)
{
    mn_plan_opts opts = mn_plan_opts_default();
    opts.precision = MN_PRECISION_INT8;
    mn_int8_network *network = mn_calloc(1, sizeof *network);
    if (network == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    network->graph = deployed;
    network->quant = quant;
    network->kernels = mn__s8_choose();
    mn_status status = mn__find_ends(deployed, &network->input, &network->output, err);
    if (status == MN_OK)
        status = mn_quant_check(deployed, quant, err);
    if (status == MN_OK)
        status = mn_plan_create(deployed, &opts, &network->plan, err);
    if (status != MN_OK) {
        mn_int8_network_free(network);
        return status;
    }
    *ret_network = network;
    return MN_OK;
}

void mn_int8_network_free(mn_int8_network *network)
{
    if (network == NULL)
        return;
    mn_plan_free(network->plan);
    free(network);
}

size_t mn_int8_network_arena_bytes(const mn_int8_network *network)
{
    return network->plan->arena_bytes;
}

static mn__spot spot_of(const run *r, uint32_t node)
{
    return mn__spot_of(r->network->plan, node, 1);
}

static int32_t zero_of(const run *r, uint32_t node)
{
    return r->network->quant->values[node].zero_point;
}

static mn_s8_window window_of(const run *r, mn__spot from, mn__spot to)
{
    const mn_window *w = &r->node->window;
    mn_shape in = mn_graph_node(r->network->graph, r->node->inputs[0])->shape;
    mn_shape out = r->node->shape;
    return (mn_s8_window){
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
        .in_zero = zero_of(r, r->node->inputs[0]),
        .out_zero = zero_of(r, r->n),
        .low = r->q->low,
        .high = r->q->high,
    };
}

static mn_s8_span span_of(const run *r, uint32_t x, int32_t out_stride)
{
    const mn_node *in = mn_graph_node(r->network->graph, x);
    return (mn_s8_span){
        .pixels = (int32_t)mn__pixels_of(in),
        .channels = (int32_t)in->shape.c,
        .in_stride = spot_of(r, x).stride,
        .out_stride = out_stride,
        .in_zero = zero_of(r, x),
        .out_zero = zero_of(r, r->n),
        .low = r->q->low,
        .high = r->q->high,
    };
}

static mn_s8_filter filter_of(const run *r)
{
    return (mn_s8_filter){.weights = r->q->weights,
                          .bias = r->q->bias,
                          .multiplier = r->q->multiplier,
                          .shift = r->q->shift};
}

static void run_conv(const run *r, const mn_step *step)
{
    mn__spot from = spot_of(r, r->node->inputs[0]);
    mn__spot to = spot_of(r, r->n);
    mn_s8_window window = window_of(r, from, to);
    mn_s8_filter filter = filter_of(r);
    const int8_t *in = r->arena + from.offset;
    int8_t *out = r->arena + to.offset;
    void *scratch = step->scratch == MN_NONE
                        ? NULL
                        : r->arena + r->network->plan->buffers[step->scratch].offset;
    if (!mn_quant_sizes_of(r->network->graph, r->n).is_depthwise)
        r->network->kernels->conv(in, out, &filter, scratch, &window);
    else if (step->in_place)
        r->network->kernels->depthwise_in_place(out, &filter, scratch, &window);
    else
        r->network->kernels->depthwise(in, out, &filter, scratch, &window);
}

static void run_pool(const run *r)
{
    mn__spot from = spot_of(r, r->node->inputs[0]);
    mn__spot to = spot_of(r, r->n);
    mn_s8_window window = window_of(r, from, to);
    if (r->node->prim == MN_PRIM_MAX_POOL)
        r->network->kernels->max_pool(r->arena + from.offset, r->arena + to.offset, &window);
    else
        r->network->kernels->avg_pool(r->arena + from.offset, r->arena + to.offset, &window);
}

/* Copies the parts that are not in their slices; the graph's input from its own grid. */
static void run_concat(const run *r)
{
    mn__spot to = spot_of(r, r->n);
    size_t slice = to.offset;
    for (uint32_t i = 0; i < r->node->input_count; i++) {
        uint32_t x = r->node->inputs[i];
        mn__spot from = spot_of(r, x);
        mn_s8_span span = span_of(r, x, to.stride);
        bool same = true;
        mn_s8_factor factor = {0};
        if (!mn__is_in_slice(from, slice, to.stride, (uint32_t)span.pixels)) {
            (void)mn_quant_copy_factor(&r->network->quant->values[x],
                                       &r->network->quant->values[r->n],
                                       &same,
                                       &factor.multiplier,
                                       &factor.shift,
                                       NULL); /* the check has asked before */
            r->network->kernels->copy(
                r->arena + from.offset, r->arena + slice, same ? NULL : &factor, &span);
        }
        slice += (size_t)span.channels;
    }
}

/* One input, no window. */
static void run_plain(const run *r)
{
    mn__spot from = spot_of(r, r->node->inputs[0]);
    mn__spot to = spot_of(r, r->n);
    mn_s8_span span = span_of(r, r->node->inputs[0], to.stride);
    const int8_t *in = r->arena + from.offset;
    int8_t *out = r->arena + to.offset;
    if (r->node->prim == MN_PRIM_GLOBAL_POOL) {
        mn_s8_factor factor = {.multiplier = r->q->factor, .shift = r->q->factor_shift};
        r->network->kernels->global_pool(in, out, &factor, &span);
    } else if (r->node->prim == MN_PRIM_FULLY_CONNECTED) {
        mn_s8_filter filter = filter_of(r);
        r->network->kernels->fully_connected(in, out, &filter, (int32_t)r->node->shape.c, &span);
    } else {
        r->network->kernels->copy(in, out, NULL, &span);
    }
}

static void run_add(const run *r)
{
    mn__spot a = spot_of(r, r->node->inputs[0]);
    mn__spot b = spot_of(r, r->node->inputs[1]);
    mn__spot to = spot_of(r, r->n);
    mn_s8_span span = span_of(r, r->node->inputs[0], to.stride);
    mn_s8_add_factors factors = {.a = r->q->add_a, .b = r->q->add_b, .shift = r->q->add_shift};
    span.in2_stride = b.stride;
    span.in2_zero = zero_of(r, r->node->inputs[1]);
    r->network->kernels->add(
        r->arena + a.offset, r->arena + b.offset, r->arena + to.offset, &factors, &span);
}

static void run_step(run *r, const mn_step *step)
{
    r->n = step->node;
    r->node = mn_graph_node(r->network->graph, r->n);
    r->q = &r->network->quant->nodes[r->n];
    if (r->node->prim == MN_PRIM_CONV)
        run_conv(r, step);
    else if (r->node->prim == MN_PRIM_MAX_POOL || r->node->prim == MN_PRIM_AVG_POOL)
        run_pool(r);
    else if (r->node->prim == MN_PRIM_CONCAT)
        run_concat(r);
    else if (r->node->prim == MN_PRIM_ADD)
        run_add(r);
    else
        run_plain(r);
}

void mn_int8_network_run(const mn_int8_network *network,
                         void *arena,
                         const int8_t *input,
                         int8_t *ret_output,
                         const mn_int8_visitor *visitor)
{
    run r = {.network = network, .arena = arena};
    const mn_node *first = mn_graph_node(network->graph, network->input);
    const mn_node *last = mn_graph_node(network->graph, network->output);
    /* Inputs and outputs are dense in every plan. */
    memcpy(r.arena + spot_of(&r, network->input).offset, input, mn_shape_elements(first->shape));
    for (uint32_t s = 0; s < network->plan->step_count; s++) {
        run_step(&r, &network->plan->steps[s]);
        mn__spot to = spot_of(&r, r.n);
        if (visitor != NULL)
            visitor->visit(visitor->context, r.n, r.arena + to.offset, (uint32_t)to.stride);
    }
    memcpy(
        ret_output, r.arena + spot_of(&r, network->output).offset, mn_shape_elements(last->shape));
}

/*
 * Element-wise layers: relu and relu6 that no batch norm computes, which are views, and fake-quant,
 * which rounds to a grid going forward and lets the gradient through inside the grid's range
 * (straight-through estimator).
 */
#include <math.h>

#include "train/network.h"

/* The gradient in front of a clamp is a slope without coefficients: dz where nothing was cut. */
static mn_status
clamp_backward(mn__network *net, const mn__layer *layer, mn__gradient *out_gradient, mn_error *err)
{
    const mn__value *through = layer->state;
    mn__gradient *slope = NULL;
    (void)out_gradient; /* replaced where it is a slope itself */
    if (!layer->inputs[0]->wants_gradient)
        return MN_OK;
    mn_status status = mn__gradient_store(net, layer->output, err);
    if (status == MN_OK)
        status = mn__slope_create(net, layer->output->gradient, through, &slope, err);
    if (status != MN_OK)
        return status;
    status = mn__gradient_give(net, layer->inputs[0], slope, err);
    mn__gradient_release(slope);
    return status;
}

mn_status mn__activation_build(
    mn__network *net, uint32_t n, mn__value *from, mn_act act, mn__value **ret_value, mn_error *err)
{
    const float high = act == MN_ACT_RELU6 ? 6.0f : INFINITY;
    mn__value *out = NULL;
    mn_status status = mn__value_view_create(net, from, &out, err);
    if (status != MN_OK)
        return status;
    out->low = from->low > 0.0f ? from->low : 0.0f;
    out->high = from->high < high ? from->high : high;
    status = mn__layer_add(net, n, &from, 1, out, clamp_backward, out, err);
    if (status != MN_OK)
        return status;
    out->wants_gradient = from->wants_gradient; /* the node's parameters are not here */
    *ret_value = out;
    return MN_OK;
}

mn_status mn__relu_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn_act act = node->prim == MN_PRIM_RELU6 ? MN_ACT_RELU6 : MN_ACT_RELU;
    return mn__activation_build(
        net, n, net->value_of[node->inputs[0]], act, &net->value_of[n], err);
}

/* ---- fake-quant -------------------------------------------------------------------------------
 */

typedef struct fake_quant_state {
    mn__network *net;
    mn_quant_grid grid;
    const mn__value *in, *out;
} fake_quant_state;

/* Zero is on the grid (checked when the graph was built), so empty lanes stay zero. Comparisons,
 * not fminf(): a value that is not a number must come out as such, for the loss to show it. */
static void quantise(const mn_quant_grid *grid, float *x, size_t count)
{
    float low = (float)grid->low;
    float high = (float)grid->high;
    float zero = (float)grid->zero_point;
    for (size_t i = 0; i < count; i++) {
        float q = nearbyintf(x[i] / grid->scale) + zero;
        q = q < low ? low : q;
        q = q > high ? high : q;
        x[i] = (q - zero) * grid->scale;
    }
}

static void fake_quant_image(const void *context, const mn__worker *worker, uint32_t image)
{
    const fake_quant_state *s = context;
    const mn__simd *simd = s->net->opts.simd;
    float *floats = (float *)(void *)worker->scratch;
    mn__view view = mn__view_of(s->net, s->in);
    mn__maps out = mn__maps_at(s->net, s->out->storage, s->out);
    simd->to_float(&view, image, floats);
    quantise(&s->grid, floats, mn__value_elements(s->out));
    simd->from_float(floats, NULL, &out, image);
}

/* What the gradient passes: the grid's range, its ends included. */
static mn_status
create_range(mn__network *net, const fake_quant_state *s, mn__value **ret, mn_error *err)
{
    const mn_quant_grid *grid = &s->grid;
    float low = ((float)grid->low - (float)grid->zero_point) * grid->scale;
    float high = ((float)grid->high - (float)grid->zero_point) * grid->scale;
    mn_status status = mn__value_view_create(net, s->in, ret, err);
    if (status != MN_OK)
        return status;
    (*ret)->low = nextafterf(low, -INFINITY);
    (*ret)->high = nextafterf(high, INFINITY);
    return MN_OK;
}

mn_status mn__fake_quant_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn__value *in = NULL;
    mn__value *out = NULL;
    mn__value *range = NULL;
    void *block = NULL;
    mn_status status = mn__plain_build(net, n, net->value_of[node->inputs[0]], &in, err);
    if (status == MN_OK)
        status = mn__value_create(net, node->shape, in->lanes, in->channel_of, &out, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, 1, sizeof(fake_quant_state), &block, err);
    if (status != MN_OK)
        return status;
    fake_quant_state *s = block;
    *s = (fake_quant_state){.net = net, .grid = node->grid, .in = in, .out = out};
    status = create_range(net, s, &range, err);
    if (status != MN_OK)
        return status;
    size_t elements = mn__value_elements(out);
    mn__wants_scratch(net, elements * sizeof(float));
    mn__uses_value(net, in);
    mn__uses_value(net, out);
    mn__step step = {
        .node = n, .image = fake_quant_image, .context = s, .work = {.kind = "fake quant"}};
    status = mn__program_add(net, &net->forward, &step, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &in, 1, out, clamp_backward, range, err);
    net->value_of[n] = out;
    return status;
}

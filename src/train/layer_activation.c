/*
 * Element-wise layers: relu and relu6 that no batch norm computes, which are views.
 */
#include <math.h>

#include "train/network.h"

/* The gradient in front of a clamp is a slope without coefficients: dz where nothing was cut. */
mn_status mn__clamp_backward(mn__network *net,
                             const mn__layer *layer,
                             mn__gradient *out_gradient,
                             mn_error *err)
{
    const mn__value *through = layer->state;
    mn__gradient *slope = NULL;
    (void)out_gradient; /* replaced where it is a slope itself */
    if (!layer->inputs[0]->wants_gradient)
        return MN_OK;
    mn_status status = mn__slope_create(net, layer->output, through, &slope, err);
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
    status = mn__layer_add(net, n, &from, 1, out, mn__clamp_backward, out, err);
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

/*
 * Training effort. See effort.h.
 */
#include "search/effort.h"

enum { lanes = 16 };

/* Nanoseconds, for forward and both gradients together. Depthwise convolutions compute in floats,
 * where dense ones multiply pairs of bf16. Convolutions copy what they read to where it is padded;
 * other layers pass over their maps as they are. */
static const double ns_per_mac = 0.0145;
static const double ns_per_depthwise_mac = 0.058;
static const double ns_per_conv_element = 0.4;
static const double ns_per_element = 0.2;

static double padded(uint32_t channels)
{
    uint32_t vectors = (channels + lanes - 1) / lanes;
    return (double)vectors * lanes;
}

static double pixels(mn_shape shape)
{
    return (double)shape.h * shape.w;
}

static double conv_effort(const mn_node *node, mn_shape in)
{
    const bool dense = node->groups == 1;
    double taps = (double)node->window.kernel_h * node->window.kernel_w;
    double macs = taps * (dense ? padded(in.c) : 1.0) * padded(node->shape.c) * pixels(node->shape);
    double elements = padded(in.c) * pixels(in) + padded(node->shape.c) * pixels(node->shape);
    return macs * (dense ? ns_per_mac : ns_per_depthwise_mac) + elements * ns_per_conv_element;
}

double mn__train_effort(const mn_graph *deployed)
{
    double effort = 0.0;
    for (uint32_t n = 0; n < mn_graph_node_count(deployed); n++) {
        const mn_node *node = mn_graph_node(deployed, n);
        if (node->prim == MN_PRIM_CONV) {
            effort += conv_effort(node, mn_graph_node(deployed, node->inputs[0])->shape);
            continue;
        }
        for (uint32_t i = 0; i < node->input_count; i++) {
            mn_shape in = mn_graph_node(deployed, node->inputs[i])->shape;
            effort += padded(in.c) * pixels(in) * ns_per_element;
        }
    }
    return effort;
}

/* A plain evaluation of a graph in double, one image at a time, straight from the definitions: what
 * the trainer's evaluation is compared with. */
#ifndef MN_TEST_GRAPH_REFERENCE_H
#define MN_TEST_GRAPH_REFERENCE_H

#include "test.h"

#include <math.h>
#include <stdbool.h>

#include "memnet/graph.h"
#include "memnet/tensors.h"

/* Values are (H,W,C). */
typedef struct reference {
    const mn_graph *graph;
    const mn_tensors *tensors;
    double **values; /* (nodes) */
} reference;

static double reference_at(const reference *r, uint32_t node, int64_t y, int64_t x, uint32_t c)
{
    mn_shape s = mn_graph_node(r->graph, node)->shape;
    return r->values[node][((size_t)y * s.w + (size_t)x) * s.c + c];
}

/* Element `index` of a node's tensor; `absent` where the node has none. */
static double reference_number(
    const reference *r, const mn_node *node, mn_tensor_role role, size_t index, double absent)
{
    if (node->tensors[role] == MN_NONE)
        return absent;
    return (double)((const float *)r->tensors->items[node->tensors[role]].data)[index];
}

/* Output (y,x,o) of a convolution or pool; `c` below is the input channel of a tap. */
static double
reference_window(const reference *r, const mn_node *node, uint32_t y, uint32_t x, uint32_t o)
{
    const mn_window *w = &node->window;
    mn_shape in = mn_graph_node(r->graph, node->inputs[0])->shape;
    bool conv = node->prim == MN_PRIM_CONV;
    uint32_t per_group = conv ? in.c / node->groups : 1;
    uint32_t first = conv ? o / (node->shape.c / node->groups) * per_group : o;
    double sum = conv ? reference_number(r, node, MN_ROLE_BIAS, o, 0.0) : 0.0;
    double largest = -INFINITY;
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->kernel_h; i++)
        for (uint32_t j = 0; j < w->kernel_w; j++) {
            int64_t in_y = (int64_t)y * w->stride_h + (int64_t)i * w->dilation_h - w->pad_top;
            int64_t in_x = (int64_t)x * w->stride_w + (int64_t)j * w->dilation_w - w->pad_left;
            if (in_y < 0 || in_y >= in.h || in_x < 0 || in_x >= in.w)
                continue;
            count++;
            for (uint32_t k = 0; k < per_group; k++) {
                double value = reference_at(r, node->inputs[0], in_y, in_x, first + k);
                size_t at = (((size_t)o * per_group + k) * w->kernel_h + i) * w->kernel_w + j;
                sum += conv ? value * reference_number(r, node, MN_ROLE_WEIGHT, at, 0.0) : value;
                largest = value > largest ? value : largest;
            }
        }
    if (node->prim == MN_PRIM_MAX_POOL)
        return largest;
    return node->prim == MN_PRIM_AVG_POOL ? sum / count : sum;
}

static double reference_norm(const reference *r, const mn_node *node, double x, uint32_t c)
{
    double mean = reference_number(r, node, MN_ROLE_MEAN, c, 0.0);
    double variance = reference_number(r, node, MN_ROLE_VARIANCE, c, 0.0);
    double gamma = reference_number(r, node, MN_ROLE_GAMMA, c, 0.0);
    double beta = reference_number(r, node, MN_ROLE_BETA, c, 0.0);
    return (x - mean) / sqrt(variance + (double)node->epsilon) * gamma + beta;
}

/* Output o of a fully connected layer (weights in (O,C,H,W)), or the mean of channel o. */
static double reference_whole(const reference *r, const mn_node *node, uint32_t o)
{
    mn_shape in = mn_graph_node(r->graph, node->inputs[0])->shape;
    bool dense = node->prim == MN_PRIM_FULLY_CONNECTED;
    double sum = dense ? reference_number(r, node, MN_ROLE_BIAS, o, 0.0) : 0.0;
    for (uint32_t y = 0; y < in.h; y++)
        for (uint32_t x = 0; x < in.w; x++)
            for (uint32_t c = dense ? 0 : o; c < (dense ? in.c : o + 1); c++) {
                size_t at = (((size_t)o * in.c + c) * in.h + y) * in.w + x;
                double weight = dense ? reference_number(r, node, MN_ROLE_WEIGHT, at, 0.0)
                                      : 1.0 / ((double)in.h * in.w);
                sum += weight * reference_at(r, node->inputs[0], y, x, c);
            }
    return sum;
}

static double
reference_element(const reference *r, const mn_node *node, uint32_t y, uint32_t x, uint32_t c)
{
    uint32_t part = 0;
    switch ((int)node->prim) {
    case MN_PRIM_CONV:
    case MN_PRIM_MAX_POOL:
    case MN_PRIM_AVG_POOL:
        return reference_window(r, node, y, x, c);
    case MN_PRIM_GLOBAL_POOL:
    case MN_PRIM_FULLY_CONNECTED:
        return reference_whole(r, node, c);
    case MN_PRIM_BATCH_NORM:
        return reference_norm(r, node, reference_at(r, node->inputs[0], y, x, c), c);
    case MN_PRIM_RELU:
        return fmax(reference_at(r, node->inputs[0], y, x, c), 0.0);
    case MN_PRIM_RELU6:
        return fmin(fmax(reference_at(r, node->inputs[0], y, x, c), 0.0), 6.0);
    case MN_PRIM_ADD:
        return reference_at(r, node->inputs[0], y, x, c) +
               reference_at(r, node->inputs[1], y, x, c);
    case MN_PRIM_CONCAT:
        while (c >= mn_graph_node(r->graph, node->inputs[part])->shape.c)
            c -= mn_graph_node(r->graph, node->inputs[part++])->shape.c;
        return reference_at(r, node->inputs[part], y, x, c);
    case MN_PRIM_IDENTITY:
        return reference_at(r, node->inputs[0], y, x, c);
    case MN_PRIM_RESHAPE: /* keeps the order (H,W,C) */
        return r->values[node->inputs[0]][((size_t)y * node->shape.w + x) * node->shape.c + c];
    default:
        fail_msg("%s: the reference does not know this node", node->name);
        return 0.0;
    }
}

/* Logits (classes) of one image (H,W,C) that is normalised already. */
static inline void reference_run(const mn_graph *graph,
                                 const mn_tensors *tensors,
                                 const double *image,
                                 double *ret_logits)
{
    uint32_t nodes = mn_graph_node_count(graph);
    reference r = {graph, tensors, calloc(nodes, sizeof(double *))};
    for (uint32_t n = 0; n < nodes; n++) {
        const mn_node *node = mn_graph_node(graph, n);
        mn_shape s = node->shape;
        r.values[n] = calloc(mn_shape_elements(s), sizeof(double));
        for (uint32_t y = 0; y < s.h; y++)
            for (uint32_t x = 0; x < s.w; x++)
                for (uint32_t c = 0; c < s.c; c++) {
                    size_t at = ((size_t)y * s.w + x) * s.c + c;
                    double v = node->prim == MN_PRIM_INPUT ? image[at]
                                                           : reference_element(&r, node, y, x, c);
                    if (node->act != MN_ACT_NONE)
                        v = fmax(v, 0.0);
                    r.values[n][at] = node->act == MN_ACT_RELU6 ? fmin(v, 6.0) : v;
                }
    }
    uint32_t output = mn_graph_output(graph, 0);
    memcpy(ret_logits, r.values[output], mn_graph_node(graph, output)->shape.c * sizeof(double));
    for (uint32_t n = 0; n < nodes; n++)
        free(r.values[n]);
    free(r.values);
}

#endif

/* A plain forward and backward run of a graph in double, straight from the definitions: what the
 * trainer's logits and gradients are compared with. Batch norms use the batch's statistics. */
#ifndef MN_TEST_TRAIN_REFERENCE_H
#define MN_TEST_TRAIN_REFERENCE_H

#include "test.h"

#include <math.h>
#include <stdbool.h>

#include "memnet/graph.h"
#include "memnet/tensors.h"

typedef struct train_reference {
    const mn_graph *graph;
    const mn_tensors *tensors;
    uint32_t batch;
    double **value, **gradient; /* (nodes): (N,H,W,C); the gradient behind the activation */
    double **tensor_gradient;   /* (tensors) */
} train_reference;

static inline size_t reference_count(const train_reference *r, uint32_t node)
{
    return r->batch * mn_shape_elements(mn_graph_node(r->graph, node)->shape);
}

static inline double *reference_alloc(size_t count)
{
    double *block = calloc(count == 0 ? 1 : count, sizeof *block);
    assert_non_null(block);
    return block;
}

/* Number i of a node's tensor; 0 where the node has none. */
static inline double
reference_weight(const train_reference *r, const mn_node *node, mn_tensor_role role, size_t i)
{
    if (node->tensors[role] == MN_NONE)
        return 0.0;
    return (double)((const float *)r->tensors->items[node->tensors[role]].data)[i];
}

static inline void reference_learn(
    const train_reference *r, const mn_node *node, mn_tensor_role role, size_t i, double amount)
{
    if (node->tensors[role] != MN_NONE)
        r->tensor_gradient[node->tensors[role]][i] += amount;
}

/* Element (image,y,x,c) of the value of `node`. */
static inline size_t reference_at(
    const train_reference *r, uint32_t node, uint32_t image, uint32_t y, uint32_t x, uint32_t c)
{
    mn_shape s = mn_graph_node(r->graph, node)->shape;
    return (((size_t)image * s.h + y) * s.w + x) * s.c + c;
}

/* ---- windows ---------------------------------------------------------------------------------
 */

/* A window as conv, pool, global pool or fully connected layer have it. */
static inline mn_window reference_window(const train_reference *r, const mn_node *node)
{
    mn_shape in = mn_graph_node(r->graph, node->inputs[0])->shape;
    if (node->prim == MN_PRIM_GLOBAL_POOL || node->prim == MN_PRIM_FULLY_CONNECTED)
        return (mn_window){in.h, in.w, 1, 1, 1, 1, 0, 0, 0, 0};
    return node->window;
}

/* Input pixel of tap t for output (y,x); false in the border. */
static inline bool reference_tap(const mn_window *w,
                                 mn_shape in,
                                 uint32_t y,
                                 uint32_t x,
                                 uint32_t t,
                                 uint32_t *ret_y,
                                 uint32_t *ret_x)
{
    int64_t row = (int64_t)y * w->stride_h + t / w->kernel_w * w->dilation_h - w->pad_top;
    int64_t column = (int64_t)x * w->stride_w + t % w->kernel_w * w->dilation_w - w->pad_left;
    *ret_y = (uint32_t)row;
    *ret_x = (uint32_t)column;
    return row >= 0 && row < in.h && column >= 0 && column < in.w;
}

/* One output of a convolution or fully connected layer; backward when `gradient` is not 0. */
static inline double reference_dense(const train_reference *r,
                                     const mn_node *node,
                                     const uint32_t at[4], /* image, y, x, channel */
                                     double gradient)
{
    const uint32_t from = node->inputs[0];
    const mn_shape in = mn_graph_node(r->graph, from)->shape;
    const mn_window w = reference_window(r, node);
    const uint32_t groups = node->groups == 0 ? 1 : node->groups;
    const uint32_t taps = w.kernel_h * w.kernel_w;
    const uint32_t per_group = in.c / groups;
    const uint32_t first = at[3] / (node->shape.c / groups) * per_group;
    double sum = reference_weight(r, node, MN_ROLE_BIAS, at[3]);
    reference_learn(r, node, MN_ROLE_BIAS, at[3], gradient);
    for (uint32_t t = 0; t < taps; t++) {
        uint32_t y, x;
        if (!reference_tap(&w, in, at[1], at[2], t, &y, &x))
            continue;
        for (uint32_t k = 0; k < per_group; k++) {
            size_t weight = ((size_t)at[3] * per_group + k) * taps + t;
            size_t pixel = reference_at(r, from, at[0], y, x, first + k);
            double number = reference_weight(r, node, MN_ROLE_WEIGHT, weight);
            sum += number * r->value[from][pixel];
            r->gradient[from][pixel] += gradient * number;
            reference_learn(r, node, MN_ROLE_WEIGHT, weight, gradient * r->value[from][pixel]);
        }
    }
    return sum;
}

static inline double
reference_pool(const train_reference *r, const mn_node *node, const uint32_t at[4], double gradient)
{
    const uint32_t from = node->inputs[0];
    const mn_shape in = mn_graph_node(r->graph, from)->shape;
    const mn_window w = reference_window(r, node);
    const uint32_t taps = w.kernel_h * w.kernel_w;
    double sum = 0.0, largest = -INFINITY;
    uint32_t count = 0, y, x;
    size_t winner = 0;
    for (uint32_t t = 0; t < taps; t++) {
        if (!reference_tap(&w, in, at[1], at[2], t, &y, &x))
            continue;
        size_t pixel = reference_at(r, from, at[0], y, x, at[3]);
        count++;
        sum += r->value[from][pixel];
        winner = r->value[from][pixel] > largest ? pixel : winner;
        largest = fmax(largest, r->value[from][pixel]);
    }
    if (node->prim == MN_PRIM_MAX_POOL) {
        r->gradient[from][winner] += gradient;
        return largest;
    }
    for (uint32_t t = 0; t < taps; t++)
        if (reference_tap(&w, in, at[1], at[2], t, &y, &x))
            r->gradient[from][reference_at(r, from, at[0], y, x, at[3])] += gradient / count;
    return sum / count;
}

/* Every output of a node with a window, forward or backward. */
static inline void reference_slide(const train_reference *r, uint32_t n, bool backward)
{
    const mn_node *node = mn_graph_node(r->graph, n);
    const bool dense = node->prim == MN_PRIM_CONV || node->prim == MN_PRIM_FULLY_CONNECTED;
    const mn_shape s = node->shape;
    for (size_t i = 0; i < reference_count(r, n); i++) {
        const uint32_t at[4] = {(uint32_t)(i / s.c / s.w / s.h),
                                (uint32_t)(i / s.c / s.w % s.h),
                                (uint32_t)(i / s.c % s.w),
                                (uint32_t)(i % s.c)};
        double gradient = backward ? r->gradient[n][i] : 0.0;
        double value =
            dense ? reference_dense(r, node, at, gradient) : reference_pool(r, node, at, gradient);
        if (!backward)
            r->value[n][i] = value;
    }
}

/* ---- batch norm ------------------------------------------------------------------------------
 */

static inline void reference_norm(const train_reference *r, uint32_t n, bool backward)
{
    const mn_node *node = mn_graph_node(r->graph, n);
    const double *in = r->value[node->inputs[0]];
    double *in_gradient = r->gradient[node->inputs[0]];
    const size_t count = reference_count(r, n);
    const double pixels = (double)(count / node->shape.c);
    for (uint32_t c = 0; c < node->shape.c; c++) {
        double mean = 0.0, variance = 0.0, sum = 0.0, products = 0.0;
        for (size_t i = c; i < count; i += node->shape.c)
            mean += in[i] / pixels;
        for (size_t i = c; i < count; i += node->shape.c)
            variance += (in[i] - mean) * (in[i] - mean) / pixels;
        double inverse = 1.0 / sqrt(variance + (double)node->epsilon);
        double gamma = reference_weight(r, node, MN_ROLE_GAMMA, c);
        double beta = reference_weight(r, node, MN_ROLE_BETA, c);
        for (size_t i = c; i < count; i += node->shape.c) {
            double x = (in[i] - mean) * inverse;
            if (!backward)
                r->value[n][i] = gamma * x + beta;
            sum += r->gradient[n][i];
            products += r->gradient[n][i] * x;
        }
        if (!backward)
            continue;
        reference_learn(r, node, MN_ROLE_BETA, c, sum);
        reference_learn(r, node, MN_ROLE_GAMMA, c, products);
        for (size_t i = c; i < count; i += node->shape.c) {
            double x = (in[i] - mean) * inverse;
            in_gradient[i] +=
                gamma * inverse * (r->gradient[n][i] - sum / pixels - x * products / pixels);
        }
    }
}

/* ---- element by element ----------------------------------------------------------------------
 */

static inline void reference_concat(const train_reference *r, uint32_t n, bool backward)
{
    const mn_node *node = mn_graph_node(r->graph, n);
    uint32_t first = 0;
    for (uint32_t k = 0; k < node->input_count; k++) {
        const uint32_t from = node->inputs[k];
        const uint32_t channels = mn_graph_node(r->graph, from)->shape.c;
        for (size_t i = 0; i < reference_count(r, from); i++) {
            size_t at = i / channels * node->shape.c + first + i % channels;
            if (backward)
                r->gradient[from][i] += r->gradient[n][at];
            else
                r->value[n][at] = r->value[from][i];
        }
        first += channels;
    }
}

/* Sums, identities and clamps: the sum of the inputs. */
static inline void reference_sum(const train_reference *r, uint32_t n, bool backward)
{
    const mn_node *node = mn_graph_node(r->graph, n);
    for (size_t i = 0; i < reference_count(r, n); i++)
        for (uint32_t k = 0; k < node->input_count; k++) {
            if (backward)
                r->gradient[node->inputs[k]][i] += r->gradient[n][i];
            else
                r->value[n][i] += r->value[node->inputs[k]][i];
        }
}

/* The activation of a node, whether it is the node's kind or fused into it. */
static inline void reference_clamp(const train_reference *r, uint32_t n, bool backward)
{
    const mn_node *node = mn_graph_node(r->graph, n);
    const bool six = node->prim == MN_PRIM_RELU6 || node->act == MN_ACT_RELU6;
    if (!six && node->prim != MN_PRIM_RELU && node->act != MN_ACT_RELU)
        return;
    for (size_t i = 0; i < reference_count(r, n); i++) {
        double *value = &r->value[n][i];
        if (backward && (*value <= 0.0 || (six && *value >= 6.0)))
            r->gradient[n][i] = 0.0;
        if (!backward)
            *value = six ? fmin(fmax(*value, 0.0), 6.0) : fmax(*value, 0.0);
    }
}

static inline void reference_node(const train_reference *r, uint32_t n, bool backward)
{
    static void (*const run[MN_PRIM_COUNT])(const train_reference *, uint32_t, bool) = {
        [MN_PRIM_CONV] = reference_slide,
        [MN_PRIM_BATCH_NORM] = reference_norm,
        [MN_PRIM_RELU] = reference_sum,
        [MN_PRIM_RELU6] = reference_sum,
        [MN_PRIM_ADD] = reference_sum,
        [MN_PRIM_CONCAT] = reference_concat,
        [MN_PRIM_MAX_POOL] = reference_slide,
        [MN_PRIM_AVG_POOL] = reference_slide,
        [MN_PRIM_GLOBAL_POOL] = reference_slide,
        [MN_PRIM_FULLY_CONNECTED] = reference_slide,
        [MN_PRIM_IDENTITY] = reference_sum,
    };
    mn_prim prim = mn_graph_node(r->graph, n)->prim;
    if (prim == MN_PRIM_INPUT)
        return;
    assert_non_null(run[prim]);
    if (backward)
        reference_clamp(r, n, true);
    run[prim](r, n, backward);
    if (!backward)
        reference_clamp(r, n, false);
}

/* ---- a whole run -----------------------------------------------------------------------------
 */

/* images (N,C,H,W), as the network takes them. The last node's value are the logits. */
static inline train_reference
reference_run(const mn_graph *graph, const mn_tensors *tensors, const float *images, uint32_t batch)
{
    const uint32_t nodes = mn_graph_node_count(graph);
    train_reference r = {.graph = graph, .tensors = tensors, .batch = batch};
    const mn_shape s = mn_graph_node(graph, 0)->shape;
    const size_t pixels = (size_t)s.h * s.w;
    r.value = calloc(nodes, sizeof *r.value);
    r.gradient = calloc(nodes, sizeof *r.gradient);
    r.tensor_gradient = calloc(tensors->count + 1, sizeof *r.tensor_gradient);
    assert_true(r.value != NULL && r.gradient != NULL && r.tensor_gradient != NULL);
    for (uint32_t n = 0; n < nodes; n++) {
        r.value[n] = reference_alloc(reference_count(&r, n));
        r.gradient[n] = reference_alloc(reference_count(&r, n));
    }
    for (uint32_t t = 0; t < tensors->count; t++)
        r.tensor_gradient[t] = reference_alloc(mn_graph_tensor_elements(graph, t));
    for (size_t i = 0; i < reference_count(&r, 0); i++) {
        size_t image = i / s.c / pixels;
        r.value[0][i] = (double)images[(image * s.c + i % s.c) * pixels + i / s.c % pixels];
    }
    for (uint32_t n = 0; n < nodes; n++)
        reference_node(&r, n, false);
    return r;
}

/* From the gradient of the logits, (N,classes), to tensor_gradient. */
static inline void reference_backward(train_reference *r, const float *logits_gradient)
{
    const uint32_t nodes = mn_graph_node_count(r->graph);
    for (size_t i = 0; i < reference_count(r, nodes - 1); i++)
        r->gradient[nodes - 1][i] = (double)logits_gradient[i];
    for (uint32_t n = nodes; n-- > 0;)
        reference_node(r, n, true);
}

static inline void reference_done(train_reference *r)
{
    for (uint32_t n = 0; n < mn_graph_node_count(r->graph); n++) {
        free(r->value[n]);
        free(r->gradient[n]);
    }
    for (uint32_t t = 0; t < r->tensors->count; t++)
        free(r->tensor_gradient[t]);
    free(r->value);
    free(r->gradient);
    free(r->tensor_gradient);
}

#endif

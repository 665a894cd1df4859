/*
 * From float32 layers and grids to integer tables. Arithmetic in double: the only rounding is that
 * to the integer of the table.
 *
 * The scale of an output channel's weights is the largest weight over 127, raised where that would
 * leave the tables: when the bias would not fit beside the sum, or when the factor to the output's
 * grid would vanish. What is raised belongs to channels whose weights do not matter beside their
 * bias or beside the output's step, dead channels (all weights zero) among them.
 */
#include "quant/convert.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/mn_s8.h"
#include "quant/network.h"

/* Half of MN_S8_BIAS: room for a correction. */
static const double most_bias = 0x1p29;

/* Of the factor from a sum to the output; below it even 2^31 of a sum is half a step. */
static const double least_factor = 0x1p-30;

typedef struct converter {
    const mn_graph *graph;
    const mn_tensors *tensors;
    const mn__calibration *calibration; /* NULL: biases stay as they are */
    mn_quant *quant;
    mn_error *err;
} converter;

/* A layer with weights while it is converted. */
typedef struct layer {
    const mn_node *node;
    mn_quant_node *q;
    mn_quant_sizes sizes;
    const mn_tensor_info *info;
    const float *weight; /* as in the graph */
    const float *bias;   /* (O) or NULL */
    const double *means; /* of the input's channels, or NULL */
    uint32_t group_outputs;
    double in_scale, out_scale;
} layer;

static double scale_of(const converter *c, uint32_t node)
{
    return (double)c->quant->values[node].scale;
}

static layer find_layer(const converter *c, uint32_t n)
{
    const mn_node *node = mn_graph_node(c->graph, n);
    uint32_t x = node->inputs[0];
    uint32_t bias = node->tensors[MN_ROLE_BIAS];
    const mn__calibration *seen = c->calibration;
    return (layer){
        .node = node,
        .q = &c->quant->nodes[n],
        .sizes = mn_quant_sizes_of(c->graph, n),
        .info = mn_graph_tensor(c->graph, node->tensors[MN_ROLE_WEIGHT]),
        .weight = c->tensors->items[node->tensors[MN_ROLE_WEIGHT]].data,
        .bias = bias == MN_NONE ? NULL : c->tensors->items[bias].data,
        .means = seen != NULL && seen->has_means[x] ? seen->means + seen->channel_at[x] : NULL,
        .group_outputs = node->shape.c / (node->groups == 0 ? 1 : node->groups),
        .in_scale = scale_of(c, x),
        .out_scale = scale_of(c, n),
    };
}

static double weight_of(const layer *l, uint32_t o, size_t k)
{
    return (double)l->weight[mn__weight_source(l->info, l->sizes, o, k)];
}

/* The scale of output o's weights; 0 when a number is not finite. */
static float find_scale(const layer *l, uint32_t o)
{
    double bias = l->bias == NULL ? 0.0 : fabs((double)l->bias[o]);
    double largest = 0;
    for (size_t k = 0; k < l->sizes.filter; k++) {
        double weight = fabs(weight_of(l, o, k));
        if (!isfinite(weight))
            return 0;
        largest = weight > largest ? weight : largest;
    }
    double scale = largest / 127;
    scale = fmax(scale, bias / (l->in_scale * most_bias));
    scale = fmax(scale, least_factor * l->out_scale / l->in_scale);
    return isfinite(bias) && scale <= (double)FLT_MAX ? (float)scale : 0;
}

/* The mean, over images and pixels, of what rounding the weights adds to output o. */
static double mean_error(const layer *l, uint32_t o, double scale)
{
    uint32_t inputs = l->info->dims[1];
    const double *means = l->means + (size_t)(o / l->group_outputs) * inputs;
    double error = 0;
    for (size_t k = 0; k < l->sizes.filter; k++) {
        double rounded = scale * l->q->weights[mn__weight_at(l->sizes, o, k)];
        error += (rounded - weight_of(l, o, k)) * means[k % inputs];
    }
    return error;
}

static mn_status convert_output(const layer *l, uint32_t o, mn_error *err)
{
    mn_quant_node *q = l->q;
    float stored = find_scale(l, o);
    double scale = (double)stored;
    if (stored < FLT_MIN)
        return mn_error_set(err,
                            MN_ERR_LIMIT,
                            "node '%s': output %u: no float32 scale for its weights",
                            l->node->name,
                            o);
    for (size_t k = 0; k < l->sizes.filter; k++) {
        long rounded = lround(weight_of(l, o, k) / scale);
        rounded = rounded < -127 ? -127 : rounded > 127 ? 127 : rounded;
        q->weights[mn__weight_at(l->sizes, o, k)] = (int8_t)rounded;
    }
    double bias = l->bias == NULL ? 0.0 : (double)l->bias[o];
    if (l->means != NULL)
        bias -= mean_error(l, o, scale);
    bias = round(bias / (l->in_scale * scale));
    if (!(fabs(bias) <= MN_S8_BIAS))
        return mn_error_set(err,
                            MN_ERR_LIMIT,
                            "node '%s': output %u: a bias of %g steps, expected at most 2^30 - 1",
                            l->node->name,
                            o,
                            bias);
    q->bias[o] = (int32_t)bias;
    q->weight_scale[o] = stored;
    int32_t shift = 0;
    mn_status status =
        mn_quant_factor(l->in_scale * scale / l->out_scale, &q->multiplier[o], &shift, err);
    q->shift[o] = (int8_t)shift;
    return status == MN_OK ? MN_OK
                           : mn_error_prefix(err, status, "node '%s': output %u", l->node->name, o);
}

static mn_status convert_layer(const converter *c, uint32_t n)
{
    layer l = find_layer(c, n);
    mn_status status = MN_OK;
    for (uint32_t o = 0; o < l.sizes.outputs && status == MN_OK; o++)
        status = convert_output(&l, o, c->err);
    return status;
}

/* The larger factor in [2^21, 2^22), as mn_s8.h wants it. Inputs whose steps are so fine that all
 * of them together stay below half a step of the output have factors of 0. */
static mn_status convert_add(const converter *c, uint32_t n)
{
    const mn_node *node = mn_graph_node(c->graph, n);
    mn_quant_node *q = &c->quant->nodes[n];
    double a = scale_of(c, node->inputs[0]) / scale_of(c, n);
    double b = scale_of(c, node->inputs[1]) / scale_of(c, n);
    int exponent = 0;
    (void)frexp(fmax(a, b), &exponent);
    int shift = 22 - exponent;
    if (!isfinite(a) || !isfinite(b) || shift < 1)
        return mn_error_set(c->err,
                            MN_ERR_LIMIT,
                            "node '%s': its inputs' scales are %g and %g times its own, expected "
                            "at most 2^21",
                            node->name,
                            a,
                            b);
    q->add_shift = shift > 31 ? 31 : shift;
    q->add_a = shift > 31 ? 0 : (int32_t)lround(ldexp(a, shift));
    q->add_b = shift > 31 ? 0 : (int32_t)lround(ldexp(b, shift));
    return MN_OK;
}

static mn_status convert_global_pool(const converter *c, uint32_t n)
{
    const mn_node *node = mn_graph_node(c->graph, n);
    uint32_t pixels = mn__pixels_of(mn_graph_node(c->graph, node->inputs[0]));
    double factor = scale_of(c, node->inputs[0]) / (scale_of(c, n) * pixels);
    mn_status status = mn_quant_factor(
        factor, &c->quant->nodes[n].factor, &c->quant->nodes[n].factor_shift, c->err);
    return status == MN_OK ? MN_OK : mn_error_prefix(c->err, status, "node '%s'", node->name);
}

/* A relu keeps what is not below zero, a relu6 what is not above 6 either. */
static void find_clamp(const mn_node *node, mn_quant_value value, mn_quant_node *q)
{
    bool cuts6 = node->prim == MN_PRIM_RELU6 || node->act == MN_ACT_RELU6;
    bool cuts = cuts6 || node->prim == MN_PRIM_RELU || node->act == MN_ACT_RELU;
    double six = value.zero_point + round(6.0 / (double)value.scale);
    q->low = cuts ? value.zero_point : -128;
    q->high = cuts6 && six < 127 ? (int32_t)six : 127;
}

static mn_status convert_node(const converter *c, uint32_t n)
{
    const mn_node *node = mn_graph_node(c->graph, n);
    if (node->prim == MN_PRIM_INPUT)
        return MN_OK;
    find_clamp(node, c->quant->values[n], &c->quant->nodes[n]);
    if (c->quant->nodes[n].weights != NULL)
        return convert_layer(c, n);
    if (node->prim == MN_PRIM_ADD)
        return convert_add(c, n);
    if (node->prim == MN_PRIM_GLOBAL_POOL)
        return convert_global_pool(c, n);
    return MN_OK;
}

mn_status mn__check_tensors(const mn_graph *graph, const mn_tensors *tensors, mn_error *err)
{
    uint32_t count = mn_graph_tensor_count(graph);
    if (tensors->count != count)
        return mn_error_set(
            err, MN_ERR_MISMATCH, "%u tensors, expected %u as in the graph", tensors->count, count);
    for (uint32_t t = 0; t < count; t++) {
        const mn_tensor_info *info = mn_graph_tensor(graph, t);
        const mn_tensor *tensor = &tensors->items[t];
        if (tensor->dtype != MN_F32 || tensor->rank != info->rank ||
            memcmp(tensor->dims, info->dims, info->rank * sizeof info->dims[0]) != 0)
            return mn_error_set(err,
                                MN_ERR_MISMATCH,
                                "tensor '%s': expected float32 (%u,%u,%u,%u) as in the graph",
                                info->name,
                                info->dims[0],
                                info->dims[1],
                                info->dims[2],
                                info->dims[3]);
    }
    return MN_OK;
}

static mn_status check_values(const converter *c, const mn_quant_value *values)
{
    for (uint32_t n = 0; n < c->quant->node_count; n++) {
        c->quant->values[n] = values[n];
        if (!(values[n].scale > 0) || !isfinite(values[n].scale))
            return mn_error_set(c->err,
                                MN_ERR_ARG,
                                "node '%s': scale %g, expected a finite number above 0",
                                mn_graph_node(c->graph, n)->name,
                                (double)values[n].scale);
    }
    return MN_OK;
}

mn_status mn__convert(const mn_graph *deployed,
                      const mn_tensors *folded,
                      const mn_quant_value *values,
                      const mn__calibration *calibration,
                      mn_quant **ret_quant,
                      mn_error *err)
{
    converter c = {.graph = deployed, .tensors = folded, .calibration = calibration, .err = err};
    mn_status status = mn__check_tensors(deployed, folded, err);
    if (status == MN_OK)
        status = mn_quant_create(deployed, &c.quant, err);
    if (status == MN_OK)
        status = check_values(&c, values);
    for (uint32_t n = 0; status == MN_OK && n < c.quant->node_count; n++)
        status = convert_node(&c, n);
    if (status == MN_OK)
        status = mn_quant_check(deployed, c.quant, err);
    if (status != MN_OK) {
        mn_quant_free(c.quant);
        return status;
    }
    *ret_quant = c.quant;
    return MN_OK;
}

mn_status mn_quant_convert(const mn_graph *deployed,
                           const mn_tensors *folded,
                           const mn_quant_value *values,
                           mn_quant **ret_quant,
                           mn_error *err)
{
    return mn__convert(deployed, folded, values, NULL, ret_quant, err);
}

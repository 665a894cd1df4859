/*
 * Int8 networks in QDQ form: ops compute on floats that lie on int8 grids, and a runtime that knows
 * the pattern computes on the integers instead.
 *
 *     value      float -> QuantizeLinear -> DequantizeLinear -> float on the node's grid
 *     weights    int8 (O,...) -> DequantizeLinear, one scale an output channel
 *     bias       int32 (O) -> DequantizeLinear with input scale * weight scale
 *
 * QuantizeLinear saturates to [-128,127], which is how activations clamp without an op.
 * The multipliers and shifts of the kernels have no place here: a runtime derives its own from the
 * scales, and rounds halves to even where the kernels round them up, so that results may differ by
 * one step.
 */
#include <math.h>
#include <stdlib.h>

#include "base/size.h"
#include "onnx/export.h"

/* ---- checks --------------------------------------------------------------------------------- */

static bool scale_is_valid(float scale)
{
    return isfinite(scale) && scale > 0.0f;
}

static mn_status
check_node(const mn_graph *graph, uint32_t index, const mn_quant *quant, mn_error *err)
{
    const mn_node *node = mn_graph_node(graph, index);
    const mn_quant_value *grid = &quant->values[index];
    const mn_quant_node *tables = &quant->nodes[index];
    if (!scale_is_valid(grid->scale) || grid->zero_point < INT8_MIN || grid->zero_point > INT8_MAX)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "node '%.200s': a grid of scale %g and zero point %d",
                            node->name,
                            (double)grid->scale,
                            grid->zero_point);
    if (node->prim != MN_PRIM_INPUT &&
        (tables->low < INT8_MIN || tables->high > INT8_MAX || tables->low > tables->high))
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "node '%.200s': clamped to [%d,%d]",
                            node->name,
                            tables->low,
                            tables->high);
    if (node->prim != MN_PRIM_CONV && node->prim != MN_PRIM_FULLY_CONNECTED)
        return MN_OK;
    if (tables->weights == NULL || tables->bias == NULL || tables->weight_scale == NULL)
        return mn_error_set(
            err, MN_ERR_MISMATCH, "node '%.200s': it has no tables of integers", node->name);
    for (uint32_t o = 0; o < node->shape.c; o++)
        if (!scale_is_valid(tables->weight_scale[o]))
            return mn_error_set(err,
                                MN_ERR_FORMAT,
                                "node '%.200s': output %u: weights of scale %g",
                                node->name,
                                o,
                                (double)tables->weight_scale[o]);
    return MN_OK;
}

mn_status mn__export_check_quant(const mn_onnx_export_input *input, mn_error *err)
{
    uint32_t nodes = mn_graph_node_count(input->graph);
    mn_status status = MN_OK;
    if (input->quant->node_count != nodes)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "int8 tables of %u nodes, the network has %u",
                            input->quant->node_count,
                            nodes);
    for (uint32_t n = 0; n < nodes && status == MN_OK; n++)
        status = check_node(input->graph, n, input->quant, err);
    return status;
}

/* ---- values --------------------------------------------------------------------------------- */

/* QuantizeLinear or DequantizeLinear; `per_channel`: a scale for each output, axis 0. */
static void add_step(mn__export *e,
                     const char *type,
                     const char *const inputs[3],
                     uint32_t input_count,
                     const char *to,
                     bool per_channel)
{
    mn_buffer attributes;
    mn_buffer_init(&attributes);
    if (per_channel)
        mn__export_attribute_int(&attributes, "axis", 0);
    mn__export_add_op(e,
                      &(mn__export_op){.type = type,
                                       .inputs = inputs,
                                       .input_count = input_count,
                                       .output = to,
                                       .attributes = &attributes});
}

void mn__export_quant_value(mn__export *e, uint32_t node, const char *from, const char *to)
{
    const mn_quant_value *grid = &e->input->quant->values[node];
    int8_t zero_point = (int8_t)grid->zero_point;
    mn__export_name scale = mn__export_part_name(e, node, "scale");
    mn__export_name zero = mn__export_part_name(e, node, "zero_point");
    mn__export_name bytes = mn__export_part_name(e, node, "int8");
    mn__export_add_tensor(e,
                          &(mn__export_tensor){.name = scale.text,
                                               .element = MN__ELEMENT_FLOAT,
                                               .data = &grid->scale,
                                               .bytes = sizeof grid->scale});
    mn__export_add_tensor(
        e,
        &(mn__export_tensor){
            .name = zero.text, .element = MN__ELEMENT_INT8, .data = &zero_point, .bytes = 1});
    const char *const quantise[3] = {from, scale.text, zero.text};
    const char *const back[3] = {bytes.text, scale.text, zero.text};
    add_step(e, "QuantizeLinear", quantise, 3, bytes.text, false);
    add_step(e, "DequantizeLinear", back, 3, to, false);
}

/* ---- tables --------------------------------------------------------------------------------- */

/* The tables of one node in ONNX's order; the caller frees. */
typedef struct tables {
    int8_t *weights;   /* (O,I/groups,KH,KW), fully connected (O,C,H,W) */
    int8_t *zeros;     /* (O) */
    float *bias_scale; /* (O) */
} tables;

/* From the kernel's order, (O,KH,KW,I/groups) or, depthwise, (KH,KW,O). `info` is of the float
 * weights, whose dims are those of ONNX. */
static void reorder(const mn_tensor_info *info, bool is_depthwise, const int8_t *from, int8_t *to)
{
    size_t outputs = info->dims[0];
    size_t inputs = info->dims[1];
    size_t pixels = (size_t)info->dims[2] * info->dims[3];
    for (size_t o = 0; o < outputs; o++)
        for (size_t i = 0; i < inputs; i++)
            for (size_t p = 0; p < pixels; p++)
                *to++ = from[is_depthwise ? p * outputs + o : (o * pixels + p) * inputs + i];
}

static mn_status make_tables(const mn__export *e, uint32_t index, tables *t, mn_error *err)
{
    const mn_graph *graph = e->input->graph;
    const mn_node *node = mn_graph_node(graph, index);
    const mn_quant_node *from = &e->input->quant->nodes[index];
    const mn_tensor_info *info = mn_graph_tensor(graph, node->tensors[MN_ROLE_WEIGHT]);
    uint32_t in_c = mn_graph_node(graph, node->inputs[0])->shape.c;
    bool is_depthwise = node->prim == MN_PRIM_CONV && node->groups == in_c && node->shape.c == in_c;
    float in_scale = e->input->quant->values[node->inputs[0]].scale;
    t->weights = mn_calloc(mn_graph_tensor_elements(graph, node->tensors[MN_ROLE_WEIGHT]), 1);
    t->zeros = mn_calloc(node->shape.c, 1);
    t->bias_scale = mn_calloc(node->shape.c, sizeof *t->bias_scale);
    if (t->weights == NULL || t->zeros == NULL || t->bias_scale == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    reorder(info, is_depthwise, from->weights, t->weights);
    for (uint32_t o = 0; o < node->shape.c; o++) {
        t->bias_scale[o] = in_scale * from->weight_scale[o];
        if (!scale_is_valid(t->bias_scale[o]))
            return mn_error_set(err,
                                MN_ERR_FORMAT,
                                "node '%.200s': output %u: a bias of scale %g",
                                node->name,
                                o,
                                (double)t->bias_scale[o]);
    }
    return MN_OK;
}

/* Writes a list of one number an output. */
static mn__export_name add_list(
    mn__export *e, uint32_t index, const char *part, int32_t element, size_t size, const void *data)
{
    uint32_t outputs = mn_graph_node(e->input->graph, index)->shape.c;
    mn__export_name name = mn__export_part_name(e, index, part);
    mn__export_add_tensor(e,
                          &(mn__export_tensor){.name = name.text,
                                               .element = element,
                                               .rank = 1,
                                               .dims = {outputs},
                                               .data = data,
                                               .bytes = outputs * size});
    return name;
}

static void add_weights(mn__export *e, uint32_t index, const tables *t, const char *weight)
{
    const mn_graph *graph = e->input->graph;
    const mn_node *node = mn_graph_node(graph, index);
    const mn_tensor_info *info = mn_graph_tensor(graph, node->tensors[MN_ROLE_WEIGHT]);
    size_t elements = mn_graph_tensor_elements(graph, node->tensors[MN_ROLE_WEIGHT]);
    mn__export_name bytes = mn__export_part_name(e, index, "weight_int8");
    mn__export_tensor tensor = {
        .name = bytes.text,
        .element = MN__ELEMENT_INT8,
        .rank = 4,
        .dims = {info->dims[0], info->dims[1], info->dims[2], info->dims[3]},
        .data = t->weights,
        .bytes = elements,
    };
    if (node->prim == MN_PRIM_FULLY_CONNECTED) { /* a matrix */
        tensor.rank = 2;
        tensor.dims[1] = (int64_t)(elements / info->dims[0]);
    }
    mn__export_add_tensor(e, &tensor);
    mn__export_name scale = add_list(e,
                                     index,
                                     "weight_scale",
                                     MN__ELEMENT_FLOAT,
                                     sizeof(float),
                                     e->input->quant->nodes[index].weight_scale);
    mn__export_name zeros = add_list(e, index, "weight_zero_point", MN__ELEMENT_INT8, 1, t->zeros);
    const char *const inputs[3] = {bytes.text, scale.text, zeros.text};
    add_step(e, "DequantizeLinear", inputs, 3, weight, true);
}

mn_status mn__export_quant_tables(
    mn__export *e, uint32_t node, const char *weight, const char *bias, mn_error *err)
{
    tables t = {0};
    mn_status status = make_tables(e, node, &t, err);
    if (status == MN_OK) {
        add_weights(e, node, &t, weight);
        mn__export_name numbers = add_list(e,
                                           node,
                                           "bias_int32",
                                           MN__ELEMENT_INT32,
                                           sizeof(int32_t),
                                           e->input->quant->nodes[node].bias);
        mn__export_name scale =
            add_list(e, node, "bias_scale", MN__ELEMENT_FLOAT, sizeof(float), t.bias_scale);
        /* Of int32 the zero point is 0, and left out. */
        const char *const inputs[3] = {numbers.text, scale.text, ""};
        add_step(e, "DequantizeLinear", inputs, 2, bias, true);
    }
    free(t.bias_scale);
    free(t.zeros);
    free(t.weights);
    return status;
}

/* Int8 tables made by hand, and their evaluation. Slow and plain. */
#include "hand_quant.h"

#include "unit/graph_reference.h"

static uint32_t inputs_of(const mn_graph *graph, const mn_node *node)
{
    return mn_graph_node(graph, node->inputs[0])->shape.c;
}

static bool is_depthwise(const mn_graph *graph, const mn_node *node)
{
    uint32_t in_c = inputs_of(graph, node);
    return node->prim == MN_PRIM_CONV && node->groups == in_c && node->shape.c == in_c;
}

/* Where weight (o,i,y,x) of the graph's order lies in the kernel's. */
static size_t
kernel_place(const mn_tensor_info *info, bool depthwise, size_t o, size_t i, size_t y, size_t x)
{
    size_t pixel = y * info->dims[3] + x;
    size_t pixels = (size_t)info->dims[2] * info->dims[3];
    return depthwise ? pixel * info->dims[0] + o : (o * pixels + pixel) * info->dims[1] + i;
}

/* The real number that stands for weight `at` of the graph's order, or for bias `at`. */
static double real_weight(
    const mn_graph *graph, const mn_quant *quant, const mn_node *node, uint32_t index, size_t at)
{
    const mn_tensor_info *info = mn_graph_tensor(graph, node->tensors[MN_ROLE_WEIGHT]);
    size_t x = at % info->dims[3];
    size_t y = at / info->dims[3] % info->dims[2];
    size_t i = at / info->dims[3] / info->dims[2] % info->dims[1];
    size_t o = at / info->dims[3] / info->dims[2] / info->dims[1];
    size_t place = kernel_place(info, is_depthwise(graph, node), o, i, y, x);
    const mn_quant_node *tables = &quant->nodes[index];
    return (double)tables->weight_scale[o] * tables->weights[place];
}

/* ---- evaluation ----------------------------------------------------------------------------- */

static double clamped(const mn_node *node, double v)
{
    v = node->act == MN_ACT_NONE ? v : fmax(v, 0.0);
    return node->act == MN_ACT_RELU6 ? fmin(v, 6.0) : v;
}

static double on_grid(const mn_quant *quant, const mn_node *node, uint32_t index, double v)
{
    const mn_quant_value *grid = &quant->values[index];
    const mn_quant_node *tables = &quant->nodes[index];
    bool is_input = node->prim == MN_PRIM_INPUT;
    double q = floor(v / (double)grid->scale + 0.5) + grid->zero_point;
    q = fmax(q, is_input ? -128 : tables->low);
    q = fmin(q, is_input ? 127 : tables->high);
    return (double)grid->scale * (q - grid->zero_point);
}

/* Fills r->values, whose blocks the caller frees. */
static void evaluate(reference *r, const mn_quant *quant, const double *image)
{
    for (uint32_t n = 0; n < mn_graph_node_count(r->graph); n++) {
        const mn_node *node = mn_graph_node(r->graph, n);
        size_t count = mn_shape_elements(node->shape);
        r->values[n] = calloc(count, sizeof(double));
        assert_non_null(r->values[n]);
        for (size_t at = 0; at < count; at++) {
            uint32_t c = (uint32_t)(at % node->shape.c);
            uint32_t pixel = (uint32_t)(at / node->shape.c);
            double v = image[node->prim == MN_PRIM_INPUT ? at : 0];
            if (node->prim != MN_PRIM_INPUT)
                v = reference_element(r, node, pixel / node->shape.w, pixel % node->shape.w, c);
            r->values[n][at] = quant == NULL ? clamped(node, v) : on_grid(quant, node, n, v);
        }
    }
}

static reference reference_start(const mn_graph *graph, const mn_tensors *tensors)
{
    reference r = {graph, tensors, calloc(mn_graph_node_count(graph), sizeof(double *))};
    assert_non_null(r.values);
    return r;
}

static void reference_empty(reference *r)
{
    for (uint32_t n = 0; n < mn_graph_node_count(r->graph); n++) {
        free(r->values[n]);
        r->values[n] = NULL;
    }
}

/* Weights and biases as the integers stand for them, in place. */
static void
set_real(const mn_graph *graph, const mn_quant *quant, uint32_t index, mn_tensors *tensors)
{
    const mn_node *node = mn_graph_node(graph, index);
    uint32_t weight = node->tensors[MN_ROLE_WEIGHT];
    uint32_t bias = node->tensors[MN_ROLE_BIAS];
    if (weight == MN_NONE)
        return;
    float *numbers = tensors->items[weight].data;
    for (size_t at = 0; at < mn_graph_tensor_elements(graph, weight); at++)
        numbers[at] = (float)real_weight(graph, quant, node, index, at);
    for (uint32_t o = 0; bias != MN_NONE && o < node->shape.c; o++)
        ((float *)tensors->items[bias].data)[o] = quant->values[node->inputs[0]].scale *
                                                  quant->nodes[index].weight_scale[o] *
                                                  (float)quant->nodes[index].bias[o];
}

void hand_quant_run(const mn_graph *graph,
                    const mn_tensors *tensors,
                    const mn_quant *quant,
                    const double *image,
                    double *ret_logits)
{
    mn_error err;
    mn_tensors *real = NULL;
    uint32_t output = mn_graph_output(graph, 0);
    assert_ok(mn_tensors_create_for_graph(graph, &real, &err), &err);
    for (uint32_t t = 0; t < real->count; t++)
        memcpy(real->items[t].data,
               tensors->items[t].data,
               mn_graph_tensor_elements(graph, t) * sizeof(float));
    for (uint32_t n = 0; quant != NULL && n < mn_graph_node_count(graph); n++)
        set_real(graph, quant, n, real);
    reference r = reference_start(graph, real);
    evaluate(&r, quant, image);
    memcpy(ret_logits, r.values[output], mn_graph_node(graph, output)->shape.c * sizeof(double));
    reference_empty(&r);
    free(r.values);
    mn_tensors_free(real);
}

/* ---- making --------------------------------------------------------------------------------- */

/* A grid for [low, high], with 0 on it. */
static mn_quant_value grid_of(double low, double high)
{
    double scale = fmax((high - low) / 255.0, 1e-6);
    double zero = fmax(-128.0, fmin(127.0, floor(-128.0 - low / scale + 0.5)));
    return (mn_quant_value){.scale = (float)scale, .zero_point = (int32_t)zero};
}

static void set_bounds(const mn_node *node, const mn_quant_value *grid, mn_quant_node *tables)
{
    bool is_relu6 = node->act == MN_ACT_RELU6 || node->prim == MN_PRIM_RELU6;
    bool is_relu = is_relu6 || node->act == MN_ACT_RELU || node->prim == MN_PRIM_RELU;
    tables->low = is_relu ? grid->zero_point : -128;
    tables->high = 127;
    if (is_relu6)
        tables->high =
            (int32_t)fmin(127.0, grid->zero_point + floor(6.0 / (double)grid->scale + 0.5));
}

static void
set_tables(const mn_graph *graph, const mn_tensors *tensors, mn_quant *quant, uint32_t index)
{
    const mn_node *node = mn_graph_node(graph, index);
    const mn_tensor_info *info = mn_graph_tensor(graph, node->tensors[MN_ROLE_WEIGHT]);
    const float *weights = tensors->items[node->tensors[MN_ROLE_WEIGHT]].data;
    const float *bias = node->tensors[MN_ROLE_BIAS] == MN_NONE
                            ? NULL
                            : tensors->items[node->tensors[MN_ROLE_BIAS]].data;
    size_t per_output = (size_t)info->dims[1] * info->dims[2] * info->dims[3];
    mn_quant_node *to = &quant->nodes[index];
    to->weights = calloc(info->dims[0] * per_output, 1);
    to->bias = calloc(info->dims[0], sizeof *to->bias);
    to->weight_scale = calloc(info->dims[0], sizeof *to->weight_scale);
    assert_true(to->weights != NULL && to->bias != NULL && to->weight_scale != NULL);
    for (size_t o = 0; o < info->dims[0]; o++) {
        float most = 1e-6f;
        for (size_t k = 0; k < per_output; k++)
            most = fmaxf(most, fabsf(weights[o * per_output + k]));
        to->weight_scale[o] = most / 127.0f;
        for (size_t k = 0; k < per_output; k++) {
            size_t x = k % info->dims[3];
            size_t y = k / info->dims[3] % info->dims[2];
            size_t i = k / info->dims[3] / info->dims[2];
            to->weights[kernel_place(info, is_depthwise(graph, node), o, i, y, x)] =
                (int8_t)lrintf(weights[o * per_output + k] / to->weight_scale[o]);
        }
        double unit = (double)quant->values[node->inputs[0]].scale * (double)to->weight_scale[o];
        to->bias[o] = bias == NULL ? 0 : (int32_t)lrint((double)bias[o] / unit);
    }
}

mn_quant *hand_quant_make(const mn_graph *graph,
                          const mn_tensors *tensors,
                          const double *images,
                          uint32_t count)
{
    uint32_t nodes = mn_graph_node_count(graph);
    mn_quant *quant = calloc(1, sizeof *quant);
    double *low = calloc(nodes, sizeof *low); /* 0 is in every range */
    double *high = calloc(nodes, sizeof *high);
    size_t per_image = mn_shape_elements(mn_graph_node(graph, 0)->shape);
    assert_true(quant != NULL && low != NULL && high != NULL);
    reference r = reference_start(graph, tensors);
    for (uint32_t i = 0; i < count; i++) {
        evaluate(&r, NULL, images + i * per_image);
        for (uint32_t n = 0; n < nodes; n++)
            for (size_t k = 0; k < mn_shape_elements(mn_graph_node(graph, n)->shape); k++) {
                low[n] = fmin(low[n], r.values[n][k]);
                high[n] = fmax(high[n], r.values[n][k]);
            }
        reference_empty(&r);
    }
    quant->node_count = nodes;
    quant->values = calloc(nodes, sizeof *quant->values);
    quant->nodes = calloc(nodes, sizeof *quant->nodes);
    assert_true(quant->values != NULL && quant->nodes != NULL);
    for (uint32_t n = 0; n < nodes; n++) {
        const mn_node *node = mn_graph_node(graph, n);
        quant->values[n] = grid_of(low[n], high[n]);
        if (node->prim != MN_PRIM_INPUT)
            set_bounds(node, &quant->values[n], &quant->nodes[n]);
        if (node->tensors[MN_ROLE_WEIGHT] != MN_NONE)
            set_tables(graph, tensors, quant, n);
    }
    free(r.values);
    free(high);
    free(low);
    return quant;
}

void hand_quant_free(mn_quant *quant)
{
    for (uint32_t n = 0; n < quant->node_count; n++) {
        free(quant->nodes[n].weights);
        free(quant->nodes[n].bias);
        free(quant->nodes[n].weight_scale);
    }
    free(quant->nodes);
    free(quant->values);
    free(quant);
}

/*
 * Quantised networks: their tables, their factors, and which of their values share a grid. Judged
 * in quant_check.c, stored in quant_tensors.c.
 */
#include "memnet/quant.h"

#include <math.h>
#include <stdlib.h>

#include "base/size.h"

/* Of multipliers: [2^30, 2^31). */
static const int32_t least_multiplier = 1 << 30;

/* ---- tables --------------------------------------------------------------------------------- */

mn_quant_sizes mn_quant_sizes_of(const mn_graph *deployed, uint32_t node)
{
    const mn_node *n = mn_graph_node(deployed, node);
    mn_quant_sizes sizes = {0};
    if (n->tensors[MN_ROLE_WEIGHT] == MN_NONE ||
        (n->prim != MN_PRIM_CONV && n->prim != MN_PRIM_FULLY_CONNECTED))
        return sizes;
    uint32_t in_c = mn_graph_node(deployed, n->inputs[0])->shape.c;
    sizes.outputs = n->shape.c;
    sizes.filter = mn_graph_tensor_elements(deployed, n->tensors[MN_ROLE_WEIGHT]) / n->shape.c;
    sizes.is_depthwise = n->prim == MN_PRIM_CONV && n->groups == in_c && n->shape.c == in_c;
    return sizes;
}

static bool create_node(const mn_graph *graph, uint32_t n, mn_quant_node *node)
{
    mn_quant_sizes sizes = mn_quant_sizes_of(graph, n);
    if (sizes.outputs == 0)
        return true;
    node->weights = mn_calloc(sizes.outputs * sizes.filter, sizeof *node->weights);
    node->bias = mn_calloc(sizes.outputs, sizeof *node->bias);
    node->multiplier = mn_calloc(sizes.outputs, sizeof *node->multiplier);
    node->shift = mn_calloc(sizes.outputs, sizeof *node->shift);
    node->weight_scale = mn_calloc(sizes.outputs, sizeof *node->weight_scale);
    return node->weights != NULL && node->bias != NULL && node->multiplier != NULL &&
           node->shift != NULL && node->weight_scale != NULL;
}

mn_status mn_quant_create(const mn_graph *deployed, mn_quant **ret_quant, mn_error *err)
{
    uint32_t nodes = mn_graph_node_count(deployed);
    mn_quant *quant = mn_calloc(1, sizeof *quant);
    if (quant == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory for a quantised network");
    quant->values = mn_calloc(nodes, sizeof *quant->values);
    quant->nodes = mn_calloc(nodes, sizeof *quant->nodes);
    bool good = quant->values != NULL && quant->nodes != NULL;
    quant->node_count = quant->nodes != NULL ? nodes : 0;
    for (uint32_t n = 0; n < nodes && good; n++)
        good = create_node(deployed, n, &quant->nodes[n]);
    if (!good) {
        mn_quant_free(quant);
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory for a quantised network");
    }
    *ret_quant = quant;
    return MN_OK;
}

void mn_quant_free(mn_quant *quant)
{
    if (quant == NULL)
        return;
    for (uint32_t n = 0; n < quant->node_count; n++) {
        free(quant->nodes[n].weights);
        free(quant->nodes[n].bias);
        free(quant->nodes[n].multiplier);
        free(quant->nodes[n].shift);
        free(quant->nodes[n].weight_scale);
    }
    free(quant->nodes);
    free(quant->values);
    free(quant);
}

/* ---- factors -------------------------------------------------------------------------------- */

mn_status mn_quant_factor(double real, int32_t *ret_multiplier, int32_t *ret_shift, mn_error *err)
{
    int exponent = 0;
    if (!(real >= 0) || real >= (double)least_multiplier)
        return mn_error_set(err, MN_ERR_LIMIT, "a factor of %g, expected one in [0, 2^30)", real);
    if (real < 0x1p-32) {
        *ret_multiplier = 0;
        *ret_shift = 31;
        return MN_OK;
    }
    int64_t multiplier = llround(frexp(real, &exponent) * 0x1p31);
    if (multiplier == INT64_C(1) << 31) { /* rounded up to the next power of two */
        multiplier /= 2;
        exponent++;
    }
    if (exponent > 30)
        return mn_error_set(err, MN_ERR_LIMIT, "a factor of %g, expected one in [0, 2^30)", real);
    *ret_multiplier = (int32_t)multiplier;
    *ret_shift = 31 - exponent;
    return MN_OK;
}

static bool is_same_grid(const mn_quant_value *a, const mn_quant_value *b)
{
    return a->scale == b->scale && a->zero_point == b->zero_point;
}

mn_status mn_quant_copy_factor(const mn_quant_value *from,
                               const mn_quant_value *to,
                               bool *ret_same,
                               int32_t *ret_multiplier,
                               int32_t *ret_shift,
                               mn_error *err)
{
    int32_t multiplier = 0;
    int32_t shift = 0;
    mn_status status =
        mn_quant_factor((double)from->scale / (double)to->scale, &multiplier, &shift, err);
    if (status != MN_OK)
        return status;
    *ret_same = is_same_grid(from, to);
    *ret_multiplier = multiplier;
    *ret_shift = shift;
    return MN_OK;
}

/* ---- classes -------------------------------------------------------------------------------- */

static bool keeps_grid(mn_prim prim)
{
    return prim == MN_PRIM_RELU || prim == MN_PRIM_RELU6 || prim == MN_PRIM_MAX_POOL ||
           prim == MN_PRIM_AVG_POOL || prim == MN_PRIM_RESHAPE;
}

/* Every plan keeps the graph's inputs dense, outside of slices. */
static bool is_copied_part(const mn_graph *graph, const mn_node *concat, uint32_t x)
{
    return concat->prim == MN_PRIM_CONCAT && mn_graph_node(graph, x)->prim == MN_PRIM_INPUT;
}

static uint32_t root_of(const uint32_t *classes, uint32_t n)
{
    while (classes[n] != n)
        n = classes[n];
    return n;
}

void mn_quant_classes(const mn_graph *deployed, uint32_t *ret_class)
{
    for (uint32_t n = 0; n < mn_graph_node_count(deployed); n++) {
        const mn_node *node = mn_graph_node(deployed, n);
        ret_class[n] = n;
        if (node->prim != MN_PRIM_CONCAT && !keeps_grid(node->prim))
            continue;
        for (uint32_t i = 0; i < node->input_count; i++) {
            if (is_copied_part(deployed, node, node->inputs[i]))
                continue;
            uint32_t a = root_of(ret_class, n);
            uint32_t b = root_of(ret_class, node->inputs[i]);
            ret_class[a > b ? a : b] = a > b ? b : a;
        }
    }
    for (uint32_t n = 0; n < mn_graph_node_count(deployed); n++)
        ret_class[n] = root_of(ret_class, n); /* roots are first: theirs are final */
}

/*
 * Activations: what clamps the result of a node. In float32 they are ops. In int8 the pair that
 * brings a value to its grid saturates at the grid's ends, and the grid of a relu's result begins
 * at 0 as a rule, so that an op stands only where a node clamps to less than its grid.
 */
#include "onnx/export.h"

mn__export_bounds mn__export_bounds_of(const mn__export *e, uint32_t node, mn_act act)
{
    const mn_quant *quant = e->input->quant;
    if (mn_graph_node(e->input->graph, node)->prim == MN_PRIM_INPUT)
        return (mn__export_bounds){0};
    if (quant == NULL)
        return (mn__export_bounds){
            .has_low = act != MN_ACT_NONE, .has_high = act == MN_ACT_RELU6, .high = 6.0f};
    const mn_quant_value *grid = &quant->values[node];
    const mn_quant_node *tables = &quant->nodes[node];
    return (mn__export_bounds){
        .has_low = tables->low > INT8_MIN,
        .has_high = tables->high < INT8_MAX,
        .low = grid->scale * (float)(tables->low - grid->zero_point),
        .high = grid->scale * (float)(tables->high - grid->zero_point),
    };
}

/* Writes a scalar. */
static void add_bound(mn__export *e, const char *name, const float *value)
{
    mn__export_add_tensor(
        e,
        &(mn__export_tensor){
            .name = name, .element = MN__ELEMENT_FLOAT, .data = value, .bytes = sizeof *value});
}

void mn__export_add_clamp(
    mn__export *e, uint32_t node, const mn__export_bounds *bounds, const char *from, const char *to)
{
    mn__export_name low = {.text = ""};
    mn__export_name high = {.text = ""};
    if (bounds->has_low && !bounds->has_high && bounds->low == 0.0f) {
        mn__export_add_simple(e, "Relu", from, to);
        return;
    }
    if (bounds->has_low) {
        low = mn__export_part_name(e, node, "min");
        add_bound(e, low.text, &bounds->low);
    }
    if (bounds->has_high) {
        high = mn__export_part_name(e, node, "max");
        add_bound(e, high.text, &bounds->high);
    }
    const char *const inputs[] = {from, low.text, high.text};
    mn__export_add_op(e,
                      &(mn__export_op){.type = "Clip",
                                       .inputs = inputs,
                                       .input_count = bounds->has_high ? 3 : 2,
                                       .output = to});
}

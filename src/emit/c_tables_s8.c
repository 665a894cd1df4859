/*
 * Constant tables of int8: weights, biases, multipliers and shifts of mn_quant, as they are.
 * Called by c_model. Invariant: the tables take exactly plan->weights_bytes.
 */
#include "base/size.h"
#include "emit/c_tables.h"
#include "emit/c_text.h"

/* One table while it is written. */
typedef struct table {
    const char *member;
    bool is_wide;
    const int8_t *bytes;  /* when not is_wide */
    const int32_t *words; /* when is_wide */
    size_t count;
} table;

void mn__table_s8_name(const mn_graph *graph, uint32_t node, const char *member, mn_buffer *out)
{
    mn_buffer_printf(out, "n%u_", node);
    mn__c_name(out, mn_graph_node(graph, node)->name);
    mn_buffer_printf(out, "_%s", member);
}

static void write_table(const mn_graph *graph, uint32_t node, const table *t, mn_buffer *out)
{
    mn_buffer_printf(out, "static const %s ", t->is_wide ? "int32_t" : "int8_t");
    mn__table_s8_name(graph, node, t->member, out);
    mn_buffer_printf(out, "[%zu] = {", t->count);
    size_t line_start = 0;
    for (size_t k = 0; k < t->count; k++) {
        bool wrap = k == 0 || out->count - line_start > 90;
        if (wrap)
            line_start = out->count + 1;
        mn_buffer_printf(
            out, "%s%d,", wrap ? "\n    " : " ", t->is_wide ? t->words[k] : (int32_t)t->bytes[k]);
    }
    mn_buffer_printf(out, "\n};\n\n");
}

static const char *order_text(const mn_node *node, bool is_depthwise)
{
    if (node->prim == MN_PRIM_FULLY_CONNECTED)
        return "(O,H,W,C)";
    return is_depthwise ? "(KH,KW,C)" : "(O,KH,KW,I)";
}

/* Adds the bytes of the layer's tables to *bytes; false when they do not fit. */
static bool write_layer(const mn_emit_input *input, uint32_t n, mn_buffer *out, size_t *bytes)
{
    const mn_node *node = mn_graph_node(input->graph, n);
    const mn_quant_node *numbers = &input->quant->nodes[n];
    mn_quant_sizes sizes = mn_quant_sizes_of(input->graph, n);
    size_t weights = 0;
    if (sizes.outputs == 0)
        return true;
    if (!mn_size_mul(sizes.outputs, sizes.filter, &weights) || weights > INT32_MAX ||
        !mn_size_add(*bytes, weights, bytes) ||
        !mn_size_add(*bytes, sizes.outputs * (2 * sizeof(int32_t) + sizeof(int8_t)), bytes))
        return false;
    mn_buffer_printf(out, "/* ");
    mn__c_comment(out, node->name);
    mn_buffer_printf(out, ": weights %s */\n", order_text(node, sizes.is_depthwise));
    const table tables[] = {
        {"weights", false, numbers->weights, NULL, weights},
        {"bias", true, NULL, numbers->bias, sizes.outputs},
        {"multiplier", true, NULL, numbers->multiplier, sizes.outputs},
        {"shift", false, numbers->shift, NULL, sizes.outputs},
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        write_table(input->graph, n, &tables[i], out);
    return true;
}

mn_status mn__emit_tables_s8(const mn_emit_input *input, mn_buffer *out, mn_error *err)
{
    size_t bytes = 0;
    for (uint32_t n = 0; n < mn_graph_node_count(input->graph); n++)
        if (!write_layer(input, n, out, &bytes))
            return mn_error_set(err,
                                MN_ERR_LIMIT,
                                "node '%s': too many weights",
                                mn_graph_node(input->graph, n)->name);
    if (bytes != input->plan->weights_bytes)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "the plan counts %zu bytes of weights, the tables take %zu",
                            input->plan->weights_bytes,
                            bytes);
    return MN_OK;
}

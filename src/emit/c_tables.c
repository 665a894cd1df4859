/*
 * Constant tables: model files hold weights as (O,I,KH,KW), kernels read them channels last.
 * Called by c_project. Invariant: the tables take exactly plan->weights_bytes.
 */
#include "emit/c_tables.h"

#include <math.h>

#include "base/size.h"
#include "emit/c_text.h"

bool mn__is_depthwise(const mn_graph *graph, const mn_node *node)
{
    uint32_t in_c = mn_graph_node(graph, node->inputs[0])->shape.c;
    return node->groups == in_c && node->shape.c == in_c;
}

void mn__table_name(const mn_graph *graph, uint32_t tensor, mn_buffer *out)
{
    if (tensor == MN_NONE) {
        mn_buffer_printf(out, "0");
        return;
    }
    mn_buffer_printf(out, "w%u_", tensor);
    mn__c_name(out, mn_graph_tensor(graph, tensor)->name);
}

/* Index, in the model file's order, of element `k` of the table. */
static size_t source_index(const mn_tensor_info *info, bool depthwise, size_t k)
{
    size_t taps = (size_t)info->dims[2] * info->dims[3];
    if (info->rank == 1)
        return k;
    if (depthwise) /* (KH,KW,C) from (C,1,KH,KW) */
        return k % info->dims[0] * taps + k / info->dims[0];
    /* (O,KH,KW,I) from (O,I,KH,KW); likewise (O,H,W,C) from (O,C,H,W). */
    size_t inputs = info->dims[1];
    size_t o = k / (taps * inputs);
    size_t tap = k / inputs % taps;
    return (o * inputs + k % inputs) * taps + tap;
}

static const char *order_text(const mn_tensor_info *info, mn_prim prim, bool depthwise)
{
    if (info->rank == 1)
        return "(O)";
    if (prim == MN_PRIM_FULLY_CONNECTED)
        return "(O,H,W,C)";
    return depthwise ? "(KH,KW,C)" : "(O,KH,KW,I)";
}

static mn_status check_tensor(const mn_tensor_info *info, const mn_tensor *tensor, mn_error *err)
{
    bool same = tensor->dtype == MN_F32 && tensor->rank == info->rank;
    for (uint32_t k = 0; k < info->rank && same; k++)
        same = tensor->dims[k] == info->dims[k];
    if (!same)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "tensor '%s': expected float32 (%u,%u,%u,%u) as in the graph",
                            info->name,
                            info->dims[0],
                            info->dims[1],
                            info->dims[2],
                            info->dims[3]);
    return MN_OK;
}

static mn_status
emit_table(const mn_emit_input *input, uint32_t tensor, mn_buffer *out, mn_error *err)
{
    const mn_tensor_info *info = mn_graph_tensor(input->graph, tensor);
    const mn_node *node = mn_graph_node(input->graph, info->node);
    const float *data = input->tensors->items[tensor].data;
    size_t count = mn_graph_tensor_elements(input->graph, tensor);
    bool depthwise = node->prim == MN_PRIM_CONV && mn__is_depthwise(input->graph, node);
    mn_buffer_printf(out, "/* %s ", order_text(info, node->prim, depthwise));
    mn__c_comment(out, info->name);
    mn_buffer_printf(out, " */\nstatic const float ");
    mn__table_name(input->graph, tensor, out);
    mn_buffer_printf(out, "[%zu] = {", count);
    size_t line_start = 0;
    for (size_t k = 0; k < count; k++) {
        float value = data[source_index(info, depthwise, k)];
        char text[MN__C_FLOAT_BYTES];
        if (!isfinite(value))
            return mn_error_set(err,
                                MN_ERR_UNSUPPORTED,
                                "tensor '%s': element %zu is not finite",
                                info->name,
                                source_index(info, depthwise, k));
        mn__c_float(value, text);
        bool wrap = k == 0 || out->count - line_start > 80;
        if (wrap)
            line_start = out->count + 1;
        mn_buffer_printf(out, "%s%s,", wrap ? "\n    " : " ", text);
    }
    mn_buffer_printf(out, "\n};\n\n");
    return MN_OK;
}

mn_status mn__emit_tables(const mn_emit_input *input, mn_buffer *out, mn_error *err)
{
    uint32_t count = mn_graph_tensor_count(input->graph);
    size_t bytes = 0;
    if (input->tensors->count != count)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "%u tensors, expected %u as in the graph",
                            input->tensors->count,
                            count);
    for (uint32_t t = 0; t < count; t++) {
        size_t elements = mn_graph_tensor_elements(input->graph, t);
        mn_status status =
            check_tensor(mn_graph_tensor(input->graph, t), &input->tensors->items[t], err);
        if (status == MN_OK)
            status = emit_table(input, t, out, err);
        if (status != MN_OK)
            return status;
        if (elements > INT32_MAX || !mn_size_add(bytes, elements * sizeof(float), &bytes))
            return mn_error_set(err,
                                MN_ERR_LIMIT,
                                "tensor '%s': too large",
                                mn_graph_tensor(input->graph, t)->name);
    }
    if (bytes != input->plan->weights_bytes)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "the plan counts %zu bytes of weights, the tables take %zu",
                            input->plan->weights_bytes,
                            bytes);
    return MN_OK;
}

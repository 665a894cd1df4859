/*
 * Sizes of a graph's values, scratch and weights in one precision, as the kernels of kernels/ want
 * them. Invariant: a graph that passes here can be run by the exported kernels, and none of its
 * sums of sizes overflows.
 */
#include "plan/kernel_needs.h"

#include <stdlib.h>

#include "base/size.h"
#include "kernels/mn_f32.h"

static mn_status check_kernel(const mn_node *node, bool sizes_only, mn_error *err)
{
    bool takes_act = false;
    switch (node->prim) {
    case MN_PRIM_BATCH_NORM:
    case MN_PRIM_IDENTITY:
    case MN_PRIM_FAKE_QUANT:
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "node '%s': %s has no kernel: run the deploy pass first",
                            node->name,
                            mn_prim_name(node->prim));
    case MN_PRIM_CONV:
    case MN_PRIM_ADD:
    case MN_PRIM_MAX_POOL:
    case MN_PRIM_AVG_POOL:
    case MN_PRIM_GLOBAL_POOL:
    case MN_PRIM_FULLY_CONNECTED:
        takes_act = true;
        break;
    case MN_PRIM_INPUT:
    case MN_PRIM_RELU:
    case MN_PRIM_RELU6:
    case MN_PRIM_CONCAT:
    case MN_PRIM_RESHAPE:
        break;
    case MN_PRIM_OPAQUE:
        if (sizes_only)
            break;
        __attribute__((fallthrough));
    case MN_PRIM_COUNT:
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "node '%s': %s has no kernel",
                            node->name,
                            mn_prim_name(node->prim));
    }
    if (node->act != MN_ACT_NONE && !takes_act && !sizes_only)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "node '%s': %s with a fused activation has no kernel",
                            node->name,
                            mn_prim_name(node->prim));
    return MN_OK;
}

/* Kernels count in int32_t. */
static mn_status check_kernel_limits(const mn_node *node, mn_error *err)
{
    const mn_window *w = &node->window;
    const uint32_t fields[] = {
        node->shape.h,
        node->shape.w,
        node->shape.c,
        w->kernel_h,
        w->kernel_w,
        w->stride_h,
        w->stride_w,
        w->dilation_h,
        w->dilation_w,
        w->pad_top,
        w->pad_left,
        node->groups,
        w->pad_bottom,
        w->pad_right,
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (fields[i] > INT32_MAX)
            return mn_error_set(err,
                                MN_ERR_LIMIT,
                                "node '%s': a side of %u, expected at most %d",
                                node->name,
                                fields[i],
                                INT32_MAX);
    return MN_OK;
}

/* The kernels' own questions with dense strides: scratch follows from shapes. */
static void find_conv_scratch(const mn_node *node,
                              mn_shape in,
                              size_t *ret_scratch_bytes,
                              size_t *ret_in_place_bytes)
{
    const mn_window *w = &node->window;
    mn_f32_window window = {
        .in_h = (int32_t)in.h,
        .in_w = (int32_t)in.w,
        .in_c = (int32_t)in.c,
        .in_stride = (int32_t)in.c,
        .out_h = (int32_t)node->shape.h,
        .out_w = (int32_t)node->shape.w,
        .out_c = (int32_t)node->shape.c,
        .out_stride = (int32_t)node->shape.c,
        .kernel_h = (int32_t)w->kernel_h,
        .kernel_w = (int32_t)w->kernel_w,
        .stride_h = (int32_t)w->stride_h,
        .stride_w = (int32_t)w->stride_w,
        .dilation_h = (int32_t)w->dilation_h,
        .dilation_w = (int32_t)w->dilation_w,
        .pad_top = (int32_t)w->pad_top,
        .pad_left = (int32_t)w->pad_left,
        .groups = (int32_t)node->groups,
    };
    bool depthwise = node->groups == in.c && node->shape.c == in.c;
    int32_t bytes =
        depthwise ? mn_f32_depthwise_scratch_bytes(&window) : mn_f32_conv_scratch_bytes(&window);
    int32_t in_place = depthwise ? mn_f32_depthwise_in_place_scratch_bytes(&window) : -1;
    *ret_scratch_bytes = bytes > 0 ? (size_t)bytes : 0;
    *ret_in_place_bytes = in_place >= 0 ? (size_t)in_place : MN__NOT_IN_PLACE;
}

/* What the file states, or the tensors in float32. */
static mn_status
add_weights(const mn_graph *graph, const mn_node *node, mn__needs *needs, mn_error *err)
{
    size_t all = node->constant_bytes;
    bool fits = true;
    for (int role = 0; role < MN_ROLE_COUNT && node->constant_bytes == 0; role++) {
        size_t bytes = 0;
        if (node->tensors[role] != MN_NONE)
            fits = fits &&
                   mn_size_mul(mn_graph_tensor_elements(graph, node->tensors[role]),
                               sizeof(float),
                               &bytes) &&
                   mn_size_add(all, bytes, &all);
    }
    if (!fits || !mn_size_add(needs->weights_bytes, all, &needs->weights_bytes))
        return mn_error_set(err, MN_ERR_LIMIT, "the weights do not fit into memory");
    return MN_OK;
}

static bool is_elementwise(mn_prim prim)
{
    return prim == MN_PRIM_RELU || prim == MN_PRIM_RELU6 || prim == MN_PRIM_ADD;
}

/* Scratch in the two ways that a kernel may run. In place pays only when its scratch is smaller
 * than the buffer that it saves. */
static bool find_scratch(const mn_graph *graph, uint32_t n, size_t value, mn__needs *needs)
{
    const mn_node *node = mn_graph_node(graph, n);
    size_t in_place = is_elementwise(node->prim) ? 0 : MN__NOT_IN_PLACE;
    size_t scratch = 0;
    if (node->prim == MN_PRIM_CONV)
        find_conv_scratch(node, mn_graph_node(graph, node->inputs[0])->shape, &scratch, &in_place);
    if (in_place != MN__NOT_IN_PLACE) /* rows of the value, which may have smaller elements */
        in_place = in_place / sizeof(float) * needs->element_bytes[n];
    if (in_place != MN__NOT_IN_PLACE && !mn_size_round_up(in_place, needs->align, &in_place))
        return false;
    needs->in_place_bytes[n] = in_place < value ? in_place : MN__NOT_IN_PLACE;
    return mn_size_round_up(scratch, needs->align, &needs->scratch_bytes[n]);
}

static uint32_t element_bytes(const mn_node *node)
{
    return node->element_bytes > 0 ? node->element_bytes : (uint32_t)sizeof(float);
}

/* Sizes that an imported file states: kernels are for float32, and a reshape changes no type. */
static mn_status
check_stated_sizes(const mn_graph *graph, const mn_node *node, bool sizes_only, mn_error *err)
{
    if (!sizes_only && node->element_bytes != 0)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "node '%s': a value of %u-byte elements has no kernel",
                            node->name,
                            node->element_bytes);
    if (!sizes_only && node->constant_bytes != 0)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "node '%s': constants that are no tensors have no kernel",
                            node->name);
    if (node->prim != MN_PRIM_RESHAPE)
        return MN_OK;
    uint32_t from = element_bytes(mn_graph_node(graph, node->inputs[0]));
    if (element_bytes(node) != from)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "node '%s': a reshape to elements of %u bytes, expected %u",
                            node->name,
                            element_bytes(node),
                            from);
    return MN_OK;
}

static mn_status add_node(const mn_graph *graph,
                          const mn_plan_opts *opts,
                          uint32_t n,
                          mn__needs *needs,
                          size_t *all_bytes,
                          mn_error *err)
{
    const mn_node *node = mn_graph_node(graph, n);
    mn_status status = check_kernel(node, opts->sizes_only, err);
    if (status == MN_OK)
        status = check_kernel_limits(node, err);
    if (status == MN_OK)
        status = check_stated_sizes(graph, node, opts->sizes_only, err);
    if (status != MN_OK)
        return status;
    size_t value = 0;
    size_t rounded = 0;
    uint32_t element = element_bytes(node);
    needs->element_bytes[n] = element;
    if (!mn_size_mul(mn_shape_elements(node->shape), element, &value) ||
        !mn_size_round_up(value, needs->align, &rounded) || !find_scratch(graph, n, value, needs) ||
        !mn_size_add(*all_bytes, needs->scratch_bytes[n], all_bytes) ||
        !mn_size_add(*all_bytes, rounded, all_bytes) ||
        !mn_size_add(*all_bytes, rounded, all_bytes)) /* in-place scratch is less than the value */
        return mn_error_set(
            err, MN_ERR_LIMIT, "node '%s': the sum of all values does not fit", node->name);
    needs->value_bytes[n] = value;
    return add_weights(graph, node, needs, err);
}

static mn_status check_opts(const mn_plan_opts *opts, mn_error *err)
{
    if (opts->precision != MN_PRECISION_FLOAT32)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "precision %s is not supported yet: expected float32",
                            mn_precision_name(opts->precision));
    if (opts->align < sizeof(float) || (opts->align & (opts->align - 1)) != 0)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "alignment %zu: expected a power of two, at least %zu",
                            opts->align,
                            sizeof(float));
    return MN_OK;
}

mn_status
mn__needs_find(const mn_graph *graph, const mn_plan_opts *opts, mn__needs *needs, mn_error *err)
{
    uint32_t nodes = mn_graph_node_count(graph);
    size_t all_bytes = 0;
    mn_status status = check_opts(opts, err);
    if (status != MN_OK)
        return status;
    needs->node_count = nodes;
    needs->align = opts->align;
    needs->element_bytes = mn_calloc(nodes, sizeof *needs->element_bytes);
    needs->value_bytes = mn_calloc(nodes, sizeof *needs->value_bytes);
    needs->scratch_bytes = mn_calloc(nodes, sizeof *needs->scratch_bytes);
    needs->in_place_bytes = mn_calloc(nodes, sizeof *needs->in_place_bytes);
    needs->is_output = mn_calloc(nodes, sizeof *needs->is_output);
    if (needs->element_bytes == NULL || needs->value_bytes == NULL ||
        needs->scratch_bytes == NULL || needs->in_place_bytes == NULL || needs->is_output == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < mn_graph_output_count(graph); i++)
        needs->is_output[mn_graph_output(graph, i)] = true;
    for (uint32_t n = 0; n < nodes && status == MN_OK; n++)
        status = add_node(graph, opts, n, needs, &all_bytes, err);
    return status;
}

void mn__needs_done(mn__needs *needs)
{
    free(needs->element_bytes);
    free(needs->value_bytes);
    free(needs->scratch_bytes);
    free(needs->in_place_bytes);
    free(needs->is_output);
    *needs = (mn__needs){0};
}

size_t mn__needs_buffer_bytes(const mn__needs *needs, uint32_t value)
{
    size_t rest = needs->value_bytes[value] % needs->align;
    return needs->value_bytes[value] + (rest == 0 ? 0 : needs->align - rest);
}

bool mn__needs_fit_in_place(const mn_graph *graph, const mn__needs *needs, uint32_t n, uint32_t x)
{
    const mn_node *node = mn_graph_node(graph, n);
    return needs->in_place_bytes[n] != MN__NOT_IN_PLACE &&
           needs->element_bytes[n] == needs->element_bytes[x] &&
           mn_shape_equal(node->shape, mn_graph_node(graph, x)->shape);
}

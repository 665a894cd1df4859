/*
 * Sizes of a graph's values, scratch and weights in one precision, as the kernels of kernels/ want
 * them. Invariant: a graph that passes here can be run by the exported kernels, and none of its
 * sums of sizes overflows.
 */
#include "plan/kernel_needs.h"

#include <stdlib.h>

#include "base/size.h"
#include "memnet/quant.h"
#include "plan/kernel_scratch.h"

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

/* In float32 the tensors; in int8 a byte a weight and, for each of the outputs, a bias, a
 * multiplier and a shift (mn_s8_filter), whether the float layer has a bias or not. */
static bool find_tensor_bytes(const mn_graph *graph,
                              const mn_node *node,
                              mn_precision precision,
                              size_t *ret_bytes)
{
    size_t all = 0;
    bool fits = true;
    for (int role = 0; role < MN_ROLE_COUNT; role++) {
        size_t bytes = 0;
        if (node->tensors[role] == MN_NONE || (precision == MN_PRECISION_INT8 && role > 0))
            continue;
        fits = fits &&
               mn_size_mul(mn_graph_tensor_elements(graph, node->tensors[role]),
                           precision == MN_PRECISION_INT8 ? sizeof(int8_t) : sizeof(float),
                           &bytes) &&
               mn_size_add(all, bytes, &all);
    }
    if (precision == MN_PRECISION_INT8 && node->tensors[MN_ROLE_WEIGHT] != MN_NONE)
        fits = fits && mn_size_add(all,
                                   (size_t)node->shape.c *
                                       (2 * sizeof(int32_t) + sizeof(int8_t)), /* c < 2^31 */
                                   &all);
    *ret_bytes = all;
    return fits;
}

/* What the file states, or what the tensors take. */
static mn_status add_weights(const mn_graph *graph,
                             const mn_node *node,
                             mn_precision precision,
                             mn__needs *needs,
                             mn_error *err)
{
    size_t all = node->constant_bytes;
    bool fits = all > 0 || find_tensor_bytes(graph, node, precision, &all);
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
static bool find_scratch(
    const mn_graph *graph, uint32_t n, mn_precision precision, size_t value, mn__needs *needs)
{
    const mn_node *node = mn_graph_node(graph, n);
    size_t in_place = is_elementwise(node->prim) ? 0 : MN__NOT_IN_PLACE;
    size_t scratch = 0;
    if (node->prim == MN_PRIM_CONV)
        mn__conv_scratch(
            node, mn_graph_node(graph, node->inputs[0])->shape, precision, &scratch, &in_place);
    if (in_place != MN__NOT_IN_PLACE &&
        precision == MN_PRECISION_FLOAT32) /* rows of the value, which may have smaller elements */
        in_place = in_place / sizeof(float) * needs->element_bytes[n];
    if (in_place != MN__NOT_IN_PLACE && !mn_size_round_up(in_place, needs->align, &in_place))
        return false;
    needs->in_place_bytes[n] = in_place < value ? in_place : MN__NOT_IN_PLACE;
    return mn_size_round_up(scratch, needs->align, &needs->scratch_bytes[n]);
}

static uint32_t element_bytes(const mn_node *node, mn_precision precision)
{
    if (node->element_bytes > 0)
        return node->element_bytes;
    return precision == MN_PRECISION_INT8 ? sizeof(int8_t) : sizeof(float);
}

/* Sizes that an imported file states: no kernel is made for them, and a reshape changes no type. */
static mn_status check_stated_sizes(const mn_graph *graph,
                                    const mn_node *node,
                                    const mn_plan_opts *opts,
                                    mn_error *err)
{
    bool sizes_only = opts->sizes_only;
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
    uint32_t from = element_bytes(mn_graph_node(graph, node->inputs[0]), opts->precision);
    if (element_bytes(node, opts->precision) != from)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "node '%s': a reshape to elements of %u bytes, expected %u",
                            node->name,
                            element_bytes(node, opts->precision),
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
    if (status == MN_OK && opts->precision == MN_PRECISION_INT8)
        status = mn_quant_check_sums(graph, n, err);
    if (status == MN_OK)
        status = check_stated_sizes(graph, node, opts, err);
    if (status != MN_OK)
        return status;
    size_t value = 0;
    size_t rounded = 0;
    uint32_t element = element_bytes(node, opts->precision);
    needs->element_bytes[n] = element;
    if (!mn_size_mul(mn_shape_elements(node->shape), element, &value) ||
        !mn_size_round_up(value, needs->align, &rounded) ||
        !find_scratch(graph, n, opts->precision, value, needs) ||
        !mn_size_add(*all_bytes, needs->scratch_bytes[n], all_bytes) ||
        !mn_size_add(*all_bytes, rounded, all_bytes) ||
        !mn_size_add(*all_bytes, rounded, all_bytes)) /* in-place scratch is less than the value */
        return mn_error_set(
            err, MN_ERR_LIMIT, "node '%s': the sum of all values does not fit", node->name);
    needs->value_bytes[n] = value;
    return add_weights(graph, node, opts->precision, needs, err);
}

static mn_status check_opts(const mn_plan_opts *opts, mn_error *err)
{
    if (opts->precision != MN_PRECISION_FLOAT32 && opts->precision != MN_PRECISION_INT8)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "precision %d: expected float32 or int8",
                            (int)opts->precision);
    if (opts->precision == MN_PRECISION_INT8 && opts->sizes_only)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "int8: the elements of an imported network count as its file states "
                            "them");
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

/*
 * Shape rules and parameter tensors of the primitives, one row each.
 * Invariant: a shape that leaves here has no zero side and fits 32-bit sides.
 */
#include "graph/primitive.h"

#include <math.h>

static mn_status
shape_given(const mn_node_spec *spec, const mn_shape *inputs, mn_shape *ret_shape, mn_error *err)
{
    (void)inputs;
    (void)err;
    *ret_shape = spec->shape;
    return MN_OK;
}

static mn_status
shape_same(const mn_node_spec *spec, const mn_shape *inputs, mn_shape *ret_shape, mn_error *err)
{
    (void)spec;
    (void)err;
    *ret_shape = inputs[0];
    return MN_OK;
}

static mn_status
shape_reshape(const mn_node_spec *spec, const mn_shape *inputs, mn_shape *ret_shape, mn_error *err)
{
    mn_shape from = inputs[0];
    mn_shape to = spec->shape;
    if (mn_shape_elements(from) != mn_shape_elements(to))
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "cannot reshape (%u,%u,%u) to (%u,%u,%u): element counts differ",
                            from.h,
                            from.w,
                            from.c,
                            to.h,
                            to.w,
                            to.c);
    *ret_shape = to;
    return MN_OK;
}

static mn_status shape_fake_quant(const mn_node_spec *spec,
                                  const mn_shape *inputs,
                                  mn_shape *ret_shape,
                                  mn_error *err)
{
    const mn_quant_grid *grid = &spec->grid;
    if (!isfinite(grid->scale) || grid->scale <= 0.0f || grid->low >= grid->high)
        return mn_error_set(
            err,
            MN_ERR_ARG,
            "grid: scale %g and range [%d,%d]: expected a positive scale, low < high",
            (double)grid->scale,
            grid->low,
            grid->high);
    if (grid->zero_point < grid->low || grid->zero_point > grid->high)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "grid: zero point %d out of range [%d,%d]",
                            grid->zero_point,
                            grid->low,
                            grid->high);
    *ret_shape = inputs[0];
    return MN_OK;
}

static mn_status
shape_add(const mn_node_spec *spec, const mn_shape *inputs, mn_shape *ret_shape, mn_error *err)
{
    (void)spec;
    if (!mn_shape_equal(inputs[0], inputs[1]))
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "cannot add (%u,%u,%u) and (%u,%u,%u)",
                            inputs[0].h,
                            inputs[0].w,
                            inputs[0].c,
                            inputs[1].h,
                            inputs[1].w,
                            inputs[1].c);
    *ret_shape = inputs[0];
    return MN_OK;
}

static mn_status
shape_concat(const mn_node_spec *spec, const mn_shape *inputs, mn_shape *ret_shape, mn_error *err)
{
    mn_shape sum = inputs[0];
    for (uint32_t i = 1; i < spec->input_count; i++) {
        if (inputs[i].h != sum.h || inputs[i].w != sum.w)
            return mn_error_set(err,
                                MN_ERR_ARG,
                                "cannot concatenate %ux%u and %ux%u",
                                sum.h,
                                sum.w,
                                inputs[i].h,
                                inputs[i].w);
        if (inputs[i].c > UINT32_MAX - sum.c)
            return mn_error_set(err, MN_ERR_LIMIT, "too many channels to concatenate");
        sum.c += inputs[i].c;
    }
    *ret_shape = sum;
    return MN_OK;
}

static mn_status shape_global_pool(const mn_node_spec *spec,
                                   const mn_shape *inputs,
                                   mn_shape *ret_shape,
                                   mn_error *err)
{
    (void)spec;
    (void)err;
    *ret_shape = (mn_shape){1, 1, inputs[0].c};
    return MN_OK;
}

static mn_status shape_fully_connected(const mn_node_spec *spec,
                                       const mn_shape *inputs,
                                       mn_shape *ret_shape,
                                       mn_error *err)
{
    (void)inputs;
    (void)err;
    *ret_shape = (mn_shape){1, 1, spec->channels};
    return MN_OK;
}

/* Output side of one axis of a window; 0 when the window does not fit; UINT32_MAX, which no graph
 * may have, when the side is larger than that. */
static uint32_t window_side(uint32_t in,
                            uint32_t kernel,
                            uint32_t stride,
                            uint32_t dilation,
                            uint32_t pad_before,
                            uint32_t pad_after)
{
    uint64_t padded = (uint64_t)in + pad_before + pad_after;
    uint64_t reach = (uint64_t)dilation * (kernel - 1) + 1;
    if (reach > padded)
        return 0;
    uint64_t side = (padded - reach) / stride + 1;
    return side < UINT32_MAX ? (uint32_t)side : UINT32_MAX;
}

static mn_status shape_window(
    const mn_node_spec *spec, mn_shape input, uint32_t channels, mn_shape *ret_shape, mn_error *err)
{
    const mn_window *w = &spec->window;
    if (w->kernel_h == 0 || w->kernel_w == 0 || w->stride_h == 0 || w->stride_w == 0 ||
        w->dilation_h == 0 || w->dilation_w == 0)
        return mn_error_set(err, MN_ERR_ARG, "kernel, stride and dilation: expected at least 1");
    mn_shape shape = {
        .h = window_side(
            input.h, w->kernel_h, w->stride_h, w->dilation_h, w->pad_top, w->pad_bottom),
        .w = window_side(
            input.w, w->kernel_w, w->stride_w, w->dilation_w, w->pad_left, w->pad_right),
        .c = channels,
    };
    if (shape.h == 0 || shape.w == 0)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "window %ux%u (dilation %ux%u) does not fit into %ux%u",
                            w->kernel_h,
                            w->kernel_w,
                            w->dilation_h,
                            w->dilation_w,
                            input.h,
                            input.w);
    *ret_shape = shape;
    return MN_OK;
}

static mn_status
shape_pool(const mn_node_spec *spec, const mn_shape *inputs, mn_shape *ret_shape, mn_error *err)
{
    const mn_window *w = &spec->window;
    if (w->dilation_h > 1 || w->dilation_w > 1)
        return mn_error_set(err, MN_ERR_ARG, "pools have no dilation");
    if (w->pad_top >= w->kernel_h || w->pad_bottom >= w->kernel_h || w->pad_left >= w->kernel_w ||
        w->pad_right >= w->kernel_w)
        return mn_error_set(err, MN_ERR_ARG, "padding of a pool: expected less than its kernel");
    return shape_window(spec, inputs[0], inputs[0].c, ret_shape, err);
}

static mn_status
shape_conv(const mn_node_spec *spec, const mn_shape *inputs, mn_shape *ret_shape, mn_error *err)
{
    uint32_t groups = spec->groups == 0 ? 1 : spec->groups;
    if (spec->channels == 0 || spec->channels % groups != 0 || inputs[0].c % groups != 0)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "%u groups do not divide %u input and %u output channels",
                            groups,
                            inputs[0].c,
                            spec->channels);
    return shape_window(spec, inputs[0], spec->channels, ret_shape, err);
}

static void tensor_conv(const mn_node_spec *spec,
                        mn_shape input,
                        mn_tensor_role role,
                        uint32_t *ret_rank,
                        uint32_t ret_dims[4])
{
    uint32_t groups = spec->groups == 0 ? 1 : spec->groups;
    ret_dims[0] = spec->channels;
    if (role == MN_ROLE_WEIGHT) {
        *ret_rank = 4;
        ret_dims[1] = input.c / groups;
        ret_dims[2] = spec->window.kernel_h;
        ret_dims[3] = spec->window.kernel_w;
    } else if (role == MN_ROLE_BIAS && spec->bias) {
        *ret_rank = 1;
    }
}

static void tensor_fully_connected(const mn_node_spec *spec,
                                   mn_shape input,
                                   mn_tensor_role role,
                                   uint32_t *ret_rank,
                                   uint32_t ret_dims[4])
{
    ret_dims[0] = spec->channels;
    if (role == MN_ROLE_WEIGHT) {
        *ret_rank = 4;
        ret_dims[1] = input.c;
        ret_dims[2] = input.h;
        ret_dims[3] = input.w;
    } else if (role == MN_ROLE_BIAS && spec->bias) {
        *ret_rank = 1;
    }
}

static void tensor_batch_norm(const mn_node_spec *spec,
                              mn_shape input,
                              mn_tensor_role role,
                              uint32_t *ret_rank,
                              uint32_t ret_dims[4])
{
    (void)spec;
    if (role != MN_ROLE_WEIGHT && role != MN_ROLE_BIAS) {
        *ret_rank = 1;
        ret_dims[0] = input.c;
    }
}

static const mn__primitive table[MN_PRIM_COUNT] = {
    [MN_PRIM_INPUT] = {"input", 0, 0, shape_given, NULL},
    [MN_PRIM_CONV] = {"conv", 1, 1, shape_conv, tensor_conv},
    [MN_PRIM_BATCH_NORM] = {"batch_norm", 1, 1, shape_same, tensor_batch_norm},
    [MN_PRIM_RELU] = {"relu", 1, 1, shape_same, NULL},
    [MN_PRIM_RELU6] = {"relu6", 1, 1, shape_same, NULL},
    [MN_PRIM_ADD] = {"add", 2, 2, shape_add, NULL},
    [MN_PRIM_CONCAT] = {"concat", 1, 1024, shape_concat, NULL},
    [MN_PRIM_MAX_POOL] = {"max_pool", 1, 1, shape_pool, NULL},
    [MN_PRIM_AVG_POOL] = {"avg_pool", 1, 1, shape_pool, NULL},
    [MN_PRIM_GLOBAL_POOL] = {"global_pool", 1, 1, shape_global_pool, NULL},
    [MN_PRIM_FULLY_CONNECTED] =
        {"fully_connected", 1, 1, shape_fully_connected, tensor_fully_connected},
    [MN_PRIM_RESHAPE] = {"reshape", 1, 1, shape_reshape, NULL},
    [MN_PRIM_IDENTITY] = {"identity", 1, 1, shape_same, NULL},
    [MN_PRIM_FAKE_QUANT] = {"fake_quant", 1, 1, shape_fake_quant, NULL},
    [MN_PRIM_OPAQUE] = {"opaque", 0, 1024, shape_given, NULL},
};

const mn__primitive *mn__primitive_row(mn_prim prim)
{
    return (unsigned)prim < MN_PRIM_COUNT ? &table[prim] : NULL;
}

const char *mn_prim_name(mn_prim prim)
{
    const mn__primitive *row = mn__primitive_row(prim);
    return row == NULL ? "unknown" : row->name;
}

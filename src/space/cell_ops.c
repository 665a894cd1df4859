/*
 * The table of cell ops (the paper's seven, identity, pointwise convolution and inverted
 * bottlenecks) and their lowering to primitives with batch norms unfolded. Invariant: every op
 * yields `width` channels and ceil(size / stride) rows and columns, so the two sides of a cell
 * always fit. A convolution before a batch norm has no bias, since the norm's shift would cancel
 * it.
 */
#include "space/cell_ops.h"

#include <stdio.h>
#include <string.h>

/* Room for the longest name, "block15.cell14.op1.conv1x7_relu", and the part in it. */
#define NAME_BYTES 80
#define PART_BYTES 24

uint32_t mn__site_add(const mn__site *site, const char *part, mn_node_spec spec)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.%s", site->name, part);
    spec.name = name;
    spec.layer = site->layer;
    return mn_graph_add(site->builder, &spec);
}

static uint32_t add_relu(const mn__site *site, uint32_t input, const char *part)
{
    return mn__site_add(
        site, part, (mn_node_spec){.prim = MN_PRIM_RELU, .inputs = &input, .input_count = 1});
}

/* Adds "<part>" as `conv` says and "<part>_bn". */
static uint32_t
add_conv_bn(const mn__site *site, const char *part, uint32_t input, mn_node_spec conv)
{
    char norm_part[PART_BYTES];
    snprintf(norm_part, sizeof norm_part, "%s_bn", part);
    conv.prim = MN_PRIM_CONV;
    conv.inputs = &input;
    conv.input_count = 1;
    uint32_t node = mn__site_add(site, part, conv);
    return mn__site_add(
        site,
        norm_part,
        (mn_node_spec){.prim = MN_PRIM_BATCH_NORM, .inputs = &node, .input_count = 1});
}

/* A dense convolution with "same" padding. */
static mn_node_spec dense(const mn__site *site,
                          const mn__op_use *use,
                          uint32_t kernel_h,
                          uint32_t kernel_w,
                          uint32_t dilation)
{
    mn_shape shape = mn_graph_builder_shape(site->builder, use->input);
    return (mn_node_spec){
        .channels = use->width,
        .window = mn_window_same(shape, kernel_h, kernel_w, use->stride, dilation),
    };
}

/* 1x1 convolution and batch norm: how channels become the block's width. */
static uint32_t add_projection(const mn__site *site, const mn__op_use *use)
{
    return add_conv_bn(site, "proj", use->input, dense(site, use, 1, 1, 1));
}

static uint32_t lower_pool(const mn__site *site, const mn__op_use *use, mn_prim pool)
{
    mn__op_use unstrided = {.input = use->input, .width = use->width, .stride = 1};
    uint32_t node = add_projection(site, &unstrided);
    mn_shape shape = mn_graph_builder_shape(site->builder, node);
    return mn__site_add(site,
                        "pool",
                        (mn_node_spec){
                            .prim = pool,
                            .inputs = &node,
                            .input_count = 1,
                            .window = mn_window_same(shape, 3, 3, use->stride, 1),
                        });
}

static uint32_t lower_avg_pool(const mn__site *site, const mn__op_use *use)
{
    return lower_pool(site, use, MN_PRIM_AVG_POOL);
}

static uint32_t lower_max_pool(const mn__site *site, const mn__op_use *use)
{
    return lower_pool(site, use, MN_PRIM_MAX_POOL);
}

static uint32_t lower_dilated_conv(const mn__site *site, const mn__op_use *use)
{
    uint32_t node = add_conv_bn(site, "conv", use->input, dense(site, use, 3, 3, 2));
    return add_relu(site, node, "relu");
}

uint32_t mn__lower_conv_3x3(const mn__site *site, const mn__op_use *use)
{
    uint32_t node = add_conv_bn(site, "conv", use->input, dense(site, use, 3, 3, 1));
    return add_relu(site, node, "relu");
}

static uint32_t lower_factorised_conv(const mn__site *site, const mn__op_use *use)
{
    mn__op_use step = *use;
    step.input = add_conv_bn(site, "conv1x1", step.input, dense(site, &step, 1, 1, 1));
    step.input = add_relu(site, step.input, "conv1x1_relu");
    step.stride = 1;
    step.input = add_conv_bn(site, "conv1x7", step.input, dense(site, &step, 1, 7, 1));
    step.input = add_relu(site, step.input, "conv1x7_relu");
    step.input = add_conv_bn(site, "conv7x1", step.input, dense(site, &step, 7, 1, 1));
    return add_relu(site, step.input, "relu");
}

static uint32_t lower_separable(const mn__site *site, const mn__op_use *use, uint32_t kernel)
{
    mn_node_spec depthwise = dense(site, use, kernel, kernel, 1);
    depthwise.channels = mn_graph_builder_shape(site->builder, use->input).c;
    depthwise.groups = depthwise.channels;
    mn__op_use step = {.width = use->width, .stride = 1};
    step.input = add_conv_bn(site, "dw", use->input, depthwise);
    step.input = add_conv_bn(site, "pw", step.input, dense(site, &step, 1, 1, 1));
    return add_relu(site, step.input, "relu");
}

static uint32_t lower_separable_5x5(const mn__site *site, const mn__op_use *use)
{
    return lower_separable(site, use, 5);
}

static uint32_t lower_separable_3x3(const mn__site *site, const mn__op_use *use)
{
    return lower_separable(site, use, 3);
}

/* A plain link where the shape stays, else a projection. */
static uint32_t lower_identity(const mn__site *site, const mn__op_use *use)
{
    if (use->stride != 1 || mn_graph_builder_shape(site->builder, use->input).c != use->width)
        return add_projection(site, use);
    return mn__site_add(
        site,
        "identity",
        (mn_node_spec){.prim = MN_PRIM_IDENTITY, .inputs = &use->input, .input_count = 1});
}

static uint32_t lower_conv_1x1(const mn__site *site, const mn__op_use *use)
{
    uint32_t node = add_conv_bn(site, "conv", use->input, dense(site, use, 1, 1, 1));
    return add_relu(site, node, "relu");
}

/* Inverted bottleneck (Sandler et al., MobileNetV2, arXiv:1801.04381): the shortcut is the cell's
 * add with an identity. The paper expands its input, always narrow; here a block may read a wide
 * concat, so that the narrower of what comes in and goes out is expanded. */
static uint32_t
lower_mbconv(const mn__site *site, const mn__op_use *use, uint32_t kernel, uint32_t expansion)
{
    uint32_t channels = mn_graph_builder_shape(site->builder, use->input).c;
    uint32_t hidden = expansion * (channels < use->width ? channels : use->width);
    mn__op_use step = {.input = use->input, .width = hidden, .stride = 1};
    step.input = add_conv_bn(site, "expand", step.input, dense(site, &step, 1, 1, 1));
    step.input = add_relu(site, step.input, "expand_relu");
    step.stride = use->stride;
    mn_node_spec depthwise = dense(site, &step, kernel, kernel, 1);
    depthwise.groups = hidden;
    step.input = add_conv_bn(site, "dw", step.input, depthwise);
    step.input = add_relu(site, step.input, "dw_relu");
    step.width = use->width;
    step.stride = 1;
    return add_conv_bn(site, "project", step.input, dense(site, &step, 1, 1, 1));
}

static uint32_t lower_mbconv_3x3_e3(const mn__site *site, const mn__op_use *use)
{
    return lower_mbconv(site, use, 3, 3);
}

static uint32_t lower_mbconv_3x3_e6(const mn__site *site, const mn__op_use *use)
{
    return lower_mbconv(site, use, 3, 6);
}

static uint32_t lower_mbconv_5x5_e3(const mn__site *site, const mn__op_use *use)
{
    return lower_mbconv(site, use, 5, 3);
}

static uint32_t lower_mbconv_5x5_e6(const mn__site *site, const mn__op_use *use)
{
    return lower_mbconv(site, use, 5, 6);
}

typedef uint32_t lower_function(const mn__site *site, const mn__op_use *use);

/* One row per op, at the op's index. */
static lower_function *const lower_functions[MN_OP_COUNT] = {
    [MN_OP_AVG_POOL] = lower_avg_pool,
    [MN_OP_MAX_POOL] = lower_max_pool,
    [MN_OP_DILATED_CONV] = lower_dilated_conv,
    [MN_OP_FACTORISED_CONV] = lower_factorised_conv,
    [MN_OP_SEPARABLE_5X5] = lower_separable_5x5,
    [MN_OP_SEPARABLE_3X3] = lower_separable_3x3,
    [MN_OP_CONV_3X3] = mn__lower_conv_3x3,
    [MN_OP_IDENTITY] = lower_identity,
    [MN_OP_CONV_1X1] = lower_conv_1x1,
    [MN_OP_MBCONV_3X3_E3] = lower_mbconv_3x3_e3,
    [MN_OP_MBCONV_3X3_E6] = lower_mbconv_3x3_e6,
    [MN_OP_MBCONV_5X5_E3] = lower_mbconv_5x5_e3,
    [MN_OP_MBCONV_5X5_E6] = lower_mbconv_5x5_e6,
};

/* Its name, from the list in memnet/genotype.h: one place, so the two cannot drift apart. */
static const char *const op_names[MN_OP_COUNT] = {
#define OP_NAME(op, text) [op] = (text),
    MN_CELL_OP_LIST(OP_NAME)
#undef OP_NAME
};

const char *mn_cell_op_name(mn_cell_op op)
{
    return (unsigned)op < MN_OP_COUNT ? op_names[op] : "unknown";
}

mn_cell_op mn__cell_op_find(const char *name)
{
    unsigned op = 0;
    while (op < MN_OP_COUNT && strcmp(op_names[op], name) != 0)
        op++;
    return (mn_cell_op)op;
}

uint32_t mn__cell_op_lower(mn_cell_op op, const mn__site *site, const mn__op_use *use)
{
    return lower_functions[op](site, use);
}

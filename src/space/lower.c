/*
 * Lowering: a genotype becomes a graph of primitives. The only bridge between the two; behind it
 * nobody asks which cell a node belongs to, but through its layer number (inheritance) and its
 * name (people).
 */
#include <stdio.h>

#include "space/cell_ops.h"

/* Room for the longest name: "block15.cell14.op1". */
#define SITE_BYTES 48

static uint32_t
add_join(const mn__site *site, const char *part, mn_prim prim, const uint32_t *inputs, uint32_t n)
{
    return mn__site_add(
        site, part, (mn_node_spec){.prim = prim, .inputs = inputs, .input_count = n});
}

/* `values` are what cells of this block may read: the block's input, then each earlier cell. */
static uint32_t lower_cell(mn_graph_builder *builder,
                           const mn_genotype *genotype,
                           uint32_t b,
                           uint32_t k,
                           const uint32_t *values)
{
    const mn_block *block = &genotype->blocks[b];
    const mn_cell *cell = &block->cells[k];
    char name[SITE_BYTES];
    uint32_t sides[2];
    for (uint32_t slot = 0; slot < 2; slot++) {
        snprintf(name, sizeof name, "block%u.cell%u.op%u", b, k, slot);
        mn__site site = {
            .builder = builder,
            .name = name,
            .layer = mn_genotype_layer_cell(genotype, b, k, slot),
        };
        mn__op_use use = {
            .input = values[cell->in[slot]],
            .width = block->width,
            .stride = cell->in[slot] == 0 ? block->stride : 1,
        };
        sides[slot] = mn__cell_op_lower(cell->op[slot], &site, &use);
    }
    snprintf(name, sizeof name, "block%u.cell%u", b, k);
    mn__site site = {
        .builder = builder,
        .name = name,
        .layer = mn_genotype_layer_cell(genotype, b, k, 2),
    };
    return cell->combine == MN_COMBINE_ADD ? add_join(&site, "add", MN_PRIM_ADD, sides, 2)
                                           : add_join(&site, "concat", MN_PRIM_CONCAT, sides, 2);
}

/* Returns the block's output: its one marked cell, or the concat of several. */
static uint32_t
lower_block(mn_graph_builder *builder, const mn_genotype *genotype, uint32_t b, uint32_t input)
{
    const mn_block *block = &genotype->blocks[b];
    uint32_t values[MN_MAX_CELLS + 1] = {input};
    uint32_t outs[MN_MAX_CELLS];
    uint32_t out_count = 0;
    for (uint32_t k = 0; k < block->cell_count; k++) {
        values[k + 1] = lower_cell(builder, genotype, b, k, values);
        if (block->cells[k].out)
            outs[out_count++] = values[k + 1];
    }
    if (out_count == 1)
        return outs[0];
    char name[SITE_BYTES];
    snprintf(name, sizeof name, "block%u", b);
    mn__site site = {
        .builder = builder,
        .name = name,
        .layer = mn_genotype_layer_block_output(genotype, b),
    };
    return add_join(&site, "concat", MN_PRIM_CONCAT, outs, out_count);
}

static uint32_t lower_input(mn_graph_builder *builder, const mn_genotype *genotype)
{
    uint32_t node = mn_graph_add(builder,
                                 &(mn_node_spec){
                                     .prim = MN_PRIM_INPUT,
                                     .name = "input",
                                     .shape = genotype->input,
                                     .layer = MN_NONE,
                                 });
    if (genotype->stem.width == 0)
        return node;
    mn__site site = {.builder = builder, .name = "stem", .layer = mn_genotype_layer_stem()};
    mn__op_use use = {
        .input = node,
        .width = genotype->stem.width,
        .stride = genotype->stem.stride,
    };
    return mn__lower_conv_3x3(&site, &use);
}

/* 2x2 windows without padding: a last odd row or column is dropped, a single one is kept. */
static mn_window max_pool_2(mn_shape shape)
{
    return (mn_window){
        .kernel_h = shape.h < 2 ? 1 : 2,
        .kernel_w = shape.w < 2 ? 1 : 2,
        .stride_h = 2,
        .stride_w = 2,
        .dilation_h = 1,
        .dilation_w = 1,
    };
}

/* Pools the last block's output and returns the logits. */
static uint32_t lower_head(mn_graph_builder *builder, const mn_genotype *genotype, uint32_t input)
{
    mn__site site = {
        .builder = builder,
        .name = "head",
        .layer = mn_genotype_layer_head(genotype),
    };
    mn_node_spec pool = {.prim = MN_PRIM_GLOBAL_POOL, .inputs = &input, .input_count = 1};
    if (genotype->head == MN_HEAD_MAXPOOL2) {
        pool.prim = MN_PRIM_MAX_POOL;
        pool.window = max_pool_2(mn_graph_builder_shape(builder, input));
    }
    uint32_t node = mn__site_add(&site, "pool", pool);
    return mn__site_add(&site,
                        "fc",
                        (mn_node_spec){
                            .prim = MN_PRIM_FULLY_CONNECTED,
                            .inputs = &node,
                            .input_count = 1,
                            .channels = genotype->classes,
                            .bias = true,
                        });
}

mn_status mn_genotype_lower(const mn_genotype *genotype, mn_graph **ret_graph, mn_error *err)
{
    mn_graph_builder *builder = NULL;
    mn_status status = mn_genotype_check(genotype, err);
    if (status == MN_OK)
        status = mn_graph_builder_create(&builder, err);
    if (status != MN_OK)
        return status;
    uint32_t node = lower_input(builder, genotype);
    for (uint32_t b = 0; b < genotype->block_count; b++)
        node = lower_block(builder, genotype, b, node);
    uint32_t logits = lower_head(builder, genotype, node);
    status = mn_graph_builder_finish(builder, &logits, 1, ret_graph, err);
    mn_graph_builder_free(builder);
    return status;
}

/*
 * Builds the benchmark networks. See nets.h.
 */
#include "nets.h"

#include <stdio.h>
#include <string.h>

typedef enum op { DW3, DW5, C3, DIL, F7, AVG, MAX } op;

typedef struct cell {
    uint32_t in[2];
    op ops[2];
} cell;

enum { cells_per_block = 3, blocks_per_net = 5 };

typedef struct writer {
    mn_graph_builder *builder;
    char name[64];
    uint32_t counter;
} writer;

static uint32_t add(writer *w, mn_node_spec spec, uint32_t input)
{
    snprintf(w->name, sizeof w->name, "%s%u", mn_prim_name(spec.prim), w->counter++);
    spec.name = w->name;
    spec.layer = MN_NONE;
    if (spec.input_count == 0) {
        spec.inputs = &input;
        spec.input_count = 1;
    }
    return mn_graph_add(w->builder, &spec);
}

static uint32_t norm(writer *w, uint32_t x)
{
    return add(w, (mn_node_spec){.prim = MN_PRIM_BATCH_NORM}, x);
}

static uint32_t norm_relu(writer *w, uint32_t x)
{
    return add(w, (mn_node_spec){.prim = MN_PRIM_RELU}, norm(w, x));
}

static uint32_t conv(writer *w, uint32_t x, uint32_t channels, mn_window window, uint32_t groups)
{
    return add(w,
               (mn_node_spec){
                   .prim = MN_PRIM_CONV, .channels = channels, .window = window, .groups = groups},
               x);
}

static mn_window square(writer *w, uint32_t x, uint32_t kernel, uint32_t stride, uint32_t dilation)
{
    return mn_window_same(mn_graph_builder_shape(w->builder, x), kernel, kernel, stride, dilation);
}

static uint32_t separable(writer *w, uint32_t x, uint32_t width, uint32_t kernel, uint32_t stride)
{
    uint32_t channels = mn_graph_builder_shape(w->builder, x).c;
    x = norm(w, conv(w, x, channels, square(w, x, kernel, stride, 1), channels));
    return norm_relu(w, conv(w, x, width, square(w, x, 1, 1, 1), 1));
}

static uint32_t factorised(writer *w, uint32_t x, uint32_t width, uint32_t stride)
{
    mn_window row = {1, 7, 1, stride, 1, 1, 0, 3, 0, 3};
    mn_window column = {7, 1, stride, 1, 1, 1, 3, 0, 3, 0};
    x = conv(w, x, width, row, 1);
    return norm_relu(w, conv(w, x, width, column, 1));
}

static uint32_t pooled(writer *w, uint32_t x, uint32_t width, uint32_t stride, mn_prim prim)
{
    x = norm(w, conv(w, x, width, square(w, x, 1, 1, 1), 1));
    return add(w, (mn_node_spec){.prim = prim, .window = square(w, x, 3, stride, 1)}, x);
}

static uint32_t apply(writer *w, op kind, uint32_t x, uint32_t width, uint32_t stride)
{
    switch (kind) {
    case DW3:
        return separable(w, x, width, 3, stride);
    case DW5:
        return separable(w, x, width, 5, stride);
    case C3:
        return norm_relu(w, conv(w, x, width, square(w, x, 3, stride, 1), 1));
    case DIL:
        return norm_relu(w, conv(w, x, width, square(w, x, 3, stride, 2), 1));
    case F7:
        return factorised(w, x, width, stride);
    case AVG:
        return pooled(w, x, width, stride, MN_PRIM_AVG_POOL);
    case MAX:
        return pooled(w, x, width, stride, MN_PRIM_MAX_POOL);
    }
    return MN_NONE;
}

/* Cells add their two ops; cells that no other reads are the block's output. */
static uint32_t block(writer *w, const cell *cells, uint32_t x, uint32_t width, uint32_t stride)
{
    uint32_t values[cells_per_block + 1] = {x};
    bool read[cells_per_block + 1] = {false};
    for (uint32_t k = 0; k < cells_per_block; k++) {
        uint32_t ends[2];
        for (uint32_t i = 0; i < 2; i++) {
            uint32_t from = cells[k].in[i];
            read[from] = true;
            ends[i] = apply(w, cells[k].ops[i], values[from], width, from == 0 ? stride : 1);
        }
        values[k + 1] =
            add(w, (mn_node_spec){.prim = MN_PRIM_ADD, .inputs = ends, .input_count = 2}, 0);
    }
    uint32_t outs[cells_per_block];
    uint32_t count = 0;
    for (uint32_t k = 1; k <= cells_per_block; k++)
        if (!read[k])
            outs[count++] = values[k];
    if (count == 1)
        return outs[0];
    return add(w, (mn_node_spec){.prim = MN_PRIM_CONCAT, .inputs = outs, .input_count = count}, 0);
}

static uint32_t half(writer *w, uint32_t x)
{
    mn_window window = {2, 2, 2, 2, 1, 1, 0, 0, 0, 0};
    return add(w, (mn_node_spec){.prim = MN_PRIM_MAX_POOL, .window = window}, x);
}

static uint32_t chain(writer *w, uint32_t x, uint32_t width)
{
    for (uint32_t i = 0; i < 3; i++)
        x = apply(w, C3, x, width, 1);
    x = half(w, x);
    for (uint32_t i = 0; i < 2; i++)
        x = apply(w, C3, x, 2 * width, 1);
    return half(w, x);
}

static uint32_t
five_blocks(writer *w, uint32_t x, uint32_t width, const cell *even, const cell *odd)
{
    static const uint32_t strides[blocks_per_net] = {1, 2, 1, 2, 1};
    for (uint32_t i = 0; i < blocks_per_net; i++)
        x = block(w, i % 2 == 0 ? even : odd, x, width, strides[i]);
    return half(w, x);
}

static uint32_t body(writer *w, const char *name, uint32_t x, uint32_t width)
{
    static const cell a[] = {{{0, 0}, {DW3, C3}}, {{0, 1}, {DW5, F7}}, {{1, 0}, {AVG, MAX}}};
    static const cell a2[] = {{{0, 0}, {DIL, DW3}}, {{0, 1}, {MAX, DW5}}, {{1, 0}, {C3, F7}}};
    static const cell b[] = {{{0, 0}, {DW3, C3}}, {{0, 1}, {AVG, DW3}}, {{1, 0}, {DW3, AVG}}};
    static const cell d[] = {{{0, 0}, {DW3, AVG}}, {{0, 1}, {DW3, DW3}}, {{1, 0}, {MAX, DW3}}};
    static const cell s[] = {{{0, 0}, {DW5, DW3}}, {{0, 1}, {AVG, DW5}}, {{1, 0}, {DW3, AVG}}};
    if (strcmp(name, "A") == 0)
        return five_blocks(w, x, width, a, a2);
    if (strcmp(name, "B") == 0)
        return five_blocks(w, x, width, b, b);
    if (strcmp(name, "D") == 0)
        return five_blocks(w, x, width, d, d);
    if (strcmp(name, "S") == 0)
        return five_blocks(w, x, width, s, s);
    return chain(w, x, width);
}

mn_status mn_bench_net(const char *name, uint32_t width, mn_graph **ret_graph, mn_error *err)
{
    writer w = {0};
    if (strlen(name) != 1 || strchr("ABSDP", name[0]) == NULL)
        return mn_error_set(err, MN_ERR_ARG, "network '%s': expected A, B, S, D or P", name);
    mn_status status = mn_graph_builder_create(&w.builder, err);
    if (status != MN_OK)
        return status;
    mn_node_spec input = {.prim = MN_PRIM_INPUT, .name = "input", .shape = {32, 32, 3}};
    input.layer = MN_NONE;
    uint32_t x = body(&w, name, mn_graph_add(w.builder, &input), width);
    x = add(&w, (mn_node_spec){.prim = MN_PRIM_FULLY_CONNECTED, .channels = 10, .bias = true}, x);
    status = mn_graph_builder_finish(w.builder, &x, 1, ret_graph, err);
    mn_graph_builder_free(w.builder);
    return status;
}

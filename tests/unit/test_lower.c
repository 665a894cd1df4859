/* Lowering: names, shapes, strides, windows and layers of every op, and whole networks against a
 * second, plain computation of shapes, parameters and multiply-adds. */
#include "test.h"

#include "genotype_samples.h"

static mn_graph *lower(const mn_genotype *genotype)
{
    mn_error err;
    mn_graph *graph = NULL;
    assert_ok(mn_genotype_lower(genotype, &graph, &err), &err);
    assert_non_null(graph);
    return graph;
}

/* The node of that name, or NULL. */
static const mn_node *find(const mn_graph *graph, const char *name)
{
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++) {
        if (strcmp(mn_graph_node(graph, n)->name, name) == 0)
            return mn_graph_node(graph, n);
    }
    return NULL;
}

static const mn_node *get(const mn_graph *graph, const char *name)
{
    const mn_node *node = find(graph, name);
    if (node == NULL)
        fail_msg("no node '%s'", name);
    return node;
}

static const mn_node *input_of(const mn_graph *graph, const mn_node *node, uint32_t index)
{
    return mn_graph_node(graph, node->inputs[index]);
}

static void assert_shape(const mn_node *node, uint32_t h, uint32_t w, uint32_t c)
{
    if (!mn_shape_equal(node->shape, (mn_shape){h, w, c}))
        fail_msg("%s: shape (%u,%u,%u), expected (%u,%u,%u)",
                 node->name,
                 node->shape.h,
                 node->shape.w,
                 node->shape.c,
                 h,
                 w,
                 c);
}

/* One block, one cell (op, op): the op under test stands in slot 0. */
static mn_genotype one_op(mn_shape input, mn_cell_op op, uint32_t stride, uint32_t width)
{
    mn_genotype g = {.input = input, .classes = 10, .block_count = 1};
    g.blocks[0].stride = stride;
    g.blocks[0].width = width;
    sample_append(&g, 0, op, 0, MN_OP_CONV_3X3, MN_COMBINE_ADD);
    return g;
}

/* ---- the ops one by one ---------------------------------------------------------------------- */

#define MBCONV "expand expand_bn expand_relu dw dw_bn dw_relu project project_bn"

/* The nodes of each op in order, from (7,5,3) to width 4 at stride 2. */
static const struct {
    mn_cell_op op;
    const char *names;
    uint64_t parameters;
} rows[MN_OP_COUNT] = {
    {MN_OP_AVG_POOL, "proj proj_bn pool", 3 * 4 + 8},
    {MN_OP_MAX_POOL, "proj proj_bn pool", 3 * 4 + 8},
    {MN_OP_DILATED_CONV, "conv conv_bn relu", 9 * 3 * 4 + 8},
    {MN_OP_FACTORISED_CONV,
     "conv1x1 conv1x1_bn conv1x1_relu conv1x7 conv1x7_bn conv1x7_relu conv7x1 conv7x1_bn relu",
     3 * 4 + 8 + 7 * 4 * 4 + 8 + 7 * 4 * 4 + 8},
    {MN_OP_SEPARABLE_5X5, "dw dw_bn pw pw_bn relu", 25 * 3 + 6 + 3 * 4 + 8},
    {MN_OP_SEPARABLE_3X3, "dw dw_bn pw pw_bn relu", 9 * 3 + 6 + 3 * 4 + 8},
    {MN_OP_CONV_3X3, "conv conv_bn relu", 9 * 3 * 4 + 8},
    {MN_OP_IDENTITY, "proj proj_bn", 3 * 4 + 8},
    {MN_OP_CONV_1X1, "conv conv_bn relu", 3 * 4 + 8},
    {MN_OP_MBCONV_3X3_E3, MBCONV, 3 * 9 + 18 + 9 * 9 + 18 + 9 * 4 + 8},
    {MN_OP_MBCONV_3X3_E6, MBCONV, 3 * 18 + 36 + 9 * 18 + 36 + 18 * 4 + 8},
    {MN_OP_MBCONV_5X5_E3, MBCONV, 3 * 9 + 18 + 25 * 9 + 18 + 9 * 4 + 8},
    {MN_OP_MBCONV_5X5_E6, MBCONV, 3 * 18 + 36 + 25 * 18 + 36 + 18 * 4 + 8},
};

/* Sum over the nodes whose names start with `prefix`; writes their names without it. */
static uint64_t gather(const mn_graph *graph, const char *prefix, char *ret_names, size_t bytes)
{
    uint64_t parameters = 0;
    ret_names[0] = '\0';
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++) {
        const mn_node *node = mn_graph_node(graph, n);
        if (strncmp(node->name, prefix, strlen(prefix)) != 0)
            continue;
        size_t used = strlen(ret_names);
        snprintf(ret_names + used,
                 bytes - used,
                 "%s%s",
                 used > 0 ? " " : "",
                 node->name + strlen(prefix));
        for (int role = 0; role < MN_ROLE_COUNT; role++) {
            if (node->tensors[role] != MN_NONE && role != MN_ROLE_MEAN && role != MN_ROLE_VARIANCE)
                parameters += mn_graph_tensor_elements(graph, node->tensors[role]);
        }
    }
    return parameters;
}

static void test_each_op(void **state)
{
    (void)state;
    for (unsigned op = 0; op < MN_OP_COUNT; op++) {
        assert_int_equal(rows[op].op, op);
        mn_genotype g = one_op((mn_shape){7, 5, 3}, (mn_cell_op)op, 2, 4);
        mn_graph *graph = lower(&g);
        char names[256];
        uint64_t parameters = gather(graph, "block0.cell0.op0.", names, sizeof names);
        assert_string_equal(names, rows[op].names);
        assert_int_equal(parameters, rows[op].parameters);
        const mn_node *add = get(graph, "block0.cell0.add");
        assert_shape(input_of(graph, add, 0), 4, 3, 4);
        assert_shape(add, 4, 3, 4);
        mn_graph_free(graph);
    }
}

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
    return (a + b - 1) / b;
}

/* Every op at every stride on small, thin and odd inputs: ceil(side / stride), `width` channels. */
static void test_sizes(void **state)
{
    (void)state;
    static const mn_shape inputs[] = {
        {1, 1, 1}, {1, 17, 2}, {17, 1, 2}, {2, 2, 5}, {3, 7, 4}, {8, 8, 3}, {13, 6, 1}};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        for (uint32_t stride = 1; stride <= MN_MAX_STRIDE; stride++) {
            for (unsigned op = 0; op < MN_OP_COUNT; op++) {
                mn_genotype g = one_op(inputs[i], (mn_cell_op)op, stride, 5);
                mn_graph *graph = lower(&g);
                const mn_node *add = get(graph, "block0.cell0.add");
                assert_shape(add, ceil_div(inputs[i].h, stride), ceil_div(inputs[i].w, stride), 5);
                mn_graph_free(graph);
            }
        }
    }
}

static void assert_window(
    const mn_node *node, uint32_t kernel_h, uint32_t kernel_w, uint32_t stride, uint32_t dilation)
{
    const mn_window *w = &node->window;
    if (w->kernel_h != kernel_h || w->kernel_w != kernel_w || w->stride_h != stride ||
        w->stride_w != stride || w->dilation_h != dilation || w->dilation_w != dilation)
        fail_msg("%s: kernel %ux%u stride %ux%u dilation %ux%u",
                 node->name,
                 w->kernel_h,
                 w->kernel_w,
                 w->stride_h,
                 w->stride_w,
                 w->dilation_h,
                 w->dilation_w);
}

/* Kernels, and the one place in each op where the stride stands. */
static void test_windows(void **state)
{
    (void)state;
    static const struct {
        mn_cell_op op;
        const char *name;
        mn_prim prim;
        uint32_t kernel_h, kernel_w, stride, dilation, groups;
    } nodes[] = {
        {MN_OP_AVG_POOL, "proj", MN_PRIM_CONV, 1, 1, 1, 1, 1},
        {MN_OP_AVG_POOL, "pool", MN_PRIM_AVG_POOL, 3, 3, 2, 1, 0},
        {MN_OP_MAX_POOL, "proj", MN_PRIM_CONV, 1, 1, 1, 1, 1},
        {MN_OP_MAX_POOL, "pool", MN_PRIM_MAX_POOL, 3, 3, 2, 1, 0},
        {MN_OP_DILATED_CONV, "conv", MN_PRIM_CONV, 3, 3, 2, 2, 1},
        {MN_OP_FACTORISED_CONV, "conv1x1", MN_PRIM_CONV, 1, 1, 2, 1, 1},
        {MN_OP_FACTORISED_CONV, "conv1x7", MN_PRIM_CONV, 1, 7, 1, 1, 1},
        {MN_OP_FACTORISED_CONV, "conv7x1", MN_PRIM_CONV, 7, 1, 1, 1, 1},
        {MN_OP_SEPARABLE_5X5, "dw", MN_PRIM_CONV, 5, 5, 2, 1, 3},
        {MN_OP_SEPARABLE_5X5, "pw", MN_PRIM_CONV, 1, 1, 1, 1, 1},
        {MN_OP_SEPARABLE_3X3, "dw", MN_PRIM_CONV, 3, 3, 2, 1, 3},
        {MN_OP_SEPARABLE_3X3, "pw", MN_PRIM_CONV, 1, 1, 1, 1, 1},
        {MN_OP_CONV_3X3, "conv", MN_PRIM_CONV, 3, 3, 2, 1, 1},
        {MN_OP_IDENTITY, "proj", MN_PRIM_CONV, 1, 1, 2, 1, 1},
        {MN_OP_CONV_1X1, "conv", MN_PRIM_CONV, 1, 1, 2, 1, 1},
        {MN_OP_MBCONV_3X3_E3, "expand", MN_PRIM_CONV, 1, 1, 1, 1, 1},
        {MN_OP_MBCONV_3X3_E3, "dw", MN_PRIM_CONV, 3, 3, 2, 1, 9},
        {MN_OP_MBCONV_3X3_E3, "project", MN_PRIM_CONV, 1, 1, 1, 1, 1},
        {MN_OP_MBCONV_3X3_E6, "dw", MN_PRIM_CONV, 3, 3, 2, 1, 18},
        {MN_OP_MBCONV_5X5_E3, "dw", MN_PRIM_CONV, 5, 5, 2, 1, 9},
        {MN_OP_MBCONV_5X5_E6, "dw", MN_PRIM_CONV, 5, 5, 2, 1, 18},
    };
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        mn_genotype g = one_op((mn_shape){9, 9, 3}, nodes[i].op, 2, 4);
        mn_graph *graph = lower(&g);
        char name[64];
        snprintf(name, sizeof name, "block0.cell0.op0.%s", nodes[i].name);
        const mn_node *node = get(graph, name);
        assert_int_equal(node->prim, nodes[i].prim);
        assert_window(
            node, nodes[i].kernel_h, nodes[i].kernel_w, nodes[i].stride, nodes[i].dilation);
        assert_int_equal(node->groups, nodes[i].groups);
        /* Odd sides of 9: "same" pads both sides alike, by half of what the kernel reaches. */
        assert_int_equal(node->window.pad_top, nodes[i].dilation * (nodes[i].kernel_h - 1) / 2);
        assert_int_equal(node->window.pad_left, nodes[i].dilation * (nodes[i].kernel_w - 1) / 2);
        assert_int_equal(node->window.pad_bottom, node->window.pad_top);
        assert_int_equal(node->window.pad_right, node->window.pad_left);
        mn_graph_free(graph);
    }
}

/* A link stays plain only where neither stride nor channels change. */
static void test_projection_rule(void **state)
{
    (void)state;
    for (uint32_t stride = 1; stride <= 2; stride++) {
        for (uint32_t width = 3; width <= 4; width++) {
            mn_genotype g = one_op((mn_shape){8, 8, 3}, MN_OP_IDENTITY, stride, width);
            mn_graph *graph = lower(&g);
            bool plain = stride == 1 && width == 3;
            assert_int_equal(find(graph, "block0.cell0.op0.identity") != NULL, plain);
            assert_int_equal(find(graph, "block0.cell0.op0.proj") != NULL, !plain);
            mn_graph_free(graph);
        }
    }
    /* On a cell: a concat has twice the width, an add has it. */
    mn_genotype g = one_op((mn_shape){8, 8, 3}, MN_OP_CONV_3X3, 2, 4);
    sample_append(&g, 1, MN_OP_IDENTITY, 0, MN_OP_IDENTITY, MN_COMBINE_CONCAT);
    sample_append(&g, 2, MN_OP_IDENTITY, 1, MN_OP_IDENTITY, MN_COMBINE_ADD);
    mn_graph *graph = lower(&g);
    assert_int_equal(get(graph, "block0.cell1.op0.identity")->prim, MN_PRIM_IDENTITY);
    assert_window(get(graph, "block0.cell1.op1.proj"), 1, 1, 2, 1);
    assert_window(get(graph, "block0.cell2.op0.proj"), 1, 1, 1, 1);
    assert_non_null(find(graph, "block0.cell2.op1.identity"));
    mn_graph_free(graph);
}

/* The stride applies where the block's input is read, in whichever slot, and nowhere else. */
static void test_stride_only_on_block_input(void **state)
{
    (void)state;
    mn_genotype g = one_op((mn_shape){12, 12, 4}, MN_OP_CONV_3X3, 3, 4);
    sample_append(&g, 1, MN_OP_MAX_POOL, 0, MN_OP_MAX_POOL, MN_COMBINE_ADD);
    sample_append(&g, 0, MN_OP_SEPARABLE_3X3, 2, MN_OP_SEPARABLE_3X3, MN_COMBINE_ADD);
    mn_graph *graph = lower(&g);
    assert_window(get(graph, "block0.cell0.op1.conv"), 3, 3, 3, 1);
    assert_window(get(graph, "block0.cell1.op0.pool"), 3, 3, 1, 1);
    assert_window(get(graph, "block0.cell1.op1.pool"), 3, 3, 3, 1);
    assert_window(get(graph, "block0.cell2.op0.dw"), 3, 3, 3, 1);
    assert_window(get(graph, "block0.cell2.op1.dw"), 3, 3, 1, 1);
    assert_shape(get(graph, "block0.concat"), 4, 4, 12);
    mn_graph_free(graph);
}

/* ---- stem, cells, block outputs, head -------------------------------------------------------- */

static void test_stem(void **state)
{
    (void)state;
    mn_genotype g = one_op((mn_shape){9, 8, 3}, MN_OP_CONV_3X3, 1, 4);
    mn_graph *graph = lower(&g);
    assert_null(find(graph, "stem.conv"));
    assert_string_equal(input_of(graph, get(graph, "block0.cell0.op0.conv"), 0)->name, "input");
    mn_graph_free(graph);
    g.stem = (mn_stem){.width = 6, .stride = 2};
    graph = lower(&g);
    const mn_node *conv = get(graph, "stem.conv");
    assert_window(conv, 3, 3, 2, 1);
    assert_string_equal(input_of(graph, conv, 0)->name, "input");
    assert_int_equal(get(graph, "stem.conv_bn")->prim, MN_PRIM_BATCH_NORM);
    assert_shape(get(graph, "stem.relu"), 5, 4, 6);
    assert_string_equal(input_of(graph, get(graph, "block0.cell0.op0.conv"), 0)->name, "stem.relu");
    mn_graph_free(graph);
}

static void test_heads(void **state)
{
    (void)state;
    static const struct {
        mn_head head;
        mn_shape input, pooled;
    } cases[] = {
        {MN_HEAD_GAP, {7, 5, 3}, {1, 1, 4}},
        {MN_HEAD_MAXPOOL2, {8, 6, 3}, {4, 3, 4}},
        {MN_HEAD_MAXPOOL2, {7, 5, 3}, {3, 2, 4}},
        {MN_HEAD_MAXPOOL2, {1, 9, 3}, {1, 4, 4}},
        {MN_HEAD_MAXPOOL2, {3, 1, 3}, {1, 1, 4}},
        {MN_HEAD_MAXPOOL2, {1, 1, 3}, {1, 1, 4}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mn_genotype g = one_op(cases[i].input, MN_OP_CONV_3X3, 1, 4);
        g.head = cases[i].head;
        mn_graph *graph = lower(&g);
        mn_shape pooled = cases[i].pooled;
        const mn_node *pool = get(graph, "head.pool");
        assert_shape(pool, pooled.h, pooled.w, pooled.c);
        const mn_node *fc = get(graph, "head.fc");
        assert_shape(fc, 1, 1, 10);
        assert_string_equal(input_of(graph, fc, 0)->name, "head.pool");
        char names[64];
        uint64_t parameters = gather(graph, "head.", names, sizeof names);
        assert_string_equal(names, "pool fc");
        assert_int_equal(parameters, 10 * pooled.h * pooled.w * pooled.c + 10);
        assert_int_equal(mn_graph_output_count(graph), 1);
        assert_ptr_equal(mn_graph_node(graph, mn_graph_output(graph, 0)), fc);
        mn_graph_free(graph);
    }
}

/* No bias before a norm, a bias in the classifier, and every conv is followed by its norm. */
static void test_bias(void **state)
{
    (void)state;
    mn_genotype g = sample_base(2);
    g.stem = (mn_stem){.width = 4, .stride = 1};
    mn_graph *graph = lower(&g);
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++) {
        const mn_node *node = mn_graph_node(graph, n);
        if (node->prim == MN_PRIM_CONV) {
            assert_int_equal(node->tensors[MN_ROLE_BIAS], MN_NONE);
            const mn_node *norm = mn_graph_node(graph, n + 1);
            assert_int_equal(norm->prim, MN_PRIM_BATCH_NORM);
            assert_int_equal(norm->inputs[0], n);
            assert_int_equal(strncmp(norm->name, node->name, strlen(node->name)), 0);
            assert_string_equal(norm->name + strlen(node->name), "_bn");
        }
        assert_int_equal(node->act, MN_ACT_NONE);
    }
    assert_int_not_equal(get(graph, "head.fc")->tensors[MN_ROLE_BIAS], MN_NONE);
    mn_graph_free(graph);
}

/* The paper's example block: cell 2 is twice as wide, all three are concatenated in order. */
static void test_paper_block(void **state)
{
    (void)state;
    mn_genotype g = sample_paper_block(8);
    mn_graph *graph = lower(&g);
    const mn_node *add = get(graph, "block0.cell0.add");
    const mn_node *concat = get(graph, "block0.cell1.concat");
    assert_shape(add, 16, 16, 8);
    assert_shape(concat, 16, 16, 16);
    assert_string_equal(input_of(graph, concat, 0)->name, "block0.cell1.op0.pool");
    assert_string_equal(input_of(graph, concat, 1)->name, "block0.cell1.op1.relu");
    assert_ptr_equal(input_of(graph, get(graph, "block0.cell1.op0.proj"), 0), add);
    assert_ptr_equal(input_of(graph, get(graph, "block0.cell2.op1.proj"), 0), concat);
    const mn_node *output = get(graph, "block0.concat");
    assert_int_equal(output->input_count, 3);
    assert_ptr_equal(input_of(graph, output, 0), add);
    assert_ptr_equal(input_of(graph, output, 1), concat);
    assert_string_equal(input_of(graph, output, 2)->name, "block0.cell2.add");
    assert_shape(output, 16, 16, 32);
    mn_graph_free(graph);

    /* With two edges trimmed one cell is left, and nothing to concatenate. */
    g.blocks[0].cells[0].out = false;
    g.blocks[0].cells[1].out = false;
    graph = lower(&g);
    assert_null(find(graph, "block0.concat"));
    assert_string_equal(input_of(graph, get(graph, "head.pool"), 0)->name, "block0.cell2.add");
    mn_graph_free(graph);
}

/* ---- whole networks -------------------------------------------------------------------------- */

/* What a network needs, computed from the genotype alone. */
typedef struct totals {
    uint64_t parameters, macs;
} totals;

static uint64_t area(mn_shape shape)
{
    return (uint64_t)shape.h * shape.w;
}

static void add_mbconv(
    totals *sum, uint64_t taps, uint64_t expansion, mn_shape in, uint64_t out, uint64_t width)
{
    uint64_t hidden = expansion * (in.c < width ? in.c : width);
    sum->parameters += in.c * hidden + taps * hidden + hidden * width + 4 * hidden + 2 * width;
    sum->macs += in.c * hidden * area(in) + (taps + width) * hidden * out;
}

static void add_op(totals *sum, mn_cell_op op, mn_shape in, uint32_t stride, uint64_t width)
{
    uint64_t c = in.c;
    uint64_t norm = 2 * width;
    uint64_t out = (uint64_t)ceil_div(in.h, stride) * ceil_div(in.w, stride);
    uint64_t kernel = op == MN_OP_SEPARABLE_5X5 ? 25 : 9;
    switch (op) {
    case MN_OP_AVG_POOL:
    case MN_OP_MAX_POOL:
        sum->parameters += c * width + norm;
        sum->macs += c * width * area(in);
        break;
    case MN_OP_DILATED_CONV:
    case MN_OP_CONV_3X3:
        sum->parameters += 9 * c * width + norm;
        sum->macs += 9 * c * width * out;
        break;
    case MN_OP_FACTORISED_CONV:
        sum->parameters += c * width + 14 * width * width + 3 * norm;
        sum->macs += (c * width + 14 * width * width) * out;
        break;
    case MN_OP_SEPARABLE_5X5:
    case MN_OP_SEPARABLE_3X3:
        sum->parameters += kernel * c + 2 * c + c * width + norm;
        sum->macs += (kernel * c + c * width) * out;
        break;
    case MN_OP_IDENTITY:
        if (stride > 1 || c != width) {
            sum->parameters += c * width + norm;
            sum->macs += c * width * out;
        }
        break;
    case MN_OP_CONV_1X1:
        sum->parameters += c * width + norm;
        sum->macs += c * width * out;
        break;
    case MN_OP_MBCONV_3X3_E3:
        add_mbconv(sum, 9, 3, in, out, width);
        break;
    case MN_OP_MBCONV_3X3_E6:
        add_mbconv(sum, 9, 6, in, out, width);
        break;
    case MN_OP_MBCONV_5X5_E3:
        add_mbconv(sum, 25, 3, in, out, width);
        break;
    case MN_OP_MBCONV_5X5_E6:
        add_mbconv(sum, 25, 6, in, out, width);
        break;
    case MN_OP_COUNT:
        fail();
    }
}

/* Adds a block and returns the shape of its output. */
static mn_shape add_block(totals *sum, const mn_block *block, mn_shape input)
{
    mn_shape values[MN_MAX_CELLS + 1] = {input};
    mn_shape output = {ceil_div(input.h, block->stride), ceil_div(input.w, block->stride), 0};
    for (uint32_t k = 0; k < block->cell_count; k++) {
        const mn_cell *cell = &block->cells[k];
        for (uint32_t slot = 0; slot < 2; slot++)
            add_op(sum,
                   cell->op[slot],
                   values[cell->in[slot]],
                   cell->in[slot] == 0 ? block->stride : 1,
                   block->width);
        values[k + 1] = output;
        values[k + 1].c = block->width * (cell->combine == MN_COMBINE_CONCAT ? 2 : 1);
    }
    for (uint32_t k = 0; k < block->cell_count; k++)
        output.c += block->cells[k].out ? values[k + 1].c : 0;
    return output;
}

static totals count_all(const mn_genotype *g)
{
    totals sum = {0};
    mn_shape shape = g->input;
    if (g->stem.width > 0) {
        add_op(&sum, MN_OP_CONV_3X3, shape, g->stem.stride, g->stem.width);
        shape.h = ceil_div(shape.h, g->stem.stride);
        shape.w = ceil_div(shape.w, g->stem.stride);
        shape.c = g->stem.width;
    }
    for (uint32_t b = 0; b < g->block_count; b++)
        shape = add_block(&sum, &g->blocks[b], shape);
    uint64_t pooled = shape.c;
    if (g->head == MN_HEAD_MAXPOOL2)
        pooled *= (uint64_t)(shape.h > 1 ? shape.h / 2 : 1) * (shape.w > 1 ? shape.w / 2 : 1);
    sum.parameters += pooled * g->classes + g->classes;
    sum.macs += pooled * g->classes;
    return sum;
}

/* The layer that a node's name speaks of. */
static uint32_t layer_by_name(const mn_genotype *g, const char *name)
{
    unsigned b = 0;
    unsigned k = 0;
    unsigned slot = 0;
    if (strcmp(name, "input") == 0)
        return MN_NONE;
    if (strncmp(name, "stem.", 5) == 0)
        return mn_genotype_layer_stem();
    if (strncmp(name, "head.", 5) == 0)
        return mn_genotype_layer_head(g);
    if (sscanf(name, "block%u.cell%u.op%u.", &b, &k, &slot) == 3)
        return mn_genotype_layer_cell(g, b, k, slot);
    if (sscanf(name, "block%u.cell%u.", &b, &k) == 2)
        return mn_genotype_layer_cell(g, b, k, 2);
    assert_int_equal(sscanf(name, "block%u.concat", &b), 1);
    return mn_genotype_layer_block_output(g, b);
}

/* Every node has its layer, and all but the logits have a reader. */
static void check_nodes(const mn_genotype *g, const mn_graph *graph)
{
    uint32_t count = mn_graph_node_count(graph);
    bool *read = calloc(count, sizeof *read);
    assert_non_null(read);
    for (uint32_t n = 0; n < count; n++) {
        const mn_node *node = mn_graph_node(graph, n);
        assert_int_equal(node->layer, layer_by_name(g, node->name));
        for (uint32_t i = 0; i < node->input_count; i++)
            read[node->inputs[i]] = true;
    }
    for (uint32_t n = 0; n + 1 < count; n++)
        assert_true(read[n]);
    assert_int_equal(mn_graph_output(graph, 0), count - 1);
    free(read);
}

static void test_random_networks(void **state)
{
    (void)state;
    const sample_limits most = {
        .side = 20, .channels = 4, .classes = 12, .width = 9, .blocks = 5, .cells = 8};
    mn_random random = mn_random_make(7, 0);
    for (int i = 0; i < 300; i++) {
        mn_genotype g = sample_random(&random, &most);
        mn_graph *graph = lower(&g);
        totals expected = count_all(&g);
        assert_int_equal(mn_graph_parameters(graph), expected.parameters);
        assert_int_equal(mn_graph_macs(graph), expected.macs);
        assert_shape(get(graph, "head.fc"), 1, 1, g.classes);
        check_nodes(&g, graph);
        mn_graph_free(graph);
    }
}

/* The deepest genotype: the longest names, the most nodes. */
static void test_fullest_network(void **state)
{
    (void)state;
    mn_genotype g = {.input = {4, 4, 1}, .classes = 2, .block_count = MN_MAX_BLOCKS};
    for (uint32_t b = 0; b < MN_MAX_BLOCKS; b++) {
        g.blocks[b].stride = 1;
        g.blocks[b].width = 1;
    }
    for (uint32_t k = 0; k < MN_MAX_CELLS; k++)
        sample_append(&g, k, MN_OP_FACTORISED_CONV, k, MN_OP_FACTORISED_CONV, MN_COMBINE_CONCAT);
    mn_graph *graph = lower(&g);
    assert_int_equal(mn_graph_node_count(graph), 1 + 16 * (15 * 19 + 1) + 2);
    assert_non_null(find(graph, "block15.cell14.op1.conv1x7_relu"));
    check_nodes(&g, graph);
    mn_graph_free(graph);
}

static void test_errors(void **state)
{
    (void)state;
    mn_error err;
    mn_graph *graph = NULL;
    mn_genotype g = one_op((mn_shape){8, 8, 3}, MN_OP_CONV_3X3, 1, 4);
    g.blocks[0].width = 0;
    assert_error(mn_genotype_lower(&g, &graph, &err), MN_ERR_ARG, &err, "block 0: width 0");
    g = one_op((mn_shape){2048, 2048, 256}, MN_OP_AVG_POOL, 1, 4096);
    assert_error(mn_genotype_lower(&g, &graph, &err), MN_ERR_LIMIT, &err, "block0.cell0.op0.proj");
    assert_null(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_op),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_projection_rule),
        cmocka_unit_test(test_stride_only_on_block_input),
        cmocka_unit_test(test_stem),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_bias),
        cmocka_unit_test(test_paper_block),
        cmocka_unit_test(test_random_networks),
        cmocka_unit_test(test_fullest_network),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

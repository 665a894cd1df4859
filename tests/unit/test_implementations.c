/* No convolution of the search space may fall to a slow path of oneDNN: its names are listed for
 * networks that cover all ops, widths, strides, inputs and heads. Run a second time with oneDNN
 * held to AVX2, whose blocks and kernels are others. */
#include "test.h"

#include <stdbool.h>

#include "memnet/genotype.h"
#include "memnet/train.h"

typedef struct census {
    const mn_graph *graph;
    const char *network;
    uint32_t convolutions, others, slow;
} census;

static const mn_node *find(const mn_graph *graph, const char *layer)
{
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++)
        if (strcmp(mn_graph_node(graph, n)->name, layer) == 0)
            return mn_graph_node(graph, n);
    fail_msg("no node %s", layer);
    return NULL;
}

/* The one kind of convolution that may be slow: oneDNN 2.6 has no kernels for windows larger than
 * the image. Such an image has six rows or columns at most, so the reference costs little. */
static bool is_accepted(const mn_graph *graph, const mn_node *conv)
{
    const mn_window *w = &conv->window;
    mn_shape in = mn_graph_node(graph, conv->inputs[0])->shape;
    return w->dilation_h * (w->kernel_h - 1) + 1 > in.h ||
           w->dilation_w * (w->kernel_w - 1) + 1 > in.w;
}

/* An inner product may be a matrix product; whatever is a reference is slow. */
static void count(void *context, const char *layer, const char *phase, const char *implementation)
{
    census *c = context;
    const mn_node *node = find(c->graph, layer);
    bool conv = node->prim == MN_PRIM_CONV;
    bool reference = strstr(implementation, "ref") != NULL;
    bool product = strstr(implementation, "gemm") != NULL;
    assert_true(phase[0] != '\0' && implementation[0] != '\0');
    if (conv)
        c->convolutions++;
    else
        c->others++;
    if ((!reference && !(product && conv)) || (conv && is_accepted(c->graph, node)))
        return;
    c->slow++;
    print_message("%s: %s, %s: %s\n", c->network, layer, phase, implementation);
}

static uint32_t slow_primitives(const mn_genotype *genotype, const char *network)
{
    mn_error err;
    mn_graph *graph = NULL;
    mn_trainer *trainer = NULL;
    assert_ok(mn_genotype_lower(genotype, &graph, &err), &err);
    mn_trainer_setup setup = {.graph = graph, .opts = mn_train_opts_default()};
    setup.opts.batch = 8;
    assert_ok(mn_trainer_create(&setup, &trainer, &err), &err);
    census c = {.graph = graph, .network = network};
    mn_trainer_visit_primitives(trainer, count, &c);
    assert_true(c.convolutions > 10 && c.others > 3);
    mn_trainer_free(trainer);
    mn_graph_free(graph);
    return c.slow;
}

/* Every op on the block's input and on a cell's output, both ways of joining, and a block output
 * that is a concat of parts of one and of two widths. */
static mn_block full_block(uint32_t width, uint32_t stride)
{
    mn_block block = {.stride = stride, .width = width, .cell_count = MN_OP_COUNT + 1};
    for (uint32_t k = 0; k < block.cell_count; k++)
        block.cells[k] = (mn_cell){
            .in = {0, k},
            .op = {(mn_cell_op)(k % MN_OP_COUNT), (mn_cell_op)((k + 3) % MN_OP_COUNT)},
            .combine = k % 3 == 1 ? MN_COMBINE_CONCAT : MN_COMBINE_ADD,
            .out = true,
        };
    return block;
}

static const uint32_t widths[] = {4, 8, 12, 16, 24, 32, 5, 17};

/* Two blocks of the same width: one reads the image, the other a concat. */
static void check_networks(mn_shape input, mn_head head)
{
    uint32_t slow = 0;
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++)
        for (uint32_t stride = 1; stride <= 2; stride++) {
            char network[80];
            snprintf(network,
                     sizeof network,
                     "%ux%ux%u width %u stride %u",
                     input.h,
                     input.w,
                     input.c,
                     widths[i],
                     stride);
            mn_genotype g = {.input = input, .classes = 10, .block_count = 2, .head = head};
            g.blocks[0] = full_block(widths[i], stride);
            g.blocks[1] = full_block(widths[i], 3 - stride);
            slow += slow_primitives(&g, network);
        }
    assert_int_equal(slow, 0);
}

static void test_grey_images(void **state)
{
    (void)state;
    check_networks((mn_shape){28, 28, 1}, MN_HEAD_MAXPOOL2);
}

static void test_colour_images(void **state)
{
    (void)state;
    check_networks((mn_shape){32, 32, 3}, MN_HEAD_GAP);
}

/* Deep in a network: images smaller than the kernels. */
static void test_small_images(void **state)
{
    (void)state;
    uint32_t slow = 0;
    for (uint32_t side = 1; side <= 9; side++)
        for (uint32_t stride = 1; stride <= 2; stride++) {
            char network[80];
            uint32_t width = side % 2 == 0 ? 12 : 24;
            mn_genotype g = {.input = {side, side, 3}, .classes = 10, .block_count = 1};
            g.stem = (mn_stem){.width = 12, .stride = 1};
            g.blocks[0] = full_block(width, stride);
            snprintf(
                network, sizeof network, "%ux%u width %u stride %u", side, side, width, stride);
            slow += slow_primitives(&g, network);
        }
    assert_int_equal(slow, 0);
}

#if defined(__x86_64__)
static bool has_kernels(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}
#else
static bool has_kernels(void)
{
    return false;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grey_images),
        cmocka_unit_test(test_colour_images),
        cmocka_unit_test(test_small_images),
    };
    /* oneDNN 2.6 has no kernels of its own for older processors; 77 tells Meson "skipped". */
    return has_kernels() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}

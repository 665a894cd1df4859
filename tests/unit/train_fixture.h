/* What the tests of the trainer share: a tiny data set that can be learned, a network with every
 * op, and random numbers that a trained network could have. */
#ifndef MN_TEST_TRAIN_FIXTURE_H
#define MN_TEST_TRAIN_FIXTURE_H

#include "test.h"

#include "base/random.h"
#include "memnet/genotype.h"
#include "memnet/train.h"

enum {
    tiny_h = 9,
    tiny_w = 8,
    tiny_c = 3,
    tiny_pixels = tiny_h * tiny_w * tiny_c,
    tiny_classes = 4,
    tiny_train = 100,
    tiny_test = 37
};

/* Static storage of a data set; `images` may be handed to a trainer as long as it lives. */
typedef struct tiny_data {
    uint8_t pixels[(tiny_train + tiny_test) * tiny_pixels];
    uint16_t labels[tiny_train + tiny_test];
    uint32_t indices[tiny_train]; /* all training images */
    mn_dataset dataset;
    mn_preprocessing preprocessing;
} tiny_data;

/* Class k is the image with a bright quarter k, under noise. */
static inline void tiny_data_init(tiny_data *d)
{
    mn_random random = mn_random_make(31, 41);
    for (uint32_t i = 0; i < tiny_train + tiny_test; i++) {
        uint16_t label = (uint16_t)(i % tiny_classes);
        d->labels[i] = label;
        for (uint32_t k = 0; k < tiny_pixels; k++) {
            uint32_t y = k / tiny_c / tiny_w;
            uint32_t x = k / tiny_c % tiny_w;
            uint32_t quarter = (y >= 5 ? 2u : 0u) + (x >= 4 ? 1u : 0u);
            uint32_t base = quarter == label ? 150 : 40;
            d->pixels[(size_t)i * tiny_pixels + k] = (uint8_t)(base + mn_random_below(&random, 80));
        }
    }
    for (uint32_t i = 0; i < tiny_train; i++)
        d->indices[i] = i;
    d->preprocessing = (mn_preprocessing){.mean = 107.0f, .scale = 1.0f / 55.0f};
    d->dataset = (mn_dataset){
        .shape = {tiny_h, tiny_w, tiny_c},
        .pixel_type = MN_PIXEL_U8,
        .class_count = tiny_classes,
        .train = {tiny_train, d->pixels, d->labels},
        .test = {tiny_test, d->pixels + tiny_train * tiny_pixels, d->labels + tiny_train},
        .hash = "0123456789abcdef",
    };
}

/* Three blocks that have the paper's ops and identity, both combines, a stem and odd widths. */
static inline mn_genotype tiny_genotype(mn_head head)
{
    enum { ops = MN_OP_IDENTITY + 1 };
    mn_genotype g = {.input = {tiny_h, tiny_w, tiny_c}, .classes = tiny_classes, .head = head};
    g.stem = (mn_stem){.width = 6, .stride = 1};
    g.block_count = 3;
    for (uint32_t b = 0; b < 3; b++) {
        mn_block *block = &g.blocks[b];
        block->stride = b == 0 ? 1 : 2;
        block->width = 5 + b;
        block->cell_count = 2;
        for (uint32_t c = 0; c < 2; c++)
            block->cells[c] = (mn_cell){
                .in = {0, c},
                .op = {(mn_cell_op)((b * 3 + c) % ops), (mn_cell_op)((b * 3 + c + 4) % ops)},
                .combine = c == 0 ? MN_COMBINE_ADD : MN_COMBINE_CONCAT,
                .out = true};
    }
    return g;
}

/* Two blocks of the other ops, some with a shortcut, behind a stem with a stride. */
static inline mn_genotype tiny_mobile_genotype(void)
{
    mn_genotype g = {.input = {tiny_h, tiny_w, tiny_c}, .classes = tiny_classes, .block_count = 2};
    g.stem = (mn_stem){.width = 5, .stride = 2};
    g.blocks[0] = (mn_block){.stride = 1, .width = 5, .cell_count = 2};
    g.blocks[0].cells[0] = (mn_cell){.op = {MN_OP_IDENTITY, MN_OP_MBCONV_3X3_E3}};
    g.blocks[0].cells[1] =
        (mn_cell){.in = {1, 1}, .op = {MN_OP_MBCONV_5X5_E3, MN_OP_IDENTITY}, .out = true};
    g.blocks[1] = (mn_block){.stride = 2, .width = 7, .cell_count = 2};
    g.blocks[1].cells[0] = (mn_cell){.op = {MN_OP_MBCONV_3X3_E6, MN_OP_CONV_1X1}, .out = true};
    g.blocks[1].cells[1] = (mn_cell){.in = {0, 1},
                                     .op = {MN_OP_MBCONV_5X5_E6, MN_OP_CONV_1X1},
                                     .combine = MN_COMBINE_CONCAT,
                                     .out = true};
    return g;
}

enum { every_op_count = 3 };

/* Networks that have every op together, and both heads. */
static inline mn_genotype tiny_every_op(int which)
{
    return which == 2 ? tiny_mobile_genotype()
                      : tiny_genotype(which == 0 ? MN_HEAD_GAP : MN_HEAD_MAXPOOL2);
}

/* One block, fast to train. */
static inline mn_genotype tiny_small_genotype(void)
{
    mn_genotype g = {.input = {tiny_h, tiny_w, tiny_c}, .classes = tiny_classes, .block_count = 1};
    g.blocks[0] = (mn_block){.stride = 2, .width = 9, .cell_count = 2};
    g.blocks[0].cells[0] = (mn_cell){.op = {MN_OP_CONV_3X3, MN_OP_SEPARABLE_5X5}, .out = true};
    g.blocks[0].cells[1] = (mn_cell){.in = {1, 0},
                                     .op = {MN_OP_DILATED_CONV, MN_OP_MAX_POOL},
                                     .combine = MN_COMBINE_CONCAT,
                                     .out = true};
    return g;
}

static inline mn_graph *tiny_lower(const mn_genotype *genotype)
{
    mn_graph *graph = NULL;
    mn_error err;
    assert_ok(mn_genotype_lower(genotype, &graph, &err), &err);
    return graph;
}

/* The end of a chain: the logits. */
#define TINY_LAST                                                                                  \
    {                                                                                              \
        .prim = MN_PRIM_FULLY_CONNECTED, .name = "fc", .channels = tiny_classes, .bias = true      \
    }

/* A graph of one chain behind the image, whose last node is the only output. */
static inline mn_graph *tiny_chain(const mn_node_spec *specs, uint32_t count)
{
    mn_error err;
    mn_graph *graph = NULL;
    mn_graph_builder *b = NULL;
    assert_ok(mn_graph_builder_create(&b, &err), &err);
    mn_node_spec input = {
        .prim = MN_PRIM_INPUT, .name = "in", .shape = {tiny_h, tiny_w, tiny_c}, .layer = MN_NONE};
    uint32_t last = mn_graph_add(b, &input);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t both[2] = {last, last};
        mn_node_spec spec = specs[i];
        spec.inputs = spec.prim == MN_PRIM_INPUT ? NULL : both;
        spec.input_count = spec.prim == MN_PRIM_INPUT ? 0 : spec.prim == MN_PRIM_ADD ? 2 : 1;
        spec.layer = MN_NONE;
        last = mn_graph_add(b, &spec);
    }
    assert_ok(mn_graph_builder_finish(b, &last, 1, &graph, &err), &err);
    mn_graph_builder_free(b);
    return graph;
}

/* A setup to train on all of the data. */
static inline mn_trainer_setup tiny_setup(const mn_graph *graph, const tiny_data *d)
{
    mn_trainer_setup setup = {.graph = graph,
                              .dataset = &d->dataset,
                              .indices = d->indices,
                              .index_count = tiny_train,
                              .preprocessing = d->preprocessing,
                              .opts = mn_train_opts_default()};
    setup.opts.epochs = 4;
    setup.opts.batch = 16;
    setup.opts.compute = MN_COMPUTE_FLOAT32;
    setup.opts.augmentation = (mn_augmentation){.crop_padding = 1};
    return setup;
}

static inline mn_trainer *tiny_trainer(const mn_trainer_setup *setup)
{
    mn_trainer *trainer = NULL;
    mn_error err;
    assert_ok(mn_trainer_create(setup, &trainer, &err), &err);
    return trainer;
}

static inline mn_tensors *tiny_tensors(mn_trainer *trainer)
{
    mn_tensors *tensors = NULL;
    mn_error err;
    assert_ok(mn_trainer_tensors(trainer, &tensors, &err), &err);
    return tensors;
}

/* He weights, and everything else as training could have left it: no shift or mean is zero, no
 * variance is one. */
static inline mn_tensors *tiny_random_tensors(const mn_graph *graph, uint64_t seed)
{
    mn_tensors *tensors = NULL;
    mn_error err;
    mn_random random = mn_random_make(seed, 3);
    assert_ok(mn_tensors_initialise(graph, seed, &tensors, &err), &err);
    for (uint32_t t = 0; t < tensors->count; t++) {
        mn_tensor_role role = mn_graph_tensor(graph, t)->role;
        float *data = tensors->items[t].data;
        for (size_t i = 0; i < mn_graph_tensor_elements(graph, t); i++) {
            if (role == MN_ROLE_BIAS || role == MN_ROLE_BETA || role == MN_ROLE_MEAN)
                data[i] = 0.3f * mn_random_normal(&random);
            else if (role == MN_ROLE_GAMMA || role == MN_ROLE_VARIANCE)
                data[i] = 0.5f + mn_random_uniform(&random);
        }
    }
    return tensors;
}

#endif

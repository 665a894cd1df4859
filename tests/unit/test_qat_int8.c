/*
 * What fine-tuning promises: the prepared graph computes what the int8 kernels will. Every kernel
 * of the reference run against the steps of a training's forward pass from the same inputs, and a
 * network that is fine-tuned, converted and run.
 */
#include "train_fixture.h"

#include <math.h>

#include "memnet/deploy.h"
#include "memnet/qat.h"
#include "memnet/quantize.h"
#include "train/network.h"

enum { images = 16 };

static tiny_data data;

static int set_up(void **state)
{
    (void)state;
    tiny_data_init(&data);
    return 0;
}

/* A network that one epoch has trained, deployed. */
typedef struct subject {
    mn_graph *deployed;
    mn_tensors *folded;
    mn_quant *quant;
} subject;

static subject subject_make(const mn_genotype *genotype)
{
    mn_error err;
    subject s = {0};
    mn_graph *graph = tiny_lower(genotype);
    mn_trainer_setup setup = tiny_setup(graph, &data);
    mn_epoch_result result;
    setup.opts.epochs = 1;
    setup.opts.learning_rate = 0.05f;
    mn_trainer *trainer = tiny_trainer(&setup);
    assert_ok(mn_trainer_epoch(trainer, &result, &err), &err);
    mn_tensors *tensors = tiny_tensors(trainer);
    assert_ok(mn_deploy(graph, tensors, &s.deployed, &s.folded, &err), &err);
    const mn_quantize_input input = {.graph = s.deployed,
                                     .tensors = s.folded,
                                     .preprocessing = data.preprocessing,
                                     .dataset = &data.dataset,
                                     .indices = data.indices,
                                     .index_count = tiny_train};
    mn_quantize_opts opts = mn_quantize_opts_default();
    opts.correct_bias = false;
    assert_ok(mn_quantize(&input, &opts, &s.quant, &err), &err);
    mn_tensors_free(tensors);
    mn_trainer_free(trainer);
    mn_graph_free(graph);
    return s;
}

static void subject_done(subject *s)
{
    mn_quant_free(s->quant);
    mn_tensors_free(s->folded);
    mn_graph_free(s->deployed);
}

/* The forward pass of training over test images, every value kept. */
typedef struct forward {
    mn_arena *arena;
    mn_graph *prepared;
    mn__network *net;
    float *pixels; /* (N,C,H,W) */
} forward;

static forward forward_make(const subject *s)
{
    mn_error err;
    forward f = {0};
    const mn__network_opts opts = {.batch = images,
                                   .slices = 1,
                                   .simd = mn__simd_choose(false),
                                   .int8_weights = true,
                                   .separate = true};
    assert_ok(mn_qat_prepare(s->deployed, s->quant->values, &f.prepared, &err), &err);
    assert_ok(mn_arena_create(&f.arena, &err), &err);
    assert_ok(mn__network_create(f.prepared, &opts, f.arena, &f.net, &err), &err);
    mn__parameters_import(f.net, MN__PART_VALUE, s->folded);
    f.pixels = calloc((size_t)images * tiny_pixels, sizeof *f.pixels);
    assert_non_null(f.pixels);
    const uint8_t *from = data.dataset.test.pixels;
    for (size_t i = 0; i < (size_t)images * tiny_pixels; i++) {
        size_t image = i / tiny_pixels, pixel = i % tiny_pixels;
        size_t to = image * tiny_pixels + pixel % tiny_c * tiny_h * tiny_w + pixel / tiny_c;
        f.pixels[to] = ((float)from[i] - data.preprocessing.mean) * data.preprocessing.scale;
    }
    mn__network_forward(f.net, f.pixels, false);
    return f;
}

static void forward_done(forward *f)
{
    free(f->pixels);
    mn__network_free(f->net);
    mn_arena_free(f->arena);
    mn_graph_free(f->prepared);
}

/* Runs the forward steps of one prepared node for one image. */
static void run_steps(const forward *f, uint32_t node, uint32_t image)
{
    const mn__worker worker = {.scratch = f->net->scratch};
    for (uint32_t i = 0; i < f->net->forward.count; i++) {
        const mn__step *step = &f->net->forward.steps[i];
        if (step->node != node)
            continue;
        if (step->begin != NULL)
            step->begin(step->context, false);
        if (step->image != NULL)
            step->image(step->context, &worker, image);
        if (step->end != NULL)
            step->end(step->context, false);
    }
}

/* Computes one image of the value of a deployed node anew, rounded; yields the prepared node that
 * holds it. */
static uint32_t run_again(const forward *f, const char *name, uint32_t image)
{
    const size_t length = strlen(name);
    uint32_t found = MN_NONE;
    for (uint32_t n = 0; n < mn_graph_node_count(f->prepared); n++) {
        const char *other = mn_graph_node(f->prepared, n)->name;
        bool itself = strcmp(other, name) == 0;
        bool rounded = strncmp(other, name, length) == 0 && strcmp(other + length, "/grid") == 0;
        if (itself || rounded || mn_graph_node(f->prepared, n)->prim == MN_PRIM_CONCAT)
            run_steps(f, n, image); /* concats that are no kernels copy what has changed */
        if (itself || rounded)
            found = n;
    }
    assert_true(found != MN_NONE);
    return found;
}

/* Compares the values of one image as they are made. */
typedef struct comparison {
    const subject *s;
    const forward *f;
    uint32_t image;
    uint64_t numbers, same, near; /* near: one step apart */
} comparison;

/* Yields what the value (H,W,C) of one image is, and puts `now` there, where it is stored. */
static void exchange(const comparison *c, uint32_t prepared, const float *now, float *ret_was)
{
    const mn__value *value = c->f->net->value_of[prepared];
    const mn__simd *simd = c->f->net->opts.simd;
    const size_t pixels = (size_t)value->shape.h * value->shape.w;
    float *blocked = calloc(mn__value_elements(value), sizeof *blocked);
    mn__view view = mn__view_of(c->f->net, value);
    assert_non_null(blocked);
    simd->to_float(&view, c->image, blocked);
    for (uint32_t lane = 0; lane < value->lanes; lane++)
        for (size_t i = 0; i < pixels && value->channel_of[lane] != MN_NONE; i++) {
            float *at =
                &blocked[(lane / simd->lanes * pixels + i) * simd->lanes + lane % simd->lanes];
            size_t plain = i * value->shape.c + value->channel_of[lane];
            ret_was[plain] = *at;
            *at = now[plain];
        }
    if (mn__value_plain(value))
        simd->from_float(blocked, NULL, &view.maps, c->image);
    free(blocked);
}

static void compare(void *context, uint32_t n, const int8_t *values, uint32_t pixel_stride)
{
    comparison *c = context;
    const mn_node *node = mn_graph_node(c->s->deployed, n);
    const mn_quant_value *grid = &c->s->quant->values[n];
    const size_t count = mn_shape_elements(node->shape);
    const uint32_t prepared = run_again(c->f, node->name, c->image);
    float *floats = calloc(count, sizeof *floats);
    float *reals = calloc(count, sizeof *reals);
    assert_true(floats != NULL && reals != NULL);
    for (size_t i = 0; i < count; i++) {
        const size_t pixel = i / node->shape.c;
        float q = (float)values[pixel * pixel_stride + i % node->shape.c];
        reals[i] = (q - (float)grid->zero_point) * grid->scale;
    }
    if (node->prim == MN_PRIM_FULLY_CONNECTED)
        memcpy(floats, c->f->net->logits + c->image * count, count * sizeof *floats);
    else
        exchange(c, prepared, reals, floats);
    for (size_t i = 0; i < count; i++) {
        long apart = labs(lroundf((floats[i] - reals[i]) / grid->scale));
        c->numbers++;
        c->same += apart == 0;
        c->near += apart == 1;
    }
    free(reals);
    free(floats);
}

/* Float sums are rounded where int8's are exact, biases and multipliers are rounded in int8: a
 * number right between two steps may go either way. Means of a pool are so quite often. */
static void check(const mn_genotype *genotype)
{
    mn_error err;
    subject s = subject_make(genotype);
    forward f = forward_make(&s);
    mn_int8_network *network = NULL;
    comparison c = {.s = &s, .f = &f};
    int8_t input[tiny_pixels], logits[tiny_classes];
    assert_ok(mn_int8_network_create(s.deployed, s.quant, &network, &err), &err);
    size_t bytes = (mn_int8_network_arena_bytes(network) + 15) / 16 * 16;
    void *arena = aligned_alloc(16, bytes);
    assert_non_null(arena);
    const mn_int8_visitor visitor = {.visit = compare, .context = &c};
    for (c.image = 0; c.image < images; c.image++) {
        mn_int8_network_image(
            network, data.preprocessing, &data.dataset, &data.dataset.test, c.image, input);
        mn_int8_network_run(network, arena, input, logits, &visitor);
    }
    assert_true(c.numbers > 10000);
    assert_int_equal(c.same + c.near, c.numbers);
    if ((double)c.same < 0.99 * (double)c.numbers)
        fail_msg("%.2f %% are the same", 100.0 * (double)c.same / (double)c.numbers);
    free(arena);
    mn_int8_network_free(network);
    forward_done(&f);
    subject_done(&s);
}

static void test_same_values(void **state)
{
    (void)state;
    const mn_genotype genotypes[] = {
        tiny_genotype(MN_HEAD_GAP), tiny_genotype(MN_HEAD_MAXPOOL2), tiny_small_genotype()};
    for (size_t i = 0; i < sizeof genotypes / sizeof genotypes[0]; i++)
        check(&genotypes[i]);
}

/* ---- the whole way --------------------------------------------------------------------------- */

static mn_eval_result run_int8(const mn_graph *deployed, const mn_quant *quant)
{
    mn_error err;
    mn_int8_network *network = NULL;
    mn_eval_result result;
    const mn_int8_task task = {.preprocessing = data.preprocessing,
                               .dataset = &data.dataset,
                               .images = &data.dataset.test,
                               .count = tiny_test,
                               .threads = 1};
    assert_ok(mn_int8_network_create(deployed, quant, &network, &err), &err);
    assert_ok(mn_int8_network_evaluate(network, &task, &result, NULL, &err), &err);
    mn_int8_network_free(network);
    return result;
}

/* Six epochs on grids make an int8 network of one that had barely learned. */
static void test_fine_tuned(void **state)
{
    (void)state;
    mn_error err;
    const mn_genotype g = tiny_small_genotype();
    subject s = subject_make(&g);
    mn_tensors *tuned = NULL;
    mn_quant *quant = NULL;
    mn_trainer_setup setup = tiny_setup(s.deployed, &data);
    setup.initial = s.folded;
    setup.opts = mn_qat_opts_default();
    setup.opts.epochs = 6;
    setup.opts.batch = 16;
    setup.opts.learning_rate = 0.02f;
    setup.opts.augmentation = (mn_augmentation){0};
    assert_ok(mn_qat_train(&setup, s.quant->values, NULL, NULL, &tuned, &err), &err);
    assert_ok(mn_quant_convert(s.deployed, tuned, s.quant->values, &quant, &err), &err);
    mn_eval_result before = run_int8(s.deployed, s.quant);
    mn_eval_result after = run_int8(s.deployed, quant);
    assert_true(after.loss < 0.9 * before.loss && after.correct >= before.correct);
    mn_quant_free(quant);
    mn_tensors_free(tuned);
    subject_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_values),
        cmocka_unit_test(test_fine_tuned),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

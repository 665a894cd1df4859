/* What a trainer refuses: data and options that do not fit, graphs that cannot be trained, sizes
 * that no machine has. One line each, and nothing is left behind. */
#include "train_fixture.h"

#include <math.h>

static tiny_data data;

static int set_up(void **state)
{
    (void)state;
    tiny_data_init(&data);
    return 0;
}

static void refuse(const mn_trainer_setup *setup, mn_status status, const char *text)
{
    mn_trainer *trainer = NULL;
    mn_error err;
    assert_error(mn_trainer_create(setup, &trainer, &err), status, &err, text);
    assert_null(trainer);
    assert_null(strchr(err.message, '\n'));
}

static void test_data_that_does_not_fit(void **state)
{
    (void)state;
    mn_genotype g = tiny_small_genotype();
    mn_graph *graph = tiny_lower(&g);
    mn_trainer_setup setup = tiny_setup(graph, &data);
    mn_dataset other = data.dataset;
    setup.dataset = &other;
    other.shape.w = 9;
    refuse(&setup, MN_ERR_MISMATCH, "the network reads (9,8,3), the data set has (9,9,3)");
    other = data.dataset;
    other.class_count = 5;
    refuse(&setup, MN_ERR_MISMATCH, "the network has 4 classes, the data set 5");
    other = data.dataset;
    setup.index_count = 0;
    refuse(&setup, MN_ERR_ARG, "no images to train on");
    setup.index_count = 3;
    setup.indices = NULL;
    refuse(&setup, MN_ERR_ARG, "no images to train on");
    const uint32_t outside[] = {0, 1, tiny_train};
    setup.indices = outside;
    refuse(&setup, MN_ERR_ARG, "index 2 is 100, out of range [0,100)");
    mn_graph_free(graph);
}

static void test_epochs_past_the_end(void **state)
{
    (void)state;
    mn_genotype g = tiny_small_genotype();
    mn_graph *graph = tiny_lower(&g);
    mn_trainer_setup setup = tiny_setup(graph, &data);
    mn_epoch_result result;
    mn_error err;
    setup.opts.epochs = 1;
    setup.index_count = 4;
    mn_trainer *trainer = tiny_trainer(&setup);
    assert_ok(mn_trainer_epoch(trainer, &result, &err), &err);
    assert_error(
        mn_trainer_epoch(trainer, &result, &err), MN_ERR_ARG, &err, "epoch 2 of a training of 1");
    mn_trainer_free(trainer);
    setup.dataset = NULL;
    trainer = tiny_trainer(&setup);
    assert_error(mn_trainer_epoch(trainer, &result, &err), MN_ERR_ARG, &err, "without a data set");
    mn_trainer_free(trainer);
    mn_graph_free(graph);
}

static void test_options_out_of_range(void **state)
{
    (void)state;
    mn_error err;
    mn_train_opts good = mn_train_opts_default();
    assert_ok(mn_train_opts_check(&good, &err), &err);
    static const uint32_t bad_counts[] = {0, UINT32_MAX};
    static const float bad_numbers[] = {NAN, INFINITY, -INFINITY, -1e-6f, 101.0f};
    for (size_t i = 0; i < sizeof bad_counts / sizeof bad_counts[0]; i++) {
        mn_train_opts epochs = good, batch = good, threads = good;
        epochs.epochs = batch.batch = threads.threads = bad_counts[i];
        assert_error(mn_train_opts_check(&epochs, &err), MN_ERR_ARG, &err, "epochs: ");
        assert_error(mn_train_opts_check(&batch, &err), MN_ERR_ARG, &err, "batch: ");
        assert_error(mn_train_opts_check(&threads, &err), MN_ERR_ARG, &err, "threads: ");
    }
    for (size_t i = 0; i < sizeof bad_numbers / sizeof bad_numbers[0]; i++) {
        mn_train_opts rate = good, momentum = good, decay = good, smoothing = good, beta = good;
        mn_train_opts average = good;
        rate.learning_rate = momentum.momentum = bad_numbers[i];
        decay.weight_decay = smoothing.label_smoothing = bad_numbers[i];
        assert_error(mn_train_opts_check(&rate, &err), MN_ERR_ARG, &err, "learning rate: ");
        assert_error(mn_train_opts_check(&momentum, &err), MN_ERR_ARG, &err, "momentum: ");
        assert_error(mn_train_opts_check(&decay, &err), MN_ERR_ARG, &err, "weight decay: ");
        assert_error(mn_train_opts_check(&smoothing, &err), MN_ERR_ARG, &err, "label smoothing: ");
        beta.beta_rate = 10.0f * bad_numbers[i];
        assert_error(mn_train_opts_check(&beta, &err), MN_ERR_ARG, &err, "beta rate: ");
        average.average = bad_numbers[i];
        assert_error(mn_train_opts_check(&average, &err), MN_ERR_ARG, &err, "average: ");
    }
    mn_train_opts edges = good;
    edges.momentum = edges.label_smoothing = 1.0f;
    assert_error(mn_train_opts_check(&edges, &err), MN_ERR_ARG, &err, "momentum: 1 out of range");
    edges.momentum = 0.0f;
    assert_error(mn_train_opts_check(&edges, &err), MN_ERR_ARG, &err, "label smoothing: 1");
    edges = good;
    edges.average = 1.0f;
    assert_error(mn_train_opts_check(&edges, &err), MN_ERR_ARG, &err, "average: 1 out of range");
    edges = good;
    edges.schedule = (mn_schedule)2;
    assert_error(mn_train_opts_check(&edges, &err), MN_ERR_ARG, &err, "schedule: no number 2");
    edges = good;
    edges.augmentation.flip = (mn_flip)3;
    assert_error(mn_train_opts_check(&edges, &err), MN_ERR_ARG, &err, "flip: no number 3");
    edges = good;
    edges.augmentation.mixup = NAN;
    assert_error(mn_train_opts_check(&edges, &err), MN_ERR_ARG, &err, "mixup: nan out of range");
    /* The trainer asks. */
    mn_genotype g = tiny_small_genotype();
    mn_graph *graph = tiny_lower(&g);
    mn_trainer_setup setup = tiny_setup(graph, &data);
    setup.opts.learning_rate = NAN;
    refuse(&setup, MN_ERR_ARG, "learning rate: nan out of range [0,100]");
    mn_graph_free(graph);
}

static void refuse_chain(const mn_node_spec *specs, uint32_t count, const char *text)
{
    mn_graph *graph = tiny_chain(specs, count);
    mn_trainer_setup setup = {.graph = graph, .opts = mn_train_opts_default()};
    refuse(&setup, MN_ERR_UNSUPPORTED, text);
    mn_graph_free(graph);
}

static void test_graphs_that_cannot_be_trained(void **state)
{
    (void)state;
    const mn_window one = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
    const mn_node_spec conv = {.prim = MN_PRIM_CONV, .name = "c", .channels = 8, .window = one};
    const mn_node_spec grouped = {
        .prim = MN_PRIM_CONV, .name = "g", .channels = 8, .window = one, .groups = 2};
    const mn_node_spec multiplied = {
        .prim = MN_PRIM_CONV, .name = "m", .channels = 6, .window = one, .groups = 3};
    const mn_node_spec end = TINY_LAST;
    refuse_chain((mn_node_spec[]){conv, grouped, end}, 3, "g: 2 groups of 8 channels: only dense");
    refuse_chain((mn_node_spec[]){multiplied, end}, 2, "m: 3 groups of 3 channels: only dense");
    refuse_chain((mn_node_spec[]){{.prim = MN_PRIM_INPUT, .name = "in2", .shape = {2, 2, 1}}, end},
                 2,
                 "in2: a second input cannot be trained");
    refuse_chain((mn_node_spec[]){conv}, 1, "c: expected a fully connected layer at the end");
    refuse_chain((mn_node_spec[]){end, {.prim = MN_PRIM_RELU, .name = "r"}},
                 2,
                 "r: expected a fully connected layer at the end");
    refuse_chain(
        (mn_node_spec[]){
            conv,
            {.prim = MN_PRIM_RESHAPE, .name = "r", .shape = {1, 1, tiny_h * tiny_w * 8}},
            end},
        3,
        "r: a reshape node cannot be trained");
    mn_node_spec relu_end = end;
    relu_end.act = MN_ACT_RELU;
    refuse_chain(&relu_end, 1, "fc: an activation of logits cannot be trained");
    /* Logits have no blocks: nobody but the loss may read them. */
    mn_node_spec first = end;
    first.name = "first";
    const mn_node_spec readers[] = {
        {.prim = MN_PRIM_FULLY_CONNECTED, .name = "x", .channels = 8},
        {.prim = MN_PRIM_BATCH_NORM, .name = "x"},
        {.prim = MN_PRIM_CONV, .name = "x", .channels = 8, .window = one},
        {.prim = MN_PRIM_ADD, .name = "x"},
        {.prim = MN_PRIM_CONCAT, .name = "x"},
        {.prim = MN_PRIM_MAX_POOL, .name = "x", .window = one},
        {.prim = MN_PRIM_GLOBAL_POOL, .name = "x"},
        {.prim = MN_PRIM_RELU, .name = "x"},
        {.prim = MN_PRIM_IDENTITY, .name = "x"},
        {.prim = MN_PRIM_FAKE_QUANT, .name = "x", .grid = {.scale = 1.0f, .low = -8, .high = 7}},
    };
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++)
        refuse_chain((mn_node_spec[]){first, readers[i], end},
                     3,
                     "node behind a fully connected one cannot be trained");
}

/* Both read the image; nobody reads the first. */
static void test_two_fully_connected(void **state)
{
    (void)state;
    mn_error err;
    mn_graph *graph = NULL;
    mn_graph_builder *b = NULL;
    assert_ok(mn_graph_builder_create(&b, &err), &err);
    mn_node_spec input = {
        .prim = MN_PRIM_INPUT, .name = "in", .shape = {tiny_h, tiny_w, tiny_c}, .layer = MN_NONE};
    uint32_t in = mn_graph_add(b, &input);
    mn_node_spec unread = TINY_LAST;
    unread.name = "unread";
    unread.inputs = &in;
    unread.input_count = 1;
    unread.layer = MN_NONE;
    mn_graph_add(b, &unread);
    mn_node_spec end = unread;
    end.name = "end";
    uint32_t last = mn_graph_add(b, &end);
    assert_ok(mn_graph_builder_finish(b, &last, 1, &graph, &err), &err);
    mn_graph_builder_free(b);
    mn_trainer_setup setup = {.graph = graph, .opts = mn_train_opts_default()};
    refuse(&setup, MN_ERR_UNSUPPORTED, "end: a second fully connected layer cannot be trained");
    mn_graph_free(graph);
}

/* Fake-quant whose grid has no zero would fill lanes that have no channel. */
static void test_grid_without_zero(void **state)
{
    (void)state;
    static const int32_t zeros[] = {-9, 8};
    for (int i = 0; i < 2; i++) {
        mn_error err;
        mn_graph *graph = NULL;
        mn_graph_builder *b = NULL;
        assert_ok(mn_graph_builder_create(&b, &err), &err);
        mn_node_spec input = {
            .prim = MN_PRIM_INPUT, .name = "in", .shape = {2, 2, 1}, .layer = MN_NONE};
        uint32_t n = mn_graph_add(b, &input);
        mn_node_spec quant = {.prim = MN_PRIM_FAKE_QUANT,
                              .name = "q",
                              .inputs = &n,
                              .input_count = 1,
                              .grid = {.scale = 1.0f, .zero_point = zeros[i], .low = -8, .high = 7},
                              .layer = MN_NONE};
        uint32_t q = mn_graph_add(b, &quant);
        assert_error(mn_graph_builder_finish(b, &q, 1, &graph, &err),
                     MN_ERR_ARG,
                     &err,
                     i == 0 ? "zero point -9 out of range [-8,7]"
                            : "zero point 8 out of range [-8,7]");
        mn_graph_builder_free(b);
    }
}

/* Sizes that no machine has: one line, nothing left behind. */
static void test_no_memory(void **state)
{
    (void)state;
    mn_node_spec pool = {.prim = MN_PRIM_GLOBAL_POOL, .name = "p"};
    mn_node_spec conv = {.prim = MN_PRIM_CONV,
                         .name = "c",
                         .channels = 1 << 22,
                         .window = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}};
    mn_node_spec end = TINY_LAST;
    mn_graph *graph = tiny_chain((mn_node_spec[]){conv, pool, end}, 3);
    mn_trainer_setup setup = {.graph = graph, .opts = mn_train_opts_default()};
    setup.opts.batch = 4096;
    refuse(&setup, MN_ERR_NOMEM, "no memory for ");
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_that_does_not_fit),
        cmocka_unit_test(test_epochs_past_the_end),
        cmocka_unit_test(test_options_out_of_range),
        cmocka_unit_test(test_graphs_that_cannot_be_trained),
        cmocka_unit_test(test_two_fully_connected),
        cmocka_unit_test(test_grid_without_zero),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

/* Whitening: what the filters make of the image's patches, computed plainly; which convolution it
 * is; and that training leaves it alone. */
#include "train_fixture.h"

#include <math.h>

#include "tensors_check.h"
#include "train/trainer.h"
#include "train/whiten.h"

static tiny_data data;

static int set_up(void **state)
{
    (void)state;
    tiny_data_init(&data);
    return 0;
}

/* One convolution with `filters` filters behind the image. */
static mn_graph *conv_graph(const mn_window *window, uint32_t filters)
{
    const mn_node_spec specs[] = {
        {.prim = MN_PRIM_CONV, .name = "c", .channels = filters, .window = *window},
        {.prim = MN_PRIM_BATCH_NORM, .name = "norm"},
        {.prim = MN_PRIM_RELU, .name = "relu"},
        {.prim = MN_PRIM_GLOBAL_POOL, .name = "pool"},
        TINY_LAST};
    return tiny_chain(specs, 5);
}

static mn_window window_of(uint32_t kernel_h, uint32_t kernel_w, uint32_t stride, uint32_t dilation)
{
    return mn_window_same((mn_shape){tiny_h, tiny_w, tiny_c}, kernel_h, kernel_w, stride, dilation);
}

static mn_trainer_setup whiten_setup(const mn_graph *graph)
{
    mn_trainer_setup setup = tiny_setup(graph, &data);
    setup.opts.whiten = true;
    return setup;
}

static mn_tensors *initial(const mn_trainer_setup *setup)
{
    mn_trainer *trainer = tiny_trainer(setup);
    mn_tensors *tensors = tiny_tensors(trainer);
    mn_trainer_free(trainer);
    return tensors;
}

/* The answers of two filters to the patch at (y,x) of training image `image`, from the pixels. */
static void answer(const mn_window *w,
                   const float *const filters[2],
                   uint32_t image,
                   uint32_t y,
                   uint32_t x,
                   double ret_answers[2])
{
    ret_answers[0] = ret_answers[1] = 0.0;
    size_t at = 0;
    for (uint32_t c = 0; c < tiny_c; c++)
        for (uint32_t ky = 0; ky < w->kernel_h; ky++)
            for (uint32_t kx = 0; kx < w->kernel_w; kx++, at++) {
                uint32_t row = y + ky * w->dilation_h;
                uint32_t column = x + kx * w->dilation_w;
                size_t pixel = ((size_t)image * tiny_h + row) * tiny_w + column;
                double value = ((double)data.pixels[pixel * tiny_c + c] - 107.0) / 55.0;
                ret_answers[0] += value * (double)filters[0][at];
                ret_answers[1] += value * (double)filters[1][at];
            }
}

/* Covariance of what two filters answer over all patches inside of all images. */
static double covariance(const mn_window *w, const float *a, const float *b)
{
    const float *const filters[2] = {a, b};
    double sums[2] = {0.0, 0.0};
    double products = 0.0;
    double count = 0.0;
    for (uint32_t image = 0; image < tiny_train; image++)
        for (uint32_t y = 0; y + (w->kernel_h - 1) * w->dilation_h < tiny_h; y++)
            for (uint32_t x = 0; x + (w->kernel_w - 1) * w->dilation_w < tiny_w; x++) {
                double answers[2];
                answer(w, filters, image, y, x, answers);
                sums[0] += answers[0];
                sums[1] += answers[1];
                products += answers[0] * answers[1];
                count += 1.0;
            }
    return products / count - sums[0] / count * (sums[1] / count);
}

/* Uncorrelated; of size 1 but for epsilon: lambda / (lambda + e) = 1 - e |w|^2. */
static void check_white(const mn_window *w, const float *weight, uint32_t filters)
{
    const uint32_t n = tiny_c * w->kernel_h * w->kernel_w;
    double before = 1e9;
    for (uint32_t f = 0; f < filters && f < 2 * n; f += 2) {
        const float *plus = weight + (size_t)f * n;
        double norm = 0.0;
        for (uint32_t i = 0; i < n; i++) {
            norm += (double)plus[i] * (double)plus[i];
            assert_true(f + 1 == filters || plus[n + i] == -plus[i]);
        }
        double eigenvalue = 1.0 / norm - 5e-4;
        assert_true(eigenvalue > 0.01 && eigenvalue < before + 1e-6); /* the largest comes first */
        before = eigenvalue;
        assert_true(fabs(covariance(w, plus, plus) - (1.0 - 5e-4 * norm)) < 1e-4);
        for (uint32_t other = 0; other < f; other += 6)
            assert_true(fabs(covariance(w, plus, weight + (size_t)other * n)) < 1e-4);
    }
}

/* Square and oblong windows, strides, dilation, and fewer and more filters than there are. */
static void test_patches_become_white(void **state)
{
    (void)state;
    const mn_window windows[] = {window_of(3, 3, 1, 1),
                                 window_of(2, 2, 1, 1),
                                 window_of(1, 5, 1, 1),
                                 window_of(3, 3, 2, 1),
                                 window_of(3, 2, 1, 2)};
    static const uint32_t filters[] = {54, 24, 40, 7, 36};
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        mn_graph *graph = conv_graph(&windows[i], filters[i]);
        mn_trainer_setup setup = whiten_setup(graph);
        mn_tensors *white = initial(&setup);
        setup.opts.whiten = false;
        mn_tensors *plain = initial(&setup);
        const uint32_t n = tiny_c * windows[i].kernel_h * windows[i].kernel_w;
        const uint32_t set = filters[i] < 2 * n ? filters[i] : 2 * n;
        check_white(&windows[i], white->items[0].data, filters[i]);
        assert_memory_equal((float *)white->items[0].data + (size_t)set * n,
                            (float *)plain->items[0].data + (size_t)set * n,
                            (size_t)(filters[i] - set) * n * sizeof(float));
        for (uint32_t t = 1; t < white->count; t++)
            assert_memory_equal(white->items[t].data,
                                plain->items[t].data,
                                mn_graph_tensor_elements(graph, t) * sizeof(float));
        mn_tensors_free(plain);
        mn_tensors_free(white);
        mn_graph_free(graph);
    }
}

static void test_training_leaves_it_alone(void **state)
{
    (void)state;
    const mn_window window = window_of(3, 3, 1, 1);
    mn_graph *graph = conv_graph(&window, 20);
    mn_trainer_setup setup = whiten_setup(graph);
    mn_error err;
    setup.opts.average = 0.9f;
    mn_trainer *trainer = tiny_trainer(&setup);
    mn_tensors *before = tiny_tensors(trainer);
    for (int epoch = 0; epoch < 2; epoch++) {
        mn_epoch_result result;
        assert_ok(mn_trainer_epoch(trainer, &result, &err), &err);
    }
    mn_tensors *after = tiny_tensors(trainer);
    mn_tensors *velocity = NULL;
    assert_ok(mn_tensors_create_for_graph(graph, &velocity, &err), &err);
    mn__parameters_export(trainer->net, MN__PART_VELOCITY, velocity);
    for (uint32_t t = 0; t < before->count; t++) {
        size_t count = mn_graph_tensor_elements(graph, t);
        if (t > 0) {
            assert_memory_not_equal(
                before->items[t].data, after->items[t].data, count * sizeof(float));
            continue;
        }
        assert_memory_equal(before->items[t].data, after->items[t].data, count * sizeof(float));
        for (size_t i = 0; i < count; i++)
            assert_true(((float *)velocity->items[t].data)[i] == 0.0f);
    }
    mn_tensors_free(velocity);
    mn_tensors_free(after);
    mn_tensors_free(before);
    mn_trainer_free(trainer);
    mn_graph_free(graph);
}

/* Numbers that are given stay, but for the convolution's; a trainer without data sets nothing. */
static void test_given_numbers(void **state)
{
    (void)state;
    const mn_window window = window_of(3, 3, 1, 1);
    mn_graph *graph = conv_graph(&window, 20);
    mn_trainer_setup setup = whiten_setup(graph);
    mn_tensors *given = tiny_random_tensors(graph, 8);
    mn_tensors *kept = NULL;
    mn_error err;
    assert_ok(mn_tensors_clone(given, &kept, &err), &err);
    mn_tensors *white = initial(&setup);
    setup.initial = given;
    mn_tensors *tensors = initial(&setup);
    assert_tensors_equal(given, kept);
    for (uint32_t t = 0; t < given->count; t++)
        assert_memory_equal(tensors->items[t].data,
                            t == 0 ? white->items[t].data : given->items[t].data,
                            mn_graph_tensor_elements(graph, t) * sizeof(float));
    mn_tensors_free(tensors);
    setup.dataset = NULL;
    tensors = initial(&setup);
    assert_tensors_equal(given, tensors);
    mn_tensors_free(tensors);
    mn_tensors_free(white);
    mn_tensors_free(kept);
    mn_tensors_free(given);
    mn_graph_free(graph);
}

/* Of more than 2000 images the seed chooses; of fewer, all count. */
static void test_choice_of_images(void **state)
{
    (void)state;
    enum { many = 2400 };
    const mn_window window = window_of(3, 3, 1, 1);
    mn_graph *graph = conv_graph(&window, 20);
    mn_trainer_setup setup = whiten_setup(graph);
    uint32_t indices[many];
    for (uint32_t i = 0; i < many; i++)
        indices[i] = i % tiny_train;
    setup.indices = indices;
    setup.index_count = many;
    mn_tensors *first = initial(&setup);
    mn_tensors *again = initial(&setup);
    assert_tensors_equal(first, again);
    setup.opts.seed = 2;
    mn_tensors *other = initial(&setup);
    assert_memory_not_equal(first->items[0].data, other->items[0].data, 27 * sizeof(float));
    mn_tensors_free(other);
    mn_tensors_free(again);
    mn_tensors_free(first);
    mn_graph_free(graph);
}

static void refuse(const mn_node_spec *specs, uint32_t count)
{
    mn_graph *graph = tiny_chain(specs, count);
    mn_trainer_setup setup = whiten_setup(graph);
    mn_trainer *trainer = NULL;
    mn_error err;
    assert_int_equal(mn__whiten_tensor(graph), MN_NONE);
    assert_error(mn_trainer_create(&setup, &trainer, &err),
                 MN_ERR_UNSUPPORTED,
                 &err,
                 "whiten: no dense convolution reads the image whose window is of several pixels");
    assert_null(trainer);
    mn_graph_free(graph);
}

static void test_networks_without_such_a_convolution(void **state)
{
    (void)state;
    const mn_node_spec end = TINY_LAST;
    const mn_node_spec point = {
        .prim = MN_PRIM_CONV, .name = "p", .channels = 8, .window = window_of(1, 1, 1, 1)};
    const mn_node_spec conv = {
        .prim = MN_PRIM_CONV, .name = "c", .channels = 8, .window = window_of(3, 3, 1, 1)};
    mn_node_spec depthwise = conv;
    depthwise.channels = depthwise.groups = tiny_c;
    mn_node_spec large = conv;
    large.window = window_of(9, 10, 1, 1); /* wider than the image, with more numbers than 256 */
    mn_node_spec wide = conv;
    wide.window = window_of(1, 3, 1, 4); /* nine columns of eight */
    refuse((mn_node_spec[]){end}, 1);
    refuse((mn_node_spec[]){point, end}, 2);
    refuse((mn_node_spec[]){point, conv, end}, 3);
    refuse((mn_node_spec[]){depthwise, end}, 2);
    refuse((mn_node_spec[]){large, end}, 2);
    refuse((mn_node_spec[]){wide, end}, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patches_become_white),
        cmocka_unit_test(test_training_leaves_it_alone),
        cmocka_unit_test(test_given_numbers),
        cmocka_unit_test(test_choice_of_images),
        cmocka_unit_test(test_networks_without_such_a_convolution),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

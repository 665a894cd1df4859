/*
 * The network of the tests of emit/, for boards: exports it and writes images and what the network
 * makes of them, by an evaluation that knows neither the plan nor the kernels.
 *
 * Usage: target_network float32|int8 COUNT FOLDER
 * FOLDER gets out/ (the export), images (COUNT raw images) and expected (COUNT lines of scores).
 */
#include "test.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/random.h"
#include "emit_network.h"

enum { IMAGE_BYTES = NET_H * NET_W * NET_C };

static network net;

static void write_text(const char *folder, const char *name, const mn_buffer *text)
{
    mn_error err;
    char *path = mn_path_join(folder, name);
    assert_non_null(path);
    assert_ok(mn_buffer_check(text, &err), &err);
    assert_ok(mn_file_write(path, text->bytes, text->count, &err), &err);
    free(path);
}

/* The darkest, the brightest, and noise. */
static void fill_image(unsigned char *image, int index, mn_random *random)
{
    for (int k = 0; k < IMAGE_BYTES; k++)
        image[k] =
            index < 2 ? (unsigned char)(255 * index) : (unsigned char)mn_random_below(random, 256);
}

/* One line of scores. */
static void append_float(const unsigned char *image, mn_buffer *out)
{
    double scores[NET_CLASSES];
    network_run(&net, image, scores);
    for (int c = 0; c < NET_CLASSES; c++)
        mn_buffer_printf(out, "%.17g%s", scores[c], c + 1 < NET_CLASSES ? " " : "\n");
}

static void append_int8(const unsigned char *image, mn_buffer *out)
{
    int8_t input[IMAGE_BYTES];
    int8_t *values[NET_NODES_MAX] = {NULL};
    for (int k = 0; k < IMAGE_BYTES; k++)
        input[k] = (int8_t)(image[k] - 128);
    network_run_s8(&net, input, values);
    const int8_t *scores = values[mn_graph_output(net.graph, 0)];
    for (int c = 0; c < NET_CLASSES; c++)
        mn_buffer_printf(out, "%d%s", scores[c], c + 1 < NET_CLASSES ? " " : "\n");
    for (uint32_t i = 0; i < NET_NODES_MAX; i++)
        free(values[i]);
}

static void write_images(const char *folder, int count)
{
    mn_buffer images;
    mn_buffer expected;
    mn_random random = mn_random_make(7, 1);
    mn_buffer_init(&images);
    mn_buffer_init(&expected);
    for (int i = 0; i < count; i++) {
        unsigned char image[IMAGE_BYTES];
        fill_image(image, i, &random);
        mn_buffer_append(&images, image, sizeof image);
        if (net.quant == NULL)
            append_float(image, &expected);
        else
            append_int8(image, &expected);
    }
    write_text(folder, "images", &images);
    write_text(folder, "expected", &expected);
    mn_buffer_done(&expected);
    mn_buffer_done(&images);
}

int main(int argc, char **argv)
{
    mn_error err;
    if (argc != 4) {
        fprintf(stderr, "usage: target_network float32|int8 COUNT FOLDER\n");
        return 2;
    }
    network_init(&net);
    if (strcmp(argv[1], "int8") == 0)
        network_quantise(&net, 1);
    mn_emit_input input = network_input(&net);
    char *out = mn_path_join(argv[3], "out");
    assert_non_null(out);
    assert_ok(mn_emit_c(&input, out, &err), &err);
    write_images(argv[3], (int)strtol(argv[2], NULL, 10));
    free(out);
    network_done(&net);
    return 0;
}

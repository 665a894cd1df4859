/*
 * The network of the tests of emit/, for boards: exports it and writes images and what the network
 * makes of them, by an evaluation that knows nothing of the plan.
 *
 * Usage: target_network COUNT FOLDER
 * FOLDER gets out/ (the export), images (COUNT raw images) and expected (COUNT lines of scores).
 */
#include "test.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/random.h"
#include "emit_network.h"

enum { IMAGE_BYTES = NET_H * NET_W * NET_C };

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

int main(int argc, char **argv)
{
    static network net;
    mn_error err;
    if (argc != 3) {
        fprintf(stderr, "usage: target_network COUNT FOLDER\n");
        return 2;
    }
    network_init(&net);
    mn_emit_input input = network_input(&net);
    char *out = mn_path_join(argv[2], "out");
    assert_non_null(out);
    assert_ok(mn_emit_c(&input, out, &err), &err);
    mn_buffer images;
    mn_buffer expected;
    mn_buffer_init(&images);
    mn_buffer_init(&expected);
    mn_random random = mn_random_make(7, 1);
    int count = (int)strtol(argv[1], NULL, 10);
    for (int i = 0; i < count; i++) {
        unsigned char image[IMAGE_BYTES];
        double scores[NET_CLASSES];
        fill_image(image, i, &random);
        network_run(&net, image, scores);
        mn_buffer_append(&images, image, sizeof image);
        for (int c = 0; c < NET_CLASSES; c++)
            mn_buffer_printf(&expected, "%.17g%s", scores[c], c + 1 < NET_CLASSES ? " " : "\n");
    }
    write_text(argv[2], "images", &images);
    write_text(argv[2], "expected", &expected);
    mn_buffer_done(&expected);
    mn_buffer_done(&images);
    free(out);
    network_done(&net);
    return 0;
}

/*
 * Writes what test_onnxruntime.py compares: a network with every primitive, in float32 and in int8,
 * images, and the logits that the definitions give. Usage: onnx_driver FOLDER
 *
 *     network.onnx, network-int8.onnx
 *     images          raw float32 (N,C,H,W)
 *     float32, int8   raw float32 (N,classes)
 *     step            one step of the int8 logits' grid, as text
 */
#include "test.h"

#include "base/file.h"
#include "base/random.h"
#include "emit_network.h"
#include "hand_quant.h"
#include "memnet/onnx.h"

enum { IMAGES = 40, CALIBRATION = 8, PIXELS = NET_H * NET_W * NET_C };

static const char *folder;

static void write_bytes(const char *name, const void *bytes, size_t count)
{
    mn_error err;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_ok(mn_file_write(path, bytes, count, &err), &err);
}

static void export_as(const char *name, mn_onnx_export_input *input, const mn_quant *quant)
{
    mn_error err;
    char path[4096];
    input->quant = quant;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_ok(mn_onnx_export(input, path, &err), &err);
}

/* (H,W,C) in double to (C,H,W) in float. */
static void write_images(const double *images)
{
    static float planes[IMAGES * PIXELS];
    for (size_t i = 0; i < IMAGES; i++)
        for (size_t p = 0; p < NET_H * NET_W; p++)
            for (size_t c = 0; c < NET_C; c++)
                planes[i * PIXELS + c * NET_H * NET_W + p] =
                    (float)images[i * PIXELS + p * NET_C + c];
    write_bytes("images", planes, sizeof planes);
}

static void
write_logits(const char *name, const network *net, const mn_quant *quant, const double *images)
{
    float logits[IMAGES * NET_CLASSES];
    for (size_t i = 0; i < IMAGES; i++) {
        double of_image[NET_CLASSES];
        hand_quant_run(net->graph, &net->tensors, quant, images + i * PIXELS, of_image);
        for (size_t k = 0; k < NET_CLASSES; k++)
            logits[i * NET_CLASSES + k] = (float)of_image[k];
    }
    write_bytes(name, logits, sizeof logits);
}

static void test_write(void **state)
{
    (void)state;
    static double images[IMAGES * PIXELS];
    static char architecture[] = "{}";
    network net;
    char step[32];
    mn_tensors none = {0};
    mn_random random = mn_random_make(3, 1);
    network_init(&net);
    net.model.architecture = architecture;
    net.model.tensors = &none;
    for (size_t k = 0; k < IMAGES * PIXELS; k++)
        images[k] = (double)(mn_random_normal(&random) * 0.6f);
    mn_quant *quant = hand_quant_make(net.graph, &net.tensors, images, CALIBRATION);
    mn_onnx_export_input input = {.graph = net.graph, .tensors = &net.tensors, .model = &net.model};
    export_as("network.onnx", &input, NULL);
    export_as("network-int8.onnx", &input, quant);
    write_images(images);
    write_logits("float32", &net, NULL, images);
    write_logits("int8", &net, quant, images);
    snprintf(step, sizeof step, "%.9g", (double)quant->values[mn_graph_output(net.graph, 0)].scale);
    write_bytes("step", step, strlen(step));
    hand_quant_free(quant);
    network_done(&net);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_write)};
    if (argc != 2) {
        fprintf(stderr, "usage: onnx_driver FOLDER\n");
        return 64;
    }
    folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Writes what test_onnxruntime.py compares.
 *
 *     onnx_driver FOLDER                  a network with every primitive, and what it computes by
 *                                         the definitions:
 *         network.onnx, network-int8.onnx
 *         images                          raw float32 (N,C,H,W)
 *         float32, int8                   logits, raw float32 (N,classes)
 *         step                            one step of the int8 logits' grid, as text
 *     onnx_driver FOLDER MODEL IMAGES     the same of a model, with int8 tables made by hand from
 *                                         the first of IMAGES, raw bytes (N,H,W,C):
 *         network-int8.onnx, int8
 */
#include "test.h"

#include "base/file.h"
#include "base/random.h"
#include "emit_network.h"
#include "hand_quant.h"
#include "memnet/deploy.h"
#include "memnet/genotype.h"
#include "memnet/onnx.h"

enum { IMAGES = 40, CALIBRATION = 32, PIXELS = NET_H * NET_W * NET_C };

static const char *folder, *model_path, *images_path;

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

/* `images`: `count` of them. */
static void write_logits(const char *name,
                         const mn_onnx_export_input *of,
                         const mn_quant *quant,
                         const double *images,
                         size_t count)
{
    size_t classes = of->model->class_count;
    size_t pixels = mn_shape_elements(mn_graph_node(of->graph, 0)->shape);
    float *logits = calloc(count * classes, sizeof *logits);
    double *of_image = calloc(classes, sizeof *of_image);
    assert_true(logits != NULL && of_image != NULL);
    for (size_t i = 0; i < count; i++) {
        hand_quant_run(of->graph, of->tensors, quant, images + i * pixels, of_image);
        for (size_t k = 0; k < classes; k++)
            logits[i * classes + k] = (float)of_image[k];
    }
    write_bytes(name, logits, count * classes * sizeof *logits);
    free(of_image);
    free(logits);
}

static void test_every_primitive(void **state)
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
    write_logits("float32", &input, NULL, images, IMAGES);
    write_logits("int8", &input, quant, images, IMAGES);
    snprintf(step, sizeof step, "%.9g", (double)quant->values[mn_graph_output(net.graph, 0)].scale);
    write_bytes("step", step, strlen(step));
    hand_quant_free(quant);
    network_done(&net);
}

/* All of IMAGES, preprocessed. */
static double *read_images(const mn_model *model, size_t per_image, size_t *ret_count)
{
    mn_error err;
    char *bytes = NULL;
    size_t count = 0;
    assert_ok(mn_file_read(images_path, (size_t)1 << 30, &bytes, &count, &err), &err);
    double *images = calloc(count, sizeof *images);
    assert_non_null(images);
    for (size_t k = 0; k < count; k++)
        images[k] = ((double)(unsigned char)bytes[k] - (double)model->preprocessing.mean) *
                    (double)model->preprocessing.scale;
    free(bytes);
    *ret_count = count / per_image;
    return images;
}

static void test_model(void **state)
{
    (void)state;
    mn_error err;
    mn_model *model = NULL;
    mn_genotype genotype;
    mn_graph *graph = NULL;
    mn_graph *deployed = NULL;
    mn_tensors *tensors = NULL;
    mn_tensors *folded = NULL;
    size_t count = 0;
    assert_ok(mn_model_load(model_path, &model, &err), &err);
    assert_ok(mn_genotype_parse(model->architecture, strlen(model->architecture), &genotype, &err),
              &err);
    assert_ok(mn_genotype_lower(&genotype, &graph, &err), &err);
    assert_ok(mn_tensors_arrange(graph, model->tensors, &tensors, &err), &err);
    assert_ok(mn_deploy(graph, tensors, &deployed, &folded, &err), &err);
    double *images = read_images(model, mn_shape_elements(genotype.input), &count);
    assert_true(count >= CALIBRATION);
    mn_quant *quant = hand_quant_make(deployed, folded, images, CALIBRATION);
    mn_onnx_export_input input = {.graph = deployed, .tensors = folded, .model = model};
    export_as("network-int8.onnx", &input, quant);
    write_logits("int8", &input, quant, images, count);
    hand_quant_free(quant);
    free(images);
    mn_tensors_free(folded);
    mn_graph_free(deployed);
    mn_tensors_free(tensors);
    mn_graph_free(graph);
    mn_model_free(model);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest primitives[] = {cmocka_unit_test(test_every_primitive)};
    const struct CMUnitTest models[] = {cmocka_unit_test(test_model)};
    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: onnx_driver FOLDER [MODEL IMAGES]\n");
        return 64;
    }
    folder = argv[1];
    model_path = argv[argc == 4 ? 2 : 0];
    images_path = argv[argc == 4 ? 3 : 0];
    return argc == 4 ? cmocka_run_group_tests(models, NULL, NULL)
                     : cmocka_run_group_tests(primitives, NULL, NULL);
}

/*
 * Writes what test_onnxruntime.py compares.
 *
 *     onnx_driver FOLDER                  a network with every primitive, and what it computes by
 *                                         the definitions:
 *         network.onnx, network-int8.onnx
 *         images                          raw float32 (N,C,H,W)
 *         float32, int8                   logits, raw float32 (N,classes)
 *         step                            one step of the int8 logits' grid, as text
 *     onnx_driver FOLDER MODEL SPEC       a model, quantised, and what its reference run computes
 * for the test images: network-int8.onnx classes                         one a line layers,
 * layers.bin              what each kernel makes of the first image: node, op and count a line; the
 * int8 numbers (H,W,C), one after another
 */
#include "test.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/random.h"
#include "emit_network.h"
#include "hand_quant.h"
#include "memnet/deploy.h"
#include "memnet/genotype.h"
#include "memnet/onnx.h"
#include "memnet/quantize.h"

enum { IMAGES = 40, CALIBRATION = 32, PIXELS = NET_H * NET_W * NET_C };

static const char *folder, *model_path, *spec;

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

/* The layers of one image as they come. */
typedef struct layers {
    const mn_graph *graph;
    mn_buffer list, numbers;
} layers;

static void visit(void *context, uint32_t node, const int8_t *values, uint32_t pixel_stride)
{
    layers *l = context;
    const mn_node *n = mn_graph_node(l->graph, node);
    for (size_t p = 0; p < (size_t)n->shape.h * n->shape.w; p++)
        mn_buffer_append(&l->numbers, values + p * pixel_stride, n->shape.c);
    mn_buffer_printf(
        &l->list, "%s %s %zu\n", n->name, mn_prim_name(n->prim), mn_shape_elements(n->shape));
}

static void write_layers(const mn_graph *graph,
                         const mn_int8_network *network,
                         const mn_int8_task *task,
                         uint32_t classes)
{
    layers l = {.graph = graph};
    size_t arena_bytes = mn_int8_network_arena_bytes(network);
    void *arena = aligned_alloc(16, (arena_bytes + 15) / 16 * 16);
    int8_t *image = malloc(mn_shape_elements(task->dataset->shape));
    int8_t *logits = malloc(classes);
    assert_true(arena != NULL && image != NULL && logits != NULL);
    mn_int8_network_image(network, task->preprocessing, task->dataset, task->images, 0, image);
    mn_int8_network_run(network, arena, image, logits, &(mn_int8_visitor){visit, &l});
    write_bytes("layers", l.list.bytes, l.list.count);
    write_bytes("layers.bin", l.numbers.bytes, l.numbers.count);
    mn_buffer_done(&l.numbers);
    mn_buffer_done(&l.list);
    free(logits);
    free(image);
    free(arena);
}

/* Runs the quantised network over the test images. */
static void run_reference(const mn_graph *graph,
                          const mn_quant *quant,
                          const mn_model *model,
                          const mn_dataset *dataset)
{
    mn_error err;
    mn_int8_network *network = NULL;
    mn_eval_result result = {0};
    mn_buffer text = {0};
    const mn_int8_task task = {
        .preprocessing = model->preprocessing,
        .dataset = dataset,
        .images = &dataset->test,
        .count = dataset->test.count,
        .threads = 1,
    };
    uint16_t *classes = calloc(task.count, sizeof *classes);
    assert_non_null(classes);
    assert_ok(mn_int8_network_create(graph, quant, &network, &err), &err);
    assert_ok(mn_int8_network_evaluate(network, &task, &result, classes, &err), &err);
    for (uint32_t i = 0; i < task.count; i++)
        mn_buffer_printf(&text, "%u\n", (unsigned)classes[i]);
    write_bytes("classes", text.bytes, text.count);
    write_layers(graph, network, &task, model->class_count);
    mn_buffer_done(&text);
    mn_int8_network_free(network);
    free(classes);
}

static void test_model(void **state)
{
    (void)state;
    mn_error err;
    mn_model *model = NULL;
    mn_dataset *dataset = NULL;
    mn_genotype genotype;
    mn_graph *graph = NULL;
    mn_graph *deployed = NULL;
    mn_tensors *tensors = NULL;
    mn_tensors *folded = NULL;
    mn_quant *quant = NULL;
    assert_ok(mn_model_load(model_path, &model, &err), &err);
    assert_ok(mn_dataset_open(spec, &dataset, &err), &err);
    assert_ok(mn_genotype_parse(model->architecture, strlen(model->architecture), &genotype, &err),
              &err);
    assert_ok(mn_genotype_lower(&genotype, &graph, &err), &err);
    assert_ok(mn_tensors_arrange(graph, model->tensors, &tensors, &err), &err);
    assert_ok(mn_deploy(graph, tensors, &deployed, &folded, &err), &err);
    const mn_quantize_input from = {.graph = deployed,
                                    .tensors = folded,
                                    .preprocessing = model->preprocessing,
                                    .dataset = dataset};
    assert_ok(mn_quantize(&from, NULL, &quant, &err), &err);
    mn_onnx_export_input input = {.graph = deployed, .tensors = folded, .model = model};
    export_as("network-int8.onnx", &input, quant);
    run_reference(deployed, quant, model, dataset);
    mn_quant_free(quant);
    mn_tensors_free(folded);
    mn_graph_free(deployed);
    mn_tensors_free(tensors);
    mn_graph_free(graph);
    mn_dataset_free(dataset);
    mn_model_free(model);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest primitives[] = {cmocka_unit_test(test_every_primitive)};
    const struct CMUnitTest models[] = {cmocka_unit_test(test_model)};
    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: onnx_driver FOLDER [MODEL SPEC]\n");
        return 64;
    }
    folder = argv[1];
    model_path = argv[argc == 4 ? 2 : 0];
    spec = argv[argc == 4 ? 3 : 0];
    return argc == 4 ? cmocka_run_group_tests(models, NULL, NULL)
                     : cmocka_run_group_tests(primitives, NULL, NULL);
}

/*
 * Fuzz target: any bytes as the seed of a small network that is quantised, planned, exported as C,
 * compiled with warnings as errors and sanitizers, loaded and run in an arena of the planned size.
 * Every output has to be that of a plain evaluation that knows neither plan nor kernels. Needs the
 * compiler of FUZZ_CC, by default clang-14, whose sanitizers are those of this program.
 */
#include "quant_slow.h"

#include <dlfcn.h>
#include <unistd.h>

#include "base/file.h"
#include "emit/embedded.h"
#include "memnet/emit.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

enum { IMAGES = 4 };

typedef struct program {
    void *library;
    void (*set_arena)(void *);
    int8_t *(*input)(void);
    const int8_t *(*output)(void);
    void (*invoke)(void);
} program;

static char root[64];

static void require(int holds)
{
    if (!holds)
        abort();
}

static void remove_root(void)
{
    (void)mn_folder_remove(root, NULL);
}

/* Runs a command in the folder of all kernels; its words are ours. */
MN_PRINTF(1, 2) static void run(const char *format, ...)
{
    char command[1024];
    const char *compiler = getenv("FUZZ_CC");
    int length = snprintf(command,
                          sizeof command,
                          "cd %s && CC='%s -std=c99 -g -O1 -fPIC -Wall -Wextra -Wpedantic "
                          "-Wconversion -Werror -fsanitize=address,undefined "
                          "-fno-sanitize-recover=undefined' && ",
                          root,
                          compiler == NULL ? "clang-14" : compiler);
    va_list args;
    va_start(args, format);
    vsnprintf(command + length, sizeof command - (size_t)length, format, args);
    va_end(args);
    require(system(command) == 0);
}

/* Compiles the kernels, once. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    mn_error err;
    (void)argc;
    (void)argv;
    snprintf(root, sizeof root, "/tmp/memnet-fuzz-XXXXXX");
    require(mkdtemp(root) != NULL);
    require(atexit(remove_root) == 0);
    for (size_t i = 0; i < mn__embedded_count; i++) {
        const mn__embedded *file = &mn__embedded_files[i];
        char *path = mn_path_join(root, file->name);
        if (strncmp(file->name, "mn_s8", 5) == 0)
            assert_ok(mn_file_write(path, file->bytes, file->count, &err), &err);
        free(path);
    }
    run("$CC -c mn_s8_*.c && ar cr kernels.a mn_s8_*.o");
    return 0;
}

/* ---- one network ---------------------------------------------------------------------------- */

static mn_quant *calibrated(const mn_graph *graph, const mn_tensors *tensors, mn_random *random)
{
    mn_shape shape = mn_graph_node(graph, 0)->shape;
    size_t elements = mn_shape_elements(shape);
    uint8_t *pixels = malloc(5 * elements);
    mn_dataset dataset = {.shape = shape, .train = {.count = 5, .pixels = pixels}};
    mn_quantize_input input = {.graph = graph,
                               .tensors = tensors,
                               .preprocessing = {.mean = 120, .scale = 0.02f},
                               .dataset = &dataset};
    mn_quant *quant = NULL;
    mn_error err;
    assert_non_null(pixels);
    for (size_t i = 0; i < 5 * elements; i++)
        pixels[i] = (uint8_t)mn_random_below(random, 256);
    assert_ok(mn_quantize(&input, NULL, &quant, &err), &err);
    free(pixels);
    return quant;
}

/* One grid for every class, zero anywhere. */
static mn_quant *
on_random_grids(const mn_graph *graph, const mn_tensors *tensors, mn_random *random)
{
    uint32_t nodes = mn_graph_node_count(graph);
    mn_quant_value *values = calloc(nodes, sizeof *values);
    uint32_t *classes = calloc(nodes, sizeof *classes);
    mn_quant *quant = NULL;
    mn_error err;
    assert_true(values != NULL && classes != NULL);
    mn_quant_classes(graph, classes);
    for (uint32_t n = 0; n < nodes; n++)
        values[n] =
            classes[n] != n
                ? values[classes[n]]
                : (mn_quant_value){.scale = powf(10.0f, -3.0f * mn_random_uniform(random)),
                                   .zero_point = (int32_t)mn_random_below(random, 256) - 128};
    assert_ok(mn_quant_convert(graph, tensors, values, &quant, &err), &err);
    free(values);
    free(classes);
    return quant;
}

/* false where the network's output has gaps, which a caller could not read: refused in a line. */
static bool export(const mn_graph *graph, const mn_quant *quant, const mn_plan *plan)
{
    static char name[] = "class";
    mn_error err;
    uint32_t output = mn_graph_output(graph, 0);
    mn_model model = {.preprocessing = {.mean = 120, .scale = 0.02f},
                      .class_count =
                          (uint32_t)mn_shape_elements(mn_graph_node(graph, output)->shape)};
    model.class_names = calloc(model.class_count, sizeof *model.class_names);
    assert_non_null(model.class_names);
    for (uint32_t c = 0; c < model.class_count; c++)
        model.class_names[c] = name;
    mn_emit_input input = {
        .graph = graph, .quant = quant, .plan = plan, .model = &model, .force = true};
    char *folder = mn_path_join(root, "net");
    mn_status status = mn_emit_c(&input, folder, &err);
    if (status != MN_OK)
        assert_error(status, MN_ERR_UNSUPPORTED, &err, "lies in a slice");
    free(folder);
    free(model.class_names);
    return status == MN_OK;
}

static void *symbol(const program *p, const char *name)
{
    void *found = dlsym(p->library, name);
    require(found != NULL);
    return found;
}

static program load(uint32_t number)
{
    program p = {0};
    char path[128];
    run("$CC -shared -DMEMNET_ARENA_EXTERNAL net/model.c kernels.a -o net%u.so", number);
    snprintf(path, sizeof path, "%s/net%u.so", root, number);
    p.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (p.library == NULL)
        fprintf(stderr, "%s\n", dlerror());
    require(p.library != NULL);
    unlink(path);
    *(void **)&p.set_arena = symbol(&p, "memnet_set_arena");
    *(void **)&p.input = symbol(&p, "memnet_input");
    *(void **)&p.output = symbol(&p, "memnet_output");
    *(void **)&p.invoke = symbol(&p, "memnet_invoke");
    return p;
}

/* The darkest, the brightest, and noise. */
static void fill_image(int8_t *image, size_t count, int index, mn_random *random)
{
    for (size_t i = 0; i < count; i++)
        image[i] = index == 0   ? -128
                   : index == 1 ? 127
                                : (int8_t)((int32_t)mn_random_below(random, 256) - 128);
}

static void check(const mn_graph *graph,
                  const mn_quant *quant,
                  const mn_plan *plan,
                  const program *p,
                  mn_random *random)
{
    uint32_t last = mn_graph_output(graph, 0);
    size_t in = mn_shape_elements(mn_graph_node(graph, 0)->shape);
    size_t out = mn_shape_elements(mn_graph_node(graph, last)->shape);
    int8_t *image = malloc(in);
    void *arena = malloc(plan->arena_bytes);
    assert_true(image != NULL && arena != NULL);
    p->set_arena(arena);
    for (int i = 0; i < IMAGES; i++) {
        fill_image(image, in, i, random);
        slow expected = slow_run(graph, quant, image);
        memset(arena, 37 * i + 90, plan->arena_bytes);
        memcpy(p->input(), image, in);
        p->invoke();
        require(memcmp(p->output(), expected.values[last], out) == 0);
        slow_done(&expected);
    }
    free(arena);
    free(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static uint32_t number;
    mn_error err;
    mn_plan *plan = NULL;
    mn_plan_opts opts = mn_plan_opts_default();
    uint64_t seed = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < count; i++)
        seed = (seed ^ bytes[i]) * UINT64_C(1099511628211);
    mn_random random = mn_random_make(seed, 1);
    mn_graph *graph = slow_random_graph(&random);
    mn_tensors *tensors = slow_random_tensors(graph, &random);
    mn_quant *quant = seed % 2 == 0 ? calibrated(graph, tensors, &random)
                                    : on_random_grids(graph, tensors, &random);
    opts.precision = MN_PRECISION_INT8;
    assert_ok(mn_plan_create(graph, &opts, &plan, &err), &err);
    if (export(graph, quant, plan)) {
        program p = load(number++);
        check(graph, quant, plan, &p, &random);
        dlclose(p.library);
    }
    mn_plan_free(plan);
    mn_quant_free(quant);
    mn_tensors_free(tensors);
    mn_graph_free(graph);
    return 0;
}

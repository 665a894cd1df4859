/* Export as C, end to end: a network with every kernel and a hand-made plan (slices, in-place,
 * views) is exported, compiled as C99 and C++11, run, and compared with a plain evaluation in
 * double precision; the compiled sizes must be those of the plan. */
#include "test.h"

#include <math.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "command.h"
#include "emit_network.h"
#include "memnet/emit.h"

enum { IMAGES = 20, IMAGE_BYTES = NET_H * NET_W * NET_C };

static char root[64];
static network net;
static bool compiled; /* false: no compiler here, such tests are skipped */
static unsigned char images[IMAGES][IMAGE_BYTES];

/* ---- helpers -------------------------------------------------------------------------------- */

#define run(...) command_run(root, __VA_ARGS__)
#define run_silent(...) command_run_silent(root, __VA_ARGS__)

/* Compiles the export once as strict C99 (folder c) and once as C++11 with sanitizers (folder
 * cpp); false when a tool is missing. */
static bool compile(void)
{
    int code = 0;
    free(run(&code, "command -v cc && command -v c++ && command -v nm"));
    if (code != 0)
        return false;
    run_silent(
        "mkdir c cpp && cd c && cc -O2 -std=c99 -Wall -Wextra -Wpedantic -Werror -I../out -c "
        "../probe.c ../out/*.c && cc probe.o model.o mn_f32_*.o -o probe");
    run_silent("cd cpp && c++ -x c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -I../out "
               "-fsanitize=address,undefined -fno-sanitize-recover=all -c ../probe.c ../out/*.c && "
               "L='c++ -fsanitize=address,undefined -fno-sanitize-recover=all' && "
               "$L probe.o model.o mn_f32_*.o -o probe && "
               "$L main.o model_labels.o model.o mn_f32_*.o -o classify");
    return true;
}

static void need_tools(void)
{
    if (!compiled)
        skip();
}

/* "root/name"; overwritten by the next call. */
static const char *under(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void write_images(void)
{
    mn_random random = mn_random_make(3, 1);
    mn_error err;
    for (int i = 0; i < IMAGES; i++) {
        /* A colour with noise: pure noise would be one class for the network. */
        uint32_t colour[NET_C];
        for (int c = 0; c < NET_C; c++)
            colour[c] = mn_random_below(&random, 206);
        for (int k = 0; k < IMAGE_BYTES; k++)
            images[i][k] = (unsigned char)(colour[k % NET_C] + mn_random_below(&random, 50));
    }
    assert_ok(mn_file_write(under("images"), images, (size_t)IMAGES * IMAGE_BYTES, &err), &err);
    assert_ok(mn_file_write(under("one"), images[3], IMAGE_BYTES, &err), &err);
    assert_ok(mn_file_write(under("short"), images[3], IMAGE_BYTES - 1, &err), &err);
    assert_ok(mn_file_write(under("empty"), "", 0, &err), &err);
    static float floats[IMAGE_BYTES];
    for (int k = 0; k < IMAGE_BYTES; k++)
        floats[k] = (float)images[3][k];
    assert_ok(mn_file_write(under("one.f32"), floats, sizeof floats, &err), &err);
}

/* Prints all outputs of every image in "images", one number a line. */
static const char probe_c[] =
    "#include <stdio.h>\n"
    "#include \"model.h\"\n"
    "#define N (MODEL_INPUT_HEIGHT * MODEL_INPUT_WIDTH * MODEL_INPUT_CHANNELS)\n"
    "int main(void)\n"
    "{\n"
    "    unsigned char image[N];\n"
    "    FILE *file = fopen(\"images\", \"rb\");\n"
    "    int i;\n"
    "    while (file && fread(image, 1, N, file) == N) {\n"
    "        for (i = 0; i < N; i++)\n"
    "            memnet_input()[i] = ((float)image[i] - MODEL_INPUT_MEAN) * MODEL_INPUT_SCALE;\n"
    "        memnet_invoke();\n"
    "        for (i = 0; i < MODEL_CLASSES; i++)\n"
    "            printf(\"%.9g\\n\", (double)memnet_output()[i]);\n"
    "    }\n"
    "    return 0;\n"
    "}\n";

static int set_up(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/memnet-emit-XXXXXX");
    if (mkdtemp(root) == NULL)
        return 1;
    network_init(&net);
    mn_emit_input input = network_input(&net);
    mn_error err;
    assert_ok(mn_emit_c(&input, under("out"), &err), &err);
    assert_ok(mn_file_write(under("probe.c"), probe_c, sizeof probe_c - 1, &err), &err);
    write_images();
    compiled = compile();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    network_done(&net);
    return mn_folder_remove(root, NULL) != MN_OK;
}

/* ---- tests ---------------------------------------------------------------------------------- */

/* Compares the text that the probe printed with the reference. */
static void check_outputs(const char *text)
{
    const char *at = text;
    for (int i = 0; i < IMAGES; i++) {
        double expected[NET_CLASSES];
        network_run(&net, images[i], expected);
        for (int c = 0; c < NET_CLASSES; c++) {
            char *end = NULL;
            double actual = strtod(at, &end);
            if (end == at || !(fabs(actual - expected[c]) <= 1e-4 * (1.0 + fabs(expected[c]))))
                fail_msg("image %d class %d: %g, expected %g", i, c, actual, expected[c]);
            at = end;
        }
    }
    assert_string_equal(at, "\n");
}

static void test_compiled_code_agrees(void **state)
{
    (void)state;
    int code = 0;
    need_tools();
    char *c = run(&code, "c/probe");
    assert_int_equal(code, 0);
    check_outputs(c);
    char *cpp = run(&code, "cpp/probe");
    assert_int_equal(code, 0);
    check_outputs(cpp);
    free(cpp);

    /* Once more with the arena from outside: the same numbers to the last digit. */
    run_silent("printf '#include \"model.h\"\nstatic float arena[MODEL_ARENA_BYTES / 4];\n"
               "__attribute__((constructor)) static void give(void) { memnet_set_arena(arena); }"
               "\n' > arena.c");
    run_silent("cc -O2 -std=c99 -DMEMNET_ARENA_EXTERNAL -Wall -Wextra -Wpedantic -Werror -Iout "
               "arena.c probe.c out/model.c c/mn_f32_*.o -o probe2");
    char *outside = run(&code, "./probe2");
    assert_int_equal(code, 0);
    assert_string_equal(c, outside);
    free(outside);
    free(c);
}

static const char layers_c[] =
    "#include <stdio.h>\n"
    "#include \"model.h\"\n"
    "void memnet_on_layer(const memnet_layer *layer)\n"
    "{\n"
    "    printf(\"%d %s %dx%dx%d %d\\n\", layer->step, layer->name, layer->height, layer->width,\n"
    "           layer->channels, layer->values[0] == layer->values[0]);\n"
    "}\n"
    "int main(void)\n"
    "{\n"
    "    memnet_invoke();\n"
    "    return 0;\n"
    "}\n";

/* A debug build shows every step, in order, where the program finds its result. */
static void test_layers(void **state)
{
    (void)state;
    int code = 0;
    mn_error err;
    need_tools();
    assert_ok(mn_file_write(under("layers.c"), layers_c, sizeof layers_c - 1, &err), &err);
    run_silent("cc -std=c99 -Wall -Wextra -Wpedantic -Werror -DMEMNET_DUMP_LAYERS -Iout layers.c "
               "out/model.c c/mn_f32_*.o -o layers");
    char *text = run(&code, "./layers");
    const char *at = text;
    for (uint32_t s = 0; s < net.plan.step_count; s++) {
        char line[128];
        const mn_node *node = mn_graph_node(net.graph, net.plan.steps[s].node);
        int length = snprintf(line,
                              sizeof line,
                              "%u %s %ux%ux%u 1\n",
                              s,
                              node->name,
                              node->shape.h,
                              node->shape.w,
                              node->shape.c);
        bool shown = strncmp(at, line, (size_t)length) == 0;
        if (!shown && node->prim != MN_PRIM_CONCAT) /* made in place: no call */
            fail_msg("expected %s, got %.60s", line, at);
        at += shown ? length : 0;
    }
    assert_int_equal(*at, '\0');
    free(text);
}

/* The example: line formats, options, errors. */
static void test_example(void **state)
{
    (void)state;
    int code = 0;
    need_tools();
    double expected[IMAGES][NET_CLASSES];
    int best[IMAGES];
    bool differ = false;
    for (int i = 0; i < IMAGES; i++) {
        network_run(&net, images[i], expected[i]);
        best[i] = 0;
        for (int c = 1; c < NET_CLASSES; c++)
            best[i] = expected[i][c] > expected[i][best[i]] ? c : best[i];
        differ = differ || best[i] != best[0];
    }
    assert_true(differ);
    char *text = run(&code, "cpp/classify images");
    assert_int_equal(code, 0);
    char *line = strtok(text, "\n");
    for (int i = 0; i < IMAGES; i++, line = strtok(NULL, "\n")) {
        char head[64];
        int length =
            snprintf(head, sizeof head, "images:%d %d %s ", i, best[i], net.class_names[best[i]]);
        assert_non_null(line);
        assert_int_equal(strncmp(line, head, (size_t)length), 0);
        double want = expected[i][best[i]];
        assert_true(fabs(strtod(line + length, NULL) - want) <= 1e-4 * (1.0 + fabs(want)));
    }
    assert_null(line);
    free(text);

    char *bytes = run(&code, "cpp/classify -q one one && cpp/classify -q -f one.f32");
    char three[32];
    snprintf(three, sizeof three, "%d\n%d\n%d\n", best[3], best[3], best[3]);
    assert_int_equal(code, 0);
    assert_string_equal(bytes, three);
    free(bytes);
}

static void test_example_errors(void **state)
{
    (void)state;
    int code = 0;
    need_tools();
    const struct {
        const char *arguments, *expected;
    } errors[] = {{"short", "short: 125 bytes, expected a multiple of 126 (7 x 6 x 3)"},
                  {"empty", "empty: 0 bytes"},
                  {"missing", "missing: cannot be opened"},
                  {"-f one", "one: 126 bytes, expected a multiple of 504"},
                  {"-z one", "usage: classify"},
                  {"", "usage: classify"}};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        char *message = run(&code, "cpp/classify %s", errors[i].arguments);
        assert_int_not_equal(code, 0);
        if (strstr(message, errors[i].expected) == NULL)
            fail_msg("'%s': %s", errors[i].arguments, message);
        free(message);
    }
    /* A bad file does not stop the next. */
    char *alone = run(&code, "cpp/classify one");
    assert_int_equal(code, 0);
    char *mixed = run(&code, "cpp/classify missing one 2>/dev/null");
    assert_int_not_equal(code, 0);
    assert_string_equal(mixed, alone);
    free(mixed);
    free(alone);
}

/* The step of a node, in the plan's order. */
static const mn_step *step_of(const char *name)
{
    for (uint32_t s = 0; s < net.plan.step_count; s++)
        if (strcmp(mn_graph_node(net.graph, net.plan.steps[s].node)->name, name) == 0)
            return &net.plan.steps[s];
    fail_msg("no step of '%s'", name);
    return NULL;
}

/* model.c hands the kernel the plan's places: of the value, and of the rows that it keeps. */
static void test_in_place_calls(void **state)
{
    (void)state;
    mn_error err;
    char *text = NULL;
    size_t count = 0;
    char expected[256];
    const mn_plan_buffer *buffers = net.plan.buffers;
    const mn_step *over = step_of("over");
    const mn_step *scale = step_of("scale");
    size_t at = buffers[net.plan.views[over->node].buffer].offset / sizeof(float);
    size_t scratch = buffers[over->scratch].offset / sizeof(float);
    assert_ok(mn_file_read(under("out/model.c"), 1 << 20, &text, &count, &err), &err);

    uint32_t weight = mn_graph_node(net.graph, over->node)->tensors[MN_ROLE_WEIGHT];
    uint32_t bias = mn_graph_node(net.graph, over->node)->tensors[MN_ROLE_BIAS];
    snprintf(expected,
             sizeof expected,
             "    mn_f32_depthwise_in_place(memnet_arena + %zu, w%u_over_weight, w%u_over_bias, "
             "memnet_arena + %zu, &w);\n",
             at,
             weight,
             bias,
             scratch);
    assert_non_null(strstr(text, expected));
    weight = mn_graph_node(net.graph, scale->node)->tensors[MN_ROLE_WEIGHT];
    snprintf(expected,
             sizeof expected,
             "    mn_f32_depthwise_in_place(memnet_arena + %zu, w%u_scale_weight, 0, 0, &w);\n",
             at,
             weight);
    assert_non_null(strstr(text, expected));
    free(text);
}

/* The compiled object holds the arena and the tables, of the very sizes of the plan. */
static void test_compiled_sizes(void **state)
{
    (void)state;
    int code = 0;
    need_tools();
    char *text = run(&code, "nm -S c/model.o");
    assert_int_equal(code, 0);
    size_t tables = 0, arena = 0, buffers = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        unsigned long address, size;
        char type;
        char name[256];
        if (sscanf(line, "%lx %lx %c %255s", &address, &size, &type, name) != 4)
            continue;
        tables += strchr("rRdD", type) != NULL ? size : 0;
        buffers += strchr("bBcC", type) != NULL ? size : 0;
        arena += strcmp(name, "memnet_arena") == 0 ? size : 0;
    }
    free(text);
    assert_int_equal(arena, net.plan.arena_bytes);
    assert_int_equal(buffers, net.plan.arena_bytes);
    assert_int_equal(tables, net.plan.weights_bytes);
}

/* No standard library but memory functions that compilers call by themselves. */
static void test_needs_no_libc(void **state)
{
    (void)state;
    int code = 0;
    need_tools();
    char *text = run(&code, "nm -u c/model.o c/mn_f32_*.o | grep ' U ' | grep -v ' U mn_f32_'");
    const char *const allowed[] = {
        "memcpy", "memset", "memmove", "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"};
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        bool fine = false;
        for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
            fine = fine || strstr(line, allowed[i]) != NULL;
        if (!fine)
            fail_msg("needs %s", line);
    }
    free(text);
}

static void test_folder_rules(void **state)
{
    (void)state;
    mn_emit_input input = network_input(&net);
    mn_error err;
    assert_error(mn_emit_c(&input, under("out"), &err), MN_ERR_IO, &err, "exists and is not empty");
    assert_ok(mn_emit_c(&input, under("again"), &err), &err);
    run_silent("diff -r out again"); /* the same input, the same bytes */
    run_silent("echo stale > again/model.c && echo mine > again/notes");
    input.force = true;
    assert_ok(mn_emit_c(&input, under("again"), &err), &err);
    run_silent("echo mine | cmp - again/notes && rm again/notes && diff -r out again");
    run_silent("for f in mn_f32_conv.c mn_f32_depthwise_in_place.c mn_f32.h LICENSE main.c "
               "CMakeLists.txt library.properties README.txt; do "
               "test -s out/$f || echo $f; done");
}

static void test_unused_kernels_stay_away(void **state)
{
    (void)state;
    mn_error err;
    network small;
    network_init_small(&small);
    mn_emit_input input = network_input(&small);
    assert_ok(mn_emit_c(&input, under("small"), &err), &err);
    run_silent("test \"$(ls small/mn_f32_*.c)\" = small/mn_f32_fully_connected.c");
    run_silent("cp out/mn_f32_pool.c small/");
    input.force = true;
    assert_ok(mn_emit_c(&input, under("small"), &err), &err);
    run_silent("test ! -e small/mn_f32_pool.c");
    network_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compiled_code_agrees),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_example_errors),
        cmocka_unit_test(test_in_place_calls),
        cmocka_unit_test(test_compiled_sizes),
        cmocka_unit_test(test_needs_no_libc),
        cmocka_unit_test(test_folder_rules),
        cmocka_unit_test(test_unused_kernels_stay_away),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

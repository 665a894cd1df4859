/* Export as C in int8: the network with every kernel is exported, compiled as C99 and C++11, run on
 * the darkest, the brightest and random images, in an arena with nothing beside it, under the
 * sanitizers; every byte of every layer must be that of a plain evaluation. */
#include "test.h"

#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "command.h"
#include "emit_network.h"

enum { NETWORKS = 3, IMAGES = 12, IMAGE_BYTES = NET_H * NET_W * NET_C };

static char root[64];
static network nets[NETWORKS];
static bool has_tools;
static int8_t images[IMAGES][IMAGE_BYTES];

#define run(...) command_run(root, __VA_ARGS__)
#define run_silent(...) command_run_silent(root, __VA_ARGS__)

/* "root/name"; overwritten by the next call. */
static const char *under(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void fill_images(void)
{
    mn_error err;
    mn_random random = mn_random_make(3, 1);
    memset(images[0], -128, IMAGE_BYTES);
    memset(images[1], 127, IMAGE_BYTES);
    for (int i = 2; i < IMAGES; i++)
        for (int k = 0; k < IMAGE_BYTES; k++)
            images[i][k] = (int8_t)((int)mn_random_below(&random, 256) - 128);
    assert_ok(mn_file_write(under("images"), images, sizeof images, &err), &err);
    unsigned char pixels[IMAGE_BYTES];
    for (int k = 0; k < IMAGE_BYTES; k++)
        pixels[k] = (unsigned char)(images[5][k] + 128);
    assert_ok(mn_file_write(under("pixels"), pixels, sizeof pixels, &err), &err);
}

/* Prints, for every image in "images", every layer, a line each: its name and its bytes, densely;
 * then the output. The arena is a heap block of its exact size, filled with a pattern that differs
 * from image to image. */
static const char probe_c[] =
    "#include <stdio.h>\n"
    "#include <stdlib.h>\n"
    "#include <string.h>\n"
    "#include \"model.h\"\n"
    "#define N (MODEL_INPUT_HEIGHT * MODEL_INPUT_WIDTH * MODEL_INPUT_CHANNELS)\n"
    "#if defined(MEMNET_DUMP_LAYERS)\n"
    "void memnet_on_layer(const memnet_layer *layer)\n"
    "{\n"
    "    int pixel, c;\n"
    "    printf(\"%s\", layer->name);\n"
    "    for (pixel = 0; pixel < layer->height * layer->width; pixel++)\n"
    "        for (c = 0; c < layer->channels; c++)\n"
    "            printf(\" %d\", layer->values[pixel * layer->stride + c]);\n"
    "    printf(\" %.9g %d\\n\", (double)layer->scale, layer->zero);\n"
    "}\n"
    "#endif\n"
    "int main(void)\n"
    "{\n"
    "    FILE *file = fopen(\"images\", \"rb\");\n"
    "    char *arena = NULL;\n"
    "    int i, image;\n"
    "#if defined(MEMNET_ARENA_EXTERNAL)\n"
    "    arena = (char *)malloc(MODEL_ARENA_BYTES);\n"
    "    if (!arena)\n"
    "        return 1;\n"
    "    memnet_set_arena(arena);\n"
    "#endif\n"
    "    for (image = 0; ; image++) {\n"
    "        if (arena)\n"
    "            memset(arena, image * 37 + 91, MODEL_ARENA_BYTES);\n"
    "        if (fread(memnet_input(), 1, N, file) != N)\n"
    "            break;\n"
    "        memnet_invoke();\n"
    "        printf(\"output\");\n"
    "        for (i = 0; i < MODEL_CLASSES; i++)\n"
    "            printf(\" %d\", memnet_output()[i]);\n"
    "        printf(\"\\n\");\n"
    "    }\n"
    "    fclose(file);\n"
    "    free(arena);\n"
    "    return 0;\n"
    "}\n";

#define WARNINGS                                                                                   \
    "-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wdouble-promotion -Wshadow -Wundef " \
    "-Wcast-align -Wcast-qual -Werror"
#define SANITIZERS "-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all"

/* Compiles export `out<i>` as "plain<i>" (C99, static arena), "fenced<i>" (C99, sanitizers, an
 * arena that the caller provides, layers shown) and "cpp<i>" (C++11, sanitizers). */
static void compile(int i)
{
    run_silent("S=\"probe.c out%d/model.c $(ls out%d/mn_s8_*.c)\" && "
               "cc -O2 -std=c99 " WARNINGS " -Iout%d $S -o plain%d && "
               "cc -std=c99 " SANITIZERS " -DMEMNET_ARENA_EXTERNAL -DMEMNET_DUMP_LAYERS -Iout%d $S "
               "-o fenced%d && "
               "c++ -x c++ -std=c++11 " WARNINGS " " SANITIZERS " -Iout%d $S -o cpp%d",
               i,
               i,
               i,
               i,
               i,
               i,
               i,
               i);
}

static int set_up(void **state)
{
    (void)state;
    int code = 0;
    mn_error err;
    snprintf(root, sizeof root, "/tmp/memnet-emit-s8-XXXXXX");
    if (mkdtemp(root) == NULL)
        return 1;
    fill_images();
    assert_ok(mn_file_write(under("probe.c"), probe_c, sizeof probe_c - 1, &err), &err);
    free(run(&code, "command -v cc && command -v c++ && command -v nm"));
    has_tools = code == 0;
    for (int i = 0; i < NETWORKS; i++) {
        char name[16];
        snprintf(name, sizeof name, "out%d", i);
        network_init(&nets[i]);
        network_quantise(&nets[i], (uint64_t)i + 1);
        mn_emit_input input = network_input(&nets[i]);
        assert_ok(mn_emit_c(&input, under(name), &err), &err);
        if (has_tools)
            compile(i);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < NETWORKS; i++)
        network_done(&nets[i]);
    return mn_folder_remove(root, NULL) != MN_OK;
}

static void need_tools(void)
{
    if (!has_tools)
        skip();
}

/* ---- what it computes ----------------------------------------------------------------------- */

/* Compares numbers at *at, which moves behind them. */
static void check_values(const char **at, const int8_t *values, size_t count, const char *what)
{
    for (size_t k = 0; k < count; k++) {
        char *end = NULL;
        long actual = strtol(*at, &end, 10);
        if (end == *at || actual != values[k])
            fail_msg("%s: element %zu is %ld, expected %d", what, k, actual, values[k]);
        *at = end;
    }
}

/* Steps in the order of the plan, then the output. Returns the rest of the text. */
static const char *check_image(const network *n, const char *at, int8_t *const *values, bool layers)
{
    for (uint32_t s = 0; layers && s < n->plan.step_count; s++) {
        uint32_t node = n->plan.steps[s].node;
        const mn_node *info = mn_graph_node(n->graph, node);
        size_t length = strlen(info->name);
        bool shown = strncmp(at, info->name, length) == 0 && at[length] == ' ';
        if (!shown && info->prim == MN_PRIM_CONCAT)
            continue; /* all parts were made in place: no call, nothing to show */
        assert_true(shown);
        at += length;
        check_values(&at, values[node], mn_shape_elements(info->shape), info->name);
        char *end = NULL;
        assert_true(strtof(at, &end) == n->quant->values[node].scale);
        assert_int_equal(strtol(end, &end, 10), n->quant->values[node].zero_point);
        assert_int_equal(*end, '\n');
        at = end + 1;
    }
    assert_int_equal(strncmp(at, "output", 6), 0);
    at += 6;
    check_values(&at, values[mn_graph_output(n->graph, 0)], NET_CLASSES, "output");
    return at + 1;
}

static void check_program(int i, const char *program, bool layers)
{
    int code = 0;
    char *text = run(&code, "./%s%d", program, i);
    if (code != 0)
        fail_msg("%s%d: exit %d: %s", program, i, code, text);
    const char *at = text;
    for (int k = 0; k < IMAGES; k++) {
        int8_t *values[NET_NODES_MAX] = {NULL};
        network_run_s8(&nets[i], images[k], values);
        at = check_image(&nets[i], at, values, layers);
        for (int v = 0; v < NET_NODES_MAX; v++)
            free(values[v]);
    }
    assert_int_equal(*at, '\0');
    free(text);
}

static void test_compiled_code_agrees(void **state)
{
    (void)state;
    need_tools();
    for (int i = 0; i < NETWORKS; i++) {
        check_program(i, "plain", false);
        check_program(i, "cpp", false);
    }
}

static void test_layers_in_a_fenced_arena(void **state)
{
    (void)state;
    need_tools();
    for (int i = 0; i < NETWORKS; i++)
        check_program(i, "fenced", true);
}

/* The reference is worth something only where the results are spread. */
static void test_reference_is_not_flat(void **state)
{
    (void)state;
    for (int i = 0; i < NETWORKS; i++) {
        int8_t *values[NET_NODES_MAX] = {NULL};
        network_run_s8(&nets[i], images[4], values);
        for (uint32_t v = 0; v < mn_graph_node_count(nets[i].graph); v++) {
            const mn_node *node = mn_graph_node(nets[i].graph, v);
            size_t inside = 0;
            for (size_t k = 0; k < mn_shape_elements(node->shape); k++)
                inside += values[v][k] > -128 && values[v][k] < 127;
            if (inside * 4 < mn_shape_elements(node->shape))
                fail_msg("network %d: '%s' is mostly clamped", i, node->name);
            free(values[v]);
        }
    }
}

static void test_example(void **state)
{
    (void)state;
    int code = 0;
    char expected[128];
    need_tools();
    run_silent("cc -O2 -std=c99 " WARNINGS " out0/*.c -o classify && "
               "cc -O2 -std=c99 " WARNINGS " -DMEMNET_ARENA_EXTERNAL out0/*.c -o classify2");
    int8_t *values[NET_NODES_MAX] = {NULL};
    network_run_s8(&nets[0], images[5], values);
    const int8_t *scores = values[mn_graph_output(nets[0].graph, 0)];
    mn_quant_value grid = nets[0].quant->values[mn_graph_output(nets[0].graph, 0)];
    int best = 0;
    for (int c = 1; c < NET_CLASSES; c++)
        best = scores[c] > scores[best] ? c : best;
    snprintf(expected,
             sizeof expected,
             "pixels %d %s %.6g\n",
             best,
             nets[0].class_names[best],
             (double)((float)(scores[best] - grid.zero_point) * grid.scale));
    for (int v = 0; v < NET_NODES_MAX; v++)
        free(values[v]);
    for (int k = 0; k < 2; k++) {
        char *text = run(&code, "./classify%s pixels", k == 0 ? "" : "2");
        assert_string_equal(text, expected);
        free(text);
    }
}

/* ---- its size and shape --------------------------------------------------------------------- */

static void test_compiled_sizes(void **state)
{
    (void)state;
    int code = 0;
    size_t tables = 0;
    size_t buffers = 0;
    need_tools();
    run_silent("cc -O2 -std=c99 -c out0/model.c -o model.o");
    char *text = run(&code, "nm -S model.o");
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        unsigned long address, size;
        char type;
        if (sscanf(line, "%lx %lx %c", &address, &size, &type) != 3)
            continue;
        tables += strchr("rRdD", type) != NULL ? size : 0;
        buffers += strchr("bBcC", type) != NULL ? size : 0;
    }
    free(text);
    assert_int_equal(tables, nets[0].plan.weights_bytes);
    assert_int_equal(buffers, nets[0].plan.arena_bytes);
    run_silent("! grep -l mn_f32 out0/model.c && test ! -e out0/mn_f32.h && "
               "test -s out0/mn_s8.h");
}

/* An input grid that is not that of the bytes: the header computes with floats. */
static void test_other_input_grid(void **state)
{
    (void)state;
    int code = 0;
    mn_error err;
    need_tools();
    mn_emit_input input = network_input(&nets[1]);
    nets[1].model.preprocessing = (mn_preprocessing){.mean = 100.0f, .scale = 2 * NET_SCALE};
    mn_status status = mn_emit_c(&input, under("grid"), &err);
    nets[1].model.preprocessing = (mn_preprocessing){.mean = NET_MEAN, .scale = NET_SCALE};
    assert_ok(status, &err);
    run_silent("printf '#include <stdio.h>\n#include \"model.h\"\nint main(void) { int i; "
               "for (i = 0; i < 256; i++) printf(\"%%%%d %%%%d\\\\n\", memnet_from_pixel(i), "
               "memnet_from_pixel_value((float)i)); printf(\"%%%%d\\\\n\", "
               "memnet_from_pixel_value(100.24999f)); return 0; }\n' > grid.c && "
               "cc -std=c99 " WARNINGS " -Igrid grid.c -o grid1 && "
               "cc -std=c99 " WARNINGS " -Iout1 grid.c -o grid2");
    char *other = run(&code, "./grid1");
    char *bytes = run(&code, "./grid2");
    char *at = other;
    for (int p = 0; p < 256; p++) { /* (p - 100) * 2 steps of the grid */
        int want = (p - 100) * 2 < -128 ? -128 : (p - 100) * 2 > 127 ? 127 : (p - 100) * 2;
        assert_int_equal(strtol(at, &at, 10), want);
        assert_int_equal(strtol(at, &at, 10), want);
    }
    assert_int_equal(strtol(at, &at, 10), 0); /* 0.49998 steps */
    at = bytes;
    for (int p = 0; p < 256; p++) {
        assert_int_equal(strtol(at, &at, 10), p - 128);
        assert_int_equal(strtol(at, &at, 10), p - 128);
    }
    free(bytes);
    free(other);
}

/* Numbers that would make the kernels read or shift wrongly never become code. */
static void test_wrong_numbers(void **state)
{
    (void)state;
    mn_error err;
    mn_emit_input input = network_input(&nets[2]);
    network *n = &nets[2];
    uint32_t output = mn_graph_output(n->graph, 0);
    n->quant->nodes[output].shift[0] = 0;
    assert_error(mn_emit_c(&input, under("no"), &err), MN_ERR_FORMAT, &err, "shift");
    n->quant->nodes[output].shift[0] = 40;
    n->plan.weights_bytes++;
    assert_error(mn_emit_c(&input, under("no"), &err), MN_ERR_MISMATCH, &err, "bytes of weights");
    n->plan.weights_bytes--;
    n->plan.precision = MN_PRECISION_FLOAT32;
    assert_error(mn_emit_c(&input, under("no"), &err), MN_ERR_MISMATCH, &err, "the plan float32");
    n->plan.precision = MN_PRECISION_INT8;
    for (uint32_t s = 0; s < n->plan.step_count; s++) {
        uint32_t scratch = n->plan.steps[s].scratch;
        if (scratch == MN_NONE)
            continue;
        n->plan.steps[s].scratch = MN_NONE;
        assert_error(mn_emit_c(&input, under("no"), &err), MN_ERR_INTERNAL, &err, "no scratch");
        n->plan.steps[s].scratch = scratch;
        n->plan.buffers[scratch].bytes -= 16;
        assert_error(mn_emit_c(&input, under("no"), &err), MN_ERR_INTERNAL, &err, "does not fit");
        n->plan.buffers[scratch].bytes += 16;
    }
    assert_false(mn_path_exists(under("no")));
    assert_ok(mn_emit_c(&input, under("no"), &err), &err); /* all of that was the reason */
}

/* What is there includes nothing that is missing, and every header is included by something. */
static void test_headers_that_are_included(void **state)
{
    (void)state;
    mn_error err;
    network small;
    network_init_small(&small);
    network_quantise(&small, 1);
    mn_emit_input input = network_input(&small);
    assert_ok(mn_emit_c(&input, under("few"), &err), &err);
    run_silent("test \"$(cd few && echo mn_*)\" = "
               "\"mn_s8.h mn_s8_fully_connected.c mn_s8_inner.h\"");
    run_silent("cd out0 && for h in *.h; do grep -q \"#include .$h\" * || echo $h; done");
    network_done(&small);
}

/* Over a float export: what int8 does not use goes. */
static void test_over_a_float_export(void **state)
{
    (void)state;
    mn_error err;
    network net;
    network_init(&net);
    mn_emit_input input = network_input(&net);
    assert_ok(mn_emit_c(&input, under("mixed"), &err), &err);
    run_silent("test -s mixed/mn_f32_conv.c && test ! -e mixed/mn_s8.h");
    input = network_input(&nets[0]);
    input.force = true;
    assert_ok(mn_emit_c(&input, under("mixed"), &err), &err);
    run_silent("diff -r mixed out0");
    network_done(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compiled_code_agrees),
        cmocka_unit_test(test_layers_in_a_fenced_arena),
        cmocka_unit_test(test_reference_is_not_flat),
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_compiled_sizes),
        cmocka_unit_test(test_other_input_grid),
        cmocka_unit_test(test_wrong_numbers),
        cmocka_unit_test(test_headers_that_are_included),
        cmocka_unit_test(test_over_a_float_export),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

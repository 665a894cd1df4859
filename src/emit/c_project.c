/*
 * Export as C: checks that graph, plan, tensors or int8 numbers, and model belong together, builds
 * every file in memory, and writes the folder last. The entry of emit/. Invariant: nothing is
 * written unless everything could be built.
 */
#include "memnet/emit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "emit/c_calls.h"
#include "emit/c_files.h"
#include "emit/c_model.h"
#include "emit/embedded.h"
#include "emit/folder.h"

/* Generated files. */
enum { MODEL_C, MODEL_H, LABELS_C, LABELS_H, CMAKE, ARDUINO, README, GENERATED_COUNT };

static const char *const generated_names[GENERATED_COUNT] = {
    [MODEL_C] = "model.c",
    [MODEL_H] = "model.h",
    [LABELS_C] = "model_labels.c",
    [LABELS_H] = "model_labels.h",
    [CMAKE] = "CMakeLists.txt",
    [ARDUINO] = "library.properties",
    [README] = "README.txt",
};

enum { EMBEDDED_MAX = 32, FILES_MAX = GENERATED_COUNT + EMBEDDED_MAX };

typedef struct project {
    mn_buffer texts[GENERATED_COUNT];
    mn__file files[FILES_MAX];
    uint32_t file_count;
} project;

/* Copies what is in use; what an earlier export has of the others goes. */
static mn_status add_embedded(project *p, mn_precision precision, uint32_t kernels, mn_error *err)
{
    bool used[EMBEDDED_MAX];
    if (mn__embedded_count > EMBEDDED_MAX)
        return mn_error_set(err, MN_ERR_INTERNAL, "%zu embedded files", mn__embedded_count);
    mn__files_in_use(precision, kernels, used);
    for (size_t i = 0; i < mn__embedded_count; i++) {
        const mn__embedded *file = &mn__embedded_files[i];
        p->files[p->file_count++] = (mn__file){
            .name = file->name, .bytes = used[i] ? file->bytes : NULL, .count = file->count};
    }
    return MN_OK;
}

static void write_kernel_names(mn_precision precision, uint32_t kernels, mn_buffer *out)
{
    for (int k = 0; k < MN__KERNEL_COUNT; k++)
        if ((kernels >> k & 1u) != 0)
            mn_buffer_printf(out, " %s", mn__kernel_file((mn__kernel)k, precision));
}

static void write_cmake(mn_precision precision, uint32_t kernels, mn_buffer *out)
{
    mn_buffer_printf(out,
                     "# Alone: the library and the example. Inside of another project, by "
                     "add_subdirectory(): the\n"
                     "# library memnet_model.\n"
                     "cmake_minimum_required(VERSION 3.13)\n"
                     "project(memnet_model C)\n\n"
                     "if(NOT CMAKE_BUILD_TYPE)\n"
                     "  set(CMAKE_BUILD_TYPE RelWithDebInfo) # -O2, at which the kernels are "
                     "fastest with gcc\n"
                     "endif()\n"
                     "set(CMAKE_C_STANDARD 99)\n\n"
                     "add_library(memnet_model STATIC model.c");
    write_kernel_names(precision, kernels, out);
    mn_buffer_printf(out,
                     ")\n"
                     "target_include_directories(memnet_model PUBLIC "
                     "${CMAKE_CURRENT_SOURCE_DIR})\n"
                     "if(TARGET zephyr_interface) # compile as Zephyr does for its board\n"
                     "  target_link_libraries(memnet_model PRIVATE zephyr_interface)\n"
                     "endif()\n\n"
                     "if(CMAKE_SOURCE_DIR STREQUAL CMAKE_CURRENT_SOURCE_DIR)\n"
                     "  add_executable(classify main.c model_labels.c)\n"
                     "  target_link_libraries(classify memnet_model)\n"
                     "endif()\n");
}

/* Of a library whose sources lie beside it; main.c leaves itself out there. */
static void write_arduino(const mn_plan *plan, mn_buffer *out)
{
    mn_buffer_printf(out,
                     "name=memnet_model\n"
                     "version=1.0.0\n"
                     "author=memnet\n"
                     "maintainer=memnet\n"
                     "sentence=An image classifier, exported by memnet.\n"
                     "paragraph=%zu bytes of constant tables, %zu bytes of RAM.\n"
                     "category=Data Processing\n"
                     "url=\n"
                     "architectures=*\n"
                     "includes=model.h\n",
                     plan->weights_bytes,
                     plan->arena_bytes);
}

static void write_readme(const mn_plan *plan, uint32_t kernels, mn_buffer *out)
{
    const char *family = plan->precision == MN_PRECISION_INT8 ? "mn_s8" : "mn_f32";
    mn_buffer_printf(out,
                     "An image classifier in C, %s, exported by memnet. Free of duties (LICENSE, "
                     "0BSD).\n\n"
                     "  model.h         what your program calls\n"
                     "  model.c         weights and steps of the network\n"
                     "  %-15s the kernels in use\n"
                     "  model_labels.*  class names; leave them out if you need only indices\n"
                     "  main.c          example: classifies raw images on a computer\n\n"
                     "Constant tables: %zu bytes. The one read-write buffer: %zu bytes.\n"
                     "Stack and code are not counted in these.\n\n",
                     mn_precision_name(plan->precision),
                     plan->precision == MN_PRECISION_INT8 ? "mn_s8*" : "mn_f32*",
                     plan->weights_bytes,
                     plan->arena_bytes);
    mn_buffer_printf(out, "Try it:   cc -O2 -std=c99 -o classify main.c model_labels.c model.c");
    write_kernel_names(plan->precision, kernels, out);
    mn_buffer_printf(
        out,
        "\n"
        "          ./classify IMAGE...       (raw values, see main.c)\n"
        "or with CMake, which uses the same files.\n\n"
        "Firmware: add model.c and the %s_*.c files to your sources. They are C99 and\n"
        "C++11, need no heap and no library, and keep everything in one static buffer.\n"
        "-DMEMNET_ARENA_EXTERNAL lets you place that buffer, -DMEMNET_DUMP_LAYERS shows\n"
        "what every layer makes (model.h).\n",
        family);
}

/* What both precisions ask of plan and model. */
static mn_status check_plan(const mn_emit_input *input, mn_error *err)
{
    const mn_plan *plan = input->plan;
    const mn_preprocessing *preprocessing = &input->model->preprocessing;
    if (plan->value_count != mn_graph_node_count(input->graph))
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "the plan is of a graph of %u nodes, this one has %u",
                            plan->value_count,
                            mn_graph_node_count(input->graph));
    if (plan->arena_bytes == 0 || plan->arena_bytes % sizeof(float) != 0)
        return mn_error_set(err,
                            MN_ERR_INTERNAL,
                            "an arena of %zu bytes: expected a multiple of %zu",
                            plan->arena_bytes,
                            sizeof(float));
    if (plan->arena_bytes > INT32_MAX)
        return mn_error_set(
            err, MN_ERR_LIMIT, "an arena of %zu bytes: at most %d", plan->arena_bytes, INT32_MAX);
    if (!isfinite(preprocessing->mean) || !isfinite(preprocessing->scale))
        return mn_error_set(err, MN_ERR_ARG, "preprocessing: mean and scale must be finite");
    return MN_OK;
}

static mn_status check_input(const mn_emit_input *input, mn_error *err)
{
    mn_precision precision = input->quant == NULL ? MN_PRECISION_FLOAT32 : MN_PRECISION_INT8;
    if (input->plan->precision != precision)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "the network is %s, the plan %s",
                            mn_precision_name(precision),
                            mn_precision_name(input->plan->precision));
    mn_status status = check_plan(input, err);
    if (status == MN_OK && input->quant != NULL)
        status = mn_quant_check(input->graph, input->quant, err);
    return status;
}

static mn_status build(const mn_emit_input *input, project *p, mn_error *err)
{
    mn__interface interface;
    uint32_t kernels = 0;
    mn_status status = mn__interface_find(input, &interface, err);
    if (status != MN_OK)
        return status;
    status = mn__emit_model_c(input, &interface, &p->texts[MODEL_C], &kernels, err);
    if (status != MN_OK)
        return status;
    mn__emit_model_h(input, &interface, &p->texts[MODEL_H]);
    mn__emit_labels_c(input->model, &p->texts[LABELS_C]);
    mn__emit_labels_h(&p->texts[LABELS_H]);
    write_cmake(input->plan->precision, kernels, &p->texts[CMAKE]);
    write_arduino(input->plan, &p->texts[ARDUINO]);
    write_readme(input->plan, kernels, &p->texts[README]);
    for (uint32_t i = 0; i < GENERATED_COUNT; i++) {
        const mn_buffer *text = &p->texts[i];
        status = mn_buffer_check(text, err);
        if (status != MN_OK)
            return status;
        p->files[p->file_count++] =
            (mn__file){.name = generated_names[i], .bytes = text->bytes, .count = text->count};
    }
    return add_embedded(p, input->plan->precision, kernels, err);
}

mn_status mn_emit_c(const mn_emit_input *input, const char *folder, mn_error *err)
{
    project p = {0};
    mn_status status = mn__folder_check(folder, input->force, err);
    if (status == MN_OK)
        status = check_input(input, err);
    if (status == MN_OK)
        status = build(input, &p, err);
    if (status == MN_OK)
        status = mn__folder_write(folder, p.files, p.file_count, err);
    for (uint32_t i = 0; i < GENERATED_COUNT; i++)
        mn_buffer_done(&p.texts[i]);
    return status;
}

/*
 * Export as C: checks that graph, plan, tensors and model belong together, builds every file in
 * memory, and writes the folder last. The entry of emit/. Invariant: nothing is written unless
 * everything could be built.
 */
#include "memnet/emit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "emit/c_calls.h"
#include "emit/c_model.h"
#include "emit/embedded.h"
#include "emit/folder.h"

/* Generated files. */
enum { MODEL_C, MODEL_H, LABELS_C, LABELS_H, CMAKE, README, GENERATED_COUNT };

static const char *const generated_names[GENERATED_COUNT] = {
    [MODEL_C] = "model.c",
    [MODEL_H] = "model.h",
    [LABELS_C] = "model_labels.c",
    [LABELS_H] = "model_labels.h",
    [CMAKE] = "CMakeLists.txt",
    [README] = "README.txt",
};

enum { FILES_MAX = GENERATED_COUNT + 16 }; /* and the embedded ones */

typedef struct project {
    mn_buffer texts[GENERATED_COUNT];
    mn__file files[FILES_MAX];
    uint32_t file_count;
} project;

static bool is_kernel(const char *name, mn__kernel *ret_kernel)
{
    for (int k = 0; k < MN__KERNEL_COUNT; k++) {
        if (strcmp(mn__kernel_file((mn__kernel)k), name) == 0) {
            *ret_kernel = (mn__kernel)k;
            return true;
        }
    }
    return false;
}

/* Copies what is in use; kernels of an earlier export that are not in use any more go. */
static mn_status add_embedded(project *p, uint32_t kernels, mn_error *err)
{
    if (mn__embedded_count > FILES_MAX - GENERATED_COUNT)
        return mn_error_set(err, MN_ERR_INTERNAL, "%zu embedded files", mn__embedded_count);
    for (size_t i = 0; i < mn__embedded_count; i++) {
        const mn__embedded *file = &mn__embedded_files[i];
        mn__kernel kernel;
        bool unused = is_kernel(file->name, &kernel) && (kernels >> kernel & 1u) == 0;
        p->files[p->file_count++] = (mn__file){
            .name = file->name, .bytes = unused ? NULL : file->bytes, .count = file->count};
    }
    return MN_OK;
}

static void write_kernel_names(uint32_t kernels, mn_buffer *out)
{
    for (int k = 0; k < MN__KERNEL_COUNT; k++)
        if ((kernels >> k & 1u) != 0)
            mn_buffer_printf(out, " %s", mn__kernel_file((mn__kernel)k));
}

static void write_cmake(uint32_t kernels, mn_buffer *out)
{
    mn_buffer_printf(out,
                     "cmake_minimum_required(VERSION 3.13)\n"
                     "project(memnet_model C)\n\n"
                     "if(NOT CMAKE_BUILD_TYPE)\n"
                     "  set(CMAKE_BUILD_TYPE RelWithDebInfo) # -O2, at which the kernels are "
                     "fastest with gcc\n"
                     "endif()\n"
                     "set(CMAKE_C_STANDARD 99)\n\n"
                     "add_library(memnet_model STATIC model.c");
    write_kernel_names(kernels, out);
    mn_buffer_printf(out,
                     ")\n"
                     "target_include_directories(memnet_model PUBLIC "
                     "${CMAKE_CURRENT_SOURCE_DIR})\n\n"
                     "add_executable(classify main.c model_labels.c)\n"
                     "target_link_libraries(classify memnet_model)\n");
}

static void write_readme(const mn_plan *plan, uint32_t kernels, mn_buffer *out)
{
    mn_buffer_printf(out,
                     "An image classifier in C, exported by memnet.\n\n"
                     "  model.h         what your program calls\n"
                     "  model.c         weights and steps of the network\n"
                     "  mn_f32*         the kernels in use, free of duties (LICENSE, 0BSD)\n"
                     "  model_labels.*  class names; leave them out if you need only indices\n"
                     "  main.c          example: classifies raw images on a computer\n\n"
                     "Constant tables: %zu bytes. The one read-write buffer: %zu bytes.\n"
                     "Stack and code are not counted in these.\n\n",
                     plan->weights_bytes,
                     plan->arena_bytes);
    mn_buffer_printf(out, "Try it:   cc -O2 -std=c99 -o classify main.c model_labels.c model.c");
    write_kernel_names(kernels, out);
    mn_buffer_printf(
        out,
        "\n"
        "          ./classify IMAGE...       (raw values, see main.c)\n"
        "or with CMake, which uses the same files.\n\n"
        "Firmware: add model.c and the mn_f32_*.c files to your sources. They are C99\n"
        "and C++11, need no heap and no library, and keep everything in one static\n"
        "buffer; -DMEMNET_ARENA_EXTERNAL lets you place that buffer (model.h).\n");
}

static mn_status check_input(const mn_emit_input *input, mn_error *err)
{
    const mn_plan *plan = input->plan;
    const mn_preprocessing *preprocessing = &input->model->preprocessing;
    if (plan->precision != MN_PRECISION_FLOAT32)
        return mn_error_set(
            err, MN_ERR_UNSUPPORTED, "export as C: only float32 plans are supported");
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
    write_cmake(kernels, &p->texts[CMAKE]);
    write_readme(input->plan, kernels, &p->texts[README]);
    for (uint32_t i = 0; i < GENERATED_COUNT; i++) {
        const mn_buffer *text = &p->texts[i];
        status = mn_buffer_check(text, err);
        if (status != MN_OK)
            return status;
        p->files[p->file_count++] =
            (mn__file){.name = generated_names[i], .bytes = text->bytes, .count = text->count};
    }
    return add_embedded(p, kernels, err);
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

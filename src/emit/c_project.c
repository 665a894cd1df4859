/*
 * Export as C: checks that graph, plan, tensors or int8 numbers, and model belong together, builds
 * every file in memory, and writes the folder last. The entry of emit/. Invariant: nothing is
 * written unless everything could be built.
 */
#include "memnet/emit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "emit/c_calls.h"
#include "emit/c_files.h"
#include "emit/c_model.h"
#include "emit/c_names.h"
#include "emit/embedded.h"
#include "emit/folder.h"

/* Generated files, in the order in which they replace former ones: the header first, by which an
 * export is known. */
enum { MODEL_H, MODEL_C, LABELS_C, LABELS_H, CMAKE, ARDUINO, README, GENERATED_COUNT };

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
    const char *name; /* NULL: the default ones */
    mn_buffer texts[GENERATED_COUNT];
    char names[GENERATED_COUNT][MN__C_FILE_BYTES];
    mn_buffer example;
    mn__file files[FILES_MAX];
    uint32_t file_count;
} project;

static const char example_name[] = "main.c";

/* The example calls the network by its name; all other embedded files are the same everywhere. */
static mn_status rename_example(project *p, mn__file *file, mn_error *err)
{
    mn__c_rename(p->name, file->bytes, file->count, &p->example);
    file->bytes = p->example.bytes;
    file->count = p->example.count;
    return mn_buffer_check(&p->example, err);
}

/* Copies what is in use; what an earlier export has of the others goes. */
static mn_status add_embedded(project *p, mn_precision precision, uint32_t kernels, mn_error *err)
{
    bool used[EMBEDDED_MAX];
    mn_status status = MN_OK;
    if (mn__embedded_count > EMBEDDED_MAX)
        return mn_error_set(err, MN_ERR_INTERNAL, "%zu embedded files", mn__embedded_count);
    mn__files_in_use(precision, kernels, used);
    for (size_t i = 0; i < mn__embedded_count && status == MN_OK; i++) {
        const mn__embedded *from = &mn__embedded_files[i];
        mn__file *file = &p->files[p->file_count++];
        *file = (mn__file){
            .name = from->name, .bytes = used[i] ? from->bytes : NULL, .count = from->count};
        if (strcmp(from->name, example_name) == 0)
            status = rename_example(p, file, err);
    }
    return status;
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
                     "dot_a_linkage=true\n" /* kernels that two exports share do not collide */
                     "includes=model.h\n",
                     plan->weights_bytes,
                     plan->arena_bytes);
}

static void write_readme(const char *name, const mn_plan *plan, uint32_t kernels, mn_buffer *out)
{
    const char *family = plan->precision == MN_PRECISION_INT8 ? "mn_s8" : "mn_f32";
    char header[MN__C_FILE_BYTES];
    char source[MN__C_FILE_BYTES];
    char labels[MN__C_FILE_BYTES];
    mn__c_file_name(name, "model.h", header);
    mn__c_file_name(name, "model.c", source);
    mn__c_file_name(name, "model_labels.*", labels);
    mn_buffer_printf(out,
                     "An image classifier in C, %s, exported by memnet. Free of duties (LICENSE, "
                     "0BSD).\n\n"
                     "  %-15s what your program calls\n"
                     "  %-15s weights and steps of the network\n"
                     "  %-15s the kernels in use\n"
                     "  %-15s class names; leave them out if you need only indices\n"
                     "  %-15s example: classifies raw images on a computer\n\n"
                     "Constant tables: %zu bytes. The one read-write buffer: %zu bytes.\n"
                     "Stack and code are not counted in these.\n\n",
                     mn_precision_name(plan->precision),
                     header,
                     source,
                     plan->precision == MN_PRECISION_INT8 ? "mn_s8*" : "mn_f32*",
                     labels,
                     example_name,
                     plan->weights_bytes,
                     plan->arena_bytes);
    mn__c_file_name(name, "model_labels.c", labels);
    mn_buffer_printf(
        out, "Try it:   cc -O2 -std=c99 -o classify %s %s %s", example_name, labels, source);
    write_kernel_names(plan->precision, kernels, out);
    mn_buffer_printf(
        out,
        "\n"
        "          ./classify IMAGE...       (raw values, see main.c)\n"
        "or with CMake, which uses the same files.\n\n"
        "Firmware: add %s and the %s_*.c files to your sources. They are C99 and\n"
        "C++11, need no heap and of libraries only memcpy() and memset(), and keep\n"
        "everything in one static buffer.\n"
        "-DMEMNET_ARENA_EXTERNAL lets you place that buffer, -DMEMNET_DUMP_LAYERS shows\n"
        "what every layer makes (%s).\n",
        source,
        family,
        header);
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

/* Gives a generated text its names and puts it among the files. */
static mn_status add_generated(project *p, uint32_t i, mn_error *err)
{
    mn_buffer named;
    mn_buffer_init(&named);
    mn_status status = mn_buffer_check(&p->texts[i], err);
    const char *name = i == README ? NULL : p->name; /* the README is written with its names */
    if (status == MN_OK)
        mn__c_rename(name, p->texts[i].bytes, p->texts[i].count, &named);
    if (status == MN_OK)
        status = mn_buffer_check(&named, err);
    mn_buffer_done(&p->texts[i]);
    p->texts[i] = named;
    mn__c_file_name(p->name, generated_names[i], p->names[i]);
    p->files[p->file_count++] =
        (mn__file){.name = p->names[i], .bytes = named.bytes, .count = named.count};
    return status;
}

static mn_status build(const mn_emit_input *input, project *p, mn_error *err)
{
    mn__interface interface;
    uint32_t kernels = 0;
    uint32_t id = 0;
    mn_status status = mn__interface_find(input, &interface, err);
    if (status != MN_OK)
        return status;
    status = mn__emit_model_c(input, &interface, &p->texts[MODEL_C], &kernels, &id, err);
    if (status != MN_OK)
        return status;
    mn__emit_model_h(input, &interface, id, &p->texts[MODEL_H]);
    mn__emit_labels_c(input->model, &p->texts[LABELS_C]);
    mn__emit_labels_h(&p->texts[LABELS_H]);
    write_cmake(input->plan->precision, kernels, &p->texts[CMAKE]);
    write_arduino(input->plan, &p->texts[ARDUINO]);
    write_readme(p->name, input->plan, kernels, &p->texts[README]);
    for (uint32_t i = 0; i < GENERATED_COUNT && status == MN_OK; i++)
        status = add_generated(p, i, err);
    return status == MN_OK ? add_embedded(p, input->plan->precision, kernels, err) : status;
}

/* Whether the folder has a header of this name that an export has written. */
static mn_status holds_export(const project *p, const char *folder, bool *ret_holds, mn_error *err)
{
    static const char mark[] = "exported by memnet";
    char *bytes = NULL;
    size_t count = 0;
    char *path = mn_path_join(folder, p->names[MODEL_H]);
    mn_status status = path == NULL ? mn_error_set(err, MN_ERR_NOMEM, "out of memory")
                                    : mn_file_read(path, (size_t)1 << 20, &bytes, &count, err);
    *ret_holds = status == MN_OK && memmem(bytes, count, mark, sizeof mark - 1) != NULL;
    free(bytes);
    free(path);
    return status == MN_ERR_NOMEM ? status : MN_OK; /* one that cannot be read is not ours */
}

/* What is replaced is an earlier export: a program's own main.c or LICENSE is not. */
static mn_status check_replaced(const project *p, const char *folder, mn_error *err)
{
    bool ours = false;
    mn_status status = holds_export(p, folder, &ours, err);
    for (uint32_t i = 0; i < p->file_count && status == MN_OK && !ours; i++) {
        char *path = mn_path_join(folder, p->files[i].name);
        if (path == NULL)
            status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        else if (mn_path_exists(path))
            status = mn_error_set(err,
                                  MN_ERR_IO,
                                  "%s: exists, and %s is no earlier export's: not replaced",
                                  path,
                                  p->names[MODEL_H]);
        free(path);
    }
    return status;
}

mn_status mn_emit_c(const mn_emit_input *input, const char *folder, mn_error *err)
{
    project p = {.name = input->name};
    mn_status status = mn__c_name_check(input->name, err);
    if (status == MN_OK)
        status = mn__folder_check(folder, input->force, err);
    if (status == MN_OK)
        status = check_input(input, err);
    if (status == MN_OK)
        status = build(input, &p, err);
    if (status == MN_OK)
        status = check_replaced(&p, folder, err);
    if (status == MN_OK)
        status = mn__folder_write(folder, p.files, p.file_count, err);
    for (uint32_t i = 0; i < GENERATED_COUNT; i++)
        mn_buffer_done(&p.texts[i]);
    mn_buffer_done(&p.example);
    return status;
}

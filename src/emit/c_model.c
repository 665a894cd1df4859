/*
 * The exported model.c and class names. Called by c_project.
 * Invariant: model.c holds one buffer of plan->arena_bytes and tables of plan->weights_bytes,
 * nothing else that takes memory.
 */
#include "emit/c_model.h"

#include "base/hash.h"
#include "emit/c_calls.h"
#include "emit/c_place.h"
#include "emit/c_tables.h"
#include "emit/c_text.h"

/* A value that the caller of the exported code sees as one plain array. */
static mn_status
find_dense(const mn_emit_input *input, uint32_t node, size_t *ret_offset, mn_error *err)
{
    mn__place place;
    mn_status status = mn__place_find(input, node, &place, err);
    if (status != MN_OK)
        return status;
    if ((size_t)place.shape.h * place.shape.w > 1 && place.stride != place.shape.c)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "node '%s': input or output lies in a slice, %u channels in %u",
                            mn_graph_node(input->graph, node)->name,
                            place.shape.c,
                            place.stride);
    *ret_offset = place.offset;
    return MN_OK;
}

static uint32_t find_input_node(const mn_graph *graph, uint32_t *ret_count)
{
    uint32_t found = MN_NONE;
    *ret_count = 0;
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++) {
        if (mn_graph_node(graph, n)->prim == MN_PRIM_INPUT) {
            found = n;
            ++*ret_count;
        }
    }
    return found;
}

mn_status
mn__interface_find(const mn_emit_input *input, mn__interface *ret_interface, mn_error *err)
{
    mn__interface found = {0};
    uint32_t inputs = 0;
    found.input_node = find_input_node(input->graph, &inputs);
    if (inputs != 1 || mn_graph_output_count(input->graph) != 1)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "a network of %u inputs and %u outputs: expected one of each",
                            inputs,
                            mn_graph_output_count(input->graph));
    uint32_t output = mn_graph_output(input->graph, 0);
    mn_status status = find_dense(input, found.input_node, &found.input_offset, err);
    if (status == MN_OK)
        status = find_dense(input, output, &found.output_offset, err);
    if (status != MN_OK)
        return status;
    size_t classes = mn_shape_elements(mn_graph_node(input->graph, output)->shape);
    if (classes != input->model->class_count)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "the network has %zu outputs, the model names %u classes",
                            classes,
                            input->model->class_count);
    found.classes = input->model->class_count;
    found.output_node = output;
    found.input_shape = mn_graph_node(input->graph, found.input_node)->shape;
    *ret_interface = found;
    return MN_OK;
}

static const char model_c_head[] =
    "/*\n"
    " * The network: its weights, and one function a step. Exported by memnet; do not edit.\n"
    " * SPDX-License-Identifier: 0BSD\n"
    " *\n"
    " * Shapes are (rows, columns, channels), channels last. Offsets in the calls count %s from\n"
    " * the start of the arena; results share it, each overwriting what no later step reads.\n"
    " */\n"
    "#include \"model.h\"\n"
    "\n"
    "#include \"%s\"\n"
    "\n"
    "#if MODEL_ID != 0x%08xu\n"
    "#error model.h and model.c are of different exports\n"
    "#endif\n"
    "\n"
    "#if defined(MEMNET_ALIGNED) || defined(MEMNET_ARENA_EXTERNAL)\n"
    "/* The build says how a variable is aligned to MODEL_ARENA_ALIGN bytes, or none is. */\n"
    "#elif defined(__GNUC__)\n"
    "#define MEMNET_ALIGNED __attribute__((aligned(MODEL_ARENA_ALIGN)))\n"
    "#elif defined(__cplusplus)\n"
    "#define MEMNET_ALIGNED alignas(MODEL_ARENA_ALIGN)\n"
    "#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L\n"
    "#define MEMNET_ALIGNED _Alignas(MODEL_ARENA_ALIGN)\n"
    "#else\n"
    "%s\n"
    "#endif\n"
    "\n";

static void write_arena(const mn_emit_input *input, mn_buffer *out)
{
    const char *type = input->quant == NULL ? "float" : "int8_t";
    mn_buffer_printf(out,
                     "#if defined(MEMNET_ARENA_EXTERNAL)\n"
                     "static %s *memnet_arena;\n"
                     "\n"
                     "void memnet_set_arena(void *arena)\n"
                     "{\n"
                     "    memnet_arena = (%s *)arena;\n"
                     "}\n"
                     "#else\n"
                     "MEMNET_ALIGNED static %s memnet_arena[MODEL_ARENA_BYTES%s];\n"
                     "#endif\n"
                     "\n",
                     type,
                     type,
                     type,
                     input->quant == NULL ? " / 4" : "");
}

static void write_layer_macro(const mn_emit_input *input, mn_buffer *out)
{
    const char *type = input->quant == NULL ? "float" : "int8_t";
    mn_buffer_printf(out,
                     "#if defined(MEMNET_DUMP_LAYERS)\n"
                     "static void show_step(int step, const char *name, const %s *values,\n"
                     "                      int height, int width, int channels, int stride%s)\n"
                     "{\n"
                     "    memnet_layer layer;\n"
                     "    layer.step = step;\n"
                     "    layer.name = name;\n"
                     "    layer.values = values;\n"
                     "    layer.height = height;\n"
                     "    layer.width = width;\n"
                     "    layer.channels = channels;\n"
                     "    layer.stride = stride;\n"
                     "%s"
                     "    memnet_on_layer(&layer);\n"
                     "}\n"
                     "#define MEMNET_LAYER(...) show_step(__VA_ARGS__)\n"
                     "#else\n"
                     "#define MEMNET_LAYER(...) ((void)0)\n"
                     "#endif\n"
                     "\n",
                     type,
                     input->quant == NULL ? "" : ", float scale, int zero",
                     input->quant == NULL ? ""
                                          : "    layer.scale = scale;\n    layer.zero = zero;\n");
}

/* All of model.c behind its head. */
static mn_status write_body(const mn_emit_input *input,
                            const mn__interface *interface,
                            mn_buffer *out,
                            uint32_t *ret_kernels,
                            mn_error *err)
{
    bool is_float = input->quant == NULL;
    const char *type = is_float ? "float" : "int8_t";
    write_arena(input, out);
    write_layer_macro(input, out);
    mn_status status =
        is_float ? mn__emit_tables(input, out, err) : mn__emit_tables_s8(input, out, err);
    if (status == MN_OK)
        status = mn__emit_calls(input, out, ret_kernels, err);
    if (status != MN_OK)
        return status;
    mn_buffer_printf(out,
                     "\n%s *memnet_input(void)\n{\n    return memnet_arena + %zu;\n}\n"
                     "\nconst %s *memnet_output(void)\n{\n    return memnet_arena + %zu;\n}\n",
                     type,
                     interface->input_offset,
                     type,
                     interface->output_offset);
    return mn_buffer_check(out, err);
}

/* Of the body and of what the header says beside it. */
static uint32_t find_id(const mn_emit_input *input, const mn_buffer *body)
{
    const size_t sizes[] = {input->plan->arena_bytes, input->plan->align};
    const float pixels[] = {input->model->preprocessing.mean, input->model->preprocessing.scale};
    uint64_t hash = mn_hash_bytes(MN_HASH_START, body->bytes, body->count);
    hash = mn_hash_bytes(hash, sizes, sizeof sizes);
    hash = mn_hash_bytes(hash, pixels, sizeof pixels);
    return (uint32_t)(hash ^ hash >> 32);
}

mn_status mn__emit_model_c(const mn_emit_input *input,
                           const mn__interface *interface,
                           mn_buffer *out,
                           uint32_t *ret_kernels,
                           uint32_t *ret_id,
                           mn_error *err)
{
    bool is_float = input->quant == NULL;
    mn_buffer body;
    mn_buffer_init(&body);
    mn_status status = write_body(input, interface, &body, ret_kernels, err);
    if (status == MN_OK) {
        *ret_id = find_id(input, &body);
        mn_buffer_printf(
            out,
            model_c_head,
            is_float ? "floats" : "bytes",
            is_float ? "mn_f32.h" : "mn_s8.h",
            *ret_id,
            is_float
                ? "#define MEMNET_ALIGNED /* the kernels ask for the alignment of float only */"
                : "#error define MEMNET_ALIGNED: how a variable is aligned to "
                  "MODEL_ARENA_ALIGN bytes");
        mn_buffer_append(out, body.bytes, body.count);
    }
    mn_buffer_done(&body);
    return status;
}

void mn__emit_labels_h(mn_buffer *out)
{
    mn_buffer_printf(out,
                     "/* Class names; firmware that needs only indices may leave these files out. "
                     "*/\n"
                     "#ifndef MODEL_LABELS_H\n"
                     "#define MODEL_LABELS_H\n\n"
                     "#ifdef __cplusplus\n"
                     "extern \"C\" {\n"
                     "#endif\n\n"
                     "/* Name of class `index`, or a null pointer outside [0, MODEL_CLASSES). */\n"
                     "const char *memnet_class_name(int index);\n\n"
                     "#ifdef __cplusplus\n"
                     "}\n"
                     "#endif\n"
                     "#endif\n");
}

void mn__emit_labels_c(const mn_model *model, mn_buffer *out)
{
    mn_buffer_printf(
        out,
        "/* Class names. Exported by memnet; do not edit. SPDX-License-Identifier: 0BSD */\n"
        "#include \"model_labels.h\"\n\n"
        "#include \"model.h\"\n\n"
        "static const char *const class_names[MODEL_CLASSES] = {\n");
    for (uint32_t c = 0; c < model->class_count; c++) {
        mn_buffer_printf(out, "    ");
        mn__c_string(out, model->class_names[c]);
        mn_buffer_printf(out, ",\n");
    }
    mn_buffer_printf(out,
                     "};\n\n"
                     "const char *memnet_class_name(int index)\n"
                     "{\n"
                     "    return index < 0 || index >= MODEL_CLASSES ? 0 : class_names[index];\n"
                     "}\n");
}

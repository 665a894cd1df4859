/*
 * The exported model.h, model.c and class names. Called by c_project.
 * Invariant: model.c holds one buffer of plan->arena_bytes and tables of plan->weights_bytes,
 * nothing else that takes memory.
 */
#include "emit/c_model.h"

#include <math.h>

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
    found.input_shape = mn_graph_node(input->graph, found.input_node)->shape;
    *ret_interface = found;
    return MN_OK;
}

static const char model_h_functions[] =
    "/* The input, (MODEL_INPUT_HEIGHT, MODEL_INPUT_WIDTH, MODEL_INPUT_CHANNELS) floats, channels\n"
    " * last: element (y,x,c) is input[(y * MODEL_INPUT_WIDTH + x) * MODEL_INPUT_CHANNELS + c] =\n"
    " * (pixel - MODEL_INPUT_MEAN) * MODEL_INPUT_SCALE, where an image of bytes has pixels 0 to "
    "255.\n"
    " * It lies in the arena, and memnet_invoke() may overwrite it: fill all of it before each\n"
    " * call. */\n"
    "float *memnet_input(void);\n"
    "\n"
    "/* The output, MODEL_CLASSES floats: one score (logit, any real number) for each class; the\n"
    " * largest wins. Valid after memnet_invoke() until the input is filled again. */\n"
    "const float *memnet_output(void);\n"
    "\n"
    "/* Runs the network once. No heap, no input or output, and not reentrant: there is one\n"
    " * arena. */\n"
    "void memnet_invoke(void);\n"
    "\n"
    "#if defined(MEMNET_ARENA_EXTERNAL)\n"
    "/* Compile everything with MEMNET_ARENA_EXTERNAL to place the arena yourself: call this "
    "first,\n"
    " * with MODEL_ARENA_BYTES bytes aligned to MODEL_ARENA_ALIGN that nothing else uses while "
    "the\n"
    " * network runs. Without it model.c has a static arena. */\n"
    "void memnet_set_arena(void *arena);\n"
    "#endif\n";

void mn__emit_model_h(const mn_emit_input *input, const mn__interface *interface, mn_buffer *out)
{
    const mn_plan *plan = input->plan;
    char mean[MN__C_FLOAT_BYTES];
    char scale[MN__C_FLOAT_BYTES];
    mn__c_float(input->model->preprocessing.mean, mean);
    mn__c_float(input->model->preprocessing.scale, scale);
    mn_buffer_printf(out,
                     "/*\n"
                     " * An image classifier, exported by memnet. C99 and C++11.\n"
                     " *\n"
                     " * Fill memnet_input(), call memnet_invoke(), read memnet_output().\n"
                     " */\n"
                     "#ifndef MODEL_H\n"
                     "#define MODEL_H\n\n"
                     "#ifdef __cplusplus\n"
                     "extern \"C\" {\n"
                     "#endif\n\n"
                     "/* Static memory: the one read-write buffer, and the constant tables. */\n"
                     "#define MODEL_ARENA_BYTES %zu\n"
                     "#define MODEL_ARENA_ALIGN %zu\n"
                     "#define MODEL_WEIGHTS_BYTES %zu\n\n"
                     "/* Multiply-adds of one inference: %llu. */\n\n",
                     plan->arena_bytes,
                     plan->align,
                     plan->weights_bytes,
                     (unsigned long long)plan->macs);
    mn_buffer_printf(out,
                     "#define MODEL_INPUT_HEIGHT %u\n"
                     "#define MODEL_INPUT_WIDTH %u\n"
                     "#define MODEL_INPUT_CHANNELS %u\n"
                     "#define MODEL_CLASSES %u\n\n"
                     "/* network input = (pixel - mean) * scale */\n"
                     "#define MODEL_INPUT_MEAN (%s)\n"
                     "#define MODEL_INPUT_SCALE (%s)\n\n",
                     interface->input_shape.h,
                     interface->input_shape.w,
                     interface->input_shape.c,
                     interface->classes,
                     mean,
                     scale);
    mn_buffer_printf(out,
                     "%s\n"
                     "#ifdef __cplusplus\n"
                     "}\n"
                     "#endif\n"
                     "#endif\n",
                     model_h_functions);
}

static const char model_c_head[] =
    "/*\n"
    " * The network: its weights, and one function a step. Exported by memnet; do not edit.\n"
    " *\n"
    " * Shapes are (rows, columns, channels), channels last. Offsets in the calls count floats "
    "from\n"
    " * the start of the arena; results share it, each overwriting what no later step reads.\n"
    " */\n"
    "#include \"model.h\"\n"
    "\n"
    "#include \"mn_f32.h\"\n"
    "\n"
    "#if defined(__GNUC__)\n"
    "#define MEMNET_ALIGNED __attribute__((aligned(MODEL_ARENA_ALIGN)))\n"
    "#elif defined(__cplusplus)\n"
    "#define MEMNET_ALIGNED alignas(MODEL_ARENA_ALIGN)\n"
    "#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L\n"
    "#define MEMNET_ALIGNED _Alignas(MODEL_ARENA_ALIGN)\n"
    "#else\n"
    "#define MEMNET_ALIGNED /* the kernels ask for the alignment of float only */\n"
    "#endif\n"
    "\n"
    "#if defined(MEMNET_ARENA_EXTERNAL)\n"
    "static float *memnet_arena;\n"
    "\n"
    "void memnet_set_arena(void *arena)\n"
    "{\n"
    "    memnet_arena = (float *)arena;\n"
    "}\n"
    "#else\n"
    "MEMNET_ALIGNED static float memnet_arena[MODEL_ARENA_BYTES / 4];\n"
    "#endif\n"
    "\n";

mn_status mn__emit_model_c(const mn_emit_input *input,
                           const mn__interface *interface,
                           mn_buffer *out,
                           uint32_t *ret_kernels,
                           mn_error *err)
{
    mn_buffer_printf(out, "%s", model_c_head);
    mn_status status = mn__emit_tables(input, out, err);
    if (status == MN_OK)
        status = mn__emit_calls(input, out, ret_kernels, err);
    if (status != MN_OK)
        return status;
    mn_buffer_printf(out,
                     "\nfloat *memnet_input(void)\n{\n    return memnet_arena + %zu;\n}\n"
                     "\nconst float *memnet_output(void)\n{\n    return memnet_arena + %zu;\n}\n",
                     interface->input_offset,
                     interface->output_offset);
    return MN_OK;
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
    mn_buffer_printf(out,
                     "/* Class names. Exported by memnet; do not edit. */\n"
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

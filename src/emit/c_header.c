/*
 * The exported model.h: sizes, shapes, the grids of int8, and the few functions. Called by
 * c_project. Invariant: what a firmware engineer has to know stands in this one file.
 */
#include "emit/c_model.h"

#include "emit/c_text.h"

static void write_sizes(const mn_emit_input *input, const mn__interface *interface, mn_buffer *out)
{
    const mn_plan *plan = input->plan;
    mn_buffer_printf(out,
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
                     "#define MODEL_CLASSES %u\n\n",
                     interface->input_shape.h,
                     interface->input_shape.w,
                     interface->input_shape.c,
                     interface->classes);
}

static void write_preprocessing(const mn_emit_input *input, mn_buffer *out)
{
    char mean[MN__C_FLOAT_BYTES];
    char scale[MN__C_FLOAT_BYTES];
    mn__c_float(input->model->preprocessing.mean, mean);
    mn__c_float(input->model->preprocessing.scale, scale);
    mn_buffer_printf(out,
                     "/* network input = (pixel - mean) * scale */\n"
                     "#define MODEL_INPUT_MEAN (%s)\n"
                     "#define MODEL_INPUT_SCALE (%s)\n\n",
                     mean,
                     scale);
}

/* ---- int8 ----------------------------------------------------------------------------------- */

static void write_grid(const char *which, const mn_quant_value *grid, mn_buffer *out)
{
    char scale[MN__C_FLOAT_BYTES];
    mn__c_float(grid->scale, scale);
    mn_buffer_printf(out,
                     "#define MODEL_%s_GRID_SCALE (%s)\n"
                     "#define MODEL_%s_GRID_ZERO (%d)\n",
                     which,
                     scale,
                     which,
                     grid->zero_point);
}

/* On such a grid the network's input for a byte is the byte less 128. */
static bool feeds_bytes(const mn_preprocessing *preprocessing, const mn_quant_value *grid)
{
    return grid->scale == preprocessing->scale &&
           (float)grid->zero_point == preprocessing->mean - 128.0f;
}

static const char from_pixel[] =
    "/* What to write into the input for a pixel: its value on the input's grid, halves upwards\n"
    " * (in the arithmetic of floats, as on the computer that measured its accuracy). */\n"
    "static inline int8_t memnet_from_pixel_value(float pixel)\n"
    "{\n"
    "    float q = (pixel - MODEL_INPUT_MEAN) * MODEL_INPUT_SCALE / MODEL_INPUT_GRID_SCALE +\n"
    "              (float)MODEL_INPUT_GRID_ZERO;\n"
    "    if (!(q > -128.0f))\n"
    "        return -128;\n"
    "    return q > 127.0f ? (int8_t)127 : (int8_t)((int)(q + 128.5f) - 128);\n"
    "}\n\n";

static const char from_byte[] =
    "/* The same for a pixel that is a byte, 0 to 255: no float is needed. */\n"
    "static inline int8_t memnet_from_pixel(int pixel)\n"
    "{\n"
    "    return (int8_t)(pixel - 128);\n"
    "}\n\n";

static const char from_byte_by_float[] = "/* The same for a pixel that is a byte, 0 to 255. */\n"
                                         "static inline int8_t memnet_from_pixel(int pixel)\n"
                                         "{\n"
                                         "    return memnet_from_pixel_value((float)pixel);\n"
                                         "}\n\n";

static void write_grids(const mn_emit_input *input, const mn__interface *interface, mn_buffer *out)
{
    const mn_quant_value *grid = &input->quant->values[interface->input_node];
    mn_buffer_printf(out,
                     "/* Values are int8: real value = scale * (value - zero). */\n"
                     "#define MODEL_INT8 1\n");
    write_grid("INPUT", grid, out);
    write_grid("OUTPUT", &input->quant->values[interface->output_node], out);
    mn_buffer_printf(out,
                     "\n%s%s",
                     from_pixel,
                     feeds_bytes(&input->model->preprocessing, grid) ? from_byte
                                                                     : from_byte_by_float);
}

/* ---- functions ------------------------------------------------------------------------------ */

static const char input_float[] =
    "/* The input, (MODEL_INPUT_HEIGHT, MODEL_INPUT_WIDTH, MODEL_INPUT_CHANNELS) floats, channels\n"
    " * last: element (y,x,c) is input[(y * MODEL_INPUT_WIDTH + x) * MODEL_INPUT_CHANNELS + c] =\n"
    " * (pixel - MODEL_INPUT_MEAN) * MODEL_INPUT_SCALE, where an image of bytes has pixels 0 to "
    "255.\n";

static const char input_int8[] =
    "/* The input, (MODEL_INPUT_HEIGHT, MODEL_INPUT_WIDTH, MODEL_INPUT_CHANNELS) bytes, channels\n"
    " * last: element (y,x,c) is input[(y * MODEL_INPUT_WIDTH + x) * MODEL_INPUT_CHANNELS + c] =\n"
    " * memnet_from_pixel(pixel), where an image of bytes has pixels 0 to 255.\n";

static const char output_float[] =
    "/* The output, MODEL_CLASSES floats: one score (logit, any real number) for each class; the\n"
    " * largest wins. Valid after memnet_invoke() until the input is filled again. */\n";

static const char output_int8[] =
    "/* The output, MODEL_CLASSES bytes: one score for each class; the largest wins. As a logit a\n"
    " * score is (score - MODEL_OUTPUT_GRID_ZERO) * MODEL_OUTPUT_GRID_SCALE. Valid after\n"
    " * memnet_invoke() until the input is filled again. */\n";

static const char set_arena[] =
    "#if defined(MEMNET_ARENA_EXTERNAL)\n"
    "/* Compile everything with MEMNET_ARENA_EXTERNAL to place the arena yourself: call this "
    "first,\n"
    " * with MODEL_ARENA_BYTES bytes aligned to MODEL_ARENA_ALIGN that nothing else uses while "
    "the\n"
    " * network runs. Without it model.c has a static arena. */\n"
    "void memnet_set_arena(void *arena);\n"
    "#endif\n\n";

static void write_functions(bool is_float, mn_buffer *out)
{
    const char *type = is_float ? "float" : "int8_t";
    mn_buffer_printf(
        out,
        "%s"
        " * It lies in the arena, and memnet_invoke() may overwrite it: fill all of it "
        "before each\n"
        " * call. */\n"
        "%s *memnet_input(void);\n\n"
        "%s"
        "const %s *memnet_output(void);\n\n"
        "/* Runs the network once. No heap, no input or output, and not reentrant: "
        "there is one\n"
        " * arena. */\n"
        "void memnet_invoke(void);\n\n"
        "%s",
        is_float ? input_float : input_int8,
        type,
        is_float ? output_float : output_int8,
        type,
        set_arena);
}

static void write_layers(bool is_float, mn_buffer *out)
{
    mn_buffer_printf(
        out,
        "#if defined(MEMNET_DUMP_LAYERS)\n"
        "/* For debugging: compile everything with MEMNET_DUMP_LAYERS and define "
        "memnet_on_layer(), which\n"
        " * memnet_invoke() calls after every step with what the step made. Element (y,x,c) is\n"
        " * values[(y * width + x) * stride + c]%s. */\n"
        "typedef struct memnet_layer {\n"
        "    int step;\n"
        "    const char *name;\n"
        "    const %s *values;\n"
        "    int height, width, channels, stride;\n"
        "%s"
        "} memnet_layer;\n"
        "void memnet_on_layer(const memnet_layer *layer);\n"
        "#endif\n\n",
        is_float ? "" : ", of the real value scale * (element - zero)",
        is_float ? "float" : "int8_t",
        is_float ? "" : "    float scale;\n    int zero;\n");
}

void mn__emit_model_h(const mn_emit_input *input,
                      const mn__interface *interface,
                      uint32_t id,
                      mn_buffer *out)
{
    bool is_float = input->quant == NULL;
    mn_buffer_printf(out,
                     "/*\n"
                     " * An image classifier in %s, exported by memnet. C99 and C++11.\n"
                     " * SPDX-License-Identifier: 0BSD\n"
                     " *\n"
                     " * Fill memnet_input(), call memnet_invoke(), read memnet_output().\n"
                     " */\n"
                     "#ifndef MODEL_H\n"
                     "#define MODEL_H\n\n"
                     "%s"
                     "#ifdef __cplusplus\n"
                     "extern \"C\" {\n"
                     "#endif\n\n",
                     is_float ? "float32" : "int8",
                     is_float ? "" : "#include <stdint.h>\n\n");
    mn_buffer_printf(
        out,
        "/* Of this network and its layout: model.c refuses the header of another. */\n"
        "#define MODEL_ID 0x%08xu\n\n",
        id);
    write_sizes(input, interface, out);
    write_preprocessing(input, out);
    if (!is_float)
        write_grids(input, interface, out);
    write_functions(is_float, out);
    write_layers(is_float, out);
    mn_buffer_printf(out,
                     "#ifdef __cplusplus\n"
                     "}\n"
                     "#endif\n"
                     "#endif\n");
}

/*
 * Genotypes as JSON (docs/formats.md), strict: unknown keys, other types and numbers out of range
 * are refused, each with its place. What leaves here passes mn_genotype_check().
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "space/cell_ops.h"
#include "space/genotype_check.h"

static const char *const head_names[] = {[MN_HEAD_GAP] = "gap", [MN_HEAD_MAXPOOL2] = "maxpool2"};
static const char *const combine_names[] = {
    [MN_COMBINE_ADD] = "add",
    [MN_COMBINE_CONCAT] = "concat",
};

/* ---- parsing --------------------------------------------------------------------------------- */

static mn_status read_number(
    const json_t *object, const char *where, mn__number number, uint32_t *ret_value, mn_error *err)
{
    int64_t value = 0;
    mn_status status = mn_json_get_integer(
        object, where, mn__number_name(number), INT64_MIN, INT64_MAX, &value, err);
    if (status == MN_OK)
        status = mn__number_check(number, value, where, err);
    if (status == MN_OK)
        *ret_value = (uint32_t)value;
    return status;
}

/* Reads a string that is one of two; *ret_which becomes its index. */
static mn_status read_choice(const json_t *object,
                             const char *where,
                             const char *key,
                             const char *const names[2],
                             int *ret_which,
                             mn_error *err)
{
    const char *text = NULL;
    mn_status status = mn_json_get_string(object, where, key, &text, err);
    if (status != MN_OK)
        return status;
    for (int i = 0; i < 2; i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_which = i;
            return MN_OK;
        }
    }
    return mn_error_set(err,
                        MN_ERR_FORMAT,
                        "%s: %s '%.64s', expected '%s' or '%s'",
                        where,
                        key,
                        text,
                        names[0],
                        names[1]);
}

static mn_status
read_cell_input(const json_t *value, const char *where, uint32_t k, uint32_t *ret_in, mn_error *err)
{
    if (!json_is_integer(value))
        return mn_error_set(err, MN_ERR_FORMAT, "%s: 'in': expected two integers", where);
    json_int_t input = json_integer_value(value);
    mn_status status = mn__cell_input_check(k, input, where, err);
    if (status == MN_OK)
        *ret_in = (uint32_t)input;
    return status;
}

static mn_status
read_cell_op(const json_t *value, const char *where, mn_cell_op *ret_op, mn_error *err)
{
    const char *name = json_string_value(value);
    if (name == NULL)
        return mn_error_set(err, MN_ERR_FORMAT, "%s: 'op': expected two strings", where);
    mn_cell_op op = mn__cell_op_find(name);
    if (op == MN_OP_COUNT)
        return mn_error_set(err, MN_ERR_FORMAT, "%s: unknown op '%.64s'", where, name);
    *ret_op = op;
    return MN_OK;
}

static mn_status
read_cell(const json_t *object, uint32_t b, uint32_t k, mn_cell *ret_cell, mn_error *err)
{
    static const char *const keys[] = {"in", "op", "combine", "out", NULL};
    char where[MN__PLACE_BYTES];
    mn__place_cell(b, k, where);
    const json_t *in = NULL;
    const json_t *op = NULL;
    int combine = 0;
    mn_status status = mn_json_check_keys(object, where, keys, err);
    if (status == MN_OK)
        status = mn_json_get_array(object, where, "in", 2, 2, &in, err);
    if (status == MN_OK)
        status = mn_json_get_array(object, where, "op", 2, 2, &op, err);
    for (uint32_t slot = 0; status == MN_OK && slot < 2; slot++) {
        status = read_cell_input(json_array_get(in, slot), where, k, &ret_cell->in[slot], err);
        if (status == MN_OK)
            status = read_cell_op(json_array_get(op, slot), where, &ret_cell->op[slot], err);
    }
    if (status == MN_OK)
        status = read_choice(object, where, "combine", combine_names, &combine, err);
    if (status == MN_OK)
        status = mn_json_get_boolean(object, where, "out", &ret_cell->out, err);
    ret_cell->combine = (mn_combine)combine;
    return status;
}

static mn_status read_block(const json_t *object, uint32_t b, mn_block *ret_block, mn_error *err)
{
    static const char *const keys[] = {"stride", "width", "cells", NULL};
    char where[MN__PLACE_BYTES];
    mn__place_block(b, where);
    const json_t *cells = NULL;
    mn_status status = mn_json_check_keys(object, where, keys, err);
    if (status == MN_OK)
        status = read_number(object, where, MN__STRIDE, &ret_block->stride, err);
    if (status == MN_OK)
        status = read_number(object, where, MN__WIDTH, &ret_block->width, err);
    if (status == MN_OK)
        status = mn_json_get_array(object, where, "cells", 1, MN_MAX_CELLS, &cells, err);
    if (status != MN_OK)
        return status;
    ret_block->cell_count = (uint32_t)json_array_size(cells);
    for (uint32_t k = 0; status == MN_OK && k < ret_block->cell_count; k++)
        status = read_cell(json_array_get(cells, k), b, k, &ret_block->cells[k], err);
    return status;
}

static mn_status read_blocks(const json_t *root, mn_genotype *genotype, mn_error *err)
{
    const json_t *blocks = NULL;
    mn_status status =
        mn_json_get_array(root, "genotype", "blocks", 1, MN_MAX_BLOCKS, &blocks, err);
    if (status != MN_OK)
        return status;
    genotype->block_count = (uint32_t)json_array_size(blocks);
    for (uint32_t b = 0; status == MN_OK && b < genotype->block_count; b++)
        status = read_block(json_array_get(blocks, b), b, &genotype->blocks[b], err);
    return status;
}

/* "input": [H,W,C] */
static mn_status read_input(const json_t *root, mn_shape *ret_shape, mn_error *err)
{
    static const mn__number numbers[3] = {MN__INPUT_HEIGHT, MN__INPUT_WIDTH, MN__INPUT_CHANNELS};
    const json_t *input = NULL;
    uint32_t sides[3] = {0};
    mn_status status = mn_json_get_array(root, "genotype", "input", 3, 3, &input, err);
    for (uint32_t i = 0; status == MN_OK && i < 3; i++) {
        const json_t *value = json_array_get(input, i);
        if (!json_is_integer(value))
            return mn_error_set(
                err, MN_ERR_FORMAT, "input: %s: expected an integer", mn__number_name(numbers[i]));
        status = mn__number_check(numbers[i], json_integer_value(value), "input", err);
        sides[i] = (uint32_t)json_integer_value(value);
    }
    *ret_shape = (mn_shape){.h = sides[0], .w = sides[1], .c = sides[2]};
    return status;
}

static mn_status read_stem(const json_t *root, mn_stem *ret_stem, mn_error *err)
{
    static const char *const keys[] = {"width", "stride", NULL};
    const json_t *stem = json_object_get(root, "stem");
    if (stem == NULL)
        return MN_OK;
    mn_status status = mn_json_check_keys(stem, "stem", keys, err);
    if (status == MN_OK)
        status = read_number(stem, "stem", MN__WIDTH, &ret_stem->width, err);
    if (status == MN_OK)
        status = read_number(stem, "stem", MN__STRIDE, &ret_stem->stride, err);
    return status;
}

/* The format comes first: another version may well have other keys. */
static mn_status read_genotype(const json_t *root, mn_genotype *genotype, mn_error *err)
{
    static const char *const keys[] = {
        "format", "input", "classes", "stem", "blocks", "head", NULL};
    const char *where = "genotype";
    if (!json_is_object(root))
        return mn_error_set(err, MN_ERR_FORMAT, "%s: expected an object", where);
    int64_t format = 0;
    int head = 0;
    mn_status status =
        mn_json_get_integer(root, where, "format", INT64_MIN, INT64_MAX, &format, err);
    if (status == MN_OK && format != MN_GENOTYPE_FORMAT)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: format %lld, expected %d",
                            where,
                            (long long)format,
                            MN_GENOTYPE_FORMAT);
    if (status == MN_OK)
        status = mn_json_check_keys(root, where, keys, err);
    if (status == MN_OK)
        status = read_input(root, &genotype->input, err);
    if (status == MN_OK)
        status = read_number(root, where, MN__CLASSES, &genotype->classes, err);
    if (status == MN_OK)
        status = read_stem(root, &genotype->stem, err);
    if (status == MN_OK)
        status = read_blocks(root, genotype, err);
    if (status == MN_OK)
        status = read_choice(root, where, "head", head_names, &head, err);
    genotype->head = (mn_head)head;
    return status == MN_OK ? mn_genotype_check(genotype, err) : status;
}

mn_status
mn_genotype_parse(const char *json, size_t count, mn_genotype *ret_genotype, mn_error *err)
{
    json_t *root = NULL;
    mn_status status = mn_json_parse("genotype", json, count, MN_GENOTYPE_JSON_BYTES, &root, err);
    if (status != MN_OK)
        return status;
    mn_genotype genotype = {0};
    status = read_genotype(root, &genotype, err);
    json_decref(root);
    /* A value out of range is a wrong argument of a struct, but a malformed file. */
    if (status == MN_ERR_ARG) {
        status = MN_ERR_FORMAT;
        if (err != NULL)
            err->status = status;
    }
    if (status == MN_OK)
        *ret_genotype = genotype;
    return status;
}

mn_status mn_genotype_load(const char *path, mn_genotype *ret_genotype, mn_error *err)
{
    char *json = NULL;
    size_t count = 0;
    mn_status status = mn_file_read(path, MN_GENOTYPE_JSON_BYTES, &json, &count, err);
    if (status != MN_OK)
        return status;
    status = mn_genotype_parse(json, count, ret_genotype, err);
    if (status != MN_OK)
        mn_error_prefix(err, status, "%s", path);
    free(json);
    return status;
}

/* ---- printing -------------------------------------------------------------------------------- */

/* Where text goes. One line when indent is 0; else a cell a line, and a space after ':' and ','. */
typedef struct writer {
    mn_buffer text;
    int indent;
    const char *space; /* "" or " " */
} writer;

static void new_line(writer *out, int depth)
{
    if (out->indent > 0)
        mn_buffer_printf(&out->text, "\n%*s", out->indent * depth, "");
}

static void print_cell(writer *out, const mn_cell *cell)
{
    const char *s = out->space;
    mn_buffer_printf(&out->text, "{\"in\":%s[%u,%s%u],%s", s, cell->in[0], s, cell->in[1], s);
    mn_buffer_printf(&out->text,
                     "\"op\":%s[\"%s\",%s\"%s\"],%s",
                     s,
                     mn_cell_op_name(cell->op[0]),
                     s,
                     mn_cell_op_name(cell->op[1]),
                     s);
    mn_buffer_printf(&out->text, "\"combine\":%s\"%s\",%s", s, combine_names[cell->combine], s);
    mn_buffer_printf(&out->text, "\"out\":%s%s}", s, cell->out ? "true" : "false");
}

static void print_block(writer *out, const mn_block *block)
{
    const char *s = out->space;
    mn_buffer_printf(&out->text, "{\"stride\":%s%u,%s", s, block->stride, s);
    mn_buffer_printf(&out->text, "\"width\":%s%u,%s\"cells\":%s[", s, block->width, s, s);
    for (uint32_t k = 0; k < block->cell_count; k++) {
        if (k > 0)
            mn_buffer_append(&out->text, ",", 1);
        new_line(out, 3);
        print_cell(out, &block->cells[k]);
    }
    new_line(out, 2);
    mn_buffer_append(&out->text, "]}", 2);
}

static void print_genotype(writer *out, const mn_genotype *genotype)
{
    const char *s = out->space;
    const mn_shape *input = &genotype->input;
    mn_buffer_append(&out->text, "{", 1);
    new_line(out, 1);
    mn_buffer_printf(&out->text, "\"format\":%s%d,", s, MN_GENOTYPE_FORMAT);
    new_line(out, 1);
    mn_buffer_printf(
        &out->text, "\"input\":%s[%u,%s%u,%s%u],", s, input->h, s, input->w, s, input->c);
    new_line(out, 1);
    mn_buffer_printf(&out->text, "\"classes\":%s%u,", s, genotype->classes);
    if (genotype->stem.width > 0) {
        new_line(out, 1);
        mn_buffer_printf(&out->text, "\"stem\":%s{\"width\":%s%u,", s, s, genotype->stem.width);
        mn_buffer_printf(&out->text, "%s\"stride\":%s%u},", s, s, genotype->stem.stride);
    }
    new_line(out, 1);
    mn_buffer_printf(&out->text, "\"blocks\":%s[", s);
    for (uint32_t b = 0; b < genotype->block_count; b++) {
        if (b > 0)
            mn_buffer_append(&out->text, ",", 1);
        new_line(out, 2);
        print_block(out, &genotype->blocks[b]);
    }
    new_line(out, 1);
    mn_buffer_append(&out->text, "],", 2);
    new_line(out, 1);
    mn_buffer_printf(&out->text, "\"head\":%s\"%s\"", s, head_names[genotype->head]);
    new_line(out, 0);
    mn_buffer_append(&out->text, "}", 1);
}

mn_status mn_genotype_print(const mn_genotype *genotype, int indent, char **ret_json, mn_error *err)
{
    if (indent < 0 || indent > 8)
        return mn_error_set(err, MN_ERR_ARG, "genotype: indent %d out of range [0,8]", indent);
    mn_status status = mn_genotype_check(genotype, err);
    if (status != MN_OK)
        return status;
    writer out = {.indent = indent, .space = indent > 0 ? " " : ""};
    mn_buffer_init(&out.text);
    print_genotype(&out, genotype);
    status = mn_buffer_take(&out.text, ret_json, err);
    mn_buffer_done(&out.text);
    return status;
}

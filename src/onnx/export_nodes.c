/*
 * From primitives to ops: one row each. A node becomes its op, its activation, and, in int8, the
 * pair that brings the result to its grid (export_quant.c); the last of them has the value's name.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "onnx/export.h"

/* What the functions below know of the node that is written. */
typedef struct writer {
    mn__export *e;
    uint32_t index;
    const mn_node *node;
    mn__export_name result; /* what the op itself shall be called */
} writer;

static const mn_graph *graph_of(const writer *w)
{
    return w->e->input->graph;
}

/* ---- forms --------------------------------------------------------------------------------- */

/* Writes a Reshape of `from` to dims. */
static void add_reshape(mn__export *e,
                        uint32_t node,
                        const char *from,
                        const char *to,
                        const char *part,
                        const mn__export_tensor *dims)
{
    mn__export_name shape = mn__export_part_name(e, node, part);
    mn__export_tensor list = {
        .name = shape.text,
        .element = MN__ELEMENT_INT64,
        .rank = 1,
        .dims = {dims->rank},
        .data = dims->dims,
        .bytes = dims->rank * sizeof dims->dims[0],
    };
    mn__export_add_tensor(e, &list);
    mn__export_add_op(e,
                      &(mn__export_op){.type = "Reshape",
                                       .inputs = (const char *const[]){from, shape.text},
                                       .input_count = 2,
                                       .output = to});
}

mn__export_name mn__export_read(mn__export *e, uint32_t node, mn__form form)
{
    mn__export_value *value = &e->values[node];
    mn__export_name name = mn__export_value_name(e, node, form);
    if (value->form == form || value->has_both)
        return name;
    mn__export_name made = mn__export_value_name(e, node, value->form);
    mn_shape shape = mn_graph_node(e->input->graph, node)->shape;
    value->has_both = true;
    if (form == MN__FORM_VECTOR) {
        mn_buffer axis;
        mn_buffer_init(&axis);
        mn__export_attribute_int(&axis, "axis", 1);
        mn__export_add_op(e,
                          &(mn__export_op){.type = "Flatten",
                                           .inputs = (const char *const[]){made.text},
                                           .input_count = 1,
                                           .output = name.text,
                                           .attributes = &axis});
        return name;
    }
    mn__export_tensor dims = {.rank = 4, .dims = {1, shape.c, shape.h, shape.w}};
    add_reshape(e, node, made.text, name.text, "image_shape", &dims);
    return name;
}

/* ---- tables -------------------------------------------------------------------------------- */

/* Writes weights as the dims say, and the bias; ret_bias is "" when there is none. */
static mn_status add_tables(writer *w,
                            uint32_t rank,
                            const int64_t dims[4],
                            mn__export_name *ret_weight,
                            mn__export_name *ret_bias,
                            mn_error *err)
{
    mn__export *e = w->e;
    uint32_t tensors[2] = {w->node->tensors[MN_ROLE_WEIGHT], w->node->tensors[MN_ROLE_BIAS]};
    *ret_weight = mn__export_part_name(e, w->index, "weight");
    *ret_bias = mn__export_part_name(e, w->index, "bias");
    if (e->input->quant != NULL)
        return mn__export_quant_tables(e, w->index, ret_weight->text, ret_bias->text, err);
    mn__export_tensor weight = {
        .name = ret_weight->text,
        .element = MN__ELEMENT_FLOAT,
        .rank = rank,
        .data = e->input->tensors->items[tensors[0]].data,
        .bytes = mn_graph_tensor_elements(graph_of(w), tensors[0]) * sizeof(float),
    };
    memcpy(weight.dims, dims, sizeof weight.dims);
    mn__export_add_tensor(e, &weight);
    if (tensors[1] == MN_NONE) {
        ret_bias->text[0] = '\0';
        return MN_OK;
    }
    mn__export_add_tensor(e,
                          &(mn__export_tensor){.name = ret_bias->text,
                                               .element = MN__ELEMENT_FLOAT,
                                               .rank = 1,
                                               .dims = {w->node->shape.c},
                                               .data = e->input->tensors->items[tensors[1]].data,
                                               .bytes = w->node->shape.c * sizeof(float)});
    return MN_OK;
}

/* Writes an op that reads `from` and the node's tables. */
static void add_filter(writer *w,
                       const char *type,
                       const char *from,
                       const mn__export_name *weight,
                       const mn__export_name *bias,
                       mn_buffer *attributes)
{
    const char *const inputs[] = {from, weight->text, bias->text};
    mn__export_add_op(w->e,
                      &(mn__export_op){.type = type,
                                       .inputs = inputs,
                                       .input_count = bias->text[0] == '\0' ? 2 : 3,
                                       .output = w->result.text,
                                       .attributes = attributes});
}

/* ---- primitives ---------------------------------------------------------------------------- */

static void add_window(mn_buffer *attributes, const mn_window *window)
{
    const int64_t kernel[] = {window->kernel_h, window->kernel_w};
    const int64_t strides[] = {window->stride_h, window->stride_w};
    const int64_t pads[] = {
        window->pad_top, window->pad_left, window->pad_bottom, window->pad_right};
    mn__export_attribute_ints(attributes, "kernel_shape", kernel, 2);
    mn__export_attribute_ints(attributes, "strides", strides, 2);
    mn__export_attribute_ints(attributes, "pads", pads, 4);
}

static mn_status write_conv(writer *w, mn_error *err)
{
    const mn_window *window = &w->node->window;
    const int64_t dilations[] = {window->dilation_h, window->dilation_w};
    mn__export_name from = mn__export_read(w->e, w->node->inputs[0], MN__FORM_IMAGE);
    mn__export_name weight;
    mn__export_name bias;
    mn_buffer attributes;
    int64_t dims[4];
    const mn_tensor_info *info = mn_graph_tensor(graph_of(w), w->node->tensors[MN_ROLE_WEIGHT]);
    for (uint32_t d = 0; d < 4; d++)
        dims[d] = info->dims[d]; /* (O,I/groups,KH,KW), as ONNX has them */
    mn_status status = add_tables(w, 4, dims, &weight, &bias, err);
    if (status != MN_OK)
        return status;
    mn_buffer_init(&attributes);
    add_window(&attributes, window);
    mn__export_attribute_ints(&attributes, "dilations", dilations, 2);
    mn__export_attribute_int(&attributes, "group", w->node->groups);
    add_filter(w, "Conv", from.text, &weight, &bias, &attributes);
    return MN_OK;
}

/* The image is flattened as (C,H,W), which is the order of the weights. */
static mn_status write_fully_connected(writer *w, mn_error *err)
{
    mn_shape shape = mn_graph_node(graph_of(w), w->node->inputs[0])->shape;
    const int64_t dims[4] = {w->node->shape.c, (int64_t)mn_shape_elements(shape)};
    mn__export_name from = mn__export_read(w->e, w->node->inputs[0], MN__FORM_VECTOR);
    mn__export_name weight;
    mn__export_name bias;
    mn_buffer attributes;
    mn_status status = add_tables(w, 2, dims, &weight, &bias, err);
    if (status != MN_OK)
        return status;
    mn_buffer_init(&attributes);
    mn__export_attribute_int(&attributes, "transB", 1);
    add_filter(w, "Gemm", from.text, &weight, &bias, &attributes);
    return MN_OK;
}

static mn_status write_pool(writer *w, mn_error *err)
{
    mn__export_name from = mn__export_read(w->e, w->node->inputs[0], MN__FORM_IMAGE);
    bool is_mean = w->node->prim == MN_PRIM_AVG_POOL;
    mn_buffer attributes;
    (void)err;
    mn_buffer_init(&attributes);
    add_window(&attributes, &w->node->window);
    if (is_mean)
        mn__export_attribute_int(&attributes, "count_include_pad", 0);
    mn__export_add_op(w->e,
                      &(mn__export_op){.type = is_mean ? "AveragePool" : "MaxPool",
                                       .inputs = (const char *const[]){from.text},
                                       .input_count = 1,
                                       .output = w->result.text,
                                       .attributes = &attributes});
    return MN_OK;
}

static mn_status write_global_pool(writer *w, mn_error *err)
{
    mn__export_name from = mn__export_read(w->e, w->node->inputs[0], MN__FORM_IMAGE);
    (void)err;
    mn__export_add_simple(w->e, "GlobalAveragePool", from.text, w->result.text);
    return MN_OK;
}

static mn_status write_join(writer *w, mn_error *err)
{
    uint32_t count = w->node->input_count;
    bool is_concat = w->node->prim == MN_PRIM_CONCAT;
    mn__form form = w->e->values[w->index].form;
    mn_buffer attributes;
    mn__export_name *names = mn_calloc(count, sizeof *names);
    const char **inputs = mn_calloc(count, sizeof *inputs);
    mn_status status = MN_OK;
    if (names == NULL || inputs == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    for (uint32_t i = 0; i < count; i++) {
        names[i] = mn__export_read(w->e, w->node->inputs[i], form);
        inputs[i] = names[i].text;
    }
    mn_buffer_init(&attributes);
    if (is_concat)
        mn__export_attribute_int(&attributes, "axis", 1); /* the channels */
    mn__export_add_op(w->e,
                      &(mn__export_op){.type = is_concat ? "Concat" : "Add",
                                       .inputs = inputs,
                                       .input_count = count,
                                       .output = w->result.text,
                                       .attributes = &attributes});
done:
    free(inputs);
    free(names);
    return status;
}

static void add_transpose(writer *w, const char *from, const char *to, const int64_t order[4])
{
    mn_buffer attributes;
    mn_buffer_init(&attributes);
    mn__export_attribute_ints(&attributes, "perm", order, 4);
    mn__export_add_op(w->e,
                      &(mn__export_op){.type = "Transpose",
                                       .inputs = (const char *const[]){from},
                                       .input_count = 1,
                                       .output = to,
                                       .attributes = &attributes});
}

/* (C,H,W) and (H,W,C) are the same bytes. */
static bool is_flat(mn_shape shape)
{
    return shape.c == 1 || (size_t)shape.h * shape.w == 1;
}

/* The graph's reshape keeps the order (H,W,C), so an image that has both pixels and channels is
 * turned to that order before, and back afterwards. */
static mn_status write_reshape(writer *w, mn_error *err)
{
    static const int64_t to_rows[4] = {0, 2, 3, 1};
    static const int64_t to_planes[4] = {0, 3, 1, 2};
    uint32_t input = w->node->inputs[0];
    mn_shape shape = w->node->shape;
    mn__export_name from = mn__export_read(w->e, input, w->e->values[input].form);
    mn__export_name rows = mn__export_part_name(w->e, w->index, "rows_in");
    mn__export_name out = mn__export_part_name(w->e, w->index, "rows_out");
    mn__export_tensor dims = {.rank = 4, .dims = {1, shape.c, shape.h, shape.w}};
    (void)err;
    if (!is_flat(mn_graph_node(graph_of(w), input)->shape)) {
        add_transpose(w, from.text, rows.text, to_rows);
        from = rows;
    }
    if (w->e->values[w->index].form == MN__FORM_VECTOR)
        dims = (mn__export_tensor){.rank = 2, .dims = {1, shape.c}};
    if (is_flat(shape)) {
        add_reshape(w->e, w->index, from.text, w->result.text, "shape", &dims);
        return MN_OK;
    }
    dims = (mn__export_tensor){.rank = 4, .dims = {1, shape.h, shape.w, shape.c}};
    add_reshape(w->e, w->index, from.text, out.text, "shape", &dims);
    add_transpose(w, out.text, w->result.text, to_planes);
    return MN_OK;
}

/* ---- the table ----------------------------------------------------------------------------- */

typedef enum form_rule { RULE_IMAGE, RULE_VECTOR, RULE_AS_INPUTS, RULE_BY_SHAPE } form_rule;

typedef struct row {
    mn_status (*write)(writer *w, mn_error *err); /* NULL: no op of its own */
    form_rule rule;
    mn_act act; /* of the primitive itself */
    bool is_exported;
} row;

static const row rows[MN_PRIM_COUNT] = {
    [MN_PRIM_INPUT] = {NULL, RULE_IMAGE, MN_ACT_NONE, true},
    [MN_PRIM_CONV] = {write_conv, RULE_IMAGE, MN_ACT_NONE, true},
    [MN_PRIM_RELU] = {NULL, RULE_AS_INPUTS, MN_ACT_RELU, true},
    [MN_PRIM_RELU6] = {NULL, RULE_AS_INPUTS, MN_ACT_RELU6, true},
    [MN_PRIM_ADD] = {write_join, RULE_AS_INPUTS, MN_ACT_NONE, true},
    [MN_PRIM_CONCAT] = {write_join, RULE_AS_INPUTS, MN_ACT_NONE, true},
    [MN_PRIM_MAX_POOL] = {write_pool, RULE_IMAGE, MN_ACT_NONE, true},
    [MN_PRIM_AVG_POOL] = {write_pool, RULE_IMAGE, MN_ACT_NONE, true},
    [MN_PRIM_GLOBAL_POOL] = {write_global_pool, RULE_IMAGE, MN_ACT_NONE, true},
    [MN_PRIM_FULLY_CONNECTED] = {write_fully_connected, RULE_VECTOR, MN_ACT_NONE, true},
    [MN_PRIM_RESHAPE] = {write_reshape, RULE_BY_SHAPE, MN_ACT_NONE, true},
};

static mn__form form_of(const mn__export *e, const mn_node *node, form_rule rule)
{
    bool is_vector = node->shape.h == 1 && node->shape.w == 1;
    if (rule == RULE_AS_INPUTS)
        for (uint32_t i = 0; i < node->input_count; i++)
            is_vector = is_vector && e->values[node->inputs[i]].form == MN__FORM_VECTOR;
    return rule != RULE_IMAGE && is_vector ? MN__FORM_VECTOR : MN__FORM_IMAGE;
}

/* ---- a node -------------------------------------------------------------------------------- */

/* What the node's op makes, or what stands in its place when it has none. */
static mn__export_name source_of(writer *w)
{
    mn__export_name name = {{0}};
    if (w->node->prim == MN_PRIM_INPUT)
        memcpy(name.text, MN__EXPORT_INPUT, sizeof MN__EXPORT_INPUT);
    else if (rows[w->node->prim].write == NULL)
        name = mn__export_read(w->e, w->node->inputs[0], w->e->values[w->index].form);
    else
        name = w->result;
    return name;
}

mn_status mn__export_node(mn__export *e, uint32_t index, mn_error *err)
{
    writer w = {.e = e, .index = index, .node = mn_graph_node(e->input->graph, index)};
    const row *r = &rows[w.node->prim];
    bool is_quantised = e->input->quant != NULL;
    if (!r->is_exported)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "node '%.200s': %s has no form in ONNX, expected a deployed network",
                            w.node->name,
                            mn_prim_name(w.node->prim));
    e->values[index].form = form_of(e, w.node, r->rule);
    mn_act act = r->act != MN_ACT_NONE ? r->act : w.node->act;
    mn__export_bounds bounds = mn__export_bounds_of(e, index, act);
    bool is_clamped = bounds.has_low || bounds.has_high;
    mn__export_name value = mn__export_value_name(e, index, e->values[index].form);
    mn__export_name clamped = is_quantised ? mn__export_part_name(e, index, "clamped") : value;
    w.result = is_clamped || is_quantised ? mn__export_part_name(e, index, "raw") : value;
    mn_status status = r->write == NULL ? MN_OK : r->write(&w, err);
    if (status != MN_OK)
        return status;
    mn__export_name source = source_of(&w);
    if (is_clamped)
        mn__export_add_clamp(e, index, &bounds, source.text, clamped.text);
    if (is_quantised)
        mn__export_quant_value(e, index, is_clamped ? clamped.text : source.text, value.text);
    return MN_OK;
}

/*
 * Parameters: storage as the kernels read it, the gradient in the same layout (so the optimiser
 * runs over both in one pass), the copy of weights on the grid of int8 that layers may compute with
 * instead, and the way to and from plain tensors. Invariant: lanes without a
 * channel hold zero.
 */
#include <string.h>

#include "train/network.h"

static mn_status count_floats(const mn__parameter *p, size_t *ret_count, mn_error *err)
{
    size_t count = p->rows;
    bool fits = true;
    if (p->kind == MN__FILTER || p->kind == MN__MATRIX)
        fits = mn_size_mul(count, p->columns, &count);
    if (p->kind != MN__VECTOR)
        fits = fits && mn_size_mul(count, p->taps, &count);
    if (!fits)
        return mn_error_set(err, MN_ERR_NOMEM, "no memory for a tensor that large");
    *ret_count = count;
    return MN_OK;
}

/* ---- weights as int8 holds them ---------------------------------------------------------------
 */

typedef struct int8_state {
    const mn__network *net;
    const mn__parameter *from;
    float *to;
} int8_state;

/* Channels lie side by side in lanes, or one after another in a matrix. */
static void refresh_int8(const void *context, bool train)
{
    const int8_state *s = context;
    const mn__parameter *p = s->from;
    const mn__simd *simd = s->net->opts.simd;
    (void)train;
    for (uint32_t row = 0; row < p->rows;) {
        uint32_t rows = p->kind == MN__MATRIX ? 1 : simd->lanes;
        if (p->kind == MN__FILTER && p->rows - row >= 2 * simd->lanes)
            rows = 2 * simd->lanes;
        size_t at = p->count / p->rows * row;
        size_t count = p->count / p->rows * rows;
        simd->quantise_weights(p->value + at, rows, count, s->to + at);
        row += rows;
    }
}

/* The step comes before those of the layer, which copy what it yields. */
static mn_status see_int8(mn__network *net, uint32_t tensor, mn_error *err)
{
    mn__parameter *p = &net->parameters[tensor];
    void *block = NULL;
    void *floats = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(int8_state), &block, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, p->count, sizeof(float), &floats, err);
    if (status != MN_OK)
        return status;
    int8_state *s = block;
    *s = (int8_state){.net = net, .from = p, .to = floats};
    p->seen = s->to;
    mn__step step = {.node = mn_graph_tensor(net->graph, tensor)->node,
                     .begin = refresh_int8,
                     .context = s,
                     .work = {.kind = "int8 weights"}};
    return mn__program_add(net, &net->refresh, &step, err);
}

mn_status mn__parameter_init(mn__network *net, uint32_t tensor, bool trainable, mn_error *err)
{
    mn__parameter *p = &net->parameters[tensor];
    void *blocks[4] = {NULL};
    mn_status status = count_floats(p, &p->count, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, p->count, sizeof(float), &blocks[0], err);
    for (int i = 1; i < 3 && trainable && status == MN_OK; i++)
        status = mn__network_alloc(net, p->count, sizeof(float), &blocks[i], err);
    if (status == MN_OK && trainable && net->opts.slices > 1)
        status = mn__network_alloc(
            net, p->count, (net->opts.slices - 1) * sizeof(float), &blocks[3], err);
    if (status != MN_OK)
        return status;
    p->value = blocks[0];
    p->seen = blocks[0];
    p->gradient = blocks[1];
    p->velocity = blocks[2];
    p->partial = blocks[3];
    return net->opts.int8_weights && p->kind != MN__VECTOR ? see_int8(net, tensor, err) : MN_OK;
}

float *mn__parameter_share(const mn__parameter *p, uint32_t slice)
{
    return slice == 0 ? p->gradient : p->partial + (slice - 1) * p->count;
}

void mn__parameter_begin(const mn__network *net, const mn__parameter *p)
{
    for (uint32_t slice = 0; slice < net->opts.slices; slice++)
        memset(mn__parameter_share(p, slice), 0, p->count * sizeof(float));
}

void mn__parameter_end(const mn__network *net, const mn__parameter *p)
{
    for (uint32_t slice = 1; slice < net->opts.slices; slice++)
        net->opts.simd->add(p->gradient, mn__parameter_share(p, slice), p->count);
}

static size_t
stored_at(const mn__parameter *p, uint32_t lanes, uint32_t row, uint32_t column, uint32_t tap)
{
    switch (p->kind) {
    case MN__VECTOR:
        return row;
    case MN__FILTER:
        return mn__filter_at(lanes, p->columns, p->rows, p->taps, row, column, tap);
    case MN__DEPTHWISE:
        return ((size_t)(row / lanes) * p->taps + tap) * lanes + row % lanes;
    case MN__MATRIX:
        return (((size_t)row * p->columns / lanes + column / lanes) * p->taps + tap) * lanes +
               column % lanes;
    }
    return 0;
}

static float *part_data(const mn__parameter *p, mn__parameter_part part)
{
    switch (part) {
    case MN__PART_VALUE:
        return p->value;
    case MN__PART_GRADIENT:
        return p->gradient;
    case MN__PART_VELOCITY:
        return p->velocity;
    }
    return NULL;
}

/* Copies between a logical tensor (OIHW) and the stored floats. */
static void
convert(const mn__network *net, uint32_t tensor, float *stored, float *logical, bool to_logical)
{
    const mn__parameter *p = &net->parameters[tensor];
    const mn_tensor_info *info = mn_graph_tensor(net->graph, tensor);
    size_t logical_columns = info->rank == 1 ? 1 : info->dims[1];
    for (uint32_t r = 0; r < p->rows; r++) {
        uint32_t row = p->row_channel == NULL ? r : p->row_channel[r];
        for (uint32_t c = 0; c < p->columns && row != MN_NONE; c++) {
            uint32_t column = p->column_channel == NULL ? c : p->column_channel[c];
            if (column == MN_NONE)
                continue;
            float *plain = logical + ((size_t)row * logical_columns + column) * p->taps;
            for (uint32_t t = 0; t < p->taps; t++) {
                float *at = stored + stored_at(p, net->lanes, r, c, t);
                if (to_logical)
                    plain[t] = *at;
                else
                    *at = plain[t];
            }
        }
    }
}

void mn__parameter_import(mn__network *net, uint32_t tensor, const mn_tensors *tensors)
{
    convert(net, tensor, net->parameters[tensor].value, tensors->items[tensor].data, false);
    mn__network_refresh(net);
}

void mn__parameters_import(mn__network *net, mn__parameter_part part, const mn_tensors *tensors)
{
    for (uint32_t t = 0; t < mn_graph_tensor_count(net->graph); t++) {
        float *stored = part_data(&net->parameters[t], part);
        if (stored != NULL)
            convert(net, t, stored, tensors->items[t].data, false);
    }
    if (part == MN__PART_VALUE)
        mn__network_refresh(net);
}

void mn__parameters_export(const mn__network *net, mn__parameter_part part, mn_tensors *tensors)
{
    for (uint32_t t = 0; t < mn_graph_tensor_count(net->graph); t++) {
        float *stored = part_data(&net->parameters[t], part);
        if (stored != NULL)
            convert(net, t, stored, tensors->items[t].data, true);
    }
}

/*
 * Copies of a filter in the shapes that the kernels of a dense convolution read: as elements, and
 * with in and out exchanged for the data gradient. Made anew whenever the weights have changed.
 */
#include "train/conv.h"

/* The filter of the data gradient: in and out exchanged, block by block. */
static void transpose_filter(const mn__conv_state *s)
{
    const uint32_t lanes = s->net->lanes;
    const mn__parameter *w = s->weight;
    for (uint32_t o = 0; o < w->rows; o += lanes)
        for (uint32_t i = 0; i < w->columns; i += lanes)
            for (uint32_t t = 0; t < w->taps; t++) {
                const float *from =
                    w->seen + mn__filter_at(lanes, w->columns, w->rows, w->taps, o, i, t);
                float *to =
                    s->transposed + mn__filter_at(lanes, w->rows, w->columns, w->taps, i, o, t);
                size_t from_row = mn__filter_at(lanes, w->columns, w->rows, w->taps, o, i + 1, t) -
                                  mn__filter_at(lanes, w->columns, w->rows, w->taps, o, i, t);
                size_t to_row = mn__filter_at(lanes, w->rows, w->columns, w->taps, i, o + 1, t) -
                                mn__filter_at(lanes, w->rows, w->columns, w->taps, i, o, t);
                for (uint32_t y = 0; y < lanes; y++)
                    for (uint32_t x = 0; x < lanes; x++)
                        to[y * to_row + x] = from[x * from_row + y];
            }
}

/* A filter of `out` x `in` lanes as elements, group by group. */
static void convert(
    const mn__conv_state *s, const float *from, uint32_t out, uint32_t in, uint32_t taps, char *to)
{
    const mn__simd *simd = s->net->opts.simd;
    const size_t block = (size_t)simd->lanes * in * taps;
    const uint32_t blocks = out / simd->lanes;
    for (uint32_t b = 0; b < blocks; b += 2) {
        uint32_t at_once = blocks - b >= 2 ? 2 : 1;
        simd->convert_filter(
            from + b * block, at_once, at_once * block, to + b * block * simd->element_bytes);
    }
}

static void refresh_filters(const void *context, bool train)
{
    const mn__conv_state *s = context;
    const mn__parameter *w = s->weight;
    (void)train;
    if (s->converted != NULL)
        convert(s, w->seen, w->rows, w->columns, w->taps, s->converted);
    if (s->transposed == NULL)
        return;
    transpose_filter(s);
    if (s->backward_filter != (const char *)s->transposed)
        convert(s, s->transposed, w->columns, w->rows, w->taps, s->backward_filter);
}

mn_status mn__conv_filters(mn__network *net, mn__conv_state *s, uint32_t node, mn_error *err)
{
    const size_t count = s->weight->count;
    const bool floats = net->opts.simd->element_bytes == sizeof(float);
    void *converted = NULL;
    void *transposed = NULL;
    void *backward = NULL;
    mn_status status = MN_OK;
    if (!floats)
        status = mn__network_alloc(net, count, net->opts.simd->element_bytes, &converted, err);
    if (status == MN_OK && s->in->wants_gradient)
        status = mn__network_alloc(net, count, sizeof(float), &transposed, err);
    backward = transposed;
    if (status == MN_OK && s->in->wants_gradient && !floats)
        status = mn__network_alloc(net, count, net->opts.simd->element_bytes, &backward, err);
    if (status != MN_OK)
        return status;
    s->converted = converted;
    s->forward_filter = floats ? (const void *)s->weight->seen : converted;
    s->transposed = transposed;
    s->backward_filter = backward;
    mn__step step = {
        .node = node, .begin = refresh_filters, .context = s, .work = {.kind = "filter copies"}};
    return mn__program_add(net, &net->refresh, &step, err);
}

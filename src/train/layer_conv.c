/*
 * Dense convolution. Forward: one padded image at a time, statistics for a batch norm taken from
 * the tiles as they are written. Backward: the gradient of the output is padded once for both the
 * weight gradient and the phases of the data gradient.
 */
#include "train/network.h"
#include "train/window.h"

typedef struct conv_state {
    mn__network *net;
    const mn__value *in;
    mn__value *out;
    const mn__parameter *weight;
    mn__sliding *sliding;
    uint32_t band;              /* output rows that are computed from one padded copy */
    const void *forward_filter; /* elements: `converted`, or weight->seen where floats do */
    char *converted, *backward_filter;
    float *transposed; /* the backward filter in floats */
    mn__gradient *out_gradient;
    mn__target target; /* out NULL: the input wants no gradient */
} conv_state;

static uint32_t blocks_of(const conv_state *s, const mn__value *value)
{
    return value->lanes / s->net->lanes;
}

/* Output rows [first,first + rows) and what they are computed from. */
typedef struct band {
    uint32_t first, rows;
    mn__pad pad;  /* of the input */
    size_t plane; /* elements of one padded block */
} band;

static band band_at(const conv_state *s, uint32_t first)
{
    const mn__sliding *w = s->sliding;
    uint32_t left = w->forward.rows - first;
    band b = {.first = first, .rows = left < s->band ? left : s->band, .pad = w->pad};
    uint32_t skipped = w->forward.rows - b.rows;
    b.pad.rows -= skipped * w->stride_h;
    b.pad.first_row += (int32_t)(first * w->stride_h);
    b.pad.blocks = blocks_of(s, s->in);
    b.plane = (size_t)b.pad.rows * b.pad.columns * s->net->lanes;
    return b;
}

/* The input as the kernels want it: where it is, or a padded copy in `scratch`. Yields the elements
 * from block to block. */
static const void *
padded_input(const conv_state *s, const band *b, uint32_t image, void *scratch, size_t *ret_plane)
{
    const mn__simd *simd = s->net->opts.simd;
    mn__view view = mn__view_of(s->net, s->in);
    *ret_plane = b->plane;
    if (s->sliding->exact && mn__value_plain(s->in)) {
        size_t row = (size_t)view.maps.w * simd->lanes;
        size_t first = (size_t)b->first * s->sliding->stride_h;
        size_t at = image * view.maps.image_stride + first * row;
        *ret_plane = view.maps.h * row;
        return (const char *)view.maps.data + at * simd->element_bytes;
    }
    simd->pad(&b->pad, &view, image, scratch);
    return scratch;
}

static void forward_band(const conv_state *s,
                         uint32_t first,
                         uint32_t image,
                         const mn__maps *out,
                         void *scratch,
                         float *sums)
{
    const mn__simd *simd = s->net->opts.simd;
    const mn__sweep *f = &s->sliding->forward;
    const band b = band_at(s, first);
    size_t plane;
    const void *in = padded_input(s, &b, image, scratch, &plane);
    mn__conv_pass pass = {.in_blocks = b.pad.blocks,
                          .in_lanes = s->in->block_lanes,
                          .in_plane = plane,
                          .in_row = f->in_row,
                          .in_step = f->in_step,
                          .taps = f->taps,
                          .filter_taps = s->weight->taps,
                          .out_blocks = out->blocks,
                          .rows = b.rows,
                          .columns = f->columns,
                          .out_plane = f->rows * f->out_row,
                          .out_row = f->out_row,
                          .out_step = f->out_step};
    size_t at = image * out->image_stride + first * f->out_row;
    simd->conv(
        &pass, in, s->forward_filter, (char *)out->data + at * simd->element_bytes, NULL, sums);
}

static void conv_begin(const void *context, bool train)
{
    const conv_state *s = context;
    if (train && s->out->statistics != NULL)
        mn__statistics_clear(s->out->statistics);
}

/* scratch: sums (2,lanes) floats, then the padded input. */
static void conv_image(const void *context, const mn__worker *worker, uint32_t image)
{
    const conv_state *s = context;
    bool counts = worker->train && s->out->statistics != NULL;
    float *sums = (float *)(void *)worker->scratch;
    size_t sum_count = (size_t)2 * s->out->lanes;
    mn__maps out = mn__maps_at(s->net, s->out->storage, s->out);
    for (size_t i = 0; i < sum_count; i++)
        sums[i] = 0.0f;
    for (uint32_t y = 0; y < out.h; y += s->band)
        forward_band(s, y, image, &out, sums + sum_count, counts ? sums : NULL);
    if (counts)
        mn__statistics_add(s->out->statistics, worker->slice, sums);
}

/* One band of the backward pass. Where the band is not the whole image, the window is one pixel:
 * the padded gradient has the band's rows. */
typedef struct slab {
    const band *band;
    const void *in;
    size_t in_plane;
    const char *gradient; /* padded */
    size_t gradient_plane;
    uint32_t image;
} slab;

static void run_weights(const conv_state *s, const slab *b, float *gradient, void *scratch)
{
    const mn__simd *simd = s->net->opts.simd;
    const mn__sliding *w = s->sliding;
    mn__conv_weights_pass pass = {.in_blocks = blocks_of(s, s->in),
                                  .in_lanes = s->in->block_lanes,
                                  .in_plane = b->in_plane,
                                  .in_row = w->forward.in_row,
                                  .in_step = w->forward.in_step,
                                  .in_rows = b->band->pad.rows,
                                  .in_columns = w->pad.columns,
                                  .taps = w->forward.taps,
                                  .out_blocks = blocks_of(s, s->out),
                                  .rows = b->band->rows,
                                  .columns = w->forward.columns,
                                  .out_plane = b->gradient_plane,
                                  .out_row = w->gradient_row};
    simd->conv_weights(
        &pass, b->in, b->gradient + w->gradient_first * simd->element_bytes, gradient, scratch);
}

static void run_data(const conv_state *s, const slab *b)
{
    const mn__simd *simd = s->net->opts.simd;
    mn__maps to = mn__maps_at(s->net, &s->target.out->storage, s->in);
    mn__maps from = {0};
    bool adds = mn__addend_of(s->net, &s->target, s->in, &from);
    for (uint32_t i = 0; i < s->sliding->phase_count; i++) {
        const mn__sweep *f = &s->sliding->phases[i];
        mn__conv_pass pass = {.in_blocks = blocks_of(s, s->out),
                              .in_lanes = s->out->block_lanes,
                              .in_plane = b->gradient_plane,
                              .in_row = f->in_row,
                              .in_step = f->in_step,
                              .taps = f->taps,
                              .filter_taps = s->weight->taps,
                              .out_blocks = blocks_of(s, s->in),
                              .rows = b->band->rows < s->sliding->forward.rows ? b->band->rows
                                                                               : f->rows,
                              .columns = f->columns,
                              .out_plane = (size_t)to.h * to.w * s->net->lanes,
                              .out_row = f->out_row,
                              .out_step = f->out_step};
        size_t at = f->out_first + b->band->first * f->out_row;
        size_t to_at = b->image * to.image_stride + at;
        size_t from_at = b->image * from.image_stride + at;
        simd->conv(&pass,
                   b->gradient,
                   s->backward_filter,
                   (char *)to.data + to_at * simd->element_bytes,
                   adds ? (const char *)from.data + from_at * simd->element_bytes : NULL,
                   NULL);
    }
}

/* Output rows whose padded input fits half of the first cache, so that it is still there when the
 * kernel reads it; but the rows that bands share must not cost more than that gains. */
static uint32_t choose_band(const conv_state *s)
{
    const mn__sliding *w = s->sliding;
    const size_t cache_bytes = 24 * 1024;
    size_t row = (size_t)blocks_of(s, s->in) * w->pad.columns * s->net->lanes *
                 s->net->opts.simd->element_bytes;
    uint32_t apart = w->forward.rows * w->stride_h; /* input rows of bands that share none */
    uint32_t shared = w->pad.rows > apart ? w->pad.rows - apart : 0;
    uint32_t rows = (uint32_t)(cache_bytes / row) / w->stride_h;
    uint32_t least = 4 * shared > 1 ? 4 * shared : 1;
    rows = rows > least ? rows : least;
    return rows < w->forward.rows ? rows : w->forward.rows;
}

static size_t gradient_bytes(const conv_state *s)
{
    return blocks_of(s, s->out) * s->sliding->gradient_plane * s->net->opts.simd->element_bytes;
}

static size_t input_bytes(const conv_state *s)
{
    return blocks_of(s, s->in) * s->sliding->plane * s->net->opts.simd->element_bytes;
}

/* scratch: the padded gradient, the padded input, what conv_weights wants. */
static void
backward_band(const conv_state *s, const mn__worker *worker, uint32_t image, const band *part)
{
    const bool whole = part->rows == s->sliding->forward.rows;
    char *gradient = worker->scratch;
    char *input = gradient + gradient_bytes(s);
    mn__slope slope = mn__slope_of(s->net, s->out_gradient, s->out);
    mn__pad pad = s->sliding->gradient_pad;
    pad.blocks = blocks_of(s, s->out);
    if (!whole) {
        pad.first_row = (int32_t)part->first;
        pad.rows = part->rows;
    }
    slab b = {.band = part,
              .gradient = gradient,
              .gradient_plane = pad.rows * s->sliding->gradient_row,
              .image = image};
    s->net->opts.simd->pad_slope(&pad, &slope, image, gradient);
    b.in = padded_input(s, part, image, input, &b.in_plane);
    run_weights(s, &b, mn__parameter_share(s->weight, worker->slice), input + input_bytes(s));
    if (s->target.out != NULL)
        run_data(s, &b);
}

static void conv_image_backward(const void *context, const mn__worker *worker, uint32_t image)
{
    const conv_state *s = context;
    const uint32_t rows = s->sliding->forward.rows;
    for (uint32_t y = 0; y < rows;) {
        band b = band_at(s, y);
        if (!s->sliding->exact || s->weight->taps > 1) {
            b = (band){.rows = rows, .pad = s->sliding->pad, .plane = s->sliding->plane};
            b.pad.blocks = blocks_of(s, s->in);
        }
        backward_band(s, worker, image, &b);
        y += b.rows;
    }
}

static void begin_backward(const void *context, bool train)
{
    const conv_state *s = context;
    (void)train;
    mn__parameter_begin(s->net, s->weight);
}

static void end_backward(const void *context, bool train)
{
    const conv_state *s = context;
    (void)train;
    mn__parameter_end(s->net, s->weight);
}

static double pass_flops(const conv_state *s)
{
    double inputs = 0.0;
    for (uint32_t lane = 0; lane < s->in->lanes; lane++)
        inputs += s->in->channel_of[lane] != MN_NONE;
    return 2.0 * inputs * s->out->shape.c * s->weight->taps * s->out->shape.h * s->out->shape.w;
}

static double pass_bytes(const conv_state *s)
{
    return (double)(mn__value_elements(s->in) + mn__value_elements(s->out)) *
           s->net->opts.simd->element_bytes;
}

static const char *kind_of(const conv_state *s, bool backward)
{
    if (s->weight->taps == 1)
        return backward ? "1x1 conv backward" : "1x1 conv";
    return backward ? "dense conv backward" : "dense conv";
}

static mn_status
conv_backward(mn__network *net, const mn__layer *layer, mn__gradient *out_gradient, mn_error *err)
{
    conv_state *s = layer->state;
    mn_status status = MN_OK;
    if (layer->inputs[0]->wants_gradient)
        status = mn__gradient_target(net, layer->inputs[0], &s->target, err);
    if (status != MN_OK)
        return status;
    s->out_gradient = out_gradient;
    mn__uses_gradient(net, out_gradient);
    mn__uses_value(net, s->in);
    bool data = s->target.out != NULL;
    mn__step step = {.node = layer->node,
                     .begin = begin_backward,
                     .image = conv_image_backward,
                     .end = end_backward,
                     .context = s,
                     .work = {.kind = kind_of(s, true),
                              .flops = pass_flops(s) * (data ? 2.0 : 1.0),
                              .bytes = pass_bytes(s) * (data ? 2.0 : 1.0)}};
    return mn__program_add(net, &net->backward, &step, err);
}

/* The filter of the data gradient: in and out exchanged, block by block. */
static void transpose_filter(const conv_state *s)
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
static void
convert(const conv_state *s, const float *from, uint32_t out, uint32_t in, uint32_t taps, char *to)
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
    const conv_state *s = context;
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

/* The filters that the kernels read, and the step that refreshes them. */
static mn_status create_filters(mn__network *net, conv_state *s, uint32_t node, mn_error *err)
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

/* Which lanes of the filter are which channels. */
static void map_weight(mn__parameter *weight, const mn_node *node, const conv_state *s)
{
    *weight = (mn__parameter){.kind = MN__FILTER,
                              .rows = s->out->lanes,
                              .columns = s->in->lanes,
                              .taps = node->window.kernel_h * node->window.kernel_w,
                              .row_channel = s->out->channel_of,
                              .column_channel = s->in->channel_of,
                              .decays = true};
}

static void want_scratch(mn__network *net, const conv_state *s)
{
    const mn__sliding *w = s->sliding;
    mn__conv_weights_pass pass = {.in_rows = w->pad.rows,
                                  .in_columns = w->pad.columns,
                                  .out_blocks = blocks_of(s, s->out),
                                  .rows = w->forward.rows,
                                  .columns = w->forward.columns};
    size_t sums = (size_t)2 * s->out->lanes * sizeof(float);
    size_t backward = gradient_bytes(s) + mn__conv_weights_scratch(net->opts.simd, &pass);
    mn__wants_scratch(net, input_bytes(s) + (sums > backward ? sums : backward));
}

static mn_status add_forward(mn__network *net, conv_state *s, uint32_t n, mn_error *err)
{
    mn__uses_value(net, s->in);
    mn__uses_value(net, s->out);
    mn__step step = {
        .node = n,
        .begin = conv_begin,
        .image = conv_image,
        .context = s,
        .work = {.kind = kind_of(s, false), .flops = pass_flops(s), .bytes = pass_bytes(s)}};
    return mn__program_add(net, &net->forward, &step, err);
}

static mn_status build(mn__network *net, uint32_t n, conv_state *s, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn__value *in = net->value_of[node->inputs[0]];
    mn__parameter *weight = &net->parameters[node->tensors[MN_ROLE_WEIGHT]];
    mn_status status = mn__value_create(net, node->shape, 0, NULL, &s->out, err);
    if (status != MN_OK)
        return status;
    s->net = net;
    s->in = in;
    s->weight = weight;
    s->out->makes_statistics = true;
    map_weight(weight, node, s);
    status = mn__parameter_init(net, node->tensors[MN_ROLE_WEIGHT], true, err);
    if (status == MN_OK)
        status = mn__sliding_create(
            net, &node->window, in->shape, node->shape, in->wants_gradient, &s->sliding, err);
    if (status == MN_OK)
        status = create_filters(net, s, n, err);
    if (status != MN_OK)
        return status;
    s->band = choose_band(s);
    want_scratch(net, s);
    status = add_forward(net, s, n, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &in, 1, s->out, conv_backward, s, err);
    net->value_of[n] = s->out;
    return status;
}

mn_status mn__conv_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    const mn__value *in = net->value_of[node->inputs[0]];
    void *block = NULL;
    if (node->groups > 1 && node->groups == in->shape.c && node->shape.c == in->shape.c)
        return mn__depthwise_build(net, n, err);
    if (node->groups > 1)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "%s: %u groups of %u channels: only dense and depthwise convolutions "
                            "can be trained",
                            node->name,
                            node->groups,
                            in->shape.c);
    mn_status status = mn__network_alloc(net, 1, sizeof(conv_state), &block, err);
    if (status == MN_OK)
        status = build(net, n, block, err);
    if (status == MN_OK && node->tensors[MN_ROLE_BIAS] != MN_NONE)
        status = mn__bias_build(
            net, n, net->value_of[n], node->tensors[MN_ROLE_BIAS], &net->value_of[n], err);
    return status;
}

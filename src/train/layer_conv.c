/*
 * Dense convolution, forward: one padded band of an image at a time, statistics for a batch norm
 * taken from the tiles as they are written.
 */
#include "train/ahead.h"
#include "train/conv.h"

uint32_t mn__conv_blocks(const mn__conv_state *s, const mn__value *value)
{
    return value->lanes / s->net->lanes;
}

mn__band mn__conv_band(const mn__conv_state *s, uint32_t first)
{
    const mn__sliding *w = s->sliding;
    uint32_t left = w->forward.rows - first;
    mn__band b = {.first = first, .rows = left < s->band ? left : s->band, .pad = w->pad};
    uint32_t skipped = w->forward.rows - b.rows;
    b.pad.rows -= skipped * w->stride_h;
    b.pad.first_row += (int32_t)(first * w->stride_h);
    b.pad.blocks = mn__conv_blocks(s, s->in);
    b.plane = (size_t)b.pad.rows * b.pad.columns * s->net->lanes;
    return b;
}

const void *mn__conv_input(
    const mn__conv_state *s, const mn__band *b, uint32_t image, void *scratch, size_t *ret_plane)
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

static void forward_band(const mn__conv_state *s,
                         uint32_t first,
                         uint32_t image,
                         const mn__maps *out,
                         void *scratch,
                         float *sums)
{
    const mn__simd *simd = s->net->opts.simd;
    const mn__sweep *f = &s->sliding->forward;
    const mn__band b = mn__conv_band(s, first);
    size_t plane;
    const void *in = mn__conv_input(s, &b, image, scratch, &plane);
    const mn__view view = mn__view_of(s->net, s->in);
    const bool last = first + b.rows == f->rows;
    const mn__band next = mn__conv_band(s, last ? 0 : first + b.rows);
    mn__ahead ahead = {0};
    mn__ahead_view(&ahead, s->net, &view, &next.pad, last ? image + 1 : image);
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
                          .out_step = f->out_step,
                          .ahead = &ahead};
    size_t at = image * out->image_stride + first * f->out_row;
    simd->conv(
        &pass, in, s->forward_filter, (char *)out->data + at * simd->element_bytes, NULL, sums);
}

static void conv_begin(const void *context, bool train)
{
    const mn__conv_state *s = context;
    if (train && s->out->statistics != NULL)
        mn__statistics_clear(s->out->statistics);
}

/* scratch: sums (2,lanes) floats, then the padded input. */
static void conv_image(const void *context, const mn__worker *worker, uint32_t image)
{
    const mn__conv_state *s = context;
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

/* Output rows whose padded input fits half of the first cache, so that it is still there when the
 * kernel reads it; but the rows that bands share must not cost more than that gains. */
static uint32_t choose_band(const mn__conv_state *s)
{
    const mn__sliding *w = s->sliding;
    const size_t cache_bytes = 24 * 1024;
    size_t row = (size_t)mn__conv_blocks(s, s->in) * w->pad.columns * s->net->lanes *
                 s->net->opts.simd->element_bytes;
    uint32_t apart = w->forward.rows * w->stride_h; /* input rows of bands that share none */
    uint32_t shared = w->pad.rows > apart ? w->pad.rows - apart : 0;
    uint32_t rows = (uint32_t)(cache_bytes / row) / w->stride_h;
    uint32_t least = 4 * shared > 1 ? 4 * shared : 1;
    rows = rows > least ? rows : least;
    return rows < w->forward.rows ? rows : w->forward.rows;
}

size_t mn__conv_gradient_bytes(const mn__conv_state *s)
{
    return mn__conv_blocks(s, s->out) * s->sliding->gradient_plane *
           s->net->opts.simd->element_bytes;
}

size_t mn__conv_input_bytes(const mn__conv_state *s)
{
    return mn__conv_blocks(s, s->in) * s->sliding->plane * s->net->opts.simd->element_bytes;
}

mn__work mn__conv_work(const mn__conv_state *s, const char *kind, double passes)
{
    double inputs = 0.0;
    for (uint32_t lane = 0; lane < s->in->lanes; lane++)
        inputs += s->in->channel_of[lane] != MN_NONE;
    double outputs = (double)s->out->shape.c * s->out->shape.h * s->out->shape.w;
    double elements = (double)(mn__value_elements(s->in) + mn__value_elements(s->out));
    return (mn__work){.kind = kind,
                      .flops = passes * 2.0 * inputs * s->weight->taps * outputs,
                      .bytes = passes * elements * s->net->opts.simd->element_bytes};
}

/* Which lanes of the filter are which channels. */
static void map_weight(mn__parameter *weight, const mn_node *node, const mn__conv_state *s)
{
    *weight = (mn__parameter){.kind = MN__FILTER,
                              .rows = s->out->lanes,
                              .columns = s->in->lanes,
                              .taps = node->window.kernel_h * node->window.kernel_w,
                              .row_channel = s->out->channel_of,
                              .column_channel = s->in->channel_of,
                              .decays = true};
}

static void want_scratch(mn__network *net, const mn__conv_state *s)
{
    const mn__sliding *w = s->sliding;
    mn__conv_weights_pass pass = {.in_rows = w->pad.rows,
                                  .in_columns = w->pad.columns,
                                  .out_blocks = mn__conv_blocks(s, s->out),
                                  .rows = w->forward.rows,
                                  .columns = w->forward.columns};
    size_t sums = (size_t)2 * s->out->lanes * sizeof(float);
    size_t backward = mn__conv_gradient_bytes(s) + mn__conv_weights_scratch(net->opts.simd, &pass);
    mn__wants_scratch(net, mn__conv_input_bytes(s) + (sums > backward ? sums : backward));
}

static mn_status add_forward(mn__network *net, mn__conv_state *s, uint32_t n, mn_error *err)
{
    mn__uses_value(net, s->in);
    mn__uses_value(net, s->out);
    mn__step step = {.node = n,
                     .begin = conv_begin,
                     .image = conv_image,
                     .context = s,
                     .work =
                         mn__conv_work(s, s->weight->taps == 1 ? "1x1 conv" : "dense conv", 1.0)};
    return mn__program_add(net, &net->forward, &step, err);
}

static mn_status build(mn__network *net, uint32_t n, mn__conv_state *s, mn_error *err)
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
        status = mn__conv_filters(net, s, n, err);
    if (status != MN_OK)
        return status;
    s->band = choose_band(s);
    want_scratch(net, s);
    status = add_forward(net, s, n, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &in, 1, s->out, mn__conv_backward, s, err);
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
    mn_status status = mn__network_alloc(net, 1, sizeof(mn__conv_state), &block, err);
    if (status == MN_OK)
        status = build(net, n, block, err);
    if (status == MN_OK && node->tensors[MN_ROLE_BIAS] != MN_NONE)
        status = mn__bias_build(
            net, n, net->value_of[n], node->tensors[MN_ROLE_BIAS], &net->value_of[n], err);
    return status;
}

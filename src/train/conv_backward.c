/*
 * Backward through a dense convolution: the gradient of the output is padded once for both the
 * weight gradient and the phases of the data gradient.
 */
#include "train/ahead.h"
#include "train/conv.h"

/* One band of the backward pass. Where the band is not the whole image, the window is one pixel:
 * the padded gradient has the band's rows. */
typedef struct slab {
    const mn__band *band;
    const void *in;
    size_t in_plane;
    const char *gradient; /* padded */
    size_t gradient_plane;
    uint32_t image;
} slab;

static void run_weights(const mn__conv_state *s, const slab *b, float *gradient, void *scratch)
{
    const mn__simd *simd = s->net->opts.simd;
    const mn__sliding *w = s->sliding;
    mn__conv_weights_pass pass = {.in_blocks = mn__conv_blocks(s, s->in),
                                  .in_lanes = s->in->block_lanes,
                                  .in_plane = b->in_plane,
                                  .in_row = w->forward.in_row,
                                  .in_step = w->forward.in_step,
                                  .in_rows = b->band->pad.rows,
                                  .in_columns = w->pad.columns,
                                  .taps = w->forward.taps,
                                  .out_blocks = mn__conv_blocks(s, s->out),
                                  .rows = b->band->rows,
                                  .columns = w->forward.columns,
                                  .out_plane = b->gradient_plane,
                                  .out_row = w->gradient_row};
    simd->conv_weights(
        &pass, b->in, b->gradient + w->gradient_first * simd->element_bytes, gradient, scratch);
}

/* Rows of a phase that a part of the image fills. Phases that no tap reaches can have fewer rows
 * than the gradient: the last band then has less to fill. */
static uint32_t rows_of(const mn__conv_state *s, const mn__band *part, const mn__sweep *phase)
{
    if (part->rows == s->sliding->forward.rows)
        return phase->rows;
    uint32_t left = phase->rows > part->first ? phase->rows - part->first : 0;
    return left < part->rows ? left : part->rows;
}

static void run_data(const mn__conv_state *s, const slab *b, const mn__ahead *ahead)
{
    const mn__simd *simd = s->net->opts.simd;
    mn__maps to = mn__maps_at(s->net, &s->target.out->storage, s->in);
    mn__maps from = {0};
    bool adds = mn__addend_of(s->net, &s->target, s->in, &from);
    for (uint32_t i = 0; i < s->sliding->phase_count; i++) {
        const mn__sweep *f = &s->sliding->phases[i];
        mn__conv_pass pass = {.in_blocks = mn__conv_blocks(s, s->out),
                              .in_lanes = s->out->block_lanes,
                              .in_plane = b->gradient_plane,
                              .in_row = f->in_row,
                              .in_step = f->in_step,
                              .taps = f->taps,
                              .filter_taps = s->weight->taps,
                              .out_blocks = mn__conv_blocks(s, s->in),
                              .rows = rows_of(s, b->band, f),
                              .columns = f->columns,
                              .out_plane = (size_t)to.h * to.w * s->net->lanes,
                              .out_row = f->out_row,
                              .out_step = f->out_step,
                              .ahead = i == 0 ? ahead : NULL};
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

/* The rows of the gradient that belong to a band. */
static mn__pad gradient_pad_of(const mn__conv_state *s, const mn__band *part)
{
    mn__pad pad = s->sliding->gradient_pad;
    pad.blocks = mn__conv_blocks(s, s->out);
    if (part->rows < s->sliding->forward.rows) {
        pad.first_row = (int32_t)part->first;
        pad.rows = part->rows;
    }
    return pad;
}

/* scratch: the padded gradient, the padded input, what conv_weights wants. `next`: the part that
 * comes after this one, of the next image when it does not lie behind it. */
static void backward_band(const mn__conv_state *s,
                          const mn__worker *worker,
                          uint32_t image,
                          const mn__band *part,
                          const mn__band *next)
{
    char *gradient = worker->scratch;
    char *input = gradient + mn__conv_gradient_bytes(s);
    mn__slope slope = mn__slope_of(s->net, s->out_gradient, s->out);
    mn__view view = mn__view_of(s->net, s->in);
    mn__pad pad = gradient_pad_of(s, part);
    mn__pad next_pad = gradient_pad_of(s, next);
    uint32_t next_image = next->first > part->first ? image : image + 1;
    mn__ahead ahead = {0};
    slab b = {.band = part,
              .gradient = gradient,
              .gradient_plane = pad.rows * s->sliding->gradient_row,
              .image = image};
    s->net->opts.simd->pad_slope(&pad, &slope, image, gradient);
    b.in = mn__conv_input(s, part, image, input, &b.in_plane);
    run_weights(
        s, &b, mn__parameter_share(s->weight, worker->slice), input + mn__conv_input_bytes(s));
    mn__ahead_slope(&ahead, s->net, &slope, &next_pad, next_image);
    mn__ahead_view(&ahead, s->net, &view, &next->pad, next_image);
    if (s->target.out != NULL)
        run_data(s, &b, &ahead);
}

/* What is passed back at once: the whole image, or a band where no two bands share input rows. */
static mn__band part_at(const mn__conv_state *s, uint32_t first)
{
    if (s->sliding->exact && s->weight->taps == 1)
        return mn__conv_band(s, first);
    mn__band whole = {
        .rows = s->sliding->forward.rows, .pad = s->sliding->pad, .plane = s->sliding->plane};
    whole.pad.blocks = mn__conv_blocks(s, s->in);
    return whole;
}

static void conv_image_backward(const void *context, const mn__worker *worker, uint32_t image)
{
    const mn__conv_state *s = context;
    const uint32_t rows = s->sliding->forward.rows;
    for (uint32_t y = 0; y < rows;) {
        mn__band part = part_at(s, y);
        y += part.rows;
        mn__band next = part_at(s, y < rows ? y : 0);
        backward_band(s, worker, image, &part, &next);
    }
}

static void begin_backward(const void *context, bool train)
{
    const mn__conv_state *s = context;
    (void)train;
    mn__parameter_begin(s->net, s->weight);
}

static void end_backward(const void *context, bool train)
{
    const mn__conv_state *s = context;
    (void)train;
    mn__parameter_end(s->net, s->weight);
}

mn_status mn__conv_backward(mn__network *net,
                            const mn__layer *layer,
                            mn__gradient *out_gradient,
                            mn_error *err)
{
    mn__conv_state *s = layer->state;
    mn_status status = MN_OK;
    if (layer->inputs[0]->wants_gradient)
        status = mn__gradient_target(net, layer->inputs[0], &s->target, err);
    if (status != MN_OK)
        return status;
    s->out_gradient = out_gradient;
    mn__uses_gradient(net, out_gradient);
    mn__uses_value(net, s->in);
    const char *kind = s->weight->taps == 1 ? "1x1 conv backward" : "dense conv backward";
    mn__step step = {.node = layer->node,
                     .begin = begin_backward,
                     .image = conv_image_backward,
                     .end = end_backward,
                     .context = s,
                     .work = mn__conv_work(s, kind, s->target.out != NULL ? 2.0 : 1.0)};
    return mn__program_add(net, &net->backward, &step, err);
}

/*
 * Max, average (padding excluded) and global average pooling, block by block in floats. An average
 * is a depthwise pass with weights of one and a factor for each output pixel.
 */
#include <math.h>
#include <string.h>

#include "train/ahead.h"
#include "train/network.h"
#include "train/window.h"

typedef struct pool_state {
    mn__network *net;
    const mn__value *in;
    mn__value *out;
    mn__sliding *sliding;
    mn__buffer *which; /* max: (N,blocks,out h,out w,lanes) bytes */
    float *ones;       /* average: (taps,lanes) */
    float *factor;     /* average: (out h,out w): 1 / pixels of the window inside the image */
    bool global;
    mn__gradient *out_gradient;
    mn__target target;
} pool_state;

static size_t plane_of(const mn__value *value, uint32_t lanes)
{
    return (size_t)value->shape.h * value->shape.w * lanes;
}

static uint8_t *which_at(const pool_state *s, uint32_t image, uint32_t block)
{
    size_t blocks = s->out->lanes / s->net->lanes;
    return (uint8_t *)s->which->data + (image * blocks + block) * plane_of(s->out, s->net->lanes);
}

/* scratch: one padded block. */
static void image_forward(const void *context, const mn__worker *worker, uint32_t image)
{
    const pool_state *s = context;
    const mn__simd *simd = s->net->opts.simd;
    float *padded = (float *)(void *)worker->scratch;
    mn__view view = mn__view_of(s->net, s->in);
    mn__maps out = mn__maps_at(s->net, s->out->storage, s->out);
    mn__depthwise_pass pass = mn__depthwise_pass_of(&s->sliding->forward);
    mn__pad pad = s->sliding->pad;
    pad.blocks = 1;
    pad.fill = s->which != NULL ? -INFINITY : 0.0f;
    pass.factor = s->factor;
    for (uint32_t b = 0; b < out.blocks; b++) {
        size_t at = image * out.image_stride + b * plane_of(s->out, simd->lanes);
        char *to = (char *)out.data + at * simd->element_bytes;
        mn__ahead ahead = {0};
        simd->pad_float(&pad, &view, image, padded);
        uint32_t next = mn__ahead_turn(&pad, out.blocks, image);
        mn__ahead_view(&ahead, s->net, &view, &pad, next);
        pass.ahead = &ahead;
        if (s->which != NULL)
            simd->max_pool(&pass, padded, to, which_at(s, image, b));
        else
            simd->depthwise(&pass, padded, s->ones, to, NULL, NULL, 0);
    }
}

/* The gradient of one block goes to its input pixels. padded: the gradient; which: padded alike. */
static void spread_block(const pool_state *s,
                         uint32_t block,
                         uint32_t image,
                         const float *padded,
                         const uint8_t *which,
                         const mn__ahead *ahead)
{
    const mn__simd *simd = s->net->opts.simd;
    mn__maps to = mn__maps_at(s->net, &s->target.out->storage, s->in);
    mn__maps from = {0};
    bool adds = mn__addend_of(s->net, &s->target, s->in, &from);
    for (uint32_t i = 0; i < s->sliding->phase_count; i++) {
        mn__depthwise_pass pass = mn__depthwise_pass_of(&s->sliding->phases[i]);
        pass.ahead = i == 0 ? ahead : NULL;
        size_t at = block * plane_of(s->in, simd->lanes) + s->sliding->phases[i].out_first;
        char *out = (char *)to.data + (image * to.image_stride + at) * simd->element_bytes;
        const char *addend =
            adds ? (const char *)from.data + (image * from.image_stride + at) * simd->element_bytes
                 : NULL;
        if (which != NULL)
            simd->max_pool_gradient(&pass, padded, which, out, addend);
        else
            simd->depthwise(&pass, padded, s->ones, out, addend, NULL, 0);
    }
}

/* Bytes of the padded image that no window won: no tap has that number. */
static void pad_which(const pool_state *s, const uint8_t *which, uint8_t *padded)
{
    const mn__sliding *w = s->sliding;
    const size_t row = (size_t)w->forward.columns * s->net->lanes;
    memset(padded, UINT8_MAX, w->gradient_plane);
    for (uint32_t y = 0; y < w->forward.rows; y++)
        memcpy(padded + w->gradient_first + y * w->gradient_row, which + y * row, row);
}

static void apply_factor(const pool_state *s, float *padded)
{
    const mn__sliding *w = s->sliding;
    const uint32_t lanes = s->net->lanes;
    for (uint32_t y = 0; y < w->forward.rows; y++)
        for (uint32_t x = 0; x < w->forward.columns; x++) {
            float *pixel = padded + w->gradient_first + y * w->gradient_row + (size_t)x * lanes;
            float factor = s->factor[(size_t)y * w->forward.columns + x];
            for (uint32_t i = 0; i < lanes; i++)
                pixel[i] *= factor;
        }
}

/* scratch: the padded gradient of one block, and for max the padded winners. */
static void image_backward(const void *context, const mn__worker *worker, uint32_t image)
{
    const pool_state *s = context;
    const mn__simd *simd = s->net->opts.simd;
    float *padded = (float *)(void *)worker->scratch;
    uint8_t *which = (uint8_t *)(padded + s->sliding->gradient_plane);
    mn__slope slope = mn__slope_of(s->net, s->out_gradient, s->out);
    mn__pad pad = s->sliding->gradient_pad;
    pad.blocks = 1;
    for (uint32_t b = 0; b < s->out->lanes / simd->lanes; b++) {
        mn__ahead ahead = {0};
        simd->pad_slope_float(&pad, &slope, image, padded);
        uint32_t next = mn__ahead_turn(&pad, s->out->lanes / simd->lanes, image);
        mn__ahead_slope(&ahead, s->net, &slope, &pad, next);
        if (s->which != NULL)
            pad_which(s, which_at(s, image, b), which);
        else
            apply_factor(s, padded);
        spread_block(s, b, image, padded, s->which != NULL ? which : NULL, &ahead);
    }
}

/* A global average: every pixel gets the same. scratch: (blocks,lanes), then a float image. */
static void image_backward_global(const void *context, const mn__worker *worker, uint32_t image)
{
    const pool_state *s = context;
    const mn__simd *simd = s->net->opts.simd;
    const size_t pixels = (size_t)s->in->shape.h * s->in->shape.w;
    const size_t bytes = simd->lanes * sizeof(float);
    float *gradient = (float *)(void *)worker->scratch;
    float *whole = gradient + s->out->lanes;
    mn__slope slope = mn__slope_of(s->net, s->out_gradient, s->out);
    mn__pad pad = {.blocks = s->out->lanes / simd->lanes, .rows = 1, .columns = 1};
    mn__maps to = mn__maps_at(s->net, &s->target.out->storage, s->in);
    mn__maps addend;
    bool adds = mn__addend_of(s->net, &s->target, s->in, &addend);
    simd->pad_slope_float(&pad, &slope, image, gradient);
    for (uint32_t i = 0; i < s->out->lanes; i++)
        gradient[i] *= s->factor[0];
    for (uint32_t b = 0; b < pad.blocks; b++)
        for (size_t i = 0; i < pixels; i++)
            memcpy(whole + (b * pixels + i) * simd->lanes, gradient + b * simd->lanes, bytes);
    simd->from_float(whole, adds ? &addend : NULL, &to, image);
}

static mn__work work_of(const pool_state *s, bool backward)
{
    bool max = s->which != NULL;
    double out = (double)s->out->shape.h * s->out->shape.w * s->out->lanes;
    double in = (double)s->in->shape.h * s->in->shape.w * s->in->lanes;
    double which = max ? out : 0.0;
    const char *kind = max ? "max pool" : "average pool";
    if (backward)
        kind = max ? "max pool backward" : "average pool backward";
    return (mn__work){.kind = kind,
                      .flops = out * s->sliding->forward.taps.count,
                      .bytes = (in + out) * s->net->opts.simd->element_bytes + which};
}

static mn_status
pool_backward(mn__network *net, const mn__layer *layer, mn__gradient *out_gradient, mn_error *err)
{
    pool_state *s = layer->state;
    if (!layer->inputs[0]->wants_gradient)
        return MN_OK;
    mn_status status = mn__gradient_target(net, layer->inputs[0], &s->target, err);
    if (status != MN_OK)
        return status;
    s->out_gradient = out_gradient;
    mn__uses_gradient(net, out_gradient);
    if (s->which != NULL)
        mn__uses_buffer(net, s->which);
    mn__step step = {.node = layer->node,
                     .image = s->global ? image_backward_global : image_backward,
                     .context = s,
                     .work = work_of(s, true)};
    return mn__program_add(net, &net->backward, &step, err);
}

/* ---- building ---------------------------------------------------------------------------------
 */

/* Pixels of a window that begins `before` pixels in front of the image, along one side. */
static uint32_t
inside(uint32_t at, uint32_t stride, uint32_t before, uint32_t kernel, uint32_t side)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < kernel; k++) {
        int64_t pixel = (int64_t)at * stride - before + k;
        count += pixel >= 0 && pixel < side;
    }
    return count;
}

static mn_status
create_average(mn__network *net, pool_state *s, const mn_window *window, mn_error *err)
{
    const size_t ones = (size_t)s->sliding->forward.taps.count * net->lanes;
    const mn_shape out = s->out->shape;
    void *block = NULL;
    void *factor = NULL;
    mn_status status = mn__network_alloc(net, ones, sizeof(float), &block, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, (size_t)out.h * out.w, sizeof(float), &factor, err);
    if (status != MN_OK)
        return status;
    s->ones = block;
    s->factor = factor;
    for (size_t i = 0; i < ones; i++)
        s->ones[i] = 1.0f;
    for (uint32_t y = 0; y < out.h; y++)
        for (uint32_t x = 0; x < out.w; x++) {
            uint32_t rows =
                inside(y, window->stride_h, window->pad_top, window->kernel_h, s->in->shape.h);
            uint32_t columns =
                inside(x, window->stride_w, window->pad_left, window->kernel_w, s->in->shape.w);
            s->factor[(size_t)y * out.w + x] = 1.0f / (float)(rows * columns);
        }
    return MN_OK;
}

static mn_status create_winners(mn__network *net, pool_state *s, const mn_node *node, mn_error *err)
{
    if (s->sliding->forward.taps.count >= UINT8_MAX)
        return mn_error_set(
            err,
            MN_ERR_UNSUPPORTED,
            "%s: a max pool of %ux%u: windows of fewer than %d pixels can be trained",
            node->name,
            node->window.kernel_h,
            node->window.kernel_w,
            UINT8_MAX);
    /* a byte for each element of the output, which has fitted */
    return mn__buffer_create(net, mn__value_elements(s->out) * net->opts.batch, &s->which, err);
}

static mn_status build(mn__network *net, uint32_t n, mn_window window, bool max, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn__value *in = net->value_of[node->inputs[0]];
    void *block = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(pool_state), &block, err);
    if (status != MN_OK)
        return status;
    pool_state *s = block;
    *s = (pool_state){.net = net, .in = in, .global = node->prim == MN_PRIM_GLOBAL_POOL};
    status = mn__value_create(net, node->shape, in->lanes, in->channel_of, &s->out, err);
    if (status == MN_OK)
        status = mn__sliding_create(net,
                                    &window,
                                    in->shape,
                                    node->shape,
                                    in->wants_gradient && !s->global,
                                    &s->sliding,
                                    err);
    if (status == MN_OK)
        status = max ? create_winners(net, s, node, err) : create_average(net, s, &window, err);
    if (status != MN_OK)
        return status;
    size_t backward = s->sliding->gradient_plane * (sizeof(float) + 1);
    size_t whole = ((size_t)in->shape.h * in->shape.w + 1) * in->lanes * sizeof(float);
    mn__wants_scratch(net, s->sliding->plane * sizeof(float));
    mn__wants_scratch(net, s->global ? whole : backward);
    mn__uses_value(net, in);
    mn__uses_value(net, s->out);
    if (max)
        mn__uses_buffer(net, s->which);
    mn__step step = {.node = n, .image = image_forward, .context = s, .work = work_of(s, false)};
    status = mn__program_add(net, &net->forward, &step, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &in, 1, s->out, pool_backward, s, err);
    net->value_of[n] = s->out;
    return status;
}

mn_status mn__max_pool_build(mn__network *net, uint32_t n, mn_error *err)
{
    return build(net, n, mn_graph_node(net->graph, n)->window, true, err);
}

/* A global pool is a window of the whole image. */
mn_status mn__avg_pool_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn_shape in = mn_graph_node(net->graph, node->inputs[0])->shape;
    mn_window window = node->window;
    if (node->prim == MN_PRIM_GLOBAL_POOL)
        window = (mn_window){in.h, in.w, 1, 1, 1, 1, 0, 0, 0, 0};
    return build(net, n, window, false, err);
}

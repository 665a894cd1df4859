/*
 * The geometry of sliding windows. See window.h.
 */
#include "train/window.h"

mn__depthwise_pass mn__depthwise_pass_of(const mn__sweep *sweep)
{
    return (mn__depthwise_pass){.taps = sweep->taps,
                                .in_row = sweep->in_row,
                                .in_step = sweep->in_step,
                                .rows = sweep->rows,
                                .columns = sweep->columns,
                                .out_row = sweep->out_row,
                                .out_step = sweep->out_step};
}

/* One direction of a window. */
typedef struct axis {
    int64_t in, out, kernel, stride, dilation, pad;
} axis;

static axis rows_of(const mn_window *w, mn_shape in, mn_shape out)
{
    return (axis){in.h, out.h, w->kernel_h, w->stride_h, w->dilation_h, w->pad_top};
}

static axis columns_of(const mn_window *w, mn_shape in, mn_shape out)
{
    return (axis){in.w, out.w, w->kernel_w, w->stride_w, w->dilation_w, w->pad_left};
}

/* Whether tap k reaches the input pixels of `phase`, and if so by how much the output pixel is
 * further on than the input pixel's number in its phase. */
static bool tap_reaches(const axis *a, int64_t phase, int64_t k, int64_t *ret_shift)
{
    int64_t distance = phase + a->pad - k * a->dilation;
    *ret_shift = distance / a->stride;
    return distance % a->stride == 0;
}

static int64_t phase_size(const axis *a, int64_t phase)
{
    return phase < a->in ? (a->in - phase + a->stride - 1) / a->stride : 0;
}

/* Rows (or columns) [low,high] of the output's gradient that the backward sweeps touch. */
static void gradient_range(const axis *a, bool backward, int64_t *ret_low, int64_t *ret_high)
{
    int64_t low = 0;
    int64_t high = a->out - 1;
    for (int64_t phase = 0; phase < a->stride && backward; phase++)
        for (int64_t k = 0; k < a->kernel; k++) {
            int64_t shift;
            int64_t size = phase_size(a, phase);
            if (size == 0 || !tap_reaches(a, phase, k, &shift))
                continue;
            low = shift < low ? shift : low;
            high = shift + size - 1 > high ? shift + size - 1 : high;
        }
    *ret_low = low;
    *ret_high = high;
}

static mn_status
alloc_taps(mn__network *net, size_t most, size_t **ret_offset, uint32_t **ret_index, mn_error *err)
{
    void *offset = NULL;
    void *index = NULL;
    mn_status status = mn__network_alloc(net, most, sizeof(size_t), &offset, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, most, sizeof(uint32_t), &index, err);
    *ret_offset = offset;
    *ret_index = index;
    return status;
}

static mn_status
fill_forward(mn__network *net, const axis *y, const axis *x, mn__sliding *s, mn_error *err)
{
    size_t *offset;
    uint32_t *index;
    size_t count = (size_t)(y->kernel * x->kernel);
    size_t lanes = net->lanes;
    size_t row = s->pad.columns * lanes;
    mn_status status = alloc_taps(net, count, &offset, &index, err);
    if (status != MN_OK)
        return status;
    for (size_t t = 0; t < count; t++) {
        size_t ky = t / (size_t)x->kernel;
        size_t kx = t % (size_t)x->kernel;
        offset[t] = ky * (size_t)y->dilation * row + kx * (size_t)x->dilation * lanes;
        index[t] = (uint32_t)t;
    }
    s->forward = (mn__sweep){.taps = {.count = (uint32_t)count, .offset = offset, .index = index},
                             .in_row = (size_t)y->stride * row,
                             .in_step = (size_t)x->stride * lanes,
                             .rows = (uint32_t)y->out,
                             .columns = (uint32_t)x->out,
                             .out_row = (size_t)x->out * lanes,
                             .out_step = lanes};
    return MN_OK;
}

/* The sweep of phase (py,px). */
static mn_status fill_phase(mn__network *net,
                            const axis *y,
                            const axis *x,
                            int64_t py,
                            int64_t px,
                            const mn__sliding *s,
                            mn__sweep *phase,
                            mn_error *err)
{
    size_t *offset;
    uint32_t *index;
    uint32_t count = 0;
    size_t lanes = net->lanes;
    mn_status status = alloc_taps(net, (size_t)(y->kernel * x->kernel), &offset, &index, err);
    if (status != MN_OK)
        return status;
    /* the last tap reaches the first pixel: in this order pixels ascend, as the kernels like it */
    for (int64_t ky = y->kernel - 1; ky >= 0; ky--)
        for (int64_t kx = x->kernel - 1; kx >= 0; kx--) {
            int64_t down, right;
            if (!tap_reaches(y, py, ky, &down) || !tap_reaches(x, px, kx, &right))
                continue;
            size_t from_row = (size_t)(down - s->gradient_pad.first_row);
            size_t from_column = (size_t)(right + (int64_t)s->gradient_pad.left);
            offset[count] = (from_row * s->gradient_pad.columns + from_column) * lanes;
            index[count++] = (uint32_t)(ky * x->kernel + kx);
        }
    *phase = (mn__sweep){.taps = {.count = count, .offset = offset, .index = index},
                         .in_row = s->gradient_row,
                         .in_step = lanes,
                         .rows = (uint32_t)phase_size(y, py),
                         .columns = (uint32_t)phase_size(x, px),
                         .out_first = (size_t)(py * x->in + px) * lanes,
                         .out_row = (size_t)(y->stride * x->in) * lanes,
                         .out_step = (size_t)x->stride * lanes};
    return MN_OK;
}

static mn_status
fill_phases(mn__network *net, const axis *y, const axis *x, mn__sliding *s, mn_error *err)
{
    void *block = NULL;
    size_t most = (size_t)(y->stride * x->stride);
    mn_status status = mn__network_alloc(net, most, sizeof(mn__sweep), &block, err);
    s->phases = block;
    for (int64_t py = 0; py < y->stride; py++)
        for (int64_t px = 0; px < x->stride && status == MN_OK; px++)
            if (py < y->in && px < x->in)
                status = fill_phase(net, y, x, py, px, s, &s->phases[s->phase_count++], err);
    return status;
}

mn_status mn__sliding_create(mn__network *net,
                             const mn_window *window,
                             mn_shape in,
                             mn_shape out,
                             bool backward,
                             mn__sliding **ret_sliding,
                             mn_error *err)
{
    void *block = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(mn__sliding), &block, err);
    if (status != MN_OK)
        return status;
    mn__sliding *s = block;
    const axis y = rows_of(window, in, out);
    const axis x = columns_of(window, in, out);
    const size_t lanes = net->lanes;
    int64_t top, bottom, left, right;
    s->pad.rows = (uint32_t)((y.out - 1) * y.stride + y.dilation * (y.kernel - 1) + 1);
    s->pad.columns = (uint32_t)((x.out - 1) * x.stride + x.dilation * (x.kernel - 1) + 1);
    s->stride_h = window->stride_h;
    s->pad.first_row = -(int32_t)y.pad;
    s->pad.left = x.pad < s->pad.columns ? (uint32_t)x.pad : s->pad.columns;
    s->plane = (size_t)s->pad.rows * s->pad.columns * lanes;
    s->exact = y.pad == 0 && x.pad == 0 && s->pad.rows == in.h && s->pad.columns == in.w;
    gradient_range(&y, backward, &top, &bottom);
    gradient_range(&x, backward, &left, &right);
    s->gradient_pad = (mn__pad){.first_row = (int32_t)top,
                                .rows = (uint32_t)(bottom - top + 1),
                                .columns = (uint32_t)(right - left + 1),
                                .left = (uint32_t)-left};
    s->gradient_row = s->gradient_pad.columns * lanes;
    s->gradient_plane = s->gradient_pad.rows * s->gradient_row;
    s->gradient_first = (size_t)-top * s->gradient_row + s->gradient_pad.left * lanes;
    status = fill_forward(net, &y, &x, s, err);
    if (status == MN_OK && backward)
        status = fill_phases(net, &y, &x, s, err);
    if (status == MN_OK)
        *ret_sliding = s;
    return status;
}

/*
 * Convolution with groups and dilation; 1x1 is the case of one tap.
 * SPDX-License-Identifier: 0BSD
 *
 * Where they fit into MN_S8_COLUMNS_BYTES, the inputs of two pixels are widened to 16 bits once for
 * all outputs, less the zero point, so that padding is 0 and every window is whole; then two
 * outputs at two pixels are summed together. Larger windows run over the image itself, four outputs
 * at a time, over runs of adjacent elements: the channels of one tap, or those of a whole kernel
 * row where its pixels lie side by side in memory.
 */
#include "mn_s8_columns.h"

/* Scratch is never more: 32 channels under 3x3, 288 under 1x1. */
enum { MN_S8_COLUMNS_BYTES = 1152 };

/* What is the same for every pixel; all in elements. */
typedef struct mn_s8_conv_plan {
    const mn_s8_filter *filter;
    const mn_s8_window *window;
    int32_t inputs, outputs;       /* channels of one group */
    int32_t row;                   /* one row of a filter: KW*inputs */
    int32_t size;                  /* one filter: KH*KW*inputs */
    int32_t row_step, column_step; /* from one tap to the next, in the image */
    int32_t side_by_side;          /* the taps of a row are adjacent in memory */
    int32_t fast;                  /* assembly can make its outputs */
} mn_s8_conv_plan;

#if defined(MN_S8_AVX2)
#include "mn_s8_x86.h"
#else
static inline int32_t mn_s8_conv_staged(const mn_s8_conv_plan *plan, const int8_t *in, int8_t *out)
{
    (void)plan, (void)in, (void)out;
    return 0;
}
#endif

static mn_s8_conv_plan mn_s8_conv_make(const mn_s8_filter *filter, const mn_s8_window *window)
{
    mn_s8_conv_plan plan;
    plan.filter = filter;
    plan.window = window;
    plan.inputs = window->in_c / window->groups;
    plan.outputs = window->out_c / window->groups;
    plan.row = window->kernel_w * plan.inputs;
    plan.size = window->kernel_h * plan.row;
    plan.row_step = window->dilation_h * window->in_w * window->in_stride;
    plan.column_step = window->dilation_w * window->in_stride;
    plan.side_by_side = plan.column_step == plan.inputs;
    plan.fast = mn_s8_tile_fits(filter, window->out_c);
    return plan;
}

/* ---- over the image itself ------------------------------------------------------------------- */

/* Four outputs at one pixel: x at the first tap inside the image, w at the same tap of the first
 * of four filters, which begin at w + row[k]. */
static void mn_s8_conv_sum(const mn_s8_conv_plan *plan,
                           const mn_s8_taps *taps,
                           const int8_t *x,
                           const int8_t *w,
                           const int32_t row[4],
                           int32_t sums[4])
{
    int32_t rows = taps->ky_end - taps->ky;
    int32_t columns = taps->kx_end - taps->kx;
    int32_t runs = plan->side_by_side ? 1 : columns;
    int32_t run = plan->side_by_side ? columns * plan->inputs : plan->inputs;
    int32_t r, k;
    for (r = 0; r < rows; r++) {
        const int8_t *from = x + r * plan->row_step;
        const int8_t *filter = w + r * plan->row;
        for (k = 0; k < runs; k++)
            mn_s8_dot(from + k * plan->column_step,
                      filter + k * run,
                      row,
                      run,
                      plan->window->in_zero,
                      sums);
    }
}

/* One pixel, all channels: x at channel 0 of the first tap inside the image, out at channel 0. */
static void
mn_s8_conv_pixel(const mn_s8_conv_plan *plan, const mn_s8_taps *taps, const int8_t *x, int8_t *out)
{
    const mn_s8_filter *filter = plan->filter;
    const int8_t *w = filter->weights + taps->ky * plan->row + taps->kx * plan->inputs;
    int32_t row[4];
    int32_t g, k, i;
    for (g = 0; g < plan->window->groups; g++) {
        for (k = 0; k < plan->outputs; k += 4) {
            int32_t o = g * plan->outputs + k;
            int32_t live = plan->outputs - k < 4 ? plan->outputs - k : 4;
            int32_t sums[4];
            for (i = 0; i < 4; i++)
                sums[i] = filter->bias[o + (i < live ? i : live - 1)];
            mn_s8_rows(live, plan->size, row);
            mn_s8_conv_sum(plan, taps, x + g * plan->inputs, w + o * plan->size, row, sums);
            for (i = 0; i < live; i++)
                out[o + i] = mn_s8_output(sums[i], filter, o + i, plan->window);
        }
    }
}

static void mn_s8_conv_direct(const mn_s8_conv_plan *plan, const int8_t *in, int8_t *out)
{
    const mn_s8_window *window = plan->window;
    int32_t y, x;
    for (y = 0; y < window->out_h; y++) {
        for (x = 0; x < window->out_w; x++) {
            mn_s8_taps taps = mn_s8_clip(window, y, x);
            const int8_t *from = in + (taps.y * window->in_w + taps.x) * window->in_stride;
            mn_s8_conv_pixel(plan, &taps, from, out + (y * window->out_w + x) * window->out_stride);
        }
    }
}

/* ---- through columns ------------------------------------------------------------------------- */

/* The window of output pixel p in group g, whole, into a column. */
MN_S8_LEAF void
mn_s8_conv_fill(const mn_s8_conv_plan *plan, const int8_t *in, int32_t g, int32_t p, int16_t *wide)
{
    int8_t bytes[MN_S8_COLUMNS_BYTES / 4];
    const mn_s8_window *window = plan->window;
    mn_s8_taps taps = mn_s8_clip(window, p / window->out_w, p % window->out_w);
    mn_s8_column column;
    const int8_t *from =
        in + (taps.y * window->in_w + taps.x) * window->in_stride + g * plan->inputs;
    int32_t before = taps.kx * plan->inputs;
    int32_t inside = (taps.kx_end - taps.kx) * plan->inputs;
    int32_t after = plan->row - before - inside;
    int32_t run = plan->side_by_side ? inside : plan->inputs;
    int32_t at = taps.ky * plan->row;
    int32_t r, k;
    column.wide = wide;
    column.bytes = bytes;
    column.zero = window->in_zero;
    column.whole = plan->inputs % 4 == 0;
    if (at > 0)
        mn_s8_column_clear(&column, 0, at);
    for (r = taps.ky; r < taps.ky_end; r++) {
        const int8_t *x = from;
        if (before > 0)
            mn_s8_column_clear(&column, at, before);
        for (k = 0; k < inside; k += run) {
            mn_s8_column_put(&column, at + before + k, x, run);
            x += plan->column_step;
        }
        if (after > 0)
            mn_s8_column_clear(&column, at + before + inside, after);
        from += plan->row_step;
        at += plan->row;
    }
    if (at < plan->size)
        mn_s8_column_clear(&column, at, plan->size - at);
    mn_s8_column_finish(&column, plan->size);
}

#if defined(MN_S8_DSP)

/* Pairs of outputs from `first` up to `end` at two pixels. Returns how many outputs that makes:
 * none where assembly does not know what to do. It reads filters in fours, so those are left out
 * that it would read beyond the table: the last one of all, or three of one weight each. */
static int32_t mn_s8_conv_fast(
    const mn_s8_conv_plan *plan, const int16_t *columns, int32_t first, int32_t end, int8_t *out[2])
{
    int32_t rest = plan->size % 4 == 0 || end != plan->window->out_c ? 0 : plan->size == 1 ? 3 : 1;
    int32_t count = (end - rest - first) / 2 * 2;
    const mn_s8_window *window = plan->window;
    mn_s8_pairs pairs;
    if (!plan->fast || count <= 0)
        return 0;
    pairs.columns = columns;
    pairs.weights = plan->filter->weights + first * plan->size;
    pairs.size = plan->size;
    pairs.bias = plan->filter->bias + first;
    pairs.end = columns + ((plan->size + 3) & ~3) * 2;
    pairs.multiplier = plan->filter->multiplier + first;
    pairs.shift = plan->filter->shift + first;
    pairs.out0 = out[0] + first;
    pairs.out1 = out[1] + first;
    pairs.half = 1 + 2 * window->out_zero;
    pairs.low = mn_s8_twice(window->low);
    pairs.high = mn_s8_twice(window->high);
    pairs.whole = window->low == -128 && window->high == 127;
    pairs.count = count / 2;
    mn_s8_tile_pairs(&pairs);
    return count;
}

#else

static inline int32_t mn_s8_conv_fast(
    const mn_s8_conv_plan *plan, const int16_t *columns, int32_t first, int32_t end, int8_t *out[2])
{
    (void)plan, (void)columns, (void)first, (void)end, (void)out;
    return 0;
}

#endif

/* All outputs of group g at two pixels. A last output without a neighbour is computed twice. */
MN_S8_LEAF void
mn_s8_conv_pair(const mn_s8_conv_plan *plan, const int16_t *columns, int32_t g, int8_t *out[2])
{
    const mn_s8_filter *filter = plan->filter;
    int32_t end = (g + 1) * plan->outputs;
    int32_t o = g * plan->outputs;
    o += mn_s8_conv_fast(plan, columns, o, end, out);
    for (; o < end; o += 2) {
        int32_t next = o + 1 < end ? o + 1 : o;
        int32_t sums[4];
        sums[0] = sums[1] = filter->bias[o];
        sums[2] = sums[3] = filter->bias[next];
        mn_s8_column_dot(columns,
                         filter->weights + o * plan->size,
                         filter->weights + next * plan->size,
                         plan->size,
                         sums);
        out[0][o] = mn_s8_output(sums[0], filter, o, plan->window);
        out[1][o] = mn_s8_output(sums[1], filter, o, plan->window);
        out[0][next] = mn_s8_output(sums[2], filter, next, plan->window);
        out[1][next] = mn_s8_output(sums[3], filter, next, plan->window);
    }
}

/* Two pixels at a time; a last one without a neighbour is computed twice. */
static void
mn_s8_conv_columns(const mn_s8_conv_plan *plan, const int8_t *in, int8_t *out, int16_t *columns)
{
    const mn_s8_window *window = plan->window;
    int32_t pixels = window->out_h * window->out_w;
    int32_t g, p;
    for (g = 0; g < window->groups; g++) {
        for (p = 0; p < pixels; p += 2) {
            int32_t next = p + 1 < pixels ? p + 1 : p;
            int8_t *to[2];
            to[0] = out + p * window->out_stride;
            to[1] = out + next * window->out_stride;
            mn_s8_conv_fill(plan, in, g, p, columns);
            mn_s8_conv_fill(plan, in, g, next, mn_s8_column_second(columns, plan->size));
            mn_s8_conv_pair(plan, columns, g, to);
        }
    }
}

void mn_s8_conv(const int8_t *in,
                int8_t *out,
                const mn_s8_filter *filter,
                void *scratch,
                const mn_s8_window *window)
{
    mn_s8_conv_plan plan = mn_s8_conv_make(filter, window);
    if (mn_s8_conv_staged(&plan, in, out))
        return;
    if (mn_s8_conv_scratch_bytes(window) > 0)
        mn_s8_conv_columns(&plan, in, out, (int16_t *)scratch);
    else
        mn_s8_conv_direct(&plan, in, out);
}

/* Two columns of whole fours of 16 bits, where enough outputs share them. */
int32_t mn_s8_conv_scratch_bytes(const mn_s8_window *window)
{
    int64_t size = (int64_t)window->kernel_h * window->kernel_w;
    if (window->out_c / window->groups < 3 || size > MN_S8_COLUMNS_BYTES)
        return 0;
    size = (size * (window->in_c / window->groups) + 3) / 4 * 4 * 2 * (int32_t)sizeof(int16_t);
    return size <= MN_S8_COLUMNS_BYTES ? (int32_t)size : 0;
}

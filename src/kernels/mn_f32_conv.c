/*
 * Convolution with groups and dilation; 1x1 is the case of one tap.
 * SPDX-License-Identifier: 0BSD
 *
 * Four output channels at a time, over runs of adjacent input elements: the channels of one tap,
 * or those of a whole kernel row where its pixels lie side by side in memory.
 */
#include "mn_f32_inner.h"

/* What is the same for every pixel; all in elements. */
typedef struct mn_f32_conv_plan {
    const float *weights;            /* (O,KH,KW,inputs) */
    const float *bias;               /* (O) or null */
    int32_t groups, inputs, outputs; /* channels of one group */
    int32_t filter;                  /* one filter: KH*KW*inputs */
    int32_t filter_row;              /* one row of it: KW*inputs */
    int32_t row_step, column_step;   /* from one tap to the next, in the image */
    int32_t side_by_side;            /* the taps of a row are adjacent in memory */
    int32_t act;
} mn_f32_conv_plan;

/* Four outputs at one pixel: x at the first tap inside the image, w at the same tap of the first
 * of four filters, which begin at w + row[k]. */
static void mn_f32_conv_sum(const mn_f32_conv_plan *plan,
                            const mn_f32_taps *taps,
                            const float *x,
                            const float *w,
                            const int32_t row[4],
                            mn_f32_sums *sums)
{
    int32_t rows = taps->ky_end - taps->ky;
    int32_t columns = taps->kx_end - taps->kx;
    int32_t runs = plan->side_by_side ? 1 : columns;
    int32_t run = plan->side_by_side ? columns * plan->inputs : plan->inputs;
    int32_t r, k;
    for (r = 0; r < rows; r++) {
        const float *from = x + r * plan->row_step;
        const float *filter = w + r * plan->filter_row;
        for (k = 0; k < runs; k++)
            mn_f32_dot(from + k * plan->column_step, filter + k * run, row, run, sums);
    }
}

/* One pixel, all channels: x at channel 0 of the first tap inside the image, out at channel 0. */
static void
mn_f32_conv_pixel(const mn_f32_conv_plan *plan, const mn_f32_taps *taps, const float *x, float *out)
{
    const float *w = plan->weights + taps->ky * plan->filter_row + taps->kx * plan->inputs;
    int32_t row[4];
    int32_t g, k;
    for (g = 0; g < plan->groups; g++) {
        for (k = 0; k < plan->outputs; k += 4) {
            int32_t o = g * plan->outputs + k;
            int32_t live = plan->outputs - k;
            mn_f32_sums sums = {{{0.0f}}};
            mn_f32_rows(live, plan->filter, row);
            mn_f32_conv_sum(plan, taps, x + g * plan->inputs, w + o * plan->filter, row, &sums);
            mn_f32_finish(
                &sums, plan->bias ? plan->bias + o : plan->bias, live, plan->act, out + o);
        }
    }
}

void mn_f32_conv(const float *in,
                 float *out,
                 const float *weights,
                 const float *bias,
                 const mn_f32_window *window)
{
    mn_f32_conv_plan plan;
    int32_t y, x;
    plan.weights = weights;
    plan.bias = bias;
    plan.groups = window->groups;
    plan.inputs = window->in_c / window->groups;
    plan.outputs = window->out_c / window->groups;
    plan.filter_row = window->kernel_w * plan.inputs;
    plan.filter = window->kernel_h * plan.filter_row;
    plan.row_step = window->dilation_h * window->in_w * window->in_stride;
    plan.column_step = window->dilation_w * window->in_stride;
    plan.side_by_side = plan.column_step == plan.inputs;
    plan.act = window->act;
    for (y = 0; y < window->out_h; y++) {
        for (x = 0; x < window->out_w; x++) {
            mn_f32_taps taps = mn_f32_clip(window, y, x);
            const float *from = in + (taps.y * window->in_w + taps.x) * window->in_stride;
            mn_f32_conv_pixel(
                &plan, &taps, from, out + (y * window->out_w + x) * window->out_stride);
        }
    }
}

int32_t mn_f32_conv_scratch_bytes(const mn_f32_window *window)
{
    (void)window;
    return 0;
}

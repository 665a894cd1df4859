/*
 * Quantisation after training: measure, lay grids, convert. Invariant: all values of one class get
 * one grid, and the class of the network's input that of its preprocessing.
 */
#include "memnet/quantize.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/size.h"
#include "quant/calibrate.h"
#include "quant/convert.h"
#include "quant/network.h"

mn_quantize_opts mn_quantize_opts_default(void)
{
    return (mn_quantize_opts){.images = 512, .percentile = 100, .correct_bias = true, .threads = 1};
}

mn_quant_value mn_quant_grid_over(double low, double high)
{
    low = low < 0 ? low : 0;
    high = high > 0 ? high : 0;
    float scale = (float)((high - low) / 255);
    if (!(scale >= FLT_MIN) || !isfinite(scale)) {
        low = -1;
        scale = (float)(2.0 / 255);
    }
    double zero = round(-128 - low / (double)scale);
    return (mn_quant_value){.scale = scale,
                            .zero_point = zero > 127    ? 127
                                          : zero < -128 ? -128
                                                        : (int32_t)zero};
}

mn_status
mn_quant_input_grid(mn_preprocessing preprocessing, mn_quant_value *ret_value, mn_error *err)
{
    float mean = preprocessing.mean;
    if (!(mean >= 0 && mean <= 255) || mean != floorf(mean))
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "preprocessing: mean %g: int8 reads pixel - 128, expected an integer "
                            "of 0 to 255",
                            (double)mean);
    *ret_value = (mn_quant_value){.scale = preprocessing.scale, .zero_point = (int32_t)mean - 128};
    return MN_OK;
}

static mn_status check_input(const mn_quantize_input *input,
                             const mn_quantize_opts *opts,
                             uint32_t node,
                             mn_error *err)
{
    mn_shape want = mn_graph_node(input->graph, node)->shape;
    mn_shape have = input->dataset->shape;
    if (opts->images == 0 || input->index_count == 0)
        return mn_error_set(err, MN_ERR_ARG, "no images to calibrate with");
    if (!(opts->percentile > 50 && opts->percentile <= 100))
        return mn_error_set(
            err, MN_ERR_ARG, "percentile %g out of range (50, 100]", opts->percentile);
    if (opts->threads == 0)
        return mn_error_set(err, MN_ERR_ARG, "0 threads, expected at least 1");
    if (!mn_shape_equal(want, have))
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "the network reads (%u,%u,%u), the data set has (%u,%u,%u)",
                            want.h,
                            want.w,
                            want.c,
                            have.h,
                            have.w,
                            have.c);
    return mn__check_tensors(input->graph, input->tensors, err);
}

/* A range for every class: all that is in it. */
static void
unite_ranges(const mn__calibration *seen, const uint32_t *classes, float *low, float *high)
{
    for (uint32_t n = 0; n < seen->nodes; n++) {
        uint32_t root = classes[n];
        if (root == n) {
            low[n] = 0;
            high[n] = 0;
        }
        if (seen->low[n] > seen->high[n])
            continue;
        low[root] = seen->low[n] < low[root] ? seen->low[n] : low[root];
        high[root] = seen->high[n] > high[root] ? seen->high[n] : high[root];
    }
}

static mn_status find_grids(const mn_quantize_input *input,
                            const mn__calibration *seen,
                            uint32_t input_node,
                            mn_quant_value *values,
                            mn_error *err)
{
    uint32_t *classes = mn_calloc(seen->nodes, sizeof *classes);
    float *low = mn_calloc(seen->nodes, sizeof *low);
    float *high = mn_calloc(seen->nodes, sizeof *high);
    mn_quant_value fixed = {0};
    bool is_fixed = input->dataset->pixel_type == MN_PIXEL_U8;
    mn_status status = MN_OK;
    if (classes == NULL || low == NULL || high == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory for grids");
    if (status == MN_OK && is_fixed)
        status = mn_quant_input_grid(input->preprocessing, &fixed, err);
    if (status != MN_OK)
        goto done;
    mn_quant_classes(input->graph, classes);
    unite_ranges(seen, classes, low, high);
    for (uint32_t n = 0; n < seen->nodes; n++) {
        uint32_t root = classes[n];
        values[n] = is_fixed && root == classes[input_node]
                        ? fixed
                        : mn_quant_grid_over((double)low[root], (double)high[root]);
    }
done:
    free(classes);
    free(low);
    free(high);
    return status;
}

mn_status mn_quantize(const mn_quantize_input *given,
                      const mn_quantize_opts *opts,
                      mn_quant **ret_quant,
                      mn_error *err)
{
    mn_quantize_opts defaults = mn_quantize_opts_default();
    mn_quantize_input input = *given;
    mn__float_network network = {0};
    mn__calibration seen = {0};
    mn_quant_value *values = NULL;
    uint32_t first = 0;
    uint32_t last = 0;
    opts = opts == NULL ? &defaults : opts;
    if (input.indices == NULL)
        input.index_count = input.dataset->train.count;
    mn_status status = mn__find_ends(input.graph, &first, &last, err);
    if (status == MN_OK)
        status = check_input(&input, opts, first, err);
    if (status == MN_OK)
        status = mn__float_network_init(&network, input.graph, input.tensors, err);
    if (status == MN_OK)
        status = mn__calibrate(&network, &input, opts, &seen, err);
    if (status != MN_OK)
        goto done;
    values = mn_calloc(seen.nodes, sizeof *values);
    if (values == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory for grids");
        goto done;
    }
    status = find_grids(&input, &seen, first, values, err);
    if (status == MN_OK)
        status = mn__convert(
            input.graph, input.tensors, values, opts->correct_bias ? &seen : NULL, ret_quant, err);
done:
    free(values);
    mn__calibration_done(&seen);
    mn__float_network_done(&network);
    return status;
}

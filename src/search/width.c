/*
 * Choice of the width. Wide networks that fill the budget beat narrow ones, so the widest frame
 * wins that still leaves the search half of its first round.
 */
#include "search/width.h"

#include <inttypes.h>

#include "memnet/moves.h"
#include "search/measure.h"
#include "search/options.h"

static const uint32_t widths[] = {4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256};

static mn_genotype frame_of(const mn_search_opts *opts, const mn_dataset *dataset, uint32_t width)
{
    static const uint32_t strides[] = {1, 2, 1, 2, 1};
    static const uint32_t factors[] = {1, 1, 2, 2, 4};
    mn_genotype frame = {.input = dataset->shape,
                         .classes = dataset->class_count,
                         .block_count = 5,
                         .head = opts->preset == MN_PRESET_PAPER ? MN_HEAD_MAXPOOL2 : MN_HEAD_GAP};
    for (uint32_t b = 0; b < frame.block_count; b++) {
        frame.blocks[b].stride = strides[b];
        frame.blocks[b].width = factors[b] * width;
    }
    return frame;
}

/* How many networks of round 0 keep the bound at this frame. With `early` it stops once more than
 * half do not. */
static mn_status count_fitting(const mn_search_opts *opts,
                               const mn_bound *bound,
                               const mn_genotype *frame,
                               bool early,
                               uint32_t *ret_fitting,
                               uint32_t *ret_count,
                               uint64_t *ret_smallest,
                               mn_error *err)
{
    mn_candidates *candidates = NULL;
    mn_status status = mn_moves_round0(frame, &candidates, err);
    if (status != MN_OK)
        return status;
    *ret_fitting = 0;
    *ret_smallest = UINT64_MAX;
    for (size_t i = 0; i < candidates->count && status == MN_OK; i++) {
        if (early && 2 * (i - *ret_fitting) > candidates->count)
            break;
        mn__needs needs;
        status = mn__measure(&candidates->items[i].genotype, opts->precision, &needs, err);
        if (status != MN_OK)
            break;
        if (needs.total_bytes < *ret_smallest)
            *ret_smallest = needs.total_bytes;
        *ret_fitting += mn__bound_keeps(bound, needs.weights_bytes, needs.arena_bytes, needs.macs);
    }
    *ret_count = (uint32_t)candidates->count;
    mn_candidates_free(candidates);
    return status;
}

mn_status mn__choose_frame(const mn_search_opts *opts,
                           const mn_bound *bound,
                           const mn_dataset *dataset,
                           mn_genotype *ret_frame,
                           mn_error *err)
{
    mn_genotype chosen = frame_of(opts, dataset, widths[0]);
    for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
        mn_genotype frame = frame_of(opts, dataset, widths[w]);
        uint32_t fitting = 0;
        uint32_t count = 0;
        uint64_t smallest = 0;
        mn_status status =
            count_fitting(opts, bound, &frame, w > 0, &fitting, &count, &smallest, err);
        if (status != MN_OK)
            return status;
        if (w == 0 && fitting == 0)
            return mn_error_set(err,
                                MN_ERR_LIMIT,
                                "no network keeps the bound of %" PRIu64
                                " bytes: the smallest found needs %" PRIu64 " bytes in total",
                                mn__bound_bytes(bound),
                                smallest);
        if (2 * fitting < count)
            break;
        chosen = frame;
    }
    *ret_frame = chosen;
    return MN_OK;
}

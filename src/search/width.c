/*
 * Choice of the width. Wide networks that fill the budget beat narrow ones, so the widest frame
 * wins that still leaves the search half of its first round.
 */
#include "search/width.h"

#include <inttypes.h>
#include <stdio.h>

#include "memnet/moves.h"
#include "search/measure.h"
#include "search/options.h"

/* From the smallest on. The first stride is 2 only where nothing fits otherwise: it throws away
 * what an image tells, but quarters every map behind it. */
typedef struct frame_size {
    uint32_t width, first_stride;
} frame_size;

static const frame_size sizes[] = {{2, 2},
                                   {4, 2},
                                   {4, 1},
                                   {8, 1},
                                   {12, 1},
                                   {16, 1},
                                   {24, 1},
                                   {32, 1},
                                   {48, 1},
                                   {64, 1},
                                   {96, 1},
                                   {128, 1},
                                   {192, 1},
                                   {256, 1}};

enum { size_count = sizeof sizes / sizeof sizes[0], usual_size = 2 /* the smallest of stride 1 */ };

static mn_genotype frame_of(const mn_search_opts *opts, const mn_dataset *dataset, frame_size size)
{
    const uint32_t strides[] = {size.first_stride, 2, 1, 2, 1};
    static const uint32_t factors[] = {1, 1, 2, 2, 4};
    mn_genotype frame = {.input = dataset->shape,
                         .classes = dataset->class_count,
                         .block_count = 5,
                         .head = opts->preset == MN_PRESET_PAPER ? MN_HEAD_MAXPOOL2 : MN_HEAD_GAP};
    for (uint32_t b = 0; b < frame.block_count; b++) {
        frame.blocks[b].stride = strides[b];
        frame.blocks[b].width = factors[b] * size.width;
    }
    return frame;
}

/* How the networks of round 0 at a frame stand to a bound. */
typedef struct tally {
    uint32_t fitting, count;
    mn__needs least; /* of each kind, maybe in different networks */
} tally;

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* With `early` it stops once more than half of the networks do not fit. */
static mn_status count_fitting(const mn_search_opts *opts,
                               const mn_bound *bound,
                               const mn_genotype *frame,
                               bool early,
                               tally *ret_tally,
                               mn_error *err)
{
    mn_candidates *candidates = NULL;
    tally t = {.least = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, 0.0}};
    mn_status status = mn_moves_round0(frame, &candidates, err);
    if (status != MN_OK)
        return status;
    for (size_t i = 0; i < candidates->count && status == MN_OK; i++) {
        if (early && 2 * (i - t.fitting) > candidates->count)
            break;
        mn__needs needs;
        status = mn__measure(&candidates->items[i].genotype, opts->precision, &needs, err);
        if (status != MN_OK)
            break;
        t.least.total_bytes = smaller(t.least.total_bytes, needs.total_bytes);
        t.least.arena_bytes = smaller(t.least.arena_bytes, needs.arena_bytes);
        t.least.weights_bytes = smaller(t.least.weights_bytes, needs.weights_bytes);
        t.least.macs = smaller(t.least.macs, needs.macs);
        t.fitting += mn__bound_keeps(bound, needs.weights_bytes, needs.arena_bytes, needs.macs);
    }
    t.count = (uint32_t)candidates->count;
    mn_candidates_free(candidates);
    *ret_tally = t;
    return status;
}

/* Every limit of the bound beside the least that a network to start from needs of it. */
static mn_status tell_nothing_fits(const mn_bound *bound, const mn__needs *least, mn_error *err)
{
    char bytes[160];
    char macs[96] = "";
    if (least->total_bytes == INT64_MAX)
        return mn_error_set(
            err,
            MN_ERR_LIMIT,
            "no network to start from: on images of this size all have sums of more "
            "products than the int8 kernels take");
    if (bound->total_bytes != 0)
        snprintf(bytes,
                 sizeof bytes,
                 "total %" PRIu64 " bytes, the smallest found needs %" PRIu64 " bytes",
                 bound->total_bytes,
                 least->total_bytes);
    else
        snprintf(bytes,
                 sizeof bytes,
                 "arena %" PRIu64 " bytes, the least found %" PRIu64 "; weights %" PRIu64
                 " bytes, the least found %" PRIu64,
                 bound->ram_bytes,
                 least->arena_bytes,
                 bound->flash_bytes,
                 least->weights_bytes);
    if (bound->max_macs != 0)
        snprintf(macs,
                 sizeof macs,
                 "; %" PRIu64 " multiply-adds, the least found %" PRIu64,
                 bound->max_macs,
                 least->macs);
    return mn_error_set(
        err, MN_ERR_LIMIT, "no network to start from keeps the bound: %s%s", bytes, macs);
}

/* The largest frame below the usual ones at which some network fits. */
static mn_status choose_small(const mn_search_opts *opts,
                              const mn_bound *bound,
                              const mn_dataset *dataset,
                              tally t,
                              mn_genotype *ret_frame,
                              mn_error *err)
{
    mn_status status = MN_OK;
    for (uint32_t i = usual_size; i > 0 && opts->preset != MN_PRESET_PAPER; i--) {
        *ret_frame = frame_of(opts, dataset, sizes[i - 1]);
        status = count_fitting(opts, bound, ret_frame, false, &t, err);
        if (status != MN_OK || t.fitting > 0)
            return status;
    }
    return tell_nothing_fits(bound, &t.least, err);
}

mn_status mn__choose_frame(const mn_search_opts *opts,
                           const mn_bound *bound,
                           const mn_dataset *dataset,
                           mn_genotype *ret_frame,
                           mn_error *err)
{
    mn_genotype chosen = frame_of(opts, dataset, sizes[usual_size]);
    for (uint32_t i = usual_size; i < size_count; i++) {
        mn_genotype frame = frame_of(opts, dataset, sizes[i]);
        tally t;
        mn_status status = count_fitting(opts, bound, &frame, i > usual_size, &t, err);
        if (status == MN_OK && i == usual_size && t.fitting == 0)
            status = choose_small(opts, bound, dataset, t, &chosen, err);
        if (status != MN_OK)
            return status;
        if (2 * t.fitting < t.count)
            break;
        chosen = frame;
    }
    *ret_frame = chosen;
    return MN_OK;
}

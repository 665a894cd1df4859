/*
 * Widths that fit. Wide networks that fill the budget beat narrow ones, so a candidate that went
 * over the bound is made narrower instead of being thrown away, and one without a parent is made as
 * wide as the bound lets it be. A child inherits weights for the channels that it keeps: where one
 * block can make the room, it does, and all others stay as wide as they are.
 */
#include "search/fit.h"

#include <math.h>

#include "search/measure.h"
#include "search/options.h"

/* Factors are 2^(k/8), k in [-24, 24]: an eighth to eight times, in steps of nine percent. */
enum { least_step = -24, most_step = 24, steps_per_octave = 8 };

/* Widths stay multiples of four where the network's own are at least that: kernels and vectors like
 * them, and steps below would differ in nothing else. */
static uint32_t grain_of(uint32_t width)
{
    return width % 4 == 0 ? 4 : 1;
}

static uint32_t scaled(uint32_t width, double factor)
{
    double wanted = (double)width * factor;
    double grain = grain_of(width);
    double rounded = floor(wanted / grain) * grain;
    rounded = rounded < grain ? grain : rounded;
    return rounded > MN_MAX_WIDTH ? MN_MAX_WIDTH : (uint32_t)rounded;
}

static mn_genotype scale(const mn_genotype *genotype, int step)
{
    mn_genotype result = *genotype;
    double factor = exp2((double)step / steps_per_octave);
    if (step == 0)
        return result;
    if (result.stem.width != 0)
        result.stem.width = scaled(result.stem.width, factor);
    for (uint32_t b = 0; b < result.block_count; b++)
        result.blocks[b].width = scaled(result.blocks[b].width, factor);
    return result;
}

/* The largest factor at which it keeps the bound; `keeps`: at a factor of 1 it does. */
static mn_status fit_all(
    mn_genotype *genotype, const mn_bound *bound, mn_precision precision, bool keeps, mn_error *err)
{
    mn_status status = MN_OK;
    /* Memory grows with the factor: halve the interval (low keeps, high does not). */
    int low = keeps ? 0 : least_step - 1;
    int high = keeps ? most_step + 1 : 0;
    while (status == MN_OK && high - low > 1) {
        int middle = low + (high - low) / 2;
        mn_genotype narrower = scale(genotype, middle);
        status = mn__keeps(&narrower, bound, precision, &keeps, err);
        if (keeps)
            low = middle;
        else
            high = middle;
    }
    if (status == MN_OK && low >= least_step)
        *genotype = scale(genotype, low);
    return status;
}

/* Of a network that is over the bound: the largest value of *width, one of its own, at which it is
 * not; 0 when that takes more than half of it. */
static mn_status narrow(mn_genotype *genotype,
                        uint32_t *width,
                        const mn_bound *bound,
                        mn_precision precision,
                        uint32_t *ret_width,
                        mn_error *err)
{
    const uint32_t whole = *width;
    const uint32_t grain = grain_of(whole);
    uint32_t low = 0, high = whole / 2 / grain; /* grains to lose: too few, enough */
    bool keeps = false;
    mn_status status = MN_OK;
    *ret_width = 0;
    if (high == 0)
        return MN_OK;
    *width = whole - high * grain;
    status = mn__keeps(genotype, bound, precision, &keeps, err);
    while (status == MN_OK && keeps && high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        bool enough = false;
        *width = whole - middle * grain;
        status = mn__keeps(genotype, bound, precision, &enough, err);
        if (enough)
            high = middle;
        else
            low = middle;
    }
    *width = whole;
    if (keeps)
        *ret_width = whole - high * grain;
    return status;
}

/* Narrows the one block, or the stem, that loses the smallest share of its width; of equals the
 * last one. */
static mn_status fit_one(mn_genotype *genotype,
                         const mn_bound *bound,
                         mn_precision precision,
                         bool *ret_keeps,
                         mn_error *err)
{
    mn_status status = MN_OK;
    uint32_t *chosen = NULL;
    uint32_t narrowed = 0;
    double kept = 0.0;
    for (uint32_t b = 0; b <= genotype->block_count && status == MN_OK; b++) {
        uint32_t *width = b == 0 ? &genotype->stem.width : &genotype->blocks[b - 1].width;
        uint32_t result = 0;
        status = narrow(genotype, width, bound, precision, &result, err);
        if (result == 0 || (double)result / *width < kept)
            continue;
        chosen = width;
        narrowed = result;
        kept = (double)result / *width;
    }
    *ret_keeps = status == MN_OK && chosen != NULL;
    if (*ret_keeps)
        *chosen = narrowed;
    return status;
}

mn_status mn__fit_widths(
    mn_genotype *genotype, const mn_bound *bound, mn_precision precision, bool grow, mn_error *err)
{
    bool keeps = false;
    bool whole = false;
    mn_status status = mn__keeps(genotype, bound, precision, &whole, err);
    if (status != MN_OK || (whole && !grow))
        return status;
    if (!grow)
        status = fit_one(genotype, bound, precision, &keeps, err);
    return status == MN_OK && !keeps ? fit_all(genotype, bound, precision, whole, err) : status;
}

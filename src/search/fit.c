/*
 * Widths that fit. Wide networks that fill the budget beat narrow ones, so a candidate that went
 * over the bound is made narrower instead of being thrown away, and one without a parent is made as
 * wide as the bound lets it be.
 */
#include "search/fit.h"

#include <math.h>

#include "search/measure.h"
#include "search/options.h"

/* Factors are 2^(k/8), k in [-24, 24]: an eighth to eight times, in steps of nine percent. */
enum { least_step = -24, most_step = 24, steps_per_octave = 8 };

/* Widths stay multiples of four where the network's own are at least that: kernels and vectors like
 * them, and steps below would differ in nothing else. */
static uint32_t scaled(uint32_t width, double factor)
{
    double wanted = (double)width * factor;
    double grain = width % 4 == 0 ? 4.0 : 1.0;
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

mn_status mn__fit_widths(
    mn_genotype *genotype, const mn_bound *bound, mn_precision precision, bool grow, mn_error *err)
{
    bool keeps = false;
    mn_status status = mn__keeps(genotype, bound, precision, &keeps, err);
    if (status != MN_OK || (keeps && !grow))
        return status;
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

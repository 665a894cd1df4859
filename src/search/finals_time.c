/*
 * The time of finals. See finals_time.h.
 */
#include "search/finals_time.h"

#include "search/options.h"

/* What an epoch of fine-tuning costs beside one of training: it computes in float32, training
 * mostly in bf16, which is about half of that. */
static const double fine_tuning_cost = 2.0;

/* Fine-tuning is at most one epoch for so many of training, one at least. */
enum { fine_tuning_part = 4 };

/* Where the time allows so many epochs to each of several seeds, they are trained: the mean of a
 * few tells finalists apart. Below that the epochs are worth more: docs/results.md has a network
 * that gains 1.2 points from 60 more epochs, where seeds differ by a few tenths. */
enum { enough_epochs = 150 };

uint32_t mn__finals_tuning(const mn_search_opts *opts, uint32_t epochs)
{
    uint32_t most = epochs / fine_tuning_part > 1 ? epochs / fine_tuning_part : 1;
    if (opts->precision != MN_PRECISION_INT8)
        return 0;
    return opts->qat_epochs < most ? opts->qat_epochs : most;
}

/* Finals that train longer than the rounds hardly end below them. */
static bool hardly_below(uint32_t epochs, double rounds_epochs)
{
    return epochs > rounds_epochs;
}

uint32_t mn__finals_tuning_again(const mn_search_opts *opts, uint32_t epochs, double rounds_epochs)
{
    uint32_t tuning = mn__finals_tuning(opts, epochs);
    return hardly_below(epochs, rounds_epochs) && tuning > 1 ? 1 : tuning;
}

uint32_t mn__finals_turns(const mn_search_opts *opts, uint32_t finalists, uint32_t seeds)
{
    return (finalists * seeds + opts->jobs - 1) / opts->jobs;
}

/* Milliseconds that finals of one epoch would take. */
static double
epoch_of_all(const mn_search_opts *opts, const mn__finals_known *known, uint32_t seeds)
{
    double busy[MN__MOST_JOBS] = {0.0};
    double last = 0.0;
    for (uint32_t t = 0; t < known->finalists * seeds; t++) {
        uint32_t free = 0;
        for (uint32_t job = 1; job < opts->jobs; job++)
            free = busy[job] < busy[free] ? job : free;
        busy[free] += known->epoch_ms[t / seeds];
        last = busy[free] > last ? busy[free] : last;
    }
    return last;
}

double mn__finals_ms(const mn_search_opts *opts,
                     const mn__finals_known *known,
                     uint32_t seeds,
                     uint32_t epochs)
{
    double tuning = fine_tuning_cost * mn__finals_tuning(opts, epochs);
    double again = fine_tuning_cost * mn__finals_tuning_again(opts, epochs, known->rounds_epochs);
    double ms = epoch_of_all(opts, known, seeds) * (epochs + tuning);
    if (!hardly_below(epochs, known->rounds_epochs))
        ms += known->epoch_ms[0] * again; /* of the first finalist's weights */
    return ms;
}

static uint32_t affordable(const mn_search_opts *opts,
                           const mn__finals_known *known,
                           uint32_t seeds,
                           double left_ms)
{
    uint32_t epochs =
        epoch_of_all(opts, known, 1) > 0.0 ? MN__FINALS_MOST_EPOCHS : MN__FINALS_LEAST_EPOCHS;
    while (epochs > MN__FINALS_LEAST_EPOCHS && mn__finals_ms(opts, known, seeds, epochs) > left_ms)
        epochs--;
    return epochs;
}

void mn__finals_afford(const mn_search_opts *opts,
                       const mn__finals_known *known,
                       double left_ms,
                       uint32_t *ret_seeds,
                       uint32_t *ret_epochs)
{
    uint32_t count = known->finalists;
    uint32_t seeds = opts->finalist_seeds;
    while (seeds < MN__FINALS_MOST_SEEDS &&
           (mn__finals_turns(opts, count, seeds + 1) == mn__finals_turns(opts, count, seeds) ||
            affordable(opts, known, seeds + 1, left_ms) >= enough_epochs))
        seeds++;
    *ret_seeds = seeds;
    *ret_epochs = affordable(opts, known, seeds, left_ms);
}

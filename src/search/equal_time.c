/*
 * Errors at equal time. See equal_time.h.
 */
#include "search/equal_time.h"

#include <math.h>

#include "search/finals_time.h"
#include "search/pace.h"
#include "search/work.h"

/* By these powers of a network's effort, multiply-adds and weights its errors at the end of finals
 * differ from what those at a rung tell (docs/search.md). They cancel out: a network that is twice
 * as large in everything is neither better nor worse than it looks. */
static const double effort_power = 0.33;
static const double macs_power = 0.23;
static const double weights_power = 0.10;

/* Behind so many epochs more of them help less and less. */
static const double steady_epochs = 40.0;

/* Epochs that finals of a network of that effort have time for. */
static double epochs_of(const mn__session *session, double effort)
{
    const mn_search_opts *opts = session->opts;
    double ms = (double)(opts->time_ms - mn__pace_search_ms(session)) / opts->bound_count;
    double epoch_ms = mn__training_work(session, UINT32_MAX, 1) * effort * session->effort_ms;
    return ms / mn__finals_turns(opts, opts->finalists, opts->finalist_seeds) / epoch_ms;
}

double mn__equal_time_errors(const mn__session *session,
                             double errors,
                             const mn__needs *network,
                             const mn__needs *beside)
{
    if (session->opts->preset == MN_PRESET_PAPER || session->effort_ms <= 0.0 ||
        network->effort <= 0.0 || beside->effort <= 0.0)
        return errors;
    double epochs = epochs_of(session, beside->effort);
    double power = effort_power * (epochs > steady_epochs ? steady_epochs / epochs : 1.0);
    double macs = ((double)network->macs + 1.0) / ((double)beside->macs + 1.0);
    double weights = ((double)network->weights_bytes + 1.0) / ((double)beside->weights_bytes + 1.0);
    double expected = errors * pow(network->effort / beside->effort, power) /
                      (pow(macs, macs_power) * pow(weights, weights_power));
    return fmin(1.0, expected);
}

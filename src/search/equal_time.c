/*
 * Errors at equal time. See equal_time.h.
 */
#include "search/equal_time.h"

#include <math.h>

#include "search/finals_time.h"
#include "search/pace.h"
#include "search/work.h"

/* Errors fall with this power of the epochs (docs/search.md). */
static const double power = 0.18;

/* Behind so many epochs they fall less and less. */
static const double steady_epochs = 40.0;

/* Epochs that finals of a network of that effort have time for. */
static double epochs_of(const mn__session *session, double effort)
{
    const mn_search_opts *opts = session->opts;
    double ms = (double)(opts->time_ms - mn__pace_search_ms(session)) / opts->bound_count;
    double epoch_ms = mn__training_work(session, UINT32_MAX, 1) * effort * session->effort_ms;
    return ms / mn__finals_turns(opts, opts->finalists, opts->finalist_seeds) / epoch_ms;
}

double
mn__equal_time_errors(const mn__session *session, double errors, double effort, double beside)
{
    if (session->opts->preset == MN_PRESET_PAPER || session->effort_ms <= 0.0 || effort <= 0.0 ||
        beside <= 0.0)
        return errors;
    double epochs = epochs_of(session, beside);
    double exponent = epochs > steady_epochs ? power * steady_epochs / epochs : power;
    return fmin(1.0, errors * pow(effort / beside, exponent));
}

/*
 * Search options: defaults, limits, and what of them the study remembers.
 */
#include "search/options.h"

#include <math.h>
#include <sched.h>
#include <string.h>

#include "base/json.h"

static const char *const preset_names[] = {"fast", "paper"};

const char *mn_preset_name(mn_preset preset)
{
    return preset == MN_PRESET_FAST || preset == MN_PRESET_PAPER ? preset_names[preset] : "unknown";
}

mn_status mn_preset_parse(const char *text, mn_preset *ret_preset, mn_error *err)
{
    for (int i = 0; i < 2; i++)
        if (strcmp(text, preset_names[i]) == 0) {
            *ret_preset = (mn_preset)i;
            return MN_OK;
        }
    return mn_error_set(err, MN_ERR_ARG, "preset '%s': expected fast or paper", text);
}

static const char *const strategy_names[] = {"augment-trim", "random", "evolution"};

const char *mn_strategy_name(mn_strategy strategy)
{
    return (unsigned)strategy < 3 ? strategy_names[strategy] : "unknown";
}

mn_status mn_strategy_parse(const char *text, mn_strategy *ret_strategy, mn_error *err)
{
    for (int i = 0; i < 3; i++)
        if (strcmp(text, strategy_names[i]) == 0) {
            *ret_strategy = (mn_strategy)i;
            return MN_OK;
        }
    return mn_error_set(
        err, MN_ERR_ARG, "strategy '%s': expected augment-trim, random or evolution", text);
}

mn_search_opts mn_search_opts_default(void)
{
    cpu_set_t set;
    int processors = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return (mn_search_opts){
        .precision = MN_PRECISION_INT8,
        .preset = MN_PRESET_FAST,
        .lambda = 0.5,
        .top_k = 8,
        .neighbours = 256,
        .jobs = processors < 1    ? 1
                : processors > 64 ? 64
                                  : (uint32_t)processors,
        .seed = 1,
        .max_cells = 13,
        .finalists = 2,
        .finalist_seeds = 1,
        .finalist_epochs = 12,
        .qat_epochs = 3,
        .rungs = 2,
        .rung_epochs = 3,
        .rung_images = 12000,
    };
}

uint64_t mn__bound_bytes(const mn_bound *bound)
{
    return bound->total_bytes != 0 ? bound->total_bytes : bound->ram_bytes + bound->flash_bytes;
}

bool mn__bound_keeps(const mn_bound *bound, uint64_t weights, uint64_t arena, uint64_t macs)
{
    return (bound->total_bytes == 0 || weights + arena <= bound->total_bytes) &&
           (bound->ram_bytes == 0 || arena <= bound->ram_bytes) &&
           (bound->flash_bytes == 0 || weights <= bound->flash_bytes) &&
           (bound->max_macs == 0 || macs <= bound->max_macs);
}

static mn_status check_bound(const mn_bound *bound, mn_error *err)
{
    bool pair = bound->ram_bytes != 0 || bound->flash_bytes != 0;
    if (bound->total_bytes == 0 && (bound->ram_bytes == 0 || bound->flash_bytes == 0))
        return mn_error_set(
            err, MN_ERR_ARG, "bound: expected a total, or both a RAM and a flash size");
    if (bound->total_bytes != 0 && pair)
        return mn_error_set(
            err, MN_ERR_ARG, "bound: expected a total or a RAM and flash size, not both");
    if (bound->ram_bytes > INT64_MAX / 4 || bound->flash_bytes > INT64_MAX / 4 ||
        bound->total_bytes > INT64_MAX / 4 || bound->max_macs > INT64_MAX)
        return mn_error_set(err, MN_ERR_ARG, "bound: too large");
    return MN_OK;
}

/* Several bounds are totals, each smaller than the one before: the bytes tell them apart. */
static mn_status check_bounds(const mn_search_opts *opts, mn_error *err)
{
    mn_status status = MN_OK;
    if (opts->bound_count < 1 || opts->bound_count > MN_MAX_BOUNDS)
        status = mn_error_set(
            err, MN_ERR_ARG, "%u bounds out of range [1,%d]", opts->bound_count, MN_MAX_BOUNDS);
    for (uint32_t i = 0; i < opts->bound_count && status == MN_OK; i++) {
        const mn_bound *bound = &opts->bounds[i];
        status = check_bound(bound, err);
        if (status == MN_OK && opts->bound_count > 1 && bound->total_bytes == 0)
            status = mn_error_set(err, MN_ERR_ARG, "bound %u: expected a total, as in all", i);
        if (status == MN_OK && i > 0 && bound->total_bytes >= opts->bounds[i - 1].total_bytes)
            status = mn_error_set(err, MN_ERR_ARG, "bound %u: expected largest first", i);
        if (status == MN_OK && bound->max_macs != opts->bounds[0].max_macs)
            status = mn_error_set(err, MN_ERR_ARG, "bound %u: other multiply-adds", i);
    }
    return status;
}

static mn_status check_count(const char *what, uint32_t value, uint32_t most, mn_error *err)
{
    if (value < 1 || value > most)
        return mn_error_set(err, MN_ERR_ARG, "%s: %u out of range [1,%u]", what, value, most);
    return MN_OK;
}

mn_status mn__search_opts_check(const mn_search_opts *opts, mn_error *err)
{
    mn_status status = check_bounds(opts, err);
    if (status == MN_OK && (unsigned)opts->precision > MN_PRECISION_INT8)
        status = mn_error_set(err, MN_ERR_ARG, "precision: no number %d", (int)opts->precision);
    if (status == MN_OK && opts->qat_epochs > 10000)
        status = mn_error_set(
            err, MN_ERR_ARG, "fine-tuning: %u epochs out of range [0,10000]", opts->qat_epochs);
    if (status == MN_OK && (opts->time_ms < 0 || (opts->time_ms > 0) == (opts->rounds > 0)))
        status = mn_error_set(err, MN_ERR_ARG, "expected either a time or a number of rounds");
    if (status == MN_OK && opts->rounds > 0)
        status = check_count("rounds", opts->rounds, 100000, err);
    if (status == MN_OK && opts->preset != MN_PRESET_FAST && opts->preset != MN_PRESET_PAPER)
        status = mn_error_set(err, MN_ERR_ARG, "preset: no number %d", (int)opts->preset);
    if (status == MN_OK && (unsigned)opts->strategy > MN_STRATEGY_EVOLUTION)
        status = mn_error_set(err, MN_ERR_ARG, "strategy: no number %d", (int)opts->strategy);
    if (status == MN_OK && opts->worker_program == NULL)
        status = mn_error_set(err, MN_ERR_ARG, "no worker program");
    if (status == MN_OK && !(opts->lambda >= 0.0 && opts->lambda <= 1.0))
        status = mn_error_set(err, MN_ERR_ARG, "lambda: %g out of range [0,1]", opts->lambda);
    if (status == MN_OK)
        status = check_count("top-k", opts->top_k, 100000, err);
    if (status == MN_OK)
        status = check_count("neighbours", opts->neighbours, 100000, err);
    if (status == MN_OK)
        status = check_count("jobs", opts->jobs, MN__MOST_JOBS, err);
    if (status == MN_OK)
        status = check_count("max cells", opts->max_cells, MN_MAX_CELLS, err);
    if (status == MN_OK)
        status = check_count("finalists", opts->finalists, MN__MOST_FINALISTS, err);
    if (status == MN_OK)
        status = check_count("finalist seeds", opts->finalist_seeds, 64, err);
    if (status == MN_OK)
        status = check_count("finalist epochs", opts->finalist_epochs, 10000, err);
    if (status == MN_OK)
        status = check_count("rungs", opts->rungs, MN__MOST_RUNGS, err);
    if (status == MN_OK)
        status = check_count("rung epochs", opts->rung_epochs, 10000, err);
    if (status == MN_OK)
        status = check_count("rung images", opts->rung_images, UINT32_MAX - 1, err);
    return status;
}

mn_status mn__search_opts_print(const mn_search_opts *opts, char **ret_json, mn_error *err)
{
    const mn_bound *b = &opts->bounds[0]; /* the others are rows of the study's bounds */
    json_t *object =
        json_pack("{s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:f, s:i, s:i, s:i, s:i, s:i, s:i, "
                  "s:i, s:i, s:i, s:i, s:I}",
                  "memory",
                  (json_int_t)b->total_bytes,
                  "ram",
                  (json_int_t)b->ram_bytes,
                  "flash",
                  (json_int_t)b->flash_bytes,
                  "max_macs",
                  (json_int_t)b->max_macs,
                  "precision",
                  mn_precision_name(opts->precision),
                  "preset",
                  mn_preset_name(opts->preset),
                  "strategy",
                  mn_strategy_name(opts->strategy),
                  "lambda",
                  opts->lambda,
                  "top_k",
                  (int)opts->top_k,
                  "neighbours",
                  (int)opts->neighbours,
                  "rounds",
                  (int)opts->rounds,
                  "max_cells",
                  (int)opts->max_cells,
                  "finalists",
                  (int)opts->finalists,
                  "finalist_seeds",
                  (int)opts->finalist_seeds,
                  "finalist_epochs",
                  (int)opts->finalist_epochs,
                  "qat_epochs",
                  (int)opts->qat_epochs,
                  "rungs",
                  (int)opts->rungs,
                  "rung_epochs",
                  (int)opts->rung_epochs,
                  "rung_images",
                  (json_int_t)opts->rung_images);
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (text == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    *ret_json = text;
    return MN_OK;
}

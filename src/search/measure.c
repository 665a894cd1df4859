/*
 * Genotype to bytes, through the very passes that an export takes.
 */
#include "search/measure.h"

#include "memnet/deploy.h"
#include "search/effort.h"
#include "search/options.h"

static mn_status deploy(const mn_genotype *genotype, mn_graph **ret_deployed, mn_error *err)
{
    mn_graph *graph = NULL;
    mn_status status = mn_genotype_lower(genotype, &graph, err);
    if (status == MN_OK)
        status = mn_deploy(graph, NULL, ret_deployed, NULL, err);
    mn_graph_free(graph);
    return status;
}

mn_status mn__measure_effort(const mn_genotype *genotype, double *ret_effort, mn_error *err)
{
    mn_graph *deployed = NULL;
    mn_status status = deploy(genotype, &deployed, err);
    if (status == MN_OK)
        *ret_effort = mn__train_effort(deployed);
    mn_graph_free(deployed);
    return status;
}

static mn_status
measure(const mn_genotype *genotype, const mn_plan_opts *opts, mn__needs *ret_needs, mn_error *err)
{
    mn_graph *deployed = NULL;
    mn_plan *plan = NULL;
    mn_status status = deploy(genotype, &deployed, err);
    if (status == MN_OK)
        status = mn_plan_create(deployed, opts, &plan, err);
    if (status == MN_ERR_UNSUPPORTED) { /* no kernel runs it, whatever the memory */
        *ret_needs = (mn__needs){.weights_bytes = INT64_MAX,
                                 .arena_bytes = INT64_MAX,
                                 .total_bytes = INT64_MAX,
                                 .macs = mn_graph_macs(deployed),
                                 .effort = mn__train_effort(deployed)};
        status = MN_OK;
    } else if (status == MN_OK)
        *ret_needs = (mn__needs){.weights_bytes = plan->weights_bytes,
                                 .arena_bytes = plan->arena_bytes,
                                 .total_bytes = plan->total_bytes,
                                 .macs = plan->macs,
                                 .effort = mn__train_effort(deployed)};
    mn_plan_free(plan);
    mn_graph_free(deployed);
    return status;
}

mn_status mn__measure(const mn_genotype *genotype,
                      mn_precision precision,
                      mn__needs *ret_needs,
                      mn_error *err)
{
    mn_plan_opts opts = mn_plan_opts_default();
    opts.precision = precision;
    return measure(genotype, &opts, ret_needs, err);
}

/* States of the search for an order when only the fit of widths hangs on it. */
enum { brief_states = 64 };

static size_t limit(uint64_t bytes)
{
    return bytes == 0 || bytes > SIZE_MAX ? SIZE_MAX : (size_t)bytes;
}

mn_status mn__keeps(const mn_genotype *genotype,
                    const mn_bound *bound,
                    mn_precision precision,
                    bool *ret_keeps,
                    mn_error *err)
{
    mn_graph *deployed = NULL;
    mn_plan_opts opts = mn_plan_opts_default();
    bool keeps = false;
    opts.precision = precision;
    if (bound->flash_bytes != 0) { /* the weights alone are known to a whole plan only */
        mn__needs needs;
        mn_status status = mn__measure(genotype, precision, &needs, err);
        if (status == MN_OK)
            *ret_keeps = mn__bound_keeps(bound, needs.weights_bytes, needs.arena_bytes, needs.macs);
        return status;
    }
    mn_status status = deploy(genotype, &deployed, err);
    if (status == MN_OK && (bound->max_macs == 0 || mn_graph_macs(deployed) <= bound->max_macs))
        status = mn_plan_fits(
            deployed, &opts, limit(bound->ram_bytes), limit(bound->total_bytes), &keeps, err);
    if (status == MN_ERR_UNSUPPORTED)
        status = MN_OK; /* no kernel runs it: it keeps nothing */
    mn_graph_free(deployed);
    if (status == MN_OK)
        *ret_keeps = keeps;
    return status;
}

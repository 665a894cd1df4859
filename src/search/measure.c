/*
 * Genotype to bytes, through the very passes that an export takes.
 */
#include "search/measure.h"

#include "memnet/deploy.h"

mn_status mn__measure(const mn_genotype *genotype,
                      mn_precision precision,
                      mn__needs *ret_needs,
                      mn_error *err)
{
    mn_graph *graph = NULL;
    mn_graph *deployed = NULL;
    mn_plan *plan = NULL;
    mn_plan_opts opts = mn_plan_opts_default();
    opts.precision = precision;
    mn_status status = mn_genotype_lower(genotype, &graph, err);
    if (status == MN_OK)
        status = mn_deploy(graph, NULL, &deployed, NULL, err);
    if (status == MN_OK)
        status = mn_plan_create(deployed, &opts, &plan, err);
    if (status == MN_OK)
        *ret_needs = (mn__needs){.weights_bytes = plan->weights_bytes,
                                 .arena_bytes = plan->arena_bytes,
                                 .total_bytes = plan->total_bytes,
                                 .macs = plan->macs};
    mn_plan_free(plan);
    mn_graph_free(deployed);
    mn_graph_free(graph);
    return status;
}

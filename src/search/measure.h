/*
 * What a genotype needs: lowered, deployed, planned. The one way from a genotype to bytes.
 */
#ifndef MN_SEARCH_MEASURE_H
#define MN_SEARCH_MEASURE_H

#include "memnet/genotype.h"
#include "memnet/plan.h"
#include "memnet/search.h"

typedef struct mn__needs {
    uint64_t weights_bytes, arena_bytes, total_bytes, macs;
    double effort; /* of training, see effort.h */
} mn__needs;

/* Effort of training alone, without a plan: in a tenth of the time. */
mn_status mn__measure_effort(const mn_genotype *genotype, double *ret_effort, mn_error *err);

/* A network that no kernel of the precision runs (int8: sums of too many products) needs INT64_MAX
 * bytes: more than any bound. */
mn_status mn__measure(const mn_genotype *genotype,
                      mn_precision precision,
                      mn__needs *ret_needs,
                      mn_error *err);

/* True when the genotype keeps every limit of the bound in a plan that was searched for briefly.
 * Milliseconds less than mn__measure(), whose plan may be smaller still. */
mn_status mn__keeps(const mn_genotype *genotype,
                    const mn_bound *bound,
                    mn_precision precision,
                    bool *ret_keeps,
                    mn_error *err);

#endif

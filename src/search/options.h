/*
 * Search options: limits, and the JSON that the study keeps of them.
 */
#ifndef MN_SEARCH_OPTIONS_H
#define MN_SEARCH_OPTIONS_H

#include "memnet/search.h"

/* A rung has three times the images of the one before: more would be the finals. */
enum { MN__MOST_RUNGS = 8, MN__MOST_FINALISTS = 64, MN__MOST_JOBS = 256 };

mn_status mn__search_opts_check(const mn_search_opts *opts, mn_error *err);

/* Every option that decides results, as one line of JSON: not the time, not the jobs. The caller
 * frees it. */
mn_status mn__search_opts_print(const mn_search_opts *opts, char **ret_json, mn_error *err);

/* The one number that a bound is known by: the total, or RAM plus flash. */
uint64_t mn__bound_bytes(const mn_bound *bound);

/* True when a network of these sizes keeps every limit of the bound. */
bool mn__bound_keeps(const mn_bound *bound, uint64_t weights, uint64_t arena, uint64_t macs);

#endif

/*
 * Bringing a network under a bound, or up to it, by its widths alone.
 */
#ifndef MN_SEARCH_FIT_H
#define MN_SEARCH_FIT_H

#include "memnet/search.h"

/*
 * Scales all widths of a network (blocks and stem) by one factor: the largest of a table of factors
 * at which it keeps the bound, at most 1 unless `grow`. A network that keeps it at no factor, and
 * one that needs no scaling, is left as it is.
 */
mn_status mn__fit_widths(
    mn_genotype *genotype, const mn_bound *bound, mn_precision precision, bool grow, mn_error *err);

#endif

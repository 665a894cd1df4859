/*
 * Bringing a network under a bound, or up to it, by its widths alone.
 */
#ifndef MN_SEARCH_FIT_H
#define MN_SEARCH_FIT_H

#include "memnet/search.h"

/*
 * With `grow` all widths of a network (blocks and stem) are scaled by one factor: the largest of a
 * table of factors at which it keeps the bound. Without, a network that keeps it is left as it is.
 * Of one that does not, the one block (or the stem) is made narrower that loses the smallest share
 * of its width, up to half. Only where none can make the room all widths are scaled, by a factor
 * below 1. A network that keeps the bound at no factor is left as it is.
 */
mn_status mn__fit_widths(
    mn_genotype *genotype, const mn_bound *bound, mn_precision precision, bool grow, mn_error *err);

#endif

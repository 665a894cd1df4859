/*
 * How wide a search's networks are: chosen once, before round 0, from the bound alone.
 */
#ifndef MN_SEARCH_WIDTH_H
#define MN_SEARCH_WIDTH_H

#include "memnet/search.h"

/*
 * The frame of the search for one bound: five blocks of strides 1, 2, 1, 2, 1 and widths w, w, 2w,
 * 2w, 4w, where w is the largest of {4, 8, 12, 16, 24, 32, ...} at which at least half of round 0
 * keeps the bound; the smallest, when none does but some network fits there. Where nothing does,
 * `fast` begins with a stride of 2, with w = 4 or, where even that is too large, 2.
 *
 * MN_ERR_LIMIT when nothing fits at the smallest frame: names each limit and the least found.
 */
mn_status mn__choose_frame(const mn_search_opts *opts,
                           const mn_bound *bound,
                           const mn_dataset *dataset,
                           mn_genotype *ret_frame,
                           mn_error *err);

#endif

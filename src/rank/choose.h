/*
 * The choice of what the ensemble is made of, by how each kind ranks what it has not seen.
 */
#ifndef MN_RANK_CHOOSE_H
#define MN_RANK_CHOOSE_H

#include "rank/samples.h"

/*
 * Writes to `report` the kind whose networks, taught on all folds but one, rank the one left out
 * best (Kendall tau-b, mean over the folds; of equals the first kind), and the figures of all.
 * Too few samples: MN__RANK_JOINT, and no fold. `ready` are the samples of `set`, with targets.
 */
mn_status mn__choose_kind(const mn__rank_set *set,
                          const mn__rank_opts *opts,
                          const mn__ready *ready,
                          mn__rank_report *report,
                          mn_error *err);

#endif

/*
 * What people and programs want to know of a study: its best networks, its front, its counts.
 * Read in one go, so that a search that is running may go on meanwhile.
 */
#ifndef MN_CLI_STUDY_VIEW_H
#define MN_CLI_STUDY_VIEW_H

#include "base/json.h"
#include "memnet/study.h"

/* The chosen network of a bound. */
typedef struct mn__best {
    uint64_t bound_bytes;
    bool found; /* the rest is zero otherwise */
    char id[MN_STUDY_ID_BYTES];
    double val_accuracy;  /* percent */
    double test_accuracy; /* percent; NaN until the test set was read */
    uint64_t weights_bytes, arena_bytes, total_bytes, macs;
} mn__best;

typedef struct mn__study_view {
    int64_t active_ms;
    mn_study_counts counts;
    uint32_t bound_count;
    mn__best *bests; /* one per bound, the largest bound first */
    uint32_t front_count;
    mn_front_row *front;
} mn__study_view;

/* On failure there is nothing to free. */
mn_status mn__study_view_load(const char *folder, mn__study_view *ret_view, mn_error *err);
void mn__study_view_done(mn__study_view *view);

/* The JSON of `memnet status`; NULL when out of memory. */
json_t *mn__study_view_json(const mn__study_view *view);

#endif

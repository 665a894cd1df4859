/*
 * The plan of finals: who is trained, how long, by how many seeds. Made once, then it stands in the
 * study.
 */
#ifndef MN_SEARCH_FINALS_PLAN_H
#define MN_SEARCH_FINALS_PLAN_H

#include "search/options.h"
#include "search/session.h"

typedef struct mn__finals_plan {
    uint32_t number; /* of its events; its trainings are at rung MN_STUDY_FINALS_RUNG + number */
    uint32_t epochs;
    uint32_t seeds; /* trainings of each finalist */
    uint32_t count; /* at least 1 */
    char ids[MN__MOST_FINALISTS][MN_STUDY_ID_BYTES];
} mn__finals_plan;

/* The plan for the session's goal at a stage: the study's, or a new one, stored. Of what is left of
 * the time each goal from this one on gets an equal part. MN_ERR_WORKER when no network has been
 * trained. */
mn_status mn__finals_plan_make(mn__session *session,
                               uint32_t stage,
                               mn__finals_plan *ret_plan,
                               mn_error *err);

/* Epochs on all training images that a network of the rounds has had at most: one training of each
 * rung for each round of the goal, from ancestor to child. */
mn_status mn__finals_rounds_epochs(mn__session *session, double *ret_epochs, mn_error *err);

/* Whether finals of a stage would train a network that those of the stage before did not, or train
 * longer, or as long on more seeds. The first stage's do. */
mn_status mn__finals_say_more(mn__session *session, uint32_t stage, bool *ret, mn_error *err);

/* Number of stages of finals that the study has planned, for some goal at least; the last one's
 * time budget (0: by rounds) when there is one. */
mn_status
mn__finals_planned(mn__session *session, uint32_t *ret_stages, int64_t *ret_time_ms, mn_error *err);

#endif

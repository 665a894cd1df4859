/*
 * Rungs: successive halving inside a round (Jamieson and Talwalkar 2016, arXiv 1502.07943). All
 * candidates train at rung 0; at each rung the best third goes on to the next one, with three times
 * the images, from the weights that it has. Decisions fall at barriers, on complete rungs, so the
 * number of workers changes nothing.
 */
#ifndef MN_SEARCH_RUNGS_H
#define MN_SEARCH_RUNGS_H

#include "search/candidates.h"

/* The candidate with the highest score at the last rung, equals by id; at the rung before when
 * every training of the last one failed. */
typedef struct mn__survivor {
    const mn__entry *entry; /* NULL: every training of rung 0 failed */
    mn_run_key run;
    double accuracy; /* percent, validation */
    double score;
} mn__survivor;

typedef struct mn__rungs_result {
    mn__survivor best;
    uint32_t trained;       /* networks: at rung 0 */
    uint32_t failed;        /* likewise */
    double *first_accuracy; /* (pool's entries) percent at rung 0, NaN without one; freed by
                               mn__rungs_done() */
} mn__rungs_result;

void mn__rungs_done(mn__rungs_result *result);

/*
 * Trains the chosen entries of a pool.
 */
mn_status mn__rungs_run(mn__session *session,
                        uint32_t round,
                        const mn__pool *pool,
                        mn__rungs_result *ret_result,
                        mn_error *err);

/* Epochs and images of a training at a rung: the images of rung 0 times three for each rung, in
 * more epochs where the training split has no more of them. */
void mn__rung_size(const mn__session *session,
                   uint32_t rung,
                   uint32_t *ret_epochs,
                   uint32_t *ret_images);

/* The same where rung 0 has so many images. */
void mn__rung_size_from(const mn__session *session,
                        uint32_t first_images,
                        uint32_t rung,
                        uint32_t *ret_epochs,
                        uint32_t *ret_images);

/* Of so many networks at a rung, those that go on to the next one where none fails. */
uint32_t mn__rung_keeps(uint32_t count);

/* The most accurate runs of all rounds that keep the goal's bound, of the highest rung that has
 * any: room for `limit` keys, best first. */
mn_status mn__rungs_top(
    mn__session *session, uint32_t limit, mn_run_key *ret_keys, uint32_t *ret_count, mn_error *err);

/* The key of a network's run at the highest rung of a round that it finished. MN_ERR_DB when it has
 * none. */
mn_status
mn__rungs_last_run(mn__session *session, const char *id, mn_run_key *ret_key, mn_error *err);

/* The last rung of a round. */
uint32_t mn__rung_last(const mn__session *session);

#endif

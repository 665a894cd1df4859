/*
 * The pace of rounds. See pace.h.
 */
#include "search/pace.h"

#include <string.h>

/* The finals get the rest. Finalists start from scratch, and what a network can do shows only after
 * many epochs, so they get the larger part. */
static const double search_share = 0.45;

int64_t mn__pace_search_ms(const mn__session *session)
{
    return (int64_t)(search_share * (double)session->opts->time_ms);
}

mn_status mn__pace_resume(mn__session *session, int64_t finals_ms, mn_error *err)
{
    mn_study_counts counts;
    int64_t spent = session->active_start_ms;
    int64_t at_most = (int64_t)(search_share * (double)finals_ms);
    mn_status status = mn_study_count(session->study, &counts, err);
    if (status != MN_OK)
        return status;
    if (finals_ms > 0 && spent > at_most)
        spent = at_most;
    session->round_ms = counts.rounds == 0 ? 0 : spent / counts.rounds;
    session->round_work = 0.0; /* not known: the next round counts as much */
    return MN_OK;
}

mn_status
mn__pace_work(mn__session *session, const mn__pool *pool, mn__work_left *ret_work, mn_error *err)
{
    mn__work_left work = {0};
    for (uint32_t i = 0; i < pool->count; i++) {
        const mn__entry *entry = &pool->entries[i];
        mn_run_key key = {0};
        mn_run_row row;
        bool known = false;
        if (!entry->chosen)
            continue;
        memcpy(key.genotype_id, entry->id, sizeof key.genotype_id);
        mn_status status = mn_study_get_run(session->study, &key, &row, &known, err);
        if (status != MN_OK)
            return status;
        work.all += entry->needs.effort;
        work.left += known ? 0.0 : entry->needs.effort;
    }
    *ret_work = work;
    return MN_OK;
}

bool mn__pace_late(const mn__session *session, uint32_t round, mn__work_left work)
{
    if (session->opts->time_ms == 0 || round < session->opts->bound_count)
        return false;
    double share = session->round_work > 0.0 ? work.left / session->round_work
                   : work.all > 0.0          ? work.left / work.all
                                             : 1.0;
    double expected = (double)session->round_ms * share;
    return (double)mn__session_elapsed_ms(session) + expected > (double)mn__pace_search_ms(session);
}

void mn__pace_note(mn__session *session, mn__work_left work, int64_t ms)
{
    bool whole = work.left >= work.all;
    session->round_work = work.all;
    if (!whole && session->round_ms == 0) /* what is left of the first round tells nothing of it */
        session->round_ms = mn__session_elapsed_ms(session);
    else if (whole || ms > session->round_ms)
        session->round_ms = ms;
}

/*
 * The executor: runs a batch of jobs on worker processes and hands each result over as it arrives.
 * Which worker does what is up to the clock; what a job yields is not.
 */
#ifndef MN_SEARCH_EXECUTOR_H
#define MN_SEARCH_EXECUTOR_H

#include "search/job.h"

typedef struct mn__executor mn__executor;

/* `program` is started `jobs` times as "PROGRAM worker --data-fd N" when work comes; data_fd is
 * borrowed. */
mn_status mn__executor_create(
    const char *program, uint32_t jobs, int data_fd, mn__executor **ret_executor, mn_error *err);
/* Ends the workers. NULL is fine. */
void mn__executor_free(mn__executor *executor);

typedef struct mn__executor_calls {
    /* Job `index` has ended; `result` is borrowed. Another status than MN_OK ends the batch. */
    mn_status (*finished)(void *context, uint32_t index, const mn__result *result, mn_error *err);
    /* About once a second while jobs run; may be NULL. */
    void (*tick)(void *context);
    void *context;
} mn__executor_calls;

/* Runs all jobs (lines of mn__job_print()). A worker that dies is replaced and its job started
 * once more; when it is killed by a signal again the job has failed. After an error unfinished jobs
 * are abandoned.
 * MN_ERR_IO: a job could not be done for want of disk or memory.
 * MN_ERR_WORKER: workers cannot be started, leave twice without a result, or talk nonsense. */
mn_status mn__executor_run(mn__executor *executor,
                           char *const *lines,
                           uint32_t count,
                           const mn__executor_calls *calls,
                           mn_error *err);

#endif

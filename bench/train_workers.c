/*
 * Our own training speed, in processes. See train_workers.h.
 *
 * A worker builds its network, takes the first, slow steps, and says "ready PARAMETERS SECONDS"
 * (of one step), or "unsupported WHY" or "failed WHY". When all are ready each is sent
 * "BEGIN END", two times of the common clock; it trains from then on until END and says
 * "done STEPS SECONDS": the whole steps between BEGIN and END, and how long they took from the
 * start of the first to the end of the last. It keeps computing to END, so none is counted while
 * another rests. Then it waits for the next stretch, or leaves at the end of its input. There is a
 * next one, longer, when a worker had no whole step: threads that wait for each other while another
 * program has a processor can take a hundred times as long as in the first steps.
 */
#include "train_workers.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "train_process.h"
#include "train_subject.h"

/* A window shorter than this may pass while another program has the processor. */
static const double least_seconds = 0.5;

enum { most_stretches = 5, stretch_growth = 4 };

enum { warm_up_steps = 3, line_bytes = MN_ERROR_MESSAGE_BYTES + 64, number_bytes = 12 };

/* ---- a worker -------------------------------------------------------------------------------- */

/* Two numbers and nothing else. */
static bool parse_two(const char *text, double *ret_first, double *ret_second)
{
    char *end = NULL;
    double first = strtod(text, &end);
    if (end == text)
        return false;
    text = end;
    double second = strtod(text, &end);
    if (end == text || (*end != '\0' && *end != '\n'))
        return false;
    *ret_first = first;
    *ret_second = second;
    return true;
}

static mn_status train_between(mn_bench_subject *subject,
                               double begin,
                               double end,
                               uint32_t *ret_steps,
                               double *ret_seconds,
                               mn_error *err)
{
    uint32_t steps = 0;
    double first = 0.0;
    double last = 0.0;
    double now = mn_bench_now();
    mn_status status = MN_OK;
    while (status == MN_OK && now < end) {
        double start = now;
        status = mn_bench_subject_step(subject, NULL, err);
        now = mn_bench_now();
        if (start < begin || now > end)
            continue;
        if (steps++ == 0)
            first = start;
        last = now;
    }
    *ret_steps = steps;
    *ret_seconds = last - first;
    return status;
}

int mn_bench_worker_main(const mn_bench_run *run)
{
    char line[line_bytes];
    mn_error err = {0};
    mn_bench_subject subject;
    double begin = 0.0;
    double end = 0.0;
    double seconds = 0.0;
    uint32_t steps = 0;
    mn_status status = mn_bench_subject_init(&subject, run, NULL, &err);
    for (uint32_t i = 0; status == MN_OK && i < warm_up_steps; i++)
        status = mn_bench_subject_step(&subject, &seconds, &err);
    if (status != MN_OK) {
        printf("%s %s\n", status == MN_ERR_UNSUPPORTED ? "unsupported" : "failed", err.message);
        goto done;
    }
    printf("ready %" PRIu64 " %.9f\n", (uint64_t)mn_graph_parameters(subject.graph), seconds);
    while (status == MN_OK && fflush(stdout) == 0 && fgets(line, sizeof line, stdin) != NULL) {
        if (!parse_two(line, &begin, &end))
            status = mn_error_set(&err, MN_ERR_FORMAT, "expected BEGIN END");
        if (status == MN_OK)
            status = train_between(&subject, begin, end, &steps, &seconds, &err);
        if (status == MN_OK)
            printf("done %" PRIu32 " %.9f\n", steps, seconds);
        else
            printf("failed %s\n", err.message);
    }
done:
    mn_bench_subject_done(&subject);
    return fflush(stdout) == 0 && status == MN_OK ? 0 : 1;
}

/* ---- who starts them ------------------------------------------------------------------------- */

static mn_status start(const mn_bench_run *run, mn_bench_process *ret_process, mn_error *err)
{
    char width[number_bytes];
    char batch[number_bytes];
    char threads[number_bytes];
    (void)snprintf(width, sizeof width, "%" PRIu32, run->width);
    (void)snprintf(batch, sizeof batch, "%" PRIu32, run->batch);
    (void)snprintf(threads, sizeof threads, "%" PRIu32, run->threads);
    const char *arguments[] = {"/proc/self/exe",
                               "--worker",
                               "--net",
                               run->net,
                               "--width",
                               width,
                               "--batch",
                               batch,
                               "--threads",
                               threads,
                               "--compute",
                               run->bf16 ? "bf16" : "float32",
                               NULL};
    return mn_bench_process_start(
        &(mn_bench_call){.arguments = arguments, .quiet = false}, ret_process, err);
}

/* A line that starts with `word` and a blank; *ret_rest is what follows. Otherwise the worker's own
 * reason, or that it ended. */
static mn_status
hear(const mn_bench_process *worker, const char *word, char *line, char **ret_rest, mn_error *err)
{
    size_t length = strlen(word);
    if (!mn_bench_process_line(worker, line, line_bytes))
        return mn_error_set(err, MN_ERR_WORKER, "a worker ended without a word");
    char *rest = line + strcspn(line, " ");
    if (*rest == ' ')
        rest++;
    if (strncmp(line, "unsupported ", strlen("unsupported ")) == 0)
        return mn_error_set(err, MN_ERR_UNSUPPORTED, "%s", rest);
    if (strncmp(line, "failed ", strlen("failed ")) == 0)
        return mn_error_set(err, MN_ERR_WORKER, "%s", rest);
    if (strncmp(line, word, length) != 0 || line[length] != ' ')
        return mn_error_set(err, MN_ERR_WORKER, "a worker said '%s', not '%s'", line, word);
    *ret_rest = rest;
    return MN_OK;
}

/* Waits for all to be ready: the parameters, and the longest of their steps. */
static mn_status gather(const mn_bench_run *run,
                        const mn_bench_process *workers,
                        uint64_t *ret_parameters,
                        double *ret_seconds,
                        mn_error *err)
{
    char line[line_bytes];
    char *rest = NULL;
    double slowest = 0.0;
    for (uint32_t i = 0; i < run->processes; i++) {
        mn_status status = hear(&workers[i], "ready", line, &rest, err);
        if (status != MN_OK)
            return status;
        uint64_t parameters = strtoull(rest, &rest, 10);
        double seconds = strtod(rest, NULL);
        if (!(seconds > 0.0))
            return mn_error_set(err, MN_ERR_WORKER, "a worker took no time for a step");
        if (seconds > slowest)
            slowest = seconds;
        *ret_parameters = parameters;
    }
    *ret_seconds = slowest;
    return MN_OK;
}

/* One stretch of time. The rate is 0 when a worker had no whole step in it. */
static mn_status race(const mn_bench_run *run,
                      const mn_bench_process *workers,
                      double stretch_seconds,
                      double *ret_rate,
                      mn_error *err)
{
    char line[line_bytes];
    char *rest = NULL;
    double rate = 0.0;
    double steps = 0.0;
    double seconds = 0.0;
    bool all = true;
    /* The first step of each is under way at `begin`; what is left of it is not counted. */
    double begin = mn_bench_now() + 0.01;
    (void)snprintf(line, sizeof line, "%.9f %.9f\n", begin, begin + stretch_seconds);
    for (uint32_t i = 0; i < run->processes; i++)
        if (!mn_bench_process_send(&workers[i], line))
            return mn_error_set(err, MN_ERR_WORKER, "a worker ended before its steps");
    for (uint32_t i = 0; i < run->processes; i++) {
        mn_status status = hear(&workers[i], "done", line, &rest, err);
        if (status != MN_OK)
            return status;
        if (!parse_two(rest, &steps, &seconds))
            return mn_error_set(err, MN_ERR_WORKER, "a worker said '%s'", line);
        if (steps > 0.0 && seconds > 0.0)
            rate += steps * run->batch / seconds;
        else
            all = false;
    }
    *ret_rate = all ? rate : 0.0;
    return MN_OK;
}

/* Longer and longer stretches until every worker has a whole step in one. */
static mn_status measure(const mn_bench_run *run,
                         const mn_bench_process *workers,
                         double step_seconds,
                         double *ret_rate,
                         mn_error *err)
{
    double rate = 0.0;
    double stretch_seconds = fmax((run->steps + 1) * step_seconds, least_seconds);
    for (uint32_t i = 0; i < most_stretches; i++) {
        mn_status status = race(run, workers, stretch_seconds, &rate, err);
        if (status != MN_OK)
            return status;
        if (rate > 0.0) {
            *ret_rate = rate;
            return MN_OK;
        }
        stretch_seconds *= stretch_growth;
    }
    return mn_error_set(err, MN_ERR_LIMIT, "no whole step in the longest time tried");
}

mn_status mn_bench_workers_run(const mn_bench_run *run, mn_bench_speed *ret_speed, mn_error *err)
{
    mn_bench_speed speed = {0};
    double step_seconds = 0.0;
    mn_status status = MN_OK;
    mn_bench_process *workers = mn_calloc(run->processes, sizeof *workers);
    if (workers == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; status == MN_OK && i < run->processes; i++)
        status = start(run, &workers[i], err);
    if (status == MN_OK)
        status = gather(run, workers, &speed.parameters, &step_seconds, err);
    if (status == MN_OK)
        status = measure(run, workers, step_seconds, &speed.rate, err);
    for (uint32_t i = 0; i < run->processes; i++)
        (void)mn_bench_process_end(&workers[i]);
    free(workers);
    if (status == MN_OK)
        *ret_speed = speed;
    return status;
}

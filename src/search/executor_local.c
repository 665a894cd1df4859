/*
 * Workers on this machine: long-lived child processes, spawned (never forked: threads exist). Jobs
 * go down a socket (writing to a dead worker is then an error, not a signal), results come up a
 * pipe. Invariant: each worker has at most one job.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/size.h"
#include "search/executor.h"

extern char **environ;

enum { read_chunk = 4096, tick_ms = 1000, most_attempts = 2 };
static const size_t max_answer_bytes = (size_t)4 << 20;

typedef struct child {
    pid_t pid;    /* 0: not running */
    int to, from; /* our ends */
    uint32_t job; /* MN_NONE: idle */
    char *line;   /* what has arrived of its answer */
    size_t line_count, line_capacity;
} child;

struct mn__executor {
    char *program;
    int data_fd;
    uint32_t child_count;
    child *children;
};

/* State of one batch. */
typedef struct batch {
    char *const *lines;
    uint32_t count, next, done;
    uint8_t *attempts; /* (count) */
    uint32_t *retries; /* jobs whose worker died: (count) room */
    uint32_t retry_count;
    const mn__executor_calls *calls;
} batch;

mn_status mn__executor_create(
    const char *program, uint32_t jobs, int data_fd, mn__executor **ret_executor, mn_error *err)
{
    mn__executor *e = mn_calloc(1, sizeof *e);
    if (e == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    e->program = strdup(program);
    e->children = mn_calloc(jobs, sizeof *e->children);
    e->child_count = jobs;
    e->data_fd = data_fd;
    if (e->program == NULL || e->children == NULL) {
        mn__executor_free(e);
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    }
    for (uint32_t i = 0; i < jobs; i++)
        e->children[i].job = MN_NONE;
    *ret_executor = e;
    return MN_OK;
}

/* Ends a worker: at once when it is busy, else by the end of its input. How it ended, as waitpid()
 * tells it. */
static int stop(child *c)
{
    int ending = 0;
    if (c->pid == 0)
        return ending;
    close(c->to);
    if (c->job != MN_NONE)
        kill(c->pid, SIGKILL);
    while (waitpid(c->pid, &ending, 0) < 0 && errno == EINTR)
        ;
    close(c->from);
    free(c->line);
    *c = (child){.job = MN_NONE};
    return ending;
}

void mn__executor_free(mn__executor *executor)
{
    if (executor == NULL)
        return;
    for (uint32_t i = 0; executor->children != NULL && i < executor->child_count; i++)
        stop(&executor->children[i]);
    free(executor->children);
    free(executor->program);
    free(executor);
}

static mn_status start(const mn__executor *e, child *c, mn_error *err)
{
    char fd_text[16];
    char worker_word[] = "worker";
    char fd_word[] = "--data-fd";
    char *const arguments[] = {e->program, worker_word, fd_word, fd_text, NULL};
    int down[2] = {-1, -1};
    int up[2] = {-1, -1};
    posix_spawn_file_actions_t actions;
    mn_status status = MN_OK;
    pid_t pid = 0;
    snprintf(fd_text, sizeof fd_text, "%d", e->data_fd);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    bool open =
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, down) == 0 && pipe2(up, O_CLOEXEC) == 0;
    int failed = open ? 0 : errno;
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, down[0], STDIN_FILENO);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, up[1], STDOUT_FILENO);
    if (failed == 0)
        failed = posix_spawn(&pid, e->program, &actions, NULL, arguments, environ);
    if (failed == 0) {
        c->pid = pid;
        c->to = down[1];
        c->from = up[0];
        down[1] = up[0] = -1;
    } else {
        status = mn_error_set(
            err, MN_ERR_WORKER, "%s: cannot start a worker: %s", e->program, strerror(failed));
    }
    posix_spawn_file_actions_destroy(&actions);
    for (int i = 0; i < 2; i++) {
        if (down[i] >= 0)
            close(down[i]);
        if (up[i] >= 0)
            close(up[i]);
    }
    return status;
}

/* Writes the whole line; false when the worker is gone. */
static bool send_line(const child *c, const char *line)
{
    size_t length = strlen(line);
    size_t done = 0;
    while (done <= length) {
        const char *from = done < length ? line + done : "\n";
        ssize_t put = send(c->to, from, done < length ? length - done : 1, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        done += (size_t)put;
    }
    return true;
}

static uint32_t take_job(batch *b)
{
    if (b->retry_count > 0)
        return b->retries[--b->retry_count];
    return b->next < b->count ? b->next++ : MN_NONE;
}

static mn_status finish(batch *b, uint32_t job, const mn__result *result, mn_error *err)
{
    if (result->fatal)
        return mn_error_set(err, MN_ERR_IO, "%s", result->reason);
    b->done++;
    return b->calls->finished(b->calls->context, job, result, err);
}

/* Signals by which somebody else ends a process: the kernel when memory is short, a user. They say
 * nothing about the network, unlike those of a crash. */
static bool is_from_outside(int signal_number)
{
    return signal_number == SIGKILL || signal_number == SIGTERM || signal_number == SIGINT ||
           signal_number == SIGHUP;
}

/* The worker ended with its job: once more, or failed. A worker that leaves by itself does so
 * outside of a job (it cannot read the data set, say), which says nothing about the network. */
static mn_status lost(batch *b, child *c, mn_error *err)
{
    uint32_t job = c->job;
    char reason[48];
    char curve[] = "[]";
    int ending = stop(c);
    if (b->attempts[job] < most_attempts) {
        b->retries[b->retry_count++] = job;
        return MN_OK;
    }
    if (WIFEXITED(ending))
        return mn_error_set(err,
                            MN_ERR_WORKER,
                            "a worker was started twice and ended with status %d without a result",
                            WEXITSTATUS(ending));
    if (is_from_outside(WTERMSIG(ending)))
        return mn_error_set(err,
                            MN_ERR_WORKER,
                            "a worker was killed twice at the same training, by signal %d: is "
                            "memory short? Fewer --jobs need less; the search can be started again",
                            WTERMSIG(ending));
    snprintf(reason, sizeof reason, "the worker died twice, of signal %d", WTERMSIG(ending));
    mn__result result = {.failed = true, .reason = reason, .curve_json = curve};
    return finish(b, job, &result, err);
}

static mn_status feed(const mn__executor *e, batch *b, child *c, mn_error *err)
{
    uint32_t job = take_job(b);
    if (job == MN_NONE)
        return MN_OK;
    c->job = job;
    b->attempts[job]++;
    if (c->pid != 0) {
        if (send_line(c, b->lines[job]))
            return MN_OK;
        stop(c); /* it died idle, which is not this job's fault */
    }
    mn_status status = start(e, c, err);
    if (status != MN_OK)
        return status;
    c->job = job;
    bool sent = send_line(c, b->lines[job]);
    return sent ? MN_OK : lost(b, c, err);
}

/* One line and no more: what follows it would be taken for the answer to the next job. */
static mn_status answer(batch *b, child *c, size_t length, mn_error *err)
{
    mn__result result = {0};
    uint32_t job = c->job;
    if (length + 1 != c->line_count)
        return mn_error_set(err,
                            MN_ERR_WORKER,
                            "worker: %zu bytes after its result, expected none",
                            c->line_count - length - 1);
    mn_status status = mn__result_parse(c->line, length, &result, err);
    if (status != MN_OK)
        return mn_error_prefix(err, MN_ERR_WORKER, "worker");
    c->line_count = 0;
    c->job = MN_NONE;
    status = finish(b, job, &result, err);
    mn__result_done(&result);
    return status;
}

/* Reads what a worker has written; handles a whole line, or its death. */
static mn_status receive(batch *b, child *c, mn_error *err)
{
    if (c->line_count > max_answer_bytes)
        return mn_error_set(
            err, MN_ERR_WORKER, "worker: a result of more than %zu bytes", max_answer_bytes);
    if (c->line_capacity - c->line_count < read_chunk) {
        size_t capacity = c->line_capacity + 4 * read_chunk;
        char *grown = realloc(c->line, capacity);
        if (grown == NULL)
            return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        c->line = grown;
        c->line_capacity = capacity;
    }
    char *fresh = c->line + c->line_count;
    ssize_t got = read(c->from, fresh, read_chunk);
    if (got < 0)
        return errno == EINTR ? MN_OK : mn_error_set(err, MN_ERR_IO, "worker: %s", strerror(errno));
    if (got == 0)
        return lost(b, c, err);
    c->line_count += (size_t)got;
    const char *end = memchr(fresh, '\n', (size_t)got);
    return end == NULL ? MN_OK : answer(b, c, (size_t)(end - c->line), err);
}

/* Waits for the busy workers and handles what they say. */
static mn_status wait_for_some(mn__executor *e, batch *b, struct pollfd *polled, mn_error *err)
{
    nfds_t watched = 0;
    mn_status status = MN_OK;
    for (uint32_t i = 0; i < e->child_count; i++) {
        bool busy = e->children[i].job != MN_NONE;
        polled[watched++] =
            (struct pollfd){.fd = busy ? e->children[i].from : -1, .events = POLLIN};
    }
    int ready = poll(polled, watched, tick_ms);
    if (ready < 0 && errno != EINTR)
        return mn_error_set(err, MN_ERR_IO, "waiting for workers: %s", strerror(errno));
    if (b->calls->tick != NULL)
        b->calls->tick(b->calls->context);
    for (uint32_t i = 0; ready > 0 && i < e->child_count && status == MN_OK; i++)
        if (polled[i].revents != 0)
            status = receive(b, &e->children[i], err);
    return status;
}

mn_status mn__executor_run(mn__executor *executor,
                           char *const *lines,
                           uint32_t count,
                           const mn__executor_calls *calls,
                           mn_error *err)
{
    batch b = {.lines = lines, .count = count, .calls = calls};
    b.attempts = mn_calloc(count, sizeof *b.attempts);
    b.retries = mn_calloc(count, sizeof *b.retries);
    struct pollfd *polled = mn_calloc(executor->child_count, sizeof *polled);
    mn_status status = MN_OK;
    if (b.attempts == NULL || b.retries == NULL || polled == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    while (status == MN_OK && b.done < count) {
        for (uint32_t i = 0; i < executor->child_count && status == MN_OK; i++)
            if (executor->children[i].job == MN_NONE)
                status = feed(executor, &b, &executor->children[i], err);
        if (status == MN_OK && b.done < count)
            status = wait_for_some(executor, &b, polled, err);
    }
    if (status != MN_OK)
        for (uint32_t i = 0; i < executor->child_count; i++)
            stop(&executor->children[i]);
    free(polled);
    free(b.retries);
    free(b.attempts);
    return status;
}

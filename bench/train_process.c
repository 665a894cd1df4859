/*
 * Spawns the benchmark's child processes and speaks to them. See train_process.h.
 */
#include "train_process.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/size.h"

extern char **environ;

/* "as shipped" would not be so with the allocator tuned from outside, and the number of threads
 * belongs to the measurement. */
static const char *const governed[] = {"OMP_NUM_THREADS",
                                       "CUSTOM",
                                       "MALLOC_TRIM_THRESHOLD_",
                                       "MALLOC_MMAP_THRESHOLD_",
                                       "MALLOC_TOP_PAD_"};

static bool is_governed(const char *variable)
{
    for (size_t i = 0; i < sizeof governed / sizeof *governed; i++) {
        size_t length = strlen(governed[i]);
        if (strncmp(variable, governed[i], length) == 0 && variable[length] == '=')
            return true;
    }
    return false;
}

/* posix_spawn() takes strings that are not const and leaves them alone. */
static char *unconst(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* Our environment less the governed variables, and the settings; NULL when out of memory. The
 * strings are borrowed. */
static char **make_environment(const char *const *settings)
{
    size_t count = 1;
    for (size_t i = 0; environ[i] != NULL; i++)
        count++;
    for (size_t i = 0; settings != NULL && settings[i] != NULL; i++)
        count++;
    char **variables = mn_calloc(count, sizeof *variables);
    if (variables == NULL)
        return NULL;
    size_t used = 0;
    for (size_t i = 0; environ[i] != NULL; i++)
        if (!is_governed(environ[i]))
            variables[used++] = environ[i];
    for (size_t i = 0; settings != NULL && settings[i] != NULL; i++)
        variables[used++] = unconst(settings[i]);
    return variables;
}

/* 0 or an error number. */
static int spawn(const mn_bench_call *call, char **variables, int theirs, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed != 0)
        return failed;
    failed = posix_spawn_file_actions_adddup2(&actions, theirs, STDIN_FILENO);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, theirs, STDOUT_FILENO);
    if (failed == 0 && call->quiet)
        failed =
            posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (failed == 0)
        failed = posix_spawnp(ret_pid,
                              call->arguments[0],
                              &actions,
                              NULL,
                              (char *const *)(uintptr_t)call->arguments,
                              variables);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

mn_status
mn_bench_process_start(const mn_bench_call *call, mn_bench_process *ret_process, mn_error *err)
{
    int ends[2] = {-1, -1};
    pid_t pid = 0;
    char **variables = make_environment(call->settings);
    if (variables == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    int failed = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0 ? 0 : errno;
    if (failed == 0) {
        failed = spawn(call, variables, ends[1], &pid);
        close(ends[1]);
        if (failed != 0)
            close(ends[0]);
    }
    free(variables);
    if (failed != 0)
        return mn_error_set(
            err, MN_ERR_WORKER, "cannot start %s: %s", call->arguments[0], strerror(failed));
    *ret_process = (mn_bench_process){.pid = pid, .socket = ends[0]};
    return MN_OK;
}

bool mn_bench_process_send(const mn_bench_process *process, const char *text)
{
    size_t length = strlen(text);
    for (size_t done = 0; done < length;) {
        ssize_t put = send(process->socket, text + done, length - done, MSG_NOSIGNAL);
        if (put < 0 && errno != EINTR)
            return false;
        if (put > 0)
            done += (size_t)put;
    }
    return true;
}

/* Reads to `end` or the end of output. How many bytes came. */
static size_t take(const mn_bench_process *process, int end, char *text, size_t capacity)
{
    size_t count = 0;
    char byte = 0;
    for (;;) {
        ssize_t got = recv(process->socket, &byte, 1, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        if (count + 1 < capacity)
            text[count] = byte;
        count++;
        if ((unsigned char)byte == end)
            break;
    }
    text[mn_size_smaller(count, capacity - 1)] = '\0';
    return count;
}

bool mn_bench_process_line(const mn_bench_process *process, char *text, size_t capacity)
{
    bool some = take(process, '\n', text, capacity) > 0;
    text[strcspn(text, "\n")] = '\0';
    return some;
}

void mn_bench_process_all(const mn_bench_process *process, char *text, size_t capacity)
{
    (void)take(process, -1, text, capacity);
}

bool mn_bench_process_end(mn_bench_process *process)
{
    int ending = 0;
    pid_t pid = process->pid;
    if (pid == 0)
        return false;
    close(process->socket);
    *process = (mn_bench_process){0};
    while (waitpid(pid, &ending, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(ending) && WEXITSTATUS(ending) == 0;
}

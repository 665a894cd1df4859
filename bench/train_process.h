/*
 * Child processes of the training benchmark: our own workers and the peers' programs. Spawned,
 * never forked. One socket is the child's input and its output, so that writing to a child that is
 * gone is an error and not a signal.
 */
#ifndef MN_BENCH_TRAIN_PROCESS_H
#define MN_BENCH_TRAIN_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "memnet/status.h"

typedef struct mn_bench_process {
    pid_t pid;  /* 0: none */
    int socket; /* our end; ours to close while pid is not 0 */
} mn_bench_process;

typedef struct mn_bench_call {
    const char *const *arguments; /* [0] the program, looked for in PATH; ends with NULL */
    /* "NAME=value", ends with NULL; NULL: none. The variables that speed depends on (see
     * train_process.c) reach a child by this list only, whatever our own environment holds. */
    const char *const *settings;
    bool quiet; /* drops what the child writes to its standard error */
} mn_bench_call;

/* On MN_OK the caller ends *ret_process with mn_bench_process_end(). */
mn_status
mn_bench_process_start(const mn_bench_call *call, mn_bench_process *ret_process, mn_error *err);

/* False when the child is gone. */
bool mn_bench_process_send(const mn_bench_process *process, const char *text);

/* Reads up to the end of a line, which is dropped, or of all output; what does not fit is dropped,
 * too. `text` is always ended by a NUL. False when there was nothing. */
bool mn_bench_process_line(const mn_bench_process *process, char *text, size_t capacity);

/* The same up to the end of all output, new lines kept. */
void mn_bench_process_all(const mn_bench_process *process, char *text, size_t capacity);

/* Closes the socket (the end of a worker's input) and waits. True when the child left with status
 * 0. A process that is none is left alone. */
bool mn_bench_process_end(mn_bench_process *process);

#endif

/*
 * The commands of the program and what they share: exit codes and the way an error is said.
 *
 * A command is a function that takes its own arguments (argv[0] is its name) and returns the exit
 * code. It prints results to stdout and, when it fails, one line to stderr.
 */
#ifndef MN_CLI_CLI_H
#define MN_CLI_CLI_H

#include "memnet/status.h"

enum {
    MN__EXIT_OK = 0,
    MN__EXIT_FAILED = 1, /* an input, a file or the machine is not as it should be */
    MN__EXIT_USAGE = 2   /* the command line itself is wrong */
};

int mn__cmd_search(int argc, char **argv);
int mn__cmd_train(int argc, char **argv);
int mn__cmd_eval(int argc, char **argv);
int mn__cmd_quantize(int argc, char **argv);
int mn__cmd_memory(int argc, char **argv);
int mn__cmd_export(int argc, char **argv);
int mn__cmd_status(int argc, char **argv);
int mn__cmd_data(int argc, char **argv);
int mn__cmd_worker(int argc, char **argv);

/* Prints the error as one line to stderr; MN__EXIT_FAILED. */
int mn__fail(const mn_error *err);

/* Prints a line that does not end the command. */
void mn__warn(const char *format, ...) MN_PRINTF(1, 2);

/* Prints "memnet COMMAND: ...; see 'memnet COMMAND --help'" to stderr; MN__EXIT_USAGE. */
int mn__usage_error(const char *command, const char *format, ...) MN_PRINTF(2, 3);

#endif

/*
 * memnet: the command line. Finds the command in one table and runs it.
 *
 * Invariant: an exit code of 0 means that all output has reached its destination.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

typedef struct command {
    const char *name;
    const char *summary; /* NULL: not listed */
    int (*run)(int argc, char **argv);
} command;

static const command commands[] = {
    {"search", "find and train the best network that fits into a memory bound", mn__cmd_search},
    {"train", "train one architecture", mn__cmd_train},
    {"eval", "measure a model's accuracy", mn__cmd_eval},
    {"quantize", "turn a trained model into one that computes in int8", mn__cmd_quantize},
    {"memory", "show how many bytes a network needs, and where", mn__cmd_memory},
    {"export", "write a model as C code or ONNX", mn__cmd_export},
    {"status", "show what a search has found so far", mn__cmd_status},
    {"data", "describe a data set", mn__cmd_data},
    {"worker", NULL, mn__cmd_worker},
};

static const size_t command_count = sizeof commands / sizeof commands[0];

static const command *find_command(const char *name)
{
    for (size_t i = 0; i < command_count; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static void print_help(FILE *out)
{
    fputs("usage: memnet COMMAND [options]\n\n"
          "Finds, trains and exports image classifiers that fit into a given number of bytes.\n\n"
          "commands:\n",
          out);
    for (size_t i = 0; i < command_count; i++) {
        if (commands[i].summary != NULL)
            fprintf(out, "  %-8s  %s\n", commands[i].name, commands[i].summary);
    }
    fputs("\n"
          "'memnet help COMMAND' or 'memnet COMMAND --help' explains a command;\n"
          "'memnet --version' prints the version.\n\n"
          "start here:\n"
          "  memnet search --data fashion-mnist --memory 64K --time 20m\n",
          out);
}

static int unknown_command(const char *name)
{
    mn_error err;
    mn_error_set(&err, MN_ERR_ARG, "unknown command '%s'; see 'memnet --help'", name);
    mn__fail(&err);
    return MN__EXIT_USAGE;
}

static int help(int argc, char **argv)
{
    if (argc == 1) {
        print_help(stdout);
        return MN__EXIT_OK;
    }
    const command *found = find_command(argv[1]);
    if (found == NULL)
        return unknown_command(argv[1]);
    char option[] = "--help";
    char *arguments[] = {argv[1], option, NULL};
    return found->run(2, arguments);
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        fputs("memnet: missing command; see 'memnet --help'\n", stderr);
        return MN__EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return MN__EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("memnet " MN_VERSION);
        return MN__EXIT_OK;
    }
    if (strcmp(argv[1], "help") == 0)
        return help(argc - 1, argv + 1);
    const command *found = find_command(argv[1]);
    if (found == NULL)
        return unknown_command(argv[1]);
    return found->run(argc - 1, argv + 1);
}

/* A closed standard stream would be reopened as whatever file comes next, and written into. The
 * stand-in is opened the wrong way round, so that using it is still an error. */
static bool guard_standard_streams(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
            return false;
    }
    return true;
}

/* A wrong word would be taken for no restriction. */
static bool check_instructions(mn_error *err)
{
    static const char *const sets[] = {"avx512", "avx2", "portable"};
    const char *most = getenv("MEMNET_ISA");
    bool known = most == NULL || most[0] == '\0';
    for (size_t i = 0; i < sizeof sets / sizeof sets[0] && !known; i++)
        known = strcmp(most, sets[i]) == 0;
    if (!known)
        mn_error_set(
            err, MN_ERR_ARG, "MEMNET_ISA is '%s': expected avx512, avx2 or portable", most);
    return known;
}

int main(int argc, char **argv)
{
    mn_error err;
    if (!guard_standard_streams())
        return MN__EXIT_FAILED;
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write(), seen below */
    signal(SIGXFSZ, SIG_IGN); /* so is a limit on the size of files */
    if (!check_instructions(&err)) {
        mn__fail(&err);
        return MN__EXIT_USAGE;
    }
    int code = dispatch(argc, argv);
    bool earlier = ferror(stdout) != 0;
    if ((fflush(stdout) != 0 || earlier) && code == MN__EXIT_OK) {
        mn_error_set(&err,
                     MN_ERR_IO,
                     "standard output: %s",
                     earlier ? "a write has failed" : strerror(errno));
        code = mn__fail(&err);
    }
    return code;
}

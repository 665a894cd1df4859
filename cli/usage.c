/*
 * What a command says about its use: --help, and the line that follows a wrong command line.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/options.h"

#define HELP_COLUMN 24 /* where the explanation of an option starts */

static const char data_sets[] =
    "\ndata sets (SPEC):\n"
    "  fashion-mnist   the files of Debian's package dataset-fashion-mnist\n"
    "  cifar10:DIR     CIFAR-10, binary version (data_batch_1.bin and so on)\n"
    "  idx:DIR         the MNIST family (train-images-idx3-ubyte and so on, .gz or not)\n"
    "  npy:DIR         x_train.npy, y_train.npy, x_test.npy, y_test.npy;\n"
    "                  x is (N,H,W) or (N,H,W,C) of uint8 or float32, y is (N) of integers\n";

/* The lines of `help`, each in the column of explanations. */
static void print_explanation(const char *help, int column)
{
    for (;;) {
        int length = (int)strcspn(help, "\n");
        printf("%*s%.*s\n", HELP_COLUMN - column, "", length, help);
        if (help[length] == '\0')
            return;
        help += length + 1;
        column = 0;
    }
}

static void print_option(const char *name, const char *argument, const char *help)
{
    int column = argument == NULL ? printf("  --%s", name) : printf("  --%s %s", name, argument);
    if (column + 2 > HELP_COLUMN) {
        putchar('\n');
        column = 0;
    }
    print_explanation(help, column);
}

void mn__usage_print(const mn__usage *usage)
{
    printf("usage: memnet %s %s\n\n%s\noptions:\n", usage->command, usage->synopsis, usage->about);
    for (uint32_t i = 0; i < usage->option_count; i++) {
        const mn__option *option = &usage->options[i];
        print_option(option->name, option->argument, option->help);
    }
    print_option("help", NULL, "this text");
    if (usage->reads_data)
        fputs(data_sets, stdout);
    if (usage->examples != NULL)
        printf("\nexamples:\n%s", usage->examples);
}

int mn__fail(const mn_error *err)
{
    (void)fflush(stdout);
    fprintf(stderr, "memnet: %s\n", err->message);
    return MN__EXIT_FAILED;
}

/* Formats through mn_error_set(), which keeps a message in one line whatever the arguments hold. */
void mn__warn(const char *format, ...)
{
    char message[MN_ERROR_MESSAGE_BYTES];
    mn_error line;
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    mn_error_set(&line, MN_OK, "%s", message);
    fprintf(stderr, "memnet: warning: %s\n", line.message);
}

int mn__usage_error(const char *command, const char *format, ...)
{
    char message[MN_ERROR_MESSAGE_BYTES];
    mn_error line;
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    mn_error_set(&line, MN_ERR_ARG, "%s", message);
    fprintf(stderr, "memnet %s: %s; see 'memnet %s --help'\n", command, line.message, command);
    return MN__EXIT_USAGE;
}

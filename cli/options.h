/*
 * Options of a command: one table says what there is, and both the parser and --help read it.
 */
#ifndef MN_CLI_OPTIONS_H
#define MN_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum mn__option_kind {
    MN__FLAG,    /* bool */
    MN__TEXT,    /* const char *, borrowed from argv */
    MN__CHOICE,  /* int: index into `choices` */
    MN__COUNT,   /* uint32_t in [low, high] */
    MN__INTEGER, /* uint64_t, 0 to 2^63 - 1 */
    MN__REAL,    /* double in [low, high] */
    MN__FLOAT,   /* float in [low, high] */
    MN__SIZE,    /* uint64_t: bytes, from "64K" */
    MN__DURATION /* int64_t: milliseconds, from "20m" */
} mn__option_kind;

typedef struct mn__option {
    const char *name;     /* without the dashes */
    const char *argument; /* as --help shows it; NULL for a flag */
    const char *help;     /* with default and unit; may have several lines */
    mn__option_kind kind;
    size_t into; /* where in the command's request: offsetof() a field of the kind's type */
    double low, high;
    const char *const *choices; /* NULL-ended */
    const char *const
        *planned; /* NULL-ended or NULL: values that are refused as not supported yet */
    bool required;
} mn__option;

/* How a command is called. */
typedef struct mn__usage {
    const char *command;
    const char *synopsis; /* "ARCH.json --data SPEC [options]" */
    const char *about;    /* whole lines */
    const mn__option *options;
    uint32_t option_count;
    const char *operand; /* name of the arguments that are no options; NULL when there are none */
    uint32_t operand_max;
    bool reads_data;      /* --help explains data sets */
    const char *examples; /* whole lines */
} mn__usage;

#define MN__OPTIONS_MAX 32u

/* Of --precision, in the order of mn_precision; and for commands that lack int8 yet, what they have
 * and what they do not have. */
extern const char *const mn__precision_choices[];
extern const char *const mn__precision_float[];
extern const char *const mn__precision_planned[];

/**
 * Parses argv[1..] by the usage's table into `request`, whose fields hold the defaults. Options and
 * operands may come in any order; afterwards the operands stand at argv[*ret_first] to
 * argv[argc - 1], one at least if the command takes any.
 *
 * @return  True when the command shall run. Otherwise it ends with *ret_exit, and what had to be
 *          said (help, or one line of error) was said.
 */
bool mn__options_parse(
    const mn__usage *usage, int argc, char **argv, void *request, int *ret_first, int *ret_exit);

/* What --help prints. */
void mn__usage_print(const mn__usage *usage);

#endif

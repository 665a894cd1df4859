/*
 * The parser of options, on getopt_long. Invariant: a value that does not parse is never used.
 */
#include "cli/options.h"

#include <getopt.h>
#include <stddef.h>
#include <string.h>

#include "base/buffer.h"
#include "base/size.h"
#include "cli/cli.h"

const char *const mn__precision_choices[] = {"float32", "int8", NULL};
const char *const mn__precision_float[] = {"float32", NULL};
const char *const mn__precision_planned[] = {"int8", NULL};

/* getopt's `val` of option i is BASE + i, away from characters. */
enum { BASE = 1000, HELP = BASE - 1 };

/* Index of `text` in a NULL-ended list, or -1; a NULL list is empty. */
static int find_text(const char *const *list, const char *text)
{
    for (int i = 0; list != NULL && list[i] != NULL; i++) {
        if (strcmp(list[i], text) == 0)
            return i;
    }
    return -1;
}

static mn_status
parse_choice(const mn__option *option, const char *text, int *ret_index, mn_error *err)
{
    mn_buffer all;
    int found = find_text(option->choices, text);
    if (found >= 0) {
        *ret_index = found;
        return MN_OK;
    }
    mn_buffer_init(&all);
    for (int i = 0; option->choices[i] != NULL; i++)
        mn_buffer_printf(&all, "%s%s", i == 0 ? "" : " or ", option->choices[i]);
    mn_status status = mn_buffer_check(&all, err);
    if (status == MN_OK && find_text(option->planned, text) >= 0)
        status = mn_error_set(
            err, MN_ERR_UNSUPPORTED, "'%s' is not supported yet, expected %s", text, all.bytes);
    else if (status == MN_OK)
        status = mn_error_set(err, MN_ERR_ARG, "'%s': expected %s", text, all.bytes);
    mn_buffer_done(&all);
    return status;
}

static mn_status
parse_integer(const char *text, int64_t low, int64_t high, uint64_t *ret_value, mn_error *err)
{
    int64_t value = 0;
    mn_status status = mn_integer_parse("number", text, low, high, &value, err);
    if (status == MN_OK)
        *ret_value = (uint64_t)value;
    return status;
}

/* Parses `text` (NULL for a flag) into the option's field. */
static mn_status store(const mn__option *option, const char *text, void *request, mn_error *err)
{
    void *into = (char *)request + option->into;
    mn_status status = MN_OK;
    uint64_t number = 0;
    double real = 0.0;
    size_t bytes = 0;
    switch (option->kind) {
    case MN__FLAG:
        *(bool *)into = true;
        break;
    case MN__TEXT:
        *(const char **)into = text;
        break;
    case MN__CHOICE:
        status = parse_choice(option, text, into, err);
        break;
    case MN__COUNT:
        status = parse_integer(text, (int64_t)option->low, (int64_t)option->high, &number, err);
        if (status == MN_OK)
            *(uint32_t *)into = (uint32_t)number;
        break;
    case MN__INTEGER:
        status = parse_integer(text, 0, INT64_MAX, into, err);
        break;
    case MN__REAL:
        status = mn_number_parse("number", text, option->low, option->high, into, err);
        break;
    case MN__FLOAT:
        status = mn_number_parse("number", text, option->low, option->high, &real, err);
        if (status == MN_OK)
            *(float *)into = (float)real;
        break;
    case MN__SIZE:
        status = mn_size_parse(text, &bytes, err);
        if (status == MN_OK)
            *(uint64_t *)into = bytes;
        break;
    case MN__DURATION:
        status = mn_duration_parse(text, into, err);
        break;
    }
    return status == MN_OK ? MN_OK : mn_error_prefix(err, status, "--%s", option->name);
}

static void fill_table(const mn__usage *usage, struct option table[MN__OPTIONS_MAX + 2])
{
    uint32_t count = 0;
    for (; count < usage->option_count && count < MN__OPTIONS_MAX; count++) {
        const mn__option *option = &usage->options[count];
        table[count] = (struct option){
            .name = option->name,
            .has_arg = option->kind == MN__FLAG ? no_argument : required_argument,
            .val = BASE + (int)count,
        };
    }
    table[count++] = (struct option){.name = "help", .has_arg = no_argument, .val = HELP};
    table[count] = (struct option){0};
}

/* getopt found something that is wrong: code '?' or ':'. */
static int refuse(const mn__usage *usage, char **argv, int code)
{
    const char *command = usage->command;
    const char *argument = argv[optind - 1];
    if (optopt >= BASE && code == ':') {
        const mn__option *option = &usage->options[optopt - BASE];
        return mn__usage_error(
            command, "option --%s needs an argument, %s", option->name, option->argument);
    }
    if (optopt >= HELP)
        return mn__usage_error(command, "option takes no argument: %s", argument);
    if (optopt != 0)
        return mn__usage_error(command, "unknown option -%c", optopt);
    return mn__usage_error(command, "unknown option %s", argument);
}

static int check_operands(const mn__usage *usage, int argc, char **argv, int first)
{
    if (usage->operand != NULL && first == argc)
        return mn__usage_error(usage->command, "missing argument: %s", usage->operand);
    if ((uint32_t)(argc - first) > usage->operand_max)
        return mn__usage_error(
            usage->command, "unexpected argument '%s'", argv[first + (int)usage->operand_max]);
    return MN__EXIT_OK;
}

static int check_required(const mn__usage *usage, const bool *given)
{
    for (uint32_t i = 0; i < usage->option_count; i++) {
        const mn__option *option = &usage->options[i];
        if (option->required && !given[i])
            return mn__usage_error(
                usage->command, "missing option: --%s %s", option->name, option->argument);
    }
    return MN__EXIT_OK;
}

bool mn__options_parse(
    const mn__usage *usage, int argc, char **argv, void *request, int *ret_first, int *ret_exit)
{
    struct option table[MN__OPTIONS_MAX + 2];
    bool given[MN__OPTIONS_MAX] = {false};
    mn_error err;
    int code;
    fill_table(usage, table);
    opterr = 0;
    optind = 0; /* glibc: start anew */
    while ((code = getopt_long(argc, argv, ":h", table, NULL)) != -1) {
        if (code == HELP || code == 'h') {
            mn__usage_print(usage);
            *ret_exit = MN__EXIT_OK;
            return false;
        }
        if (code < BASE) {
            *ret_exit = refuse(usage, argv, code);
            return false;
        }
        uint32_t i = (uint32_t)(code - BASE);
        given[i] = true;
        mn_status status = store(&usage->options[i], optarg, request, &err);
        if (status != MN_OK) {
            *ret_exit = status == MN_ERR_ARG ? mn__usage_error(usage->command, "%s", err.message)
                                             : mn__fail(&err);
            return false;
        }
    }
    *ret_first = optind;
    *ret_exit = check_operands(usage, argc, argv, optind);
    if (*ret_exit == MN__EXIT_OK)
        *ret_exit = check_required(usage, given);
    return *ret_exit == MN__EXIT_OK;
}

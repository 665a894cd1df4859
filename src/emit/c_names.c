/*
 * Renaming of generated and embedded texts. They are written with the default names; this is the
 * one place that knows which words of them are names.
 */
#include "emit/c_names.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_of_word(char c)
{
    return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The folder is on the include path: these would be found in place of the library's. */
static const char *const headers[] = {
    "assert",  "complex", "ctype",  "errno",  "fenv",   "float",  "inttypes",    "iso646",
    "limits",  "locale",  "math",   "setjmp", "signal", "stdarg", "stdalign",    "stdatomic",
    "stdbool", "stddef",  "stdint", "stdio",  "stdlib", "string", "stdnoreturn", "tgmath",
    "threads", "time",    "uchar",  "wchar",  "wctype",
};

mn_status mn__c_name_check(const char *name, mn_error *err)
{
    if (name == NULL)
        return MN_OK;
    size_t length = strlen(name);
    bool good = length >= 1 && length <= MN__C_NAME_MAX && is_lower(name[0]);
    for (size_t i = 0; i < length && good; i++)
        good = is_lower(name[i]) || is_digit(name[i]) || name[i] == '_';
    if (!good)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "name '%s': expected a letter from a to z, then letters, digits and "
                            "'_', at most %d",
                            name,
                            MN__C_NAME_MAX);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        if (strcmp(name, headers[i]) == 0)
            return mn_error_set(
                err, MN_ERR_ARG, "name '%s': %s.h is a header of the C library", name, name);
    if (strcmp(name, "main") == 0 || strcmp(name, "mn") == 0 || strncmp(name, "mn_", 3) == 0)
        return mn_error_set(
            err, MN_ERR_ARG, "name '%s': the example's or one like those of the kernels", name);
    return MN_OK;
}

/* Where the reader of a text is. */
typedef enum place { IN_CODE, IN_COMMENT, IN_STRING } place;

/* What the text at a word's start becomes; returns how much of it that replaces, 0 for nothing. */
static size_t replace(const char *name, const char *text, size_t count, mn_buffer *out)
{
    static const struct {
        const char *old, *rest;
        bool capitals;
    } words[] = {
        {"memnet_", "_", false},
        {"MODEL_", "_", true},
        {"model_labels", "_labels", false},
        {"model.", ".", false},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i].old);
        if (count < length || memcmp(text, words[i].old, length) != 0)
            continue;
        for (const char *c = name; *c != '\0'; c++)
            mn_buffer_printf(out, "%c", words[i].capitals && is_lower(*c) ? *c - 'a' + 'A' : *c);
        mn_buffer_printf(out, "%s", words[i].rest);
        return length;
    }
    return 0;
}

/* Follows comments and strings; *include: the line is one of #include. */
static place next_place(place now, const char *text, size_t at, size_t count, bool include)
{
    char c = text[at];
    char next = '\0';
    char before = '\0';
    if (at + 1 < count)
        next = text[at + 1];
    if (at > 0)
        before = text[at - 1];
    switch (now) {
    case IN_CODE:
        if (c == '/' && next == '*')
            return IN_COMMENT;
        return c == '"' && !include ? IN_STRING : IN_CODE;
    case IN_COMMENT:
        return c == '/' && before == '*' ? IN_CODE : IN_COMMENT;
    case IN_STRING:
        /* Strings of ours have no backslash before a backslash: they are octal escapes. */
        return c == '"' && before != '\\' ? IN_CODE : IN_STRING;
    }
    return now;
}

void mn__c_rename(const char *name, const char *text, size_t count, mn_buffer *out)
{
    static const char include_line[] = "#include";
    place now = IN_CODE;
    bool include = false;
    if (name == NULL) {
        mn_buffer_append(out, text, count);
        return;
    }
    for (size_t at = 0; at < count;) {
        if (at == 0 || text[at - 1] == '\n')
            include = count - at >= sizeof include_line - 1 &&
                      memcmp(text + at, include_line, sizeof include_line - 1) == 0;
        size_t taken = 0;
        if (now != IN_STRING && (at == 0 || !is_of_word(text[at - 1])))
            taken = replace(name, text + at, count - at, out);
        if (taken == 0) {
            mn_buffer_append(out, text + at, 1);
            now = next_place(now, text, at, count, include);
            taken = 1;
        }
        at += taken;
    }
}

void mn__c_file_name(const char *name, const char *file, char ret_name[MN__C_FILE_BYTES])
{
    static const char old[] = "model";
    bool named = name != NULL && strncmp(file, old, sizeof old - 1) == 0;
    snprintf(ret_name,
             MN__C_FILE_BYTES,
             "%s%s",
             named ? name : "",
             named ? file + sizeof old - 1 : file);
}

/*
 * Numbers and names as people read them, and JSON as programs do.
 */
#ifndef MN_CLI_TEXT_H
#define MN_CLI_TEXT_H

#include <stdint.h>

#include "base/json.h"

/* A short text by value: printf("%s", mn__bytes_text(n).text). */
typedef struct mn__text {
    char text[64];
} mn__text;

mn__text mn__count_text(uint64_t count);       /* "118,344" */
mn__text mn__bytes_text(uint64_t bytes);       /* "118,344 bytes (115.6 KiB)" */
mn__text mn__short_bytes_text(uint64_t bytes); /* "115.6K" */
mn__text mn__percent_text(double percent);     /* "91.23 %"; "unknown" for NaN */
mn__text mn__duration_text(int64_t ms);        /* "1 h 02 min", "12 min 03 s", "9 s" */

/* `word` so that a shell reads it as one word, in fresh memory; NULL when out of memory. */
char *mn__shell_word(const char *word);

/* A JSON string; bytes that are not UTF-8 (a path may hold them) become '?'. */
json_t *mn__json_text(const char *text);

/* A JSON number, null for NaN. */
json_t *mn__json_number(double number);

/* Prints `value`, which this function takes, to stdout and returns the exit code. NULL means that
 * there was no memory to build it. */
int mn__print_json(json_t *value);

#endif

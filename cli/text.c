/*
 * Formatting. Pure functions but for mn__print_json().
 */
#include "cli/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "cli/cli.h"

/* Digits that a float needs; accuracies of binary fractions print as 91.23. */
#define JSON_DIGITS 9

static const double kib = 1024.0;

mn__text mn__count_text(uint64_t count)
{
    char digits[24];
    mn__text out;
    size_t length = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, count);
    size_t at = 0;
    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            out.text[at++] = ',';
        out.text[at++] = digits[i];
    }
    out.text[at] = '\0';
    return out;
}

mn__text mn__bytes_text(uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    mn__text out;
    mn__text count = mn__count_text(bytes);
    if (bytes < 1024) {
        snprintf(out.text, sizeof out.text, "%.26s bytes", count.text);
        return out;
    }
    double amount = (double)bytes / kib;
    size_t unit = 0;
    for (; amount >= kib && unit + 1 < sizeof units / sizeof units[0]; unit++)
        amount /= kib;
    snprintf(out.text, sizeof out.text, "%.26s bytes (%.1f %s)", count.text, amount, units[unit]);
    return out;
}

mn__text mn__short_bytes_text(uint64_t bytes)
{
    mn__text out;
    double amount = (double)bytes / kib;
    if (amount < 10000.0)
        snprintf(out.text, sizeof out.text, "%.1fK", amount);
    else
        snprintf(out.text, sizeof out.text, "%.1fM", amount / kib);
    return out;
}

mn__text mn__percent_text(double percent)
{
    mn__text out;
    if (isnan(percent))
        snprintf(out.text, sizeof out.text, "unknown");
    else
        snprintf(out.text, sizeof out.text, "%.2f %%", percent);
    return out;
}

mn__text mn__duration_text(int64_t ms)
{
    mn__text out;
    int64_t seconds = ms < 0 ? 0 : ms / 1000;
    if (seconds >= 3600)
        snprintf(out.text,
                 sizeof out.text,
                 "%" PRId64 " h %02" PRId64 " min",
                 seconds / 3600,
                 seconds / 60 % 60);
    else if (seconds >= 60)
        snprintf(out.text,
                 sizeof out.text,
                 "%" PRId64 " min %02" PRId64 " s",
                 seconds / 60,
                 seconds % 60);
    else
        snprintf(out.text, sizeof out.text, "%" PRId64 " s", seconds);
    return out;
}

char *mn__shell_word(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./:@%+=,-";
    size_t length = strlen(word);
    if (length > 0 && strspn(word, plain) == length)
        return strdup(word);
    char *out = mn_calloc(length, 4); /* a quote becomes '\'' */
    char *quoted = out == NULL ? NULL : realloc(out, 4 * length + 3);
    if (quoted == NULL) {
        free(out);
        return NULL;
    }
    char *at = quoted;
    *at++ = '\'';
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            at = stpcpy(at, "'\\''");
        else
            *at++ = *word;
    }
    at[0] = '\'';
    at[1] = '\0';
    return quoted;
}

json_t *mn__json_text(const char *text)
{
    json_t *value = json_string(text);
    if (value != NULL)
        return value;
    char *ascii = strdup(text);
    for (char *at = ascii; at != NULL && *at != '\0'; at++) {
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    }
    value = ascii == NULL ? NULL : json_string(ascii);
    free(ascii);
    return value;
}

json_t *mn__json_number(double number)
{
    return isfinite(number) ? json_real(number) : json_null();
}

int mn__print_json(json_t *value)
{
    char *text =
        value == NULL ? NULL : json_dumps(value, JSON_INDENT(2) | JSON_REAL_PRECISION(JSON_DIGITS));
    json_decref(value);
    if (text == NULL) {
        mn_error err;
        mn_error_set(&err, MN_ERR_NOMEM, "JSON: out of memory");
        return mn__fail(&err);
    }
    puts(text);
    free(text);
    return MN__EXIT_OK;
}

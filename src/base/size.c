/*
 * Checked sizes; parsing of sizes, durations and numbers. Pure functions.
 * Invariant: no text that a user types can wrap a size or become a silent zero.
 */
#include "base/size.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool mn_size_mul(size_t a, size_t b, size_t *ret)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *ret = product;
    return true;
}

bool mn_size_add(size_t a, size_t b, size_t *ret)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *ret = sum;
    return true;
}

bool mn_size_round_up(size_t value, size_t align, size_t *ret)
{
    size_t rest = value % align;
    return mn_size_add(value, rest == 0 ? 0 : align - rest, ret);
}

void *mn_calloc(size_t count, size_t size)
{
    if (count == 0 || size == 0)
        return calloc(1, 1);
    return calloc(count, size);
}

/* Reads a leading decimal number; false when there is none or it overflows. */
static bool leading_digits(const char *text, uint64_t *ret_value, const char **ret_rest)
{
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return false;
    char *rest = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &rest, 10);
    if (errno != 0)
        return false;
    *ret_value = value;
    *ret_rest = rest;
    return true;
}

mn_status mn_size_parse(const char *text, size_t *ret_bytes, mn_error *err)
{
    uint64_t value = 0;
    const char *rest = NULL;
    size_t unit = 1;
    size_t bytes = 0;
    if (!leading_digits(text, &value, &rest))
        goto bad;
    if (rest[0] == 'K' || rest[0] == 'k')
        unit = (size_t)1 << 10;
    else if (rest[0] == 'M' || rest[0] == 'm')
        unit = (size_t)1 << 20;
    else if (rest[0] == 'G' || rest[0] == 'g')
        unit = (size_t)1 << 30;
    if (unit != 1)
        rest++;
    if (*rest != '\0' || value == 0 || !mn_size_mul((size_t)value, unit, &bytes))
        goto bad;
    *ret_bytes = bytes;
    return MN_OK;
bad:
    return mn_error_set(err,
                        MN_ERR_ARG,
                        "size '%s': expected a positive number with K, M or G, such as 64K",
                        text == NULL ? "" : text);
}

mn_status mn_duration_parse(const char *text, int64_t *ret_ms, mn_error *err)
{
    const uint64_t longest_s = UINT64_C(36000000);
    uint64_t value = 0;
    const char *rest = NULL;
    uint64_t unit_s = 1;
    if (!leading_digits(text, &value, &rest))
        goto bad;
    if (strcmp(rest, "m") == 0)
        unit_s = 60;
    else if (strcmp(rest, "h") == 0)
        unit_s = 3600;
    else if (*rest != '\0' && strcmp(rest, "s") != 0)
        goto bad;
    if (value == 0 || value > longest_s / unit_s)
        goto bad;
    *ret_ms = (int64_t)(value * unit_s * 1000);
    return MN_OK;
bad:
    return mn_error_set(err,
                        MN_ERR_ARG,
                        "duration '%s': expected 1s to 10000h, such as 90s, 20m or 1h",
                        text == NULL ? "" : text);
}

mn_status mn_integer_parse(const char *what,
                           const char *text,
                           int64_t low,
                           int64_t high,
                           int64_t *ret_value,
                           mn_error *err)
{
    char *rest = NULL;
    errno = 0;
    long long value = text == NULL ? 0 : strtoll(text, &rest, 10);
    if (text == NULL || rest == text || *rest != '\0' || errno != 0 || value < low || value > high)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "%s '%s': expected an integer in [%lld, %lld]",
                            what,
                            text == NULL ? "" : text,
                            (long long)low,
                            (long long)high);
    *ret_value = value;
    return MN_OK;
}

mn_status mn_number_parse(
    const char *what, const char *text, double low, double high, double *ret_value, mn_error *err)
{
    char *rest = NULL;
    errno = 0;
    double value = text == NULL ? 0.0 : strtod(text, &rest);
    if (text == NULL || rest == text || *rest != '\0' || !isfinite(value) || value < low ||
        value > high)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "%s '%s': expected a number in [%g, %g]",
                            what,
                            text == NULL ? "" : text,
                            low,
                            high);
    *ret_value = value;
    return MN_OK;
}

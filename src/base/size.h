/*
 * Checked arithmetic on sizes, and parsing of the sizes and durations that a user types.
 * Every product of sizes in the library goes through here.
 */
#ifndef MN_BASE_SIZE_H
#define MN_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memnet/status.h"

#define MN_NONE UINT32_MAX

/* Both return false and leave *ret alone when the result does not fit. */
bool mn_size_mul(size_t a, size_t b, size_t *ret);
bool mn_size_add(size_t a, size_t b, size_t *ret);

/* Rounds up to a multiple of `align` (> 0); false on overflow. */
bool mn_size_round_up(size_t value, size_t align, size_t *ret);

static inline size_t mn_size_larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static inline size_t mn_size_smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* calloc with a checked product, aligned for any type; NULL on overflow or exhaustion. Frees with
 * free(). A count of zero yields a valid one-byte block, so that NULL always means failure. */
void *mn_calloc(size_t count, size_t size);

/* "65536", "64K", "2M", "1G" (1024-based, K M G in either case) into bytes; at least 1.
 * MN_ERR_ARG with the text otherwise. */
mn_status mn_size_parse(const char *text, size_t *ret_bytes, mn_error *err);

/* "90", "90s", "20m", "1h" into milliseconds; at least 1 s, at most 10,000 h. */
mn_status mn_duration_parse(const char *text, int64_t *ret_ms, mn_error *err);

/* A decimal integer that uses the whole text and lies in [low, high]. `what` names it in errors. */
mn_status mn_integer_parse(const char *what,
                           const char *text,
                           int64_t low,
                           int64_t high,
                           int64_t *ret_value,
                           mn_error *err);

/* A finite decimal number that uses the whole text and lies in [low, high]. */
mn_status mn_number_parse(
    const char *what, const char *text, double low, double high, double *ret_value, mn_error *err);

#endif

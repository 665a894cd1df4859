/* Lets the n-th allocation fail and counts what is allocated, for tests that are linked with the
 * --wrap options of `wrapped_tests` in tests/meson.build. Allocations of shared libraries are not
 * wrapped; those of jansson are counted through alloc_failure_setup(), but never fail: its lexer
 * (2.14) overlooks a failed append and then trips over its own assertion. Include in one file only.
 */
#ifndef MN_TESTS_ALLOC_FAILURE_H
#define MN_TESTS_ALLOC_FAILURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *block, size_t bytes);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *block, size_t bytes);
char *__wrap_strdup(const char *text);

static struct {
    size_t until_failure; /* 0 = never; 1 = the next allocation fails */
    size_t bytes;         /* asked for since the last reset, frees not deducted */
    bool failed;
} alloc_state;

static bool alloc_fails(size_t bytes)
{
    alloc_state.bytes += bytes;
    if (alloc_state.until_failure == 0 || --alloc_state.until_failure > 0)
        return false;
    alloc_state.failed = true;
    return true;
}

void *__wrap_malloc(size_t bytes)
{
    return alloc_fails(bytes) ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return alloc_fails(count * bytes) ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *block, size_t bytes)
{
    return alloc_fails(bytes) ? NULL : __real_realloc(block, bytes);
}

char *__wrap_strdup(const char *text)
{
    return alloc_fails(strlen(text) + 1) ? NULL : __real_strdup(text);
}

static void *counted_malloc(size_t bytes)
{
    alloc_state.bytes += bytes;
    return __real_malloc(bytes);
}

/* A group setup: brings jansson in. */
static int alloc_failure_setup(void **state)
{
    (void)state;
    json_set_alloc_funcs(counted_malloc, free);
    return 0;
}

/* From here on, allocation number `n` (from 1) fails; 0 = none does. Counting starts anew. */
static void alloc_fail_at(size_t n)
{
    alloc_state.until_failure = n;
    alloc_state.bytes = 0;
    alloc_state.failed = false;
}

/* Ends the failures; true when one has happened. */
static bool alloc_has_failed(void)
{
    bool failed = alloc_state.failed;
    alloc_state.until_failure = 0;
    alloc_state.failed = false;
    return failed;
}

#endif

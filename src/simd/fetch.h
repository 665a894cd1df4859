/*
 * Asking for memory before it is needed. Feature maps of a batch do not fit a cache: a kernel that
 * first copies a part of them and then computes leaves memory idle half of the time. Here it asks
 * for a few lines of the next part between two tiles; more at once would fill the processor's
 * buffers and wait.
 */
#ifndef MN_SIMD_FETCH_H
#define MN_SIMD_FETCH_H

#include "simd/simd.h"
#include "simd/vec.h"

typedef struct fetch {
    const mn__ahead *ahead;
    uint32_t span;
    size_t line, at_once;
} fetch;

/* For a kernel that calls fetch_some() `times` times. ahead NULL: they do nothing. */
MN_INLINE fetch fetch_begin(const mn__ahead *ahead, size_t times)
{
    size_t lines = 0;
    for (uint32_t i = 0; ahead != NULL && i < ahead->count; i++)
        lines += ahead->spans[i].lines;
    return (fetch){.ahead = lines == 0 ? NULL : ahead, .at_once = lines / (times + 1) + 1};
}

/* Into the second cache: the first one holds what the kernel works on. */
MN_INLINE void fetch_some(fetch *f)
{
    if (f->ahead == NULL)
        return;
    const char *at = f->ahead->spans[f->span].at;
    size_t lines = f->ahead->spans[f->span].lines;
    size_t end = f->line + f->at_once < lines ? f->line + f->at_once : lines;
    for (; f->line < end; f->line++)
        __builtin_prefetch(at + f->line * mn__line_bytes, 0, 2);
    if (f->line < lines)
        return;
    f->line = 0;
    if (++f->span == f->ahead->count)
        f->ahead = NULL;
}

/* What is about to be written: the processor reads a line before it changes it. */
MN_INLINE void expect_write(const element *out)
{
    __builtin_prefetch(out, 1, 2);
}

#endif

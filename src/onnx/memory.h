/*
 * All memory of one import: a list of blocks that live until the import ends, counted against a
 * cap that the file's size sets. Who writes a small file cannot make the importer take much.
 *
 * The graph itself is built by graph/builder.c, which allocates for itself; its share is charged
 * here beforehand (onnx/emit.c), so that the cap covers it as well.
 */
#ifndef MN_ONNX_MEMORY_H
#define MN_ONNX_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "memnet/status.h"

typedef struct mn__onnx_block mn__onnx_block;

typedef struct mn__onnx_memory {
    mn__onnx_block *blocks;
    size_t file_bytes;
    size_t used_bytes;  /* blocks with their heads, and what was charged */
    size_t limit_bytes; /* 20 times the file and 1 MiB */
    bool failed;        /* a request failed */
    bool over_limit;    /* the cap was why, not the system */
} mn__onnx_memory;

/* `held_bytes`: what the caller already holds for this import, the file's own bytes. */
void mn__onnx_memory_init(mn__onnx_memory *memory, size_t file_bytes, size_t held_bytes);

/* Frees every block. */
void mn__onnx_memory_done(mn__onnx_memory *memory);

/* Not zeroed; NULL when the cap or the system says no. */
void *mn__onnx_take(mn__onnx_memory *memory, size_t bytes);

/* Zeroed, with a checked product; a count of zero yields a valid block. */
void *mn__onnx_calloc(mn__onnx_memory *memory, size_t count, size_t size);

/* Counts bytes that are allocated elsewhere; false when the cap says no. */
bool mn__onnx_charge(mn__onnx_memory *memory, size_t bytes);
void mn__onnx_discharge(mn__onnx_memory *memory, size_t bytes);

/* The line for a request that failed: MN_ERR_LIMIT or MN_ERR_NOMEM. */
mn_status mn__onnx_memory_error(const mn__onnx_memory *memory, mn_error *err);

#endif

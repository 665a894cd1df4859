/*
 * The capped memory of one import. Blocks are separate allocations, not slices of a large one, so
 * that a sanitizer sees the end of each.
 */
#include "onnx/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

static const size_t file_factor = 20;
static const size_t base_bytes = (size_t)1 << 20;

/* As long as the strictest alignment, so that what follows it is aligned for any type. */
struct mn__onnx_block {
    _Alignas(max_align_t) mn__onnx_block *next;
};

void mn__onnx_memory_init(mn__onnx_memory *memory, size_t file_bytes, size_t held_bytes)
{
    *memory = (mn__onnx_memory){.file_bytes = file_bytes, .used_bytes = held_bytes};
    if (!mn_size_mul(file_bytes, file_factor, &memory->limit_bytes) ||
        !mn_size_add(memory->limit_bytes, base_bytes, &memory->limit_bytes))
        memory->limit_bytes = SIZE_MAX;
}

void mn__onnx_memory_done(mn__onnx_memory *memory)
{
    for (mn__onnx_block *block = memory->blocks; block != NULL;) {
        mn__onnx_block *next = block->next;
        free(block);
        block = next;
    }
    memory->blocks = NULL;
}

/* Notes why a request failed; always NULL. */
static void *refuse(mn__onnx_memory *memory, bool over_limit)
{
    memory->failed = true;
    memory->over_limit = over_limit;
    return NULL;
}

bool mn__onnx_charge(mn__onnx_memory *memory, size_t bytes)
{
    if (memory->used_bytes > memory->limit_bytes ||
        bytes > memory->limit_bytes - memory->used_bytes) {
        (void)refuse(memory, true);
        return false;
    }
    memory->used_bytes += bytes;
    return true;
}

void mn__onnx_discharge(mn__onnx_memory *memory, size_t bytes)
{
    memory->used_bytes -= bytes;
}

void *mn__onnx_take(mn__onnx_memory *memory, size_t bytes)
{
    size_t whole;
    if (!mn_size_add(bytes, sizeof(mn__onnx_block), &whole))
        return refuse(memory, true);
    if (!mn__onnx_charge(memory, whole))
        return NULL;
    mn__onnx_block *block = malloc(whole);
    if (block == NULL) {
        mn__onnx_discharge(memory, whole);
        return refuse(memory, false);
    }
    block->next = memory->blocks;
    memory->blocks = block;
    return block + 1;
}

void *mn__onnx_calloc(mn__onnx_memory *memory, size_t count, size_t size)
{
    size_t bytes;
    if (!mn_size_mul(count, size, &bytes))
        return refuse(memory, true);
    void *block = mn__onnx_take(memory, bytes);
    if (block != NULL)
        memset(block, 0, bytes);
    return block;
}

mn_status mn__onnx_memory_error(const mn__onnx_memory *memory, mn_error *err)
{
    if (memory->over_limit)
        return mn_error_set(err,
                            MN_ERR_LIMIT,
                            "a file of %zu bytes asks for more than %zu bytes of memory",
                            memory->file_bytes,
                            memory->limit_bytes);
    return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
}

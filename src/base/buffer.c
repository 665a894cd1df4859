/*
 * Growing text buffer with sticky failure. Doubles its room, so appends are linear overall.
 */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

void mn_buffer_init(mn_buffer *buffer)
{
    *buffer = (mn_buffer){0};
}

void mn_buffer_done(mn_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (mn_buffer){0};
}

/* Makes room for `more` bytes and a NUL. */
static bool reserve(mn_buffer *buffer, size_t more)
{
    size_t needed;
    if (buffer->failed)
        return false;
    if (!mn_size_add(buffer->count, more, &needed) || !mn_size_add(needed, 1, &needed)) {
        buffer->failed = true;
        return false;
    }
    if (buffer->bytes != NULL && needed <= buffer->capacity)
        return true;
    size_t capacity = buffer->capacity < 256 ? 256 : buffer->capacity;
    while (capacity < needed) {
        if (!mn_size_mul(capacity, 2, &capacity))
            capacity = needed;
    }
    char *grown = realloc(buffer->bytes, capacity);
    if (grown == NULL) {
        buffer->failed = true;
        return false;
    }
    buffer->bytes = grown;
    buffer->capacity = capacity;
    return true;
}

void mn_buffer_append(mn_buffer *buffer, const void *bytes, size_t count)
{
    if (!reserve(buffer, count))
        return;
    if (count > 0)
        memcpy(buffer->bytes + buffer->count, bytes, count);
    buffer->count += count;
    buffer->bytes[buffer->count] = '\0';
}

void mn_buffer_printf(mn_buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0)
        buffer->failed = true;
    else if (reserve(buffer, (size_t)length)) {
        vsnprintf(buffer->bytes + buffer->count, (size_t)length + 1, format, again);
        buffer->count += (size_t)length;
    }
    va_end(again);
}

mn_status mn_buffer_check(const mn_buffer *buffer, mn_error *err)
{
    if (buffer->failed)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory building %zu bytes", buffer->count);
    return MN_OK;
}

mn_status mn_buffer_take(mn_buffer *buffer, char **ret_text, mn_error *err)
{
    if (buffer->bytes == NULL)
        mn_buffer_append(buffer, "", 0);
    mn_status status = mn_buffer_check(buffer, err);
    if (status != MN_OK)
        return status;
    *ret_text = buffer->bytes;
    *buffer = (mn_buffer){0};
    return MN_OK;
}

/*
 * A growing byte buffer for text that is built piece by piece (JSON, C code, messages).
 * Errors stick: after a failed append the buffer stays valid and mn_buffer_take() reports it, so
 * that a writer needs one check at its end.
 */
#ifndef MN_BASE_BUFFER_H
#define MN_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#include "memnet/status.h"

typedef struct mn_buffer {
    char *bytes; /* NUL-terminated when not NULL */
    size_t count;
    size_t capacity;
    bool failed;
} mn_buffer;

void mn_buffer_init(mn_buffer *buffer);
void mn_buffer_done(mn_buffer *buffer);
void mn_buffer_append(mn_buffer *buffer, const void *bytes, size_t count);
void mn_buffer_printf(mn_buffer *buffer, const char *format, ...) MN_PRINTF(2, 3);

/* MN_OK when every append so far succeeded, else MN_ERR_NOMEM. */
mn_status mn_buffer_check(const mn_buffer *buffer, mn_error *err);

/* Gives the text (never NULL on MN_OK) to the caller, who frees it; the buffer is empty again. */
mn_status mn_buffer_take(mn_buffer *buffer, char **ret_text, mn_error *err);

#endif

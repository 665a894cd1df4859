/*
 * Writing of protobuf messages: fields are appended to buffers, whose errors stick (base/buffer.h),
 * so that a writer of many fields checks once at its end. The importer's tests read what is written
 * here with protobuf-c.
 */
#ifndef MN_ONNX_MESSAGE_H
#define MN_ONNX_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

void mn__put_int(mn_buffer *out, uint32_t field, int64_t value);
void mn__put_bytes(mn_buffer *out, uint32_t field, const void *bytes, size_t count);
void mn__put_text(mn_buffer *out, uint32_t field, const char *text);

/* Appends `message` as a field and empties it. A failure of `message` becomes one of `out`. */
void mn__put_message(mn_buffer *out, uint32_t field, mn_buffer *message);

/* Appends the fields of `more` to those of `out` and empties `more`; failures as above. */
void mn__put_fields(mn_buffer *out, mn_buffer *more);

#endif

/*
 * Protobuf's wire format, the writing side: a key (field << 3 | kind), then the value.
 */
#include "onnx/message.h"

#include <string.h>

enum { KIND_VARINT = 0, KIND_BYTES = 2 };

/* Seven bits a byte, low ones first. */
static void put_varint(mn_buffer *out, uint64_t value)
{
    unsigned char bytes[10];
    size_t count = 0;
    do {
        unsigned char more = value > 0x7f ? 0x80 : 0;
        bytes[count++] = (unsigned char)((value & 0x7f) | more);
        value >>= 7;
    } while (value > 0);
    mn_buffer_append(out, bytes, count);
}

void mn__put_int(mn_buffer *out, uint32_t field, int64_t value)
{
    put_varint(out, (uint64_t)field << 3 | KIND_VARINT);
    put_varint(out, (uint64_t)value); /* a negative number as its 64 bits */
}

void mn__put_bytes(mn_buffer *out, uint32_t field, const void *bytes, size_t count)
{
    put_varint(out, (uint64_t)field << 3 | KIND_BYTES);
    put_varint(out, count);
    mn_buffer_append(out, bytes, count);
}

void mn__put_text(mn_buffer *out, uint32_t field, const char *text)
{
    mn__put_bytes(out, field, text, strlen(text));
}

void mn__put_message(mn_buffer *out, uint32_t field, mn_buffer *message)
{
    out->failed = out->failed || message->failed;
    mn__put_bytes(out, field, message->bytes, message->count);
    mn_buffer_done(message);
}

void mn__put_fields(mn_buffer *out, mn_buffer *more)
{
    out->failed = out->failed || more->failed;
    mn_buffer_append(out, more->bytes, more->count);
    mn_buffer_done(more);
}

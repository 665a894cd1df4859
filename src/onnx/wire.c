/*
 * Unpacks a model by protobuf-c, after a walk over the bytes that the unpacking could not do
 * without: protobuf-c calls itself for every level of nesting, without a limit, and says nothing
 * about where a malformed file is wrong.
 *
 * The walk knows the message types from protobuf-c's own descriptors, keeps its levels in an array
 * and checks that every field lies inside its message. It refuses a message field that comes twice
 * where one is allowed: protobuf would merge the two, and no writer does that.
 */
#include "onnx/wire.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

/* A subgraph in a subgraph takes three levels; 21 of them are more than any converter writes. */
#define MAX_DEPTH 64

typedef struct level {
    const ProtobufCMessageDescriptor *message;
    size_t end;    /* first byte behind it */
    uint64_t seen; /* bit f: field number f of the descriptor was there */
} level;

typedef struct walk {
    const uint8_t *bytes;
    size_t at;
    uint32_t depth;
    level levels[MAX_DEPTH];
} walk;

static level *top(walk *w)
{
    return &w->levels[w->depth - 1];
}

/* Up to ten bytes of seven bits each; false when the message ends inside, or they are more. */
static bool read_varint(walk *w, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (w->at == top(w)->end)
            return false;
        uint8_t byte = w->bytes[w->at++];
        value |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
        if ((byte & 0x80) == 0) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static mn_status fail(const walk *w, size_t start, const char *what, mn_error *err)
{
    return mn_error_set(err,
                        MN_ERR_FORMAT,
                        "byte %zu: %s in a %s: not an ONNX model, or a damaged one",
                        start,
                        what,
                        w->levels[w->depth - 1].message->short_name);
}

/* Steps into a message field. */
static mn_status
enter(walk *w, size_t start, size_t length, const ProtobufCFieldDescriptor *field, mn_error *err)
{
    uint64_t bit = UINT64_C(1) << (unsigned)(field - top(w)->message->fields);
    if (field->label != PROTOBUF_C_LABEL_REPEATED && (top(w)->seen & bit) != 0)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "byte %zu: field %s of a %s comes twice, expected once",
                            start,
                            field->name,
                            top(w)->message->short_name);
    top(w)->seen |= bit;
    if (w->depth == MAX_DEPTH)
        return mn_error_set(
            err, MN_ERR_LIMIT, "byte %zu: messages nested deeper than %d levels", start, MAX_DEPTH);
    w->levels[w->depth++] = (level){.message = field->descriptor, .end = w->at + length};
    return MN_OK;
}

static mn_status
length_field(walk *w, size_t start, const ProtobufCFieldDescriptor *field, mn_error *err)
{
    uint64_t length = 0;
    if (!read_varint(w, &length))
        return fail(w, start, "a cut or overlong number", err);
    size_t left = top(w)->end - w->at;
    if (length > left)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "byte %zu: field %s of a %s has %" PRIu64
                            " bytes, but %zu are left: not an ONNX model, or a cut one",
                            start,
                            field == NULL ? "of no name" : field->name,
                            top(w)->message->short_name,
                            length,
                            left);
    if (field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE)
        return enter(w, start, (size_t)length, field, err);
    w->at += (size_t)length;
    return MN_OK;
}

static mn_status fixed_field(walk *w, size_t start, size_t length, mn_error *err)
{
    if (top(w)->end - w->at < length)
        return fail(w, start, "a cut number", err);
    w->at += length;
    return MN_OK;
}

static mn_status one_field(walk *w, mn_error *err)
{
    size_t start = w->at;
    uint64_t key = 0;
    uint64_t ignored = 0;
    if (!read_varint(w, &key))
        return fail(w, start, "a cut or overlong field key", err);
    if (key >> 3 == 0 || key > UINT32_MAX)
        return fail(w, start, "a field number out of range", err);
    switch (key & 7) {
    case 0:
        return read_varint(w, &ignored) ? MN_OK : fail(w, start, "a cut or overlong number", err);
    case 1:
        return fixed_field(w, start, 8, err);
    case 2:
        return length_field(
            w,
            start,
            protobuf_c_message_descriptor_get_field(top(w)->message, (unsigned)(key >> 3)),
            err);
    case 5:
        return fixed_field(w, start, 4, err);
    default:
        return fail(w, start, "a field of no known kind", err);
    }
}

static mn_status check_wire(const void *bytes, size_t count, mn_error *err)
{
    walk w = {.bytes = bytes, .depth = 1};
    w.levels[0] = (level){.message = &onnx__model_proto__descriptor, .end = count};
    mn_status status = MN_OK;
    while (status == MN_OK && w.depth > 0) {
        if (w.at == top(&w)->end)
            w.depth--;
        else
            status = one_field(&w, err);
    }
    return status;
}

static void *take(void *memory, size_t bytes)
{
    return mn__onnx_take(memory, bytes);
}

/* Blocks live until the import ends. */
static void keep(void *memory, void *block)
{
    (void)memory;
    (void)block;
}

mn_status mn__onnx_unpack(mn__onnx_memory *memory,
                          const void *bytes,
                          size_t count,
                          Onnx__ModelProto **ret_model,
                          mn_error *err)
{
    static const uint8_t nothing;
    if (count == 0)
        return mn_error_set(err, MN_ERR_FORMAT, "0 bytes, expected an ONNX model");
    mn_status status = check_wire(bytes, count, err);
    if (status != MN_OK)
        return status;
    ProtobufCAllocator allocator = {.alloc = take, .free = keep, .allocator_data = memory};
    Onnx__ModelProto *model =
        onnx__model_proto__unpack(&allocator, count, bytes == NULL ? &nothing : bytes);
    if (model != NULL) {
        *ret_model = model;
        return MN_OK;
    }
    if (memory->failed)
        return mn__onnx_memory_error(memory, err);
    return mn_error_set(err, MN_ERR_FORMAT, "%zu bytes that are no ONNX model", count);
}

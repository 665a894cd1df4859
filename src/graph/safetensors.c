/*
 * Writing of safetensors, and whole files of it (safetensors_parse.c reads).
 * Invariant: what is written here is accepted by the parser and gives back the same list.
 */
#include "graph/safetensors.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/size.h"
#include "base/utf8.h"
#include "graph/tensors.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "numbers are copied to files as they lie in memory");

#define DATA_ALIGN 64

/* Refuses what JSON cannot hold before anything is written. */
static mn_status check_texts(const mn_tensors *tensors, const mn_metadata *metadata, mn_error *err)
{
    for (uint32_t i = 0; i < tensors->count; i++) {
        const char *name = tensors->items[i].name;
        if (!mn_text_is_utf8(name))
            return mn_error_set(err, MN_ERR_ARG, "tensor %u: its name is not UTF-8", i);
        if (strcmp(name, "__metadata__") == 0)
            return mn_error_set(err, MN_ERR_ARG, "tensor %u: '%s' is a reserved name", i, name);
    }
    for (uint32_t i = 0; metadata != NULL && i < metadata->count; i++) {
        if (!mn_text_is_utf8(metadata->keys[i]))
            return mn_error_set(err, MN_ERR_ARG, "metadata %u: its key is not UTF-8", i);
        if (!mn_text_is_utf8(metadata->values[i]))
            return mn_error_set(
                err, MN_ERR_ARG, "metadata '%.64s': its value is not UTF-8", metadata->keys[i]);
    }
    return MN_OK;
}

/* Gives every tensor its offset in the data; false when the sum does not fit size_t. */
static bool lay_out(const mn_tensors *tensors, size_t *offsets, size_t *ret_bytes)
{
    static const size_t widest_first[] = {4, 1};
    size_t end = 0;
    for (size_t w = 0; w < sizeof widest_first / sizeof widest_first[0]; w++) {
        for (uint32_t i = 0; i < tensors->count; i++) {
            const mn_tensor *tensor = &tensors->items[i];
            if (mn_dtype_bytes(tensor->dtype) != widest_first[w])
                continue;
            offsets[i] = end;
            if (!mn_size_add(end, mn__tensor_bytes(tensor), &end))
                return false;
        }
    }
    *ret_bytes = end;
    return true;
}

static void put_string(mn_buffer *out, const char *text)
{
    mn_buffer_append(out, "\"", 1);
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char byte = (unsigned char)*p;
        if (byte == '"' || byte == '\\')
            mn_buffer_printf(out, "\\%c", byte);
        else if (byte < 0x20)
            mn_buffer_printf(out, "\\u%04x", byte);
        else
            mn_buffer_append(out, p, 1);
    }
    mn_buffer_append(out, "\"", 1);
}

static void put_metadata(mn_buffer *out, const mn_metadata *metadata)
{
    mn_buffer_printf(out, "\"__metadata__\":{");
    for (uint32_t i = 0; i < metadata->count; i++) {
        if (i > 0)
            mn_buffer_append(out, ",", 1);
        put_string(out, metadata->keys[i]);
        mn_buffer_append(out, ":", 1);
        put_string(out, metadata->values[i]);
    }
    mn_buffer_append(out, "}", 1);
}

static void put_tensor(mn_buffer *out, const mn_tensor *tensor, size_t offset)
{
    put_string(out, tensor->name);
    mn_buffer_printf(out, ":{\"dtype\":\"%s\",\"shape\":[", mn__dtype_name(tensor->dtype));
    for (uint32_t i = 0; i < tensor->rank; i++)
        mn_buffer_printf(out, "%s%u", i > 0 ? "," : "", tensor->dims[i]);
    mn_buffer_printf(
        out, "],\"data_offsets\":[%zu,%zu]}", offset, offset + mn__tensor_bytes(tensor));
}

/* The JSON header, padded. */
static mn_status put_header(mn_buffer *out,
                            const mn_tensors *tensors,
                            const mn_metadata *metadata,
                            const size_t *offsets,
                            mn_error *err)
{
    bool with_metadata = metadata != NULL && metadata->count > 0;
    mn_buffer_append(out, "{", 1);
    if (with_metadata)
        put_metadata(out, metadata);
    for (uint32_t i = 0; i < tensors->count; i++) {
        if (i > 0 || with_metadata)
            mn_buffer_append(out, ",", 1);
        put_tensor(out, &tensors->items[i], offsets[i]);
    }
    mn_buffer_append(out, "}", 1);
    while (!out->failed && (MN_SAFETENSORS_LENGTH_BYTES + out->count) % DATA_ALIGN != 0)
        mn_buffer_append(out, " ", 1);
    mn_status status = mn_buffer_check(out, err);
    if (status == MN_OK && out->count > MN_SAFETENSORS_HEADER_MAX)
        status = mn_error_set(err,
                              MN_ERR_LIMIT,
                              "header of %zu bytes, expected at most %zu",
                              out->count,
                              MN_SAFETENSORS_HEADER_MAX);
    return status;
}

static void
put_file(char *bytes, const mn_buffer *header, const mn_tensors *tensors, const size_t *offsets)
{
    for (size_t i = 0; i < MN_SAFETENSORS_LENGTH_BYTES; i++)
        bytes[i] = (char)(unsigned char)((uint64_t)header->count >> (8 * i));
    memcpy(bytes + MN_SAFETENSORS_LENGTH_BYTES, header->bytes, header->count);
    char *data = bytes + MN_SAFETENSORS_LENGTH_BYTES + header->count;
    for (uint32_t i = 0; i < tensors->count; i++)
        memcpy(data + offsets[i], tensors->items[i].data, mn__tensor_bytes(&tensors->items[i]));
}

mn_status mn_safetensors_serialise(const mn_tensors *tensors,
                                   const mn_metadata *metadata,
                                   char **ret_bytes,
                                   size_t *ret_count,
                                   mn_error *err)
{
    mn_buffer header;
    mn_buffer_init(&header);
    char *bytes = NULL;
    size_t data_bytes = 0;
    size_t count = 0;
    size_t *offsets = mn_calloc(tensors->count, sizeof *offsets);
    mn_status status = MN_OK;
    if (offsets == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "no memory for %u offsets", tensors->count);
        goto done;
    }
    status = check_texts(tensors, metadata, err);
    if (status != MN_OK)
        goto done;
    if (!lay_out(tensors, offsets, &data_bytes)) {
        status = mn_error_set(err, MN_ERR_LIMIT, "the tensors' bytes do not fit size_t");
        goto done;
    }
    status = put_header(&header, tensors, metadata, offsets, err);
    if (status != MN_OK)
        goto done;
    if (mn_size_add(MN_SAFETENSORS_LENGTH_BYTES + header.count, data_bytes, &count))
        bytes = mn_calloc(count, 1);
    if (bytes == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "no memory for %zu bytes of data", data_bytes);
        goto done;
    }
    put_file(bytes, &header, tensors, offsets);
    *ret_bytes = bytes;
    *ret_count = count;
done:
    free(offsets);
    mn_buffer_done(&header);
    return status;
}

mn_status mn_safetensors_save(const char *path,
                              const mn_tensors *tensors,
                              const mn_metadata *metadata,
                              mn_error *err)
{
    char *bytes = NULL;
    size_t count = 0;
    mn_status status = mn_safetensors_serialise(tensors, metadata, &bytes, &count, err);
    if (status != MN_OK)
        return mn_error_prefix(err, status, "%s", path);
    status = mn_file_write(path, bytes, count, err);
    free(bytes);
    return status;
}

mn_status mn_safetensors_load(const char *path,
                              mn_tensors **ret_tensors,
                              mn_metadata *ret_metadata,
                              mn_error *err)
{
    char *bytes = NULL;
    size_t count = 0;
    mn_status status = mn_file_read(path, MN_SAFETENSORS_FILE_MAX, &bytes, &count, err);
    if (status != MN_OK)
        return status;
    status = mn_safetensors_parse(path, bytes, count, ret_tensors, ret_metadata, err);
    free(bytes);
    return status;
}

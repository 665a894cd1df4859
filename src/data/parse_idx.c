/*
 * Parser of the IDX format of the MNIST family (http://yann.lecun.com/exdb/mnist/, bottom): four
 * bytes of magic (zero, zero, type, rank), the dimensions as big-endian 32-bit numbers, then bytes.
 * Invariant: a view that is handed out lies within the bytes.
 */
#include "data/parse.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/size.h"

enum { label_header = 8, image_header = 16 };
static const uint32_t label_magic = 0x00000801; /* uint8, rank 1 */
static const uint32_t image_magic = 0x00000803; /* uint8, rank 3 */

static uint32_t read_be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The magic first: a file of another format is better told so than called short. */
static mn_status check_header(
    const char *where, const unsigned char *bytes, size_t count, uint32_t magic, mn_error *err)
{
    size_t header = magic == image_magic ? image_header : label_header;
    if (count >= 4 && read_be32(bytes) != magic)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: wrong magic 0x%08" PRIx32 ", expected 0x%08" PRIx32,
                            where,
                            read_be32(bytes),
                            magic);
    if (count < header)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: truncated: %zu bytes, expected a header of %zu",
                            where,
                            count,
                            header);
    return MN_OK;
}

mn_status mn__idx_parse_images(
    const char *where, const void *bytes, size_t count, mn__image_view *ret_view, mn_error *err)
{
    const unsigned char *p = bytes;
    mn_status status = check_header(where, p, count, image_magic, err);
    if (status != MN_OK)
        return status;
    uint32_t promised = read_be32(p + 4);
    mn_shape shape = {read_be32(p + 8), read_be32(p + 12), 1};
    size_t image_bytes;
    if (shape.h == 0 || shape.w == 0 || !mn_size_mul(shape.h, shape.w, &image_bytes))
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: images of %" PRIu32 "x%" PRIu32 " pixels, expected at least 1x1",
                            where,
                            shape.h,
                            shape.w);
    const mn__body body = {
        .items = "images",
        .promised = promised,
        .item_bytes = image_bytes,
        .bytes = count - image_header,
    };
    status = mn__body_check(where, &body, err);
    if (status != MN_OK)
        return status;
    *ret_view = (mn__image_view){
        .count = promised,
        .shape = shape,
        .type = MN_PIXEL_U8,
        .offset = image_header,
        .bytes = count - image_header,
    };
    return MN_OK;
}

mn_status mn__idx_parse_labels(
    const char *where, const void *bytes, size_t count, mn__labels *ret_labels, mn_error *err)
{
    const unsigned char *p = bytes;
    mn_status status = check_header(where, p, count, label_magic, err);
    if (status != MN_OK)
        return status;
    uint32_t promised = read_be32(p + 4);
    const mn__body body = {
        .items = "labels",
        .promised = promised,
        .item_bytes = 1,
        .bytes = count - label_header,
    };
    status = mn__body_check(where, &body, err);
    if (status != MN_OK)
        return status;
    uint16_t *items = mn_calloc(promised, sizeof *items);
    if (items == NULL)
        return mn_error_set(
            err, MN_ERR_NOMEM, "%s: no memory for %" PRIu32 " labels", where, promised);
    for (uint32_t i = 0; i < promised; i++)
        items[i] = p[label_header + i];
    *ret_labels = (mn__labels){promised, items};
    return MN_OK;
}

size_t mn__idx_promised_bytes(const void *bytes, size_t count)
{
    const unsigned char *p = bytes;
    size_t size;
    if (count >= label_header && read_be32(p) == label_magic)
        return label_header + (size_t)read_be32(p + 4);
    if (count < image_header || read_be32(p) != image_magic)
        return count;
    if (!mn_size_mul(read_be32(p + 8), read_be32(p + 12), &size) ||
        !mn_size_mul(size, read_be32(p + 4), &size) || !mn_size_add(size, image_header, &size))
        return SIZE_MAX;
    return size;
}

/*
 * Parsers of .npy images and labels: npy_header.c reads the header, here it is compared with what
 * a data set can be, and the contents are checked.
 * Invariant: a view lies within the bytes, and every float in it is finite.
 */
#include "data/reader.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

/* The product of the dimensions after the first, times `item_bytes`; false when one is zero or the
 * product overflows. */
static bool record_bytes(const mn__npy_header *header, size_t item_bytes, size_t *ret_bytes)
{
    size_t bytes = item_bytes;
    for (uint32_t i = 1; i < header->rank; i++) {
        if (header->dims[i] == 0 || !mn_size_mul(bytes, header->dims[i], &bytes))
            return false;
    }
    *ret_bytes = bytes;
    return true;
}

static mn_status check_order(const char *where, const mn__npy_header *header, mn_error *err)
{
    if (header->fortran_order)
        return mn_error_set(
            err, MN_ERR_FORMAT, "%s: fortran_order is True, expected False (C order)", where);
    return MN_OK;
}

static mn_status
check_finite(const char *where, const char *pixels, const mn__image_view *view, mn_error *err)
{
    size_t per_image = view->bytes / view->count / sizeof(float);
    for (size_t i = 0; i < view->bytes / sizeof(float); i++) {
        float value;
        memcpy(&value, pixels + i * sizeof value, sizeof value); /* of any alignment */
        if (!isfinite(value))
            return mn_error_set(err,
                                MN_ERR_FORMAT,
                                "%s: image %zu: number %zu is not finite",
                                where,
                                i / per_image,
                                i % per_image);
    }
    return MN_OK;
}

mn_status mn__npy_parse_images(
    const char *where, const void *bytes, size_t count, mn__image_view *ret_view, mn_error *err)
{
    mn__npy_header header;
    mn_status status = mn__npy_parse_header(where, bytes, count, &header, err);
    if (status == MN_OK)
        status = check_order(where, &header, err);
    if (status != MN_OK)
        return status;
    bool is_float = strcmp(header.descr, "<f4") == 0;
    if (!is_float && strcmp(header.descr, "|u1") != 0)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: images of type '%s', expected '|u1' or '<f4'",
                            where,
                            header.descr);
    if (header.rank != 3 && header.rank != 4)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: images with %" PRIu32 " dimensions, expected (N,H,W) or (N,H,W,C)",
                            where,
                            header.rank);
    mn__image_view view = {
        .count = header.dims[0],
        .shape = {header.dims[1], header.dims[2], header.rank == 4 ? header.dims[3] : 1},
        .type = is_float ? MN_PIXEL_F32 : MN_PIXEL_U8,
        .offset = header.offset,
        .bytes = count - header.offset,
    };
    mn__body body = {.items = "images", .promised = view.count, .bytes = view.bytes};
    if (!record_bytes(&header, mn__pixel_bytes(view.type), &body.item_bytes)) {
        char text[MN__SHAPE_TEXT_BYTES];
        mn__shape_text(view.shape, view.type, text);
        return mn_error_set(
            err, MN_ERR_FORMAT, "%s: images of %s, expected sides from 1", where, text);
    }
    status = mn__body_check(where, &body, err);
    if (status == MN_OK && is_float)
        status = check_finite(where, (const char *)bytes + header.offset, &view, err);
    if (status != MN_OK)
        return status;
    *ret_view = view;
    return MN_OK;
}

/* An integer type of NumPy: "|u1", "<i8", ">u2" and so on. */
typedef struct integer_type {
    size_t bytes;
    bool is_signed;
    bool big_endian;
} integer_type;

static bool parse_integer_type(const char *descr, integer_type *ret_type)
{
    if (strlen(descr) != 3 || strchr("<>|", descr[0]) == NULL || strchr("iu", descr[1]) == NULL ||
        strchr("1248", descr[2]) == NULL)
        return false;
    integer_type type = {
        .bytes = (size_t)(descr[2] - '0'),
        .is_signed = descr[1] == 'i',
        .big_endian = descr[0] == '>',
    };
    if (descr[0] == '|' && type.bytes != 1)
        return false;
    *ret_type = type;
    return true;
}

/* The integer's bits, sign-extended to 64. */
static uint64_t read_integer(const unsigned char *p, const integer_type *type)
{
    uint64_t value = 0;
    for (size_t i = 0; i < type->bytes; i++)
        value = value << 8 | p[type->big_endian ? i : type->bytes - 1 - i];
    unsigned unused = (unsigned)(64 - 8 * type->bytes);
    bool negative = type->is_signed && (value >> (63 - unused) & 1) != 0;
    if (negative && unused > 0)
        value |= UINT64_MAX << (64 - unused);
    return value;
}

static mn_status read_labels(const char *where,
                             const unsigned char *data,
                             const integer_type *type,
                             const mn__labels *labels,
                             mn_error *err)
{
    for (uint32_t i = 0; i < labels->count; i++) {
        uint64_t value = read_integer(data + i * type->bytes, type);
        if (value < MN__CLASS_LIMIT) {
            labels->items[i] = (uint16_t)value;
            continue;
        }
        if (type->is_signed && value > INT64_MAX)
            return mn_error_set(err,
                                MN_ERR_FORMAT,
                                "%s: label %" PRIu32 " is -%" PRIu64 ", out of range [0,%u)",
                                where,
                                i,
                                UINT64_C(0) - value,
                                MN__CLASS_LIMIT);
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: label %" PRIu32 " is %" PRIu64 ", out of range [0,%u)",
                            where,
                            i,
                            value,
                            MN__CLASS_LIMIT);
    }
    return MN_OK;
}

mn_status mn__npy_parse_labels(
    const char *where, const void *bytes, size_t count, mn__labels *ret_labels, mn_error *err)
{
    mn__npy_header header;
    integer_type type;
    mn_status status = mn__npy_parse_header(where, bytes, count, &header, err);
    if (status == MN_OK)
        status = check_order(where, &header, err);
    if (status != MN_OK)
        return status;
    if (!parse_integer_type(header.descr, &type))
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: labels of type '%s', expected an integer type such as '<i8'",
                            where,
                            header.descr);
    if (header.rank != 1 && !(header.rank == 2 && header.dims[1] == 1))
        return mn_error_set(err, MN_ERR_FORMAT, "%s: labels are not of shape (N) or (N,1)", where);
    const mn__body body = {
        .items = "labels",
        .promised = header.dims[0],
        .item_bytes = type.bytes,
        .bytes = count - header.offset,
    };
    status = mn__body_check(where, &body, err);
    if (status != MN_OK)
        return status;
    mn__labels labels = {header.dims[0], mn_calloc(header.dims[0], sizeof(uint16_t))};
    if (labels.items == NULL)
        return mn_error_set(
            err, MN_ERR_NOMEM, "%s: no memory for %" PRIu32 " labels", where, labels.count);
    status = read_labels(where, (const unsigned char *)bytes + header.offset, &type, &labels, err);
    if (status != MN_OK) {
        free(labels.items);
        return status;
    }
    *ret_labels = labels;
    return MN_OK;
}

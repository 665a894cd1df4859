/*
 * Parser of the header of a .npy file, versions 1 to 3
 * (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html): magic, version, the
 * header's length, then a Python dict literal with exactly the keys descr, fortran_order and shape.
 * Only what NumPy writes is accepted: any other Python is refused, never guessed at.
 */
#include "data/parse.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/size.h"

static const char magic[] = "\x93NUMPY";
enum { magic_bytes = sizeof magic - 1, seen_descr = 1, seen_order = 2, seen_shape = 4 };

/* Reads the dict from its first byte to its last. */
typedef struct cursor {
    const char *where;
    const char *start;
    const char *at;
    const char *end;
} cursor;

static mn_status unexpected(const cursor *c, const char *expected, mn_error *err)
{
    return mn_error_set(err,
                        MN_ERR_FORMAT,
                        "%s: header, byte %td: expected %s",
                        c->where,
                        c->at - c->start,
                        expected);
}

static void skip_spaces(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n'))
        c->at++;
}

/* Skips spaces, then takes `byte` if it comes next. */
static bool take(cursor *c, char byte)
{
    skip_spaces(c);
    if (c->at == c->end || *c->at != byte)
        return false;
    c->at++;
    return true;
}

static bool take_word(cursor *c, const char *word)
{
    size_t length = strlen(word);
    skip_spaces(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
        return false;
    c->at += length;
    return true;
}

/* A string in either kind of quotes, without escapes, of at most `room` - 1 printable bytes. */
static mn_status
parse_string(cursor *c, const char *what, char *ret_text, size_t room, mn_error *err)
{
    char quote = take(c, '\'') ? '\'' : '"';
    if (quote == '"' && !take(c, '"'))
        return unexpected(c, what, err);
    size_t length = 0;
    while (c->at < c->end && *c->at != quote) {
        if (length + 1 >= room || *c->at < 0x20 || *c->at > 0x7e || *c->at == '\\')
            return unexpected(c, what, err);
        ret_text[length++] = *c->at++;
    }
    ret_text[length] = '\0';
    return take(c, quote) ? MN_OK : unexpected(c, "the closing quote", err);
}

/* A decimal number as Python writes it: no sign, no leading zero. */
static mn_status parse_dimension(cursor *c, uint32_t *ret_value, mn_error *err)
{
    uint64_t value = 0;
    skip_spaces(c);
    const char *first = c->at;
    while (c->at < c->end && isdigit((unsigned char)*c->at)) {
        value = 10 * value + (uint64_t)(*c->at - '0');
        if (value >= MN_NONE)
            return unexpected(c, "a dimension below 4294967295", err);
        c->at++;
    }
    if (c->at == first || (*first == '0' && c->at - first > 1))
        return unexpected(c, "a dimension", err);
    *ret_value = (uint32_t)value;
    return MN_OK;
}

/* "()", "(3,)", "(3, 4)" or "(3, 4,)": "(3)" is a number in Python. */
static mn_status parse_shape(cursor *c, mn__npy_header *header, mn_error *err)
{
    bool comma = true;
    header->rank = 0;
    if (!take(c, '('))
        return unexpected(c, "a tuple for shape", err);
    while (!take(c, ')')) {
        if (!comma)
            return unexpected(c, "',' or ')' in shape", err);
        if (header->rank == MN__NPY_RANK_MAX)
            return unexpected(c, "at most 8 dimensions", err);
        mn_status status = parse_dimension(c, &header->dims[header->rank], err);
        if (status != MN_OK)
            return status;
        header->rank++;
        comma = take(c, ',');
    }
    if (header->rank == 1 && !comma)
        return unexpected(c, "a tuple such as (3,) for shape", err);
    return MN_OK;
}

/* One key and its value; `seen` holds the keys so far. */
static mn_status parse_entry(cursor *c, unsigned *seen, mn__npy_header *header, mn_error *err)
{
    char key[16];
    mn_status status = parse_string(c, "a key: descr, fortran_order or shape", key, 16, err);
    if (status != MN_OK)
        return status;
    if (!take(c, ':'))
        return unexpected(c, "':'", err);
    unsigned bit = 0;
    if (strcmp(key, "descr") == 0) {
        bit = seen_descr;
        status = parse_string(c, "a type such as '<f4'", header->descr, sizeof header->descr, err);
    } else if (strcmp(key, "fortran_order") == 0) {
        bit = seen_order;
        header->fortran_order = take_word(c, "True");
        if (!header->fortran_order && !take_word(c, "False"))
            status = unexpected(c, "True or False", err);
    } else if (strcmp(key, "shape") == 0) {
        bit = seen_shape;
        status = parse_shape(c, header, err);
    }
    if (status != MN_OK)
        return status;
    if (bit == 0 || (*seen & bit) != 0)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: header: key '%s', expected descr, fortran_order and shape once",
                            c->where,
                            key);
    *seen |= bit;
    return MN_OK;
}

static mn_status parse_dict(cursor *c, mn__npy_header *header, mn_error *err)
{
    unsigned seen = 0;
    bool comma = true;
    if (!take(c, '{'))
        return unexpected(c, "'{'", err);
    while (!take(c, '}')) {
        if (!comma)
            return unexpected(c, "',' or '}'", err);
        mn_status status = parse_entry(c, &seen, header, err);
        if (status != MN_OK)
            return status;
        comma = take(c, ',');
    }
    if (seen != (seen_descr | seen_order | seen_shape))
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: header: expected the keys descr, fortran_order and shape",
                            c->where);
    skip_spaces(c);
    return c->at == c->end ? MN_OK : unexpected(c, "nothing after '}'", err);
}

mn_status mn__npy_parse_header(
    const char *where, const void *bytes, size_t count, mn__npy_header *ret_header, mn_error *err)
{
    const unsigned char *p = bytes;
    if (count < magic_bytes + 2 || memcmp(p, magic, magic_bytes) != 0)
        return mn_error_set(err, MN_ERR_FORMAT, "%s: not a .npy file: wrong magic", where);
    unsigned version = p[magic_bytes];
    if (version < 1 || version > 3)
        return mn_error_set(
            err, MN_ERR_FORMAT, "%s: .npy version %u, expected 1, 2 or 3", where, version);
    size_t length_bytes = version == 1 ? 2 : 4;
    size_t start = magic_bytes + 2 + length_bytes;
    size_t length = 0;
    for (size_t i = length_bytes; count >= start && i > 0; i--)
        length = length << 8 | p[magic_bytes + 1 + i];
    if (count < start || length > count - start)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: truncated: header of %zu bytes in a file of %zu",
                            where,
                            length,
                            count);
    mn__npy_header header = {.offset = start + length};
    const char *text = (const char *)p + start;
    cursor c = {.where = where, .start = text, .at = text, .end = text + length};
    mn_status status = parse_dict(&c, &header, err);
    if (status != MN_OK)
        return status;
    *ret_header = header;
    return MN_OK;
}

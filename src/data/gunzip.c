/*
 * Unpacks gzip. Behind read_idx.c; zlib's codes end here.
 * Invariant: memory in use is at most about twice what has been unpacked so far.
 */
#include "data/parse.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/size.h"

static const size_t first_room = (size_t)64 << 10;
static const int gzip_window = 15 + 16; /* zlib: largest window, gzip wrapper only */

typedef struct unpacking {
    z_stream stream;
    const char *where;
    const mn__bytes *packed;
    size_t read; /* of packed */
    size_t max_bytes;
    mn__bytes out;
    size_t room; /* of out */
} unpacking;

/* Doubles the room, up to max_bytes. */
static mn_status grow(unpacking *u, mn_error *err)
{
    size_t wanted = first_room;
    if (u->room != 0 && !mn_size_mul(u->room, 2, &wanted))
        wanted = u->max_bytes;
    if (wanted > u->max_bytes)
        wanted = u->max_bytes;
    char *grown = realloc(u->out.items, wanted);
    if (grown == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "%s: no memory for %zu bytes", u->where, wanted);
    u->out.items = grown;
    u->room = wanted;
    return MN_OK;
}

/* zlib counts in unsigned int. */
static unsigned clip(size_t count)
{
    return count > UINT_MAX ? UINT_MAX : (unsigned)count;
}

/* One call of inflate() over whatever input and room there are; its code. */
static int step(unpacking *u)
{
    unsigned in = clip(u->packed->count - u->read);
    unsigned space = clip(u->room - u->out.count);
    u->stream.next_in = (Bytef *)u->packed->items + u->read;
    u->stream.avail_in = in;
    u->stream.next_out = (Bytef *)u->out.items + u->out.count;
    u->stream.avail_out = space;
    int code = inflate(&u->stream, Z_NO_FLUSH);
    u->read += in - u->stream.avail_in;
    u->out.count += space - u->stream.avail_out;
    return code;
}

/* Unpacks until the packed bytes end or max_bytes are there. */
static mn_status unpack(unpacking *u, mn_error *err)
{
    while (u->out.count < u->max_bytes) {
        if (u->out.count == u->room) {
            mn_status status = grow(u, err);
            if (status != MN_OK)
                return status;
        }
        int code = step(u);
        bool at_end = u->read == u->packed->count;
        if (code == Z_STREAM_END && at_end)
            return MN_OK;
        if (code == Z_STREAM_END && inflateReset(&u->stream) == Z_OK)
            continue; /* gzip allows several members one after the other */
        if (code == Z_MEM_ERROR)
            return mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory while unpacking", u->where);
        if (code == Z_BUF_ERROR || (code == Z_OK && at_end && u->stream.avail_out > 0))
            return mn_error_set(
                err, MN_ERR_FORMAT, "%s: truncated: gzip ends after %zu bytes", u->where, u->read);
        if (code != Z_OK)
            return mn_error_set(err,
                                MN_ERR_FORMAT,
                                "%s: not gzip at byte %zu: %s",
                                u->where,
                                u->read,
                                u->stream.msg != NULL ? u->stream.msg : "damaged");
    }
    return MN_OK;
}

mn_status mn__gunzip(const char *where,
                     const mn__bytes *packed,
                     size_t max_bytes,
                     mn__bytes *ret_bytes,
                     mn_error *err)
{
    unpacking u;
    memset(&u, 0, sizeof u);
    u.where = where;
    u.packed = packed;
    u.max_bytes = max_bytes;
    if (inflateInit2(&u.stream, gzip_window) != Z_OK)
        return mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory while unpacking", where);
    mn_status status = unpack(&u, err);
    if (status == MN_OK) {
        *ret_bytes = u.out;
        u.out.items = NULL;
    }
    inflateEnd(&u.stream);
    free(u.out.items);
    return status;
}

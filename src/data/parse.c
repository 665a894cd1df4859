/*
 * What the parsers share: the one check of promised against found.
 */
#include "data/parse.h"

#include <inttypes.h>

mn_status mn__body_check(const char *where, const mn__body *body, mn_error *err)
{
    /* The top number is left out, because it means "none" as an index. */
    if (body->promised == 0 || body->promised == MN_NONE)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: %" PRIu32 " %s, expected 1 to %" PRIu32,
                            where,
                            body->promised,
                            body->items,
                            MN_NONE - 1);
    size_t whole = body->bytes / body->item_bytes;
    if (whole < body->promised)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: truncated: %" PRIu32 " %s promised, %zu whole ones found",
                            where,
                            body->promised,
                            body->items,
                            whole);
    /* No overflow: the product is at most body->bytes. */
    size_t extra = body->bytes - body->promised * body->item_bytes;
    if (extra > 0)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: %zu bytes after the last of %" PRIu32 " %s, expected none",
                            where,
                            extra,
                            body->promised,
                            body->items);
    return MN_OK;
}

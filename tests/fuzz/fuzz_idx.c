/* Fuzzes what is read from IDX files: both parsers, and unpacking as read_idx.c does it. */
#include <stdlib.h>
#include <string.h>

#include "data/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void parse(const void *bytes, size_t count)
{
    mn__image_view view;
    mn__labels labels;
    mn_error err;
    size_t promised = mn__idx_promised_bytes(bytes, count);
    if (mn__idx_parse_images("fuzz", bytes, count, &view, &err) == MN_OK &&
        (view.count == 0 || view.bytes == 0 || view.offset + view.bytes != count ||
         promised != count))
        abort();
    if (mn__idx_parse_labels("fuzz", bytes, count, &labels, &err) == MN_OK) {
        if (labels.count == 0 || promised != count)
            abort();
        free(labels.items);
    }
}

/* The limit is small, so that a bomb costs no time. */
static void unpack(const uint8_t *bytes, size_t count)
{
    const size_t limit = (size_t)1 << 20;
    mn__bytes packed = {malloc(count + 1), count};
    mn__bytes out = {0};
    mn_error err;
    if (packed.items == NULL)
        return;
    if (count > 0)
        memcpy(packed.items, bytes, count);
    if (mn__gunzip("fuzz", &packed, limit, &out, &err) == MN_OK) {
        if (out.count > limit)
            abort();
        parse(out.items, out.count);
        free(out.items);
    }
    free(packed.items);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    parse(bytes, count);
    unpack(bytes, count);
    return 0;
}

/* Fuzzes .npy files as images and as labels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* A view must lie within the file and have the size that its numbers say. */
static void check_view(const mn__image_view *view, const uint8_t *bytes, size_t count)
{
    size_t pixel = view->type == MN_PIXEL_F32 ? sizeof(float) : 1;
    size_t elements = (size_t)view->count * view->shape.h * view->shape.w * view->shape.c;
    if (view->count == 0 || elements * pixel != view->bytes || view->offset > count ||
        view->bytes != count - view->offset)
        abort();
    for (size_t i = 0; view->type == MN_PIXEL_F32 && i < elements; i++) {
        float value;
        memcpy(&value, bytes + view->offset + i * sizeof value, sizeof value);
        if (!isfinite(value))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    mn__image_view view;
    mn__labels labels;
    mn_error err;
    if (mn__npy_parse_images("fuzz", bytes, count, &view, &err) == MN_OK)
        check_view(&view, bytes, count);
    if (mn__npy_parse_labels("fuzz", bytes, count, &labels, &err) == MN_OK) {
        for (uint32_t i = 0; i < labels.count; i++)
            if (labels.items[i] >= MN__CLASS_LIMIT)
                abort();
        free(labels.items);
    }
    return 0;
}

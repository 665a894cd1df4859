/*
 * What a step will read next. See ahead.h.
 */
#include "train/ahead.h"

static void add_maps(mn__ahead *ahead,
                     const mn__network *net,
                     const mn__maps *maps,
                     const mn__pad *pad,
                     uint32_t image)
{
    const size_t row = (size_t)maps->w * net->lanes * net->opts.simd->element_bytes;
    int64_t first = pad->first_row > 0 ? pad->first_row : 0;
    int64_t end = (int64_t)pad->first_row + pad->rows;
    end = end < maps->h ? end : maps->h;
    if (image >= net->opts.batch || first >= end)
        return;
    const char *data = (const char *)maps->data +
                       image * maps->image_stride * net->opts.simd->element_bytes +
                       (size_t)first * row;
    for (uint32_t b = 0; b < pad->blocks && ahead->count < mn__most_spans; b++) {
        size_t block = (size_t)pad->first_block + b;
        ahead->spans[ahead->count].at = data + block * maps->h * row;
        ahead->spans[ahead->count].lines =
            ((size_t)(end - first) * row + mn__line_bytes - 1) / mn__line_bytes;
        ahead->count++;
    }
}

void mn__ahead_view(mn__ahead *ahead,
                    const mn__network *net,
                    const mn__view *view,
                    const mn__pad *pad,
                    uint32_t image)
{
    add_maps(ahead, net, &view->maps, pad, image);
}

void mn__ahead_slope(mn__ahead *ahead,
                     const mn__network *net,
                     const mn__slope *slope,
                     const mn__pad *pad,
                     uint32_t image)
{
    add_maps(ahead, net, &slope->dz, pad, image);
    if (slope->through)
        add_maps(ahead, net, &slope->view.maps, pad, image);
}

uint32_t mn__ahead_turn(mn__pad *pad, uint32_t blocks, uint32_t image)
{
    pad->first_block = (pad->first_block + 1) % blocks;
    return pad->first_block == 0 ? image + 1 : image;
}

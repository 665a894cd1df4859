/*
 * The draft of a data set: parts made of files, names of classes. Between the readers, which know
 * one format each, and dataset.c, which knows none.
 * Invariant: a filled part has as many labels as images, and both parts have one shape.
 */
#include "data/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

size_t mn__pixel_bytes(mn_pixel_type type)
{
    return type == MN_PIXEL_F32 ? sizeof(float) : sizeof(uint8_t);
}

void mn__shape_text(mn_shape shape, mn_pixel_type type, char ret_text[MN__SHAPE_TEXT_BYTES])
{
    const char *name = type == MN_PIXEL_F32 ? "float32" : "uint8";
    snprintf(ret_text, MN__SHAPE_TEXT_BYTES, "%ux%ux%u %s", shape.h, shape.w, shape.c, name);
}

static void part_done(mn__part *part)
{
    free(part->pixels);
    free(part->labels);
    *part = (mn__part){0};
}

void mn__draft_done(mn__draft *draft)
{
    part_done(&draft->train);
    part_done(&draft->test);
    free(draft->class_names);
    *draft = (mn__draft){0};
}

char **mn__names_make(uint32_t count, const char *const *names)
{
    const size_t digits_bytes = 11; /* a uint32_t and its NUL */
    size_t table = count * sizeof(char *);
    size_t text = names == NULL ? count * digits_bytes : 0;
    for (uint32_t i = 0; names != NULL && i < count; i++)
        text += strlen(names[i]) + 1;
    char **block = malloc(table + text + 1);
    if (block == NULL)
        return NULL;
    char *at = (char *)block + table;
    for (uint32_t i = 0; i < count; i++) {
        block[i] = at;
        if (names == NULL)
            at += snprintf(at, digits_bytes, "%u", i) + 1;
        else
            at = stpcpy(at, names[i]) + 1;
    }
    return block;
}

/* Moves the pixels to the front of the file's bytes and gives the rest back. */
static void *take_pixels(mn__bytes *file, const mn__image_view *view)
{
    memmove(file->items, file->items + view->offset, view->bytes);
    void *shrunk = realloc(file->items, view->bytes);
    if (shrunk != NULL)
        file->items = shrunk;
    void *pixels = file->items;
    *file = (mn__bytes){0};
    return pixels;
}

mn_status
mn__part_fill(mn__draft *draft, mn__part *part, const mn__part_files *files, mn_error *err)
{
    const mn__image_view *view = &files->images;
    bool first = draft->shape.h == 0;
    bool same = view->shape.h == draft->shape.h && view->shape.w == draft->shape.w &&
                view->shape.c == draft->shape.c && view->type == draft->pixel_type;
    if (!first && !same) {
        char actual[MN__SHAPE_TEXT_BYTES];
        char expected[MN__SHAPE_TEXT_BYTES];
        mn__shape_text(view->shape, view->type, actual);
        mn__shape_text(draft->shape, draft->pixel_type, expected);
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: images are %s, expected %s as in training",
                            files->images_path,
                            actual,
                            expected);
    }
    if (files->labels->count != view->count)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: %u labels, expected %u, one for each image",
                            files->labels_path,
                            files->labels->count,
                            view->count);
    draft->shape = view->shape;
    draft->pixel_type = view->type;
    part->count = view->count;
    part->pixels = take_pixels(files->file, view);
    part->labels = files->labels->items;
    *files->labels = (mn__labels){0};
    return MN_OK;
}

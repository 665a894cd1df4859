/*
 * Reader of four .npy files, images and labels of either part. parse_npy.c makes sense of their
 * bytes.
 */
#include "data/reader.h"

#include <stdlib.h>

#include "base/file.h"

/* A file's path and content. */
typedef struct loaded {
    char *path;
    mn__bytes bytes;
} loaded;

static mn_status load(const char *folder, const char *name, loaded *ret_file, mn_error *err)
{
    ret_file->path = mn_path_join(folder, name);
    if (ret_file->path == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", folder);
    return mn_file_read(
        ret_file->path, MN__FILE_LIMIT, &ret_file->bytes.items, &ret_file->bytes.count, err);
}

static void unload(loaded *file)
{
    free(file->bytes.items);
    free(file->path);
}

/* Images named by names[0], labels by names[1]. */
static mn_status read_part(
    const char *folder, const char *const names[2], mn__draft *draft, mn__part *part, mn_error *err)
{
    loaded x = {0};
    loaded y = {0};
    mn__labels labels = {0};
    mn__part_files files = {.file = &x.bytes, .labels = &labels};
    mn_status status = load(folder, names[0], &x, err);
    if (status != MN_OK)
        goto done;
    status = mn__npy_parse_images(x.path, x.bytes.items, x.bytes.count, &files.images, err);
    if (status != MN_OK)
        goto done;
    status = load(folder, names[1], &y, err);
    if (status != MN_OK)
        goto done;
    status = mn__npy_parse_labels(y.path, y.bytes.items, y.bytes.count, &labels, err);
    if (status != MN_OK)
        goto done;
    files.images_path = x.path;
    files.labels_path = y.path;
    status = mn__part_fill(draft, part, &files, err);
done:
    free(labels.items);
    unload(&y);
    unload(&x);
    return status;
}

mn_status mn__read_npy(const char *folder, mn__draft *draft, mn_error *err)
{
    const char *const train[2] = {"x_train.npy", "y_train.npy"};
    const char *const test[2] = {"x_test.npy", "y_test.npy"};
    mn_status status = read_part(folder, train, draft, &draft->train, err);
    if (status != MN_OK)
        return status;
    return read_part(folder, test, draft, &draft->test, err);
}

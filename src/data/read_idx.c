/*
 * Reader of the MNIST family: finds four IDX files in a folder, plain or gzip, under either of the
 * two ways their names are written; parse_idx.c makes sense of their bytes.
 */
#include "data/reader.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/size.h"

static const char fashion_folder[] = "/usr/share/datasets/fashion-mnist";
static const char *const fashion_names[] = {
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
};
enum { fashion_classes = sizeof fashion_names / sizeof fashion_names[0] };

/* The ways to write a name, in the order in which they are tried. */
typedef struct spelling {
    char separator;
    bool gzip;
} spelling;
static const spelling spellings[] = {{'-', false}, {'-', true}, {'.', false}, {'.', true}};
enum { spelling_count = sizeof spellings / sizeof spellings[0], name_bytes = 64 };

/* A file that was found: its path, owned, and whether it must be unpacked. */
typedef struct found_file {
    char *path;
    bool gzip;
} found_file;

/* `stem` is "train-images", `kind` "idx3-ubyte". */
static mn_status find_file(
    const char *folder, const char *stem, const char *kind, found_file *ret_file, mn_error *err)
{
    char name[name_bytes];
    for (int i = 0; i < spelling_count; i++) {
        const spelling *s = &spellings[i];
        snprintf(name, sizeof name, "%s%c%s%s", stem, s->separator, kind, s->gzip ? ".gz" : "");
        char *path = mn_path_join(folder, name);
        if (path == NULL)
            return mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", folder);
        if (mn_path_exists(path)) {
            *ret_file = (found_file){path, s->gzip};
            return MN_OK;
        }
        free(path);
    }
    return mn_error_set(err,
                        MN_ERR_IO,
                        "%s/%s-%s: no such file, nor %s.%s, nor either with .gz",
                        folder,
                        stem,
                        kind,
                        stem,
                        kind);
}

/* Unpacks as much as the header promises and a byte more, which tells a file that is too long. */
static mn_status
unpack(const char *path, const mn__bytes *packed, mn__bytes *ret_bytes, mn_error *err)
{
    const size_t header = 16; /* the longer of the two */
    mn__bytes start = {0};
    mn_status status = mn__gunzip(path, packed, header, &start, err);
    if (status != MN_OK)
        return status;
    size_t promised = mn__idx_promised_bytes(start.items, start.count);
    free(start.items);
    if (promised >= MN__FILE_LIMIT)
        return mn_error_set(err,
                            MN_ERR_LIMIT,
                            "%s: its header promises %zu bytes or more, expected less than %zu",
                            path,
                            promised,
                            MN__FILE_LIMIT);
    return mn__gunzip(path, packed, promised + 1, ret_bytes, err);
}

static mn_status load_file(const found_file *file, mn__bytes *ret_bytes, mn_error *err)
{
    mn__bytes bytes = {0};
    mn_status status = mn_file_read(file->path, MN__FILE_LIMIT, &bytes.items, &bytes.count, err);
    if (status != MN_OK || !file->gzip) {
        *ret_bytes = bytes;
        return status;
    }
    status = unpack(file->path, &bytes, ret_bytes, err);
    free(bytes.items);
    return status;
}

/* `name` is "train" or "t10k". */
static mn_status
read_part(const char *folder, const char *name, mn__draft *draft, mn__part *part, mn_error *err)
{
    char stem[name_bytes];
    found_file images = {0};
    found_file labels = {0};
    mn__bytes bytes = {0};
    mn__bytes label_bytes = {0};
    mn__labels found = {0};
    mn__part_files files = {.file = &bytes, .labels = &found};
    snprintf(stem, sizeof stem, "%s-images", name);
    mn_status status = find_file(folder, stem, "idx3-ubyte", &images, err);
    if (status != MN_OK)
        goto done;
    snprintf(stem, sizeof stem, "%s-labels", name);
    status = find_file(folder, stem, "idx1-ubyte", &labels, err);
    if (status != MN_OK)
        goto done;
    status = load_file(&images, &bytes, err);
    if (status != MN_OK)
        goto done;
    status = mn__idx_parse_images(images.path, bytes.items, bytes.count, &files.images, err);
    if (status != MN_OK)
        goto done;
    status = load_file(&labels, &label_bytes, err);
    if (status != MN_OK)
        goto done;
    status = mn__idx_parse_labels(labels.path, label_bytes.items, label_bytes.count, &found, err);
    if (status != MN_OK)
        goto done;
    files.images_path = images.path;
    files.labels_path = labels.path;
    status = mn__part_fill(draft, part, &files, err);
done:
    free(found.items);
    free(label_bytes.items);
    free(bytes.items);
    free(labels.path);
    free(images.path);
    return status;
}

mn_status mn__read_idx(const char *folder, mn__draft *draft, mn_error *err)
{
    mn_status status = read_part(folder, "train", draft, &draft->train, err);
    if (status != MN_OK)
        return status;
    return read_part(folder, "t10k", draft, &draft->test, err);
}

mn_status mn__read_fashion(const char *folder, mn__draft *draft, mn_error *err)
{
    (void)folder; /* the package has one place */
    if (!mn_path_exists(fashion_folder))
        return mn_error_set(err,
                            MN_ERR_IO,
                            "%s: no such folder; Debian's package dataset-fashion-mnist has it",
                            fashion_folder);
    mn_status status = mn__read_idx(fashion_folder, draft, err);
    if (status != MN_OK)
        return status;
    draft->class_count = fashion_classes;
    draft->class_names = mn__names_make(fashion_classes, fashion_names);
    if (draft->class_names == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", fashion_folder);
    return MN_OK;
}

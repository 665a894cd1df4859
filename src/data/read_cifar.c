/*
 * Reader of CIFAR-10's binary version (https://www.cs.toronto.edu/~kriz/cifar.html): five training
 * files and one test file of records of a label byte and 3072 planar bytes (red, green, blue
 * plane). Files may hold any number of records, so that a part of the set can be used.
 * Invariant: labels are checked before anything is unpacked.
 */
#include "data/reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "base/utf8.h"

static const char *const train_files[] = {
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
};
enum { train_file_count = sizeof train_files / sizeof train_files[0] };
static const size_t names_max_bytes = 4096;

mn_status mn__cifar_check(
    const char *where, const void *bytes, size_t count, uint32_t *ret_records, mn_error *err)
{
    const unsigned char *p = bytes;
    size_t records = count / MN__CIFAR_RECORD;
    if (records == 0 || records >= MN_NONE || count % MN__CIFAR_RECORD != 0)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: truncated: %zu bytes, expected whole records of %zu bytes",
                            where,
                            count,
                            MN__CIFAR_RECORD);
    for (size_t i = 0; i < records; i++) {
        unsigned label = p[i * MN__CIFAR_RECORD];
        if (label >= MN__CIFAR_CLASSES)
            return mn_error_set(err,
                                MN_ERR_FORMAT,
                                "%s: record %zu: label %u out of range [0,%u)",
                                where,
                                i,
                                label,
                                MN__CIFAR_CLASSES);
    }
    *ret_records = (uint32_t)records;
    return MN_OK;
}

void mn__cifar_unpack(const void *bytes, uint32_t records, uint8_t *pixels, uint16_t *labels)
{
    const size_t plane = (size_t)MN__CIFAR_SIDE * MN__CIFAR_SIDE;
    const unsigned char *record = bytes;
    for (uint32_t i = 0; i < records; i++) {
        labels[i] = record[0];
        const unsigned char *planes = record + 1; /* (C,H,W) */
        for (size_t k = 0; k < plane; k++) {
            pixels[3 * k] = planes[k];
            pixels[3 * k + 1] = planes[plane + k];
            pixels[3 * k + 2] = planes[2 * plane + k];
        }
        pixels += MN__CIFAR_PIXELS;
        record += MN__CIFAR_RECORD;
    }
}

/* Makes room in `part` for `records` more. */
static mn_status extend(const char *path, uint32_t records, mn__part *part, mn_error *err)
{
    size_t total = (size_t)part->count + records;
    size_t pixel_bytes;
    if (total >= MN_NONE || !mn_size_mul(total, MN__CIFAR_PIXELS, &pixel_bytes))
        return mn_error_set(err, MN_ERR_FORMAT, "%s: too many records: %zu", path, total);
    void *pixels = realloc(part->pixels, pixel_bytes);
    if (pixels != NULL)
        part->pixels = pixels;
    uint16_t *labels = reallocarray(part->labels, total, sizeof *labels);
    if (labels != NULL)
        part->labels = labels;
    if (pixels == NULL || labels == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "%s: no memory for %zu images", path, total);
    return MN_OK;
}

static mn_status append_file(const char *folder, const char *name, mn__part *part, mn_error *err)
{
    mn__bytes bytes = {0};
    uint32_t records = 0;
    mn_status status = MN_OK;
    char *path = mn_path_join(folder, name);
    if (path == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", folder);
        goto done;
    }
    status = mn_file_read(path, MN__FILE_LIMIT, &bytes.items, &bytes.count, err);
    if (status != MN_OK)
        goto done;
    status = mn__cifar_check(path, bytes.items, bytes.count, &records, err);
    if (status != MN_OK)
        goto done;
    status = extend(path, records, part, err);
    if (status != MN_OK)
        goto done;
    mn__cifar_unpack(bytes.items,
                     records,
                     (uint8_t *)part->pixels + part->count * MN__CIFAR_PIXELS,
                     part->labels + part->count);
    part->count += records;
done:
    free(bytes.items);
    free(path);
    return status;
}

/* Cuts `text` into its lines, which must be ten names in UTF-8; blank lines are fine. */
static mn_status
parse_names(const char *path, char *text, const char *ret_names[MN__CIFAR_CLASSES], mn_error *err)
{
    uint32_t count = 0;
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        line[strcspn(line, "\r")] = '\0';
        if (line[0] == '\0')
            continue;
        if (!mn_text_is_utf8(line))
            return mn_error_set(
                err, MN_ERR_FORMAT, "%s: class name %" PRIu32 " is not UTF-8", path, count);
        if (count < MN__CIFAR_CLASSES)
            ret_names[count] = line;
        count++;
    }
    if (count != MN__CIFAR_CLASSES)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%s: %" PRIu32 " class names, expected %u",
                            path,
                            count,
                            MN__CIFAR_CLASSES);
    return MN_OK;
}

/* The names stay numbers when the file is not there. */
static mn_status read_names(const char *folder, mn__draft *draft, mn_error *err)
{
    const char *names[MN__CIFAR_CLASSES];
    mn__bytes text = {0};
    mn_status status = MN_OK;
    char *path = mn_path_join(folder, "batches.meta.txt");
    if (path == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", folder);
        goto done;
    }
    if (!mn_path_exists(path))
        goto done;
    status = mn_file_read(path, names_max_bytes, &text.items, &text.count, err);
    if (status != MN_OK)
        goto done;
    status = parse_names(path, text.items, names, err);
    if (status != MN_OK)
        goto done;
    draft->class_names = mn__names_make(MN__CIFAR_CLASSES, names);
    if (draft->class_names == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", path);
done:
    free(text.items);
    free(path);
    return status;
}

mn_status mn__read_cifar(const char *folder, mn__draft *draft, mn_error *err)
{
    draft->shape = (mn_shape){MN__CIFAR_SIDE, MN__CIFAR_SIDE, 3};
    draft->pixel_type = MN_PIXEL_U8;
    draft->class_count = MN__CIFAR_CLASSES;
    for (int i = 0; i < train_file_count; i++) {
        mn_status status = append_file(folder, train_files[i], &draft->train, err);
        if (status != MN_OK)
            return status;
    }
    mn_status status = append_file(folder, "test_batch.bin", &draft->test, err);
    if (status != MN_OK)
        return status;
    return read_names(folder, draft, err);
}

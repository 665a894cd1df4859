/*
 * Shares an open data set between processes: one sealed memory file, mapped read-only by each
 * worker, so that any number of workers holds the images once.
 *
 * The file is a header, then sections at multiples of 64 bytes: class names (NUL-ended, one after
 * the other), training pixels, training labels, test pixels, test labels. Offsets are not stored:
 * both sides compute them from the header, so that they cannot disagree with the counts.
 * Invariant: a mapped data set lies within its file and its labels are in range. Pixels are not
 * looked at again: they came through mn_dataset_open().
 */
#include "data/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"

enum { section_align = 64 };
static const char share_magic[8] = "MNSHARE1"; /* the digit is the version */

typedef struct share_header {
    char magic[8];
    uint32_t h, w, c;
    uint32_t is_float;
    uint32_t class_count;
    uint32_t names_bytes;
    uint32_t train_count;
    uint32_t test_count;
    char hash[24]; /* NUL-padded */
} share_header;

enum section {
    section_names,
    section_train_pixels,
    section_train_labels,
    section_test_pixels,
    section_test_labels,
    section_count
};

typedef struct share_layout {
    size_t offset[section_count];
    size_t bytes[section_count];
    size_t total_bytes;
} share_layout;

/* Pixels, then labels: the order of their sections. */
static bool part_bytes(const share_header *header, uint32_t count, size_t ret_bytes[2])
{
    size_t bytes = header->is_float != 0 ? sizeof(float) : 1;
    return mn_size_mul(bytes, header->h, &bytes) && mn_size_mul(bytes, header->w, &bytes) &&
           mn_size_mul(bytes, header->c, &bytes) && mn_size_mul(bytes, count, &ret_bytes[0]) &&
           mn_size_mul(count, sizeof(uint16_t), &ret_bytes[1]);
}

/* False on overflow, which only a forged header can cause. */
static bool layout_make(const share_header *header, share_layout *ret_layout)
{
    share_layout layout = {0};
    layout.bytes[section_names] = header->names_bytes;
    if (!part_bytes(header, header->train_count, &layout.bytes[section_train_pixels]) ||
        !part_bytes(header, header->test_count, &layout.bytes[section_test_pixels]))
        return false;
    size_t end = sizeof *header;
    for (int i = 0; i < section_count; i++) {
        if (!mn_size_round_up(end, section_align, &layout.offset[i]) ||
            !mn_size_add(layout.offset[i], layout.bytes[i], &end))
            return false;
    }
    layout.total_bytes = end;
    *ret_layout = layout;
    return true;
}

static mn_status write_at(int fd, size_t offset, const void *bytes, size_t count, mn_error *err)
{
    const char *p = bytes;
    size_t done = 0;
    while (done < count) {
        ssize_t put = pwrite(fd, p + done, count - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return mn_error_set(err,
                                MN_ERR_IO,
                                "shared data: %s after %zu of %zu bytes",
                                put < 0 ? strerror(errno) : "stopped",
                                offset + done,
                                offset + count);
        done += (size_t)put;
    }
    return MN_OK;
}

static mn_status write_names(int fd, const mn_dataset *dataset, size_t offset, mn_error *err)
{
    mn_status status = MN_OK;
    for (uint32_t i = 0; i < dataset->class_count && status == MN_OK; i++) {
        size_t bytes = strlen(dataset->class_names[i]) + 1;
        status = write_at(fd, offset, dataset->class_names[i], bytes, err);
        offset += bytes;
    }
    return status;
}

static mn_status write_all(int fd, const mn_dataset *dataset, mn_error *err)
{
    share_header header = {
        .h = dataset->shape.h,
        .w = dataset->shape.w,
        .c = dataset->shape.c,
        .is_float = dataset->pixel_type == MN_PIXEL_F32 ? 1 : 0,
        .class_count = dataset->class_count,
        .train_count = dataset->train.count,
        .test_count = dataset->test.count,
    };
    memcpy(header.magic, share_magic, sizeof header.magic);
    memcpy(header.hash, dataset->hash, sizeof dataset->hash);
    for (uint32_t i = 0; i < dataset->class_count; i++)
        header.names_bytes += (uint32_t)strlen(dataset->class_names[i]) + 1;
    share_layout layout;
    if (!layout_make(&header, &layout))
        return mn_error_set(err, MN_ERR_INTERNAL, "shared data: an open data set has no size");
    const void *const sections[section_count] = {
        [section_train_pixels] = dataset->train.pixels,
        [section_train_labels] = dataset->train.labels,
        [section_test_pixels] = dataset->test.pixels,
        [section_test_labels] = dataset->test.labels,
    };
    mn_status status = write_at(fd, 0, &header, sizeof header, err);
    if (status == MN_OK)
        status = write_names(fd, dataset, layout.offset[section_names], err);
    for (int i = section_train_pixels; i < section_count && status == MN_OK; i++)
        status = write_at(fd, layout.offset[i], sections[i], layout.bytes[i], err);
    return status;
}

mn_status mn_dataset_share(const mn_dataset *dataset, int *ret_fd, mn_error *err)
{
    int fd = memfd_create("memnet-data", MFD_ALLOW_SEALING);
    if (fd < 0)
        return mn_error_set(err, MN_ERR_IO, "shared data: memfd_create: %s", strerror(errno));
    mn_status status = write_all(fd, dataset, err);
    /* Sealed, so that no process can change the images or cut the file under another's mapping. */
    if (status == MN_OK &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
        status = mn_error_set(err, MN_ERR_IO, "shared data: cannot seal: %s", strerror(errno));
    if (status != MN_OK) {
        close(fd);
        return status;
    }
    *ret_fd = fd;
    return MN_OK;
}

/* Checks the header and computes where the sections of a file of this size lie. */
static mn_status
check_header(const share_header *header, size_t file_bytes, share_layout *ret_layout, mn_error *err)
{
    if (memcmp(header->magic, share_magic, sizeof header->magic) != 0)
        return mn_error_set(
            err, MN_ERR_FORMAT, "shared data: wrong magic, expected %.8s", share_magic);
    if (header->h == 0 || header->w == 0 || header->c == 0 || header->is_float > 1 ||
        header->class_count == 0 || header->class_count > MN__CLASS_LIMIT ||
        header->train_count == 0 || header->test_count == 0)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "shared data: header out of range: %" PRIu32 "x%" PRIu32 "x%" PRIu32
                            ", %" PRIu32 " classes, %" PRIu32 " and %" PRIu32 " images",
                            header->h,
                            header->w,
                            header->c,
                            header->class_count,
                            header->train_count,
                            header->test_count);
    if (header->hash[sizeof((mn_dataset *)0)->hash - 1] != '\0')
        return mn_error_set(err, MN_ERR_FORMAT, "shared data: the hash has no end");
    if (!layout_make(header, ret_layout) || ret_layout->total_bytes != file_bytes)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "shared data: file of %zu bytes does not fit its header",
                            file_bytes);
    return MN_OK;
}

/* Copies the pointers to the names out of a section that must end with the last name's NUL. */
static mn_status
map_names(const char *text, size_t bytes, uint32_t count, char ***ret_names, mn_error *err)
{
    const char **found = mn_calloc(count, sizeof *found);
    if (found == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "shared data: out of memory");
    mn_status status = MN_OK;
    const char *at = text;
    for (uint32_t i = 0; i < count && status == MN_OK; i++) {
        const char *end = memchr(at, '\0', bytes - (size_t)(at - text));
        found[i] = at;
        if (end == NULL)
            status = mn_error_set(
                err, MN_ERR_FORMAT, "shared data: name of class %" PRIu32 " has no end", i);
        else
            at = end + 1;
    }
    if (status == MN_OK) {
        *ret_names = mn__names_make(count, found);
        if (*ret_names == NULL)
            status = mn_error_set(err, MN_ERR_NOMEM, "shared data: out of memory");
    }
    free(found);
    return status;
}

static mn_status check_labels(const mn_images *part, uint32_t class_count, mn_error *err)
{
    for (uint32_t i = 0; i < part->count; i++) {
        if (part->labels[i] >= class_count)
            return mn_error_set(err,
                                MN_ERR_FORMAT,
                                "shared data: label %u out of range [0,%" PRIu32 ")",
                                part->labels[i],
                                class_count);
    }
    return MN_OK;
}

/* Points the data set into the mapping. */
static mn_status show(mn__store *store, mn_error *err)
{
    const char *base = store->mapping;
    mn_dataset *dataset = &store->dataset;
    share_header header;
    share_layout layout = {0};
    memcpy(&header, base, sizeof header);
    mn_status status = check_header(&header, store->mapping_bytes, &layout, err);
    if (status != MN_OK)
        return status;
    status = map_names(base + layout.offset[section_names],
                       layout.bytes[section_names],
                       header.class_count,
                       &store->owned.class_names,
                       err);
    if (status != MN_OK)
        return status;
    *dataset = (mn_dataset){
        .shape = {header.h, header.w, header.c},
        .pixel_type = header.is_float != 0 ? MN_PIXEL_F32 : MN_PIXEL_U8,
        .class_count = header.class_count,
        .class_names = (const char *const *)store->owned.class_names,
        .train = {.count = header.train_count,
                  .pixels = base + layout.offset[section_train_pixels],
                  .labels = (const void *)(base + layout.offset[section_train_labels])},
        .test = {.count = header.test_count,
                 .pixels = base + layout.offset[section_test_pixels],
                 .labels = (const void *)(base + layout.offset[section_test_labels])},
    };
    memcpy(dataset->hash, header.hash, sizeof dataset->hash);
    status = check_labels(&dataset->train, dataset->class_count, err);
    if (status == MN_OK)
        status = check_labels(&dataset->test, dataset->class_count, err);
    return status;
}

mn_status mn_dataset_map(int fd, mn_dataset **ret_dataset, mn_error *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return mn_error_set(err, MN_ERR_IO, "shared data: descriptor %d: %s", fd, strerror(errno));
    if (!S_ISREG(info.st_mode) || (uintmax_t)info.st_size < sizeof(share_header))
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "shared data: descriptor %d holds %jd bytes, expected a header of %zu",
                            fd,
                            (intmax_t)info.st_size,
                            sizeof(share_header));
    mn__store *store = mn_calloc(1, sizeof *store);
    if (store == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "shared data: out of memory");
    mn_status status = MN_OK;
    /* Private, because kernels before 6.7 refuse a shared mapping of a write-sealed file, even for
     * reading; pages that nobody writes are shared all the same. */
    void *mapping = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapping == MAP_FAILED) {
        status = mn_error_set(err, MN_ERR_IO, "shared data: mmap: %s", strerror(errno));
        goto done;
    }
    store->mapping = mapping;
    store->mapping_bytes = (size_t)info.st_size;
    status = show(store, err);
    if (status != MN_OK)
        goto done;
    *ret_dataset = &store->dataset;
    store = NULL;
done:
    if (store != NULL)
        mn_dataset_free(&store->dataset);
    return status;
}

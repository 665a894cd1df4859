/*
 * The way into data/: a spec becomes a reader, what it read is checked as a whole, named and
 * hashed. Invariant: in an open data set every label is below the class count and every class has a
 * training image, so that nothing downstream checks again.
 */
#include "data/store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/hash.h"
#include "base/size.h"

/* Kinds of spec: a name alone, or (ending in ':') a prefix before a folder. */
typedef struct spec_kind {
    const char *name;
    mn__reader *read;
} spec_kind;
static const spec_kind kinds[] = {
    {"fashion-mnist", mn__read_fashion},
    {"cifar10:", mn__read_cifar},
    {"idx:", mn__read_idx},
    {"npy:", mn__read_npy},
};
enum { kind_count = sizeof kinds / sizeof kinds[0] };

/* The kind of `spec`, and its folder ("" when the kind takes none); NULL when there is none. */
static const spec_kind *find_kind(const char *spec, const char **ret_folder)
{
    for (int i = 0; i < kind_count; i++) {
        size_t length = strlen(kinds[i].name);
        bool takes_folder = kinds[i].name[length - 1] == ':';
        if (strncmp(spec, kinds[i].name, length) == 0 && (spec[length] != '\0') == takes_folder) {
            *ret_folder = spec + length;
            return &kinds[i];
        }
    }
    return NULL;
}

/* One more than the largest training label. */
static uint32_t count_classes(const mn__part *train)
{
    uint32_t classes = 0;
    for (uint32_t i = 0; i < train->count; i++) {
        if (train->labels[i] >= classes)
            classes = train->labels[i] + 1u;
    }
    return classes;
}

static mn_status
check_labels(const char *what, const mn__part *part, uint32_t class_count, mn_error *err)
{
    for (uint32_t i = 0; i < part->count; i++) {
        if (part->labels[i] >= class_count)
            return mn_error_set(err,
                                MN_ERR_FORMAT,
                                "%s image %" PRIu32 ": label %u out of range [0,%" PRIu32 ")",
                                what,
                                i,
                                part->labels[i],
                                class_count);
    }
    return MN_OK;
}

/* Labels are in range already. */
static mn_status check_classes(const mn__draft *draft, mn_error *err)
{
    bool *seen = mn_calloc(draft->class_count, sizeof *seen);
    if (seen == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < draft->train.count; i++)
        seen[draft->train.labels[i]] = true;
    mn_status status = MN_OK;
    for (uint32_t k = 0; k < draft->class_count && status == MN_OK; k++) {
        if (!seen[k])
            status = mn_error_set(err,
                                  MN_ERR_FORMAT,
                                  "class %" PRIu32 " of %" PRIu32 " has no training image",
                                  k,
                                  draft->class_count);
    }
    free(seen);
    return status;
}

static uint64_t hash_part(uint64_t hash, const mn_images *part, size_t image_bytes)
{
    hash = mn_hash_bytes(hash, part->pixels, part->count * image_bytes);
    return mn_hash_bytes(hash, part->labels, part->count * sizeof part->labels[0]);
}

/* Products cannot overflow: all of this is in memory. Class names are left out, so that a set whose
 * names are found later is still the same set. */
static void set_hash(mn_dataset *dataset)
{
    const uint32_t head[] = {
        dataset->shape.h,
        dataset->shape.w,
        dataset->shape.c,
        dataset->pixel_type == MN_PIXEL_F32 ? 1 : 0,
        dataset->class_count,
        dataset->train.count,
        dataset->test.count,
    };
    size_t image_bytes = (size_t)dataset->shape.h * dataset->shape.w * dataset->shape.c *
                         mn__pixel_bytes(dataset->pixel_type);
    uint64_t hash = mn_hash_bytes(MN_HASH_START, head, sizeof head);
    hash = hash_part(hash, &dataset->train, image_bytes);
    hash = hash_part(hash, &dataset->test, image_bytes);
    mn_hash_hex(hash, dataset->hash);
}

static mn_images show_part(const mn__part *part)
{
    return (mn_images){.count = part->count, .pixels = part->pixels, .labels = part->labels};
}

static mn_status check_draft(mn__draft *draft, mn_error *err)
{
    if (draft->train.count == 0 || draft->test.count == 0)
        return mn_error_set(err,
                            MN_ERR_FORMAT,
                            "%" PRIu32 " training and %" PRIu32 " test images, expected at least 1",
                            draft->train.count,
                            draft->test.count);
    if (draft->class_count == 0)
        draft->class_count = count_classes(&draft->train);
    if (draft->class_count < 2)
        return mn_error_set(
            err, MN_ERR_FORMAT, "every training label is 0, expected two classes at least");
    mn_status status = check_labels("training", &draft->train, draft->class_count, err);
    if (status == MN_OK)
        status = check_labels("test", &draft->test, draft->class_count, err);
    if (status == MN_OK)
        status = check_classes(draft, err);
    return status;
}

mn_status mn__draft_finish(mn__draft *draft, mn_dataset **ret_dataset, mn_error *err)
{
    mn_status status = check_draft(draft, err);
    if (status != MN_OK)
        return status;
    if (draft->class_names == NULL)
        draft->class_names = mn__names_make(draft->class_count, NULL);
    mn__store *store = mn_calloc(1, sizeof *store);
    if (draft->class_names == NULL || store == NULL) {
        free(store);
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    }
    store->dataset = (mn_dataset){
        .shape = draft->shape,
        .pixel_type = draft->pixel_type,
        .class_count = draft->class_count,
        .class_names = (const char *const *)draft->class_names,
        .train = show_part(&draft->train),
        .test = show_part(&draft->test),
    };
    set_hash(&store->dataset);
    store->owned = *draft;
    *draft = (mn__draft){0};
    *ret_dataset = &store->dataset;
    return MN_OK;
}

mn_status mn_dataset_open(const char *spec, mn_dataset **ret_dataset, mn_error *err)
{
    const char *folder = NULL;
    mn__draft draft = {0};
    const spec_kind *kind = find_kind(spec, &folder);
    if (kind == NULL)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "data '%s': expected fashion-mnist, cifar10:DIR, idx:DIR or npy:DIR",
                            spec);
    mn_status status = kind->read(folder, &draft, err);
    if (status == MN_OK) {
        status = mn__draft_finish(&draft, ret_dataset, err);
        if (status != MN_OK)
            mn_error_prefix(err, status, "%s", spec);
    }
    mn__draft_done(&draft);
    return status;
}

void mn_dataset_free(mn_dataset *dataset)
{
    if (dataset == NULL)
        return;
    mn__store *store = (mn__store *)dataset;
    mn__draft_done(&store->owned);
    if (store->mapping != NULL)
        munmap(store->mapping, store->mapping_bytes);
    free(store);
}

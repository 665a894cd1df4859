/*
 * Cuts the validation part from the training images, class by class, so that both parts have the
 * classes in the same proportions.
 * Invariant: the two lists are ascending, disjoint, and together every training image.
 */
#include "memnet/dataset.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "base/size.h"

/* Keeps this stream apart from others that start from the same seed. */
static const uint64_t split_stream = 0x73706c6974; /* "split" */

/* Fills first (class_count + 1): images of class k are members[first[k]] .. members[first[k+1]-1],
 * ascending: a counting sort. */
static void group_by_class(const mn_dataset *dataset, uint32_t *first, uint32_t *members)
{
    const uint16_t *labels = dataset->train.labels;
    uint32_t classes = dataset->class_count;
    for (uint32_t i = 0; i < dataset->train.count; i++)
        first[labels[i] + 1u]++;
    for (uint32_t k = 0; k < classes; k++)
        first[k + 1] += first[k];
    for (uint32_t i = 0; i < dataset->train.count; i++)
        members[first[labels[i]]++] = i;
    /* Every start has moved to its class's end, which is the next one's start. */
    for (uint32_t k = classes; k > 0; k--)
        first[k] = first[k - 1];
    first[0] = 0;
}

/* Marks the validating images of one class; how many there are. */
static uint32_t
choose(mn_random *random, double fraction, uint32_t *members, uint32_t count, bool *validates)
{
    uint32_t chosen = (uint32_t)llround(fraction * count);
    if (count > 0 && chosen >= count)
        chosen = count - 1;
    mn_random_shuffle(random, members, count);
    for (uint32_t i = 0; i < chosen; i++)
        validates[members[i]] = true;
    return chosen;
}

mn_status mn_split_make(
    const mn_dataset *dataset, uint64_t seed, double fraction, mn_split *ret_split, mn_error *err)
{
    if (!(fraction >= 0.0 && fraction < 1.0))
        return mn_error_set(
            err, MN_ERR_ARG, "validation fraction %g: expected a number in [0,1)", fraction);
    uint32_t count = dataset->train.count;
    mn_split split = {0};
    mn_status status = MN_OK;
    bool *validates = mn_calloc(count, sizeof *validates);
    uint32_t *members = mn_calloc(count, sizeof *members);
    uint32_t *first = mn_calloc((size_t)dataset->class_count + 1, sizeof *first);
    if (validates == NULL || members == NULL || first == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "no memory to split %" PRIu32 " images", count);
        goto done;
    }
    group_by_class(dataset, first, members);
    for (uint32_t k = 0; k < dataset->class_count; k++) {
        mn_random random = mn_random_make(mn_random_mix(seed, split_stream), k);
        split.validation_count +=
            choose(&random, fraction, members + first[k], first[k + 1] - first[k], validates);
    }
    split.train = mn_calloc(count - split.validation_count, sizeof *split.train);
    split.validation = mn_calloc(split.validation_count, sizeof *split.validation);
    if (split.train == NULL || split.validation == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "no memory to split %" PRIu32 " images", count);
        goto done;
    }
    split.validation_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (validates[i])
            split.validation[split.validation_count++] = i;
        else
            split.train[split.train_count++] = i;
    }
    *ret_split = split;
    split = (mn_split){0};
done:
    mn_split_done(&split);
    free(first);
    free(members);
    free(validates);
    return status;
}

void mn_split_done(mn_split *split)
{
    free(split->train);
    free(split->validation);
    *split = (mn_split){0};
}

/*
 * Training options: defaults and limits.
 */
#include <math.h>

#include "data/augment.h"
#include "memnet/train.h"

mn_train_opts mn_train_opts_default(void)
{
    return (mn_train_opts){
        .epochs = 10,
        .batch = 64,
        .learning_rate = 0.2f,
        .momentum = 0.9f,
        .weight_decay = 5e-4f,
        .label_smoothing = 0.1f,
        .beta_rate = 1.0f,
        .schedule = MN_SCHEDULE_ONE_CYCLE,
        .augmentation = {.crop_padding = 2, .flip = MN_FLIP_RANDOM},
        .seed = 1,
        .threads = 1,
    };
}

static mn_status check_count(const char *what, uint32_t value, uint32_t most, mn_error *err)
{
    if (value < 1 || value > most)
        return mn_error_set(err, MN_ERR_ARG, "%s: %u out of range [1,%u]", what, value, most);
    return MN_OK;
}

static mn_status check_number(const char *what, float value, float low, float high, mn_error *err)
{
    if (!isfinite(value) || value < low || value > high)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "%s: %g out of range [%g,%g]",
                            what,
                            (double)value,
                            (double)low,
                            (double)high);
    return MN_OK;
}

mn_status mn_train_opts_check(const mn_train_opts *opts, mn_error *err)
{
    mn_status status = check_count("epochs", opts->epochs, 100000, err);
    if (status == MN_OK)
        status = check_count("batch", opts->batch, 4096, err);
    if (status == MN_OK)
        status = check_count("threads", opts->threads, 256, err);
    if (status == MN_OK)
        status = check_number("learning rate", opts->learning_rate, 0.0f, 100.0f, err);
    if (status == MN_OK)
        status = check_number("momentum", opts->momentum, 0.0f, 0.9999f, err);
    if (status == MN_OK)
        status = check_number("weight decay", opts->weight_decay, 0.0f, 1.0f, err);
    if (status == MN_OK)
        status = check_number("label smoothing", opts->label_smoothing, 0.0f, 0.99f, err);
    if (status == MN_OK)
        status = check_number("beta rate", opts->beta_rate, 0.0f, 1000.0f, err);
    if (status == MN_OK)
        status = check_number("average", opts->average, 0.0f, 0.99999f, err);
    if (status == MN_OK && opts->schedule != MN_SCHEDULE_COSINE &&
        opts->schedule != MN_SCHEDULE_ONE_CYCLE)
        status = mn_error_set(err, MN_ERR_ARG, "schedule: no number %d", (int)opts->schedule);
    if (status == MN_OK)
        status = mn__augmentation_check(&opts->augmentation, err);
    if (status == MN_OK && (opts->compute < MN_COMPUTE_AUTO || opts->compute > MN_COMPUTE_BF16))
        status = mn_error_set(err, MN_ERR_ARG, "compute: no number %d", (int)opts->compute);
    return status;
}
